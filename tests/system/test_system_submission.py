"""The way out of a whole gate: real programs send over TLS, and what leaves is looked at where it arrives."""

from __future__ import annotations

import contextlib
import email
import re
import smtplib
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from outside import MX, Outside, letter, sending
from pysqlite3 import dbapi2
from whole import until

from conftest import real_program
from file_samples import word_package


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with sending(tmp_path_factory.mktemp("gate"), workers="0") as made:
        yield made


def test_a_machine_sends_over_tls_and_it_arrives_with_what_was_missing(outside: Outside) -> None:
    with outside.session() as session:
        session.sendmail(
            "ana@example.net",
            ["bo@elsewhere.example"],
            letter("first", "Bcc: eve@example.org"),
            ["BODY=8BITMIME"],
        )
    octets = outside.arrived(b"Subject: first")
    message = email.message_from_bytes(octets)
    assert message["date"]
    assert re.fullmatch(r"<[0-9a-z]+@example\.net>", message["message-id"])
    (trace,) = message.get_all("received")
    assert trace.startswith("by mx.example.net with ESMTPS id ")
    for word in (b"eve@", b"127.0.0.1", b"laptop", b"X-Gatepost", b"Authentication-Results"):
        assert word not in octets
    assert octets.endswith("\r\n\r\nnaïve text\r\n".encode())


@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_swaks(outside: Outside, listener: str) -> None:
    port = next(port for name, port in outside.gate.ports.items() if name.rstrip("0123456789") == listener)
    tls = ["--tls"] if listener == "submission" else ["--tlsc"]
    done = subprocess.run(
        [real_program("swaks"), "--server", "127.0.0.1", "--port", str(port), *tls, "--from", "ana@example.net",
         "--to", "bo@elsewhere.example", "--header", f"Subject: swaks {listener}", "--header", "From: ana@example.net"],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    outside.arrived(f"Subject: swaks {listener}".encode())


def test_curl_and_msmtp(outside: Outside, tmp_path: Path) -> None:
    gate = outside.gate
    (tmp_path / "mail").write_bytes(letter("by curl"))
    done = subprocess.run(
        [real_program("curl"), "-sS", "--ssl-reqd", "--cacert", str(gate.folder / "ca.pem"),
         f"smtp://127.0.0.1:{gate.ports['submission']}/laptop.lan", "--mail-from", "ana@example.net",
         "--mail-rcpt", "bo@elsewhere.example", "-T", str(tmp_path / "mail")],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outside.arrived(b"Subject: by curl")
    done = subprocess.run(
        [real_program("msmtp"), "--host=127.0.0.1", f"--port={gate.ports['submission']}", "--tls=on",
         f"--tls-trust-file={gate.folder}/ca.pem", "--from=ana@example.net", "bo@elsewhere.example"],
        input=letter("by msmtp").replace(b"\r\n", b"\n"), capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outside.arrived(b"Subject: by msmtp")


def test_between_our_own_it_stays_inside(outside: Outside) -> None:
    with outside.session() as session:
        session.sendmail("ana@example.net", ["ben@example.net", "bo@elsewhere.example"], letter("both"))
    outside.arrived(b"Subject: both")
    (inside,) = [one for one in outside.gate.wait_for("ben@example.net") if b"Subject: both" in one]
    assert b"elsewhere" not in inside.replace(b"To: bo@elsewhere.example", b"")


def test_a_stranger_relays_nowhere(outside: Outside) -> None:
    for name, port in outside.gate.ports.items():
        role = name.rstrip("0123456789")
        source = ("127.0.0.7", 0)
        make = smtplib.SMTP if role != "submissions" else smtplib.SMTP_SSL
        more = {"context": outside.trusting} if role == "submissions" else {}
        with make("127.0.0.1", port, "x.example", timeout=20, source_address=source, **more) as session:
            session.ehlo()
            code, text = session.docmd("MAIL FROM:<ana@example.net>")
            if code == 250:
                code, text = session.docmd("RCPT TO:<bo@elsewhere.example>")
            assert code in (530, 550), (role, text)


def test_a_machine_named_for_the_mx_relays_nothing_there(outside: Outside) -> None:
    port = next(port for name, port in outside.gate.ports.items() if name.startswith("mx"))
    with smtplib.SMTP("127.0.0.1", port, "x.example", timeout=20) as session:
        session.ehlo()
        assert session.docmd("MAIL FROM:<ana@example.net>")[0] == 250
        assert session.docmd("RCPT TO:<bo@elsewhere.example>")[0] == 550


def test_the_refusal_says_what_is_allowed_and_explain_tells_it(outside: Outside) -> None:
    with outside.session() as session:
        session.docmd("MAIL FROM:<boss@elsewhere.example>")
        code, text = session.docmd("RCPT TO:<bo@elsewhere.example>")
    assert code == 553
    assert b"any address at example.net" in text
    story = outside.gate.story(text.decode())
    assert story["rule"] == "account.sender"


def test_history_shows_what_went_out(outside: Outside) -> None:
    with outside.session() as session:
        session.sendmail("ana@example.net", ["bo@elsewhere.example"], letter("on record"))
    outside.arrived(b"on record")
    told = outside.gate.run("history", "--outgoing")
    assert "out ana@example.net -> bo@elsewhere.example" in told
    assert outside.gate.run("history", "--account", "127.0.0.1") == told
    ref = told.split()[0]
    assert "outgoing" in outside.gate.run("explain", ref)
    (row,) = outside.gate.rows("explain", ref)
    assert (row["way"], row["account"]) == ("out", "127.0.0.1")


def test_what_cannot_be_delivered_comes_back(outside: Outside) -> None:
    outside.peer.answer = lambda verb, line: (
        "550 5.1.1 nobody" if verb == "RCPT" and "gone@" in line else None
    )
    with outside.session() as session:
        session.sendmail("ana@example.net", ["gone@elsewhere.example"], letter("to nobody"))
    until(
        lambda: any(b"gone@elsewhere" in one for one in outside.gate.boxes("ana@example.net")),
        outside.gate.log,
    )
    counted = "SELECT value FROM memory WHERE key LIKE 'out:bounced:%:127.0.0.1'"

    def bounced() -> bool:
        with contextlib.closing(
            dbapi2.connect(f"file:{outside.gate.folder}/var/gatepost.db?mode=ro", uri=True)
        ) as base:
            return base.execute(counted).fetchall() == [("1",)]

    until(bounced, outside.gate.log)


def test_a_held_account_sends_nothing_until_it_is_released(outside: Outside) -> None:
    gate = outside.gate
    gate.run("queue", "hold-account", "127.0.0.1", "--why", "stolen")
    with outside.session() as session:
        session.sendmail("ana@example.net", ["bo@elsewhere.example"], letter("waits"))
    (row,) = [one for one in gate.rows("queue", "list") if one["held_because"]]
    assert row["held_because"] == "The account is held: stolen"
    assert "release-account 127.0.0.1" in gate.run("explain", row["ref"])
    assert "127.0.0.1" in gate.run("queue", "accounts")
    assert not any(b"Subject: waits" in one for one in outside.peer.messages)
    gate.run("queue", "release-account", "127.0.0.1")
    outside.arrived(b"Subject: waits")
    gate.run("queue", "hold-account", "127.0.0.1")
    with outside.session() as session:
        session.sendmail("ana@example.net", ["bo@elsewhere.example"], letter("dropped"))
    assert "copies deleted: 1" in gate.run("queue", "drop-account", "127.0.0.1")
    gate.run("queue", "release-account", "127.0.0.1")
    gate.run("queue", "release-account", "127.0.0.1", status=1)
    assert gate.run("queue", "accounts", "--json") == ""


def test_who_signs_in_sends_in_their_own_name_with_every_client(outside: Outside, tmp_path: Path) -> None:
    password, gate = outside.app_password(), outside.gate
    with smtplib.SMTP("127.0.0.1", outside.signing_in(), "laptop.lan", timeout=20) as session:
        session.ehlo()
        assert "auth" not in session.esmtp_features, "not in the clear"
        assert session.docmd("AUTH PLAIN AGEAYg==")[0] == 538
        assert session.docmd("MAIL FROM:<ana@example.net>")[0] in (530, 538)
        session.starttls(context=outside.trusting)
        session.ehlo()
        assert session.docmd("MAIL FROM:<ana@example.net>")[0] == 530
        session.login("ana@example.net", password)
        for parameters in (
            "AUTH=<>",
            "AUTH=ana@example.net",
            "AUTH=boss+40elsewhere.example SIZE=100 RET=HDRS ENVID=x",
        ):
            assert session.docmd(f"MAIL FROM:<ana@example.net> {parameters}")[0] == 250
            session.rset()
        session.sendmail("ana@example.net", ["bo@elsewhere.example"], letter("signed in"))
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            session.sendmail("ben@example.net", ["bo@elsewhere.example"], letter("not hers"))
        (code, text) = refused.value.recipients["bo@elsewhere.example"]
        assert (code, b"may send as ana@example.net" in text) == (553, True)
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            session.sendmail(
                "ana@example.net", ["bo@elsewhere.example"], letter("x", author="ben@example.net")
            )
        assert refusal.value.smtp_code == 550
    octets = outside.arrived(b"Subject: signed in")
    assert b"with ESMTPSA id" in octets
    assert b"laptop" not in octets
    (tmp_path / "mail").write_bytes(letter("curl signed in"))
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login ana@example.net password {password}\n")
    runs = {
        "curl": [
            real_program("curl"), "-sS", "--cacert", f"{gate.folder}/ca.pem", "--netrc-file", f"{tmp_path}/netrc",
            f"smtps://127.0.0.1:{outside.signing_in('submissions')}/x", "--mail-from", "ana@example.net",
            "--mail-rcpt", "bo@elsewhere.example", "-T", f"{tmp_path}/mail",
        ],
        "swaks": [
            real_program("swaks"), "--server", "127.0.0.1", "--port", str(outside.signing_in()), "--tls", "--auth", "LOGIN",
            "--auth-user", "ana@example.net", "--auth-password", password, "--from", "ana@example.net",
            "--to", "bo@elsewhere.example", "--header", "Subject: swaks signed in", "--header", "From: ana@example.net",
        ],
        "msmtp": [
            real_program("msmtp"), "--host=127.0.0.1", f"--port={outside.signing_in()}", "--tls=on", "--auth=plain",
            f"--tls-trust-file={gate.folder}/ca.pem", "--user=ana@example.net", f"--passwordeval=echo {password}",
            "--from=ana@example.net", "bo@elsewhere.example",
        ],
    }  # fmt: skip
    for name, command in runs.items():
        done = subprocess.run(
            command, input=letter(f"{name} signed in"), capture_output=True, check=False, timeout=30
        )
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        outside.arrived(f"Subject: {name} signed in".encode())
    assert "ana@example.net" in gate.run("history", "--account", "ana@example.net")


def test_a_card_number_in_a_document_is_seen_by_the_sandboxed_child(outside: Outside) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ana@example.net", "bo@elsewhere.example", "the list"
    message.set_content("see the document")
    message.add_attachment(
        word_package("4111 1111 1111 1111"),
        maintype="application",
        subtype="octet-stream",
        filename="list.docx",
    )
    with outside.session() as session:
        session.send_message(message)
    octets = outside.arrived(b"Subject: the list")
    ref = re.search(rb"id ([0-9A-Z]{13})", octets)
    assert ref is not None
    (row,) = outside.gate.rows("explain", ref[1].decode())
    seen = {one["name"]: one["mode"] for one in row["findings"]}
    assert seen["dataloss.held"] == "observe", "by default it is only seen"
    assert "4111" not in str(row)


def test_a_wrong_password_sends_nothing(outside: Outside) -> None:
    outside.app_password("ben@example.net", "phone")
    with smtplib.SMTP("127.0.0.1", outside.signing_in(), "x.example", timeout=20) as session:
        session.starttls(context=outside.trusting)
        session.ehlo()
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            session.login("ben@example.net", "wrong")
        assert refused.value.smtp_code == 535
        assert session.docmd("MAIL FROM:<ben@example.net>")[0] == 530


FLOOD = """
[submission.policy]
account_hold_at = 4.0
[checks.quota]
account = { strangers_hour = 0 }
device = { strangers_hour = 0 }
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_flood_is_stopped_before_it_leaves_and_the_postmaster_is_told(tmp_path: Path, workers: str) -> None:
    with sending(tmp_path, mx=MX.replace("25", "26"), more=FLOOD, workers=workers) as thief:
        gate, peer = thief.gate, thief.peer
        password = thief.app_password()
        with smtplib.SMTP("127.0.0.1", thief.signing_in(), "x", timeout=20) as session:
            session.starttls(context=thief.trusting)
            session.ehlo()
            session.login("ana@example.net", password)
            for number in range(12):
                to = [f"p{number}.{one}@elsewhere.example" for one in range(10)]
                session.sendmail("ana@example.net", to, letter(f"offer {number}"))
        until(lambda: "ana@example.net" in gate.run("queue", "accounts"), gate.log)
        (told,) = [one for one in gate.wait_for("ben@example.net") if b"is held" in one]
        assert b"gatepost queue release-account ana@example.net" in told
        waiting = gate.rows("queue", "list", "--limit", "1000")
        held = [one for one in waiting if (one["held_because"] or "").startswith("The account is held: ")]
        assert len(held) >= 70, "those of the message that showed it, and all that followed"
        left = [line for line in peer.lines if line.startswith("RCPT")]
        assert len(left) <= 40, "four messages at most were out before fifty people had been written to"
        assert "copies deleted" in gate.run("queue", "drop-account", "ana@example.net")
        assert [line for line in peer.lines if line.startswith("RCPT")] == left

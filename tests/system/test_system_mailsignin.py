"""Mail programs sign in to a whole gate over TLS, with app passwords made on the command line."""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography import x509
from whole import Gate, mail, running, tls_for, until

from conftest import real_program

LISTENERS = """
[[listeners]]
address = "127.0.0.1:0"
role = "submission"

[[listeners]]
address = "127.0.0.1:0"
role = "submissions"

[[listeners]]
address = "127.0.0.1:0"
role = "mx"
"""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("mailsignin")
    devices = trustme.CA()
    devices.cert_pem.write_to_path(str(folder / "devices.pem"))
    for name in ("scanner", "camera", "unknown"):
        devices.issue_cert(
            f"{name}.example.net", common_name=name
        ).private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    trustme.CA().issue_cert(
        "forged.example.net", common_name="scanner"
    ).private_key_and_cert_chain_pem.write_to_path(str(folder / "forged.pem"))
    tls = tls_for(folder) + 'client_authorities = "devices.pem"\n'
    with running(folder, listeners=LISTENERS, more=tls) as found:
        yield found


def session(gate: Gate, certificate: str = "") -> smtplib.SMTP:
    """On the submission listener, under TLS, with a client certificate or none."""
    context = ssl.create_default_context(cafile=str(gate.folder / "ca.pem"))
    if certificate:
        context.load_cert_chain(gate.folder / f"{certificate}.pem")
    opened = smtplib.SMTP("127.0.0.1", gate.ports["submission"], "laptop.lan", timeout=20)
    assert b"AUTH" not in opened.ehlo()[1]
    opened.starttls(context=context)
    opened.ehlo()
    return opened


def new(gate: Gate, login: str, *limits: str) -> tuple[str, str]:
    """An account with an app password; its selector beside."""
    gate.run("user", "add", login, "--no-link")
    made = json.loads(gate.run("user", "app-password", "add", login, "--name", "laptop", "--json", *limits))
    return made["password"], made["selector"]


def test_an_app_password_sends_mail_that_arrives(gate: Gate) -> None:
    password, selector = new(gate, "ana@example.net")
    with session(gate) as opened:
        assert opened.esmtp_features["auth"].strip() == "PLAIN LOGIN"
        opened.login("ana@example.net", password)
        opened.sendmail("ana@example.net", ["ben@example.net"], mail("signed in", author="ana@example.net"))
    (arrived,) = gate.wait_for("ben@example.net")
    assert b"ESMTPSA" in arrived
    (listed,) = gate.rows("user", "app-password", "list", "ana@example.net")
    assert listed["selector"] == selector
    assert listed["used_from"] == "127.0.0.0/24"
    assert [one["how"] for one in gate.rows("user", "show", "ana@example.net")[0]["sign_ins"]] == [
        "app password laptop"
    ]


def test_revoked_means_at_once_and_the_account_password_is_refused_in_words(gate: Gate) -> None:
    password, selector = new(gate, "rita@example.net")
    with session(gate) as opened:
        opened.login("rita@example.net", password)
    gate.run("user", "app-password", "revoke", selector)
    with session(gate) as opened, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        opened.login("rita@example.net", password)
    assert refused.value.smtp_code == 535
    assert b"revoked" in refused.value.smtp_error
    with session(gate) as opened:
        token = b64encode(b"\0rita@example.net\0correct horse battery staple").decode()
        code, words = opened.docmd("AUTH", f"PLAIN {token}")
    assert code == 535
    assert b"make an app password" in words


def test_what_an_app_password_is_limited_to_holds(gate: Gate) -> None:
    gate.run("user", "add", "scan@example.net", "--no-link", "--address", "scanner@example.net")
    made = json.loads(
        gate.run(
            "user",
            "app-password",
            "add",
            "scan@example.net",
            "--name",
            "scanner",
            "--json",
            "--as",
            "scanner@example.net",
        )
    )
    with session(gate) as opened:
        opened.login("scan@example.net", made["password"].replace("-", "").upper())
        code, _ = opened.docmd("MAIL FROM:<scan@example.net>")
        refused = opened.docmd("RCPT TO:<ben@example.net>")[0] if code == 250 else code
        assert refused == 553
        opened.rset()
        assert opened.docmd("MAIL FROM:<scanner@example.net>")[0] == 250
        assert opened.docmd("RCPT TO:<ben@example.net>")[0] == 250
    elsewhere, _ = new(gate, "far@example.net", "--from", "192.0.2.0/24")
    reading, _ = new(gate, "reads@example.net", "--scope", "imap")
    for login, password, word in (
        ("far@example.net", elsewhere, b"network"),
        ("reads@example.net", reading, b"not for sending"),
    ):
        with session(gate) as opened, pytest.raises(smtplib.SMTPAuthenticationError) as refused_login:
            opened.login(login, password)
        assert word in refused_login.value.smtp_error


@pytest.mark.peers
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_signs_in_under_tls_from_the_start(gate: Gate, mechanism: str) -> None:
    swaks = real_program("swaks")
    login = f"{mechanism.lower()}@example.net"
    password, _ = new(gate, login)
    done = subprocess.run(
        [swaks, "--server", "127.0.0.1", "--port", str(gate.ports["submissions1"]), "--tls-on-connect", "--tls-ca-path",
         str(gate.folder / "ca.pem"), "--auth", mechanism, "--auth-user", login, "--auth-password", password, "--from",
         login, "--to", "chie@example.net", "--header", f"Subject: {mechanism}", "--quit-after", "RCPT"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "235 2.7.0" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout


def test_mail_exchangers_are_not_offered_to_sign_in(gate: Gate) -> None:
    with smtplib.SMTP("127.0.0.1", gate.ports["mx2"], timeout=20) as opened:
        opened.starttls(context=ssl.create_default_context(cafile=str(gate.folder / "ca.pem")))
        assert b"AUTH" not in opened.ehlo()[1]


def external(opened: smtplib.SMTP, identity: str = "=") -> tuple[int, bytes]:
    """Sign in with what the connection proves."""
    return opened.docmd("AUTH", f"EXTERNAL {identity}")


def test_a_device_signs_in_by_its_certificate_and_writes_as_itself(gate: Gate) -> None:
    gate.run("user", "add", "device@example.net", "--no-link", "--address", "camera@example.net")
    gate.run(
        "user",
        "certificate",
        "add",
        "device@example.net",
        "--name",
        "scanner",
        "--file",
        str(gate.folder / "scanner.pem"),
    )
    camera = x509.load_pem_x509_certificates((gate.folder / "camera.pem").read_bytes())[0]
    subject = camera.subject.rfc4514_string()
    gate.run(
        "user", "certificate", "add", "device@example.net", "--name", "cameras", "--subject", subject,
        "--as", "camera@example.net",
    )  # fmt: skip
    with session(gate, "scanner") as opened:
        assert opened.esmtp_features["auth"].split() == ["PLAIN", "LOGIN", "EXTERNAL"]
        assert external(opened, b64encode(b"ben@example.net").decode())[0] == 535
        assert external(opened)[0] == 235
        opened.sendmail(
            "device@example.net", ["chie@example.net"], mail("scanned", author="device@example.net")
        )
    (scanner,) = [
        one for one in gate.rows("user", "certificate", "list", "device@example.net") if one["fingerprint"]
    ]
    assert scanner["used_from"] == "127.0.0.0/24"
    gate.run("user", "certificate", "remove", "device@example.net", str(scanner["id"]))
    with session(gate, "scanner") as opened:
        code, words = external(opened)
        assert code == 535
        assert b"signs nobody in" in words


def test_without_a_certificate_of_the_named_authorities_nobody_is_a_device(gate: Gate) -> None:
    with session(gate) as opened:
        assert "EXTERNAL" not in opened.esmtp_features["auth"]
        assert external(opened)[0] == 504
    with session(gate, "unknown") as opened:
        assert external(opened)[0] == 535
    with pytest.raises((ssl.SSLError, smtplib.SMTPServerDisconnected, ConnectionError)):
        session(gate, "forged")


def test_guessing_is_slowed_for_every_connection_and_never_for_who_has_the_secret(gate: Gate) -> None:
    password, _ = new(gate, "target@example.net")
    wrong = b64encode(b"\0target@example.net\0" + b"0" * 8 + b"a" * 24).decode()
    codes = []
    for _ in range(4):
        with session(gate) as opened:
            codes += [opened.docmd("AUTH", f"PLAIN {wrong}")[0] for _ in range(2)]
    assert codes == [535] * 5 + [454] * 3
    with session(gate) as opened:
        opened.login("target@example.net", password)
    failures = [one for one in gate.rows("journal", "list") if one["what"] == "sign-in failed mail"]
    assert sum(one["who"] == "target@example.net" for one in failures) == 5


def test_the_printed_link_opens_at_the_console_and_looking_uses_nothing_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    console = f'\n[console]\naddress = "127.0.0.1:{port}"\n'
    with running(tmp_path, more=console) as gate:
        until(lambda: "console at " in gate.log(), gate.log)
        link = gate.run("user", "add", "ana@example.net", "--role", "owner").strip()
        for _ in range(2):
            page = httpx.get(link)
            assert page.status_code == 200
            assert "ana@example.net" in page.text
        assert httpx.get(link[:-1] + "_").status_code == 410
        assert gate.rows("user", "list")[0]["link_ends"] is not None

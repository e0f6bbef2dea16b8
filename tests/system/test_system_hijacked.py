"""A stolen app password in a thief's hands, from the first spam to the owner's next letter, against a whole gate as it is set by default."""

from __future__ import annotations

import mailbox
import smtplib
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from outside import MX, Outside, letter, sending
from pysqlite3 import dbapi2

from gatepost.demo.mailbag import unwanted, wanted

HERE = MX.replace("0.25", "0.27")
ELSEWHERE = "127.77.200.9"
"""Where the thief sits: another network than ana's."""
OFFER = next(unwanted(1, seed=7, now=0.0))
"""Spam of a kind the gate was taught, in other words."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Outside, str]]:
    """A gate that has learnt what is wanted, where ana has written letters for ten days; and her app password."""
    folder = tmp_path_factory.mktemp("gate")
    with sending(folder, mx=HERE) as outside:
        gate = outside.gate
        for kind, bag in (("ham", wanted(now=time.time())), ("spam", unwanted(now=time.time()))):
            box = mailbox.mbox(folder / kind)
            for one in bag:
                box.add(one)
            box.close()
            gate.run("learn", kind, str(folder / kind))
        password = outside.app_password()
        send(
            outside,
            password,
            "127.0.0.1",
            letter("as always", "User-Agent: Thunderbird 140"),
            ["bo@elsewhere.example"],
        )
        outside.arrived(b"as always")
        assert gate.stop() == 0
        ten_days_pass(folder / "var" / "gatepost.db")
        gate.start()
        yield outside, password


def ten_days_pass(database: Path) -> None:
    """What ana's letters showed was seen on ten days, the last one yesterday."""
    now = int(time.time())
    with closing(dbapi2.connect(database)) as base:
        done = base.execute(
            "UPDATE memory SET value = ? WHERE key LIKE 'out:habit:ana@example.net %'",
            (f"{now - 11 * 86_400} 10 {now // 86_400 - 1}",),
        )
        assert done.rowcount >= 4, "account, network, program, script, hour"
        base.commit()


def send(outside: Outside, password: str, source: str, octets: bytes, to: list[str]) -> None:
    """As ana, from there."""
    port = outside.signing_in()
    with smtplib.SMTP("127.0.0.1", port, "host.example", timeout=20, source_address=(source, 0)) as session:
        session.starttls(context=outside.trusting)
        session.ehlo()
        session.login("ana@example.net", password)
        session.sendmail("ana@example.net", to, octets)


def offer(number: int) -> bytes:
    head, _, body = OFFER.partition(b"\r\n\r\n")
    kept = [
        line for line in head.split(b"\r\n") if line.lower().startswith((b"mime-", b"content-", b" ", b"\t"))
    ]
    own = letter(f"offer {number}", "User-Agent: Bulk 1").partition(b"\r\n\r\n")[0]
    return b"\r\n".join((own, *kept)) + b"\r\n\r\n" + body


def test_a_thief_is_stopped_and_the_owner_writes_again(office: tuple[Outside, str]) -> None:
    outside, password = office
    gate, peer = outside.gate, outside.peer
    before = len([line for line in peer.lines if line.startswith("RCPT")])

    for number in range(4):  # to ten people each, and the thief is told of nothing
        to = [f"p{number}.{one}@elsewhere.example" for one in range(10)]
        send(outside, password, ELSEWHERE, offer(number), to)

    (held,) = gate.rows("queue", "accounts")
    assert held["account"] == "ana@example.net"
    waiting = [one for one in gate.rows("queue", "list", "--limit", "1000") if one["held_because"]]
    gone = len([line for line in peer.lines if line.startswith("RCPT")]) - before
    assert (gone, len(waiting)) == (0, 40), "the first message shows it, and nothing leaves"

    story = gate.rows("explain", held["ref"])[0]
    seen = {one["name"] for one in story["findings"]}
    assert {"habits.new_network", "habits.new_program", "spam.opinion", "account.held"} <= seen
    words = " ".join(gate.run("explain", held["ref"]).split())
    assert "may have been hijacked" in words
    assert "127.77.192.0/20" in words

    (told,) = [one for one in gate.wait_for("ben@example.net") if b"is held" in one]
    for line in (
        "queue release-account ana@example.net",
        "queue drop-account ana@example.net",
        ELSEWHERE,
        "revoke the app passwords",
    ):
        assert line.encode() in told
    assert gate.run("status", status=None).count("ana@example.net") >= 1

    (listed,) = gate.rows("user", "app-password", "list", "ana@example.net")
    gate.run("user", "app-password", "revoke", listed["selector"])
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        send(outside, password, ELSEWHERE, offer(99), ["last@elsewhere.example"])
    assert b"revoked" in refused.value.smtp_error
    gate.run("queue", "drop-account", "ana@example.net", "--why", "stolen password")
    fresh = gate.rows("user", "app-password", "add", "ana@example.net", "--name", "new laptop")[0]["password"]
    send(outside, fresh, "127.0.0.1", letter("it was not me"), ["bo@elsewhere.example"])
    assert [one["to"] for one in gate.rows("queue", "list")] == ["bo@elsewhere.example"], (
        "she is held until she is let go"
    )
    gate.run("queue", "release-account", "ana@example.net", "--why", "a new app password")
    outside.arrived(b"it was not me")
    assert len([line for line in peer.lines if line.startswith("RCPT")]) - before == gone + 1, (
        "nothing else went out"
    )
    acts = " ".join(one["what"] for one in gate.rows("journal", "list"))
    for act in (
        "account hold <ana@example.net>",
        "account drop <ana@example.net>",
        "account release <ana@example.net>",
    ):
        assert act in acts

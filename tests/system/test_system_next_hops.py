"""Postfix, Dovecot and a Maildir behind the gate; and next hops that are down or refuse."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from whole import Gate, mail, running, until, without_trace

from real_servers import dovecot, postfix
from scripted_peer import Peer

SOON = """
[outbound]
retry_first = "200ms"
[delivery]
poll = "100ms"
postmaster = "boss@back.example"
[delivery.schedule]
destination_pause = "200ms"
destination_pause_longest = "400ms"
"""
LETTER = mail("letter", "naïve\r\n.dot\r\n".encode() + b"z" * 40_000 + b"\r\n")


def behind(where: str) -> str:
    return f"""
[[domains]]
name = "example.net"
recipients = ["ana@example.net", "ben@example.net", "nobody@example.net"]
deliver = "{where}"

[[domains]]
name = "back.example"
deliver = "maildir:mail"
"""


def test_what_is_too_big_for_the_host_behind_is_refused_while_the_sender_listens(tmp_path: Path) -> None:
    """Not known before the first session with it; from then on every process at the door knows."""
    big = mail("big", b"x" * 70_000 + b"\r\n")

    def declared(gate: Gate, size: int) -> tuple[int, str]:
        with gate.talk() as session:
            assert session.docmd(f"MAIL FROM:<ann@good.example> SIZE={size}")[0] == 250
            code, words = session.docmd("RCPT TO:<ana@example.net>")
            return code, words.decode()

    with (
        scripted(Peer(keywords=("PIPELINING", "8BITMIME", "SIZE 66000"))) as peer,
        running(tmp_path, workers="2", domains=behind(f"smtp:127.0.0.1:{peer.port}"), more=SOON) as gate,
    ):
        assert declared(gate, len(big))[0] == 250
        assert gate.send(mail("small"))[0] == 250
        until(lambda: len(peer.messages) == 1, gate.log)
        until(lambda: declared(gate, len(big))[0] == 552, gate.log)
        _, words = declared(gate, len(big))
        assert "5.3.4" in words
        assert "66000" in words
        assert "127.0.0.1" not in words, "which host that is, is nobody else's business"
        ref = re.search(r"\[ref (\w+)\]", words)
        assert ref is not None
        until(lambda: f"127.0.0.1:{peer.port} takes" in gate.run("explain", ref[1], status=None), gate.log)
        assert declared(gate, 65_000)[0] == 250
        peer.keywords = ("PIPELINING", "8BITMIME", "SIZE 0")
        until(
            lambda: (gate.send(mail("more")), declared(gate, len(big))[0] == 250)[1],
            gate.log,
            patience_s=60,
        )


@contextlib.contextmanager
def scripted(peer: Peer) -> Iterator[Peer]:
    """The peer in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = peer.serve()
    try:
        asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
        yield peer
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def junk() -> bytes:
    return mail("junk", author="eve@soft.example", more=b"X-Gatepost-Verdict: clean\r\n")


def send_all(gate: Gate) -> None:
    assert gate.send(LETTER, "ana@example.net", "ben@example.net")[0] == 250
    assert gate.send(junk(), "ana@example.net", sender="x@plain.example", client="192.0.2.99")[0] == 250


@pytest.mark.parametrize("workers", ["0", "2"])
def test_maildir(tmp_path: Path, workers: str) -> None:
    with running(tmp_path, workers=workers) as gate:
        send_all(gate)
        for address in ("ana@example.net", "ben@example.net"):
            assert without_trace(gate.wait_for(address)[0]) == LETTER
        [marked] = gate.wait_for("ana@example.net", junk=True)
        assert b"X-Gatepost-Verdict: clean" not in marked
        assert len(gate.boxes("ana@example.net")) == 1


@pytest.mark.peers
def test_postfix(tmp_path: Path) -> None:
    with postfix() as hop, running(tmp_path, domains=behind(f"smtp:127.0.0.1:{hop.port}")) as gate:
        send_all(gate)
        found = hop.wait_for("ana@example.net", 2)
        check(found)
        assert without_trace(hop.wait_for("ben@example.net")[0]) == LETTER
        until(lambda: not gate.rows("queue", "list"))
        [row] = gate.rows("history", "--action", "junk")
        assert row["deliveries"][0]["status"] == "delivered"
        assert row["deliveries"][0]["reply"].startswith("250 ")


@pytest.mark.peers
def test_dovecot(tmp_path: Path) -> None:
    with dovecot() as hop, running(tmp_path, domains=behind(f"lmtp:{hop.socket}")) as gate:
        send_all(gate)
        check(hop.wait_for("ana@example.net", 2))
        assert without_trace(hop.wait_for("ben@example.net")[0]) == LETTER


def check(found: list[bytes]) -> None:
    """One letter as it was; one marked as junk, once, by us."""
    marked = [one for one in found if re.search(rb"(?m)^X-Gatepost-Verdict: junk", one)]
    assert len(marked) == 1
    assert marked[0].count(b"X-Gatepost-Verdict") == 1
    assert [without_trace(one) for one in found if one not in marked] == [LETTER]


def test_a_next_hop_that_is_down_gets_its_mail_once_when_it_is_up(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port meanwhile
        port = taken.getsockname()[1]
        with running(tmp_path, domains=behind(f"smtp:127.0.0.1:{port}"), more=SOON) as gate:
            for number in range(5):
                assert gate.send(mail(f"number {number}"), "ana@example.net", "ben@example.net")[0] == 250
            assert len(gate.rows("queue", "list")) == 10
            taken.close()
            with scripted(Peer(port=port)) as peer:
                until(lambda: recipients_in(peer) >= 10, gate.log)
                until(lambda: not gate.rows("queue", "list"), gate.log)
                assert recipients_in(peer) == 10
                subjects = {re.search(rb"Subject: (.*?)\r\n", one)[1] for one in peer.messages}  # type: ignore[index]
                assert subjects == {b"number %d" % number for number in range(5)}


def recipients_in(peer: Peer) -> int:
    """Copies handed over: a message whose two copies were tried apart comes in two transactions."""
    return sum(line.startswith("RCPT") for line in peer.lines) if len(peer.messages) >= 5 else 0


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_next_hop_that_hangs_does_not_keep_the_gate_from_stopping(tmp_path: Path, workers: str) -> None:
    silent = [True]
    peer = Peer(answer=lambda verb, line: "silent" if verb == "message" and silent[0] else None)
    more = SOON + "[limits.sessions]\nstop_grace = '1s'\n"
    with scripted(peer), running(
        tmp_path, domains=behind(f"smtp:127.0.0.1:{peer.port}"), workers=workers, more=more
    ) as gate:  # fmt: skip
        assert gate.send(LETTER, "ana@example.net")[0] == 250
        until(lambda: any(line.startswith("DATA") for line in peer.lines), gate.log)
        began = time.monotonic()
        assert gate.stop() == 0
        assert time.monotonic() - began < 8
        assert len(gate.rows("queue", "list")) == 1
        silent[0] = False
        gate.start()
        until(lambda: not gate.rows("queue", "list"), gate.log)
        assert without_trace(peer.messages[-1]) == LETTER


def test_a_refusing_next_hop_is_told_to_proved_senders_only(tmp_path: Path) -> None:
    def refuse(verb: str, line: str) -> str | None:
        return "550 5.1.1 no such mailbox" if verb == "RCPT" and "nobody" in line else None

    with (
        scripted(Peer(answer=refuse)) as peer,
        running(tmp_path, domains=behind(f"smtp:127.0.0.1:{peer.port}"), more=SOON) as gate,
    ):
        letter = mail("proved", author="ann@back.example")
        assert gate.send(letter, "ana@example.net", "nobody@example.net", sender="ann@back.example")[0] == 250
        [report] = gate.wait_for("ann@back.example")
        assert b"multipart/report" in report
        assert b"Final-Recipient: rfc822; nobody@example.net" in report
        assert b"Status: 5.1.1" in report
        assert b"ana@example.net" not in report.partition(b"message/rfc822")[0].replace(b"To: ana", b"")
        assert len(peer.messages) == 1
        until(
            lambda: not gate.rows("queue", "list"), gate.log
        )  # a letter lies there before it is written down

        assert (
            gate.send(
                mail("unproved", author="eve@plain.example"), "nobody@example.net", sender="eve@plain.example"
            )[0]
            == 250
        )
        [notice] = gate.wait_for("boss@back.example")
        until(lambda: len(gate.rows("queue", "list")) == 1, gate.log)
        [held] = gate.rows("queue", "list")
        assert held["held_because"]
        assert held["ref"].encode() in notice
        assert held["to"] == "nobody@example.net"

        assert (
            gate.send(mail("bounce", author="daemon@plain.example"), "nobody@example.net", sender="")[0]
            == 250
        )
        gate.wait_for("boss@back.example", 2)
        assert len(gate.rows("queue", "list")) == 2
        assert len(gate.boxes("ann@back.example")) == 1

"""Messages and zones made to cost: the work is bounded, whatever they hold.

Ceilings are some ten times what is needed, so that they fail for a change of order and not for a busy machine.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from forging import KEY, NOW, REST, ZONE_TEXT, examined, gate, signed

from gatepost.dns.answer import Answer
from gatepost.dns.zone import Zone
from gatepost.mail.author import authors
from gatepost.mail.message import MAX_FIELDS, Message
from gatepost.mail.verdict import Action
from gatepost.mailauth.dkim_sign import sign
from gatepost.smtp.dialect import Dialect, Offers
from gatepost.smtp.events import NEED_DATA, BodyStart, Violation
from gatepost.smtp.limits import SmtpLimits
from gatepost.smtp.reply import OK, START_DATA, Reply
from gatepost.smtp.server import SmtpServer

FROM = b"From: x@attacker.example\r\n"


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds


@contextmanager
def memory_below(octets: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < octets
    finally:
        tracemalloc.stop()


def nested(depth: int) -> bytes:
    parts = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(depth)
    )
    return b"MIME-Version: 1.0\r\n" + parts


BOMBS = {
    "3,000 nested parts": lambda: FROM + REST + nested(3000),
    "200,000 parts": lambda: FROM + REST + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 200_000,
    "a line of 4 MB": lambda: signed(FROM, b"\r\n" + b"x" * 4_000_000 + b"\r\n"),
    "4 MB of blanks": lambda: signed(FROM, b"\r\n" + b" " * 4_000_000 + b"x\r\n"),
    "4 MB of empty lines": lambda: signed(FROM, b"\r\n" + b"\r\n" * 2_000_000),
    "4 MB of blank lines": lambda: signed(FROM, b"\r\n" + b" \t\r\n" * 5_000_000),
    "10,000 fields": lambda: FROM + b"X-A: b\r\n" * 10_000 + REST + b"\r\n",
    "10,000 fields of different names": lambda: FROM + b"".join(b"X-%d: b\r\n" % n for n in range(10_000)) + REST + b"\r\n",
    "a field of 100,000 folds": lambda: FROM + b"Subject: x\r\n" + b" y\r\n" * 100_000 + b"\r\n",
    "200 From fields of 2 KB": lambda: (b"From: " + b"(" * 1000 + b")" * 1000 + b" a@b.example\r\n") * 200 + b"\r\n",
    "a From of 60,000 comments": lambda: b"From: " + b"(a)" * 20_000 + b" a@b.example\r\n\r\n",
    "a From nested 30,000 deep": lambda: b"From: " + b"(" * 30_000 + b")" * 30_000 + b" a@b.example\r\n\r\n",
    "a From of open quotes": lambda: b'From: "' * 8000 + b"\r\n\r\n",
    "a From of commas": lambda: b"From: " + b"a@b.example," * 5000 + b"\r\n\r\n",
    "a From of encoded words": lambda: b"From: " + b"=?utf-8?q?a?= " * 4000 + b"<a@b.example>\r\n\r\n",
    "a From of broken encoded words": lambda: b"From: " + b"=?a?q?" * 10_000 + b" <a@b.example>\r\n\r\n",
    "a From of angle brackets": lambda: b"From: " + b"<" * 60_000 + b"\r\n\r\n",
    "a From of at signs": lambda: b'From: "' + b"@a." * 20_000 + b'" <a@b.example>\r\n\r\n',
    "From in disguise": lambda: FROM + b"\r\n".join([b">" * 900 + b"from " * 20] * 200) + b"\r\n\r\n",
    "a Subject of encoded words": lambda: FROM + b"Subject: " + b"=?utf-8?b?YQ==?=\r\n " * 20_000 + b"\r\n\r\n",
    "a signature of a million tags": lambda: b"DKIM-Signature: " + b"a=b;" * 100_000 + b"\r\n" + FROM + b"\r\n",
    "a signature that names 100,000 fields": lambda: b"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; bh=AA; b=AA; h=" + b"from:" * 80_000 + b"from\r\n" + FROM + b"\r\n",
    "a signature of blanks": lambda: b"DKIM-Signature: v=1; b=" + b" \t" * 200_000 + b"x\r\n" + FROM + b"\r\n",
    "100 results under our name": lambda: (b"Authentication-Results: mx.gate.example; " + b"(" * 3000 + b"\r\n") * 100 + FROM + b"\r\n",
    "results of quotes": lambda: b'Authentication-Results: "' + b'\\"' * 100_000 + b"\r\n" + FROM + b"\r\n",
    "1,000 seals": lambda: b"".join(b"ARC-Seal: i=%d; cv=pass; d=a.example; s=s; b=AA\r\n" % (n % 50) for n in range(1000)) + FROM + b"\r\n",
    "Received of blanks": lambda: b"Received: from " + b" " * 200_000 + b"x\r\n" + FROM + b"\r\n",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_messages(bomb: str) -> None:
    octets = BOMBS[bomb]()
    with within(8.0):
        entry = examined(octets)
    assert entry.judged


def test_a_100_mb_line_keeps_to_its_memory() -> None:
    """Parsing copies no body, and hashing it goes piece by piece where it can."""
    octets = FROM + REST + b"\r\n" + b"x" * 100_000_000 + b"\r\n"
    with within(20.0), memory_below(20_000_000):
        Message.parse(octets)
    with within(20.0), memory_below(320_000_000):
        examined(octets)


def test_authors_are_read_up_to_a_limit_only() -> None:
    """Four times as much in From must not cost four times as much."""
    few, many = (authors(Message.parse(b"From: a@b.example\r\n" * count)) for count in (20, 2000))
    assert many.domain is few.domain is None
    assert many.field_count == 2000
    assert len(many.addresses) < 50
    assert authors(Message.parse(b"From: " + b"(a) " * 5000 + b"a@b.example\r\n")).problems == (
        "the From field is too long",
        "no address in From",
    )


def test_too_many_fields_are_never_delivered() -> None:
    entry = examined(FROM + b"X: y\r\n" * (MAX_FIELDS + 1) + REST + b"\r\n")
    assert entry.judged[0].verdict.action is not Action.DELIVER


class Counting:
    """A resolver that counts what it is asked."""

    def __init__(self, text: str) -> None:
        self.zone = Zone.parse(text)
        self.asked = 0

    async def lookup(self, name: str, kind: str) -> Answer:
        self.asked += 1
        return await self.zone.lookup(name, kind)


def counted(zone: str, octets: bytes, **how: object) -> tuple[int, object]:
    from dataclasses import replace

    from gatepost.dns.budget import Budget

    intake = gate(zone=zone)
    counting = Counting(zone)
    old = intake.tools

    def tools(now: float) -> object:
        return replace(old(now), resolver=Budget(counting, lookups=200))  # type: ignore[type-var]

    entry = examined(octets, intake=replace(intake, tools=tools), **how)  # type: ignore[arg-type]
    return counting.asked, entry


def test_a_hundred_signatures_ask_for_ten_keys() -> None:
    octets = FROM + REST + b"\r\nx\r\n"
    parsed = Message.parse(octets)
    many = b"".join(
        sign(parsed, domain="attacker.example", selector=f"s{n}", key=KEY, now=NOW) for n in range(100)
    )
    asked, entry = counted(ZONE_TEXT, many + octets)
    assert entry.auth.dkim_ignored == 90  # type: ignore[attr-defined]
    assert asked < 40


def chain(width: int, depth: int) -> str:
    """Each record includes `width` others, `depth` deep, and fills what room a TXT has."""
    filler = " ".join(f"ip4:192.0.{n % 256}.{n // 256}" for n in range(300))
    lines = []
    for level in range(depth):
        names = " ".join(f"include:s{level + 1}-{n}.attacker.example" for n in range(width))
        strings = f"v=spf1 {filler} {names} -all"
        cut = " ".join(f'"{strings[at : at + 200]}"' for at in range(0, len(strings), 200))
        lines += [f"s{level}-{n}.attacker.example. TXT {cut}" for n in range(width)]
    return "\n".join(lines) + "\n"


def test_an_include_chain_is_cut_at_ten() -> None:
    asked, entry = counted(chain(3, 12), FROM + REST + b"\r\n", sender="x@s0-0.attacker.example")
    assert entry.auth.spf_mail_from.result == "permerror"  # type: ignore[attr-defined]
    assert asked < 60


def test_a_record_of_many_mx_and_ptr() -> None:
    hosts = "\n".join(f"attacker.example. MX {n} h{n}.attacker.example." for n in range(200))
    names = "\n".join(f"66.100.51.198.in-addr.arpa. PTR h{n}.attacker.example." for n in range(500))
    text = f'{hosts}\n{names}\nattacker.example. TXT "v=spf1 mx ptr ptr:a.example ptr:b.example exists:%{{p}}.x mx:attacker.example -all"\n'
    asked, _ = counted(text, FROM + REST + b"\r\n")
    assert asked < 100


def test_a_deep_author_domain_is_walked_in_eight_steps() -> None:
    domain = ".".join("a" * 100) + ".example"
    asked, entry = counted(ZONE_TEXT, f"From: x@{domain}\r\n".encode() + REST + b"\r\n")
    assert entry.auth.dmarc.author_domain == domain  # type: ignore[attr-defined]
    assert asked < 40


def session(limits: SmtpLimits) -> SmtpServer:
    machine = SmtpServer(Dialect.MX, limits, hostname="mx.gate.example", offers=Offers())
    machine.greet(Reply(220, "", "mx.gate.example ESMTP"))
    return machine


def test_a_message_without_end_is_not_kept() -> None:
    machine = session(SmtpLimits(message_octets=100_000, discard_octets=5_000_000))
    machine.receive(b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n")
    with memory_below(2_000_000):
        for _ in range(400):
            while (event := machine.next_event()) is not NEED_DATA and not machine.closed:
                if machine.awaiting:
                    machine.reply(START_DATA if isinstance(event, BodyStart) else OK)
            machine.receive(b"x" * 20_000)
    assert machine.closed


def test_pipelined_commands_wait_outside() -> None:
    machine = session(SmtpLimits())
    machine.receive(b"NOOP\r\n" * 50_000)
    while not isinstance(event := machine.next_event(), Violation):
        assert event is not NEED_DATA
    assert machine.closed
    assert not machine.wants_input
    assert len(machine.outgoing()) < 10_000

"""Reads and plays dialogue files (`tests/cases/smtp/*.talk`), against the machine in memory or any other peer.

A line is one of
    # why                                a comment
    * dialect lmtp                       settings, before the first word: dialect NAME, offers NAME[=VALUE] ...,
    * limits errors=2                    limits NAME=NUMBER ...
    C: EHLO client.example               sent with CR LF; \\r \\n \\0 \\xNN are octets
    C+ bare\\n                            sent as it stands
    S: 250 2.1.0 *                       the reply line to come; * stands for anything
    S: (closed)                          the connection has ended
    * tls                                the handshake happens
    * 1 message                          so many messages were accepted so far
C lines that follow each other are sent in one go: the client pipelines.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from gatepost.smtp.dialect import Dialect, Offers
from gatepost.smtp.events import (
    AWAITING_REPLY,
    CLOSED,
    NEED_DATA,
    AuthRequest,
    BodyEnd,
    BodyStart,
    Event,
    Hello,
    KeysWanted,
    MailFrom,
    RcptTo,
    StartTls,
    XClient,
)
from gatepost.smtp.limits import SmtpLimits
from gatepost.smtp.reply import AUTH_FAILED, AUTHENTICATED, OK, START_DATA, TLS_READY, Reply
from gatepost.smtp.sasl import Password, Proof, ScramKeys, Token
from gatepost.smtp.server import SmtpServer

CASES = Path(__file__).parent / "cases" / "smtp"
HOSTNAME = "mx.example.net"
GREETING = Reply(220, "", f"{HOSTNAME} ESMTP")


class Peer(Protocol):
    """Whom a dialogue is played against."""

    messages: int

    def send(self, octets: bytes) -> None: ...

    def read_line(self) -> bytes:
        """One reply line without its CR LF; ``b"(closed)"`` at the end."""
        ...

    def start_tls(self) -> None: ...


@dataclass
class Talk:
    """A dialogue file, read."""

    name: str
    dialect: Dialect = Dialect.MX
    offers: dict[str, object] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    steps: list[tuple[int, str, str]] = field(default_factory=list)
    """Line number, ``C`` ``+`` ``S`` or ``*``, text."""


def read_talk(path: Path) -> Talk:
    talk = Talk(path.stem)
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        kind, text = line[:2], line[3:]
        if kind == "* ":
            _setting(talk, number, line[2:].split())
        elif kind in ("C:", "C+", "S:"):
            talk.steps.append((number, {"C:": "C", "C+": "+", "S:": "S"}[kind], text))
        else:
            raise ValueError(f"{path.name}:{number}: {line}")
    return talk


def _setting(talk: Talk, number: int, words: list[str]) -> None:
    match words:
        case ["dialect", name]:
            talk.dialect = Dialect(name)
        case ["offers", *pairs]:
            for pair in pairs:
                name, equals, value = pair.partition("=")
                talk.offers[name] = tuple(value.split(",")) if equals else True
        case ["limits", *pairs]:
            talk.limits.update((name, int(value)) for name, value in (pair.split("=") for pair in pairs))
        case _:
            talk.steps.append((number, "*", " ".join(words)))


def play(talk: Talk, peer: Peer) -> None:
    """Fails at the first line that comes out otherwise."""
    waiting = bytearray()
    for number, kind, text in talk.steps:
        where = f"{talk.name}.talk:{number}"
        if kind in "C+":
            waiting += _octets(text) + (b"\r\n" if kind == "C" else b"")
            continue
        if waiting:
            peer.send(bytes(waiting))
            waiting.clear()
        if kind == "S":
            line = peer.read_line().decode("utf-8", "replace")
            pattern = text.replace("[", "[[]").replace("?", "[?]")
            assert fnmatchcase(line, pattern), f"{where}: expected {text!r}, got {line!r}"
        elif text == "tls":
            peer.start_tls()
        else:
            count = int(text.split()[0])
            assert peer.messages == count, f"{where}: {peer.messages} messages were accepted"


_ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|([rn0\\]))")
_NAMED = {b"r": b"\r", b"n": b"\n", b"0": b"\0", b"\\": b"\\"}


def _octets(text: str) -> bytes:
    return _ESCAPE.sub(
        lambda match: bytes.fromhex(match[1].decode()) if match[1] else _NAMED[match[2]], text.encode()
    )


class MemoryPeer:
    """The machine, driven by a script: who is refused is told by the local part."""

    def __init__(
        self,
        machine: SmtpServer,
        *,
        greeting: Reply = GREETING,
        piece: int = 0,
        answer: Callable[[Event], Reply] | None = None,
    ) -> None:
        self.machine = machine
        self.piece = piece
        self.answer = answer or answer_by_name
        self.events: list[Event] = []
        self.bodies: list[bytes] = []
        self.wire = bytearray()
        """All that came out."""
        self._read_to = 0
        machine.greet(greeting)
        self._pump()

    @property
    def messages(self) -> int:
        return len(self.bodies)

    def send(self, octets: bytes) -> None:
        step = self.piece or len(octets) or 1
        for start in range(0, len(octets), step):
            self.machine.receive(octets[start : start + step])
            self._pump()

    def eof(self) -> None:
        self.machine.eof()
        self._pump()

    def read_line(self) -> bytes:
        end = self.wire.find(b"\r\n", self._read_to)
        if end < 0:
            return b"(closed)" if self.machine.closed else b"(silence)"
        line = bytes(self.wire[self._read_to : end])
        self._read_to = end + 2
        return line

    def start_tls(self) -> None:
        self.machine.tls_started()

    def _pump(self) -> None:
        while (event := self.machine.next_event()) not in (NEED_DATA, CLOSED):
            assert event is not AWAITING_REPLY
            self.events.append(event)
            if self.machine.awaiting:
                assert self.machine.next_event() is AWAITING_REPLY
                self._answer(event)
        self.wire += self.machine.outgoing()

    def _answer(self, event: Event) -> None:
        envelope = self.machine.envelope
        if isinstance(event, KeysWanted):
            self.machine.keys(scram_keys(event.user))
            return
        if isinstance(event, BodyEnd) and self.machine.dialect is Dialect.LMTP:
            assert envelope is not None
            replies = [
                Reply(452, "4.2.2", "Mailbox full") if to.address.local == "full" else OK
                for to in envelope.recipients
            ]
            if OK in replies:
                self.bodies.append(event.octets)
            self.machine.reply_each(replies)
            return
        reply = self.answer(event)
        if isinstance(event, BodyEnd) and reply.positive:
            self.bodies.append(event.octets)
        self.machine.reply(reply)


def answer_by_name(event: Event) -> Reply:
    """nobody@ does not exist, later@ must wait, forged@ may not send; ana's password is "secret"."""
    match event:
        case Hello():
            return Reply(250, "", HOSTNAME)
        case StartTls():
            return TLS_READY
        case AuthRequest(credentials=Password(user="ana", password="secret") | Token(token="good")):
            return AUTHENTICATED
        case AuthRequest(credentials=Proof(user="ana", proven=True)):
            return AUTHENTICATED
        case AuthRequest():
            return AUTH_FAILED
        case MailFrom(sender=sender) if sender is not None and sender.local == "forged":
            return Reply(550, "5.7.1", "Sender refused")
        case RcptTo(recipient=to) if to.address.local == "nobody":
            return Reply(550, "5.1.1", "No such user")
        case RcptTo(recipient=to) if to.address.local == "later":
            return Reply(451, "4.7.1", "Come back later")
        case BodyStart():
            return START_DATA
        case BodyEnd(octets=octets) if b"X-Virus" in octets:
            return Reply(550, "5.7.1", "Refused")
        case BodyEnd():
            return Reply(250, "2.0.0", "Stored")
        case XClient():
            return Reply(220, "", f"{HOSTNAME} ESMTP")
        case _:
            return OK


def scram_keys(user: str) -> ScramKeys:
    return ScramKeys.of_password(
        "secret" if user == "ana" else "\0none", salt=b"salt" * 4, iterations=4096, nonce="3rfcNHYJY1ZVvWVs7j"
    )


def in_memory(talk: Talk, piece: int = 0) -> MemoryPeer:
    machine = SmtpServer(
        talk.dialect,
        SmtpLimits(**talk.limits),  # type: ignore[arg-type]
        hostname=HOSTNAME,
        offers=Offers(**talk.offers),  # type: ignore[arg-type]
    )
    return MemoryPeer(machine, piece=piece)

"""What one SMTP session knows, and the few moves that every command makes with it.

The table of legal transitions is here; `commands` and `receiving` act on a `Session`, `server.SmtpServer` is what a
driver sees of it.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum, auto

from gatepost.smtp import reply as say
from gatepost.smtp.dialect import WAYS, Dialect, Offers
from gatepost.smtp.events import NEED_DATA, Event, Violation
from gatepost.smtp.framing import Fault, Incoming
from gatepost.smtp.limits import SmtpLimits
from gatepost.smtp.reply import Reply
from gatepost.smtp.sasl import Exchange
from gatepost.smtp.transaction import Transaction


class State(StrEnum):
    """Where the session is."""

    SILENT = auto()
    """Not greeted yet."""
    TURNED_AWAY = auto()
    """Greeted with a refusal: only QUIT is taken (RFC 5321 §3.1)."""
    START = auto()
    """Greeted, or under fresh TLS: EHLO is due."""
    READY = auto()
    MAIL = auto()
    """A sender is accepted."""
    RCPT = auto()
    """A recipient is accepted."""
    DATA = auto()
    CHUNKS = auto()
    """BDAT has begun and LAST has not come."""
    SASL = auto()
    HANDSHAKE = auto()
    """220 was said to STARTTLS; octets are not ours before `tls_started`."""
    CLOSED = auto()


HELLO = {"EHLO": State.READY, "HELO": State.READY, "LHLO": State.READY}
# What may be said where, and where a positive reply leads. What is in no row may be said anywhere and leads nowhere.
TRANSITIONS: dict[State, dict[str, State]] = {
    State.START: {**HELLO, "XCLIENT": State.START},
    State.READY: {
        **HELLO,
        "MAIL": State.MAIL,
        "STARTTLS": State.HANDSHAKE,
        "AUTH": State.READY,
        "XCLIENT": State.START,
    },
    State.MAIL: {**HELLO, "RCPT": State.RCPT},
    State.RCPT: {**HELLO, "RCPT": State.RCPT, "DATA": State.DATA, "BDAT": State.CHUNKS},
    State.CHUNKS: {**HELLO, "BDAT": State.CHUNKS},
}
PLACED = frozenset(verb for row in TRANSITIONS.values() for verb in row)
BODY_STATES = (State.DATA, State.CHUNKS)
"""Where octets are a message, not commands."""


class Session:
    """State, counters, and octets both ways."""

    def __init__(self, dialect: Dialect, limits: SmtpLimits, *, hostname: str, offers: Offers) -> None:
        self.dialect = dialect
        self.limits = limits
        self.hostname = hostname
        self.offers = offers
        self.tls = offers.tls
        self.authenticated = False
        self.spoke_early = False
        """Octets came before the greeting."""
        self.ways = WAYS[dialect]
        self.state = State.SILENT
        self.incoming = Incoming()
        self.outgoing: list[bytes] = []
        self.question: Event | None = None
        self.leads_to = State.SILENT
        self.eof = False
        self.lines = self.received = 0
        self.errors = self.refusals = self.auth_failures = self.idle = self.messages = 0
        self.counted = False
        """A counter has grown since `enough` looked."""
        self.exchange: Exchange | None = None
        self.held: Reply | None = None
        self.complaint: tuple[Reply, int] | None = None
        """The reply to the last violation, and how often it was queued."""
        self.transaction = Transaction()

    def say(self, reply: Reply) -> None:
        """Queue a reply; one that closes closes."""
        self.outgoing.append(reply.octets or reply.render(smtputf8=self.transaction.smtputf8))
        if reply.close:
            self.close()

    def close(self) -> None:
        """The end: what is left unread will never be."""
        self.state = State.CLOSED
        self.question = None
        self.exchange = None
        self.incoming.clear()
        if self.transaction.mail is not None or self.transaction.chunk is not None:
            self.transaction = Transaction()

    def ask(self, event: Event, verb: str = "") -> Event:
        """An event that the driver must answer; `verb` says where a positive answer leads, by the table or to READY."""
        self.question = event
        self.leads_to = TRANSITIONS[self.state][verb] if verb else State.READY
        return event

    def violate(self, reply: Reply, what: str, *, counts: bool = True, times: int = 1) -> Violation:
        """The peer broke a rule: queue the reply, and count. LMTP wants it `times` over."""
        if counts:
            self.errors += 1
            self.counted = True
        for _ in range(times - 1):
            self.say(replace(reply, close=False))
        self.say(reply)
        self.complaint = (reply, times)
        return Violation(reply, what)

    def refer(self, ref: str) -> None:
        """Put a reference into the reply to the violation just reported, whose octets are not taken yet."""
        if self.complaint is None:
            raise RuntimeError("no violation was reported")
        reply, times = self.complaint
        self.complaint = None
        if ref:
            self.outgoing[-times:] = [reply.referring(ref).render()] * times

    def message_done(self) -> None:
        """A message was taken or refused: the transaction is over."""
        self.transaction = Transaction()
        self.messages += 1
        self.idle = 0

    def may_authenticate(self) -> bool:
        """AUTH may be used now."""
        offers = self.offers
        return self.ways.authenticates and bool(offers.auth) and (self.tls or offers.auth_without_tls)

    def idled(self) -> None:
        """A command that brings no mail nearer."""
        self.idle += 1
        self.counted = True

    def enough(self) -> Violation | None:
        """What the peer did too often, if anything."""
        self.counted = False
        limits = self.limits
        if self.errors > limits.errors:
            return self.violate(say.TOO_MANY_ERRORS, "too-many-errors")
        if self.refusals > limits.refusals:
            return self.violate(say.TOO_MANY_ERRORS, "too-many-refusals")
        if self.auth_failures >= limits.auth_failures:
            return self.violate(say.TOO_MANY_ERRORS, "too-many-auth-failures")
        if self.idle > limits.commands_without_mail:
            return self.violate(say.TOO_MANY_COMMANDS, "too-many-commands")
        return None

    def line(self, limit: int) -> str | Event:
        """The next line as text, or the event that comes instead."""
        line = self.incoming.line(limit)
        if isinstance(line, bytes):
            self.lines += 1
            try:
                return line.decode("utf-8")
            except UnicodeDecodeError:
                return self.violate(say.NOT_UTF8, "not-utf8")
        if line is None:
            return NEED_DATA
        reply = {Fault.TOO_LONG: say.LINE_TOO_LONG, Fault.NUL: say.NUL_IN_COMMAND}.get(
            line, say.BARE_LINE_END
        )
        return self.violate(reply, line.value)

    def misplaced(self, verb: str) -> Reply:
        """The refusal of a command that may not be said now (RFC 5321 §4.1.4)."""
        if self.state is State.START:
            return say.LHLO_FIRST if self.dialect is Dialect.LMTP else say.HELLO_FIRST
        if self.state is State.READY and verb in ("RCPT", "DATA", "BDAT"):
            return say.MAIL_FIRST
        if self.state is State.MAIL and verb in ("DATA", "BDAT"):
            return say.NO_VALID_RECIPIENTS if self.transaction.refused_recipient else say.RCPT_FIRST
        return say.BAD_SEQUENCE

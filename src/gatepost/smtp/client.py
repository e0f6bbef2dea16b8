"""The client side of SMTP and LMTP as one sans-IO machine (RFC 5321, RFC 2033): bytes in, events out.

    client = SmtpClient(hello="mx.example.net")
    client.receive(octets); client.next_event(); client.outgoing(); client.patience_s

It pipelines where that is offered (RFC 2920), uses SIZE, 8BITMIME, SMTPUTF8, DSN and REQUIRETLS only as
offered, and forgets everything learnt before TLS (RFC 3207 §4.2). The driver owns the socket and the alarm:
it calls `fail` when the alarm rings or the connection ends. It signs in (AUTH PLAIN or LOGIN, RFC 4954) only under TLS that
was verified. It leaves out TURN and BDAT.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from gatepost.mail.address import printable
from gatepost.smtp.framing import as_data
from gatepost.smtp.parameters import mail_parameters, rcpt_parameters, unfit_recipient
from gatepost.smtp.reply import Malformed, Reply, ReplyParser
from gatepost.smtp.sending import (
    TOO_MANY,
    Fault,
    Login,
    Outcome,
    Outgoing,
    Protocol,
    Result,
    TlsUse,
    one_line,
    outcome_of,
)

_BLOCK_OCTETS = 65536
_ALARM = {"starttls": "tls", "handshake": "tls", "helo": "hello", "auth": "hello"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the other side may take, in seconds (RFC 5321 §4.5.3.2)."""

    connect_s: float = 30.0
    """Opening the connection, each address of a host."""
    greeting_s: float = 300.0
    hello_s: float = 300.0
    tls_s: float = 60.0
    """STARTTLS and the handshake."""
    mail_s: float = 300.0
    rcpt_s: float = 300.0
    data_s: float = 120.0
    body_s: float = 180.0
    """For each block of the message to be taken."""
    final_s: float = 600.0
    """After the final dot; giving up sooner makes duplicates."""
    reset_s: float = 30.0
    quit_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Ready:
    """The session takes a message now."""


@dataclass(frozen=True, slots=True)
class TlsWanted:
    """Do the handshake, then call `tls_started()`."""


class Finished(NamedTuple):
    """A transaction is over: one outcome for each recipient, in their order."""

    outcomes: tuple[Outcome, ...]
    dsn_offered: bool
    """The DSN parameters went along, so the other side now owes the notifications (RFC 3461 §5.2.1)."""
    committed: bool
    """The whole message was written: a missing reply may hide a delivery (RFC 5321 §4.2.5)."""


class NeedReply:
    """Nothing to report until more octets come."""


NEED_REPLY = NeedReply()
ClientEvent = Ready | TlsWanted | Finished | Fault | NeedReply


@dataclass(slots=True)
class _Transaction:
    message: Outgoing
    outcomes: list[Outcome | None]
    asked: deque[int] = field(default_factory=deque)
    """Recipients that RCPT was said for and is not answered yet."""
    accepted: list[int] = field(default_factory=list)
    begun: bool = False
    """MAIL FROM was said."""
    refused_sender: Outcome | None = None
    next_rcpt: int = 0
    finals: int = 0
    """Replies after the final dot seen so far (LMTP has several)."""
    committed: bool = False


class SmtpClient:
    """One session; messages one after the other on it."""

    def __init__(
        self,
        *,
        hello: str,
        protocol: Protocol = Protocol.SMTP,
        tls: TlsUse = TlsUse.OPPORTUNISTIC,
        patience: Patience | None = None,
        eight_bit_anyway: bool = False,
        login: Login | None = None,
        tls_first: bool = False,
    ) -> None:
        self.keywords: dict[str, str] = {}
        """What the other side offers now, upper case, with arguments."""
        self.peer_name = ""
        """What it called itself in its answer to EHLO."""
        self.in_tls = False
        self.tls_verified = False
        self.steps = 0
        """Grows with every reply taken: the driver starts its alarm anew when it changes."""
        self._hello = hello
        self._lmtp = protocol is Protocol.LMTP
        self._tls = tls
        self._patience = patience or Patience()
        self._eight_bit_anyway = eight_bit_anyway
        self._login = login
        self._secrets: deque[str] = deque()
        """What the other side is going to ask for in AUTH, in its order."""
        self._replies = ReplyParser()
        self._awaited: deque[str] = deque(["handshake" if tls_first else "greeting"])
        self._events: deque[ClientEvent] = deque([TlsWanted()] if tls_first else [])
        self._greeted = False
        self._out: list[bytes] = []
        self._body = b""
        self._body_at = 0
        self._doing: _Transaction | None = None
        self.fault: Fault | None = None
        """Why the session ended, None while it goes on."""
        self._quitting = False

    def receive(self, octets: bytes) -> None:
        """Take octets from the other side; never raises."""
        if self.fault or self._quitting or not octets:
            return
        if self._awaited and self._awaited[0] == "handshake":
            where = "between STARTTLS and" if self._greeted else "before"
            self.fail(f"the other side sent text {where} the TLS handshake")
            return
        self._replies.feed(octets)
        while self.fault is None and (reply := self._replies.next_reply()) is not None:
            if isinstance(reply, Malformed):
                self.fail(f"the other side sent what is no reply ({reply.what}): {printable(reply.line, 80)}")
            else:
                self._take(reply)

    def next_event(self) -> ClientEvent:
        """What happened; `NEED_REPLY` when nothing more did."""
        return self._events.popleft() if self._events else NEED_REPLY

    def outgoing(self) -> bytes:
        """Octets to be written now; long messages come in blocks: call again until it returns nothing."""
        if self._out:
            octets = b"".join(self._out)
            self._out.clear()
            return octets
        if self._body_at < len(self._body):
            block = self._body[self._body_at : self._body_at + _BLOCK_OCTETS]
            self._body_at += len(block)
            if self._body_at >= len(self._body):
                self._body, self._body_at = b"", 0
                if self._doing:
                    self._doing.committed = True
            return block
        return b""

    @property
    def patience_s(self) -> float | None:
        """How long the awaited reply (or the taking of a block) may last from the last step; None when idle."""
        if self._body:
            return self._patience.body_s
        if not self._awaited:
            return None
        verb = _ALARM.get(self._awaited[0], self._awaited[0])
        return float(getattr(self._patience, f"{verb}_s"))

    @property
    def idle(self) -> bool:
        """Greeted, and nothing under way: `send` may be called."""
        return not (self._awaited or self._doing or self.ended)

    @property
    def ended(self) -> bool:
        """No message can be sent on this session any more."""
        return self.fault is not None or self._quitting

    def send(self, message: Outgoing) -> None:
        """Begin a transaction; only after `Ready`. Ends with `Finished`."""
        assert self.idle
        self._events.clear()  # nobody needs to hear of `Ready` any more
        self._doing = doing = _Transaction(message, [None] * len(message.recipients))
        parameters = mail_parameters(
            message,
            self.keywords,
            verified_tls=self.in_tls and self.tls_verified,
            eight_bit_anyway=self._eight_bit_anyway,
        )
        unfit = parameters if isinstance(parameters, Outcome) else None
        for index, recipient in enumerate(message.recipients):
            doing.outcomes[index] = unfit or unfit_recipient(recipient, self.keywords)
        if not isinstance(parameters, str) or all(doing.outcomes):
            self._finish()
            return
        doing.begun = True
        self._say(f"MAIL FROM:<{message.sender}>{parameters}", "mail")
        if "PIPELINING" in self.keywords:
            while self._say_next_rcpt():
                pass
            if message.octets is not None:
                self._say("DATA", "data")

    def tls_started(self, *, verified: bool) -> None:
        """The handshake is done: everything learnt before is forgotten (RFC 3207 §4.2)."""
        self.in_tls, self.tls_verified = True, verified
        self.keywords = {}
        self._awaited.clear()
        if self._greeted:
            self._say_hello()
        else:  # it began with the connection (RFC 8314 §3.3)
            self._awaited.append("greeting")

    def fail(self, words: str) -> None:
        """The session ends here: the alarm rang, the connection ended, or the other side broke a rule."""
        self._break(Fault(words=words, stage=self.stage))

    def quit(self) -> None:
        """Take leave; the reply is not waited for."""
        if not self.ended:
            self._out.append(b"QUIT\r\n")
            self._quitting = True

    @property
    def stage(self) -> str:
        """What is awaited, for words."""
        if self._body:
            return "body"
        return self._awaited[0] if self._awaited else "idle"

    # Replies, each in the order of its command.

    def _take(self, reply: Reply) -> None:
        self.steps += 1
        if not self._awaited:
            self._break(Fault(words=f"unasked reply: {one_line(reply)}", stage="idle", reply=reply))
            return
        verb = self._awaited.popleft()
        if reply.code == 421:  # RFC 5321 §3.8: the other side closes now
            self._awaited.appendleft(verb)
            self._break(Fault(words=one_line(reply), stage=verb, reply=reply))
            return
        getattr(self, f"_on_{verb}")(reply)

    def _on_greeting(self, reply: Reply) -> None:
        if reply.code != 220:
            self._awaited.appendleft("greeting")
            # RFC 7504 §3: 521 is for good; other refusals (554) are often about the client's address today.
            self._break(
                Fault(words=one_line(reply), stage="greeting", reply=reply, permanent=reply.code == 521)
            )
            return
        self._greeted = True
        self._say_hello()

    def _say_hello(self) -> None:
        self._say(f"{'LHLO' if self._lmtp else 'EHLO'} {self._hello}", "hello")

    def _on_hello(self, reply: Reply) -> None:
        if reply.code != 250:
            if reply.code // 100 == 5 and not self._lmtp:  # RFC 5321 §4.1.4
                self._say(f"HELO {self._hello}", "helo")
                return
            self._awaited.appendleft("hello")
            self._break(Fault(words=one_line(reply), stage="hello", reply=reply))
            return
        self.peer_name, *offers = reply.text.split("\n")
        self.peer_name = self.peer_name.strip().partition(" ")[0]
        for line in offers:
            keyword, _, argument = line.strip().partition(" ")
            self.keywords[keyword.upper()] = argument
        self._after_hello()

    def _on_helo(self, reply: Reply) -> None:
        if reply.code != 250:
            self._awaited.appendleft("hello")
            self._break(Fault(words=one_line(reply), stage="hello", reply=reply))
            return
        self._after_hello()

    def _after_hello(self) -> None:
        if self.in_tls or self._tls is TlsUse.NONE:
            self._sign_in()
        elif "STARTTLS" in self.keywords:
            self._say("STARTTLS", "starttls")
        elif self._tls is TlsUse.REQUIRED:
            self._break(
                Fault(words="TLS is required and the other side does not offer STARTTLS", stage="tls")
            )
        else:
            self._sign_in()

    def _on_starttls(self, reply: Reply) -> None:
        if reply.code == 220:
            self._awaited.append("handshake")
            if self._replies.pending:
                self.fail("the other side sent text between STARTTLS and the TLS handshake")
            else:
                self._events.append(TlsWanted())
        elif self._tls is TlsUse.REQUIRED:
            self._break(
                Fault(words=f"TLS is required; to STARTTLS came {one_line(reply)}", stage="tls", reply=reply)
            )
        else:
            self._sign_in()

    def _sign_in(self) -> None:
        """AUTH where we are to; a password is said to nobody whose certificate was not verified."""
        if self._login is None:
            self._events.append(Ready())
            return
        offered = self.keywords.get("AUTH", "").upper().split()
        user, password = self._login.user, self._login.password
        if not (self.in_tls and self.tls_verified):
            self._break(Fault(words="signing in needs TLS with a verified certificate", stage="auth"))
        elif "PLAIN" in offered:
            self._say(f"AUTH PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}", "auth")
        elif "LOGIN" in offered:
            self._secrets.extend((_base64(user), _base64(password)))
            self._say("AUTH LOGIN", "auth")
        else:
            self._break(Fault(words="the other side offers neither AUTH PLAIN nor AUTH LOGIN", stage="auth"))

    def _on_auth(self, reply: Reply) -> None:
        if reply.code == 334 and self._secrets:
            self._say(self._secrets.popleft(), "auth")
        elif reply.code == 235:
            self._events.append(Ready())
        else:
            words = f"signing in as {self._login.user if self._login else ''} was refused: {one_line(reply)}"
            self._break(Fault(words=words, stage="auth", reply=reply))

    def _on_mail(self, reply: Reply) -> None:
        doing = self._transaction()
        if reply.code // 100 != 2:
            doing.refused_sender = outcome_of(reply, "mail")
            if "PIPELINING" not in self.keywords:
                self._finish()
        elif "PIPELINING" not in self.keywords:
            self._say_next_rcpt()

    def _say_next_rcpt(self) -> bool:
        """Ask for the next recipient that has no outcome yet; False when there is none."""
        doing = self._transaction()
        while doing.next_rcpt < len(doing.outcomes):
            index = doing.next_rcpt
            doing.next_rcpt += 1
            if doing.outcomes[index] is None:
                doing.asked.append(index)
                recipient = doing.message.recipients[index]
                self._say(f"RCPT TO:<{recipient.address}>{rcpt_parameters(recipient, self.keywords)}", "rcpt")
                return True
        return False

    def _on_rcpt(self, reply: Reply) -> None:
        doing = self._transaction()
        index = doing.asked.popleft()
        if doing.refused_sender:
            doing.outcomes[index] = doing.refused_sender
        elif reply.code // 100 == 2:
            doing.accepted.append(index)
        elif doing.accepted and _too_many(reply):
            doing.outcomes[index] = Outcome(
                result=Result.DEFERRED, status=TOO_MANY, words=one_line(reply), reply=reply
            )
        else:
            doing.outcomes[index] = outcome_of(reply, "rcpt")
        if "PIPELINING" in self.keywords:
            if not self._awaited:
                self._finish()
        elif not self._say_next_rcpt():
            if doing.accepted and doing.message.octets is not None:
                self._say("DATA", "data")
            else:
                self._finish()

    def _on_data(self, reply: Reply) -> None:
        doing = self._transaction()
        octets = doing.message.octets or b""
        if reply.code == 354 and doing.accepted:
            self._body = as_data(octets)
            self._awaited.extend(["final"] * (len(doing.accepted) if self._lmtp else 1))
        elif (
            reply.code == 354 and self._lmtp
        ):  # RFC 2033 §4.2: it must have refused; nobody knows how to go on
            self._awaited.append("data")
            self._break(Fault(words=f"took DATA without a recipient: {one_line(reply)}", stage="data"))
        elif reply.code == 354:
            # RFC 2920 §3.1: DATA went through with no recipient; nothing may follow but the dot.
            self._out.append(b".\r\n")
            self._awaited.append("final")
        else:
            outcome = outcome_of(reply, "data") if reply.code >= 400 else _strange(reply, "DATA")
            self._settle_accepted(outcome)
            self._finish()

    def _on_final(self, reply: Reply) -> None:
        doing = self._transaction()
        if self._body and reply.positive:
            self._awaited.appendleft("final")
            self._break(Fault(words=f"answered {one_line(reply)} before the message was sent", stage="body"))
            return
        if self._lmtp and doing.accepted:  # RFC 2033 §4.2: one reply for each recipient, in their order
            doing.outcomes[doing.accepted[doing.finals]] = outcome_of(reply, "final")
            doing.finals += 1
        else:
            self._settle_accepted(
                outcome_of(reply, "final") if reply.code // 100 != 3 else _strange(reply, "the message")
            )
        if self._body:  # refused half way: the rest would be read as commands
            self._break(Fault(words=one_line(reply), stage="body", reply=reply))
        elif not self._awaited:
            self._finish()

    def _on_reset(self, reply: Reply) -> None:
        if reply.code == 250:
            self._events.append(Ready())
        else:
            self._break(Fault(words=f"to RSET came {one_line(reply)}", stage="reset", reply=reply))

    # The end of a transaction and of a session.

    def _settle_accepted(self, outcome: Outcome) -> None:
        doing = self._transaction()
        for index in doing.accepted:
            if doing.outcomes[index] is None:
                doing.outcomes[index] = outcome

    def _finish(self) -> None:
        """Report; then be ready again, after RSET when a transaction is open over there."""
        doing = self._transaction()
        asked = doing.message.octets is None
        if asked:
            self._settle_accepted(
                Outcome(result=Result.DELIVERED, status="2.1.5", words="The recipient is accepted.")
            )
        elif doing.refused_sender:
            doing.outcomes = [outcome or doing.refused_sender for outcome in doing.outcomes]
        self._report(
            doing, Outcome(result=Result.DEFERRED, status="4.5.0", words="No reply for this recipient.")
        )
        if doing.begun and not doing.committed:
            self._say("RSET", "reset")
        else:
            self._events.append(Ready())

    def _break(self, fault: Fault) -> None:
        if self.fault is not None:
            return
        self.fault = fault
        if self._doing:
            committed = " after the whole message was sent" if self._doing.committed else ""
            outcome = Outcome(
                result=Result.DEFERRED,
                status=outcome_of(fault.reply).status
                if fault.reply and fault.reply.code // 100 == 4
                else "4.4.2",
                words=fault.words + committed,
                reply=fault.reply,
            )
            self._report(self._doing, self._doing.refused_sender or outcome)
        self._events.append(fault)
        self._out.clear()
        self._body = b""

    def _report(self, doing: _Transaction, otherwise: Outcome) -> None:
        outcomes = tuple(outcome or otherwise for outcome in doing.outcomes)
        self._events.append(
            Finished(outcomes=outcomes, dsn_offered="DSN" in self.keywords, committed=doing.committed)
        )
        self._doing = None

    # What is said, as far as the other side offered it.

    def _say(self, command: str, verb: str) -> None:
        self._out.append(command.encode("utf-8", "surrogateescape") + b"\r\n")
        self._awaited.append(verb)

    def _transaction(self) -> _Transaction:
        assert self._doing is not None
        return self._doing


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")


def _too_many(reply: Reply) -> bool:
    """To RCPT, 452 and the older 552 say "too many recipients" (RFC 5321 §4.5.3.1.10), where they do not say something else."""
    return reply.code in (452, 552) and (reply.enhanced or "x.5.3")[1:] in (".5.3", ".0.0")


def _strange(reply: Reply, what: str) -> Outcome:
    words = f"an answer that makes no sense to {what}: {one_line(reply)}"
    return Outcome(result=Result.DEFERRED, status="4.5.0", words=words, reply=reply)

"""The server side of SMTP, submission and LMTP as a state machine: octets in, events out, no sockets, no clock.

RFC 5321, 2033, 2920, 3030, 3207, 4954, 6409. The driver feeds `receive`, takes `next_event`, answers events that
ask with `reply`, and sends `outgoing`. One question at a time: pipelined input waits in order, and the session
only moves on by a positive reply (the table is `session.TRANSITIONS`). Leaves out every decision on mail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from gatepost.mail.client import Envelope
from gatepost.smtp import reply as say
from gatepost.smtp.authenticating import read_sasl
from gatepost.smtp.commands import read_command
from gatepost.smtp.dialect import Dialect, Offers, keywords
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
from gatepost.smtp.framing import DataReader
from gatepost.smtp.limits import SmtpLimits
from gatepost.smtp.receiving import read_chunk, read_data
from gatepost.smtp.reply import Reply
from gatepost.smtp.sasl import TOKEN_REFUSED, ScramKeys, Token, encoded
from gatepost.smtp.session import BODY_STATES, Session, State
from gatepost.smtp.transaction import Transaction

_CLOSED, _SILENT = State.CLOSED, State.SILENT
"""Asked for at every turn, and an enum takes thrice as long as a name."""


class SmtpServer:
    """One session. `receive`, `next_event` and `outgoing` never raise, whatever the octets."""

    __slots__ = ("_session",)

    def __init__(self, dialect: Dialect, limits: SmtpLimits, *, hostname: str, offers: Offers) -> None:
        self._session = Session(dialect, limits, hostname=hostname, offers=offers)

    @property
    def dialect(self) -> Dialect:
        """As constructed."""
        return self._session.dialect

    @property
    def tls(self) -> bool:
        """TLS is active."""
        return self._session.tls

    @property
    def authenticated(self) -> bool:
        """An AuthRequest was answered with 235."""
        return self._session.authenticated

    @property
    def spoke_early(self) -> bool:
        """Octets came before the greeting."""
        return self._session.spoke_early

    @property
    def awaiting(self) -> bool:
        """An event that asks has not been answered."""
        return self._session.question is not None

    @property
    def closed(self) -> bool:
        """Flush `outgoing` and close."""
        return self._session.state is _CLOSED

    @property
    def wants_input(self) -> bool:
        """Reading from the socket makes sense: we are not closed, nor is the peer too far ahead of our answers."""
        session = self._session
        if session.question is None and session.state in BODY_STATES:
            return True
        return session.state is not _CLOSED and len(session.incoming) < session.limits.input_octets

    @property
    def patience_s(self) -> float:
        """Seconds to wait for the peer until `progress` changes (RFC 5321 §4.5.3.2); then `end(timed_out(...))`."""
        state, limits = self._session.state, self._session.limits
        if state in BODY_STATES:
            return limits.data_s
        if state is State.SASL:
            return limits.auth_s
        return limits.handshake_s if state is State.HANDSHAKE else limits.command_s

    @property
    def progress(self) -> int:
        """Changes with each whole line and each block of a body, not with each octet: start waiting anew when it does."""
        session = self._session
        return session.lines + session.received // session.limits.data_block_octets

    @property
    def envelope(self) -> Envelope | None:
        """The transaction in progress: what was accepted so far; None outside of one."""
        return self._session.transaction.envelope

    # What the driver does.

    def greet(self, greeting: Reply) -> None:
        """Queue the greeting, 220 or 554 (RFC 5321 §3.1); nothing is read as a command before."""
        session = self._session
        if session.state is not _SILENT:
            raise RuntimeError("greeted twice")
        session.state = State.START if greeting.positive else State.TURNED_AWAY
        session.say(greeting)

    def receive(self, octets: bytes | bytearray | memoryview) -> None:
        """Octets from the peer."""
        session = self._session
        if session.state is _CLOSED or not octets:
            return
        if session.state is _SILENT:
            session.spoke_early = True
        session.received += len(octets)
        session.incoming.octets += octets

    def eof(self) -> None:
        """The peer will send no more; what is whole is still read."""
        self._session.eof = True

    def end(self, farewell: Reply | None) -> None:
        """We end the session: a timeout, a stop. An unanswered event is forgotten."""
        session = self._session
        if session.state is not _CLOSED:
            if farewell is not None:
                session.say(farewell)
            session.close()

    def tls_started(self) -> None:
        """The handshake is done. All that was learnt before is forgotten (RFC 3207 §4.2)."""
        session = self._session
        if session.state is not State.HANDSHAKE:
            raise RuntimeError("no STARTTLS was answered with 220")
        session.incoming.clear()
        session.tls = True
        self.start_over()

    def start_over(self, offers: Offers | None = None) -> None:
        """As if just greeted: after XCLIENT, where the client that a front names may be offered other things."""
        session = self._session
        if offers is not None:
            session.offers = offers
        session.authenticated = False
        session.transaction = Transaction()
        if session.state is not _CLOSED:
            session.state = State.START

    def withdraw(self, mechanism: str) -> None:
        """Do not offer this SASL mechanism on this connection: what it needs is not there."""
        session = self._session
        if mechanism in session.offers.auth:
            left = tuple(one for one in session.offers.auth if one != mechanism)
            session.offers = replace(session.offers, auth=left)

    def outgoing(self) -> bytes:
        """Octets to send; each is given once."""
        replies = self._session.outgoing
        octets = replies[0] if len(replies) == 1 else b"".join(replies)
        replies.clear()
        return octets

    def next_event(self) -> Event:
        """What the peer did next; the same again as long as it is a question without answer, or needs more octets."""
        session = self._session
        if session.question is not None:
            return AWAITING_REPLY
        if not (session.incoming.octets or session.counted or session.eof or session.transaction.chunk):
            return CLOSED if session.state is _CLOSED else NEED_DATA
        while session.state is not _CLOSED:
            chunk = session.transaction.chunk
            read = _READERS.get(session.state, read_command)
            event = read(session) if chunk is None else read_chunk(session, chunk)
            if event is NEED_DATA and session.eof:
                session.close()
            elif event is not None:
                return event
        return CLOSED

    def reply(self, reply: Reply) -> None:
        """Answer the event that asks. For LMTP's BodyEnd the same reply goes out for every recipient."""
        session = self._session
        question = session.question
        if question is None or isinstance(question, KeysWanted):
            raise RuntimeError("there is no question that a reply answers")
        if session.ways.replies_per_recipient and isinstance(question, BodyEnd):
            self.reply_each([reply] * len(session.transaction.recipients))
            return
        session.question = None
        if reply.code >= 400:
            self._refused(question, reply)
            return
        session.state = session.leads_to
        match question:
            case Hello():
                if session.transaction.mail is not None:
                    session.transaction = Transaction()
                if question.extended:
                    self._say_keywords(reply)
                    return
                reply = Reply(250, "", reply.text)
            case MailFrom():
                session.transaction.mail = question
                session.transaction.smtputf8 = question.smtputf8
            case RcptTo():
                session.transaction.recipients.append(question.recipient)
            case BodyStart():
                session.transaction.reader = DataReader(session.limits.message_octets)
            case BodyEnd():
                session.message_done()
            case AuthRequest():
                session.authenticated = True
            case XClient():
                self.start_over()
            case StartTls() if session.incoming:
                reply = say.TLS_INJECTION
                session.complaint = (reply, 1)
        session.say(reply)

    def refer(self, ref: str) -> None:
        """Put a reference into the reply to the Violation that `next_event` just gave, or to the plain text behind STARTTLS
        that made of our reply a refusal; before `outgoing` is called."""
        self._session.refer(ref)

    def reply_each(self, replies: Sequence[Reply]) -> None:
        """Answer LMTP's BodyEnd: one reply for each accepted recipient, in their order (RFC 2033 §4.2)."""
        session = self._session
        if not isinstance(session.question, BodyEnd) or not session.ways.replies_per_recipient:
            raise RuntimeError("only LMTP answers once per recipient, and at the end of data")
        if len(replies) != len(session.transaction.recipients):
            raise ValueError(f"{len(replies)} replies for {len(session.transaction.recipients)} recipients")
        session.question = None
        session.state = State.READY
        session.message_done()
        for reply in replies:
            session.say(reply)

    def keys(self, keys: ScramKeys) -> None:
        """Answer KeysWanted."""
        session = self._session
        if not isinstance(session.question, KeysWanted) or session.exchange is None:
            raise RuntimeError("no keys were asked for")
        session.question = None
        challenge = session.exchange.keys(keys)
        if isinstance(challenge, bytes):
            session.say(Reply(334, "", encoded(challenge)))

    def _refused(self, question: Event, reply: Reply) -> None:
        """A negative answer: the state stays, but for what has come to its end anyway."""
        session = self._session
        session.refusals += 1
        session.counted = True
        match question:
            case RcptTo():
                session.transaction.refused_recipient = True
            case BodyEnd():
                session.state = State.READY
                session.message_done()
            case AuthRequest():
                session.auth_failures += 1
                session.state = State.READY
                if isinstance(question.credentials, Token) and not reply.close:
                    session.state, session.held = State.SASL, reply
                    reply = Reply(334, "", encoded(TOKEN_REFUSED))
            case BodyStart() if session.incoming:
                # A client that did not wait for 354 would have its message read as commands.
                session.say(reply)
                session.close()
                return
        session.say(reply)

    def _say_keywords(self, reply: Reply) -> None:
        """The answer to EHLO: our greeting, then what is on offer (RFC 5321 §4.1.1.1)."""
        session = self._session
        may_authenticate, most = session.may_authenticate(), session.limits.message_octets
        told = keywords(session.offers, tls=session.tls, auth=may_authenticate, max_octets=most)
        session.outgoing.append(_hello_line(reply.text) + told)


@lru_cache(maxsize=8)
def _hello_line(text: str) -> bytes:
    """The first line of the answer to EHLO, our name in it."""
    return b"250-" + Reply(250, "", text.partition("\n")[0][:255]).render()[4:]


def _read_nothing(_: Session) -> Event:
    """Nobody was greeted yet."""
    return NEED_DATA


def _read_before_handshake(session: Session) -> Event:
    return session.violate(say.TLS_INJECTION, "starttls-injection") if session.incoming else NEED_DATA


_READERS: dict[State, Callable[[Session], Event | None]] = {
    State.DATA: read_data,
    State.SASL: read_sasl,
    State.SILENT: _read_nothing,
    State.HANDSHAKE: _read_before_handshake,
}
"""What octets are, where they are no commands. Each gives None when it gave no event and there may be more to read."""

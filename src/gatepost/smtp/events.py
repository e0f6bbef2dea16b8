"""What the peer did: the events of `SmtpServer.next_event()`.

An event marked *asks* wants exactly one `machine.reply(...)` before the next event comes (RCPT order is
kept under pipelining). For the LMTP dialect BodyEnd wants `machine.reply_each([...])`, one reply for each
accepted recipient (RFC 2033 §4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gatepost.mail.address import Address
from gatepost.mail.client import Recipient
from gatepost.smtp.reply import Reply
from gatepost.smtp.sasl import Credentials


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO, HELO or LHLO; asks. A positive reply's text is the greeting line; the machine adds the keywords.

    A positive reply also forgets any transaction in progress (RFC 5321 §4.1.4).
    """

    name: str
    extended: bool


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS; asks. After a 220 is sent the driver does the handshake, then calls `machine.tls_started()`."""


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """A finished SASL exchange to be verified; asks (235 or 535). Secrets never show in `repr`."""

    mechanism: str
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """A SCRAM exchange needs this user's stored keys; asks, and is answered by `machine.keys(ScramKeys(...))`.

    For a user who does not exist answer with keys that look alike, so that nobody learns who does.
    """

    mechanism: str
    user: str


class MailFrom(NamedTuple):
    """MAIL FROM; asks."""

    sender: Address | None
    body: str = "7BIT"
    smtputf8: bool = False
    size: int | None = None
    ret: str | None = None
    envid: str | None = None
    require_tls: bool = False


@dataclass(frozen=True, slots=True)
class RcptTo:
    """RCPT TO; asks."""

    recipient: Recipient


@dataclass(frozen=True, slots=True)
class BodyStart:
    """DATA was given and may go ahead; asks (354 by `Reply(354, "", ...)`), or BDAT began (does not ask: see `chunked`)."""

    chunked: bool = False


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """The message is complete; asks. `octets` have CRLF line ends, dots unstuffed, the final dot removed."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Reset:
    """RSET: the transaction is forgotten. The machine has answered; does not ask."""


@dataclass(frozen=True, slots=True)
class XClient:
    """XCLIENT from a front that may; attributes decoded; asks (220 starts the session over)."""

    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT; the machine has answered 221 and is closed; does not ask."""


@dataclass(frozen=True, slots=True)
class Violation:
    """The peer broke a rule; the machine has queued the reply (and closed itself when `reply.close`); does not ask.

    One that comes after BodyStart and instead of BodyEnd has ended the transaction.
    """

    reply: Reply
    what: str
    """A stable short name: ``bare-lf``, ``http``, ``bad-sequence``, ``line-too-long``, ``too-many-errors`` …"""


class NeedData:
    """Nothing to report until more octets come."""


class AwaitingReply:
    """An event that asks has not been answered yet."""


class Closed:
    """The machine has ended; flush `outgoing()` and close."""


NEED_DATA = NeedData()
AWAITING_REPLY = AwaitingReply()
CLOSED = Closed()

Event = (
    Hello
    | StartTls
    | AuthRequest
    | KeysWanted
    | MailFrom
    | RcptTo
    | BodyStart
    | BodyEnd
    | Reset
    | XClient
    | Quit
    | Violation
    | NeedData
    | AwaitingReply
    | Closed
)

"""What is handed to another server and what became of it: values between `smtp.client`, `net.outbound` and delivery."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gatepost.smtp.reply import Reply


class Protocol(StrEnum):
    """What the other side speaks."""

    SMTP = "smtp"
    LMTP = "lmtp"


class TlsUse(StrEnum):
    """How much TLS a next hop must give."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    """Encrypt when offered, whoever it is (RFC 7435)."""
    REQUIRED = "required"
    """Name and chain must verify, or nothing is sent."""


@dataclass(frozen=True, slots=True)
class Login:
    """How we sign in at a next hop; only under TLS."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignIn:
    """As whom we sign in at a next hop, and the file with the password: read for each session, so that it may change."""

    user: str
    password_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A server to hand mail to: host and port, or the path of a Unix socket."""

    protocol: Protocol = Protocol.SMTP
    host: str = ""
    port: int = 25
    path: str = ""
    tls: TlsUse = TlsUse.OPPORTUNISTIC
    sign_in: SignIn | None = None
    tls_first: bool = False
    """TLS begins with the connection (RFC 8314 §3.3), not by STARTTLS."""

    def __hash__(self) -> int:
        """Asked for several times a message: that two differ in the rest alone is rare."""
        return hash((self.host, self.port, self.path))

    def __str__(self) -> str:
        return self.path or (f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRecipient:
    """One RCPT TO with its DSN parameters (RFC 3461 §4.1, §4.2), sent on only where DSN is offered."""

    address: str
    """As in an envelope path, without angle brackets."""
    notify: frozenset[str] = frozenset()
    orcpt: str | None = None
    """``type;address``, xtext decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message on its way, or, without octets, the question whether its recipients would be taken."""

    sender: str
    """Empty is the null reverse-path."""
    recipients: tuple[OutgoingRecipient, ...]
    octets: bytes | None = None
    """With CRLF line ends, not dot-stuffed; None asks only (RFC 5321 §3.3: no mail is sent)."""
    body: str = "7BIT"
    """7BIT, 8BITMIME or BINARYMIME."""
    smtputf8: bool = False
    """It came as an internationalised message (RFC 6531 §3.4)."""
    ret: str | None = None
    envid: str | None = None
    require_tls: bool = False
    """REQUIRETLS (RFC 8689)."""
    tls_waived: bool = False
    """Its header says ``TLS-Required: no`` (RFC 8689 §5), and it does not come with REQUIRETLS."""


class Result(StrEnum):
    """What became of one recipient; the words `explain` uses."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One recipient's fate at one try."""

    result: Result
    status: str
    """The enhanced status code (RFC 3463)."""
    words: str
    """The other side's reply in one line, or one sentence of ours."""
    reply: Reply | None = None
    """The other side's reply, None when the words are ours."""
    stage: str = ""
    """What was answered so: mail, rcpt, data, final; empty when the other side was not asked."""


TOO_MANY = "4.5.3"
"""The status of recipients that are left over from a transaction in which others were taken: they go in the next one at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The session is of no more use."""

    words: str
    """One sentence: what, and while waiting for what."""
    stage: str
    """connect, greeting, hello, tls, auth, mail, rcpt, data, body, final, reset, idle."""
    reply: Reply | None = None
    permanent: bool = False
    """The host said that it will never take mail (RFC 7504)."""


_FATES = {2: (Result.DELIVERED, "2."), 5: (Result.FAILED, "5.")}
_AGAIN = Result.DEFERRED, "4."


def outcome_of(reply: Reply, stage: str = "") -> Outcome:
    """A recipient's fate by a reply: 2xx taken, 5xx refused for good, everything else is tried again (RFC 5321 §4.2.1)."""
    result, kind = _FATES.get(reply.code // 100, _AGAIN)
    status = reply.enhanced if reply.enhanced.startswith(kind) else f"{kind}0.0"
    return Outcome(result=result, status=status, words=one_line(reply), reply=reply, stage=stage)


def one_line(reply: Reply) -> str:
    """A reply as one line for people."""
    words = reply.text.replace("\n", " ")
    return " ".join([part for part in (str(reply.code), reply.enhanced, words) if part])


def failed(status: str, words: str) -> Outcome:
    """Never, and these are our words."""
    return Outcome(result=Result.FAILED, status=status, words=words)


def deferred(status: str, words: str) -> Outcome:
    """Not now, and these are our words."""
    return Outcome(result=Result.DEFERRED, status=status, words=words)

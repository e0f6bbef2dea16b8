"""Who is connected and what they ask for: Client, Attempt, Envelope, Mail.

An Attempt has no body by type: it is all that is known at RCPT TO. A Mail is all that is known at
the end of DATA, and the one argument of a content check.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from gatepost.mail.address import Address
from gatepost.mail.authresults import AuthResults
from gatepost.mail.message import Message

IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts:
    """What the TLS handshake with the peer agreed on."""

    version: str
    """As OpenSSL names it: ``TLSv1.2``, ``TLSv1.3``."""
    cipher: str
    server_name: str | None = None
    """The name the client asked for (SNI)."""
    peer_subject: str | None = None
    """The subject of a client certificate that verified (RFC 4514), else None."""
    peer_fingerprint: str | None = None
    """Its SHA-256 in hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Somebody proved who they are with AUTH."""

    user: str
    """The account's login address."""
    sends_as: tuple[str, ...] = ()
    """See `Client.sends_as`."""
    device: str = ""
    """See `Client.device`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who is connected, as far as the connection itself tells."""

    ip: IpAddress | None
    """The address mail comes from, behind a trusted front the one it named; None when `scan` was told nothing."""
    port: int = 0
    hello: str = ""
    """The argument of EHLO, HELO or LHLO, exactly as sent; empty before."""
    extended: bool = True
    """EHLO or LHLO rather than HELO."""
    tls: TlsFacts | None = None
    user: str | None = None
    """The account that signed in, None for MX traffic."""
    sends_as: tuple[str, ...] = ()
    """Addresses that who signed in may write as, lower case; ``@example.net`` is a whole domain."""
    device: str = ""
    """What signed in for the account: the name of its app password, certificate or token."""
    role: str = "mx"
    """The listener's role: mx, submission, submissions or lmtp."""
    excused: bool = False
    """A machine of the own network that may send out without signing in (`relay_for` of a submission listener)."""

    def saying(self, hello: str, *, extended: bool) -> Client:
        """The same, introduced by EHLO or the like; written out, since every connection comes by here (`replace` takes thrice the time)."""
        return Client(
            ip=self.ip,
            port=self.port,
            hello=hello,
            extended=extended,
            tls=self.tls,
            user=self.user,
            sends_as=self.sends_as,
            device=self.device,
            role=self.role,
            excused=self.excused,
        )

    @property
    def account(self) -> str:
        """Who of ours hands mail in, as limits and habits count it: a login, or a machine's address; empty for strangers."""
        if self.user is not None:
            return self.user
        return str(self.ip) if self.excused and self.ip is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One RCPT TO with its DSN parameters (RFC 3461 §4.1, §4.2)."""

    address: Address
    notify: frozenset[str] = frozenset()
    """Of NEVER, SUCCESS, FAILURE, DELAY; empty when the sender said nothing."""
    orcpt: str | None = None
    """The original recipient as ``type;address``, xtext decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A mail transaction: sender, recipients and their ESMTP parameters."""

    sender: Address | None
    """None is the null reverse-path ``<>``."""
    recipients: tuple[Recipient, ...] = ()
    body: str = "7BIT"
    """7BIT, 8BITMIME or BINARYMIME (RFC 6152, RFC 3030)."""
    smtputf8: bool = False
    size: int | None = None
    """Octets declared with SIZE (RFC 1870), None when not declared."""
    ret: str | None = None
    """FULL or HDRS (RFC 3461 §4.3)."""
    envid: str | None = None
    """RFC 3461 §4.4, xtext decoded."""
    require_tls: bool = False
    """REQUIRETLS (RFC 8689): only over TLS to hosts that prove who they are, all the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One recipient asked for; known at RCPT TO."""

    client: Client
    sender: Address | None
    recipient: Recipient
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A whole message with everything proved about it."""

    client: Client
    envelope: Envelope
    message: Message
    auth: AuthResults

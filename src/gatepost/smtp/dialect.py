"""One protocol, four dialects: what differs between MX, submission and LMTP, and what is offered to one client.

RFC 5321 (mail exchange), RFC 6409 (submission), RFC 8314 (submission over TLS from the start), RFC 2033 (LMTP).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Dialect(StrEnum):
    """The role of a listener."""

    MX = "mx"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"
    LMTP = "lmtp"


@dataclass(frozen=True, slots=True)
class Ways:
    """What one dialect does in its own way."""

    hello: frozenset[str]
    """The verbs that open a session; the others of their kind are unknown."""
    authenticates: bool
    """AUTH is offered (where mechanisms are), and asked for before MAIL."""
    replies_per_recipient: bool
    """The end of data is answered once for each accepted recipient (RFC 2033 §4.2)."""


_EXTENDED_OR_NOT = frozenset({"EHLO", "HELO"})
WAYS = {
    Dialect.MX: Ways(_EXTENDED_OR_NOT, authenticates=False, replies_per_recipient=False),
    Dialect.SUBMISSION: Ways(_EXTENDED_OR_NOT, authenticates=True, replies_per_recipient=False),
    Dialect.SUBMISSIONS: Ways(_EXTENDED_OR_NOT, authenticates=True, replies_per_recipient=False),
    Dialect.LMTP: Ways(frozenset({"LHLO"}), authenticates=False, replies_per_recipient=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What this listener offers to this client."""

    tls: bool = False
    """TLS is active from the start (submissions, or a front that ended it)."""
    starttls: bool = False
    """A certificate is there, so STARTTLS may be used."""
    auth: tuple[str, ...] = ()
    """SASL mechanisms, of `sasl.MECHANISMS`; announced under TLS only."""
    auth_without_tls: bool = False
    """Announce them in the clear too: for a wire that is safe already."""
    auth_excused: bool = False
    """This client may send without AUTH (a machine on the operator's own network)."""
    xclient: bool = False
    """This client is a front that may say for whom it speaks."""
    binarymime: bool = False
    """BODY=BINARYMIME is taken (RFC 3030 §3): only where every next hop takes it too."""
    requiretls: bool = False
    """REQUIRETLS is taken (RFC 8689), under TLS."""
    allow_bare_lf: bool = False
    """An operator's exemption: bare LF in this client's message bodies becomes CR LF. It still ends nothing."""


XCLIENT_ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")


@lru_cache(maxsize=64)
def keywords(offers: Offers, *, tls: bool, auth: bool, max_octets: int) -> bytes:
    """The reply lines to EHLO behind the greeting, RFC 5321 §4.1.1.1; `auth`: AUTH may be used now."""
    lines = [
        "PIPELINING",
        f"SIZE {max_octets}",
        "8BITMIME",
        "SMTPUTF8",
        "CHUNKING",
        "DSN",
        "ENHANCEDSTATUSCODES",
    ]
    if offers.binarymime:
        lines.append("BINARYMIME")
    if offers.starttls and not tls:
        lines.append("STARTTLS")
    if auth:
        lines.append("AUTH " + " ".join(offers.auth))
    if offers.requiretls and tls:
        lines.append("REQUIRETLS")
    if offers.xclient:
        lines.append("XCLIENT " + " ".join(XCLIENT_ATTRIBUTES))
    return "".join([f"250-{line}\r\n" for line in lines[:-1]] + [f"250 {lines[-1]}\r\n"]).encode("ascii")

"""Does anything speak for an honest forwarder between the author and us? RFC 9989 §7.4, RFC 8617.

A forwarder that we trust and that sealed a DMARC pass explains a failure away; mere signs of forwarding, which
anyone can put there, only make refusing a mistake too costly to risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from gatepost.checks.check import Check, Emits
from gatepost.checks.sender.sealed import sealed_pass
from gatepost.dns.names import registrable_domain
from gatepost.mail.address import printable
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.trace import within
from gatepost.tools import Tools

FORWARDER_EMITS = (
    Emits(
        name="forwarder.trusted",
        about="A forwarder that we trust sealed that the message was proved when it came in.",
        reference="RFC 9989 §5.4",
    ),
    Emits(
        name="forwarder.signs",
        about="The message may have come through an honest forwarder or mailing list.",
        reference="RFC 9989 §7.4",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwarderSettings:
    """Whom we believe when mail comes through others."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    trusted_sealers: tuple[str, ...] = ()
    """Domains whose ARC seals are believed when they say that DMARC passed."""
    known: tuple[str, ...] = ()
    """Addresses or networks of clients known to forward mail."""


async def forwarder(mail: Mail, tools: Tools, settings: ForwarderSettings) -> Sequence[Finding]:  # noqa: ARG001
    """Does anything speak for an honest forwarder between the author and us?

    Only asked where DMARC did not pass: it changes nothing else but SPF, which DMARC's pass excuses already.
    """
    result = mail.auth.dmarc
    if result.result == "pass":
        return ()
    sealer = sealed_pass(mail.auth.arc, result.author_domain, settings.trusted_sealers)
    if sealer is not None:
        text = (
            f"{printable(sealer)}, which we trust, sealed that the author was proved when the message came in"
        )
        return (Finding("forwarder.trusted", text, {"sealer": sealer}),)
    signs = _signs(mail, settings)
    if not signs:
        return ()
    return (Finding("forwarder.signs", f"it may have been forwarded: {', '.join(signs)}", {"signs": signs}),)


def _signs(mail: Mail, settings: ForwarderSettings) -> list[str]:
    signs = []
    author = mail.auth.dmarc.author_domain
    if author is not None:
        organisation = registrable_domain(author) or author
        for result in mail.auth.dkim:
            # A key that does not exist can be claimed by anyone, so permerror is no sign.
            damaged = result.result in ("fail", "policy", "temperror")
            if damaged and (registrable_domain(result.domain) or result.domain) == organisation:
                signs.append("a damaged signature of the author's domain")
                break
    message = mail.message
    if any(message.count(name) for name in (b"list-id", b"list-post", b"mailing-list")):
        signs.append("it bears the fields of a mailing list")
    if message.count(b"arc-seal"):
        signs.append("a forwarder sealed it")
    if within(mail.client.ip, _networks(settings.known)):
        signs.append("the client is known to forward")
    return signs


def _unreadable_networks(settings: ForwarderSettings) -> list[str]:
    said = []
    for text in settings.known:
        try:
            ip_network(text, strict=False)
        except ValueError:
            said.append(f"{text!r} in known is neither an address nor a network")
    return said


@lru_cache(maxsize=64)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)


FORWARDER = Check(
    name="forwarder",
    subject=Mail,
    settings=ForwarderSettings,
    run=forwarder,
    emits=FORWARDER_EMITS,
    problems=_unreadable_networks,
    asks=False,
    needs_dns=True,
)

"""Is the sender who it says? SPF, DKIM, ARC, and DMARC over them, in this order.

Straight-line code, because DMARC is a function of the others. Who the client is (local, trusted, signed
in) plays no part: that is for policy to weigh.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost.dns.answer import Resolver
from gatepost.mail.author import authors
from gatepost.mail.authresults import AuthResults
from gatepost.mail.client import Client, Envelope
from gatepost.mail.message import Message
from gatepost.mailauth.arc import ArcLimits, validate_chain
from gatepost.mailauth.canonical import Canonical
from gatepost.mailauth.dkim import DkimLimits, verify_signatures
from gatepost.mailauth.dmarc import evaluate_from
from gatepost.mailauth.spf import SpfLimits, check_both_identities


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """What authenticating one message may cost."""

    spf: SpfLimits = field(default_factory=SpfLimits)
    """SPF's limits."""
    dkim: DkimLimits = field(default_factory=DkimLimits)
    """DKIM's limits."""
    arc: ArcLimits = field(default_factory=ArcLimits)
    """ARC's limits."""


DEFAULT_SETTINGS = AuthSettings()


async def authenticate(  # noqa: PLR0917 (the seam's order)
    client: Client,
    envelope: Envelope,
    message: Message,
    resolver: Resolver,
    now: float,
    settings: AuthSettings = DEFAULT_SETTINGS,
    *,
    receiver: str,
) -> AuthResults:
    """The four results for one message. `now` is Unix seconds, `receiver` our host name. Never raises."""
    hello, mail_from = await check_both_identities(
        client, envelope, resolver, receiver=receiver, now=now, limits=settings.spf
    )
    canonical = Canonical(message)
    dkim, ignored = await verify_signatures(message, resolver, now, settings.dkim, canonical=canonical)
    arc = await validate_chain(message, resolver, now, settings.arc, canonical=canonical)
    dmarc = await evaluate_from(authors(message), mail_from, dkim, resolver)
    return AuthResults(
        spf_hello=hello, spf_mail_from=mail_from, dkim=dkim, dkim_ignored=ignored, arc=arc, dmarc=dmarc
    )

"""Must this sender's mail come over TLS? For partners with whom that is agreed (RFC 3207, RFC 7505 §4.2 for the code).

Left out: certificates of clients; and mail behind a relay of ours, whose TLS is the relay's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.checks.check import Check, Emits
from gatepost.dns.names import is_subdomain
from gatepost.mail.client import Attempt
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.tools import Tools

PLAIN = Emits(
    name="tlsrequired.plain",
    about="Mail of this sender must come over TLS, and did not.",
    reference="RFC 3207 §6",
    action=Action.REFUSE,
    at_door=True,
    binding=True,
    reply="550 5.7.10",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsRequiredSettings:
    """Whose mail must come over TLS."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    domains: tuple[str, ...] = ()
    """Envelope sender domains, with all below them."""


async def over_tls(attempt: Attempt, tools: Tools, settings: TlsRequiredSettings) -> Sequence[Finding]:  # noqa: ARG001
    """Plain mail of a partner."""
    client = attempt.client
    if attempt.sender is None or client.tls is not None or client.ip is None or not client.port:
        return ()  # without a port the client came to a relay of ours, and we cannot know
    domain = attempt.sender.domain
    if not any(is_subdomain(domain, partner) for partner in settings.domains):
        return ()
    return (PLAIN.found(f"mail from {domain} must come over TLS", {"domain": domain}),)


TLS_REQUIRED = Check(
    name="tlsrequired",
    subject=Attempt,
    settings=TlsRequiredSettings,
    run=over_tls,
    emits=(PLAIN,),
    asks=False,
    idle=lambda settings: not settings.domains,
)

"""Have we met? A first memory of those who write to us under a proved identity.

Only delivered mail of a proved sender makes an acquaintance, so that nobody earns trust in another's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.checks.check import Check, Emits
from gatepost.checks.sender.identity import correspondent
from gatepost.mail.address import printable
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.tools import Acquaintance, Tools

REPLIED = Emits(
    name="correspondents.replied",
    about="Our side wrote to this proved sender before.",
    reference="configuration reference, [checks.correspondents]",
    weight=-3.0,
    group="acquaintance",
)
KNOWN = Emits(
    name="correspondents.known",
    about="This proved sender has written to us for a while.",
    reference="configuration reference, [checks.correspondents]",
    weight=-1.5,
    group="acquaintance",
)
FIRST = Emits(
    name="correspondents.first",
    about="This proved sender writes to this domain for the first time.",
    reference="configuration reference, [checks.correspondents]",
)
DAY_S = 86_400.0
MOST_DOMAINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrespondentsSettings:
    """When somebody is no stranger any more."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    messages: int = 3
    """Delivered messages it takes."""
    age_s: float = 3 * DAY_S
    """How long ago the first must have come."""


async def acquainted(mail: Mail, tools: Tools, settings: CorrespondentsSettings) -> Sequence[Finding]:
    """The weakest acquaintance among the recipients' domains: no stranger gets in beside a friend."""
    identity = correspondent(mail)
    if identity is None:
        return ()
    domains = sorted({recipient.address.domain for recipient in mail.envelope.recipients})
    if not domains or len(domains) > MOST_DOMAINS:
        return ()
    met = [await tools.correspondents.know(identity, domain) for domain in domains]
    emits = min((_kind(one, tools.now, settings) for one in met), key=_STRENGTH.index, default=None)
    if emits is None:
        return ()
    messages = min(one.messages if one else 0 for one in met)
    text = {
        REPLIED.name: f"we wrote to {printable(identity)} before",
        KNOWN.name: f"{printable(identity)} has written to us {messages} times before",
        FIRST.name: f"{printable(identity)} writes to us for the first time",
    }[emits.name]
    return (emits.found(text, {"identity": identity, "messages": messages}),)


def _kind(met: Acquaintance | None, now: float, settings: CorrespondentsSettings) -> Emits | None:
    if met is None:
        return FIRST
    if met.replied:
        return REPLIED
    if met.messages >= settings.messages and now - met.first_seen >= settings.age_s:
        return KNOWN
    return None


_STRENGTH: tuple[Emits | None, ...] = (FIRST, None, KNOWN, REPLIED)

CORRESPONDENTS = Check(
    name="correspondents",
    subject=Mail,
    settings=CorrespondentsSettings,
    run=acquainted,
    emits=(REPLIED, KNOWN, FIRST),
    timeout_s=2.0,
    needs_dns=True,
)

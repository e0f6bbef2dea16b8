"""Senders that the operator or a recipient allows or blocks: in the configuration, or by an entry made while it runs.

An allow entry counts only for a proved identity, has an owner and a reason, and never overrides malware. A block
entry needs no proof: whoever claims a blocked name gets what is meant for it. Where both match, the block counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gatepost.checks.check import Check, Emits
from gatepost.checks.sender.identity import proved_domain
from gatepost.mail.address import Address
from gatepost.mail.author import authors
from gatepost.mail.client import Mail
from gatepost.mail.finding import ONLY_FOR, Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.tools import Entry, Tools

DAY_S = 86_400.0

ALLOWED = Emits(
    name="senders.allowed",
    about="The operator or the recipient lets this proved sender in; only malware is held against it.",
    reference="configuration reference, [[checks.senders.allow]]; gatepost lists allow",
)
EXPIRED = Emits(
    name="senders.expired",
    about="An allow entry would have matched, had it not run out.",
    reference="configuration reference, [[checks.senders.allow]]",
)
BLOCKED = Emits(
    name="senders.blocked",
    about="The operator or the recipient does not want this sender's mail.",
    reference="configuration reference, [[checks.senders.block]]; gatepost lists block",
    weight=4.0,
    group="blocked",
    action=Action.QUARANTINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderEntry:
    """One sender that is allowed or blocked."""

    sender: str
    """An address (``ana@example.org``) or a domain, which includes all below it."""
    owner: str = ""
    """Who asked for it; an allow entry must say."""
    reason: str = ""
    """Why; an allow entry must say."""
    expires: str = ""
    """The last day it holds, ``2027-01-31`` (UTC); an allow entry must say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendersSettings:
    """Senders that are let in or kept out by name."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    allow: tuple[SenderEntry, ...] = ()
    """Proved senders to let in."""
    block: tuple[SenderEntry, ...] = ()
    """Senders to hold, proved or not."""


def problems(settings: SendersSettings) -> list[str]:
    """What is wrong with the entries, one sentence each; for the configuration to refuse."""
    said = []
    for entry in settings.allow:
        lacking = [word for word in ("owner", "reason", "expires") if not getattr(entry, word)]
        if lacking:
            said.append(f"the allow entry for {entry.sender} lacks {', '.join(lacking)}")
    said += [
        f"the entry for {entry.sender} expires on {entry.expires!r}, which is no date"
        for entry in (*settings.allow, *settings.block)
        if entry.expires and _end(entry) is None
    ]
    return said


async def senders(mail: Mail, tools: Tools, settings: SendersSettings) -> Sequence[Finding]:
    """What the configuration says of the sender, and what was entered since."""
    if not (tools.entries.some or settings.allow or settings.block):
        return ()
    return [*_configured(mail, tools, settings), *await _entered(mail, tools)]


def _configured(mail: Mail, tools: Tools, settings: SendersSettings) -> Sequence[Finding]:
    """The entries of the configuration that match."""
    shown = authors(mail.message).addresses
    claimed = (*shown, *((mail.envelope.sender,) if mail.envelope.sender else ()))
    found = []
    for entry in settings.block:
        if _holds(entry, tools.now) and any(_matches(entry, address) for address in claimed):
            found.append(BLOCKED.found(f"{entry.sender} is blocked{_because(entry)}", _evidence(entry)))
            break
    domain = proved_domain(mail)
    if domain is None or not shown or any(address.domain != domain for address in shown):
        return found
    for entry in settings.allow:
        if entry.expires and all(_matches(entry, address) for address in shown):
            if _holds(entry, tools.now):
                return [
                    *found,
                    ALLOWED.found(f"{entry.sender} is proved and allowed{_because(entry)}", _evidence(entry)),
                ]
            found.append(EXPIRED.found(f"the allowance of {entry.sender} has run out", _evidence(entry)))
    return found


async def _entered(mail: Mail, tools: Tools) -> list[Finding]:
    """The entries made while the gate runs that match, at most one for all recipients of each sort."""
    shown = authors(mail.message).addresses
    claimed = [
        address.key for address in (*shown, *((mail.envelope.sender,) if mail.envelope.sender else ()))
    ]
    recipients = [one.address for one in mail.envelope.recipients]
    matching = await tools.entries.matching(claimed, recipients)
    if not matching:
        return []
    domain = proved_domain(mail)
    proved = len(shown) == 1 and shown[0].domain == domain
    counted: dict[tuple[bool, str], Entry] = {}
    for entry in matching:
        if not entry.allow or (proved and _covers(entry.identity, shown[0])):
            counted.setdefault((entry.allow, entry.recipient), entry)
    tools.entries.count(tuple(counted.values()))
    return [_said(entry, recipients) for entry in counted.values()]


def _covers(identity: str, address: Address) -> bool:
    return identity in (address.key, address.domain) or address.domain.endswith(f".{identity}")


def _said(entry: Entry, recipients: Sequence[Address]) -> Finding:
    """The finding for an entry: who made it, why, and for whom it counts."""
    whose = f" by {entry.owner}" if entry.owner else ""
    because = f": {entry.reason}" if entry.reason else ""
    limited = f" for {entry.recipient}" if entry.recipient else ""
    evidence: dict[str, str | int | float | bool | list[str] | None] = {
        "entry": entry.identity,
        "number": entry.id,
        "owner": entry.owner,
        "reason": entry.reason,
        "expires_at": entry.expires_at,
    }
    if entry.recipient:
        evidence[ONLY_FOR] = [
            address.key for address in recipients if entry.recipient in (address.key, address.domain)
        ]
    if entry.allow:
        return ALLOWED.found(f"{entry.identity} is proved and allowed{limited}{whose}{because}", evidence)
    return BLOCKED.found(f"{entry.identity} is blocked{limited}{whose}{because}", evidence)


def _matches(entry: SenderEntry, address: Address) -> bool:
    wanted = entry.sender.lower()
    if "@" in wanted:
        return address.key == wanted
    return address.domain == wanted or address.domain.endswith(f".{wanted}")


def _holds(entry: SenderEntry, now: float) -> bool:
    end = _end(entry)
    return not entry.expires if end is None else now < end


def _end(entry: SenderEntry) -> float | None:
    """Unix seconds of the midnight that ends it; None without a readable day."""
    try:
        day = datetime.strptime(entry.expires, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return day.timestamp() + DAY_S  # 9999-12-31, the last day there is, has an end too


def _because(entry: SenderEntry) -> str:
    by = f" by {entry.owner}" if entry.owner else ""
    return f"{by}: {entry.reason}" if entry.reason else by


def _evidence(entry: SenderEntry) -> dict[str, str | int | float | bool | list[str] | None]:
    return {"entry": entry.sender, "owner": entry.owner, "reason": entry.reason, "expires": entry.expires}


SENDERS = Check(
    name="senders",
    subject=Mail,
    settings=SendersSettings,
    run=senders,
    emits=(ALLOWED, EXPIRED, BLOCKED),
    asks=False,
    problems=problems,
)

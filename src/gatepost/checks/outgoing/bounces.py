"""Does much of what an account sends come back? Bought lists of addresses are old, and spam is refused.

Delivery counts each copy that could not be delivered for good (`bounced`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.checks.check import OUTGOING, Check, Emits
from gatepost.checks.outgoing.counting import bounced_key, hour_key, number
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.tools import Memory, Tools

HERE = "operating guide, “Sending”"
SOME = Emits(
    name="bounces.some",
    about="A noticeable share of what the account sent could not be delivered.",
    reference=HERE,
    weight=2.5,
    group="hijack",
)
MOST = Emits(
    name="bounces.most",
    about="Most of what the account sent could not be delivered.",
    reference=HERE,
    weight=4.5,
    group="hijack",
)
HOURS = 3
"""Looked back, this one included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BouncesSettings:
    """What comes back of an account's mail, in this hour and the two before."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    at_least: int = 10
    """Fewer say nothing."""
    some: float = 0.15
    """The share from which it is noted."""
    most: float = 0.5
    """The share from which it weighs heavily."""


async def bounces(mail: Mail, tools: Tools, settings: BouncesSettings) -> Sequence[Finding]:
    """The share of the recipients written to."""
    account = mail.client.account
    if not account:
        return ()
    whose = f"account {account}" if mail.client.user is not None else f"machine {account}"
    failed = sent = 0
    for ago in range(HOURS):
        failed += number(await tools.memory.get(bounced_key(account, tools.now, ago=ago)))
        sent += number(await tools.memory.get(hour_key("recipients", whose, tools.now, ago=ago)))
    if failed < settings.at_least:
        return ()
    share = min(1.0, failed / max(sent, failed))
    emits = MOST if share >= settings.most else SOME if share >= settings.some else None
    if emits is None:
        return ()
    text = f"{failed} of {max(sent, failed)} recipients that {account} wrote to in {HOURS} hours could not be reached"
    return (emits.found(text, {"account": account, "failed": failed, "sent": max(sent, failed)}),)


async def bounced(account: str, memory: Memory, now: float) -> None:
    """One copy of the account's mail could not be delivered."""
    await memory.add(bounced_key(account, now), ttl_s=(HOURS + 1) * 3600.0)


BOUNCES = Check(
    name="bounces",
    subject=Mail,
    settings=BouncesSettings,
    run=bounces,
    ways=OUTGOING,
    emits=(SOME, MOST),
    timeout_s=2.0,
)

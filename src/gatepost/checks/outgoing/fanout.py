"""Does an account suddenly write to many it never wrote to? The first sign of a hijacked one that sends spam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.checks.check import OUTGOING, Check, Emits
from gatepost.checks.outgoing.counting import hour_key, met_key, number
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.tools import Tools

HERE = "operating guide, “Sending”"
MANY = Emits(
    name="fanout.many",
    about="The account writes to many people within an hour that it never wrote to before.",
    reference=HERE,
    weight=2.0,
    group="hijack",
)
FLOOD = Emits(
    name="fanout.flood",
    about="The account writes to very many people within an hour that it never wrote to before.",
    reference=HERE,
    weight=4.5,
    group="hijack",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FanoutSettings:
    """People an account never wrote to before, within an hour."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    many: int = 20
    """From so many on it is noted."""
    flood: int = 50
    """From so many on it weighs as much as a hijacked account does with little else."""


async def fanout(mail: Mail, tools: Tools, settings: FanoutSettings) -> Sequence[Finding]:
    """How many this hour, the last one counted as far as this one is young, with this message."""
    account, now = mail.client.account, tools.now
    if not account:
        return ()
    strangers = 0
    for one in mail.envelope.recipients:
        strangers += await tools.memory.get(met_key(account, one.address.key)) is None
    if strangers:
        this_hour = await tools.memory.add(hour_key("fanout", account, now), strangers, ttl_s=3 * 3600.0)
    else:
        this_hour = number(await tools.memory.get(hour_key("fanout", account, now)))
    before = number(await tools.memory.get(hour_key("fanout", account, now, ago=1)))
    count = this_hour + int(before * (1 - now % 3600 / 3600))
    emits = FLOOD if count >= settings.flood else MANY if count >= settings.many else None
    if emits is None:
        return ()
    text = f"{account} wrote to {count} people within an hour that it never wrote to before"
    return (emits.found(text, {"account": account, "strangers": count}),)


FANOUT = Check(
    name="fanout",
    subject=Mail,
    settings=FanoutSettings,
    run=fanout,
    ways=OUTGOING,
    emits=(MANY, FLOOD),
    timeout_s=2.0,
)

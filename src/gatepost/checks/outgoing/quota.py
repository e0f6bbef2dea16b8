"""Does an account, a device or a machine send more than its share? Messages and recipients by hour and day, and
recipients it never wrote to before by the hour.

Looked at for each recipient, so that a refusal comes before the message is sent. Recipients are counted as they are
asked for, messages as they are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gatepost.checks.check import OUTGOING, Check, Emits
from gatepost.checks.outgoing.counting import (
    DAY_S,
    HOUR_S,
    MET_S,
    day_key,
    ends_at,
    hour_key,
    met_key,
    number,
)
from gatepost.mail.client import Attempt, Client, Mail
from gatepost.mail.finding import Finding
from gatepost.mail.verdict import Action
from gatepost.tools import Memory, Tools

HERE = "operating guide, “Sending”"
MESSAGES = Emits(
    name="quota.messages",
    about="The account, device or machine has sent its share of messages.",
    reference=HERE,
    action=Action.DEFER,
    at_door=True,
    binding=True,
    reply="450 4.7.1",
)
RECIPIENTS = Emits(
    name="quota.recipients",
    about="The account, device or machine has written to its share of recipients.",
    reference=HERE,
    action=Action.DEFER,
    at_door=True,
    binding=True,
    reply="452 4.5.3",
)
STRANGERS = Emits(
    name="quota.strangers",
    about="The account, device or machine has written to its share of people it never wrote to before.",
    reference=HERE,
    action=Action.DEFER,
    at_door=True,
    binding=True,
    reply="450 4.7.1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much one may send; 0 is no limit."""

    messages_hour: int = 300
    """Messages in an hour."""
    messages_day: int = 2000
    """Messages in a day."""
    recipients_hour: int = 600
    """Recipients in an hour."""
    recipients_day: int = 4000
    """Recipients in a day."""
    strangers_hour: int = 100
    """Recipients in an hour that it never wrote to before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceShare(Share):
    """How much one device may send; 0 is no limit."""

    messages_hour: int = 200
    """Messages in an hour."""
    messages_day: int = 1500
    """Messages in a day."""
    recipients_hour: int = 400
    """Recipients in an hour."""
    recipients_day: int = 3000
    """Recipients in a day."""
    strangers_hour: int = 80
    """Recipients in an hour that it never wrote to before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineShare(Share):
    """How much one machine may send; 0 is no limit."""

    messages_hour: int = 1000
    """Messages in an hour."""
    messages_day: int = 10_000
    """Messages in a day."""
    recipients_hour: int = 2000
    """Recipients in an hour."""
    recipients_day: int = 20_000
    """Recipients in a day."""
    strangers_hour: int = 300
    """Recipients in an hour that it never wrote to before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSettings:
    """How much our own people and machines may send; hours and days are those of the clock, in UTC."""

    account: Share = field(default_factory=Share)
    """Everything one account sends."""
    device: DeviceShare = field(default_factory=DeviceShare)
    """What one device, app password or token of an account sends."""
    machine: MachineShare = field(default_factory=MachineShare)
    """What one machine of `relay_for` sends."""


def counted(client: Client, settings: QuotaSettings) -> Iterator[tuple[str, str, Share]]:
    """Whose counters a client is counted by: the name for a sentence, the name in keys, and the share."""
    if client.user is None:
        yield f"the machine {client.account}", f"machine {client.account}", settings.machine
        return
    yield client.account, f"account {client.account}", settings.account
    if client.device:
        yield (
            f"the device {client.device} of {client.account}",
            f"device {client.account} {client.device}",
            settings.device,
        )


async def quota(attempt: Attempt, tools: Tools, settings: QuotaSettings) -> Sequence[Finding]:
    """The first share that is used up, and until when."""
    client, memory, now = attempt.client, tools.memory, tools.now
    account = client.account
    if not account:
        return ()
    met = await memory.get(met_key(account, attempt.recipient.address.key)) is not None
    for whose, key, share in counted(client, settings):
        for emits, most, counter, length_s, what in _limits(key, share, now):
            if not most:
                continue
            if emits is MESSAGES:
                used = number(await memory.get(counter)) + 1
            elif emits is STRANGERS and met:
                continue
            else:
                used = await memory.add(counter, ttl_s=length_s * 2)
            if used > most:
                text = f"{whose} has used up its {most} {what}, until {ends_at(now, length_s)}"
                return (emits.found(text, {"who": key, "limit": most, "until": ends_at(now, length_s)}),)
    return ()


def _limits(key: str, share: Share, now: float) -> tuple[tuple[Emits, int, str, int, str], ...]:
    """What is limited: the fact, how many, the counter, its time, and words."""
    return (
        (MESSAGES, share.messages_hour, hour_key("messages", key, now), HOUR_S, "messages an hour"),
        (MESSAGES, share.messages_day, day_key("messages", key, now), DAY_S, "messages a day"),
        (RECIPIENTS, share.recipients_hour, hour_key("recipients", key, now), HOUR_S, "recipients an hour"),
        (RECIPIENTS, share.recipients_day, day_key("recipients", key, now), DAY_S, "recipients a day"),
        (STRANGERS, share.strangers_hour, hour_key("strangers", key, now), HOUR_S, "new recipients an hour"),
    )


async def count_sent(
    mail: Mail, memory: Memory, now: float, settings: QuotaSettings, *, met: bool = True
) -> None:
    """A message was taken: count it, and with `met` remember whom the account has written to."""
    for _, key, _ in counted(mail.client, settings):
        await memory.add(hour_key("messages", key, now), ttl_s=HOUR_S * 2)
        await memory.add(day_key("messages", key, now), ttl_s=DAY_S * 2)
    for recipient in mail.envelope.recipients if met else ():
        key = met_key(mail.client.account, recipient.address.key)
        if await memory.get(key) is None:
            await memory.put(key, "1", ttl_s=MET_S)


QUOTA = Check(
    name="quota",
    subject=Attempt,
    settings=QuotaSettings,
    run=quota,
    ways=OUTGOING,
    emits=(MESSAGES, RECIPIENTS, STRANGERS),
    timeout_s=2.0,
)

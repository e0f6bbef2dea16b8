"""Does one client ask for too much in a short time?

Recipients asked for and unknown recipients at RCPT TO, messages at the end of data, each per client network
(or account) and window, counted in the memory that all workers share. Connections are the acceptor's to
count. Too much is deferred, never refused: an honest queue comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.checks.check import Check, Emits
from gatepost.checks.connection.network import counted_as, unknown_key
from gatepost.mail.client import Attempt, Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.tools import Tools

EXCEEDED = Emits(
    name="rates.exceeded",
    about="The client asked for more than its share of recipients.",
    reference="RFC 5321 §7.8",
    action=Action.DEFER,
    at_door=True,
    binding=True,
    reply="450 4.7.1",
)
FLOOD = Emits(
    name="volume.exceeded",
    about="The client sent more than its share of messages.",
    reference="RFC 5321 §7.8",
    action=Action.DEFER,
    binding=True,
    reply="450 4.7.1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesSettings:
    """Recipients a client may ask for."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    window_s: float = 600.0
    """Counts start anew so long after the first."""
    recipients: int = 50_000
    """Recipients per client and window; 0 is no limit."""
    unknown_recipients: int = 50
    """Unknown recipients per client in ten minutes, after which nothing more is taken from it; 0 is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSettings:
    """Messages a client may send."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    window_s: float = 600.0
    """Counts start anew so long after the first."""
    messages: int = 30_000
    """Messages per client and window; 0 is no limit."""


async def asked(attempt: Attempt, tools: Tools, settings: RatesSettings) -> Sequence[Finding]:
    """Too many recipients, or too many unknown ones."""
    who = counted_as(attempt.client)
    if who is None:
        return ()
    if settings.unknown_recipients:
        unknown = await tools.memory.get(unknown_key(who))
        if unknown is not None and int(unknown) >= settings.unknown_recipients:
            text = f"{who} asked for {unknown} recipients that do not exist"
            return (EXCEEDED.found(text, {"client": who, "unknown": int(unknown)}),)
    if settings.recipients:
        count = await tools.memory.add(f"rates:recipients:{who}", ttl_s=settings.window_s)
        if count > settings.recipients:
            text = f"{who} asked for {count} recipients, {settings.recipients} are allowed"
            return (EXCEEDED.found(text, {"client": who, "recipients": count}),)
    return ()


async def sent(mail: Mail, tools: Tools, settings: VolumeSettings) -> Sequence[Finding]:
    """Too many messages."""
    who = counted_as(mail.client)
    if who is None:
        return ()
    count = await tools.memory.add(f"rates:messages:{who}", ttl_s=settings.window_s)
    if count <= settings.messages:
        return ()
    text = f"{who} sent {count} messages, {settings.messages} are allowed"
    return (FLOOD.found(text, {"client": who, "messages": count}),)


RATES = Check(
    name="rates",
    subject=Attempt,
    settings=RatesSettings,
    run=asked,
    emits=(EXCEEDED,),
    timeout_s=1.0,
)
VOLUME = Check(
    name="volume",
    subject=Mail,
    settings=VolumeSettings,
    run=sent,
    emits=(FLOOD,),
    timeout_s=1.0,
    idle=lambda settings: not settings.messages,
)

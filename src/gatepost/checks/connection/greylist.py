"""Greylisting: a stranger's first mail waits (RFC 6647). Off by default.

The triple of client network, sender and recipient waits once; a client that came back is trusted as a
whole from then on. Never for signed-in users, clients without an address, and senders we know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from gatepost.checks.check import Check, Emits
from gatepost.checks.connection.network import network_of
from gatepost.mail.client import Attempt
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.tools import Tools

WAIT = Emits(
    name="greylist.wait",
    about="An unknown client has not waited long enough with its first mail.",
    reference="RFC 6647 §2.4",
    action=Action.DEFER,
    at_door=True,
    excused_by=("dnsbl.welcome",),
    reply="450 4.7.1",
)
WAITED = Emits(
    name="greylist.waited",
    about="An unknown client came back after waiting.",
    reference="RFC 6647 §2.4",
    weight=-0.5,
)
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GreylistSettings:
    """Make strangers wait."""

    mode: Mode = Mode.OFF
    """off, observe or enforce."""
    wait_s: float = 300.0
    """How long a stranger's first mail waits."""
    retry_within_s: float = 2 * DAY_S
    """How late it may come back."""
    trust_s: float = 36 * DAY_S
    """How long a client that came back is let in at once."""


async def wait(attempt: Attempt, tools: Tools, settings: GreylistSettings) -> Sequence[Finding]:
    """A stranger's first mail."""
    client, sender = attempt.client, attempt.sender
    if client.ip is None or client.user is not None or client.ip.is_loopback or not client.port:
        return ()  # without a port the client came to a relay of ours: only the relay would wait
    network = network_of(client.ip, ipv4_bits=24)
    memory, now = tools.memory, tools.now
    passed = f"greylist:passed:{network}"
    if await memory.get(passed) is not None:
        return ()
    recipient = attempt.recipient.address
    if sender is not None and await tools.correspondents.know(sender.domain, recipient.domain) is not None:
        return ()
    key = _triple(network, "" if sender is None else sender.key, recipient.key)
    first = await memory.get(key)
    if first is None:
        await memory.put(key, repr(now), ttl_s=settings.retry_within_s)
        left = settings.wait_s
    else:
        left = float(first) + settings.wait_s - now
    if left > 0:
        text = f"the first mail of {network} waits; it may come again in {max(1, round(left))} seconds"
        return (WAIT.found(text, {"network": network, "wait_s": round(left)}),)
    await memory.put(passed, "1", ttl_s=settings.trust_s)
    return (WAITED.found(f"{network} came back after waiting", {"network": network}),)


def _triple(*parts: str) -> str:
    return "greylist:" + blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()


GREYLIST = Check(
    name="greylist",
    subject=Attempt,
    settings=GreylistSettings,
    run=wait,
    emits=(WAIT, WAITED),
    timeout_s=2.0,
)

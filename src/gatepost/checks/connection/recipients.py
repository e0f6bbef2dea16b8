"""Do we take mail for this recipient? RFC 5321 §3.6, §4.5.1; RFC 3463 §3.2.

Who the recipients are (lists, files, aliases, callouts) is asked of `tools.recipients`. These rules hold
whatever the mode of the gate: without them it would be an open relay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gatepost.checks.check import BOTH_WAYS, Check, Emits, OnFailure
from gatepost.checks.connection.network import UNKNOWN_WINDOW_S, counted_as, unknown_key
from gatepost.mail.address import Address, printable
from gatepost.mail.client import Attempt
from gatepost.mail.finding import BEHIND, Finding
from gatepost.mail.verdict import Action
from gatepost.mailauth.srs import stands_for
from gatepost.smtp.reply import in_words
from gatepost.tools import Standing, Tools

NOT_OURS = Emits(
    name="recipients.not_ours",
    about="The recipient is somebody else's, and the client may not relay.",
    reference="RFC 5321 §3.6.2",
    action=Action.REFUSE,
    at_door=True,
    binding=True,
    reply="550 5.7.1",
)
UNKNOWN = Emits(
    name="recipients.unknown",
    about="The domain is ours, the mailbox does not exist.",
    reference="RFC 5321 §3.3",
    action=Action.REFUSE,
    at_door=True,
    binding=True,
    excused_by=("rates.exceeded",),  # who asked for too many is told nothing more about who exists
    reply="550 5.1.1",
)
UNSURE = Emits(
    name="recipients.unsure",
    about="Whether the mailbox exists could not be asked.",
    reference="RFC 5321 §4.2.3",
    action=Action.DEFER,
    at_door=True,
    binding=True,
    reply="450 4.1.1",
)

BOUNCES = Emits(
    name="recipients.bounces",
    about="More bounces came for a sender that we rewrote than its mail can have caused.",
    reference="RFC 5321 §7.8",
    action=Action.DEFER,
    at_door=True,
    binding=True,
    reply="450 4.7.1",
)
TOO_LARGE = Emits(
    name="recipients.too_large",
    about="The message is larger than what any host behind us takes that it would go to.",
    reference="RFC 1870 §6.1",
    action=Action.REFUSE,
    at_door=True,
    binding=True,
    reply="552 5.3.4",
)

DAY_S = 86_400
ALWAYS_TAKEN = 64 * 1024
"""Everybody takes messages up to this size (RFC 5321 §4.5.3.1.7)."""
BOUNCED_KEY = "recipients:bounced-over"
"""For whom too many bounces came of late; told to the postmaster (`jobs.concerns`)."""
_BY_STANDING = {Standing.NOT_OURS: NOT_OURS, Standing.UNKNOWN: UNKNOWN, Standing.UNSURE: UNSURE}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientsSettings:
    """How much may come for senders that we rewrote; the recipients themselves stand with their domains."""

    bounces_a_day: int = 20
    """Bounces to one sender that we rewrote (SRS) in a day: whoever knows an address of theirs could send more through us; 0 is no limit."""


async def recipient(attempt: Attempt, tools: Tools, settings: RecipientsSettings) -> Sequence[Finding]:
    """Ours and known, or why not."""
    address = attempt.recipient.address
    answer = await tools.recipients.find(address)
    emits = _BY_STANDING.get(answer.standing)
    if answer.only_bounces and attempt.sender is not None:
        emits, answer = UNKNOWN, replace(answer, text=f"{answer.text}: only its bounces come here")
    if emits is None and answer.only_bounces:
        return await too_many(address, tools, settings.bounces_a_day)
    if emits is None:
        return await too_large(address, attempt.size or 0, tools)
    if emits is NOT_OURS and attempt.client.account:
        return ()  # our own people and machines may send anywhere
    who = counted_as(attempt.client)
    if emits is UNKNOWN and who is not None:
        await tools.memory.add(unknown_key(who), ttl_s=UNKNOWN_WINDOW_S)
    evidence = {"recipient": f"{address.local}@{address.domain}"}
    if answer.behind:
        evidence[BEHIND] = answer.behind
    return (emits.found(answer.text, evidence),)


def takes_key(hop: str) -> str:
    """Where memory has how many octets a host behind us said it takes (SIZE, RFC 1870 §3), 0 for no limit."""
    return f"recipients:takes:{hop}"


async def too_large(address: Address, size: int, tools: Tools) -> Sequence[Finding]:
    """Better refused while the sender listens than bounced: when every host it would go to is known to take less."""
    if size <= ALWAYS_TAKEN:
        return ()
    limits: dict[str, int] = {}
    for hop in tools.recipients.next_hops(address):
        known = await tools.memory.get(takes_key(hop)) or "0"
        limits[hop] = int(known) if known.isdecimal() else 0
    if not limits or not all(0 < most < size for most in limits.values()):
        return ()
    hop, most = max(limits.items(), key=lambda one: one[1])
    text = f"{address} takes messages of up to {in_words(most)}, and this one has {in_words(size)}"
    evidence = {
        "recipient": f"{address.local}@{address.domain}",
        BEHIND: f"{hop} takes up to {in_words(most)}",
    }
    return (TOO_LARGE.found(text, evidence),)


async def too_many(address: Address, tools: Tools, most: int) -> Sequence[Finding]:
    """A message has a bounce or two; a sender that we rewrote is nobody's way to write to them through us."""
    if not most:
        return ()
    # Whoever has one address of theirs has those of other days from other mail, and may ask at any domain of ours.
    day, sender = int(tools.now // DAY_S), stands_for(address)
    count = await tools.memory.add(f"recipients:bounces:d{day}:{sender}", ttl_s=DAY_S)
    if count <= most:
        return ()
    if count == most + 1:
        await tools.memory.put(BOUNCED_KEY, printable(sender, 200), ttl_s=DAY_S)
    text = f"{count} bounces today for a sender that we rewrote, {most} are allowed"
    return (BOUNCES.found(text, {"recipient": f"{address.local}@{address.domain}", "count": count}),)


RECIPIENTS = Check(
    name="recipients",
    subject=Attempt,
    settings=RecipientsSettings,
    run=recipient,
    ways=BOTH_WAYS,
    emits=(NOT_OURS, UNKNOWN, UNSURE, BOUNCES, TOO_LARGE),
    on_failure=OnFailure.DEFER,
    timeout_s=20.0,
)

"""Ask the next hop whether it takes mail for a recipient: MAIL FROM:<>, RCPT TO, RSET, and no mail.

Answers are kept for a while, identical questions in flight are one, and what cannot be asked is
"unsure" and never "unknown" (a host that is down knows everyone again when it is up).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gatepost.mail.address import Address, printable
from gatepost.net.outbound import Sent
from gatepost.smtp.sending import Hop, Outcome, Outgoing, OutgoingRecipient, Result
from gatepost.tools import RecipientAnswer, Standing

NOT_NOW = "whether there is {address} cannot be asked just now"
"""Which host behind us is asked, and what it said, is nobody else's business."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalloutSettings:
    """Asking next hops about recipients."""

    known_s: float = 6 * 3600.0
    """How long "yes" is believed."""
    unknown_s: float = 600.0
    """How long "no" is believed: a new mailbox gets its mail after this at the latest."""
    unsure_s: float = 20.0
    """How long a host that could not answer is left alone about this recipient."""
    timeout_s: float = 20.0
    """For one question, connecting included."""
    at_once: int = 8
    """Questions at the same time."""
    waiting: int = 200
    """Questions that may wait; beyond, the answer is unsure."""
    kept: int = 50_000
    """Answers kept."""


class Sender(Protocol):
    """What is needed of `net.outbound.Outbound`."""

    async def send(self, hop: Hop, message: Outgoing) -> Sent: ...


@dataclass(slots=True)
class RecipientCallout:
    """Answers `delivery.directory.Callout`."""

    sender: Sender
    clock: Callable[[], float]
    """Seconds of any epoch."""
    settings: CalloutSettings = field(default_factory=CalloutSettings)
    _answers: dict[tuple[Hop, str], tuple[float, RecipientAnswer]] = field(default_factory=dict)
    _asking: dict[tuple[Hop, str], asyncio.Task[RecipientAnswer]] = field(default_factory=dict)
    _gate: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._gate = asyncio.Semaphore(self.settings.at_once)

    async def ask(self, hop: Hop, address: Address) -> RecipientAnswer:
        """Would `hop` take mail for `address`?"""
        key = (hop, address.key)
        kept = self._answers.get(key)
        if kept and kept[0] > self.clock():
            return kept[1]
        task = self._asking.get(key)
        if task is None:
            if len(self._asking) >= self.settings.at_once + self.settings.waiting:
                return RecipientAnswer(
                    Standing.UNSURE, NOT_NOW.format(address=address), f"too many questions wait for {hop}"
                )
            task = self._asking[key] = asyncio.create_task(self._ask(hop, address))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # One who hangs up does not spoil the answer for the others who wait for it.
        return await asyncio.shield(task)

    async def _ask(self, hop: Hop, address: Address) -> RecipientAnswer:
        question = Outgoing(sender="", recipients=(OutgoingRecipient(address=str(address)),))
        try:
            async with self._gate, asyncio.timeout(self.settings.timeout_s):
                sent = await self.sender.send(hop, question)
        except TimeoutError:
            answer = RecipientAnswer(
                Standing.UNSURE,
                NOT_NOW.format(address=address),
                f"{hop} did not say in time whether it knows {address}",
            )
        else:
            answer = meaning(sent.outcomes[0], hop, address)
        self._keep((hop, address.key), answer)
        return answer

    def _keep(self, key: tuple[Hop, str], answer: RecipientAnswer) -> None:
        ttl_s = {
            Standing.KNOWN: self.settings.known_s,
            Standing.UNKNOWN: self.settings.unknown_s,
        }.get(answer.standing, self.settings.unsure_s)
        while len(self._answers) >= self.settings.kept:
            del self._answers[next(iter(self._answers))]
        self._answers.pop(key, None)
        self._answers[key] = (self.clock() + ttl_s, answer)


def meaning(outcome: Outcome, hop: Hop, address: Address) -> RecipientAnswer:
    """Only a refusal of the recipient itself says that it does not exist; one of us or of the question does not."""
    if outcome.result is Result.DELIVERED:
        return RecipientAnswer(Standing.KNOWN, f"{hop} takes mail for {address}")
    words = printable(outcome.words, 200)
    about_recipient = outcome.stage == "rcpt" and not outcome.status.startswith(("5.7.", "5.5."))
    if outcome.result is Result.FAILED and about_recipient:
        return RecipientAnswer(
            Standing.UNKNOWN, f"there is no {address}", f"{hop} does not know {address}: {words}"
        )
    return RecipientAnswer(
        Standing.UNSURE,
        NOT_NOW.format(address=address),
        f"{hop} does not say whether it knows {address}: {words}",
    )

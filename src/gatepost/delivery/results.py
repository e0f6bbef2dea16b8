"""What came of each copy, written down: its try, its next one or its end, and whom that is told; many copies in one commit.

Deliveries do not wait for the disk. What the disk does not take now is kept, and written as soon as it does: the other side
has the mail already, and only our record keeps it from getting it again (RFC 5321 §4.5.5 allows that, nobody likes it).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gatepost.delivery.carrying import Came
from gatepost.delivery.notices import Notices
from gatepost.delivery.routes import Destination as Where
from gatepost.delivery.schedule import delay_is_due, next_attempt
from gatepost.delivery.settings import DeliverySettings
from gatepost.net.outbound import Sent
from gatepost.smtp.sending import Hop, Outcome, Result
from gatepost.smtp.sending import Protocol as Speaks
from gatepost.store.failures import StoreFailed
from gatepost.store.records import DeliveryAttempt, Done, Failed, Hold, Notice, QueueItem, RetryAt, Settlement
from gatepost.store.records import Outcome as Settled

_LOG = logging.getLogger("gatepost.delivery")
_JITTERS_KEPT = 1000
_AFTER_A_BUG_S = 900.0
_LOT = 256
"""So many are written in one step: the loop has others to attend to."""
_AGAIN_FIRST_S = 0.25
_AGAIN_LONGEST_S = 15.0


class Ledger(Protocol):
    """What is needed of `store.Store`."""

    async def settle_all(self, settlements: Sequence[Settlement]) -> None: ...


class _Waiting(NamedTuple):
    settlement: Settlement
    written: Callable[[], None] | None
    """To be done once it is on the disk."""


async def _nothing() -> None:
    """Nobody wants to be told."""


@dataclass(slots=True, eq=False)
class Results:
    """Takes what came of copies at once, and writes it down in the background."""

    store: Ledger
    notices: Notices
    hostname: str
    clock: Callable[[], float]
    """Unix seconds."""
    jitter: Callable[[], float]
    """0..1."""
    settings: DeliverySettings = field(default_factory=DeliverySettings)
    retry_first_s: float = 60.0
    """`OutboundSettings.retry_first_s`."""
    on_failed: Callable[[QueueItem], Awaitable[None]] = lambda _: _nothing()
    """Told of each copy that is given up."""
    on_written: Callable[[int], None] = lambda _: None
    """So many copies are on the disk with what came of them."""
    delivered: int = 0
    deferred: int = 0
    failed: int = 0
    _waiting: list[_Waiting] = field(default_factory=list)
    _writer: asyncio.Task[None] | None = None
    _jitters: dict[tuple[str, int], float] = field(default_factory=dict)
    """The last ones given, by message and number of tries."""

    async def came(self, where: Where, one: Came) -> None:
        """What a try came to, with the notifications it gives rise to."""
        item, outcome, sent, filed = one
        if isinstance(outcome, Hold):
            self._keep(item, None, outcome)
            return
        now = self.clock()
        attempt = self._attempt(item, outcome, sent, now)
        if outcome.result is Result.DELIVERED:
            self.delivered += 1
            notices: Sequence[Notice] = ()
            if item.recipient.notify and not (sent is not None and sent.dsn_offered):
                relayed = sent is not None and not is_lmtp(where)
                notices = self.notices.delivered(item, outcome, now, relayed=relayed)
            self._keep(item, attempt, Done(), notices, filed.forget if filed else None)
            return
        again = self._again(item, now) if outcome.result is Result.DEFERRED else None
        if again is not None:
            self.deferred += 1
            due = delay_is_due(
                self.settings.schedule, created_at=item.created_at, now=now, told=item.delay_told
            )
            notices = self.notices.delayed(item, outcome, now, sent) if due else ()
            self._keep(item, attempt, RetryAt(again, delay_told=due), notices)
            return
        self.failed += 1
        await self.on_failed(item)
        notices, hold = self.notices.failed(item, outcome, now, sent)
        self._keep(item, attempt, Hold(hold) if hold else Failed(outcome.words), notices)

    async def put_back(self, where: Where, item: QueueItem, until: float, words: str) -> float | None:
        """Not tried now, says when it comes again; but patience with it may end, and the sender may have to be told that it
        waits: then it is as if it had been tried, and None."""
        now = self.clock()
        if words and now >= item.created_at + self.settings.schedule.give_up_s:
            await self.came(where, Came(item, Outcome(result=Result.DEFERRED, status="4.4.7", words=words)))
            return None
        again = until + self._jitter_of(item) * min(1.0, max(0.0, until - now))
        self._keep(item, None, RetryAt(again))
        return again

    def not_now(self, item: QueueItem) -> None:
        """It goes back into the line, untried."""
        self._keep(item, None, RetryAt(self.clock()))

    def after_a_bug(self, item: QueueItem) -> None:
        """We broke off: it is tried again later."""
        self._keep(item, None, RetryAt(self.clock() + _AFTER_A_BUG_S))

    async def written(self) -> None:
        """Until all of it is on the disk."""
        while self._writer is not None:
            await asyncio.shield(self._writer)

    def end(self) -> None:
        """Write no more; what waits is delivered again after the next start."""
        if self._writer is not None:
            self._writer.cancel()
        if self._waiting:
            _LOG.error("not written down what came of %d copies: they are tried again", len(self._waiting))

    # Words and times

    def _attempt(self, item: QueueItem, outcome: Outcome, sent: Sent | None, now: float) -> DeliveryAttempt:
        return DeliveryAttempt(
            at=now,
            to=item.to,
            host=sent.host if sent else self.hostname,
            address=sent.address if sent else "",
            status=outcome.result.value,
            reply=outcome.words,
            tls_version=sent.tls_version if sent else None,
            tls_policy=sent.tls_policy if sent else "none",
            tls_verified=sent.tls_verified if sent else False,
            reason=reason_of(outcome, sent),
        )

    def _again(self, item: QueueItem, now: float) -> float | None:
        return next_attempt(
            self.settings.schedule,
            retry_first_s=self.retry_first_s,
            attempts=item.attempts + 1,
            created_at=item.created_at,
            now=now,
            jitter=self._jitter_of(item),
        )

    def _jitter_of(self, item: QueueItem) -> float:
        """The same for all copies of a message that failed together, so that they go in one transaction again."""
        key = (item.ref, item.attempts)
        if key not in self._jitters:
            if len(self._jitters) >= _JITTERS_KEPT:
                self._jitters.clear()
            self._jitters[key] = self.jitter()
        return self._jitters[key]

    # To the disk

    def _keep(
        self,
        item: QueueItem,
        attempt: DeliveryAttempt | None,
        outcome: Settled,
        notices: Sequence[Notice] = (),
        written: Callable[[], None] | None = None,
    ) -> None:
        self._waiting.append(_Waiting(Settlement(item, attempt, outcome, notices), written))
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="delivery-results")

    async def _write(self) -> None:
        pause_s = _AGAIN_FIRST_S
        try:
            while self._waiting:
                lot = self._waiting[:_LOT]
                try:
                    await self._write_lot(lot)
                except StoreFailed as failure:
                    _LOG.error(
                        "not written down yet what came of %d copies, tried again in %g s: %s",
                        len(self._waiting), pause_s, failure,
                    )  # fmt: skip
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _AGAIN_LONGEST_S)
                    continue
                if pause_s > _AGAIN_FIRST_S:
                    _LOG.info("what came of copies is written down again")
                pause_s = _AGAIN_FIRST_S
                del self._waiting[: len(lot)]
                for one in lot:
                    if one.written is not None:
                        one.written()
                self.on_written(len(lot))
        finally:
            self._writer = None

    async def _write_lot(self, lot: Sequence[_Waiting]) -> None:
        try:
            await self.store.settle_all([one.settlement for one in lot])
        except StoreFailed:
            raise
        except Exception:  # noqa: BLE001  one of them is a bug of ours: the others are written all the same
            for one in lot:
                await self._write_alone(one.settlement)

    async def _write_alone(self, one: Settlement) -> None:
        try:
            await self.store.settle_all([one])
        except StoreFailed:
            raise
        except Exception:  # noqa: BLE001  # it must not keep the others from being written
            _LOG.exception("what came of %s could not be written down", one.item.ref)
            with contextlib.suppress(StoreFailed):
                later = RetryAt(self.clock() + _AFTER_A_BUG_S)
                await self.store.settle_all([Settlement(one.item, None, later)])


def reason_of(outcome: Outcome, sent: Sent | None) -> str:
    """Why it did not go out when that is ours to say, else what was required of the wire and came of it; and what other
    hosts said."""
    if outcome.reply is None and outcome.result is not Result.DELIVERED:
        words = outcome.words
    else:
        words = (sent.reason if sent else "") or ("" if outcome.reply else outcome.words)
    return f"{words} {sent.also}".strip() if sent is not None and sent.also else words


def is_lmtp(where: Where) -> bool:
    """LMTP's answer is the final delivery's own (RFC 2033 §2)."""
    return isinstance(where, Hop) and where.protocol is Speaks.LMTP

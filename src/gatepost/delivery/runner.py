"""Getting mail out: take in hand what is due, let each destination have its turn, write down what came of it.

Several recipients of one message at one destination go in one transaction. A crash between the other
side's 250 and our commit delivers again, which is all that SMTP promises (RFC 5321 §4.5.5); a Maildir
copy is recognised. It leaves out where to (`routes`), what a transaction is (`carrying`), when to try
again (`schedule`, `results`) and what a DSN says (`dsn`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Protocol

from gatepost.delivery.carrying import Came, Carrier, address_of, is_forwarded
from gatepost.delivery.destination import Destination, Group
from gatepost.delivery.line import Line, Place
from gatepost.delivery.places import Places
from gatepost.delivery.results import Results
from gatepost.delivery.routes import SMARTHOST, Elsewhere, MaildirAt, Routes
from gatepost.delivery.routes import Destination as Where
from gatepost.delivery.settings import DeliverySettings
from gatepost.delivery.share import Share, part
from gatepost.delivery.window import BEGIN, Window
from gatepost.mail.verdict import Change
from gatepost.net.outbound import Sent
from gatepost.smtp.sending import Result
from gatepost.store.failures import StoreFailed
from gatepost.store.inhand import InHand
from gatepost.store.records import Hold, QueueItem

_LOG = logging.getLogger("gatepost.delivery")
_LOT = 200
"""So many copies are claimed in one step."""
_LOOK = 500
"""So many are looked at, at least, in one step onward, and at most in one back."""
_STALLED = 4
"""So many times what may be in hand may wait for hosts that stall."""
_DEATHS = 3
"""So many deaths in a row with the same message in hand, and it is not tried again by itself."""
_ALONE_S = 10.0
"""So long such a message has the others like it wait: what kills does so at once, and what a slow host keeps is none."""
_KILLS = "The process that delivers died {deaths} times in a row while it had this message in hand: look at the log."
_KNOWN = 5000
"""Destinations of which something is remembered."""


class Queue(Protocol):
    """What the runner needs of `store.Store`."""

    def due(
        self, now: float, *, start: Place | None, end: Place | None, limit: int
    ) -> list[tuple[float, int, str, int]]: ...
    async def claim(
        self, now: float, limit: int, lease_s: float, worker: str, *, only: Sequence[int] | None = None
    ) -> list[QueueItem]: ...
    async def give_back(self, workers: Sequence[str], now: float) -> int: ...


@dataclass(slots=True, eq=False)
class DeliveryRunner:
    """Run `run()` in one task; `poke()` when mail came in; `stop()` finishes what is in hand."""

    store: Queue
    routes: Routes
    carrier: Carrier
    results: Results
    clock: Callable[[], float]
    """Unix seconds."""
    settings: DeliverySettings = field(default_factory=DeliverySettings)
    worker: str = "delivery"
    """This process's name for its claims, the same after a restart."""
    gone: Sequence[str] = ()
    """Processes that may have been there before, and are no more: what they held falls due, too."""
    share: Share = field(default_factory=Share)
    """Which mail is this process's; `settings` are its part of what all processes may do together."""
    by_smarthost: Callable[[str], bool] | None = None
    """Does mail for this domain go through the smarthost? None: there is none."""
    in_hand: InHand | None = None
    """Where it stands what is worked on, for whoever starts after a death of this process."""
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Messages in hand at the last death are tried one at a time, so that the next one tells which it was."""
    _line: Line = field(default_factory=Line)
    _destinations: dict[Where, Destination] = field(default_factory=dict)
    _in_hand: int = 0
    """Copies claimed and not settled, but for those that only wait for a host that stalls."""
    _stalled: int = 0
    """These."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _places: Places = field(init=False)
    _woken: asyncio.Event = field(init=False)
    _passed: float = 1.0
    """Copies that were read for each that was taken in hand, at the last look back."""
    _full: bool = False
    """There was no room in hand at the last look."""
    _stopping: bool = False

    def __post_init__(self) -> None:
        self._places = Places(self.settings.at_once)
        self._woken = asyncio.Event()
        self.results.on_written = self._out_of_hand

    def poke(self) -> None:
        """New mail may be due: look at the queue now. Only from the loop's own thread."""
        self._line.woken()
        self._woken.set()

    def ask_again(self) -> None:
        """After a reload: a destination that was down, or where the password was wrong, is asked as soon as mail for it is due."""
        for there in self._destinations.values():
            there.reached()
        self.poke()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what is in hand is settled."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Until `stop`; cancelling breaks off what is in hand, which is then tried again after a restart."""
        try:
            await self._begin()
            self._line.woken()
            while not self._stopping:
                self._woken.clear()
                try:
                    more = await self._look()
                except StoreFailed as failure:
                    _LOG.error("the queue cannot be read: %s", failure)
                    self._line.start_over()
                    more = False
                if more:
                    await asyncio.sleep(0)  # a long line is read in many looks; mail goes out between
                else:
                    await self._nap()
            while self._tasks:
                await asyncio.wait(self._tasks)
            await self.results.written()
        finally:
            for task in self._tasks:
                task.cancel()
            self.results.end()

    async def _begin(self) -> None:
        """What this process held when it last ended falls due, and what those held that are gone."""
        while not self._stopping:
            try:
                await self.store.give_back((self.worker, *self.gone), self.clock())
            except StoreFailed as failure:
                _LOG.error("the queue cannot be read: %s", failure)
                await self._nap()
            else:
                return

    async def _nap(self) -> None:
        timer = asyncio.get_running_loop().call_later(self.settings.poll_s, self.poke)
        try:
            await self._woken.wait()
        finally:
            timer.cancel()

    # Taking in hand

    async def _look(self) -> bool:
        """Take in hand what is due and has a place; True when there may be more at once."""
        room = self._room()
        self._full = room < self._enough
        if self._full:
            return False
        if self.share.changed():
            self._line.start_over()
        look = self._line.next_look(lambda where: self._room_of(where) > 0)
        if look is None:
            return False
        now, limit = self.clock(), self._worth_reading(room) if look.back else max(room, _LOOK)
        found = self.store.due(now, start=look.start, end=look.end, limit=limit)
        places = [
            ((due, number), where)
            for due, number, to, message in found
            if self.share.may_have(message) and self.share.has(message, where := self._where(to))
        ]
        behind = set(self._line.behind)
        chosen = self._line.choose(
            look, places, last=found[-1][:2] if len(found) >= limit else None, others=len(places) < len(found),
            room_of=self._room_of, limit=room, now=now, seconds=monotonic(),
        )  # fmt: skip
        if look.back:
            numbers = [number for _, number, *_ in found]
            self._passed = (numbers.index(chosen[-1]) + 1) / len(chosen) if chosen else _LOOK
        if chosen:
            lease_s = self.settings.lease_s
            items = await self.store.claim(now, room, lease_s, self.worker, only=chosen)
            for there in self._take_in_hand(items):
                if there.where in behind:
                    there.refilled(monotonic())
                self._staff(there)
        return True

    def _worth_reading(self, room: int) -> int:
        """How many copies to look at to find those that have room now, of which some were passed over."""
        most = min(room, sum(map(self._room_of, self._line.behind)))
        return max(most, min(_LOOK, int(most * self._passed)))

    def _where(self, to: str) -> Where:
        where = self.routes.destination(address_of(to))
        if self.by_smarthost is None or not isinstance(where, Elsewhere):
            return where
        return SMARTHOST if self.by_smarthost(where.domain) else where

    def _room(self) -> int:
        return min(self.settings.in_hand - self._in_hand, _LOT)

    @property
    def _enough(self) -> int:
        """Less room than this is not worth a look."""
        return min(self.settings.in_hand, _LOT // 2)

    def _room_of(self, where: Hashable) -> int:
        there = self._destinations.get(where)  # type: ignore[call-overload]
        return _LOT if there is None else there.room()

    def _take_in_hand(self, items: Sequence[QueueItem]) -> list[Destination]:
        """The same message to the same destination goes at once; into a Maildir, or forwarded, each by itself."""
        groups: dict[tuple[Where, str, bool, Sequence[Change], int | None], list[QueueItem]] = {}
        for item in items:
            where = self._where(item.to)
            alone = item.id if isinstance(where, MaildirAt) or is_forwarded(item) else None
            groups.setdefault((where, item.ref, item.junk, item.changes, alone), []).append(item)
        self._in_hand += len(items)
        most = self.settings.recipients_per_transaction
        touched: dict[Destination, None] = {}
        for (where, *_), group in groups.items():
            there = self._destination(where)
            touched[there] = None
            for start in range(0, len(group), most):
                there.add(group[start : start + most])
        return list(touched)

    def _destination(self, where: Where) -> Destination:
        there = self._destinations.get(where)
        if there is None:
            if len(self._destinations) >= _KNOWN:
                self._forget_idle()
            crowd = max(1, self.settings.in_hand * 3 // 4)
            if isinstance(where, MaildirAt):
                window = Window(self.settings.at_once, self.settings.at_once)
            else:
                begin = part(BEGIN, self.share.number, self.share.of)
                window = Window(self.settings.at_once_per_destination, begin)
            there = Destination(where, self.settings.schedule, window, crowd)
            self._destinations[where] = there
        return there

    def _forget_idle(self) -> None:
        for where, there in list(self._destinations.items()):
            if not (there.running or there.waiting or there.failures):
                del self._destinations[where]

    # Each destination in its turn

    def _staff(self, there: Destination) -> None:
        """Let as many begin as it has places for."""
        for _ in range(there.places):
            there.running += 1
            task = asyncio.get_running_loop().create_task(self._serve(there))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, there: Destination) -> None:
        """One place at a destination: one group after the other, as long as there are any and it has the place."""
        try:
            while there.groups and there.running <= there.window.room:
                await self._attend(there, there.take())
                if there.where in self._line.behind and there.room():
                    self._woken.set()
                self._staff(there)
        finally:
            there.running -= 1

    async def _attend(self, there: Destination, group: Group) -> None:
        """One group, whatever happens on the way."""
        settled: set[int] = set()
        try:
            if self.share.left_to_another(there.where):
                for item in group:
                    self.results.not_now(item)
                    settled.add(item.id)
                return
            until = there.rests_until(self.clock(), others=there.running > 1)
            if until is not None:
                for item in group:
                    await self._put_back(there, item, until)
                    settled.add(item.id)
                return
            outcomes = await self._carry_with_care(there, group)
            self._learn(there, next((one.sent for one in outcomes if one.sent), None))
            for one in outcomes:
                await self.results.came(there.where, one)
                settled.add(one.item.id)
            self._out_of_hand(len(group) - len(outcomes))  # those that were held or taken out meanwhile
        except Exception:  # noqa: BLE001  # a bug of ours must not stop the mail of others
            _LOG.exception("delivery of %s broke off", group[0].ref)
            for item in group:
                if item.id not in settled:
                    self.results.after_a_bug(item)

    async def _carry_with_care(self, there: Destination, group: Group) -> list[Came]:
        """A message that was in hand at deaths of this process, one after the other, is held, so that other mail flows."""
        if self.in_hand is None:
            return await self._carry(there, group)
        ref = group[0].ref
        deaths = self.in_hand.deaths.get(ref, 0)
        if deaths >= _DEATHS:
            _LOG.error("%s is held: delivery died %d times in a row while it had it in hand", ref, deaths)
            del self.in_hand.deaths[ref]  # whoever lets it go again gives it three more
            return [Came(item, Hold(_KILLS.format(deaths=deaths))) for item in group]
        if not deaths:
            with self.in_hand.holding(ref):
                return await self._carry(there, group)
        async with self._alone:
            carrying = asyncio.ensure_future(self._carry_noted(there, group, self.in_hand))
            try:
                await asyncio.wait({carrying}, timeout=_ALONE_S)
            except asyncio.CancelledError:
                carrying.cancel()
                raise
        return await carrying

    async def _carry_noted(self, there: Destination, group: Group, in_hand: InHand) -> list[Came]:
        with in_hand.holding(group[0].ref):
            return await self._carry(there, group)

    async def _carry(self, there: Destination, group: Group) -> list[Came]:
        place = self._places.one(partial(self._takes_long, there, group))
        try:
            async with place:
                return await self.carrier.carry(there.where, group)
        finally:
            if place.slow:
                there.slow -= 1
                self._stalled -= len(group)
                self._in_hand += len(group)

    def _takes_long(self, there: Destination, group: Group) -> bool:
        """A transaction has lasted for long: it counts as in hand no more, as long as there are not too many of them."""
        if self._stalled + len(group) > _STALLED * self.settings.in_hand:
            return False
        there.slow += 1
        self._stalled += len(group)
        self._in_hand -= len(group)
        if there.stuck:  # what waits for it in hand goes back into the line, where it is in nobody's way
            while there.groups:
                for item in there.take():
                    self.results.not_now(item)
        if self._full:
            self._woken.set()
        return True

    async def _put_back(self, there: Destination, item: QueueItem, until: float) -> None:
        again = await self.results.put_back(there.where, item, until, there.last_words)
        if again is not None and (soon_s := again - self.clock()) < self.settings.poll_s:
            asyncio.get_running_loop().call_later(max(0.0, soon_s), self.poke)

    def _learn(self, there: Destination, sent: Sent | None) -> None:
        """What a try says of its destination: there, down, or busy with the others of ours."""
        if sent is None or not (
            sent.unreachable and all(one.result is Result.DEFERRED for one in sent.outcomes)
        ):
            there.reached()
            there.window.widen()
            if there.window.room == there.window.most:
                self.share.well(there.where)
        elif sent.outcomes[0].reply is not None and there.window.room > 1 and there.running > 1:
            there.window.narrow()  # it answers, only not so many of us at once
        else:
            there.window.narrow()
            self.share.in_trouble(there.where)
            if not self.share.left_to_another(there.where):
                there.not_reached(self.clock(), sent.outcomes[0].words)

    def _out_of_hand(self, count: int) -> None:
        self._in_hand -= count
        if self._full and self._room() >= self._enough:
            self._woken.set()

"""How many may talk to one destination at once, learnt from how it goes: a window that opens and closes, first come first served.

It opens by one with every transaction that comes through, twice as wide each round, up to the most that is allowed; after a
refusal of connections it halves, and from then on opens slowly. A destination that never answers keeps the few it began with.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType

BEGIN = 4
"""Transactions at once with a destination of which nothing is known."""


class Window:
    """`async with window:` around one transaction."""

    __slots__ = ("_room", "_waiting", "most", "narrowed", "running")

    def __init__(self, most: int, begin: int = BEGIN) -> None:
        self.most = most
        self.running = 0
        self.narrowed = False
        """It refused some: opened slowly since."""
        self._room = float(min(begin, most))
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def room(self) -> int:
        """How many may run at once now."""
        return int(self._room)

    def widen(self) -> None:
        """One came through."""
        if self._room < self.most:
            self._room = min(float(self.most), self._room + (1.0 / self._room if self.narrowed else 1.0))
            self._let_in()

    def narrow(self) -> None:
        """It turned one away while it talked to others, or one took far too long."""
        self._room = max(1.0, self._room / 2)
        self.narrowed = True

    async def __aenter__(self) -> None:
        if self.running < self.room and not self._waiting:
            self.running += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # let in and broken off at once: the place goes on
                self.running -= 1
                self._let_in()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.running -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self.running < self.room:
            place = self._waiting.popleft()
            if not place.done():
                self.running += 1
                place.set_result(None)

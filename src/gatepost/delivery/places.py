"""So many transactions at once, of all destinations together; one that takes long keeps its place from nobody.

A host that stalls, or answers slowly, holds a connection for minutes, which costs next to nothing. Were it counted, some
dozens of such hosts would stop the mail of everybody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from gatepost.net.timers import Timers

SLOW_S = 1.0


class Places:
    """`async with places.one(on_slow):` around one transaction."""

    def __init__(self, most: int, slow_s: float = SLOW_S) -> None:
        self._free = asyncio.Semaphore(most)
        self._slow: Timers[Place] = Timers(slow_s, Place.takes_long)

    def one(self, on_slow: Callable[[], bool]) -> Place:
        """`on_slow` is called when it takes long, and says whether its place is to be free again."""
        return Place(self._free, self._slow, on_slow)


class Place:
    """One of them."""

    __slots__ = ("_free", "_on_slow", "_timers", "slow")

    def __init__(self, free: asyncio.Semaphore, timers: Timers[Place], on_slow: Callable[[], bool]) -> None:
        self._free, self._timers, self._on_slow = free, timers, on_slow
        self.slow = False
        """It took long, and keeps its place from nobody."""

    async def __aenter__(self) -> Place:
        await self._free.acquire()
        self._timers.start(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timers.stop(self)
        if not self.slow:
            self._free.release()

    def takes_long(self) -> None:
        """It has lasted for so long."""
        self.slow = self._on_slow()
        if self.slow:
            self._free.release()

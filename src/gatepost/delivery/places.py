"""So many transactions at once, of all destinations together; one that takes long keeps its place from nobody.

A host that stalls, or answers slowly, holds a connection for minutes, which costs next to nothing. Were it counted, some
dozens of such hosts would stop the mail of everybody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

SLOW_S = 1.0


class Places:
    """`async with places.one(on_slow):` around one transaction."""

    def __init__(self, most: int, slow_s: float = SLOW_S) -> None:
        self._free = asyncio.Semaphore(most)
        self._slow_s = slow_s

    def one(self, on_slow: Callable[[], bool]) -> Place:
        """`on_slow` is called when it takes long, and says whether its place is to be free again."""
        return Place(self._free, self._slow_s, on_slow)


class Place:
    """One of them."""

    __slots__ = ("_free", "_on_slow", "_slow_s", "_timer", "slow")

    def __init__(self, free: asyncio.Semaphore, slow_s: float, on_slow: Callable[[], bool]) -> None:
        self._free, self._slow_s, self._on_slow = free, slow_s, on_slow
        self.slow = False
        """It took long, and keeps its place from nobody."""
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Place:
        await self._free.acquire()
        self._timer = asyncio.get_running_loop().call_later(self._slow_s, self._takes_long)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.slow:
            self._free.release()

    def _takes_long(self) -> None:
        self.slow = self._on_slow()
        if self.slow:
            self._free.release()

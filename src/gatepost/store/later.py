"""Do something soon, once, however often it is asked for: how what need not be durable is written in batches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


class Later:
    """Runs `flush` at most `delay_s` seconds after the first `soon()`; what comes meanwhile joins it."""

    def __init__(self, flush: Callable[[], Awaitable[None]], delay_s: float) -> None:
        self._flush = flush
        self._delay_s = delay_s
        self._task: asyncio.Task[None] | None = None
        self._now = asyncio.Event()

    def soon(self) -> None:
        """There is something to flush. Must be called in the event loop; does not block."""
        if self._task is None:
            self._now.clear()
            self._task = asyncio.get_running_loop().create_task(self._wait(), name="store-later")

    async def finish(self) -> None:
        """Flush what waits now."""
        while self._task is not None:
            self._now.set()
            await asyncio.shield(self._task)

    async def _wait(self) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._now.wait(), self._delay_s)
        finally:
            self._task = None
        await self._flush()

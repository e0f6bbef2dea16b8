"""Timers that all run equally long, with one timer of the event loop behind them.

Nearly all of them are stopped long before they ring. To make and to cancel a timer of the loop for each message, several
times over, costs more than what is measured with it; an entry in a dict costs next to nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Timers(Generic[T]):
    """Rings for each of `start` that was not stopped within `seconds`."""

    def __init__(self, seconds: float, ring: Callable[[T], None]) -> None:
        """`ring` gets what was started; whatever is started must be hashable."""
        self.seconds = seconds
        self._ring = ring
        self._ends: dict[T, float] = {}
        """When each of them rings, by the loop's clock: as all run equally long, in this order."""
        self._timer: asyncio.TimerHandle | None = None
        """Rings no later than the first of them."""

    def start(self, one: T) -> None:
        """From now on; it does not run yet."""
        loop = asyncio.get_running_loop()
        self._ends[one] = end = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(end, self._look)

    def stop(self, one: T) -> None:
        """It will not ring, if it has not."""
        self._ends.pop(one, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        while self._ends:
            one, end = next(iter(self._ends.items()))
            if end > now:
                if self._timer is None:
                    self._timer = loop.call_at(end, self._look)
                return
            del self._ends[one]
            self._ring(one)


class Limits:
    """`with limits.one():` around what may take so long, as `asyncio.timeout` is: TimeoutError when it took longer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._timers: Timers[Limit] = Timers(seconds, Limit.ring)

    def one(self) -> Limit:
        """For one use, in one task."""
        return Limit(self._timers)


class Limit:
    """One of them."""

    __slots__ = ("_cancelling", "_rang", "_task", "_timers")

    def __init__(self, timers: Timers[Limit]) -> None:
        self._timers = timers
        self._rang = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._timers.start(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._rang:
            self._timers.stop(self)
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error  # nobody else wants it to end

    def ring(self) -> None:
        """It took too long."""
        self._rang = True
        self._task.cancel()

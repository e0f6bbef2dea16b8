"""How often each may call: a bucket for each caller that fills again with time."""

from __future__ import annotations

from collections.abc import Callable

MOST_CALLERS = 10_000
"""Remembered; the longest silent go first."""


class Pace:
    """`burst` calls at once, and `each_s` seconds for one more."""

    def __init__(self, *, burst: int, each_s: float, monotonic: Callable[[], float]) -> None:
        self._burst = burst
        self._each_s = each_s
        self._monotonic = monotonic
        self._empty_at: dict[str, float] = {}
        """Until when a caller has used up what it may, as a time: earlier is better."""

    def wait_s(self, caller: str, *, cost: int = 1) -> float:
        """Seconds to wait before this call is taken; 0 takes it. A call that must wait costs nothing."""
        now = self._monotonic()
        used_until = max(self._empty_at.pop(caller, now), now)
        wait = used_until + cost * self._each_s - now - self._burst * self._each_s
        if wait > 0:
            self._empty_at[caller] = used_until
            return wait
        self._empty_at[caller] = used_until + cost * self._each_s
        while len(self._empty_at) > MOST_CALLERS:
            del self._empty_at[next(iter(self._empty_at))]
        return 0.0

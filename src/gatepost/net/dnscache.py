"""Answers remembered for as long as their TTL says, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

from gatepost.dns.answer import Answer

Key = tuple[str, str]
"""Name (lower case, no final dot) and type."""


class AnswerCache:
    """At most `entries` answers. What is asked for stays: two generations, and a hit in the old one moves to
    the young one, so that a hit costs one dictionary look-up and nothing is ever sorted."""

    __slots__ = ("_clock", "_half", "_old", "_young")

    def __init__(self, *, entries: int, clock: Callable[[], float]) -> None:
        self._half = max(1, entries // 2)
        self._clock = clock
        self._young: dict[Key, tuple[Answer, float]] = {}
        self._old: dict[Key, tuple[Answer, float]] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: Key) -> Answer | None:
        """The answer, or None when unknown or expired."""
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.pop(key, None)
            if entry is None:
                return None
            self._put(key, entry)
        answer, expires = entry
        if expires > self._clock():
            return answer
        del self._young[key]
        return None

    def put(self, key: Key, answer: Answer, *, ttl_s: float) -> None:
        """Remember for `ttl_s`."""
        if ttl_s > 0:
            self._old.pop(key, None)
            self._put(key, (answer, self._clock() + ttl_s))

    def clear(self) -> None:
        """Forget everything."""
        self._young.clear()
        self._old.clear()

    def _put(self, key: Key, entry: tuple[Answer, float]) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = entry

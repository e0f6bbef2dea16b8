"""Which part of the mail one of several delivering processes sees to, and how they agree on it.

A message is one process's, by its number: nothing is written down for that, nobody is asked, and all processes have about the
same to do. Each gets its part of every bound, so that together they never go beyond it. That needs no agreement to be safe
either: a copy is claimed by one process alone, whoever was meant to. A destination in trouble (down, or with fewer connections
to give than we have processes) is seen to by one process alone until it is well again: so it is asked as seldom as one process
would, and nobody waits in vain for a connection that another one of ours holds.
"""

from __future__ import annotations

import mmap
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from zlib import crc32

from gatepost.delivery.settings import DeliverySettings

MARKS = 4096
"""Two destinations that share a mark share one process in the trouble of one of them."""


class Troubled:
    """The destinations in trouble, marked in memory that all processes made after this share; it outlives each of them."""

    def __init__(self) -> None:
        self._marks = mmap.mmap(-1, MARKS)

    def seen(self) -> bytes:
        """All of it, to see whether it has changed."""
        return self._marks[:]

    def marked(self, mark: int) -> bool:
        """Is one process alone to see to it?"""
        return self._marks[mark] != 0

    def mark(self, mark: int, *, troubled: bool) -> None:
        """So it is from now on, for all processes."""
        self._marks[mark] = int(troubled)


@dataclass(slots=True)
class Share:
    """Of process `number` (from 0) of `of`, which have `troubled` in common."""

    number: int = 0
    of: int = 1
    troubled: Troubled = field(default_factory=Troubled)
    _seen: bytes = bytes(MARKS)
    _any: bool = False
    """Some destination is in trouble, as far as this process has looked."""

    def changed(self) -> bool:
        """Was any destination's trouble begun, or over, since the last call? Then mail may be ours that was not."""
        if self.of == 1 or (now := self.troubled.seen()) == self._seen:
            return False
        self._seen, self._any = now, any(now)
        return True

    def may_have(self, message: int) -> bool:
        """Can it be ours at all? Saves the look where it goes; after `changed`."""
        return message % self.of == self.number or self._any

    def has(self, message: int, where: Hashable) -> bool:
        """Is a message's copy to `where` for us to deliver?"""
        if self.of == 1:
            return True
        mark = mark_of(where)
        return (mark if self.troubled.marked(mark) else message) % self.of == self.number

    def left_to_another(self, where: Hashable) -> bool:
        """Does another process alone see to that destination now?"""
        if not self._any:
            return False
        mark = mark_of(where)
        return self.troubled.marked(mark) and mark % self.of != self.number

    def in_trouble(self, where: Hashable) -> None:
        """Nobody was there, or there was no room for us."""
        if self.of > 1:
            self._any = True
            self.troubled.mark(mark_of(where), troubled=True)

    def well(self, where: Hashable) -> None:
        """It takes all that one process may give it: the others may come, too."""
        if self._any and not self.left_to_another(where):
            self.troubled.mark(mark_of(where), troubled=False)


@lru_cache(maxsize=MARKS)
def mark_of(where: Hashable) -> int:
    """The same in every process."""
    return crc32(repr(where).encode("utf-8", "backslashreplace")) % MARKS


def part(whole: int, number: int, of: int) -> int:
    """Of a bound: all parts together are the whole, or at least 1 each."""
    return max(min(whole, 1), whole // of + (number < whole % of))


def part_of(settings: DeliverySettings, number: int, of: int) -> DeliverySettings:
    """The settings of process `number` of `of`: its part of what all of them may do together."""
    return replace(
        settings,
        at_once=part(settings.at_once, number, of),
        at_once_per_destination=part(settings.at_once_per_destination, number, of),
        in_hand=part(settings.in_hand, number, of),
        notices_per_hour=part(settings.notices_per_hour, number, of),
    )


def processes(settings: DeliverySettings, *, cores: int) -> int:
    """How many deliver: as many as set, but none that would have to go beyond a bound to get a place."""
    wanted = settings.processes or min(MOST_BY_ITSELF, max(1, cores))
    return max(1, min(wanted, settings.at_once_per_destination, settings.at_once, settings.in_hand))


MOST_BY_ITSELF = 2
"""Where it is left to the gate (0): two deliver more than nearly anybody receives, and each takes memory."""

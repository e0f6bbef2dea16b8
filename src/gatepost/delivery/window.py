"""How many may talk to one destination at once, learnt from how it goes: a window that opens and closes. Pure.

It opens by one with every transaction that comes through, twice as wide each round, up to the most that is allowed; after a
refusal of connections it halves, and from then on opens slowly. A destination that never answers keeps the few it began with.
"""

from __future__ import annotations

BEGIN = 4
"""Transactions at once with a destination of which nothing is known."""


class Window:
    """One destination's."""

    __slots__ = ("_room", "most", "narrowed")

    def __init__(self, most: int, begin: int = BEGIN) -> None:
        self.most = most
        self.narrowed = False
        """It refused some: opened slowly since."""
        self._room = float(min(begin, most))

    @property
    def room(self) -> int:
        """How many may run at once now."""
        return int(self._room)

    def widen(self) -> None:
        """One came through."""
        if self._room < self.most:
            self._room = min(float(self.most), self._room + (1.0 / self._room if self.narrowed else 1.0))

    def narrow(self) -> None:
        """It turned one away while it talked to others."""
        self._room = max(1.0, self._room / 2)
        self.narrowed = True

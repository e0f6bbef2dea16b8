"""Where to look in the line of what is due, so that nobody waits behind a destination that has enough in hand. Pure.

The line is read from the front. A copy whose destination has enough in hand already is passed over, nothing is written for
it, and the place of the first one is remembered for each destination: there its mail is taken up again as soon as it has room.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

Place = tuple[float, int]
"""Of a copy in the line: when it falls due (Unix seconds), its number."""
LATE_S = 60.0
"""A commit may be so much later than the time written in it: the last minute of the line is looked at again and again."""
_PASSED = -1
"""One was passed over, and is not overtaken by those behind it."""
AFRESH_S = 60.0
"""How often all of it is looked at again, whatever is believed of it."""


@dataclass(frozen=True, slots=True)
class Look:
    """A part of the line to be read."""

    start: Place | None
    """The first place in it; None is the front."""
    end: Place | None
    """The first place behind it; None is the end."""
    back: bool = False
    """It was looked at before, and some were passed over in it."""


@dataclass(slots=True)
class Line:
    """What has been looked at, and who was passed over where."""

    behind: dict[Hashable, Place] = field(default_factory=dict)
    """Destination -> the first of its copies that was passed over."""
    _onward: Place | None = None
    """Everything in front of this place was looked at."""
    _ended: bool = False
    _afresh_at: float = 0.0
    _others: bool = False
    """What was looked at since the front has copies that other processes deliver."""
    _went_back: bool = False

    def woken(self) -> None:
        """Something may have come, or fallen due."""
        self._ended = False

    def start_over(self) -> None:
        """Forget what was seen."""
        self._onward, self._ended, self._others = None, False, False
        self.behind.clear()

    def next_look(self, has_room: Callable[[Hashable], bool]) -> Look | None:
        """Back to those who were passed over and have room now, and onward, by turns; None when there is nothing to see."""
        back = min((place for where, place in self.behind.items() if has_room(where)), default=None)
        if back is not None and (self._ended or not self._went_back):
            self._went_back = True
            return Look(back, None if self._ended else self._onward, back=True)
        self._went_back = False
        return None if self._ended else Look(self._onward, None)

    def choose(
        self,
        look: Look,
        copies: Sequence[tuple[Place, Hashable]],
        *,
        last: Place | None = None,
        others: bool = False,
        room_of: Callable[[Hashable], int],
        limit: int,
        now: float,
        seconds: float,
    ) -> list[int]:
        """The numbers of the copies to take in hand.

        `copies` are place and destination of what was found from `look.start` on, in order; `last` is where reading stopped, None
        when it came to the end; `others`: other processes' copies were among them. `room_of` says how many more a destination may have in hand, `now` is Unix time, `seconds` a clock of any epoch.
        """
        end = look.end if last is None else after(last)
        self._others |= others
        seen = [
            where
            for where, place in self.behind.items()
            if (look.start is None or place >= look.start) and (end is None or place < end) and room_of(where)
        ]
        for where in seen:
            del self.behind[where]
        chosen: list[int] = []
        room: dict[Hashable, int] = {}
        for place, where in copies:
            left = room.get(where)
            if left is None:
                left = 0 if where in self.behind else room_of(where)
            elif left == _PASSED:
                continue
            if left > 0 and len(chosen) < limit:
                chosen.append(place[1])
                room[where] = left - 1
            else:
                room[where] = _PASSED
                self.behind.setdefault(where, place)
        if not look.back:
            self._go_on(end, now=now, seconds=seconds)
        elif last is not None:  # of these there may be more in the rest of it
            for where in seen:
                self.behind.setdefault(where, after(last))
        return chosen

    def _go_on(self, end: Place | None, *, now: float, seconds: float) -> None:
        if end is not None:
            self._onward = end
            return
        self._ended = True
        if not self.behind and not self._others:
            self._onward = None
        elif seconds >= self._afresh_at:
            self._onward, self._others, self._afresh_at = None, False, seconds + AFRESH_S
        else:
            self._onward = (now - LATE_S, 0)


def after(place: Place) -> Place:
    """The next one that there can be."""
    return place[0], place[1] + 1

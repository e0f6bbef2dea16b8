"""One destination as this process knows it: what waits for it in hand, how many talk to it, whether it is down. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gatepost.delivery.routes import Destination as Where
from gatepost.delivery.settings import ScheduleSettings
from gatepost.delivery.window import BEGIN, Window
from gatepost.store.records import QueueItem

Group = Sequence[QueueItem]
"""Copies that go in one transaction."""
SHARE_LEAST = 2 * BEGIN
QUICK_S = 0.5
"""Whoever is through with its share so soon gets twice as much the next time."""
IDLE_S = 5.0


@dataclass(slots=True, eq=False)
class Destination:
    """Where mail goes, and how that goes."""

    where: Where
    settings: ScheduleSettings
    window: Window
    most: int
    """Copies that may wait here at the same time, at most."""
    groups: deque[Group] = field(default_factory=deque)
    """What waits for its turn."""
    waiting: int = 0
    """Copies in `groups`."""
    running: int = 0
    """Those who talk to it."""
    slow: int = 0
    """Of these, those who have for longer than `places.SLOW_S`."""
    failures: int = 0
    """Tries in a row that found nobody."""
    resting_until: float = 0.0
    last_words: str = ""
    share: int = SHARE_LEAST
    """Copies that may wait here now: as many as it is through with in a moment, so that those who stall hoard nothing."""
    _shared_at: float = 0.0

    def room(self) -> int:
        """How many more copies to take in hand for it; 0 until half of what it may have is gone, and while all its places stall."""
        share = min(max(self.share, 2 * self.window.room), self.most)
        return share - self.waiting if self.waiting <= share // 2 and not self.stuck else 0

    def add(self, group: Group) -> None:
        """It waits for its turn."""
        self.groups.append(group)
        self.waiting += len(group)

    def take(self) -> Group:
        """The next one whose turn it is."""
        group = self.groups.popleft()
        self.waiting -= len(group)
        return group

    def refilled(self, seconds: float) -> None:
        """It got more of what waited for it in the queue; `seconds` of a clock of any epoch."""
        since = seconds - self._shared_at
        self._shared_at = seconds
        if since < QUICK_S:
            self.share = min(self.share * 2, self.most)
        elif since > IDLE_S:
            self.share = max(self.share // 2, min(SHARE_LEAST, self.most))

    @property
    def stuck(self) -> bool:
        """All its places are taken by transactions that take long."""
        return self.slow > 0 and self.slow >= self._at_once

    @property
    def places(self) -> int:
        """How many more may begin to talk to it now."""
        return max(0, min(self._at_once - self.running, len(self.groups)))

    @property
    def _at_once(self) -> int:
        return 1 if self.failures else self.window.room

    def rests_until(self, now: float, *, others: bool) -> float | None:
        """Until when nobody may ask it; None when it may be asked. When it was down, one at a time may."""
        if not self.failures:
            return None
        if now < self.resting_until:
            return self.resting_until
        return now + self.settings.destination_pause_s if others else None

    def reached(self) -> None:
        """Somebody was there."""
        self.failures, self.resting_until = 0, 0.0

    def not_reached(self, now: float, words: str) -> None:
        """Nobody was there."""
        if now < self.resting_until:
            return
        doublings = min(self.failures, 20)
        self.failures += 1
        self.last_words = words
        pause = self.settings.destination_pause_s * 2.0**doublings
        self.resting_until = now + min(pause, self.settings.destination_pause_longest_s)

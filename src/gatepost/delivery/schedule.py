"""When to try again, when to give up, and when a destination may be asked (RFC 5321 §4.5.4.1). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost.delivery.settings import ScheduleSettings


def next_attempt(
    settings: ScheduleSettings,
    *,
    retry_first_s: float,
    attempts: int,
    created_at: float,
    now: float,
    jitter: float,
) -> float | None:
    """When to try next after `attempts` tries (at least 1), in Unix seconds; None: give up.

    `jitter` in 0..1 spreads the wait by a quarter either way. The last try falls on the end of patience.
    """
    end = created_at + settings.give_up_s
    if now >= end:
        return None
    doublings = min(max(attempts - 1, 0), 30)
    wait = min(retry_first_s * 2.0**doublings, settings.retry_longest_s)
    return min(now + wait * (0.75 + 0.5 * jitter), end)


def delay_is_due(settings: ScheduleSettings, *, created_at: float, now: float, told: bool) -> bool:
    """Is the sender to be told now that the message still waits?"""
    return not told and now - created_at >= settings.delay_notice_s


@dataclass(slots=True)
class Destination:
    """One destination's state in this process: how many talk to it, and whether it is down."""

    settings: ScheduleSettings
    at_once: int
    crowd: int = 1000
    """So many may wait here before others are sent back into the queue."""
    running: int = 0
    waiting: int = 0
    failures: int = 0
    """Tries in a row that found nobody."""
    resting_until: float = 0.0
    last_words: str = ""
    pace_s: float = 0.01
    """Seconds a transaction takes, a moving average."""
    outside: set[int] = field(default_factory=set)
    """The copies sent back into the queue, by their number there."""

    def rests_until(self, now: float) -> float | None:
        """Until when nobody may ask it; None when it may be asked. When it was down, one at a time may."""
        if not self.failures:
            return None
        if now < self.resting_until:
            return self.resting_until
        if self.running or self.waiting:
            return now + self.settings.destination_pause_s
        return None

    def crowded_until(self, item: int, now: float) -> float | None:
        """When this copy is to come back because enough wait here already; None when there is room.

        Those sent back come one after the other, twice as fast as the destination takes mail: coming too
        early costs another round, coming too late leaves it idle.
        """
        self.outside.discard(item)
        if self.waiting < self.crowd:
            return None
        self.outside.add(item)
        ahead = self.waiting + len(self.outside)
        return now + min(0.25 + ahead * self.pace_s / self.at_once / 2, 600.0)

    def reached(self, seconds: float) -> None:
        """Somebody was there, and it took so long."""
        self.failures, self.resting_until = 0, 0.0
        self.pace_s += (seconds - self.pace_s) / 8

    def not_reached(self, now: float, words: str) -> None:
        """Nobody was there."""
        if now < self.resting_until:
            return
        doublings = min(self.failures, 20)
        self.failures += 1
        self.last_words = words
        pause = self.settings.destination_pause_s * 2.0**doublings
        self.resting_until = now + min(pause, self.settings.destination_pause_longest_s)

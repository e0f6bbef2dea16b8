"""What is counted for the metrics: a dictionary in each process, written behind into one table of sums.

Counting costs an addition in a dictionary; every few seconds the differences are added to counters in memory
(`tools.Memory`), so that the sums of all processes are one and go on after a restart. A crash loses seconds.
A key is ``tally:`` and words with ``|`` between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

from gatepost.mail.verdict import Action
from gatepost.store.records import HistoryEntry
from gatepost.tools import Memory

PREFIX = "tally:"
KEPT_S = 10 * 365 * 86_400.0
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histograms' buckets, in seconds; everything above falls into one more."""
TIMED = ("authentication", "total")
MOST_RULES = 500
"""Different words counted in one process; the names of rules are ours, yet nothing here may grow without end."""


class Tallies:
    """One process's counts since they were last written."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, key: str, amount: int = 1) -> None:
        """Add to what is counted under ``word|word|…``."""
        counts = self._counts
        if key in counts:
            counts[key] += amount
        elif len(counts) < MOST_RULES:
            counts[key] = amount

    def entry(self, entry: HistoryEntry) -> None:
        """Count a message, a refused attempt or a session that was turned down."""
        role = entry.client.role
        if entry.kind != "message":
            rule = entry.judged[0].verdict.rule if entry.judged else entry.kind
            self.add(f"refused|{entry.kind}|{rule}|{role}")
            return
        for judged in entry.judged:
            verdict = judged.verdict
            self.add(f"message|{verdict.action.value}|{role}")
            if verdict.action in (Action.REFUSE, Action.DEFER):
                self.add(f"refused|message|{verdict.rule}|{role}")
            elif verdict.would_action is not verdict.action:
                self.add(f"would|{verdict.would_action.value}|{verdict.rule}")
        for stage in TIMED:
            took_ms = entry.milliseconds.get(stage)
            if took_ms is not None:
                self.add(f"bucket|{stage}|{bisect_left(BUCKETS_S, took_ms / 1000)}")
                self.add(f"microseconds|{stage}", int(took_ms * 1000))

    async def write(self, memory: Memory) -> None:
        """Add everything to the sums of all processes."""
        counts, self._counts = self._counts, {}
        for key, amount in counts.items():
            await memory.add(PREFIX + key, amount, ttl_s=KEPT_S)


class Differences:
    """Turns counters that others keep into additions: what a resolver asked, what delivery did."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies
        self._last: dict[str, int] = {}

    def add(self, totals: Mapping[str, int]) -> dict[str, int]:
        """Count what has come to each total since the last call, and return that."""
        more = {key: total - self._last.get(key, 0) for key, total in totals.items()}
        self._last.update(totals)
        for key, amount in more.items():
            if amount > 0:
                self._tallies.add(key, amount)
        return more

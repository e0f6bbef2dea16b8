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
BUCKETS_MS = tuple(bound * 1000 for bound in BUCKETS_S)
BUCKET_NAMES = tuple(str(number) for number in range(len(BUCKETS_S) + 1))
TIMED = ("authentication", "total")
MOST_WORDS = 500
"""Different words counted in one process; the names of rules are ours, yet nothing here may grow without end."""


class Tallies:
    """One process's counts since they were last written."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, *words: str, amount: int = 1) -> None:
        """Add to what is counted under these words."""
        counts = self._counts
        if words in counts:
            counts[words] += amount
        elif len(counts) < MOST_WORDS:
            counts[words] = amount

    def entry(self, entry: HistoryEntry) -> None:
        """Count a message, a refused attempt or a session that was turned down."""
        add, role = self.add, entry.client.role
        if entry.kind != "message":
            rule = entry.judged[0].verdict.rule if entry.judged else entry.kind
            add("refused", entry.kind, rule, role)
            return
        for judged in entry.judged:
            verdict = judged.verdict
            action = verdict.action
            add("message", action, role)
            if action is Action.REFUSE or action is Action.DEFER:
                add("refused", "message", verdict.rule, role)
            elif verdict.would_action is not action:
                add("would", verdict.would_action, verdict.rule)
        times = entry.milliseconds
        for stage in TIMED:
            if stage in times:
                add("bucket", stage, BUCKET_NAMES[bisect_left(BUCKETS_MS, times[stage])])
                add("microseconds", stage, amount=int(times[stage] * 1000))

    async def write(self, memory: Memory) -> None:
        """Add everything to the sums of all processes."""
        counts, self._counts = self._counts, {}
        for words, amount in counts.items():
            await memory.add(PREFIX + "|".join(words), amount, ttl_s=KEPT_S)


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
                self._tallies.add(*key.split("|"), amount=amount)
        return more

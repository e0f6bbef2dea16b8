"""How much came, by the hour: counted with every entry of history, in the same commit, so that no page counts a million rows.

Counters name nobody; they outlive the history they were counted from. Of all messages that share a commit, what counts the
same is added up first: the most common counters are the same rows for each of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Sums
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log
from typing import TypeAlias

from gatepost.mail.finding import Finding
from gatepost.mail.verdict import SEVERITY, Action
from gatepost.store.database import Connection
from gatepost.store.records import HistoryEntry

Counter: TypeAlias = tuple[str, int, str]
"""What is counted, in which hour (Unix seconds / 3600), and its key."""

HOUR_S = 3600
SCORE_STEP = 0.5
SCORE_ENDS = 15.0
"""Scores beyond count at the ends."""
SURE_DIGITS = 6
"""Digits that a finding tells of a probability."""
LATENCY_MS = (
    1,
    2,
    3,
    5,
    7.5,
    10,
    15,
    20,
    30,
    50,
    75,
    100,
    150,
    200,
    300,
    500,
    1000,
    2000,
    5000,
    10000,
    30000,
)
"""Upper bounds of the buckets; what took longer falls into one more."""
HITS = {"dnsbl.listed": "hit", "surbl.listed": "hit", "dnsbl.welcome": "welcome", "surbl.welcome": "welcome"}
ASKED = frozenset({"dnsbl.asked", "surbl.asked"})
KNOWN = frozenset({"correspondents.known", "correspondents.replied"})
"""A listed sender that DMARC proved and with whom we correspond contradicts the list."""


def counters(entry: HistoryEntry, action: str) -> list[Counter]:
    """The counters that one entry of history adds one to; `action` is its strictest."""
    hour = int(entry.at // HOUR_S)
    return [(what, hour, key) for what, key in _counted(entry, action)]


def count(connection: Connection, together: Iterable[Sequence[Counter]]) -> None:
    """Add what several entries count, once for each counter."""
    sums = Sums(counter for counters in together for counter in counters)
    connection.executemany(
        "INSERT INTO numbers VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET n = n + ?4",
        [(*counter, times) for counter, times in sums.items()],
    )


def _counted(entry: HistoryEntry, action: str) -> Iterator[tuple[str, str]]:
    yield "verdict", f"{entry.kind}|{action}"
    if not entry.judged:
        return
    verdict = max((one.verdict for one in entry.judged), key=lambda one: SEVERITY.get(one.action, 4))
    yield "rule", f"{action}|{verdict.rule[:100]}"
    yield from _of_lists([one.finding for one in verdict.weighed])
    if entry.kind != "message":
        return
    yield "score", bucket(verdict.score)
    total = entry.milliseconds.get("total")
    if total is not None:
        yield "ms", str(bisect_left(LATENCY_MS, total))
    for weighed in verdict.weighed:
        if weighed.finding.name.startswith("spam."):
            measured = opinion_in(weighed.finding)
            if measured is not None:
                yield "classifier", bucket(measured)
                break


def opinion_in(finding: Finding) -> float | None:
    """The classifier's own opinion in log-odds, before the settings cut its weight; None of one that does not count yet."""
    measured = finding.evidence.get("log_odds")
    if not isinstance(measured, int | float):
        return None
    probability = finding.evidence.get("probability")
    if not isinstance(probability, int | float):
        return measured
    certain = 10**-SURE_DIGITS
    inside = min(max(float(probability), certain), 1 - certain)
    return log(inside / (1 - inside))


def _of_lists(findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    hits: set[tuple[str, str]] = set()
    contradicted: bool | None = None
    for finding in findings:
        name = finding.name
        if name in ASKED:
            lists = finding.evidence.get("lists")
            if isinstance(lists, list) and lists:
                yield "list", f"asked|{' '.join(lists)[:2000]}"
        elif name in HITS and (name, finding.source) not in hits:
            hits.add((name, finding.source))
            yield "list", f"{HITS[name]}|{finding.source}"
            if contradicted is None:
                names = {one.name for one in findings}
                contradicted = "dmarc.pass" in names and not KNOWN.isdisjoint(names)
            if contradicted and HITS[name] == "hit":
                yield "list", f"contradicted|{finding.source}"


def bucket(score: float) -> str:
    """The lower end of the step a score falls into, as text."""
    inside = max(-SCORE_ENDS, min(SCORE_ENDS - SCORE_STEP, score))
    return f"{floor(inside / SCORE_STEP) * SCORE_STEP:g}"


# Reading


def by_hour(connection: Connection, *, since: float, until: float) -> dict[tuple[int, str, str], int]:
    """Entries of whole hours: {(hour, kind, action): number}."""
    found = {}
    for hour, key, number in connection.execute(
        "SELECT hour, key, n FROM numbers WHERE what = 'verdict' AND hour >= ? AND hour < ?",
        span(since, until),
    ):
        kind, _, action = key.partition("|")
        found[hour, kind, action] = number
    return found


def totals(connection: Connection, what: str, *, since: float, until: float) -> dict[str, int]:
    """All hours together, by key."""
    rows = connection.execute(
        "SELECT key, sum(n) FROM numbers WHERE what = ? AND hour >= ? AND hour < ? GROUP BY key",
        (what, *span(since, until)),
    )
    return {key: int(number) for key, number in rows}


def top_rules(
    connection: Connection, *, since: float, until: float, actions: Sequence[Action], limit: int = 10
) -> list[tuple[str, int]]:
    """The rules that decided most often for one of these actions, with how often."""
    counted: Sums[str] = Sums()
    wanted = {action.value for action in actions}
    for key, number in totals(connection, "rule", since=since, until=until).items():
        action, _, rule = key.partition("|")
        if action in wanted:
            counted[rule] += number
    return sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNumbers:
    """What one DNS list did."""

    name: str
    asked: int
    hit: int
    contradicted: int
    """Hits on mail whose author DMARC proved and with whom we correspond."""


def lists(connection: Connection, *, since: float, until: float) -> list[ListNumbers]:
    """Every list that was asked, the busiest first."""
    asked: Sums[str] = Sums()
    hit: Sums[str] = Sums()
    contradicted: Sums[str] = Sums()
    for key, number in totals(connection, "list", since=since, until=until).items():
        word, _, names = key.partition("|")
        for name in names.split():
            {"asked": asked, "contradicted": contradicted}.get(word, hit)[name] += number
    found = [
        ListNumbers(name=name, asked=asked[name], hit=hit[name], contradicted=contradicted[name])
        for name in asked.keys() | hit.keys()
    ]
    return sorted(found, key=lambda one: (-one.hit, -one.asked, one.name))


def latency(
    connection: Connection, *, since: float, until: float, parts: Sequence[float] = (0.5, 0.95, 0.99)
) -> dict[int, tuple[float, ...]]:
    """Milliseconds from the end of data to the decision, by hour: the upper bound of the bucket each part falls into."""
    hours: dict[int, dict[int, int]] = {}
    for hour, key, number in connection.execute(
        "SELECT hour, key, n FROM numbers WHERE what = 'ms' AND hour >= ? AND hour < ?", span(since, until)
    ):
        hours.setdefault(hour, {})[int(key)] = number
    return {hour: tuple(part_of(buckets, part) for part in parts) for hour, buckets in sorted(hours.items())}


def part_of(buckets: Mapping[int, int], part: float) -> float:
    """The bound below which this part of all lies."""
    wanted, passed = part * sum(buckets.values()), 0
    for place in sorted(buckets):
        passed += buckets[place]
        if passed >= wanted:
            return float(LATENCY_MS[min(place, len(LATENCY_MS) - 1)])
    return 0.0


def span(since: float, until: float) -> tuple[int, int]:
    """The hours that begin in this time, and the one it begins in."""
    return int(since // HOUR_S), int(-(-until // HOUR_S))


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` counters of hours that ended before."""
    rows = connection.execute(
        "DELETE FROM numbers WHERE (what, hour, key) IN (SELECT what, hour, key FROM numbers WHERE hour < ? LIMIT ?)",
        (int(before // HOUR_S), limit),
    )
    return int(rows.rowcount)

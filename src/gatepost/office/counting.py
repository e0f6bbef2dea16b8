"""How much came and what became of it: everything that charts show, out of the counters of `store/numbers.py`.

A search that names somebody is counted from the messages themselves, bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gatepost.access.rights import Actor, Right
from gatepost.mail.verdict import Action
from gatepost.office.looking import NOT_HERE, insist
from gatepost.office.office import NotAllowed
from gatepost.store import numbers
from gatepost.store.database import Connection
from gatepost.store.history import Search
from gatepost.store.numbers import HOUR_S, ListNumbers
from gatepost.store.searching import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Messages by hour and what became of them, for a chart."""

    hours: Sequence[int]
    """Unix seconds / 3600, each of the time asked for."""
    by_action: dict[str, list[int]]
    """deliver, junk, quarantine, refuse, defer, and turned (never became a message) -> one number for each hour."""
    counted: int
    whole: bool = True
    """False: only the newest were counted."""

    def total(self, name: str) -> int:
        """Of all hours."""
        return sum(self.by_action[name])


ACTIONS = ("deliver", "junk", "quarantine", "refuse", "defer", "turned")


def hours(
    connection: Connection, actor: Actor, *, since: float, until: float, wanted: Search | None = None
) -> Hours:
    """Counted from the counters; a search that names somebody is counted from the messages, the newest of them."""
    if not (actor.may(Right.OVERVIEW) or actor.may(Right.MESSAGES)):
        raise NotAllowed(NOT_HERE)
    first, last = numbers.span(since, until)
    places = list(range(first, last))
    table = {name: [0] * len(places) for name in ACTIONS}
    whole = True
    if wanted is None or not wanted.narrow:
        for (hour, kind, action), number in numbers.by_hour(connection, since=since, until=until).items():
            if wanted is None or fits(wanted, kind, action):
                table[action if kind == "message" else "turned"][hour - first] += number
    else:
        insist(actor)
        search = replace(wanted, since=max(since, wanted.since or since))
        found, whole = counted(connection, search, step_s=HOUR_S)
        for (hour, kind, action), number in found.items():
            if first <= hour < last:
                table[action if kind == "message" else "turned"][hour - first] += number
    return Hours(hours=places, by_action=table, counted=sum(map(sum, table.values())), whole=whole)


def fits(search: Search, kind: str, action: str) -> bool:
    """Kind and action, as far as they are asked for."""
    return (search.kind is None or search.kind == kind) and (
        search.action is None or search.action.value == action
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What the Overview shows."""

    day: Hours
    refused_for: list[tuple[str, int]]
    """Rules that refused, with how often."""
    kept_for: list[tuple[str, int]]
    """Rules that held or put into Junk."""
    lists: list[ListNumbers]
    scores: dict[str, int]
    """Lower end of the step -> messages, of a week."""
    opinions: dict[str, int]
    """The classifier's own opinion, the lower end of the step in log-odds -> messages, of a week."""
    latency: dict[int, tuple[float, ...]]
    """Hour -> median, 95th and 99th percentile in milliseconds."""


def glance(connection: Connection, actor: Actor, now: float, *, long_s: float = 7 * 24 * HOUR_S) -> Glance:
    """Everything of the Overview that is counted. Raises NotAllowed without `Right.OVERVIEW`."""
    if not actor.may(Right.OVERVIEW):
        raise NotAllowed(NOT_HERE)
    end = (now // HOUR_S + 1) * HOUR_S
    day, week = end - 24 * HOUR_S, end - long_s
    return Glance(
        day=hours(connection, actor, since=day, until=end),
        refused_for=numbers.top_rules(
            connection, since=week, until=end, actions=[Action.REFUSE, Action.DEFER], limit=8
        ),
        kept_for=numbers.top_rules(
            connection, since=week, until=end, actions=[Action.QUARANTINE, Action.JUNK], limit=8
        ),
        lists=numbers.lists(connection, since=week, until=end)[:10],
        scores=numbers.totals(connection, "score", since=week, until=end),
        opinions=numbers.totals(connection, "classifier", since=week, until=end),
        latency=numbers.latency(connection, since=day, until=end),
    )

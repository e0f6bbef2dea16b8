"""How the DNS lists did in daily work lately, and usually: what their health is judged by besides the probes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gatepost.plan import ListFigures
from gatepost.plan.listfigures import count, lists_spoken_of
from gatepost.store import history
from gatepost.store.database import Connection

USUAL_KEY = "jobs:lists-usual"
USUAL_KEPT_S = 30 * 86_400.0
AGEING = 0.99
"""What was usual counts a little less at each round: at four an hour, half as much after 17 hours."""
MOST_ENTRIES = 5000
"""Enough of a busy gate's last minutes to know a list by."""


def count_lists(connection: Connection, since: float) -> dict[str, ListFigures]:
    """Asked, hit and silent, list by list; only raw facts, nothing is decided again."""
    found: dict[str, ListFigures] = {}
    for number, entry in enumerate(history.since(connection, since)):
        if number >= MOST_ENTRIES:
            break
        seen: set[tuple[str, str]] = set()
        for judged in entry.judged:
            for weighed in judged.verdict.weighed:
                finding = weighed.finding
                for source in lists_spoken_of(finding):
                    if (finding.name, source) not in seen:
                        seen.add((finding.name, source))
                        count(found.setdefault(source, ListFigures()), finding.name)
    return found


def usual_after(
    usual: Mapping[str, ListFigures], lately: Mapping[str, ListFigures]
) -> dict[str, ListFigures]:
    """The figures of before, aged, with the latest added."""
    none = ListFigures()
    return {
        source: ListFigures(
            asked=round(usual.get(source, none).asked * AGEING) + lately.get(source, none).asked,
            hit=round(usual.get(source, none).hit * AGEING) + lately.get(source, none).hit,
        )
        for source in {*usual, *lately}
    }


def read_usual(text: str | None) -> dict[str, ListFigures]:
    """What was stored; nothing readable is a fresh start."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, ListFigures])
    except msgspec.MsgspecError:
        return {}


def write_usual(usual: Mapping[str, ListFigures]) -> str:
    """For storing."""
    return msgspec.json.encode(usual).decode()

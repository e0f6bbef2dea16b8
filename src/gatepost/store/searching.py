"""Searching history: by an index where one knows few entries, else backwards in time through their gists, so many at a time.

Whatever is asked for, one look reads a bounded number of rows and says how far back it got; the next goes on there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gatepost.store.database import Connection
from gatepost.store.gist import folded
from gatepost.store.history import LONGEST_KEY, Cursor, Page, Search, bare_id, typed_key
from gatepost.store.json import decode_entry

MANY = 5000
"""Entries that an index finds are collected and sorted when they are fewer."""
AT_ONCE = 150_000
"""Gists that one look goes through at the most."""
ALONG_AT_ONCE = 30_000
"""Entries of one sender, recipient, client or account that one look goes through: each gist is looked up by itself."""
MOST_COUNTED = 10_000
"""Entries that are counted for a chart of a search."""
STRETCHES = (1000, 20_000)
"""The first steps of a look: mostly the page is full by then."""
WITHOUT_END = 1 << 40


@dataclass(frozen=True, slots=True)
class Index:
    """Finds the entries that fulfil one condition."""

    table: str
    number: str
    holds: str
    values: tuple[Any, ...]
    order: str = ""
    """``time``: each entry in the order of time. Other words: the column by which the newest come first, about."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold, as it is seen in a gist; and by which index."""

    holds: str
    values: tuple[Any, ...]
    index: Index | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the entries that are looked for are met, newest first."""

    table: str
    at: str
    number: str
    along: str
    """Condition of what is met on the way."""
    along_values: tuple[Any, ...]
    checked: str
    """What must hold of it besides; empty: nothing, each is a hit."""
    checked_values: tuple[Any, ...]
    gist: str = ""
    """Joins the gist, where the way leads over something else."""
    at_once: int
    whole: bool = False
    """All of them together are few: no stretches."""
    cut: bool = False
    """And yet not all: only the newest were collected."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One entry that fits."""

    at: float
    id: int
    kind: str
    action: str


def find(
    connection: Connection,
    search: Search,
    *,
    limit: int = 50,
    after: Cursor | None = None,
    at_once: int = AT_ONCE,
) -> Page:
    """One page of what `search` describes, newest first; ask again with `page.next` for the rest.

    With `at_once` the look ends after so many messages, be the page full or not: `page.until` says where.
    """
    hits, ended = look(connection, search, limit=limit + 1, after=after, at_once=at_once)
    shown = hits[:limit]
    facts = facts_of(connection, [one.id for one in shown])
    more = Cursor(shown[-1].at, shown[-1].id) if len(hits) > limit else ended
    entries = tuple(decode_entry(facts[one.id]) for one in shown if one.id in facts)
    return Page(entries, more, ended.at if ended is not None and more is ended else None)


def facts_of(connection: Connection, numbers: list[int]) -> dict[int, bytes]:
    """The whole entries, as they are kept."""
    if not numbers:
        return {}
    marks = ", ".join("?" * len(numbers))
    return dict(connection.execute(f"SELECT id, facts FROM history WHERE id IN ({marks})", numbers))  # noqa: S608


def look(
    connection: Connection, search: Search, *, limit: int, after: Cursor | None = None, at_once: int = AT_ONCE
) -> tuple[list[Hit], Cursor | None]:
    """The newest that fit, at most `limit`; and where the look ended, when that was before the end and before `limit`."""
    way = way_to(connection, search, after)
    if way.whole or not way.checked:
        hits = hits_between(connection, way, after, None, limit)
        if way.cut and len(hits) < limit:
            return hits, oldest_collected(connection, way)
        return hits, None
    found: list[Hit] = []
    for size in stretches(min(at_once, way.at_once if at_once == AT_ONCE else at_once)):
        end = end_of(connection, way, after, size)
        found += hits_between(connection, way, after, end, limit - len(found))
        if len(found) == limit or end is None:
            return found, None
        after = end
    return found, after


def counted(
    connection: Connection, search: Search, *, step_s: float, at_once: int = AT_ONCE
) -> tuple[dict[tuple[int, str, str], int], bool]:
    """How many fit: {(Unix seconds / `step_s`, kind, action): number}; and whether these are all.

    The newest MOST_COUNTED are, among a quarter of what one look goes through.
    """
    way = way_to(connection, search, None)
    end = None if way.whole else end_of(connection, way, None, min(at_once, way.at_once) // 4)
    where, values = behind(way, None, end)
    rows = connection.execute(  # the pieces are our own; what is searched for is bound
        "SELECT CAST(at / ? AS INTEGER), kind, action, count(*) FROM ("  # noqa: S608
        f"SELECT g.at, g.kind, g.action FROM {way.table} {way.gist} WHERE {' AND '.join(where) or '1'}"
        f" ORDER BY {way.at} DESC, {way.number} DESC LIMIT {MOST_COUNTED}) GROUP BY 1, 2, 3",
        [step_s, *(way.along_values if way.whole else ()), *values],
    )
    found = {(step, kind, action): number for step, kind, action, number in rows}
    return found, end is None and not way.cut and sum(found.values()) < MOST_COUNTED


def oldest_collected(connection: Connection, way: Way) -> Cursor | None:
    """Where those that were collected end; None when they were all."""
    number, at = connection.execute(
        f"SELECT count(*), min(s.at) FROM {way.table}",  # noqa: S608 - our own words
        way.along_values,
    ).fetchone()
    if number < MANY:
        return None
    last = connection.execute(
        f"SELECT min(s.id) FROM {way.table} WHERE s.at = ?",  # noqa: S608 - our own words
        (*way.along_values, at),
    ).fetchone()
    return Cursor(at, last[0])


def stretches(at_once: int) -> Iterator[int]:
    """So many entries each, together `at_once`."""
    for size in STRETCHES:
        if at_once <= size:
            break
        yield size
        at_once -= size
    yield at_once


def hits_between(
    connection: Connection, way: Way, after: Cursor | None, end: Cursor | None, limit: int
) -> list[Hit]:
    """What fits behind `after`, up to `end` and with it."""
    where, values = behind(way, after, end)
    inner = [] if not way.whole else list(way.along_values)
    rows = connection.execute(  # the pieces are our own; what is searched for is bound
        f"SELECT g.at, g.id, g.kind, g.action FROM {way.table} {way.gist} WHERE {' AND '.join(where) or '1'}"  # noqa: S608
        f" ORDER BY {way.at} DESC, {way.number} DESC LIMIT ?",
        [*inner, *values, limit],
    )
    return [Hit(*row) for row in rows]


def end_of(connection: Connection, way: Way, after: Cursor | None, size: int) -> Cursor | None:
    """Where a stretch of this size ends; None when the way is shorter."""
    where, values = bounds(way, after)
    last = connection.execute(
        f"SELECT {way.at}, {way.number} FROM {way.table} WHERE {' AND '.join(where) or '1'}"  # noqa: S608 - as above
        f" ORDER BY {way.at} DESC, {way.number} DESC LIMIT 1 OFFSET ?",
        [*values, size - 1],
    ).fetchone()
    return Cursor(*last) if last else None


def behind(way: Way, after: Cursor | None, end: Cursor | None) -> tuple[list[str], list[Any]]:
    """What holds of what fits, behind `after` and up to `end`."""
    where, values = bounds(way, after)
    if end is not None:
        where.append(f"({way.at}, {way.number}) >= (?, ?)")
        values += [end.at, end.id]
    if way.checked:
        where.append(way.checked)
        values += way.checked_values
    return where, values


def bounds(way: Way, after: Cursor | None) -> tuple[list[str], list[Any]]:
    """What holds of all that is met behind `after`."""
    where = [] if way.whole or not way.along else [way.along]
    values = [] if way.whole else list(way.along_values)
    if after is not None:
        where.append(f"({way.at}, {way.number}) < (?, ?)")
        values += [after.at, after.id]
    return where, values


# Choosing the way


def way_to(connection: Connection, search: Search, after: Cursor | None) -> Way:
    """By the index that finds the fewest; when all find many, along one that is in the order of time, or all gists."""
    known = list(conditions(search))
    ranked = sorted(
        ((few(connection, one.index, search, after), place) for place, one in enumerate(known) if one.index),
    )
    for number, place in ranked:
        index = known[place].index
        assert index is not None
        rest = [one for one in known if one is not known[place]]
        if number < MANY or index.order not in ("", "time"):
            return collected(index, rest, search, after, cut=number >= MANY)
        if index.order == "time":
            along, values = with_time(index.holds, index.values, "s.at", search)
            checked, checked_values = joined(rest)
            return Way(
                table=index.table, at="s.at", number=index.number, along=along, along_values=values,
                checked=checked, checked_values=checked_values, at_once=ALONG_AT_ONCE,
                gist=f"CROSS JOIN history_gist g ON g.at = s.at AND g.id = {index.number}",
            )  # fmt: skip
    along, values = with_time("", (), "g.at", search)
    checked, checked_values = joined(known)
    return Way(
        table="history_gist g", at="g.at", number="g.id", along=along, along_values=values, checked=checked,
        checked_values=checked_values, at_once=AT_ONCE,
    )  # fmt: skip


def collected(index: Index, rest: list[Condition], search: Search, after: Cursor | None, *, cut: bool) -> Way:
    """All that the index finds, or the newest of them, sorted by time."""
    holds, values = index.holds, index.values
    if index.order and after is not None:
        holds, values = f"{holds} AND (s.at, {index.number}) < (?, ?)", (*values, after.at, after.id)
    by = "s.at" if index.order == "time" else index.order
    order = f"ORDER BY {by} DESC" if by else ""
    checked, checked_values = joined(rest)
    checked, checked_values = with_time(checked, checked_values, "g.at", search)
    return Way(
        table=f"(SELECT DISTINCT s.at, {index.number} AS id FROM {index.table} WHERE {holds} {order} LIMIT {MANY}) s",  # noqa: S608
        gist="CROSS JOIN history_gist g ON g.at = s.at AND g.id = s.id", at="g.at", number="g.id",
        along="", along_values=values, checked=checked, checked_values=checked_values, at_once=MANY, whole=True,
        cut=cut,
    )  # fmt: skip


def few(connection: Connection, index: Index, search: Search, after: Cursor | None) -> int:
    """How many an index finds, as far as MANY."""
    holds, values = index.holds, index.values
    if index.order == "time":
        holds, values = with_time(holds, values, "s.at", search)
        if after is not None:
            holds, values = f"{holds} AND s.at <= ?", (*values, after.at)
    (number,) = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {index.table} WHERE {holds} LIMIT {MANY})",  # noqa: S608 - our own words
        values,
    ).fetchone()
    return int(number)


def with_time(holds: str, values: tuple[Any, ...], at: str, search: Search) -> tuple[str, tuple[Any, ...]]:
    """The same, and within the time asked for."""
    where = [holds] if holds else []
    for condition, moment in ((f"{at} >= ?", search.since), (f"{at} < ?", search.until)):
        if moment is not None:
            where.append(condition)
            values = (*values, moment)
    return " AND ".join(where), values


def joined(conditions: list[Condition]) -> tuple[str, tuple[Any, ...]]:
    """All of them, as they are seen in a gist."""
    return " AND ".join(one.holds for one in conditions), tuple(
        value for one in conditions for value in one.values
    )


def conditions(search: Search) -> Iterator[Condition]:
    """What is asked for but time."""
    yield from of_references(search)
    yield from of_addresses(search)
    if search.client_ip is not None:
        yield of_column("client", search.client_ip, "history_client")
    if search.account is not None:
        yield of_column("account", search.account.lower()[:LONGEST_KEY], "history_account", "s.account <> ''")
    elif search.outgoing:
        yield Condition("g.account <> ''", ())
    if search.action is not None:
        yield Condition("g.action = ?", (search.action.value,))
    if search.kind is not None:
        yield Condition("g.kind = ?", (search.kind,))
    if search.rule:
        yield Condition("instr(g.rules, ?)", (" " + search.rule,))
    if search.subject:
        yield Condition("instr(g.subject, ?)", (folded(search.subject),))


def of_references(search: Search) -> Iterator[Condition]:
    """Reference and Message-ID, which no gist has; references begin with the time, numbers grow with it."""
    if search.ref is not None:
        holds, values = "s.ref >= ? AND s.ref < ?", (search.ref, search.ref + "\U0010ffff")
        yield Condition(
            f"EXISTS (SELECT 1 FROM history s WHERE s.id = g.id AND {holds})",  # noqa: S608 - our own words
            values,
            Index("history s", "s.id", holds, values, "s.ref"),
        )
    if search.message_id is not None:
        holds, value = "s.message_id = ? AND s.message_id <> ''", (bare_id(search.message_id),)
        yield Condition(
            f"EXISTS (SELECT 1 FROM history s WHERE s.id = g.id AND {holds})",  # noqa: S608 - our own words
            value,
            Index("history s INDEXED BY history_message_id", "s.id", holds, value, "s.id"),
        )


def of_addresses(search: Search) -> Iterator[Condition]:
    """Sender and recipient; of a whole domain, too."""
    by_sender = "history s INDEXED BY history_sender"
    if search.sender is not None and search.sender.startswith("@"):
        ends = domain_ends(search.sender)
        index = Index(by_sender, "s.id", "s.sender >= ? AND s.sender < ?", ends)
        yield Condition("g.sender >= ? AND g.sender < ?", ends, index)
    elif search.sender is not None:
        yield of_column("sender", typed_key(search.sender), "history_sender")
    if search.recipient is not None and search.recipient.startswith("@"):
        ends = domain_ends(search.recipient)
        within = Index("history_recipients s", "s.history", "s.recipient >= ? AND s.recipient < ?", ends)
        yield Condition("instr(g.domains, ?)", (f" {ends[0]}",), within)
    elif search.recipient is not None:
        key = (typed_key(search.recipient),)
        exact = Index("history_recipients s", "s.history", "s.recipient = ?", key, "time")
        yield Condition(
            "EXISTS (SELECT 1 FROM history_recipients x WHERE x.recipient = ? AND x.at = g.at AND x.history = g.id)",
            key,
            exact,
        )


def of_column(column: str, value: str, index: str, partly: str = "") -> Condition:
    """A column of both history and gist, which an index has in the order of time; `partly` as that index says."""
    holds = f"s.{column} = ?" + (f" AND {partly}" if partly else "")
    return Condition(
        f"g.{column} = ?" + (f" AND g.{column} <> ''" if partly else ""),
        (value,),
        Index(f"history s INDEXED BY {index}", "s.id", holds, (value,), "time"),
    )


def domain_ends(typed: str) -> tuple[str, str]:
    """The range of keys of a domain's addresses."""
    domain = typed[1:].lower()
    return domain + " ", domain + "!"

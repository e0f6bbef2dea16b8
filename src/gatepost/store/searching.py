"""Searching history by what no index knows, subject and deciding rule: so many messages at a time, and it says how far it got."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gatepost.store.database import Connection
from gatepost.store.history import Cursor, Page, Search, conditions
from gatepost.store.json import decode_entry

AT_ONCE = 20_000
"""Messages that one look goes through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was found, and how far back the look went."""

    page: Page
    until: float | None
    """The moment of the oldest message looked at, when there are older ones; None when that was all."""


def look_through(
    connection: Connection,
    search: Search,
    *,
    subject: str = "",
    rule: str = "",
    limit: int = 50,
    after: Cursor | None = None,
    at_once: int = AT_ONCE,
) -> Looked:
    """Entries that also have `subject` within their subject and `rule` as a deciding rule (or the beginning of one).

    `page.next` goes on, behind the last one found or behind the last one looked at.
    """
    where, values, tables, at, number = clauses(connection, search)
    if after is not None:
        where += f" AND ({at}, {number}) < (?, ?)"
        values += [after.at, after.id]
    within = f"FROM {tables} WHERE {where}"
    order = f"ORDER BY {at} DESC, {number} DESC"
    last = connection.execute(  # the pieces are our own; what is searched for is bound
        f"SELECT {at}, {number} {within} {order} LIMIT 1 OFFSET ?",
        [*values, at_once - 1],
    ).fetchone()
    bounded = f"{within} AND ({at}, {number}) >= (?, ?)" if last else within
    found = connection.execute(
        f"SELECT h.at, h.id, h.facts {bounded} AND instr(lower(json_extract(CAST(h.facts AS TEXT), '$.subject')), ?)"  # noqa: S608
        f" AND (? = '' OR EXISTS (SELECT 1 FROM json_each(CAST(h.facts AS TEXT), '$.judged')"
        f" WHERE json_extract(value, '$.verdict.rule') LIKE ? ESCAPE '\\')) {order} LIMIT ?",
        [*values, *(last or ()), subject.lower(), rule, like(rule), limit + 1],
    ).fetchall()
    if len(found) > limit:
        more: Cursor | None = Cursor(found[limit - 1][0], found[limit - 1][1])
    else:
        more = Cursor(*last) if last else None
    entries = tuple(decode_entry(facts) for _, _, facts in found[:limit])
    return Looked(page=Page(entries, more), until=last[0] if last and len(found) <= limit else None)


def moments(connection: Connection, search: Search, *, limit: int) -> list[tuple[float, str, str]]:
    """When the newest that fit came, of which kind they are and what became of them; nothing of them is decoded."""
    where, values, tables, at, number = clauses(connection, search)
    rows = connection.execute(
        f"SELECT {at}, h.kind, h.action FROM {tables} WHERE {where} ORDER BY {at} DESC, {number} DESC LIMIT ?",  # noqa: S608
        [*values, limit],
    )
    return list(rows)


def clauses(connection: Connection, search: Search) -> tuple[str, list[Any], str, str, str]:
    """What is searched for as SQL: condition, values, tables, and the columns of time and number to go by."""
    by_recipient = search.recipient is not None and not search.recipient.startswith("@")
    tables = "history_recipients r CROSS JOIN history h ON h.id = r.history" if by_recipient else "history h"
    at, number = ("r.at", "r.history") if by_recipient else ("h.at", "h.id")
    where: list[str] = []
    values: list[Any] = []
    for condition, *bound in conditions(connection, search):
        where.append(condition)
        values += bound
    for condition, value in ((f"{at} >= ?", search.since), (f"{at} < ?", search.until)):
        if value is not None:
            where.append(condition)
            values.append(value)
    return " AND ".join(where) or "1", values, tables, at, number


def like(beginning: str) -> str:
    """A pattern for what begins so."""
    for special in "\\%_":
        beginning = beginning.replace(special, "\\" + special)
    return beginning + "%"

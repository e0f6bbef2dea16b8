"""Every message and every refused attempt, with its facts: what explain, plan and the console read.

A narrow row carries what is searched for; the facts are JSON. Addresses are indexed as "domain local-part"
in lower case, so that one index answers for an address and for a whole domain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gatepost.mail.address import Address
from gatepost.mail.verdict import SEVERITY, Action
from gatepost.store.database import Connection
from gatepost.store.json import decode_entry, encode
from gatepost.store.records import HistoryEntry

LONGEST_KEY = 320
"""Characters of an identifier that are indexed; the rest of a monstrous one is in the facts only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for; all that is given must hold. Addresses may be whole, or ``@domain``."""

    ref: str | None = None
    """The whole reference or its first characters."""
    sender: str | None = None
    """An address, ``@domain``, or ``<>`` for the null sender."""
    recipient: str | None = None
    client_ip: str | None = None
    message_id: str | None = None
    """With or without its angle brackets."""
    action: Action | None = None
    """The strictest action over the recipients."""
    kind: str | None = None
    since: float | None = None
    until: float | None = None
    """Unix seconds; `since` is included, `until` is not."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page of results ended."""

    at: float
    id: int


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, and where to go on; None at the end."""

    entries: tuple[HistoryEntry, ...]
    next: Cursor | None


def insert(connection: Connection, entry: HistoryEntry) -> None:
    """Add one entry. Raises IntegrityError when its reference is taken."""
    cursor = connection.execute(
        "INSERT INTO history (ref, at, kind, action, sender, client, message_id, facts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.ref,
            entry.at,
            entry.kind,
            action_of(entry),
            address_key(entry.envelope.sender),
            str(entry.client.ip or ""),
            bare_id(entry.message_id),
            encode(entry),
        ),
    )
    number = cursor.lastrowid
    for recipient in {address_key(recipient.address) for recipient in entry.envelope.recipients}:
        connection.execute("INSERT INTO history_recipients VALUES (?, ?, ?)", (recipient, entry.at, number))


def find(connection: Connection, search: Search, *, limit: int = 50, after: Cursor | None = None) -> Page:
    """One page of what `search` describes, newest first; ask again with `page.next` for the rest."""
    where, values = conditions(search)
    if after is not None:
        where.append("(h.at, h.id) < (?, ?)")
        values += [after.at, after.id]
    tables = "history h"
    if search.recipient is not None:
        tables = "history_recipients r CROSS JOIN history h ON h.id = r.history"
    order = "r.at DESC, r.history DESC" if search.recipient is not None else "h.at DESC, h.id DESC"
    rows = connection.execute(  # the pieces are our own; what is searched for is bound
        f"SELECT DISTINCT h.at, h.id, h.facts FROM {tables} WHERE {' AND '.join(where) or '1'} ORDER BY {order} LIMIT ?",  # noqa: S608
        [*values, limit + 1],
    ).fetchall()
    more = Cursor(rows[limit - 1][0], rows[limit - 1][1]) if len(rows) > limit else None
    return Page(tuple(decode_entry(facts) for _, _, facts in rows[:limit]), more)


def conditions(search: Search) -> tuple[list[str], list[Any]]:
    """The search as SQL conditions and their values."""
    where: list[str] = []
    values: list[Any] = []

    def need(condition: str, *more: object) -> None:
        where.append(condition)
        values.extend(more)

    if search.ref is not None:
        need("h.ref >= ? AND h.ref < ?", search.ref, search.ref + "\U0010ffff")
    for column, wanted in (("h.sender", search.sender), ("r.recipient", search.recipient)):
        if wanted is not None and wanted.startswith("@"):
            domain = wanted[1:].lower()
            need(f"{column} >= ? AND {column} < ?", domain + " ", domain + "!")
        elif wanted is not None:
            need(f"{column} = ?", typed_key(wanted))
    if search.client_ip is not None:
        need("h.client = ?", search.client_ip)
    if search.message_id is not None:
        need("h.message_id = ? AND h.message_id <> ''", bare_id(search.message_id))
    if search.action is not None:
        need("h.action = ?", search.action.value)
    if search.kind is not None:
        need("h.kind = ?", search.kind)
    at = "r.at" if search.recipient is not None else "h.at"
    if search.since is not None:
        need(f"{at} >= ?", search.since)
    if search.until is not None:
        need(f"{at} < ?", search.until)
    return where, values


def since(connection: Connection, at: float, *, slice_rows: int = 500) -> Iterator[HistoryEntry]:
    """Everything from `at` on, oldest first, read in slices so that millions fit."""
    position: tuple[float, int] = (at, -1)
    while True:
        rows = connection.execute(
            "SELECT at, id, facts FROM history WHERE (at, id) > (?, ?) ORDER BY at, id LIMIT ?",
            (*position, slice_rows),
        ).fetchall()
        for _, _, facts in rows:
            yield decode_entry(facts)
        if len(rows) < slice_rows:
            return
        position = rows[-1][0], rows[-1][1]


def counts(
    connection: Connection, *, since: float, until: float, step_s: float
) -> dict[tuple[float, str, str], int]:
    """How many entries in each step of time: {(start of the step, kind, action): number}. Reads one index only."""
    rows = connection.execute(
        "SELECT CAST((at - ?1) / ?3 AS INTEGER) AS step, kind, action, count(*) FROM history"
        " WHERE at >= ?1 AND at < ?2 GROUP BY step, kind, action",
        (since, until, step_s),
    )
    return {(since + step * step_s, kind, action): number for step, kind, action, number in rows}


def action_of(entry: HistoryEntry) -> str:
    """The strictest action over the recipients; for what was turned down before a verdict, what the reply says."""
    actions = [judged.verdict.action for judged in entry.judged]
    if Action.DEFER in actions:
        return Action.DEFER.value
    if actions:
        return max(actions, key=SEVERITY.__getitem__).value
    return {"4": Action.DEFER, "2": Action.DELIVER}.get(entry.reply[:1], Action.REFUSE).value


def address_key(address: Address | None) -> str:
    """How an address is indexed; the null sender is empty."""
    if address is None:
        return ""
    local = address.key.rpartition("@")[0]
    return f"{address.domain} {local}"[:LONGEST_KEY]


def typed_key(text: str) -> str:
    """The same for an address as a person typed it."""
    local, _, domain = text.strip().strip("<>").rpartition("@")
    if not local and not domain:
        return ""
    return address_key(Address(local.strip('"'), domain.lower()))


def bare_id(message_id: str) -> str:
    """A Message-ID without its angle brackets."""
    return message_id.strip().removeprefix("<").removesuffix(">")[:LONGEST_KEY]

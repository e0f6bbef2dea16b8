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
from gatepost.store import numbers
from gatepost.store.database import Connection
from gatepost.store.json import decode_entry, encode
from gatepost.store.records import HistoryEntry

MANY = 5000
"""So many messages of a domain are looked through one by one rather than collected."""
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
    outgoing: bool = False
    """Only what our own people and machines handed in."""
    account: str | None = None
    """Of these only one's: a login, or a machine's address."""
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
    recipients = {address_key(recipient.address) for recipient in entry.envelope.recipients}
    action = action_of(entry)
    cursor = connection.execute(
        "INSERT INTO history (ref, at, kind, action, sender, client, message_id, recipient_domains, facts, account)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.ref,
            entry.at,
            entry.kind,
            action,
            address_key(entry.envelope.sender),
            str(entry.client.ip or ""),
            bare_id(entry.message_id),
            f" {' '.join({key.partition(' ')[0] for key in recipients})} ",
            encode(entry),
            entry.client.account.lower()[:LONGEST_KEY],
        ),
    )
    number = cursor.lastrowid
    for recipient in recipients:
        connection.execute("INSERT INTO history_recipients VALUES (?, ?, ?)", (recipient, entry.at, number))
    numbers.count(connection, entry, action)


def entry(connection: Connection, ref: str) -> HistoryEntry | None:
    """The entry with this very reference."""
    row = connection.execute("SELECT facts FROM history WHERE ref = ?", (ref,)).fetchone()
    return decode_entry(row[0]) if row else None


def find(connection: Connection, search: Search, *, limit: int = 50, after: Cursor | None = None) -> Page:
    """One page of what `search` describes, newest first; ask again with `page.next` for the rest."""
    where: list[str] = []
    values: list[Any] = []
    for condition, *bound in conditions(connection, search):
        where.append(condition)
        values += bound
    by_recipient = search.recipient is not None and not search.recipient.startswith("@")
    tables = "history_recipients r CROSS JOIN history h ON h.id = r.history" if by_recipient else "history h"
    at, number = ("r.at", "r.history") if by_recipient else ("h.at", "h.id")
    if search.since is not None:
        where.append(f"{at} >= ?")
        values.append(search.since)
    if search.until is not None:
        where.append(f"{at} < ?")
        values.append(search.until)
    if after is not None:
        where.append(f"({at}, {number}) < (?, ?)")
        values += [after.at, after.id]
    rows = connection.execute(  # the pieces are our own; what is searched for is bound
        f"SELECT h.at, h.id, h.facts FROM {tables} WHERE {' AND '.join(where) or '1'}"  # noqa: S608
        f" ORDER BY {at} DESC, {number} DESC LIMIT ?",
        [*values, limit + 1],
    ).fetchall()
    more = Cursor(rows[limit - 1][0], rows[limit - 1][1]) if len(rows) > limit else None
    return Page(tuple(decode_entry(facts) for _, _, facts in rows[:limit]), more)


def conditions(connection: Connection, search: Search) -> Iterator[tuple[Any, ...]]:
    """What is searched for but time, as SQL conditions, each with its values."""
    if search.ref is not None:
        yield "h.ref >= ? AND h.ref < ?", search.ref, search.ref + "\U0010ffff"
    if search.sender is not None:
        if search.sender.startswith("@"):
            yield from domain_condition(connection, search.sender, "sender", "history", "id")
        else:
            yield "h.sender = ?", typed_key(search.sender)
    if search.recipient is not None:
        if search.recipient.startswith("@"):
            yield from domain_condition(
                connection, search.recipient, "recipient", "history_recipients", "history"
            )
        else:
            yield "r.recipient = ?", typed_key(search.recipient)
    if search.client_ip is not None:
        yield "h.client = ?", search.client_ip
    if search.message_id is not None:
        yield "h.message_id = ? AND h.message_id <> ''", bare_id(search.message_id)
    if search.action is not None:
        yield "h.action = ?", search.action.value
    if search.kind is not None:
        yield "h.kind = ?", search.kind
    if search.account is not None:
        yield "h.account = ? AND h.account <> ''", search.account.lower()[:LONGEST_KEY]
    elif search.outgoing:
        yield ("h.account <> ''",)


def domain_condition(
    connection: Connection, typed: str, column: str, table: str, number: str
) -> Iterator[tuple[Any, ...]]:
    """All addresses of a domain: a rare domain is collected first, a common one met soon enough on the way back."""
    domain = typed[1:].lower()
    ends = (domain + " ", domain + "!")
    within = f"FROM {table} WHERE {column} >= ? AND {column} < ?"
    (many,) = connection.execute(  # table and column are our own words
        f"SELECT count(*) FROM (SELECT 1 {within} LIMIT {MANY})",  # noqa: S608
        ends,
    ).fetchone()
    if many < MANY:
        yield f"h.id IN (SELECT {number} {within})", *ends
    elif table == "history":
        yield "+h.sender >= ? AND +h.sender < ?", *ends
    else:
        yield "instr(h.recipient_domains, ?)", f" {domain} "


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


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` of the oldest entries that are older than `before`."""
    rows = connection.execute(
        "SELECT id, at, facts FROM history WHERE at < ? ORDER BY at LIMIT ?", (before, limit)
    ).fetchall()
    for number, at, facts in rows:
        for recipient in decode_entry(facts).envelope.recipients:
            connection.execute(
                "DELETE FROM history_recipients WHERE recipient = ? AND at = ? AND history = ?",
                (address_key(recipient.address), at, number),
            )
        connection.execute("DELETE FROM history WHERE id = ?", (number,))
    return len(rows)


def expire_attempts(connection: Connection, *, before: float, limit: int) -> int:
    """The same for delivery attempts, which are stored in the order they happened."""
    rows = connection.execute("SELECT id, at FROM attempts ORDER BY id LIMIT ?", (limit,)).fetchall()
    old = [number for number, at in rows if at < before]
    if old:
        connection.execute("DELETE FROM attempts WHERE id <= ? AND at < ?", (old[-1], before))
    return len(old)

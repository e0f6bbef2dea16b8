"""Who did what, and why: append-only and hash-chained, so that a changed or missing entry shows.

Each entry's chain value is the SHA-256 of the one before and the entry. Cutting off the newest entries can only
be seen by somebody who kept an older `head`; backups do.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gatepost.store.database import Connection
from gatepost.store.json import encode

START = b"\0" * 32
LAST = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One thing somebody did."""

    number: int
    at: float
    who: str
    what: str
    """Room and verb, such as ``quarantine release``."""
    why: str
    subject: str
    """The reference of the message it was about; empty for none."""


@dataclass(frozen=True, slots=True)
class Why:
    """What the journal keeps of an act, besides the act."""

    who: str
    why: str
    at: float


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry's number and chain value."""

    number: int
    chain: bytes


def append(connection: Connection, *, at: float, who: str, what: str, why: str, subject: str = "") -> Head:
    """Add an entry; belongs into the transaction of what it tells."""
    last = head(connection)
    entry = JournalEntry(number=last.number + 1, at=at, who=who, what=what, why=why, subject=subject)
    chain = link(last.chain, entry)
    connection.execute(
        "INSERT INTO journal (number, at, who, what, why, subject, chain) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (entry.number, at, who, what, why, subject, chain),
    )
    return Head(entry.number, chain)


def head(connection: Connection) -> Head:
    """Where the chain ends now."""
    row = connection.execute("SELECT number, chain FROM journal ORDER BY number DESC LIMIT 1").fetchone()
    return Head(*row) if row else anchor(connection)


def anchor(connection: Connection) -> Head:
    """Where the chain begins: after what retention deleted, or at the very start."""
    row = connection.execute("SELECT number, chain FROM journal_anchor").fetchone()
    return Head(*row) if row else Head(0, START)


def read(
    connection: Connection, *, subject: str | None = None, before: int | None = None, limit: int = 100
) -> list[JournalEntry]:
    """Entries, newest first; those about `subject` only, or those numbered below `before`."""
    if subject is not None:
        rows = connection.execute(
            "SELECT number, at, who, what, why, subject FROM journal"
            " WHERE subject = ? AND subject <> '' AND number < ? ORDER BY number DESC LIMIT ?",
            (subject, LAST if before is None else before, limit),
        )
    else:
        rows = connection.execute(
            "SELECT number, at, who, what, why, subject FROM journal WHERE number < ? ORDER BY number DESC LIMIT ?",
            (LAST if before is None else before, limit),
        )
    return [entry_from(row) for row in rows]


def verify(connection: Connection, kept: Head | None = None) -> str | None:
    """None when every entry is as it was written, else one sentence about the first that is not.

    `kept` is a head somebody put away earlier: it must still be in the chain.
    """
    last = anchor(connection)
    for *row, chain in connection.execute(
        "SELECT number, at, who, what, why, subject, chain FROM journal ORDER BY number"
    ):
        entry = entry_from(row)
        if entry.number != last.number + 1:
            return f"journal entry {last.number + 1} is missing"
        if chain != link(last.chain, entry):
            return f"journal entry {entry.number} was changed after it was written"
        last = Head(entry.number, chain)
        if kept is not None and kept.number == last.number and kept.chain != last.chain:
            return f"journal entry {kept.number} is another than the one known from earlier"
    if kept is not None and kept.number > last.number:
        return f"journal entry {kept.number} is known from earlier and is missing"
    return None


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` of the oldest entries and move the anchor behind them."""
    rows = connection.execute(
        "SELECT number, chain, at FROM journal ORDER BY number LIMIT ?", (limit,)
    ).fetchall()
    old = 0
    while old < len(rows) and rows[old][2] < before:
        old += 1
    if old:
        number, chain, _ = rows[old - 1]
        connection.execute("DELETE FROM journal WHERE number <= ?", (number,))
        connection.execute("DELETE FROM journal_anchor")
        connection.execute("INSERT INTO journal_anchor VALUES (?, ?)", (number, chain))
    return old


def link(chain: bytes, entry: JournalEntry) -> bytes:
    """The chain value of an entry after the one before."""
    return hashlib.sha256(chain + encode(entry)).digest()


def entry_from(row: tuple[object, ...] | list[object]) -> JournalEntry:
    """A row as an entry."""
    number, at, who, what, why, subject = row
    return JournalEntry(number=number, at=at, who=who, what=what, why=why, subject=subject)  # type: ignore[arg-type]

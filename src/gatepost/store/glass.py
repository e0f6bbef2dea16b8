"""The rows of reading somebody's held mail: who asked and why, who agreed, when it ends; and every look at it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gatepost.store import holds
from gatepost.store.database import Connection

COLUMNS = (
    "id, owner, asked_by, asked_who, asked_at, reason, case_number, lasts_s, two_people, decided_by, decided_who,"
    " decided_at, opened_at, ends_at, views"
)


class Stand(StrEnum):
    """Where a breaking of the glass stands."""

    ASKED = "asked"
    """A second person has to agree."""
    OPEN = "open"
    ENDED = "ended"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaking:
    """One person's leave to read another's held mail."""

    id: int
    owner: str
    """Whose mail: an address, lower case."""
    asked_by: int
    asked_who: str
    asked_at: float
    reason: str
    case_number: str
    lasts_s: float
    two_people: bool
    decided_by: int | None
    decided_who: str
    decided_at: float | None
    opened_at: float | None
    ends_at: float | None
    views: int

    def stand(self, now: float) -> Stand:
        """At this moment."""
        if self.opened_at is not None and self.ends_at is not None:
            return Stand.OPEN if now < self.ends_at else Stand.ENDED
        if self.decided_at is not None:
            return Stand.REFUSED
        # Nobody can agree to what was asked for long ago.
        return Stand.ASKED if now < self.asked_at + WAITS_S else Stand.ENDED


WAITS_S = 86_400.0
"""How long a request waits for the second person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look at somebody's held mail."""

    id: int
    at: float
    who: str
    owner: str
    ref: str
    how: str
    """read, downloaded or attachment."""
    glass: int | None
    """The breaking it was allowed by; None: a right."""
    reason: str = ""
    """The breaking's."""


def ask(
    connection: Connection,
    *,
    owner: str,
    account: int,
    who: str,
    at: float,
    reason: str,
    case_number: str,
    lasts_s: float,
    two_people: bool,
) -> int:
    """Write down who wants to read whose mail and why; returns its number. Nothing is open by it."""
    cursor = connection.execute(
        "INSERT INTO glass (owner, asked_by, asked_who, asked_at, reason, case_number, lasts_s, two_people)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (owner, account, who, at, reason, case_number, lasts_s, two_people),
    )
    return int(cursor.lastrowid or 0)


def decide(connection: Connection, number: int, *, account: int, who: str, at: float) -> None:
    """Who the second person was."""
    connection.execute(
        "UPDATE glass SET decided_by = ?, decided_who = ?, decided_at = ? WHERE id = ?",
        (account, who, at, number),
    )


def open_up(connection: Connection, number: int, *, at: float) -> None:
    """The time begins to run."""
    connection.execute("UPDATE glass SET opened_at = ?1, ends_at = ?1 + lasts_s WHERE id = ?2", (at, number))


def end(connection: Connection, number: int, *, at: float) -> None:
    """Over before its time."""
    connection.execute("UPDATE glass SET ends_at = min(ends_at, ?) WHERE id = ?", (at, number))


def find(connection: Connection, number: int) -> Breaking | None:
    """The one with this number."""
    row = connection.execute(f"SELECT {COLUMNS} FROM glass WHERE id = ?", (number,)).fetchone()  # noqa: S608
    return from_row(row) if row else None


def listed(
    connection: Connection,
    *,
    owners: Sequence[str] | None = None,
    account: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Breaking]:
    """Newest first: about these owners' mail, asked by this account, or all."""
    marks = ", ".join("?" * len(owners or ()))
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM glass WHERE ({'1' if owners is None else f'owner IN ({marks})'})"  # noqa: S608
        " AND (? IS NULL OR asked_by = ?) AND (? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?",
        (*(owners or ()), account, account, before, before, limit),
    )
    return [from_row(row) for row in rows]


def open_for(connection: Connection, *, account: int, owners: Iterable[str], now: float) -> Breaking | None:
    """The one under which this account may read mail of one of these owners at the moment."""
    wanted = list(owners)
    if not wanted:
        return None
    marks = ", ".join("?" * len(wanted))
    row = connection.execute(
        f"SELECT {COLUMNS} FROM glass WHERE owner IN ({marks}) AND asked_by = ? AND opened_at <= ? AND ends_at > ?"  # noqa: S608
        " ORDER BY id DESC LIMIT 1",
        (*wanted, account, now, now),
    ).fetchone()
    return from_row(row) if row else None


def view(
    connection: Connection,
    *,
    at: float,
    account: int,
    who: str,
    owner: str,
    ref: str,
    how: str,
    glass: int | None,
) -> None:
    """Write a look down, and count it where the glass was broken for it."""
    connection.execute(
        "INSERT INTO views (at, account, who, owner, ref, how, glass) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (at, account, who, owner, ref, how, glass),
    )
    if glass is not None:
        connection.execute("UPDATE glass SET views = views + 1 WHERE id = ?", (glass,))


def viewed_since(connection: Connection, *, account: int, ref: str, how: str, since: float) -> bool:
    """Is a look of this account at this message on record from `since` on?"""
    row = connection.execute(
        "SELECT 1 FROM views WHERE at >= ? AND account = ? AND ref = ? AND how = ? LIMIT 1",
        (since, account, ref, how),
    ).fetchone()
    return row is not None


def views(
    connection: Connection,
    *,
    owners: Sequence[str] | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[View]:
    """Looks at these owners' mail (None: at anybody's), newest first."""
    marks = ", ".join("?" * len(owners or ()))
    rows = connection.execute(
        "SELECT v.id, v.at, v.who, v.owner, v.ref, v.how, v.glass, coalesce(g.reason, '') FROM views v"  # noqa: S608
        f" LEFT JOIN glass g ON g.id = v.glass WHERE ({'1' if owners is None else f'v.owner IN ({marks})'})"
        " AND (? IS NULL OR v.id < ?) ORDER BY v.id DESC LIMIT ?",
        (*(owners or ()), before, before, limit),
    )
    return [
        View(id=number, at=at, who=who, owner=owner, ref=ref, how=how, glass=glass, reason=reason)
        for number, at, who, owner, ref, how, glass, reason in rows
    ]


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` looks older than `before`; breakings without looks left go with them."""
    gone = connection.execute(
        f"DELETE FROM views WHERE id IN (SELECT id FROM views WHERE at < ? AND {holds.VIEWS} LIMIT ?)",  # noqa: S608
        (before, limit),
    ).rowcount
    connection.execute(
        "DELETE FROM glass WHERE asked_at < ? AND id NOT IN (SELECT glass FROM views WHERE glass IS NOT NULL)"  # noqa: S608
        f" AND {holds.GLASS}",
        (before - 2 * WAITS_S,),
    )
    return int(gone)


def from_row(row: Any) -> Breaking:
    """A row as a record."""
    number, owner, asked_by, asked_who, asked_at, reason, case_number, lasts_s, two_people, *rest = row
    decided_by, decided_who, decided_at, opened_at, ends_at, seen = rest
    return Breaking(
        id=number, owner=owner, asked_by=asked_by, asked_who=asked_who, asked_at=asked_at, reason=reason,
        case_number=case_number, lasts_s=lasts_s, two_people=bool(two_people), decided_by=decided_by,
        decided_who=decided_who, decided_at=decided_at, opened_at=opened_at, ends_at=ends_at, views=seen,
    )  # fmt: skip

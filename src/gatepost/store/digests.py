"""Whom the digests of held mail went to, when, and how often each wants one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.store.database import Connection
from gatepost.store.quarantine import COLUMNS, NOW_HELD, held_from
from gatepost.store.records import Held

DECIDED = "state NOT IN ('held', 'requested')"
"""In the words of its index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One address's wish and what it was told last."""

    address: str
    every: str = ""
    """daily, weekly or never; empty: as is usual here."""
    sent_at: float | None = None
    told: int = 0
    """The number of the newest copy it was told of."""


def standing(connection: Connection, address: str) -> Standing:
    """Of one address; a fresh one where nothing is known."""
    row = connection.execute(
        "SELECT address, every, sent_at, told FROM digests WHERE address = ?", (address.lower(),)
    ).fetchone()
    return (
        Standing(address=row[0], every=row[1], sent_at=row[2], told=row[3])
        if row
        else Standing(address=address.lower())
    )


def wish(connection: Connection, address: str, every: str) -> None:
    """How often this address wants one."""
    connection.execute(
        "INSERT INTO digests (address, every) VALUES (?1, ?2) ON CONFLICT (address) DO UPDATE SET every = ?2",
        (address.lower(), every),
    )


def sent(connection: Connection, address: str, *, at: float, told: int) -> None:
    """One went out, and told of everything up to this number."""
    connection.execute(
        "INSERT INTO digests (address, every, sent_at, told) VALUES (?1, '', ?2, ?3)"
        " ON CONFLICT (address) DO UPDATE SET sent_at = ?2, told = ?3",
        (address.lower(), at, told),
    )


def waiting(
    connection: Connection,
    *,
    without: Sequence[str],
    by_link: str,
    since: float,
    after: str = "",
    limit: int = 500,
) -> list[str]:
    """Addresses with undecided copies outside of these categories, or with some that were decided since by a link (reasons
    begin with `by_link`), in order, behind `after`."""
    marks = ", ".join("?" * len(without))
    rows = connection.execute(
        f"SELECT lower(to_address) AS whose FROM quarantine WHERE {NOW_HELD} AND category NOT IN ({marks})"  # noqa: S608
        " AND original = 0 AND whose > ? UNION"
        f" SELECT lower(to_address) AS whose FROM quarantine WHERE {DECIDED} AND changed_at > ? AND substr(changed_why, 1, ?) = ?"
        " AND whose > ? ORDER BY whose LIMIT ?",
        (*without, after, since, len(by_link), by_link, after, limit),
    )
    return [whose for (whose,) in rows]


def news_for(
    connection: Connection, address: str, *, after: int, without: Sequence[str], limit: int
) -> tuple[list[Held], int]:
    """What is held for an address and undecided, newest first, numbered above `after`; and how many there are."""
    marks = ", ".join("?" * len(without))
    where = f"lower(to_address) = ? AND id > ? AND {NOW_HELD} AND original = 0 AND category NOT IN ({marks})"
    values = (address.lower(), after, *without)
    (many,) = connection.execute(f"SELECT count(*) FROM quarantine WHERE {where}", values).fetchone()  # noqa: S608
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM quarantine WHERE {where} ORDER BY id DESC LIMIT ?",  # noqa: S608
        (*values, limit),
    )
    return [held_from(row) for row in rows], int(many)


def done_by_link(
    connection: Connection, address: str, *, by_link: str, since: float, limit: int
) -> list[Held]:
    """This address's copies that were decided after `since`, for a reason that begins with `by_link`; newest first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM quarantine WHERE {DECIDED} AND changed_at > ? AND lower(to_address) = ?"  # noqa: S608
        " AND substr(changed_why, 1, ?) = ? ORDER BY changed_at DESC LIMIT ?",
        (since, address.lower(), len(by_link), by_link, limit),
    )
    return [held_from(row) for row in rows]


def take(connection: Connection, token: str, *, now: float, ends_at: float) -> bool:
    """Use a link up that no copy's state ends; False when it was used before."""
    if is_taken(connection, token):
        return False
    connection.execute(
        "INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", (_taken_key(token), str(now), ends_at)
    )
    return True


def is_taken(connection: Connection, token: str) -> bool:
    """Was this link used?"""
    row = connection.execute("SELECT 1 FROM memory WHERE key = ?", (_taken_key(token),)).fetchone()
    return row is not None


def _taken_key(token: str) -> str:
    return f"link:{hashlib.sha256(token.encode()).hexdigest()}"


def last_sent(connection: Connection) -> float | None:
    """When the newest digest went out to anybody."""
    (at,) = connection.execute("SELECT max(sent_at) FROM digests").fetchone()
    return None if at is None else float(at)

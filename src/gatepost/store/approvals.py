"""Outgoing mail that waits for approval, and what became of it: rows of the quarantine of that category."""

from __future__ import annotations

from gatepost.store.database import Connection
from gatepost.store.quarantine import COLUMNS, NOW_HELD, held_from
from gatepost.store.records import Held

CATEGORY = "approval"
MOST = 500


def waiting(connection: Connection, after: int) -> list[Held]:
    """Those held with a number above `after` that nobody has decided, the oldest first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM quarantine WHERE id > ? AND category = ? AND {NOW_HELD} ORDER BY id LIMIT ?",  # noqa: S608
        (after, CATEGORY, MOST),
    )
    return [held_from(row) for row in rows]


def not_sent(connection: Connection, since: float) -> list[Held]:
    """Those that were deleted or have expired after `since`, the first first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM quarantine WHERE state NOT IN ('held', 'requested') AND state <> 'released'"  # noqa: S608
        " AND category = ? AND changed_at > ? ORDER BY changed_at, id LIMIT ?",
        (CATEGORY, since, MOST),
    )
    return [held_from(row) for row in rows]


def newest(connection: Connection) -> int:
    """The highest number there is."""
    (number,) = connection.execute("SELECT coalesce(max(id), 0) FROM quarantine").fetchone()
    return int(number)

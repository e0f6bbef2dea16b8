"""What waits for a second person, and what one has agreed to: rows beside other challenges, since both end by themselves.

A restored backup makes none of them good again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from gatepost.store.database import Connection

KIND = "second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One thing that somebody wants to do, for which another must agree."""

    key: str
    """In hexadecimal."""
    asked_by: int
    """The account's number."""
    asked_who: str
    asked_at: float
    act: str
    """What exactly; a leave is for nothing else."""
    whose: int
    """The account it is about; 0: one that is not there yet."""
    reason: str
    ends_at: float
    """A request: until when somebody may agree. A leave: until when it can be used."""
    agreed_by: int | None = None
    agreed_who: str = ""


def keep(connection: Connection, request: Request, now: float) -> None:
    """A new request, or one that was agreed to; what has ended goes."""
    connection.execute("DELETE FROM challenges WHERE expires_at <= ?", (now,))
    connection.execute(
        "INSERT OR REPLACE INTO challenges (hash, kind, account, network, value, expires_at)"
        " VALUES (?, ?, ?, 'second', ?, ?)",
        (bytes.fromhex(request.key), KIND, request.whose, msgspec.json.encode(request), request.ends_at),
    )


def listed(connection: Connection, now: float) -> list[Request]:
    """All that have not ended, the oldest first."""
    rows = connection.execute(
        "SELECT value FROM challenges WHERE kind = ? AND expires_at > ?", (KIND, now)
    ).fetchall()
    found = [msgspec.json.decode(value, type=Request) for (value,) in rows]
    return sorted(found, key=lambda one: (one.asked_at, one.key))


def agree(
    connection: Connection, request: Request, *, account: int, who: str, now: float, lasts_s: float
) -> Request:
    """The request as a leave."""
    leave = replace(request, agreed_by=account, agreed_who=who, ends_at=now + lasts_s)
    keep(connection, leave, now)
    return leave


def remove(connection: Connection, key: str) -> bool:
    """Used up or refused; False when it was gone."""
    return bool(
        connection.execute(
            "DELETE FROM challenges WHERE hash = ? AND kind = ?", (bytes.fromhex(key), KIND)
        ).rowcount
    )

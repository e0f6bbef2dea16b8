"""What must not come back by a restored backup: erasures, and accounts, roles, passkeys and addresses that were taken away.

The table is written with the acts themselves. A restore reads it from where it still is (the old state, a newer backup, or a
list written out of either) and does again what the backup knows nothing of (`store/again.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from pysqlite3 import dbapi2

from gatepost.store.database import Connection
from gatepost.store.disk import Disk
from gatepost.store.failures import StoreFailed

DATABASE = "gatepost.db"
MANIFEST = "manifest.json"
MOST_OCTETS = 64 << 20
"""Of a list."""


@dataclass(frozen=True, slots=True)
class Gone:
    """One thing that is no more."""

    number: int
    at: float
    """Unix seconds."""
    kind: str
    """erased, journal, account, disabled, enabled, roles, passkey or address."""
    whom: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class GoneList:
    """All of them, as far as the place knows that they were read from."""

    entries: tuple[Gone, ...]
    whole: bool
    """From the state itself: nothing can have been done since."""


def note(connection: Connection, kind: str, whom: str) -> None:
    """Keep that somebody was erased, in the transaction that does it."""
    connection.execute("INSERT INTO gone (at, kind, whom) VALUES (unixepoch('subsec'), ?, ?)", (kind, whom))


def listed(connection: Connection) -> list[Gone]:
    """In their order."""
    return [
        Gone(*row)
        for row in connection.execute("SELECT number, at, kind, whom, what FROM gone ORDER BY number")
    ]


def written(entries: Iterable[Gone]) -> str:
    """One JSON object a line."""
    return "".join(msgspec.json.encode(one).decode() + "\n" for one in entries)


def read(place: Path) -> GoneList:
    """From a state folder, a backup, or a list that was written out. Raises StoreFailed with a sentence."""
    if place.is_dir():
        return GoneList(tuple(_of_database(place / DATABASE)), whole=not (place / MANIFEST).exists())
    try:
        if place.stat().st_size > MOST_OCTETS:
            raise StoreFailed(f"{place} is too large to be a list of what is gone")
        lines = place.read_text("utf-8").splitlines()
        found = [msgspec.json.decode(line, type=Gone) for line in lines if line.strip()]
    except OSError as fault:
        raise StoreFailed(f"{place} cannot be read: {fault.strerror}") from None
    except (ValueError, msgspec.MsgspecError):
        raise StoreFailed(f"{place} is no list written by gatepost backup gone") from None
    return GoneList(tuple(found), whole=False)


def _of_database(path: Path) -> list[Gone]:
    if not path.exists():
        raise StoreFailed(f"{path} is not there: name a state folder, a backup, or a list of what is gone")
    try:
        with contextlib.closing(Disk().connect(path, read_only=True)) as connection:
            (schema,) = connection.execute("PRAGMA user_version").fetchone()
            if schema < SINCE_SCHEMA:
                raise StoreFailed(
                    f"{path} was written by an older Gatepost, which kept no list of what is gone"
                )
            return listed(connection)
    except dbapi2.Error as fault:
        raise StoreFailed(f"{path} cannot be read: {fault}") from None


SINCE_SCHEMA = 16
"""The first with the table."""


def highest(connection: Connection) -> int:
    """The number of the last one that was kept here, be it there still or not."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'gone'").fetchone()
    return int(row[0]) if row else 0


def adopt(connection: Connection, entries: Iterable[Gone], *, after: int) -> None:
    """These, with their numbers, in place of what was kept behind `after`."""
    connection.execute("DELETE FROM gone WHERE number > ?", (after,))
    connection.executemany(
        "INSERT INTO gone (number, at, kind, whom, what) VALUES (?, ?, ?, ?, ?)",
        [(one.number, one.at, one.kind, one.whom, one.what) for one in entries],
    )


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` from before `before`: no backup so old may be restored by then."""
    return int(
        connection.execute(
            "DELETE FROM gone WHERE number IN (SELECT number FROM gone WHERE at < ? LIMIT ?)", (before, limit)
        ).rowcount
    )

"""`tools.Memory` over a table: facts and counters with expiry, kept in this process and written behind.

A counter's sum is what the table said last plus what this process added since; the other processes' additions
arrive when they and we write, within about `flush_s`. A crash loses at most that much. The cache is bounded:
what was not touched for longest goes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gatepost.store.database import Connection, Database
from gatepost.store.failures import StoreFailed
from gatepost.store.later import Later


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """How much is remembered in each process, and how soon it is written down."""

    entries: int = 100_000
    """Facts and counters kept in each process; the table holds the others."""
    flush_s: float = 1.0
    """How soon changes are written, and how old may be what another process wrote."""


class Fact:
    """One key's value here: what the table said, and what we have not written yet."""

    __slots__ = ("expires_at", "put", "read_at", "unwritten", "value")

    def __init__(self, value: str, expires_at: float, read_at: float) -> None:
        self.value = value
        self.expires_at = expires_at
        self.read_at = read_at
        self.unwritten = 0
        """What we added to a counter."""
        self.put = False
        """The value replaces what the table has."""


class StoredMemory:
    """Implements `tools.Memory`."""

    def __init__(
        self, database: Database, clock: Callable[[], float], settings: MemorySettings | None = None
    ) -> None:
        self.database = database
        self.clock = clock
        self.settings = settings or MemorySettings()
        self._facts: dict[str, Fact] = {}
        self._changed: dict[str, Fact] = {}
        self._later = Later(self._flush, self.settings.flush_s)

    async def get(self, key: str) -> str | None:
        """The fact stored under `key`, or None when absent or expired."""
        now = self.clock()
        fact = self._look(key, now)
        if fact is None or fact.expires_at <= now:
            return None
        return str(number_in(fact.value) + fact.unwritten) if fact.unwritten else fact.value

    async def put(self, key: str, value: str, *, ttl_s: float) -> None:
        """Remember `value` for `ttl_s` seconds."""
        now = self.clock()
        fact = Fact(value, now + ttl_s, now)
        fact.put = True
        self._keep(key, fact)
        self._change(key, fact)

    async def add(self, key: str, amount: int = 1, *, ttl_s: float) -> int:
        """Add to a counter and return the sum; the expiry is set by the first add."""
        now = self.clock()
        fact = self._look(key, now)
        if fact is None or fact.expires_at <= now:
            fact = Fact("0", now + ttl_s, now)
            self._keep(key, fact)
        fact.unwritten += amount
        self._change(key, fact)
        return number_in(fact.value) + fact.unwritten

    async def close(self) -> None:
        """Write what is not written."""
        await self._later.finish()

    def _look(self, key: str, now: float) -> Fact | None:
        """The fact as known here, read again from the table when it is old and all ours is written."""
        fact = self._facts.get(key)
        if fact is not None and (key in self._changed or now - fact.read_at < self.settings.flush_s):
            return fact
        row = self.database.read(
            lambda connection: connection.execute(
                "SELECT value, expires_at FROM memory WHERE key = ?", (key,)
            ).fetchone()
        )
        # What is not there is remembered too, as something that has expired.
        fact = Fact(row[0], row[1], now) if row else Fact("0", 0.0, now)
        self._keep(key, fact)
        return fact

    def _keep(self, key: str, fact: Fact) -> None:
        self._facts.pop(key, None)
        self._facts[key] = fact
        while len(self._facts) > self.settings.entries:
            oldest = next(iter(self._facts))
            del self._facts[oldest]

    def _change(self, key: str, fact: Fact) -> None:
        self._changed[key] = fact
        self._later.soon()

    async def _flush(self) -> None:
        changed, self._changed = self._changed, {}
        now = self.clock()
        amounts = {key: fact.unwritten for key, fact in changed.items()}

        def work(connection: Connection) -> list[tuple[str, str, float]]:
            return [write(connection, key, fact, amounts[key], now) for key, fact in changed.items()]

        try:
            rows = await self.database.commit(work)
        except StoreFailed:  # need not be durable; the next change tries again
            changed.update(self._changed)
            self._changed = dict(list(changed.items())[-self.settings.entries :])
            return
        for key, value, expires_at in rows:
            fact = changed[key]
            fact.unwritten -= amounts[key]
            if key not in self._changed or not self._changed[key].put:
                fact.value, fact.expires_at, fact.read_at, fact.put = value, expires_at, now, False


def write(connection: Connection, key: str, fact: Fact, amount: int, now: float) -> tuple[str, str, float]:
    """Merge one change into the table; returns key, value and expiry as they are now."""
    if fact.put:
        value = str(number_in(fact.value) + amount) if amount else fact.value
        row = connection.execute(
            "INSERT INTO memory VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
            " SET value = excluded.value, expires_at = excluded.expires_at RETURNING key, value, expires_at",
            (key, value, fact.expires_at),
        ).fetchone()
    else:
        row = connection.execute(
            "INSERT INTO memory VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET"
            " value = iif(expires_at <= ?4, excluded.value, CAST(value AS INTEGER) + excluded.value),"
            " expires_at = iif(expires_at <= ?4, excluded.expires_at, expires_at)"
            " RETURNING key, value, expires_at",
            (key, str(amount), fact.expires_at, now),
        ).fetchone()
    return row[0], str(row[1]), row[2]


def number_in(value: str) -> int:
    """A counter's value; a fact that is no number counts as 0."""
    try:
        return int(value)
    except ValueError:
        return 0


def stored(connection: Connection, prefix: str, *, now: float) -> dict[str, str]:
    """Every written fact and counter whose key begins with `prefix`, for those who only look."""
    rows = connection.execute(
        "SELECT key, value FROM memory WHERE key >= ? AND key < ? AND expires_at > ?",
        (prefix, prefix + "\U0010ffff", now),
    )
    return dict(rows.fetchall())


def expire(connection: Connection, *, now: float, limit: int) -> int:
    """Delete at most `limit` expired rows."""
    return int(
        connection.execute(
            "DELETE FROM memory WHERE key IN (SELECT key FROM memory WHERE expires_at < ? LIMIT ?)",
            (now, limit),
        ).rowcount
    )

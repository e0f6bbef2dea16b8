"""Senders that people allow or block while the gate runs: `tools.Entries`, and what changes it.

Each process keeps all of them in memory and looks once a second whether any has changed. An entry has an owner, a
reason, mostly an end, and a count of its hits; who made and removed it is in the journal.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gatepost.mail.address import Address
from gatepost.store import holds, journal
from gatepost.store.database import Connection, Database
from gatepost.store.failures import StoreFailed
from gatepost.store.journal import Why
from gatepost.store.later import Later
from gatepost.tools import Entry

LABELS = 20
"""Of a domain that are looked up; nobody's has more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An entry with its history, for people."""

    entry: Entry
    made_at: float
    hits: int
    last_hit: float | None


class StoredEntries:
    """Implements `tools.Entries`."""

    def __init__(
        self, database: Database, clock: Callable[[], float], *, look_s: float = 1.0, flush_s: float = 5.0
    ) -> None:
        self.database = database
        self.clock = clock
        self._look_s = look_s
        self._looked_at = float("-inf")
        self._version = -1
        self._by_identity: dict[str, list[Entry]] = {}
        self._hits: Counter[int] = Counter()
        self._later = Later(self._flush, flush_s)

    @property
    def some(self) -> bool:
        """Are there any? At most a second behind."""
        now = self.clock()
        if not 0 <= now - self._looked_at < self._look_s:
            self._looked_at = now
            with contextlib.suppress(StoreFailed):  # what is known holds meanwhile
                self._look()
        return bool(self._by_identity)

    async def matching(self, identities: Sequence[str], recipients: Sequence[Address]) -> Sequence[Entry]:
        """Entries in force, the narrowest identity first."""
        if not self.some:
            return ()
        now = self.clock()
        found: dict[int, Entry] = {}
        for identity in identities:
            for key in keys_of(identity):
                for entry in self._by_identity.get(key, ()):
                    if (entry.expires_at is None or now < entry.expires_at) and concerns(entry, recipients):
                        found[entry.id] = entry
        return tuple(found.values())

    def count(self, entries: Sequence[Entry]) -> None:
        """Written within seconds; a crash may lose it."""
        if entries:
            self._hits.update(entry.id for entry in entries)
            self._later.soon()

    async def close(self) -> None:
        """Write what is not written."""
        await self._later.finish()

    def _look(self) -> None:
        (version,) = self.database.read(
            lambda connection: connection.execute("SELECT number FROM entries_version").fetchone()
        )
        if version == self._version:
            return
        kept = self.database.read(listed)
        by_identity: dict[str, list[Entry]] = {}
        for one in kept:
            by_identity.setdefault(one.entry.identity, []).append(one.entry)
        self._by_identity, self._version = by_identity, version

    async def _flush(self) -> None:
        hits, self._hits, now = self._hits, Counter(), self.clock()

        def work(connection: Connection) -> None:
            for number, times in hits.items():
                connection.execute(
                    "UPDATE entries SET hits = hits + ?, last_hit = ? WHERE id = ?", (times, now, number)
                )

        try:
            await self.database.commit(work)
        except StoreFailed:
            self._hits += hits
            self._later.soon()


def keys_of(identity: str) -> Iterator[str]:
    """What an entry for this sender may be called: the address, its domain, and the domains above."""
    local, at, domain = identity.lower().rpartition("@")
    if at and local:
        yield f"{local}@{domain}"
    labels = domain.split(".")[-LABELS:]
    for start in range(len(labels)):
        yield ".".join(labels[start:])


def concerns(entry: Entry, recipients: Sequence[Address]) -> bool:
    """Does it count for any of these recipients?"""
    return not entry.recipient or any(entry.recipient in (one.key, one.domain) for one in recipients)


def add(connection: Connection, entry: Entry, why: Why) -> None:
    """Make an entry, or change the one for the same sender and recipient. `entry.id` is not looked at."""
    connection.execute(
        "INSERT INTO entries (allow, identity, recipient, owner, reason, made_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (allow, identity, recipient) DO UPDATE"
        " SET owner = excluded.owner, reason = excluded.reason, expires_at = excluded.expires_at",
        (entry.allow, entry.identity, entry.recipient, entry.owner, entry.reason, why.at, entry.expires_at),
    )
    _changed(
        connection, "add", allow=entry.allow, identity=entry.identity, recipient=entry.recipient, why=why
    )


def remove(connection: Connection, *, allow: bool, identity: str, recipient: str, why: Why) -> bool:
    """Take an entry out; False when there is none such."""
    gone = connection.execute(
        "DELETE FROM entries WHERE allow = ? AND identity = ? AND recipient = ?", (allow, identity, recipient)
    ).rowcount
    if gone:
        _changed(connection, "remove", allow=allow, identity=identity, recipient=recipient, why=why)
    return bool(gone)


def listed(connection: Connection, *, allow: bool | None = None) -> list[Kept]:
    """All of them, or those of one kind, in the order of their names."""
    rows = connection.execute(
        "SELECT id, allow, identity, recipient, owner, reason, expires_at, made_at, hits, last_hit FROM entries"
        " WHERE ?1 IS NULL OR allow = ?1 ORDER BY identity, recipient, id",
        (allow,),
    )
    return [
        Kept(
            entry=Entry(
                id=number, allow=bool(kind), identity=identity, recipient=recipient, owner=owner, reason=reason,
                expires_at=expires_at,
            ),
            made_at=made_at, hits=hits, last_hit=last_hit,
        )
        for number, kind, identity, recipient, owner, reason, expires_at, made_at, hits, last_hit in rows
    ]  # fmt: skip


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` entries that ended before `before`."""
    gone = connection.execute(
        f"DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE expires_at < ? AND {holds.ENTRIES} LIMIT ?)",  # noqa: S608
        (before, limit),
    ).rowcount
    if gone:
        connection.execute("UPDATE entries_version SET number = number + 1")
    return int(gone)


def _changed(
    connection: Connection, verb: str, *, allow: bool, identity: str, recipient: str, why: Why
) -> None:
    connection.execute("UPDATE entries_version SET number = number + 1")
    kind, limited = "allow" if allow else "block", f" for <{recipient}>" if recipient else ""
    journal.append(
        connection, at=why.at, who=why.who, what=f"lists {kind} {verb} {identity}{limited}", why=why.why
    )

"""The store as intake, delivery and the commands see it: one object, each method one promise.

What returns from a method that is awaited is on the disk, but for `record_soon`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pysqlite3 import dbapi2

from gatepost.store import (
    heldaccounts,
    history,
    journal,
    messages,
    numbers,
    quarantine,
    queue,
    searching,
)
from gatepost.store.database import Connection, Database, DatabaseSettings
from gatepost.store.disk import Disk, Room, RoomSettings, Space, space
from gatepost.store.failures import DuplicateRef, StoreFailed, StoreFull, translated
from gatepost.store.figures import Figures, figures, reusable_octets
from gatepost.store.journal import JournalEntry
from gatepost.store.later import Later
from gatepost.store.records import (
    Acceptance,
    AccountHold,
    DeliveryAttempt,
    Held,
    HistoryEntry,
    Notice,
    Outcome,
    Queued,
    QueueItem,
    Settlement,
)
from gatepost.store.ref import well_formed
from gatepost.store.sealing import Keyring, Seal
from gatepost.store.spool import Spool
from gatepost.store.taking import accept, add_notice, hold_account

__all__ = ["DuplicateRef", "Store", "StoreFailed", "StoreFull", "StoreSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """What is kept where."""

    inline_octets: int = 64 * 1024
    """Messages up to this size are kept in the database, larger ones as files. Measured at 40 KB: three times the
    rate of files; at 100 KB a longer wait now and then, as moving the log copies them once more."""
    soon_entries: int = 10_000
    """Entries of refusals that may wait for the disk; beyond, they are dropped and counted."""
    soon_s: float = 0.5
    """How long they may wait."""
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    room: RoomSettings = field(default_factory=RoomSettings)


class Store:
    """One process's door to everything kept under the state folder."""

    def __init__(
        self, folder: Path, database: Database, spool: Spool, settings: StoreSettings, keys: Keyring
    ) -> None:
        self.folder = folder
        self.database = database
        self.spool = spool
        self.settings = settings
        self.keys = keys
        """Seals what is held."""
        self.front: Callable[[bytes, float], bytes] = no_front
        """What stands in front of a message of our own when it is delivered: its signatures."""
        self.dropped_entries = 0
        """Entries lost because the disk was too slow for them."""
        self._soon: list[HistoryEntry] = []
        self._later = Later(self._record_waiting, settings.soon_s)

    @classmethod
    def open(
        cls,
        folder: Path,
        settings: StoreSettings | None = None,
        disk: Disk | None = None,
        key_file: Path | None = None,
    ) -> Store:
        """Open or create the store in the state folder; raises StoreFailed with a sentence for the operator.

        `key_file` has the master keys of the quarantine; without it, ``keys/quarantine.key`` in the state folder.
        """
        settings = settings or StoreSettings()
        disk = disk or Disk()
        with translated():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            spool = Spool(folder / "spool", disk)
        database = Database.open(folder / "gatepost.db", settings.database, disk)
        try:
            with translated():  # the names of what was made now
                disk.sync_folder(folder)
                disk.sync_folder(folder.parent)
        except StoreFailed:
            database.close_now()
            raise
        return cls(folder, database, spool, settings, keyring(folder, key_file, disk))

    async def close(self) -> None:
        """Write what still waits, then close."""
        await self._later.finish()
        await self.database.close()

    # Taking mail in

    async def carry_out(self, acceptance: Acceptance) -> None:
        """Make an accepted message durable: history, octets, queue and quarantine, in one commit.

        When any copy is held the octets are sealed before they are written anywhere, for the queued copies as well.
        Only when this returns may the 250 be given. Raises StoreFull (452 4.3.1), DuplicateRef or StoreFailed
        (451 4.3.0); nothing was kept then.
        """
        ref = acceptance.entry.ref
        if not well_formed(ref):
            raise ValueError(f"not a reference: {ref!r}")
        large = len(acceptance.octets) > self.settings.inline_octets
        octets, seal = acceptance.octets, None
        for copy in acceptance.deliveries:
            if copy.held:
                seal, octets = await self.sealed(ref, octets, apart=large)
                break
        if large and acceptance.deliveries:
            await asyncio.to_thread(self.spool.write, ref, octets)
        kept = None if large else octets
        try:
            await self.database.commit(
                lambda connection: accept(connection, acceptance, kept, seal), together=numbers.count
            )
        except dbapi2.IntegrityError as failure:
            if large:
                self.spool.remove(ref)
            raise DuplicateRef(f"reference {ref} is taken") from failure
        # After any other failure the file stays until it is swept: a commit whose sync failed may yet be found
        # on the disk after a crash, and then it must be whole.

    async def record(self, entry: HistoryEntry) -> None:
        """Keep an entry of something that was turned down."""
        await self.database.commit(lambda connection: history.insert(connection, entry))

    def record_soon(self, entry: HistoryEntry) -> None:
        """The same without waiting: written within `soon_s`; a crash may lose it. Never blocks, never raises."""
        if len(self._soon) >= self.settings.soon_entries:
            self.dropped_entries += 1
            return
        self._soon.append(entry)
        self._later.soon()

    # Getting it out

    def due(
        self,
        now: float,
        *,
        start: tuple[float, int] | None = None,
        end: tuple[float, int] | None = None,
        limit: int = 500,
    ) -> list[tuple[float, int, str, int]]:
        """Copies that wait to be claimed: when each fell due, its number, its address, its message's number. See `queue.due`."""
        return self.database.read(lambda c: queue.due(c, now=now, start=start, end=end, limit=limit))

    async def claim(
        self, now: float, limit: int, lease_s: float, worker: str, *, only: Sequence[int] | None = None
    ) -> list[QueueItem]:
        """At most `limit` copies that are due, or of `only` these, under a lease of `lease_s`."""
        return await self.database.commit(
            lambda connection: queue.claim(
                connection, now=now, limit=limit, lease_s=lease_s, worker=worker, only=only
            )
        )

    async def settle(
        self,
        item: QueueItem,
        attempt: DeliveryAttempt | None,
        outcome: Outcome,
        notices: Sequence[Notice] = (),
    ) -> None:
        """What came of a claimed copy, and the DSNs it gives rise to, in one commit."""
        await self.settle_all((Settlement(item, attempt, outcome, notices),))

    async def settle_all(self, settlements: Sequence[Settlement]) -> None:
        """What came of many of them, in one commit: all of it is kept, or nothing."""
        own = [
            (notice, self.front(notice.octets, notice.at)) for one in settlements for notice in one.notices
        ]

        def work(connection: Connection) -> list[str]:
            gone = queue.settle_all(connection, settlements)
            for notice, front in own:
                add_notice(connection, notice, front)
            return gone

        self.forget(await self.database.commit(work))

    def may_go(self, item: QueueItem) -> bool:
        """Is a claimed copy still ours to send, or was it held meanwhile?"""
        return self.database.read(lambda connection: queue.may_go(connection, item))

    async def hold_account(self, hold: AccountHold) -> None:
        """Hold everything of an account: what is queued, and what it hands in from now on."""
        await self.database.commit(lambda connection: hold_account(connection, hold))

    def held_because(self, account: str) -> str | None:
        """Why this account's mail is held; None when it is not."""
        return self.database.read(lambda connection: heldaccounts.held_because(connection, account))

    async def give_back(self, workers: Sequence[str], now: float) -> int:
        """At a worker's start: what it, and others that are gone, held when they died falls due at once. Returns how many copies."""
        return await self.database.commit(lambda connection: queue.give_back(connection, workers, now))

    async def enqueue_notice(self, notice: Notice) -> None:
        """Queue a message of our own."""
        front = self.front(notice.octets, notice.at)
        await self.database.commit(lambda connection: add_notice(connection, notice, front))

    def octets_of(self, ref: str) -> bytes:
        """The message as received. Raises KeyError when its last copy is gone, StoreFailed when damaged."""
        return self._octets(self._kept(ref))

    def delivered_copy(self, ref: str) -> bytes:
        """The message as it is delivered: our header fields in front, the removed fields left out."""
        kept = self._kept(ref)
        return messages.copy_for_delivery(self._octets(kept), kept.added_header, kept.removed_fields)

    # Looking

    def entry(self, ref: str) -> HistoryEntry | None:
        """The entry with this very reference."""
        return self.database.read(lambda connection: history.entry(connection, ref))

    def find(
        self, search: history.Search, *, limit: int = 50, after: history.Cursor | None = None
    ) -> history.Page:
        """Entries of history, newest first, however far back they lie."""
        return self.database.read(
            lambda connection: searching.find(
                connection, search, limit=limit, after=after, at_once=searching.WITHOUT_END
            )
        )

    def attempts_of(self, ref: str) -> list[DeliveryAttempt]:
        """Every delivery attempt of a message, oldest first."""
        return self.database.read(lambda connection: queue.attempts_of(connection, ref))

    def room(self) -> Room:
        """The room left for mail."""
        return self.space().room(self.settings.room)

    def space(self) -> Space:
        """What is free on the disk, and in the database's file."""
        try:
            reusable = self.database.read(reusable_octets)
        except StoreFailed:
            reusable = 0
        return space(self.folder, reusable_octets=reusable)

    def queued(
        self, *, ref: str | None = None, to: str | None = None, after: int = 0, limit: int = 100
    ) -> list[Queued]:
        """What is queued, oldest first; `after` is the last id of the page before."""
        return self.database.read(lambda c: queue.listed(c, ref=ref, to=to, after=after, limit=limit))

    def held(
        self,
        *,
        ref: str | None = None,
        to: str | None = None,
        before: int | None = None,
        limit: int = 100,
        decided: bool = False,
    ) -> list[Held]:
        """What is in quarantine, newest first; `before` is the last id of the page before, `decided` adds what was."""
        return self.database.read(
            lambda c: quarantine.find(c, ref=ref, to=to, before=before, limit=limit, decided=decided)
        )

    def journal(
        self,
        *,
        subject: str | None = None,
        about: str | None = None,
        who: str | None = None,
        kind: str | None = None,
        since: float | None = None,
        until: float | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[JournalEntry]:
        """What was done, newest first; about one message or person, or anything. See `journal.read`."""
        return self.database.read(
            lambda c: journal.read(
                c, subject=subject, about=about, who=who, kind=kind, since=since, until=until, before=before, limit=limit
            )
        )  # fmt: skip

    def figures(self, now: float) -> Figures:
        """How much there is and how old it is."""
        return self.database.read(lambda connection: figures(connection, now))

    async def sealed(self, ref: str, octets: bytes, *, apart: bool) -> tuple[Seal, bytes]:
        """The octets as they are kept when held, and the seal that opens them; in a thread when `apart`."""
        if apart:  # the disk, or enough octets to keep the loop busy
            return await asyncio.to_thread(self.keys.seal, ref, octets)
        return self.keys.seal(ref, octets)

    def forget(self, files: Sequence[str]) -> None:
        """Remove the spool files of messages whose rows are gone."""
        for ref in files:
            self.spool.remove(ref)

    def _kept(self, ref: str) -> messages.Kept:
        kept = self.database.read(lambda connection: messages.find(connection, ref))
        if kept is None:
            raise KeyError(ref)
        return kept

    def _octets(self, kept: messages.Kept) -> bytes:
        octets = self.spool.read(kept.ref) if kept.octets is None else kept.octets
        if kept.seal is not None:
            octets = self.keys.open(kept.ref, kept.seal, octets)
        if len(octets) != kept.size:
            raise StoreFailed(f"message {kept.ref} has {len(octets)} octets on disk instead of {kept.size}")
        return octets

    async def _record_waiting(self) -> None:
        entries, self._soon = self._soon, []

        def work(connection: Connection) -> None:
            for entry in entries:
                with contextlib.suppress(dbapi2.IntegrityError):
                    history.insert(connection, entry)

        try:
            await self.database.commit(work)
        except StoreFailed:
            self.dropped_entries += len(entries)


def no_front(octets: bytes, now: float) -> bytes:  # noqa: ARG001
    """Where nothing signs."""
    return b""


def keyring(folder: Path, key_file: Path | None = None, disk: Disk | None = None) -> Keyring:
    """The master keys of the store in a state folder."""
    own = folder / "keys"
    return Keyring(key_file or own / "quarantine.key", own / "quarantine", disk)

"""SQLite, opened carefully, and group commit: one transaction and one sync for all who wait at that moment.

Every process has one `Database` and so one writing connection. Writers of different processes take turns
by lock files, which the kernel hands on at once; SQLite's own busy handler would sleep and be unfair.
One process alone checkpoints. Statements run in the event loop (they touch memory); COMMIT, which waits for
the disk, does so only while the disk is quick. After a failed COMMIT nothing of it is believed: all its callers
fail, and the connection is opened afresh.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any, TypeAlias, TypeVar

from pysqlite3 import dbapi2

from gatepost.store.checkpoint import Checkpointer
from gatepost.store.disk import Disk
from gatepost.store.failures import StoreFailed, StoreFull, breaks_all, translated
from gatepost.store.migrations import migrate
from gatepost.store.patience import at_length, quickly
from gatepost.store.turns import Turns, turn

__all__ = ["Connection", "Database", "DatabaseSettings", "StoreFailed", "StoreFull"]

Connection: TypeAlias = dbapi2.Connection
T = TypeVar("T")
Together: TypeAlias = Callable[[Connection, Sequence[Any]], None] | None
Waiting: TypeAlias = tuple[Callable[[Connection], Any], asyncio.Future[Any], Together]
Answer: TypeAlias = tuple[asyncio.Future[Any], Together, Any, Exception | None]
_TURN_TRIES, _TURN_AGAIN_S = 10, 0.001
_COMPANY_FROM, _COMPANY = 1.5, 16
"""From how many works a batch, on average, others may be expected; and how many share the price of a transaction well enough."""
OLDEST_SQLITE = (3, 51, 3)
"""Older ones can corrupt a write-ahead log that two connections checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """How the database file is used."""

    checkpointer: bool = True
    """This process moves the write-ahead log into the database; exactly one should."""
    checkpoint_octets: int = 8 * 1024**2
    """How large the write-ahead log may grow before it is moved."""
    restart_octets: int = 64 * 1024**2
    """How large it may grow before writers are made to wait for that."""
    cache_octets: int = 16 * 1024**2
    """Memory for pages of the database, for each connection."""
    batch: int = 256
    """At most so many works share one transaction."""
    gather_s: float = 0.005
    """How long a busy process waits for company before it commits; one that has time commits at once."""
    gather_busy: float = 0.6
    """From which share of its time on a process is busy."""
    patience_s: float = 0.001
    """A disk that needs longer than this for a commit is waited for in a thread, not in the event loop."""
    wait_s: float = 30.0
    """How long to wait for a lock that something other than Gatepost holds."""


class Pace:
    """How busy this thread was of late, told batch by batch.

    A transaction has a price of its own (pages, a sync, two switches between processes). While a process has other sessions to
    serve, a commit that waits a moment is joined by theirs, and nothing stands still; where nobody else is about, waiting would only be waiting.
    """

    def __init__(self) -> None:
        self._share = self._works = 0.0  # moving averages
        self._at, self._worked = perf_counter(), thread_time()

    @property
    def busy(self) -> float:
        """The share of its time that the thread works; 0 where batches are mostly one work alone."""
        return self._share if self._works >= _COMPANY_FROM else 0.0

    def note(self, works: int) -> None:
        """A batch of so many works is about to be written."""
        now, worked = perf_counter(), thread_time()
        share = (worked - self._worked) / max(now - self._at, 1e-6)
        self._at, self._worked = now, worked
        self._share += (share - self._share) / 4
        self._works += (works - self._works) / 4


class Database:
    """One writing connection, one reading connection, and those who wait for a commit."""

    def __init__(self, path: Path, settings: DatabaseSettings, disk: Disk) -> None:
        self.path = path
        self.settings = settings
        self.disk = disk
        self._waiting: list[Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-commit")
        self._turns = Turns(path)
        self._connection: Connection | None = None
        self._reader: Connection | None = None
        self._checkpointer: Checkpointer | None = None
        self._commit_s = 0.0
        """How long a commit took of late, a moving average."""
        self._slow_commits = 0
        """So many commits more are waited for in the thread, before the disk is tried again."""
        self._pace = Pace()

    @classmethod
    def open(cls, path: Path, settings: DatabaseSettings | None = None, disk: Disk | None = None) -> Database:
        """Open or create the database and bring its tables up to date.

        Raises StoreFailed (one sentence) when it cannot be opened or is newer than this program.
        """
        if dbapi2.sqlite_version_info < OLDEST_SQLITE:
            raise StoreFailed(f"SQLite {dbapi2.sqlite_version} is too old: 3.51.3 is the oldest that is safe")
        with translated():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            database = cls(path, settings or DatabaseSettings(), disk or Disk())
            try:
                with turn(path):
                    migrate(database._writing())
            except BaseException:
                database.close_now()
                raise
        if database.settings.checkpointer:
            database._checkpointer = Checkpointer(
                lambda: database._connect(read_only=False),
                lambda: turn(path),
                passive_octets=database.settings.checkpoint_octets,
                restart_octets=database.settings.restart_octets,
            )
        return database

    async def commit(
        self,
        work: Callable[[Connection], T],
        *,
        together: Callable[[Connection, Sequence[T]], None] | None = None,
    ) -> T:
        """Run `work` in a transaction shared with whoever else waits; when this returns, it is on the disk.

        If `work` raises, it alone is undone and its exception comes out here. Raises StoreFull or StoreFailed
        when the disk failed; nothing was kept then. `work` must be short, must not commit, and must do nothing
        but use the connection: it is run a second time when another of the same batch fails. `together` is run once before the
        commit, with what all works of the batch returned that have the same: what each of them would write again.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._waiting.append((work, done, together))
        if self._writer is None:
            self._writer = loop.create_task(self._write(), name="store-writer")
        return await done

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run a short query on the reading connection; it sees all that was committed before."""
        with translated():
            if self._reader is None:
                self._reader = self._connect(read_only=True)
            return quickly(self._reader, work)

    async def read_apart(self, work: Callable[[Connection], T]) -> T:
        """Run a long query in a thread, on a connection of its own."""

        def run() -> T:
            with translated(), contextlib.closing(self._connect(read_only=True)) as connection:
                return at_length(connection, work)

        return await asyncio.to_thread(run)

    async def close(self) -> None:
        """Finish what waits, then close."""
        while self._writer is not None:
            await self._writer
        self.close_now()

    def close_now(self) -> None:
        """Close without finishing what waits."""
        self._thread.shutdown()
        if self._checkpointer is not None:
            self._checkpointer.end()
            self._checkpointer = None
        for connection in (self._reader, self._connection):
            if connection is not None:
                with contextlib.suppress(dbapi2.Error):
                    connection.close()
        self._reader = self._connection = None
        self._turns.close()

    async def _write(self) -> None:
        """Commit batch after batch until nobody waits."""
        try:
            while self._waiting:
                if self._pace.busy > self.settings.gather_busy and len(self._waiting) < _COMPANY:
                    await asyncio.sleep(self.settings.gather_s)
                batch = self._waiting[: self.settings.batch]
                del self._waiting[: self.settings.batch]
                self._pace.note(len(batch))
                await self._write_batch(batch)
        finally:
            self._writer = None

    async def _write_batch(self, batch: list[Waiting]) -> None:
        answers: list[Answer] = []
        try:
            with translated():
                await self._take_turn()
                try:
                    await self._transaction(batch, answers)
                finally:
                    self._turns.give()
        except Exception as failure:  # noqa: BLE001  every caller must hear of it
            for _, done, _ in batch:
                if not done.done():
                    done.set_exception(failure)
            return
        for done, _, result, error in answers:
            if done.done():
                continue
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

    async def _transaction(self, batch: list[Waiting], answers: list[Answer]) -> None:
        connection = self._writing()
        wanted = [one for one in batch if not one[1].cancelled()]
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                answers += [(done, together, work(connection), None) for work, done, together in wanted]
            except Exception as failure:
                if breaks_all(failure):
                    raise
                connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
                answers[:] = [
                    (done, together, *one_by_itself(connection, work)) for work, done, together in wanted
                ]
            for together in {one[1] for one in answers if one[1] is not None}:
                together(connection, [one[2] for one in answers if one[1] is together and one[3] is None])
            await self._wait_for_disk(connection)
        except BaseException:
            self._reopen()
            raise

    async def _wait_for_disk(self, connection: Connection) -> None:
        """COMMIT: in the loop while the disk answers quickly, else in the thread so that others can go on.

        Handing over costs 0.05 ms of CPU a message and the loop's attention; a slow disk costs more.
        """
        if self._slow_commits:
            self._slow_commits -= 1
            await self._apart(connection.execute, "COMMIT")
            return
        begun = perf_counter()
        connection.execute("COMMIT")
        self._commit_s += (perf_counter() - begun - self._commit_s) / 8
        if self._commit_s > self.settings.patience_s:
            self._slow_commits, self._commit_s = 100, 0.0

    async def _take_turn(self) -> None:
        """Mostly the other's turn is over within a millisecond or two, and asking again is cheaper than a thread."""
        for _ in range(_TURN_TRIES):
            if self._turns.take_now():
                return
            await asyncio.sleep(_TURN_AGAIN_S)
        await self._apart(self._turns.take)

    async def _apart(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Run in the writer's thread; even when cancelled, not before the thread is done with it."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            self._thread.submit(int).result()
            raise

    def _writing(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect(read_only=False)
        return self._connection

    def _connect(self, *, read_only: bool) -> Connection:
        if not read_only and not self.path.exists():
            self.path.touch(0o600)
        connection = self.disk.connect(self.path, read_only=read_only)
        try:
            connection.execute(f"PRAGMA busy_timeout = {int(self.settings.wait_s * 1000)}")
            connection.execute(f"PRAGMA cache_size = {-self.settings.cache_octets // 1024}")
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA wal_autocheckpoint = 0")
        except BaseException:
            connection.close()
            raise
        return connection

    def _reopen(self) -> None:
        """Leave a connection that failed; the next batch opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(dbapi2.Error):
                connection.rollback()
            with contextlib.suppress(dbapi2.Error):
                connection.close()


def one_by_itself(
    connection: Connection, work: Callable[[Connection], T]
) -> tuple[T | None, Exception | None]:
    """Run one work in a savepoint, so that its failure is its own. Dear enough to be done only after a failure."""
    connection.execute("SAVEPOINT work")
    try:
        result = work(connection)
    except Exception as failure:
        if breaks_all(failure):
            raise
        connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")
        return None, failure
    connection.execute("RELEASE work")
    return result, None

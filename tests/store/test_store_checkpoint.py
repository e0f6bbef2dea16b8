"""The write-ahead log is moved into the database beside everybody who reads and writes, and keeps nobody waiting."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.store.database import Connection, Database, DatabaseSettings
from gatepost.store.turns import turn

PAGE = 4096
RESTART = 64 * PAGE
QUIET = DatabaseSettings(checkpointer=False)
QUICK = DatabaseSettings(checkpoint_octets=16 * PAGE, restart_octets=RESTART)
PATIENCE_S = 10.0
"""Of the test: far more than it takes, and far less than a lock is waited for."""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Database]:
    """The process that checkpoints."""
    database = Database.open(tmp_path / "db", QUICK)
    yield database
    database.close_now()


@pytest.fixture
def console(gate: Database) -> Iterator[Database]:
    """Another process's."""
    database = Database.open(gate.path, QUIET)
    yield database
    database.close_now()


def write(connection: Connection) -> None:
    connection.execute("INSERT INTO told (octets) VALUES (zeroblob(?))", (PAGE,))


def log_octets(database: Database) -> int:
    return Path(f"{database.path}-wal").stat().st_size


async def written(database: Database, octets: int) -> None:
    """So much goes into the log, a commit after the other."""
    for _ in range(octets // PAGE):
        await database.commit(write)


def test_who_reads_for_long_keeps_no_writer_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = threading.Event()

    @contextlib.contextmanager
    def seen(path: Path) -> Iterator[None]:
        with turn(path):
            looked.set()
            yield

    Database.open(tmp_path / "db", QUIET).close_now()
    monkeypatch.setattr("gatepost.store.database.turn", seen)
    gate, console = Database.open(tmp_path / "db", QUICK), Database.open(tmp_path / "db", QUIET)

    async def story() -> None:
        await gate.commit(lambda c: c.execute("CREATE TABLE told (octets BLOB)"))
        reader = console._connect(read_only=True)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM told").fetchone()
        looked.clear()
        async with asyncio.timeout(PATIENCE_S):
            await written(gate, 2 * RESTART)
            while not looked.is_set():  # the log is long, and somebody reads what is older
                await asyncio.sleep(0.01)
            await written(gate, RESTART)
        assert reader.execute("SELECT count(*) FROM told").fetchone() == (0,), "it reads on as it began"
        reader.close()

    try:
        asyncio.run(story())
    finally:
        gate.close_now()
        console.close_now()


def test_and_the_log_begins_anew_once_nobody_reads_what_is_old(gate: Database, console: Database) -> None:
    async def story() -> None:
        await gate.commit(lambda c: c.execute("CREATE TABLE told (octets BLOB)"))
        reader = console._connect(read_only=True)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM told").fetchone()
        await written(gate, 2 * RESTART)
        reader.close()
        grown = log_octets(gate)
        async with asyncio.timeout(PATIENCE_S):
            while True:  # its length on the disk stays; that it is filled from the front again shows in what is used of it
                await written(gate, PAGE)
                if used(console) * PAGE < RESTART:
                    break
                await asyncio.sleep(0.001)
        assert log_octets(gate) < 2 * grown

    asyncio.run(story())


READING = """WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 50000)
SELECT count(*) FROM counted WHERE n > (SELECT count(*) FROM told LIMIT 1)"""
"""Looks at the table all the while, for some hundredths of a second."""


def test_it_begins_anew_too_where_one_always_reads_when_another_ends(
    gate: Database, console: Database
) -> None:
    ended = threading.Event()

    def read_on_and_on() -> None:
        connection = console._connect(read_only=True)
        while not ended.is_set():
            connection.execute(READING).fetchone()
        connection.close()

    async def story() -> None:
        await gate.commit(lambda c: c.execute("CREATE TABLE told (octets BLOB)"))
        readers = [threading.Thread(target=read_on_and_on) for _ in range(3)]
        for one in readers:
            one.start()
        try:
            async with asyncio.timeout(6 * PATIENCE_S):
                before = frames = 0
                while frames >= before:  # until the log is shorter than it was
                    await written(gate, 4 * PAGE)
                    before, frames = frames, used(console)
                    await asyncio.sleep(0.001)
        finally:
            ended.set()
            for one in readers:
                one.join()

    asyncio.run(story())


def used(database: Database) -> int:
    """Frames of the log."""
    return int(database._writing().execute("PRAGMA wal_checkpoint(NOOP)").fetchone()[1])

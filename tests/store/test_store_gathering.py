"""Commits that wait for company: only where company is to be expected."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from gatepost.store.database import Connection, Database, DatabaseSettings


def work(_: Connection) -> str:
    return "one"


def always_busy(folder: Path, gather_s: float) -> Database:
    settings = DatabaseSettings(checkpointer=False, gather_busy=0.0, gather_s=gather_s)
    return Database.open(folder / "gatepost.db", settings)


def test_one_after_another_nobody_waits(tmp_path: Path) -> None:
    async def main() -> None:
        database = always_busy(tmp_path, gather_s=3600)
        for _ in range(20):
            assert await database.commit(work) == "one"
        await database.close()

    asyncio.run(main())


def test_where_others_came_before_a_commit_is_joined_by_who_comes_a_moment_later(tmp_path: Path) -> None:
    batches: list[int] = []

    def together(_: Connection, results: Sequence[str]) -> None:
        batches.append(len(results))

    async def main() -> None:
        database = always_busy(tmp_path, gather_s=0.05)
        for _ in range(3):
            await asyncio.gather(*(database.commit(work) for _ in range(8)))
        first = asyncio.create_task(database.commit(work, together=together))
        for _ in range(5):
            await asyncio.sleep(0)
        await asyncio.gather(first, database.commit(work, together=together))
        await database.close()

    asyncio.run(main())
    assert batches == [2]

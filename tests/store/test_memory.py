"""Counters and facts with expiry, shared by processes; and who knows whom."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gatepost.store.correspondents import StoredCorrespondents
from gatepost.store.database import Database, DatabaseSettings
from gatepost.store.memory import MemorySettings, StoredMemory
from gatepost.tools import Acquaintance

QUIET = DatabaseSettings(checkpointer=False)


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def __call__(self) -> float:
        return self.now


Story = Callable[[Database, Database, Clock], Awaitable[None]]


@pytest.fixture
def tell(tmp_path: Path) -> Callable[[Story], None]:
    """Run a story with two processes' databases on one file."""

    async def run(story: Story) -> None:
        one, two = Database.open(tmp_path / "db", QUIET), Database.open(tmp_path / "db", QUIET)
        await story(one, two, Clock())
        await one.close()
        await two.close()

    return lambda story: asyncio.run(run(story))


def test_facts_expire(tell: Callable[[Story], None]) -> None:
    async def story(one: Database, two: Database, clock: Clock) -> None:
        memory = StoredMemory(one, clock)
        assert await memory.get("a:b") is None
        await memory.put("a:b", "word", ttl_s=10)
        clock.now += 9.9
        assert await memory.get("a:b") == "word"
        clock.now += 0.1
        assert await memory.get("a:b") is None
        assert await memory.add("a:b", ttl_s=10) == 1, "an expired fact counts as 0"
        await memory.close()

    tell(story)


def test_a_counters_expiry_is_set_by_the_first_add(tell: Callable[[Story], None]) -> None:
    async def story(one: Database, two: Database, clock: Clock) -> None:
        memory = StoredMemory(one, clock)
        assert await memory.add("k", 2, ttl_s=10) == 2
        clock.now += 6
        assert await memory.add("k", 3, ttl_s=10) == 5
        clock.now += 4
        assert await memory.add("k", 1, ttl_s=10) == 1
        await memory.close()

    tell(story)


def test_two_processes_count_together(tell: Callable[[Story], None]) -> None:
    async def story(one: Database, two: Database, clock: Clock) -> None:
        first, second = StoredMemory(one, clock), StoredMemory(two, clock)
        for _ in range(5):
            await asyncio.gather(first.add("k", ttl_s=60), second.add("k", ttl_s=60))
        await first.close()
        await second.close()
        clock.now += 2
        assert await first.get("k") == "10"
        assert await second.add("k", ttl_s=60) == 11
        await second.close()

    tell(story)


def test_what_was_written_is_known_after_a_restart(tell: Callable[[Story], None]) -> None:
    async def story(one: Database, two: Database, clock: Clock) -> None:
        memory = StoredMemory(one, clock)
        await memory.put("fact", "x", ttl_s=60)
        await memory.add("count", 7, ttl_s=60)
        await memory.close()
        again = StoredMemory(two, clock)
        assert await again.get("fact") == "x"
        assert await again.add("count", ttl_s=60) == 8
        await again.close()

    tell(story)


def test_the_cache_is_bounded(tell: Callable[[Story], None]) -> None:
    async def story(one: Database, two: Database, clock: Clock) -> None:
        memory = StoredMemory(one, clock, MemorySettings(entries=10))
        for number in range(100):
            await memory.add(f"k{number}", ttl_s=60)
        assert len(memory._facts) <= 10
        await memory.close()
        assert await memory.get("k0") == "1", "the table has what the cache has not"

    tell(story)


def test_a_pair_is_known_after_the_first_message(tell: Callable[[Story], None]) -> None:
    async def story(one: Database, two: Database, clock: Clock) -> None:
        people = StoredCorrespondents(one, clock)
        assert await people.know("example.org", "example.net") is None
        people.learn("Example.org", "example.net", at=100.0)
        people.learn("example.org", "example.net", at=200.0, replied=True)
        wanted = Acquaintance(first_seen=100.0, last_seen=200.0, messages=1, replied=True)
        assert await people.know("example.org", "EXAMPLE.net") == wanted
        await people.close()
        assert await StoredCorrespondents(two, clock).know("example.org", "example.net") == wanted
        people.learn("example.org", "example.net", at=300.0)
        assert await people.know("example.org", "example.net") == Acquaintance(100.0, 300.0, 2, replied=True)
        await people.close()

    tell(story)

"""What was taught, in order: twice counts once, the other way flips, and it can be forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from gatepost.store import lessons
from gatepost.store.backup import backup, restore, verify
from gatepost.store.lessons import NewLesson, Taught
from gatepost.store.retention import DAY_S, Retention, expire
from gatepost.store.store import Store

NOW = 1_700_000_000.0


def lesson(content: str, *, spam: bool | None, owner: str = "", ref: str = "") -> NewLesson:
    return NewLesson(
        content=content.encode(), spam=spam, owner=owner, how="command", who="ana", ref=ref, features=b"12"
    )


def with_store(folder: Path, work: Callable[[Store], Awaitable[None]]) -> None:
    async def story() -> None:
        store = Store.open(folder)
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(story())


async def add(store: Store, new: NewLesson, at: float = NOW) -> bool:
    return await store.database.commit(lambda connection: lessons.add(connection, new, at=at))


def test_taught_twice_counts_once_and_the_other_way_flips(tmp_path: Path) -> None:
    async def story(store: Store) -> None:
        assert await add(store, lesson("a", spam=True))
        assert not await add(store, lesson("a", spam=True))
        assert await add(store, lesson("b", spam=False))
        assert store.database.read(lessons.taught) == Taught(ham=1, spam=1, people=0, last=2)
        assert await add(store, lesson("a", spam=False))
        assert store.database.read(lessons.taught) == Taught(ham=2, spam=0, people=0, last=3)
        flipped = store.database.read(lambda c: lessons.after(c, 2, limit=9))
        assert [(one.was, one.spam) for one in flipped] == [(True, False)]

    with_store(tmp_path, story)


def test_what_was_taught_can_be_forgotten_and_taught_again(tmp_path: Path) -> None:
    async def story(store: Store) -> None:
        assert not await add(store, lesson("a", spam=None))
        assert await add(store, lesson("a", spam=True))
        assert await add(store, lesson("a", spam=None))
        assert store.database.read(lessons.taught) == Taught(last=2)
        assert await add(store, lesson("a", spam=True))
        assert store.database.read(lessons.taught).spam == 1

    with_store(tmp_path, story)


def test_each_person_has_lessons_of_their_own(tmp_path: Path) -> None:
    async def story(store: Store) -> None:
        await add(store, lesson("a", spam=True, owner="ana@example.net", ref="R1"))
        await add(store, lesson("a", spam=False, owner="ben@example.net", ref="R1"))
        read = store.database.read
        assert read(lambda c: lessons.label_of(c, "R1", "ana@example.net")) is True
        assert read(lambda c: lessons.label_of(c, "R1", "ben@example.net")) is False
        assert read(lambda c: lessons.label_of(c, "R1", "")) is None
        assert read(lambda c: lessons.given_since(c, "ana@example.net", NOW - 1)) == 1
        assert read(lambda c: lessons.given_since(c, "ana@example.net", NOW + 1)) == 0
        assert read(lessons.taught).people == 2

    with_store(tmp_path, story)


def test_old_lessons_are_deleted_and_numbers_never_come_twice(tmp_path: Path) -> None:
    async def story(store: Store) -> None:
        await add(store, lesson("old", spam=True), at=NOW - 401 * DAY_S)
        assert (await expire(store, NOW, Retention()))["lessons"] == 1
        assert store.database.read(lessons.taught) == Taught()
        await add(store, lesson("new", spam=True))
        assert store.database.read(lessons.last_number) == 2

    with_store(tmp_path, story)


def test_a_backup_holds_the_lessons(tmp_path: Path) -> None:
    async def story(store: Store) -> None:
        await add(store, lesson("a", spam=True))

    with_store(tmp_path / "state", story)
    assert backup(tmp_path / "state", tmp_path / "copy", now=NOW).counts["lessons"] == 1
    assert verify(tmp_path / "copy") == []
    restore(tmp_path / "copy", tmp_path / "again", hold_because=None)

    async def look(store: Store) -> None:
        assert store.database.read(lessons.taught).spam == 1

    with_store(tmp_path / "again", look)

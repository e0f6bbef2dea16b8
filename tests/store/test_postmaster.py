"""What a person does to queue and quarantine, and what stays on record of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gatepost.store.postmaster import Postmaster, Why
from gatepost.store.records import Done, Failed, Hold, RetryAt
from gatepost.store.store import Store
from store_samples import acceptance

NOW = 1_750_000_000.0
BOTH = ("ana@example.net", "ben@example.net")
WHY = Why("ana", "she asked", NOW)
Story = Callable[[Store, Postmaster], Awaitable[None]]


@pytest.fixture
def tell(tmp_path: Path) -> Callable[[Story], None]:
    """Run a story on a fresh store."""

    async def run(story: Story) -> None:
        store = Store.open(tmp_path)
        await story(store, Postmaster(store))
        await store.close()

    return lambda story: asyncio.run(run(story))


def test_release_puts_the_octets_back_as_they_came(tell: Callable[[Story], None]) -> None:
    async def story(store: Store, postmaster: Postmaster) -> None:
        mail = acceptance(
            "HELD", at=NOW, held=True, octets=b"A: b\r\n\r\n\x00\xff bytes\r\n", recipients=BOTH
        )
        await store.carry_out(mail)
        assert await store.claim(NOW, 10, 60, "w") == []
        assert [held.to for held in store.held(ref="HELD", to="BEN@example.net")] == ["ben@example.net"]
        released = await postmaster.release("HELD", WHY, to="ben@example.net")
        assert [held.to for held in released] == ["ben@example.net"]
        (item,) = await store.claim(NOW, 10, 60, "w")
        assert item.to == "ben@example.net"
        assert store.octets_of("HELD") == mail.octets
        assert [(e.who, e.what, e.why) for e in store.journal(subject="HELD")] == [
            ("ana", "quarantine release <ben@example.net>", "she asked")
        ]
        assert await postmaster.release("HELD", WHY, to="ben@example.net") == []
        await store.settle(item, None, Done())
        assert store.octets_of("HELD") == mail.octets, "another copy is still held"
        await postmaster.delete("HELD", WHY)
        with pytest.raises(KeyError):
            store.octets_of("HELD")

    tell(story)


@pytest.mark.parametrize("size", [100, 100_000])
def test_octets_leave_with_the_last_copy(size: int, tell: Callable[[Story], None]) -> None:
    async def story(store: Store, postmaster: Postmaster) -> None:
        await store.carry_out(acceptance("LAST", at=NOW, octets=b"x" * size, recipients=BOTH))
        first, second = await store.claim(NOW, 10, 60, "w")
        await store.settle(first, None, Failed("no such user"))
        assert len(store.octets_of("LAST")) == size
        await postmaster.drop("LAST", WHY, to=second.to)
        with pytest.raises(KeyError):
            store.octets_of("LAST")
        assert list(store.spool.files()) == []

    tell(story)


def test_a_stopped_copy_waits_for_a_person(tell: Callable[[Story], None]) -> None:
    async def story(store: Store, postmaster: Postmaster) -> None:
        await store.carry_out(acceptance("STOP", at=NOW))
        await postmaster.hold("STOP", WHY)
        assert await store.claim(NOW + 10**6, 10, 60, "w") == []
        assert store.queued(ref="STOP")[0].held_because == "she asked"
        await postmaster.retry_now("STOP", WHY)
        (item,) = await store.claim(NOW, 10, 60, "w")
        await store.settle(item, None, Hold("cannot be read"))
        assert await store.claim(NOW + 10**6, 10, 60, "w") == []
        assert store.figures(NOW).stopped == 1

    tell(story)


def test_a_stop_without_a_reason_says_who_did_it(tell: Callable[[Story], None]) -> None:
    async def story(store: Store, postmaster: Postmaster) -> None:
        await store.carry_out(acceptance("STOP", at=NOW))
        await postmaster.hold("STOP", Why(who="ana", why="", at=NOW))
        assert store.queued(ref="STOP")[0].held_because == "by ana"

    tell(story)


def test_retry_now_leaves_alone_what_is_being_tried(tell: Callable[[Story], None]) -> None:
    async def story(store: Store, postmaster: Postmaster) -> None:
        await store.carry_out(acceptance("BUSY", at=NOW))
        (item,) = await store.claim(NOW, 10, 60, "w")
        assert await postmaster.retry_now("BUSY", WHY) == []
        await store.settle(item, None, RetryAt(NOW + 1000))
        assert len(await postmaster.retry_now("BUSY", WHY)) == 1
        assert len(await store.claim(NOW, 10, 60, "w")) == 1

    tell(story)


def test_a_hold_during_a_try_outlives_the_try(tell: Callable[[Story], None]) -> None:
    async def story(store: Store, postmaster: Postmaster) -> None:
        await store.carry_out(acceptance("RACE", at=NOW))
        (item,) = await store.claim(NOW, 10, 60, "w")
        await postmaster.hold("RACE", WHY)
        await store.settle(item, None, RetryAt(NOW + 1))
        assert await store.claim(NOW + 10, 10, 60, "w") == []

    tell(story)


def test_figures_tell_how_much_and_how_old(tell: Callable[[Story], None]) -> None:
    async def story(store: Store, postmaster: Postmaster) -> None:
        await store.carry_out(acceptance("OLD", at=NOW - 100, octets=b"12345"))
        await store.carry_out(acceptance("HELD", at=NOW - 50, held=True, octets=b"123"))
        figures = store.figures(NOW)
        assert (figures.queued, figures.due, figures.longest_due_s) == (1, 1, 100)
        assert (figures.held, figures.oldest_held_s, figures.octets) == (1, 50, 8)
        await store.claim(NOW, 10, 60, "w")
        assert (store.figures(NOW).being_tried, store.figures(NOW).due) == (1, 0)

    tell(story)

"""What status, console and metrics count is what a person would count who reads every row."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from gatepost.store import figures as counting
from gatepost.store.figures import Figures, standing
from gatepost.store.journal import Why
from gatepost.store.quarantine import State, move
from gatepost.store.queue import hold
from gatepost.store.records import Done
from gatepost.store.store import Store
from office_samples import held
from store_samples import acceptance

NOW = 1_750_000_000.0


def by_hand(path: Path, now: float) -> dict[str, object]:
    """From the rows themselves."""
    with dbapi2.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) as connection:
        queue = connection.execute("SELECT created_at, due_at, worker, held_because FROM queue").fetchall()
        kept = connection.execute("SELECT held_at, state FROM quarantine").fetchall()
        sizes = [size for (size,) in connection.execute("SELECT size FROM messages")]
    due = [at for _, at, _, stopped in queue if stopped is None and at <= now]
    waiting = [at for at, state in kept if state in ("held", "requested")]
    return {
        "queued": len(queue),
        "due": len(due),
        "being_tried": sum(worker is not None and at > now for _, at, worker, _ in queue),
        "stopped": sum(one[3] is not None for one in queue),
        "oldest_queued_s": now - min(one[0] for one in queue) if queue else None,
        "oldest_moving_s": min([now - one[0] for one in queue if one[3] is None], default=None, key=lambda x: -x),
        "longest_due_s": now - min(due) if due else None,
        "held": len(waiting),
        "oldest_held_s": now - min(waiting) if waiting else None,
        "messages": len(sizes),
        "octets": sum(sizes),
        "requested": sum(state == "requested" for _, state in kept),
    }  # fmt: skip


async def fill(store: Store) -> None:
    """Of everything some: due, tried, stopped, delivered, held, asked for, released."""
    for number in range(12):
        await store.carry_out(acceptance(f"Q{number:012d}", at=NOW + number, octets=b"x" * (100 + number)))
    for number in range(5):
        await store.carry_out(held(f"H{number:012d}", at=NOW + number))
    items = await store.claim(NOW + 100, 4, 600.0, "delivery")
    await store.settle(items[0], None, Done())
    copies = store.queued()
    kept = store.held()

    def by_people(connection: dbapi2.Connection) -> None:
        hold(connection, copies[-1].id, "by pia")
        hold(connection, copies[0].id, "by pia")
        move(connection, kept[0].id, State.REQUESTED, Why("ana", "", NOW))
        move(connection, kept[1].id, State.RELEASED, Why("pia", "", NOW + 3))

    await store.database.commit(by_people)


@pytest.fixture
def told(tmp_path: Path) -> tuple[Path, Figures, tuple[int, int]]:
    async def story() -> tuple[Path, Figures, tuple[int, int]]:
        store = Store.open(tmp_path)
        try:
            await fill(store)
            return tmp_path / "gatepost.db", store.figures(NOW + 200), store.database.read(standing)
        finally:
            await store.close()

    return asyncio.run(story())


def test_they_are_what_the_rows_say(told):
    path, figures, counted = told
    expected = by_hand(path, NOW + 200)
    assert {name: getattr(figures, name) for name in expected} == expected
    assert counted == (expected["queued"], expected["held"])
    assert all(expected.values()), "every figure has something to count"


def test_of_an_empty_store_there_is_nothing(tmp_path):
    async def story() -> Figures:
        store = Store.open(tmp_path)
        try:
            return store.figures(NOW)
        finally:
            await store.close()

    assert asyncio.run(story()) == Figures(
        queued=0, due=0, being_tried=0, stopped=0, oldest_queued_s=None, oldest_moving_s=None, longest_due_s=None, held=0,
        oldest_held_s=None, messages=0, octets=0, requested=0,
    )  # fmt: skip


def test_the_octets_of_very_many_are_estimated_well(told, monkeypatch):
    path, figures, _ = told
    monkeypatch.setattr(counting, "ADDED_UP", 3)
    with dbapi2.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) as connection:
        again = counting.figures(connection, NOW + 200)
    assert again.octets == pytest.approx(figures.octets, rel=0.1)
    assert replace(again, octets=figures.octets) == figures


def test_only_the_indexes_are_read_of_what_is_long(told):
    path, _, _ = told
    with dbapi2.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) as connection:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        counting.figures(connection, NOW + 200)
        connection.set_trace_callback(None)
        plans = [row[3] for one in asked if "sum(size)" not in one
                 for row in connection.execute(f"EXPLAIN QUERY PLAN {one}")]  # fmt: skip
    whole = {one for one in plans if one in ("SCAN queue", "SCAN messages", "SCAN quarantine")}
    assert whole <= {"SCAN queue"}, "but for the first hundred by their numbers"
    assert sum(one == "SCAN queue" for one in plans) == 2

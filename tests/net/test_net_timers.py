"""Many timers of the same length behind one of the loop, and a limit on time made of them."""

from __future__ import annotations

import asyncio

import pytest

from gatepost.net.timers import Limits, Timers


def test_they_ring_in_order_but_for_those_that_were_stopped() -> None:
    async def go() -> list[int]:
        over = asyncio.Event()
        rung: list[int] = []

        def ring(number: int) -> None:
            rung.append(number)
            if number == 5:
                over.set()

        timers = Timers(0.01, ring)
        for number in range(6):
            timers.start(number)
        timers.stop(0)
        timers.stop(3)
        timers.stop(7)  # it does not run
        await over.wait()
        return rung

    assert asyncio.run(go()) == [1, 2, 4, 5]


def test_what_is_started_later_rings_later_and_may_be_started_from_a_ring() -> None:
    async def go() -> list[str]:
        over = asyncio.Event()
        rung: list[str] = []

        def ring(name: str) -> None:
            rung.append(name)
            if len(rung) < 3:
                timers.start(f"after {name}")
            else:
                over.set()

        timers = Timers(0.01, ring)
        timers.start("one")
        await over.wait()
        timers.start("late")
        over.clear()
        await over.wait()
        return rung

    assert asyncio.run(go()) == ["one", "after one", "after after one", "late"]


def test_what_takes_longer_than_its_limit_is_broken_off() -> None:
    async def go() -> str:
        limits = Limits(0.01)
        with limits.one():
            pass  # quick enough
        with pytest.raises(TimeoutError), limits.one():
            await asyncio.Event().wait()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return "goes on"

    assert asyncio.run(go()) == "goes on"


def test_only_the_one_that_takes_too_long_is_broken_off() -> None:
    async def one(limits: Limits, until: asyncio.Event) -> str:
        try:
            with limits.one():
                await until.wait()
        except TimeoutError:
            return "too long"
        return "in time"

    async def go() -> list[str]:
        limits, soon, never = Limits(0.05), asyncio.Event(), asyncio.Event()
        soon.set()
        return await asyncio.gather(one(limits, soon), one(limits, never), one(limits, soon))

    assert asyncio.run(go()) == ["in time", "too long", "in time"]


def test_who_is_cancelled_by_others_is_not_told_of_a_limit() -> None:
    async def waits(limits: Limits) -> None:
        with limits.one():
            await asyncio.Event().wait()

    async def go() -> None:
        task = asyncio.create_task(waits(Limits(60.0)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())


def test_a_limit_that_rings_for_what_is_cancelled_anyway_leaves_it_cancelled() -> None:
    async def waits(limits: Limits) -> None:
        with limits.one():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:  # on the way out it takes its time
                await asyncio.Event().wait()

    async def go() -> None:
        task = asyncio.create_task(waits(Limits(0.01)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())

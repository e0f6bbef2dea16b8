"""How many talk to a destination at once is learnt."""

from __future__ import annotations

import asyncio

from gatepost.delivery.window import BEGIN, Window


async def turns(window: Window, count: int, most: list[int]) -> None:
    async def one() -> None:
        async with window:
            most.append(window.running)
            await asyncio.sleep(0)
            window.widen()

    await asyncio.gather(*(one() for _ in range(count)))


def test_it_opens_up_to_the_most() -> None:
    async def go() -> list[int]:
        most: list[int] = []
        await turns(Window(20), 200, most)
        return most

    most = asyncio.run(go())
    assert max(most[:BEGIN]) == BEGIN
    assert max(most) == 20


def test_it_halves_when_turned_away_and_then_opens_slowly() -> None:
    window = Window(20, 20)
    window.narrow()
    assert window.room == 10
    for _ in range(9):
        window.widen()
    assert window.room == 10
    window.widen()
    window.widen()
    assert window.room == 11
    for _ in range(10):
        window.narrow()
    assert window.room == 1


def test_who_gives_up_takes_no_place_along() -> None:
    async def go() -> None:
        window = Window(1)
        async with window:
            waiting = [asyncio.create_task(window.__aenter__()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.sleep(0)
        # The second is let in now, and broken off before it ran.
        waiting[1].cancel()
        await asyncio.wait_for(waiting[2], 1)
        assert window.running == 1

    asyncio.run(go())

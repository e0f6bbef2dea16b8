"""A coroutine that is begun at once behaves as it would in a task."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gatepost.begin import Done, begin


async def remembered() -> int:
    return 7


async def asked(answer: asyncio.Future[int], told: list[str]) -> int:
    try:
        first = await answer
        await asyncio.sleep(0)
        return first + 1
    except asyncio.CancelledError:
        told.append("cancelled")
        raise
    finally:
        told.append("over")


def test_what_need_not_wait_is_done_without_an_event_loop() -> None:
    assert begin(remembered()) == Done(7)


def test_what_must_wait_goes_on_in_a_task() -> None:
    async def main() -> int:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        rest = begin(asked(answer, []))
        assert not isinstance(rest, Done)
        task = asyncio.create_task(rest)
        answer.set_result(1)
        return await task

    assert asyncio.run(main()) == 2


def test_failures_and_cancellation_reach_it() -> None:
    async def main() -> list[str]:
        told: list[str] = []
        for cancelled in (True, False):
            answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            rest = begin(asked(answer, told))
            assert not isinstance(rest, Done)
            task = asyncio.create_task(rest)
            await asyncio.sleep(0)
            if cancelled:
                task.cancel()
            else:
                answer.set_exception(OSError("gone"))
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await task
        return told

    assert asyncio.run(main()) == ["cancelled", "over", "over"]


def test_what_it_raises_before_it_waits_comes_out_at_once() -> None:
    async def wrong() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        begin(wrong())

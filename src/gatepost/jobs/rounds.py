"""Work that the clock starts, each on its own beat; what fails is logged and tried again at the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

log = logging.getLogger("gatepost.jobs")


@dataclass(frozen=True, slots=True)
class Round:
    """One job."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[None]]


async def run_rounds(rounds: Sequence[Round]) -> None:
    """Run all of them, the first time at once, until cancelled."""
    async with asyncio.TaskGroup() as group:
        for one in rounds:
            group.create_task(beat(one), name=f"job-{one.name}")


async def beat(one: Round) -> None:
    """One job, again and again."""
    while True:
        try:
            await one.work()
        except Exception:
            log.exception("the job %s failed and is tried again in %d s", one.name, one.every_s)
        await asyncio.sleep(one.every_s)

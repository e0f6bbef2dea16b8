"""The demo's classifier goes to school before the gate opens: by the same way as with `gatepost learn`."""

from __future__ import annotations

import asyncio
import time

from gatepost.config.schema import Loaded
from gatepost.demo.mailbag import unwanted, wanted, write_mailbags
from gatepost.jobs.learning import Learnt, catch_up
from gatepost.office.teaching import Teacher, lesson, teach
from gatepost.store.postmaster import Why
from gatepost.store.store import Store

TEACHER = Teacher(who="demo", how="command")


def go_to_school(loaded: Loaded) -> Learnt:
    """Teach what the demo brings along, and leave two mailboxes of other mail to try it on."""
    now = time.time()
    asyncio.run(teach_all(loaded, now))
    write_mailbags(loaded.folder, now=now)
    return catch_up(loaded.state, loaded.config.learning)


async def teach_all(loaded: Loaded, now: float) -> None:
    """Write the lessons down."""
    store = Store.open(loaded.state, loaded.config.store)
    try:
        for bag, spam in ((wanted(now=now), False), (unwanted(now=now), True)):
            lessons = [lesson(one, TEACHER, spam=spam) for one in bag]
            what = f"learn {'spam' if spam else 'ham'} ({len(lessons)} messages)"
            await teach(store, lessons, Why("demo", "what the demo brings along", now), say=what)
    finally:
        await store.close()

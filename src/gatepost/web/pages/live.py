"""Live figures as server-sent events: a few numbers every few seconds, for pages that are open."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from gatepost.access.rights import Right
from gatepost.office import counting
from gatepost.store.figures import standing
from gatepost.store.numbers import HOUR_S
from gatepost.web.page import page
from gatepost.web.visit import Refused, Visit

EVERY_S = 3.0
LASTS_S = 600.0
"""Then the browser connects anew, and rights are looked at again."""
AT_ONCE = 100


class Listeners:
    """How many pages listen, and what all of them are told; when the console stops, all are let go."""

    def __init__(self) -> None:
        self.open = 0
        self.stopping = asyncio.Event()
        self._counted: tuple[object, float, str] = (None, 0.0, "")

    def begin(self) -> asyncio.Event:
        """A console opens, in the loop of the moment; what it sets when it stops."""
        self.stopping = asyncio.Event()
        return self.stopping

    def figures(self, visit: Visit) -> str:
        """Of this moment, as JSON; counted once for all who listen."""
        now = asyncio.get_running_loop().time()
        whose, at, told = self._counted
        if whose is not visit.premises or now - at >= EVERY_S / 2:
            told = json.dumps(figures_now(visit))
            self._counted = (visit.premises, now, told)
        return told


LISTENERS = Listeners()


async def live(visit: Visit) -> Response:
    """One stream."""
    if LISTENERS.open >= AT_ONCE:
        raise Refused(
            visit._("Too many pages are listening. The figures are right when the page is opened again."), 503
        )
    return StreamingResponse(
        figures(visit), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def figures(visit: Visit) -> AsyncIterator[bytes]:
    """The figures, again and again, when they change."""
    LISTENERS.open += 1
    stopping = LISTENERS.stopping
    try:
        yield b"retry: 5000\n\n"
        last = ""
        for _ in range(int(LASTS_S / EVERY_S)):
            if await visit.premises.sessions.actor(visit.token, address=visit.address, quietly=True) is None:
                return  # signed out meanwhile
            now = LISTENERS.figures(visit)
            if now != last:
                yield f"data: {now}\n\n".encode()
                last = now
            else:
                yield b": still here\n\n"
            try:
                async with asyncio.timeout(EVERY_S):
                    await stopping.wait()
                return
            except TimeoutError:
                pass
    finally:
        LISTENERS.open -= 1


def figures_now(visit: Visit) -> dict[str, int]:
    """Of this moment."""
    office, now = visit.office, visit.office.clock()
    end = (now // HOUR_S + 1) * HOUR_S
    day = office.store.database.read(
        lambda c: counting.hours(c, visit.me, since=end - 24 * HOUR_S, until=end)
    )
    queued, held = office.store.database.read(standing)
    return {key: sum(values) for key, values in day.by_action.items()} | {
        "queued": queued,
        "held": held,
    }


ROUTES = (page("/live", live, Right.OVERVIEW, quiet=True),)

"""What waits for delivery: how much, how old, what the other side said; and a person's hands on it."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.office.waiting import Waiting
from gatepost.store import queue
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.visit import Refused, Visit

A_PAGE = 100
VERBS = {"retry": N_("Tried now"), "hold": N_("Stopped"), "drop": N_("Dropped")}


async def waiting(visit: Visit) -> Response:
    """The list, oldest first."""
    text, to = visit.asked("after"), visit.asked("to", 320) or None
    after = int(text) if text.isdecimal() and len(text) < 18 else 0
    found = await Waiting(office=visit.office).listed(visit.me, to=to, after=after, limit=A_PAGE + 1)
    domains = await visit.office.read_long(visit.me, partial(queue.by_domain, limit=20))
    return visit.page(
        "queue.html", rows=found[:A_PAGE], figures=visit.office.store.figures(visit.office.clock()), domains=domains,
        looked_at=queue.LOOKED_AT, to=to or "", next=found[A_PAGE - 1].id if len(found) > A_PAGE else None, first=after == 0,
        may=visit.may(Right.QUEUE),
    )  # fmt: skip


async def act(visit: Visit) -> Response:
    """Retry, stop or drop what is ticked."""
    verb = visit.field("do", 20)
    if verb not in VERBS:
        raise Refused(visit._("Say what is to be done."))
    given = [
        one
        for one in visit.form.getlist("copy")
        if isinstance(one, str) and one.isdecimal() and len(one) < 18
    ]
    if not given:
        raise Refused(visit._("Tick what it is about."))
    done = await Waiting(office=visit.office).act(
        visit.me, verb, [int(one) for one in given], visit.field("reason", 500)
    )
    return visit.page(
        "told.html",
        title=visit._(VERBS[verb]),
        text=visit._("%(done)s of %(asked)s copies. The others are gone, or are being tried just now.",
                     done=len(done), asked=len(set(given))),
    )  # fmt: skip


ROUTES = (
    page("/queue", waiting, Right.QUEUE, Right.MESSAGES, menu=N_("Queue"), order=4),
    page("/queue/act", act, Right.QUEUE, methods=("POST",)),
)

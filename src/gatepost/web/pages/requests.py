"""For the data protection officer: requests of data subjects, legal holds, and the record of processing. No mail content."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.office import legalholds, privacy, processing
from gatepost.office.processing import Processing
from gatepost.store.holds import ALWAYS
from gatepost.store.personal import PARTS, WHY_KEPT
from gatepost.store.requests import SOON_S, Kind
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.pages.messages import moment_of
from gatepost.web.visit import NotThere, Visit

KINDS = {
    "access": N_("Access (Article 15)"),
    "erasure": N_("Erasure (Article 17)"),
    "rectification": N_("Rectification (Article 16)"),
    "objection": N_("Objection (Article 21)"),
}
STATUS = {"open": N_("Open"), "done": N_("Done"), "refused": N_("Refused")}
POST = ("POST",)


async def overview(visit: Visit) -> Response:
    """What is due, what is held, what was deleted."""
    found = privacy.listed(visit.office, visit.me)
    return visit.page(
        "privacy.html", open=[one for one in found if one.closed_at is None], kinds=KINDS, soon=SOON_S,
        holds=legalholds.listed(visit.office, visit.me), runs=privacy.runs(visit.office, visit.me, limit=1),
    )  # fmt: skip


# Requests


async def requests(visit: Visit) -> Response:
    """All of them, and the form for a new one."""
    found = privacy.listed(visit.office, visit.me)
    return visit.page("requests.html", requests=found, kinds=KINDS, states=STATUS, soon=SOON_S)


async def add(visit: Visit) -> Response:
    """Register one."""
    number = await privacy.register(
        visit.office, visit.me, kind=visit.field("kind", 20), person=visit.field("person", 200),
        addresses=visit.field("addresses", 4000), received_at=moment_of(visit, visit.field("received", 30), N_("Received")),
        notes=visit.field("notes", 4000),
    )  # fmt: skip
    return visit.go(f"/privacy/requests/{number}")


async def request(visit: Visit) -> Response:
    """One request: how far it is, what is kept about its addresses, what an erasure would do."""
    one = privacy.show(visit.office, visit.me, number_of(visit))
    made = await privacy.plan(visit.office, visit.me, one.id)
    return visit.page(
        "request.html", request=one, plan=made, parts=PARTS, why_kept=WHY_KEPT, kinds=KINDS, states=STATUS, soon=SOON_S,
        erasable=one.kind in (Kind.ERASURE, Kind.OBJECTION) and one.closed_at is None,
        kept_of={name: [(WHY_KEPT[why], number) for why, number in part.kept.items()] for name, part in made.parts.items()},
    )  # fmt: skip


async def extend(visit: Visit) -> Response:
    """Two months more."""
    one = await privacy.extend(visit.office, visit.me, number_of(visit), reason=visit.field("reason", 4000))
    return visit.go(f"/privacy/requests/{one.id}")


async def note(visit: Visit) -> Response:
    """Other notes."""
    one = await privacy.note(visit.office, visit.me, number_of(visit), notes=visit.field("notes", 4000))
    return visit.go(f"/privacy/requests/{one.id}")


async def close(visit: Visit) -> Response:
    """Answered, or refused."""
    one = await privacy.close(
        visit.office, visit.me, number_of(visit), refused=visit.field("do") == "refuse", outcome=visit.field("outcome", 4000)
    )  # fmt: skip
    return visit.go(f"/privacy/requests/{one.id}")


async def export(visit: Visit) -> Response:
    """Everything about its addresses, as a file."""
    number = number_of(visit)
    with visit.office.long_reads.exporting(visit.me):
        made = await privacy.access_file(visit.office, visit.me, number, visit._)
    return download(made, f"gatepost-request-{number}.zip", "application/zip")


async def erase(visit: Visit) -> Response:
    """Carry it out."""
    one = privacy.show(visit.office, visit.me, number_of(visit))
    await privacy.erase(visit.office, visit.me, one.id)
    return visit.go(f"/privacy/requests/{one.id}")


def number_of(visit: Visit) -> int:
    """Of the request in the path. Raises NotThere."""
    text = visit.request.path_params["number"]
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise NotThere
    return int(text)


# Holds


async def holds(visit: Visit) -> Response:
    """Those in force and those that were."""
    return visit.page(
        "holds.html",
        holds=legalholds.listed(visit.office, visit.me, released=True),
        always=ALWAYS,
        whom=visit.asked("whom", 320),
    )


async def add_hold(visit: Visit) -> Response:
    """Put one in force."""
    await legalholds.hold(
        visit.office, visit.me, visit.field("whom", 320), reason=visit.field("reason", 500),
        case_number=visit.field("case", 60), since=moment_of(visit, visit.field("since", 30), N_("From")),
        until=moment_of(visit, visit.field("until", 30), N_("To")), ends_at=moment_of(visit, visit.field("ends", 30), N_("Ends")),
    )  # fmt: skip
    return visit.go("/privacy/holds")


async def release_hold(visit: Visit) -> Response:
    """End one."""
    number = visit.field("hold", 12)
    await legalholds.release(
        visit.office, visit.me, int(number) if number.isdecimal() else 0, reason=visit.field("reason", 500)
    )
    return visit.go("/privacy/holds")


# The record of processing


async def record(visit: Visit) -> Response:
    """To be read and printed."""
    here = visit.part(Processing).installation()
    sections = [
        (visit._(one.title), [processing.said(line, visit._) for line in one.lines])
        for one in processing.record(here)
    ]
    return visit.page("record.html", sections=sections, hostname=here.hostname)


async def record_file(visit: Visit) -> Response:
    """The same as Markdown or JSON."""
    here = visit.part(Processing).installation()
    sections, day = (
        processing.record(here),
        datetime.fromtimestamp(visit.office.clock(), UTC).strftime("%Y-%m-%d"),
    )
    if visit.asked("as", 10) == "json":
        text = json.dumps(processing.as_json(sections, here, visit._, day), ensure_ascii=False, indent=1)
        return download(text.encode(), f"gatepost-record-{day}.json", "application/json")
    text = processing.markdown(sections, here, visit._, day)
    return download(text.encode(), f"gatepost-record-{day}.md", "text/markdown; charset=utf-8")


def download(octets: bytes, name: str, kind: str) -> Response:
    """A file that the browser keeps and never shows."""
    return Response(
        octets, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


ROUTES = (
    page("/privacy", overview, Right.PRIVACY, menu=N_("Data protection"), group="privacy", order=60),
    page("/privacy/requests", requests, Right.PRIVACY, menu=N_("Requests"), group="privacy", order=61),
    page("/privacy/requests/add", add, Right.PRIVACY, methods=POST),
    page("/privacy/requests/{number}", request, Right.PRIVACY),
    page("/privacy/requests/{number}/extend", extend, Right.PRIVACY, methods=POST),
    page("/privacy/requests/{number}/note", note, Right.PRIVACY, methods=POST),
    page("/privacy/requests/{number}/close", close, Right.PRIVACY, methods=POST),
    page("/privacy/requests/{number}/export", export, Right.PRIVACY, methods=POST),
    page("/privacy/requests/{number}/erase", erase, Right.PRIVACY, methods=POST),
    page("/privacy/holds", holds, Right.PRIVACY, Right.JOURNAL, menu=N_("Legal holds"), group="privacy", order=62),
    page("/privacy/holds/add", add_hold, Right.PRIVACY, methods=POST),
    page("/privacy/holds/release", release_hold, Right.PRIVACY, methods=POST),
    page("/privacy/record", record, Right.PRIVACY, Right.JOURNAL, menu=N_("Record of processing"), group="privacy", order=73),
    page("/privacy/record/file", record_file, Right.PRIVACY, Right.JOURNAL),
)  # fmt: skip

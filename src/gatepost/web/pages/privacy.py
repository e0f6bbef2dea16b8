"""The journal and the access report: who did what, is it unaltered, and who looked at whose mail. No mail content."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.office import legalholds, privacy
from gatepost.office.glass import Glass
from gatepost.office.longreads import EXPORT_S
from gatepost.store import journal
from gatepost.store.retention import Retention
from gatepost.web.exporting import Export
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.pages.messages import moment_of
from gatepost.web.visit import Visit

A_PAGE = 100
EXPORTED = 500_000
KEPT = {
    "history_s": N_("Facts about messages, refusals and deliveries"),
    "held_s": N_("Held mail that nobody decided about"),
    "journal_s": N_("The journal, and who looked at whose mail"),
    "correspondents_s": N_("Who writes to whom"),
    "lessons_s": N_("What the classifier was taught"),
    "numbers_s": N_("Counts by the hour, which name nobody"),
    "sign_ins_s": N_("Sign-ins, and app passwords and tokens that ended"),
}
DELETED = {
    "held": N_("held mail"),
    "entries": N_("allowed and blocked senders"),
    "decided": N_("decisions about held mail"),
    "history": N_("facts about messages"),
    "attempts": N_("delivery attempts"),
    "journal": N_("entries of the journal"),
    "views": N_("looks at held mail"),
    "memory": N_("counters and short memories"),
    "correspondents": N_("who writes to whom"),
    "lessons": N_("lessons of the classifier"),
    "sign-ins": N_("sign-ins"),
    "app passwords": N_("app passwords"),
    "numbers": N_("counts by the hour"),
    "requests": N_("requests and holds that were closed"),
    "tokens": N_("tokens"),
    "gone": N_("what no backup must bring back"),
}
"""What retention deletes, as its proof names it."""
POST = ("POST",)


@dataclass(frozen=True, slots=True)
class Periods:
    """How long each kind of data is kept, as `app` tells it."""

    retention: Retention


def filters_of(visit: Visit, *, form: bool = False) -> dict[str, Any]:
    """What of the journal is asked for. Raises Refused."""
    read = visit.field if form else visit.asked
    about = read("subject", 320).strip().strip("<>")
    return {
        "who": read("who", 320).strip() or None,
        "kind": read("kind", 60).strip() or None,
        "subject": about[:40] if about and "@" not in about else None,
        "about": about if "@" in about else None,
        "since": moment_of(visit, read("since", 30), N_("From")),
        "until": moment_of(visit, read("until", 30), N_("To")),
    }


async def entries(visit: Visit) -> Response:
    """Newest first."""
    before = visit.asked("before", 20)
    number = int(before) if before.isdecimal() and len(before) < 18 else None
    found = await visit.office.read_long(
        visit.me, partial(journal.read, before=number, limit=A_PAGE + 1, **filters_of(visit))
    )
    return visit.page(
        "journal.html", rows=found[:A_PAGE], next=found[A_PAGE - 1].number if len(found) > A_PAGE else None,
        first=number is None, filters={name: visit.asked(name, 320) for name in ("who", "kind", "subject", "since", "until")},
        verified=None,
    )  # fmt: skip


async def verify(visit: Visit) -> Response:
    """Is every entry as it was written?"""
    problem = await visit.office.read_long(visit.me, journal.verify, seconds=EXPORT_S)
    head = visit.office.store.database.read(journal.head)
    return visit.page("verified.html", problem=problem, head=head, chain=head.chain.hex())


async def export(visit: Visit) -> Response:
    """The entries that are asked for, one JSON object a line; in the journal before the first leaves."""
    visit.insist(Right.EXPORT)
    visit.office.insist_on_proof(visit.me)
    wanted = filters_of(visit, form=True)
    why = visit.office.why(visit.me, ", ".join(f"{name} {one}" for name, one in wanted.items() if one)[:500])
    day = datetime.fromtimestamp(visit.office.clock(), UTC)
    with ExitStack() as turn:
        turn.enter_context(visit.office.long_reads.exporting(visit.me))
        await visit.office.store.database.commit(
            partial(journal.append, at=why.at, who=why.who, what="journal export", why=why.why)
        )
        return Export(
            lines_of(visit, wanted),
            f"gatepost-journal-{day:%Y-%m-%d}.jsonl",
            "application/x-ndjson",
            turn.pop_all(),
        )


async def lines_of(visit: Visit, wanted: dict[str, Any]) -> AsyncIterator[bytes]:
    """A page at a time, so that nothing waits for them."""
    before: int | None = None
    written = 0
    while written < EXPORTED:
        found = await visit.office.read_long(
            visit.me, partial(journal.read, before=before, limit=1000, **wanted)
        )
        for one in found:
            yield json.dumps(asdict(one), ensure_ascii=False).encode() + b"\n"
        if len(found) < 1000:
            return
        written, before = written + len(found), found[-1].number


async def report(visit: Visit) -> Response:
    """Who looked at whose held mail, and who was given leave to."""
    glass: Glass = visit.part(Glass)
    before = visit.asked("before", 20)
    found = glass.looks(
        visit.me, before=int(before) if before.isdecimal() and len(before) < 18 else None, limit=101
    )
    return visit.page(
        "looks.html", looks=found[:100], next=found[99].id if len(found) > 100 else None,
        breakings=glass.listed(visit.me), mine=False,
    )  # fmt: skip


async def retention(visit: Visit) -> Response:
    """How long each kind of data is kept, and the proof that it was deleted then."""
    periods: Periods | None = visit.premises.more.get(Periods)
    kept = asdict(periods.retention) if periods else {}
    return visit.page(
        "retention.html", kept=[(KEPT.get(name, name), value) for name, value in kept.items()], kinds=DELETED,
        runs=privacy.runs(visit.office, visit.me), holds=legalholds.listed(visit.office, visit.me),
    )  # fmt: skip


ROUTES = (
    page("/privacy/journal", entries, Right.JOURNAL, menu=N_("Journal"), group="privacy", order=70),
    page("/privacy/journal/verify", verify, Right.JOURNAL, methods=POST),
    page("/privacy/journal/export", export, Right.EXPORT, methods=POST),
    page("/privacy/access", report, Right.JOURNAL, menu=N_("Who looked at whose mail"), group="privacy", order=71),
    page("/privacy/retention", retention, Right.PRIVACY, Right.JOURNAL, menu=N_("How long data is kept"), group="privacy", order=72),
)  # fmt: skip

"""Messages: what happened to X? Everything that is asked for stands in the URL, so that a link can be put into a ticket."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from ipaddress import ip_address

from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.mail.verdict import Action
from gatepost.office import counting, looking
from gatepost.office.looking import Row
from gatepost.store import journal
from gatepost.store.history import Cursor, Search
from gatepost.store.numbers import HOUR_S
from gatepost.web import paging
from gatepost.web.exporting import Export
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.pages.overview import NAMES, by_verdict
from gatepost.web.visit import Refused, Visit

A_PAGE = 50
EXPORTED = 100_000
"""Rows of one export at the most."""
CHART_S = 7 * 24 * HOUR_S
SPANS = {
    "1": N_("Last hour"),
    "24": N_("Last 24 hours"),
    "168": N_("Last 7 days"),
    "720": N_("Last 30 days"),
    "": N_("Any time"),
}
KINDS = {
    "message": N_("Messages"),
    "attempt": N_("Turned away at RCPT TO"),
    "session": N_("Turned away before"),
}
FORMULA = re.compile(r"[=+\-@\t\r]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The form's fields as they were typed; all may be empty."""

    q: str
    sender: str
    recipient: str
    client: str
    action: str
    kind: str
    rule: str
    subject: str
    hours: str
    since: str
    until: str

    @classmethod
    def of(cls, visit: Visit, *, form: bool = False) -> Filters:
        """From the URL, or from the form of an export."""
        read = visit.field if form else visit.asked
        return cls(**{name: read(name, 320).strip() for name in cls.__slots__})

    def search(self, visit: Visit) -> Search:
        """What to look for. Raises Refused with what is wrong."""
        now = visit.office.clock()
        since, until = moment_of(visit, self.since, N_("Since")), moment_of(visit, self.until, N_("Until"))
        if self.hours.isdecimal() and since is None:
            since = now - min(int(self.hours), 24 * 400) * HOUR_S
        client = None
        if self.client:
            try:
                client = str(ip_address(self.client))
            except ValueError:
                raise Refused(visit._("%(text)s is no IP address.", text=self.client)) from None
        return Search(
            sender=normal(self.sender), recipient=normal(self.recipient), client_ip=client,
            action=Action(self.action) if self.action in list(Action) else None,
            kind=self.kind if self.kind in KINDS else None, since=since, until=until, rule=self.rule,
            subject=self.subject if visit.may(Right.SUBJECTS) else "",
        )  # fmt: skip

    @property
    def any(self) -> bool:
        """Is anything asked for but a time?"""
        return any(
            (self.sender, self.recipient, self.client, self.action, self.kind, self.rule, self.subject)
        )


def normal(typed: str) -> str | None:
    """An address, or a domain with its @; None for nothing."""
    if not typed or typed == "<>":
        return typed or None
    return typed if "@" in typed else f"@{typed}"


def moment_of(visit: Visit, typed: str, name: str) -> float | None:
    """A time as the browser's field gives it. Raises Refused."""
    if not typed:
        return None
    try:
        moment = datetime.fromisoformat(typed)
        return (moment if moment.tzinfo else moment.replace(tzinfo=visit.premises.looks.zone)).timestamp()
    except (ValueError, OverflowError):
        raise Refused(visit._("%(name)s: %(text)s is no date.", name=visit._(name), text=typed)) from None


async def messages(visit: Visit) -> Response:
    """The list with its filters and its chart."""
    filters = Filters.of(visit)
    after = paging.read(visit.asked("after"))
    if filters.q:
        found = await visit.office.read_long(visit.me, lambda c: looking.anywhere(c, visit.me, filters.q))
        if len(found.rows) == 1 and found.rows[0].ref.startswith(filters.q.upper()) and len(filters.q) >= 6:
            return visit.go(f"/messages/{found.rows[0].ref}")
        chart = None
    else:
        wanted = filters.search(visit)
        found = await visit.office.read_long(
            visit.me, lambda c: looking.messages(c, visit.me, wanted, after=after, limit=A_PAGE)
        )
        charted = after is None and found.looked_until is None
        chart = await chart_of(visit, wanted) if charted else None
    return visit.page(
        "messages.html", found=found, filters=filters, chart=chart, names=NAMES, kinds=KINDS, spans=SPANS,
        next=paging.written(found.next), first=after is None,
    )  # fmt: skip


async def chart_of(visit: Visit, wanted: Search) -> object:
    """By hour over the time asked for, a week at the most."""
    now = visit.office.clock()
    end = min(wanted.until or now, now)
    start = max(wanted.since or end - CHART_S, end - CHART_S)
    if end <= start:
        return None
    end = (end // HOUR_S + 1) * HOUR_S
    whole = replace(wanted, since=start, until=end)
    hours = await visit.office.read_long(
        visit.me, lambda c: counting.hours(c, visit.me, since=start, until=end, wanted=whole)
    )
    return by_verdict(visit, hours)


async def export(visit: Visit) -> Response:
    """The list as CSV, a row at a time. In the journal before the first row leaves."""
    visit.insist(Right.EXPORT)
    visit.insist(Right.MESSAGES)
    visit.office.insist_on_proof(visit.me)
    filters = Filters.of(visit, form=True)
    wanted = filters.search(visit)
    asked = ", ".join(
        f"{name} {getattr(filters, name)}" for name in Filters.__slots__ if getattr(filters, name)
    )
    why = visit.office.why(visit.me, asked[:500])
    day = datetime.fromtimestamp(visit.office.clock(), visit.premises.looks.zone)
    with ExitStack() as turn:
        turn.enter_context(visit.office.long_reads.exporting(visit.me))
        await visit.office.store.database.commit(
            lambda c: journal.append(c, at=why.at, who=why.who, what="history export", why=why.why)
        )
        name = f"gatepost-messages-{day:%Y-%m-%d}.csv"
        return Export(lines_of(visit, wanted), name, "text/csv; charset=utf-8", turn.pop_all())


async def lines_of(visit: Visit, wanted: Search) -> AsyncIterator[bytes]:
    """The rows as CSV, in pages so that nothing waits for them."""
    yield csv_line(
        ["time", "reference", "kind", "action", "would", "rule", "from", "to", "subject", "client", "octets"]
    )
    after: Cursor | None = None
    written = 0
    while written < EXPORTED:
        found = await visit.office.read_long(
            visit.me, partial(looking.messages, actor=visit.me, search=wanted, after=after, limit=500)
        )
        for row in found.rows:
            yield csv_line(values_of(row))
        written += len(found.rows)
        after = found.next
        if after is None:
            return


def values_of(row: Row) -> list[str]:
    """A row's cells."""
    at = datetime.fromtimestamp(row.at).astimezone().isoformat(timespec="seconds")
    return [
        at, row.ref, row.kind, row.action.value, row.would.value, row.rule, row.sender, " ".join(row.recipients),
        row.subject or "", row.client, str(row.size),
    ]  # fmt: skip


def csv_line(values: list[str]) -> bytes:
    """A line (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe: others chose these words."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(
        [f"'{one}" if FORMULA.match(one) else one for one in values]
    )
    return line.getvalue().encode()


ROUTES = (
    page("/messages", messages, Right.MESSAGES, menu=N_("Messages"), order=2),
    page("/messages/export", export, Right.EXPORT, methods=("POST",)),
)

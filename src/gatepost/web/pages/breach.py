"""A draft of the notice of a personal data breach, for the data protection officer: asked for, read, taken along."""

from __future__ import annotations

from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.office import breach, processing
from gatepost.office.breach import Asked, Incident
from gatepost.office.processing import Processing
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.pages.messages import moment_of
from gatepost.web.pages.requests import download
from gatepost.web.visit import Refused, Visit

INCIDENTS = {
    "account": N_("Account taken over"),
    "release": N_("Mail wrongly released"),
    "reading": N_("Mail wrongly read"),
    "other": N_("Something else"),
}


FIELDS = ("incident", "whose", "since", "until", "known")


async def form(visit: Visit) -> Response:
    """What is to be gathered."""
    return visit.page(
        "breach.html", incidents=INCIDENTS, given=dict.fromkeys(FIELDS, ""), sections=None, facts=None
    )


async def draft(visit: Visit) -> Response:
    """The facts and the draft, as a page or as a file."""
    given = {name: visit.field(name, 320) for name in FIELDS}
    now = visit.office.clock()
    since, until, known = (moment_of(visit, given[name], word) for name, word in
                           (("since", N_("Began")), ("until", N_("Ended")), ("known", N_("Known since"))))  # fmt: skip
    if given["incident"] not in INCIDENTS or since is None:
        raise Refused(visit._("Say what happened, and since when."))
    asked = Asked(
        incident=Incident(given["incident"]),
        since=since,
        until=until or now,
        known_at=known or now,
        whose=given["whose"],
    )
    facts = await breach.gather(visit.office, visit.me, asked)
    here = visit.part(Processing).installation()
    made = breach.draft(facts, here.settings, now)
    if visit.field("as", 10) == "file":
        text = breach.markdown(made, here.hostname, visit._, now)
        return download(text.encode(), "gatepost-breach-draft.md", "text/markdown; charset=utf-8")
    sections = [(visit._(one.title), [processing.said(line, visit._) for line in one.lines]) for one in made]
    return visit.page("breach.html", incidents=INCIDENTS, given=given, sections=sections, facts=facts)


ROUTES = (
    page("/privacy/breach", form, Right.PRIVACY, menu=N_("Data breach"), group="privacy", order=64),
    page("/privacy/breach/draft", draft, Right.PRIVACY, methods=("POST",)),
)

"""One message: the answer first, then what it rests on, what happened, and what would change it; and its safe preview."""

from __future__ import annotations

import base64
import hashlib
from functools import partial

from markupsafe import Markup
from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.checks.references import about
from gatepost.mail.verdict import Action
from gatepost.office import looking
from gatepost.office.glass import Glass, may_take_out
from gatepost.office.inside import inside_of
from gatepost.office.preview import preview_of
from gatepost.office.seen import Installed
from gatepost.store import holds
from gatepost.store.store import StoreFailed
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.pages.overview import NAMES
from gatepost.web.pages.quarantine import undecided
from gatepost.web.visit import NotThere, Visit

HEADLINES = {
    Action.DELIVER: N_("Delivered"),
    Action.JUNK: N_("Delivered to Junk"),
    Action.QUARANTINE: N_("Held in quarantine"),
    Action.REFUSE: N_("Refused"),
    Action.DEFER: N_("Asked to come back later"),
}
ACCEPTED = {Action.DELIVER: N_("Accepted for delivery"), Action.JUNK: N_("Accepted for delivery to Junk")}
THRESHOLDS = {
    "junk_at": N_("the threshold for Junk"),
    "quarantine_at": N_("the threshold for holding"),
    "refuse_at": N_("the threshold for refusing"),
}
STYLE = """
:root{color-scheme:light dark;--line:light-dark(#d9dce6,#3a4054);--quiet:light-dark(#565d73,#a4abc0)}
body{font:15px/1.5 system-ui,sans-serif;margin:1rem;color:light-dark(#1a1d29,#e8eaf2);background:light-dark(#fff,#191c26);overflow-wrap:anywhere}
table{border-collapse:collapse;max-width:100%}td,th{padding:.15rem .4rem;vertical-align:top;text-align:left}
blockquote{border-left:3px solid var(--line);margin:.5rem 0;padding-left:.75rem}pre{white-space:pre-wrap}
.link{text-decoration:underline}.target{margin-left:.3em;padding:0 .3em;border:1px solid var(--line);border-radius:4px;font-size:.85em;color:var(--quiet)}
.picture{color:var(--quiet)}
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PREVIEW_CSP = f"sandbox; default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
"""Nothing runs, nothing is loaded, nothing is sent; the one style is ours."""


async def message(visit: Visit) -> Response:
    """Its whole story."""
    book = visit.premises.policies() if visit.premises.policies else None
    story = looking.story(visit.office, visit.me, visit.request.path_params["ref"], book)
    entry = story.entry
    glass: Glass | None = visit.premises.more.get(Glass)
    arrived = any(one.status == "delivered" for one in story.attempts)
    readable = glass is not None and glass.may_read(visit.me, entry.ref)
    inside = None
    if readable and visit.asked("inside", 1):
        octets = await read(visit, entry.ref)
        installed: Installed | None = visit.premises.more.get(Installed)
        inside = await inside_of(octets, preview_of(octets), entry, installed.files if installed else None)
    return visit.page(
        "message.html",
        story=story,
        entry=entry,
        names=NAMES,
        headlines=HEADLINES if arrived or not story.queued else HEADLINES | ACCEPTED,
        thresholds=THRESHOLDS,
        alternatives=story.changes,
        deciding=undecided(visit, story.held),
        deciding_all=[one for one in story.held if one.state in ("held", "requested")],
        readable=readable,
        inside=inside,
        about=about,
        on_hold=(visit.may(Right.MESSAGES) or visit.may(Right.PRIVACY))
        and visit.office.store.database.read(partial(holds.over_message, ref=entry.ref)),
        secure_words={
            0: N_("DNSSEC bogus"),
            1: N_("DNSSEC not checked"),
            2: N_("DNS not signed"),
            3: N_("DNSSEC secure"),
        },
    )


async def preview(visit: Visit) -> Response:
    """The page that shows what is in a held message; looking is on record."""
    story = looking.story(visit.office, visit.me, visit.request.path_params["ref"])
    octets = await read(visit, story.entry.ref)
    copies = visit.office.store.held(ref=story.entry.ref)
    return visit.page(
        "preview.html", entry=story.entry, shown=preview_of(octets), as_file=may_take_out(visit.me, copies)
    )


async def read(visit: Visit, ref: str, how: str = "read") -> bytes:
    """The held message, by right or ownership. Raises NotThere when its octets are gone."""
    glass: Glass = visit.part(Glass)
    try:
        return await glass.read(visit.me, ref, how)
    except (KeyError, StoreFailed):
        raise NotThere from None


async def safe(visit: Visit) -> Response:
    """The message's HTML for the frame of the preview: under a policy of its own that lets nothing run or load."""
    ref = looking.story(visit.office, visit.me, visit.request.path_params["ref"]).entry.ref
    shown = preview_of(await read(visit, ref))  # the same look as that of the page around it
    body = shown.html or f"<pre>{Markup.escape(shown.text)}</pre>"
    text = f'<!doctype html><meta charset="utf-8"><title>{ref}</title><style>{STYLE}</style><body>{body}'
    return Response(
        text,
        media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": PREVIEW_CSP, "X-Frame-Options": "SAMEORIGIN"},
    )


async def original(visit: Visit) -> Response:
    """The held message as it came, as a file: never shown by the browser."""
    ref = looking.story(visit.office, visit.me, visit.request.path_params["ref"]).entry.ref
    octets = await read(visit, ref, "downloaded")
    return Response(
        octets,
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{ref}.eml"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


ROUTES = (
    page("/messages/{ref}", message, Right.MESSAGES, Right.OWN),
    page("/messages/{ref}/preview", preview, Right.CONTENT, Right.BREAK_GLASS, Right.OWN),
    page("/messages/{ref}/preview/safe", safe, Right.CONTENT, Right.BREAK_GLASS, Right.OWN),
    page(
        "/messages/{ref}/original", original, Right.CONTENT, Right.BREAK_GLASS, Right.OWN, methods=("POST",)
    ),
)

"""What belongs to every page: its files, the choice of language, and the way home."""

from __future__ import annotations

import contextlib
import mimetypes

from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.office import people
from gatepost.office.office import Impossible, NotAllowed
from gatepost.web.page import open_page, page
from gatepost.web.visit import LANGUAGE_COOKIE, LANGUAGES, NotThere, Visit, own_path

A_YEAR_S = 31_536_000


async def home(visit: Visit) -> Response:
    """To the first page of the navigation."""
    return visit.go(next((one.path for one in visit.menu if "{" not in one.path), "/me"))


async def static(visit: Visit) -> Response:
    """A file of ours, out of memory: no path on the disk is ever made of what was asked for."""
    name = visit.request.path_params["name"]
    octets = visit.premises.looks.static(name)
    if octets is None:
        raise NotThere
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    kept = f"public, max-age={A_YEAR_S}, immutable" if visit.asked("v") else "no-cache"
    return Response(octets, media_type=kind, headers={"Cache-Control": kept})


async def language(visit: Visit) -> Response:
    """Keep the chosen language: in the browser, and in the account of who is signed in."""
    response = visit.go(own_path(visit.field("back") or "/"))
    chosen = visit.field("language")
    if chosen in LANGUAGES:
        if visit.actor is not None and visit.actor.account and chosen != visit.actor.language:
            with contextlib.suppress(NotAllowed, Impossible):  # the cookie keeps it in any case
                await people.rename(visit.office, visit.actor, visit.actor.login, language=chosen)
        response.set_cookie(
            LANGUAGE_COOKIE,
            chosen,
            max_age=A_YEAR_S,
            path="/",
            secure=visit.premises.secure,
            httponly=True,
            samesite="lax",
        )
    return response


ROUTES = (
    page("/", home, Right.OWN),
    open_page("/static/{name:path}", static),
    open_page("/language", language, methods=("POST",)),
)

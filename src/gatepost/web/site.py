"""The console as one ASGI application: every page behind one door that knows sessions, rights and forms."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from gatepost.access.rights import Actor
from gatepost.office.longreads import Busy
from gatepost.office.office import Impossible, NotAllowed, Office, ProveAgain
from gatepost.store.patience import Patience, TookTooLong, patient
from gatepost.store.store import StoreFailed, StoreFull
from gatepost.web.guard import (
    SAFE_METHODS,
    Malformed,
    TooLong,
    WithHeaders,
    carries_token,
    is_ours,
    read_form,
)
from gatepost.web.looks import N_, Looks
from gatepost.web.page import Page
from gatepost.web.pages import ALL_PAGES
from gatepost.web.sessions import drop, keep
from gatepost.web.visit import (
    LANGUAGE_COOKIE,
    LANGUAGES,
    NotThere,
    Premises,
    Refused,
    Sessions,
    Visit,
    is_within,
    own_path,
)

log = logging.getLogger(__name__)
SIGN_IN = "/sign-in"
PROVE_AGAIN = "/sign-in/again"
TOO_LONG = N_(
    "It was stopped, so that others are served. Ask for less: a shorter time, a whole address instead of a part of one."
)
ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def site(
    office: Office,
    sessions: Sessions,
    *,
    origin: str,
    api: ASGIApp | None = None,
    pages: Sequence[Page] = ALL_PAGES,
    premises: Premises | None = None,
) -> Starlette:
    """The whole console. `premises` replaces what is made of the first three; `api` answers below ``/api``."""
    premises = premises or Premises(office=office, sessions=sessions, origin=origin, looks=Looks(LANGUAGES))
    menu = sorted((one for one in pages if one.menu), key=lambda one: one.order)
    routes: list[BaseRoute] = [
        Route(one.path, Door(premises, one, menu), methods=list(one.methods), include_in_schema=False)
        for one in pages
    ]
    if api is not None:
        routes.append(Mount("/api", api))
    nowhere = Page(path="/{anything:path}", answer=nothing, open=False, methods=ALL_METHODS)
    routes.append(Route(nowhere.path, Door(premises, nowhere, menu), methods=list(ALL_METHODS)))
    return Starlette(
        routes=routes, middleware=[Middleware(WithHeaders, secure=premises.secure)], exception_handlers={}
    )


async def nothing(_: Visit) -> Response:
    """What is at every path that is no page's."""
    raise NotThere


class Door:
    """Lets in who may see the page, and turns what went wrong into pages that say what to do. An ASGI application."""

    def __init__(self, premises: Premises, page: Page, menu: Sequence[Page]) -> None:
        self._premises = premises
        self._page = page
        self._menu = menu

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        """ASGI."""
        request = Request(scope, receive, send)  # type: ignore[arg-type]
        with patient(Patience()):
            response = await self._answered(request)
            await response(scope, receive, send)  # type: ignore[arg-type]

    async def _answered(self, request: Request) -> Response:
        premises = self._premises
        if elsewhere(request, premises):
            if request.method not in SAFE_METHODS:
                return Response("This is not the name of this console.", 421, media_type="text/plain")
            return RedirectResponse(premises.origin + own_path(request.url.path), 307)
        token = request.cookies.get(premises.cookie, "")[:200]
        try:
            visit = await self._visit(request, token)
        except (StoreFailed, StoreFull):
            log.exception("who asks could not be looked up")
            return Response(
                "The store cannot be read at the moment. Try again in a minute.", 503, media_type="text/plain"
            )
        response = await self._safely(visit)
        if visit.actor is None:
            if token and premises.cookie not in cookies_set(response):
                drop(response, premises, premises.cookie)
            if not request.cookies.get(premises.door_cookie) and is_drawn(response):
                keep(response, premises, premises.door_cookie, visit.token)
        return response

    async def _visit(self, request: Request, token: str) -> Visit:
        premises = self._premises
        visit = Visit(request=request, premises=premises, actor=None, language="en", token=token)
        if token:
            visit.actor = await premises.sessions.actor(
                token, address=visit.address, quietly=self._page.quiet
            )
        if visit.actor is None:
            visit.token = request.cookies.get(premises.door_cookie, "")[:200] or secrets.token_urlsafe(32)
        visit.language = language_of(request, visit.actor)
        visit.menu = [
            one for one in self._menu if visit.actor and not one.rights.isdisjoint(visit.actor.rights)
        ]
        return visit

    async def _safely(self, visit: Visit) -> Response:
        try:
            return await self._let_in(visit)
        except (NotThere, NotAllowed):
            return told(visit, 404, N_("There is nothing here"), N_(
                "The page does not exist, or it is not one of yours. Look in the navigation, or ask who gave you the link."
            ))  # fmt: skip
        except ProveAgain:
            here = (
                visit.request.url.path if visit.request.method in SAFE_METHODS else visit.field("back") or "/"
            )
            return RedirectResponse(f"{PROVE_AGAIN}?next={quote(own_path(here))}", 303)
        except Refused as refusal:
            return told(visit, refusal.status, N_("That did not work"), str(refusal))
        except Impossible as refusal:
            return told(visit, 400, N_("That did not work"), str(refusal))
        except TooLong:
            return told(visit, 413, N_("That is too long"), N_("Send less at once."))
        except Malformed:
            return told(
                visit,
                400,
                N_("That did not work"),
                N_("The form could not be read. Go back and send it again."),
            )
        except Busy as refusal:
            return told(visit, 429, N_("One after the other"), visit._(str(refusal)))
        except TookTooLong as refusal:
            log.warning("a page was stopped: %s: %s", self._page.path, refusal)
            return told(visit, 503, N_("That took too long"), visit._(TOO_LONG))
        except StoreFull:
            return told(
                visit,
                507,
                N_("The disk is full"),
                N_("Nothing was changed. Make room on the gate's disk first."),
            )
        except StoreFailed:
            log.exception("the store failed a page")
            return told(
                visit, 503, N_("The store cannot be read at the moment"), N_("Try again in a minute.")
            )
        except Exception:
            mark = secrets.token_hex(4)
            # By its pattern: the path itself may be a link that signs somebody in.
            log.exception("a page failed (%s): %s %s", mark, visit.request.method, self._page.path)
            words = visit._(
                "This is our fault. The log of the gate has the details under %(mark)s.", mark=mark
            )
            return told(visit, 500, N_("Something broke"), words)

    async def _let_in(self, visit: Visit) -> Response:
        page, request = self._page, visit.request
        if visit.actor is None and not page.open:
            if request.method in SAFE_METHODS:
                wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                if request.headers.get("sec-fetch-site") == "cross-site":
                    # A link in a ticket or a mail: the browser keeps a strict cookie back, until a page of ours asks.
                    return visit.page("onward.html", path=own_path(wanted))
                return RedirectResponse(f"{SIGN_IN}?next={quote(own_path(wanted))}", 303)
            raise Refused(visit._("You are signed out. Sign in, and send the form again."), 403)
        if visit.actor is not None and page.rights and page.rights.isdisjoint(visit.actor.rights):
            raise NotThere
        if request.method not in SAFE_METHODS:
            if not is_ours(request.headers, visit.premises.origin):
                raise Refused(visit._("This form does not come from a page of this console."), 403)
            visit.form = await read_form(request, page.form_octets)
            if not carries_token(request.headers, visit.form, visit.token):
                raise Refused(
                    visit._("This form is too old. Open the page again, and send it once more."), 403
                )
        return await page.answer(visit)


def told(visit: Visit, status: int, title: str, text: str) -> Response:
    """A page that says what went wrong and what to do."""
    return visit.page("told.html", status, title=visit._(title), text=visit._(text))


def elsewhere(request: Request, premises: Premises) -> bool:
    """Was it asked for under another name? A page of somebody else's whose name now leads here would do that.

    Proxies that we trust may say what they like.
    """
    client = request.client.host if request.client else ""
    host = request.headers.get("host", "").lower()
    return host != urlsplit(premises.origin).netloc and not is_within(client, premises.trusted_proxies)


def is_drawn(response: Response) -> bool:
    """Is it a page, which may hold forms?"""
    return response.headers.get("content-type", "").startswith("text/html")


def cookies_set(response: Response) -> set[str]:
    """The names of the cookies a response sets."""
    return {
        value.decode("latin-1").partition("=")[0]
        for name, value in response.raw_headers
        if name == b"set-cookie"
    }


def language_of(request: Request, actor: Actor | None) -> str:
    """The one chosen here, the account's, or the first of the browser's that we speak."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    if actor is not None and actor.language in LANGUAGES:
        return actor.language
    for word in request.headers.get("accept-language", "")[:200].split(","):
        if word.strip()[:2].lower() in LANGUAGES:
            return word.strip()[:2].lower()
    return "en"

"""The demo's one-time link: signs in whoever opens it first, on loopback, and never again."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from starlette.responses import Response

from gatepost.access.standing import Strength
from gatepost.office import sessions
from gatepost.store import accounts
from gatepost.web.page import open_page
from gatepost.web.sessions import keep, visitor_of
from gatepost.web.settings import is_loopback
from gatepost.web.visit import NotThere, Visit


@dataclass(slots=True)
class DemoDoor:
    """Opened once for each word."""

    word: str
    login: str = ""
    """Whom it signs in."""
    path: str = "/"
    used: bool = False

    def url(self, origin: str) -> str:
        """To be printed."""
        return f"{origin}/demo/{self.word}"


async def open_up(visit: Visit) -> Response:
    """Signs in; only in a demo, only from this machine, only once. Signed in already it leads on."""
    door: DemoDoor = visit.part(DemoDoor)
    fits = hmac.compare_digest(visit.request.path_params["word"].encode(), door.word.encode())
    if not visit.premises.demo or not fits or not is_loopback(visit.address):
        raise NotThere
    if visit.actor is not None:
        return visit.go(door.path)
    if door.used:
        return visit.page(
            "told.html", 410, title=visit._("This link was used"),
            text=visit._("It signs in once. Start the demo again for another one."),
        )  # fmt: skip
    account = visit.office.store.database.read(lambda c: accounts.find(c, login=door.login))
    if account is None:
        raise NotThere
    door.used = True
    token = await sessions.start(
        visit.office, account, strength=Strength.DEMO, ip=visitor_of(visit).ip, agent=visitor_of(visit).agent
    )
    response = visit.go(door.path)
    keep(response, visit.premises, visit.premises.cookie, token)
    return response


ROUTES = (open_page("/demo/{word}", open_up),)

"""A console for tests: a real store, sessions by name, and a client that speaks to it without a socket."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from gatepost.access.rights import Actor, Right, Role, rights_of
from gatepost.office.office import Office
from gatepost.store.store import Store
from gatepost.web.looks import Looks
from gatepost.web.page import Page
from gatepost.web.pages import ALL_PAGES
from gatepost.web.site import site
from gatepost.web.visit import LANGUAGES, Premises

NOW = 1_795_000_000.0
ORIGIN = "https://console.example.net"
LOOKS = Looks(LANGUAGES)
RUNNER = asyncio.Runner()
"""One loop for all: stores and sites are used from it alone."""


def actor(*roles: Role, login: str = "ana@example.net", **more: Any) -> Actor:
    """Somebody with these roles."""
    held = frozenset(roles) or frozenset({Role.PERSON})
    values: dict[str, Any] = {
        "account": 1,
        "login": login,
        "name": "Ana",
        "roles": held,
        "rights": rights_of(held),
    }
    values |= {"addresses": (login,), "proved_at": NOW}
    return Actor(**(values | more))


class ByName:
    """Sessions whose token is the name of who is signed in."""

    def __init__(self, people: dict[str, Actor] | None = None) -> None:
        self.people = {role.value: actor(role) for role in Role} | (people or {})

    async def actor(self, token: str, *, address: str, quietly: bool = False) -> Actor | None:
        """Whoever bears the name."""
        return self.people.get(token)

    async def end(self, token: str) -> None:
        """Forget them."""
        self.people.pop(token, None)


def office(folder: Path, *, now: float = NOW) -> Office:
    """An office with a store of its own."""
    return Office(
        store=Store.open(folder), clock=lambda: now, random=lambda n: b"\7" * n, hostname="mx.example.net"
    )


def console(
    desk: Office, *, people: dict[str, Actor] | None = None, pages: Sequence[Page] = ALL_PAGES, **more: Any
) -> Starlette:
    """The whole console over an office."""
    sessions = ByName(people)
    origin = more.pop("origin", ORIGIN)
    premises = Premises(office=desk, sessions=sessions, origin=origin, looks=LOOKS, **more)
    return site(desk, sessions, origin=origin, premises=premises, pages=pages)


class Browser:
    """Somebody's browser, without its good manners: redirects are not followed."""

    def __init__(self, app: Starlette, who: str | None = None, **headers: str) -> None:
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url=ORIGIN,
            cookies={"__Host-gatepost": who} if who else {},
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        self.cookies = self._client.cookies

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request, answered."""
        return RUNNER.run(self._client.request(method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        """GET."""
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        """POST."""
        return self.request("POST", path, **more)


def csrf(page: str) -> str:
    """The token of the first form."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


def rights_held(role: Role) -> Iterable[Right]:
    """What a role may do."""
    return rights_of(frozenset({role}))

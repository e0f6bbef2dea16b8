"""One request as a page sees it: who asks, in which language, with which form; and how it answers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gatepost.access.rights import Actor, Right
from gatepost.office.office import NotAllowed, Office
from gatepost.policy import PolicyBook
from gatepost.web.looks import Looks

LANGUAGES = {"en": "English", "ja": "日本語"}
LANGUAGE_COOKIE = "gatepost-language"


class NotThere(Exception):
    """There is no such page or thing, or it is not theirs: both look the same."""


class Refused(Exception):
    """The request cannot be served; `str()` is a sentence for the person, already in their language."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


class Sessions(Protocol):
    """Who is signed in; tokens are the cookie's value."""

    async def actor(self, token: str, *, address: str, quietly: bool = False) -> Actor | None:
        """Whose session it is, or None; counts as use of it, but `quietly`."""
        ...

    async def end(self, token: str) -> None:
        """Sign out."""
        ...


class Concern(Protocol):
    """Something that needs attention: `jobs.concerns.Concern` is one."""

    @property
    def key(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def remedy(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """One thing of the health strip."""

    name: str
    """delivery, dns, antivirus, lists, queue, certificate, disk, classifier."""
    level: str
    """well, warning, critical or off."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSeen:
    """How the installation is."""

    lights: Sequence[Light] = ()
    concerns: Sequence[Concern] = ()


async def nothing_known() -> HealthSeen:
    """Where nobody looks after the health."""
    return HealthSeen()


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """Everything the pages share: one for each console."""

    office: Office
    sessions: Sessions
    origin: str
    """Scheme, host and port by which people reach the console: ``https://console.example.net``."""
    looks: Looks
    policies: Callable[[], PolicyBook] | None = None
    """The policy in force."""
    health: Callable[[], Awaitable[HealthSeen]] = nothing_known
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    demo: bool = False
    """A DEMO band on every page."""
    more: Mapping[type, Any] = field(default_factory=dict)
    """What groups of pages need beside, by its type: `visit.part(SignIn)`."""

    @property
    def secure(self) -> bool:
        """Reached by HTTPS? Else it is on loopback."""
        return self.origin.startswith("https:")

    @property
    def cookie(self) -> str:
        """The session cookie's name. Browsers keep a ``__Host-`` cookie from every other host and from plain HTTP."""
        return "__Host-gatepost" if self.secure else "gatepost-session"

    @property
    def door_cookie(self) -> str:
        """The same for who is not signed in yet: what their forms are bound to."""
        return "__Host-gatepost-door" if self.secure else "gatepost-door"


@dataclass(slots=True, kw_only=True)
class Visit:
    """One request."""

    request: Request
    premises: Premises
    actor: Actor | None
    language: str
    token: str
    """Of the session, or of the door before there is one; never shown."""
    form: FormData = field(default_factory=FormData)
    menu: Sequence[Any] = ()

    @property
    def office(self) -> Office:
        """Where everything is done."""
        return self.premises.office

    @property
    def me(self) -> Actor:
        """Who acts; for pages that are not open to everybody."""
        if self.actor is None:
            raise NotThere
        return self.actor

    def may(self, right: Right) -> bool:
        """Is somebody signed in who has the right?"""
        return self.actor is not None and self.actor.may(right)

    def insist(self, right: Right) -> None:
        """Raises NotAllowed."""
        if not self.may(right):
            raise NotAllowed(right.value)

    def part(self, kind: type[Any]) -> Any:
        """What this console was given of that type. Raises NotThere where it has none."""
        try:
            return self.premises.more[kind]
        except KeyError:
            raise NotThere from None

    def field(self, name: str, longest: int = 2000) -> str:
        """A text of the form, cut at `longest` characters; empty when it is not there."""
        value = self.form.get(name, "")
        return value[:longest] if isinstance(value, str) else ""

    def asked(self, name: str, longest: int = 500) -> str:
        """A text of the query in the URL, the same way."""
        return self.request.query_params.get(name, "")[:longest].strip()

    @property
    def csrf(self) -> str:
        """What every form carries: bound to the session's token, and tells nothing of it."""
        return csrf_of(self.token)

    def _(self, text: str, /, **values: object) -> str:
        """In the visitor's language."""
        return self.premises.looks.say(self.language, text, **values)

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A whole page."""
        text = self.premises.looks.draw(
            template, self.language, visit=self, actor=self.actor, now=self.office.clock(), **values
        )
        return Response(text, status, media_type="text/html; charset=utf-8")

    def go(self, path: str) -> Response:
        """See other: after a form was taken. Only to a path of our own."""
        return RedirectResponse(own_path(path), 303)

    @property
    def address(self) -> str:
        """Where the visitor comes from, behind our own proxies."""
        return address_of(self.request, self.premises.trusted_proxies)

    def with_query(self, **changes: object) -> str:
        """This page's URL with some of its query changed; None and "" take one away."""
        known = {name: value for name, value in self.request.query_params.items() if value}
        known |= {name: str(value) for name, value in changes.items() if value not in (None, "")}
        for name, value in changes.items():
            if value in (None, ""):
                known.pop(name, None)
        return str(self.request.url.replace(scheme="", netloc="", fragment="").replace(query="")) + query_of(
            known
        )


def query_of(values: Mapping[str, str]) -> str:
    """``?a=b`` or nothing."""
    from urllib.parse import urlencode

    return "?" + urlencode(values) if values else ""


def csrf_of(token: str) -> str:
    """The token of the forms, out of the token of the session."""
    return hmac.new(token.encode(), b"gatepost form", hashlib.sha256).hexdigest()


def own_path(path: str, otherwise: str = "/") -> str:
    """The path, if it is one of this site: no scheme, no other host, nothing that a browser might read as one."""
    if not path.startswith("/") or path.startswith(("//", "/\\")) or "\\" in path or not path.isprintable():
        return otherwise
    parts = urlsplit(path)
    return otherwise if parts.scheme or parts.netloc else path


def address_of(request: Request, trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """The nearest address that is not a trusted proxy's: read from the right of X-Forwarded-For."""
    address = request.client.host if request.client else ""
    hops = [one.strip() for one in ",".join(request.headers.getlist("x-forwarded-for")).split(",")][-20:]
    while hops and is_within(address, trusted):
        address = hops.pop()
    try:
        return str(ip_address(address))
    except ValueError:
        return ""


def is_within(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Does the address lie in one of them?"""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in one for one in networks)

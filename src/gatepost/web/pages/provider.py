"""Signing in by the identity provider: there and back, and a code of ours where it asked for a password alone.

The browser comes back from another site, so what it must bring is in a cookie that is sent then (SameSite=Lax), and the page it
comes back to goes on by itself instead of redirecting: the session's cookie is not sent along a chain that another site began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from starlette.responses import RedirectResponse, Response

from gatepost.office import oidc
from gatepost.office.oidc import CodeWanted
from gatepost.office.provider import Provider
from gatepost.office.sessions import Admitted, SignInRefused
from gatepost.office.signin import PasswordSource
from gatepost.web.looks import N_
from gatepost.web.page import open_page
from gatepost.web.sessions import let_in, visitor_of
from gatepost.web.visit import Premises, Visit, own_path

BACK = "/sign-in/provider/back"
FLOW_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Who else knows our people: a part of the premises."""

    provider: Provider | None = None
    passwords: Mapping[str, PasswordSource] = field(default_factory=dict)
    """By `Account.source`."""


NOWHERE = Elsewhere()


def elsewhere(visit: Visit) -> Elsewhere:
    """Of this console."""
    found = visit.premises.more.get(Elsewhere, NOWHERE)
    assert isinstance(found, Elsewhere)
    return found


def provider_name(visit: Visit) -> str:
    """What the sign-in page calls it; empty: there is none."""
    provider = elsewhere(visit).provider
    return provider.settings.name if provider is not None else ""


def way_out(visit: Visit) -> str:
    """Where the provider is signed out of, too; empty: nobody says."""
    provider = elsewhere(visit).provider
    return provider.way_out(f"{visit.premises.origin}/sign-in") if provider is not None else ""


def flow_cookie(premises: Premises) -> str:
    """What the browser brings back."""
    return "__Host-gatepost-provider" if premises.secure else "gatepost-provider"


async def away(visit: Visit) -> Response:
    """To the provider."""
    provider, onward = elsewhere(visit).provider, own_path(visit.asked("next") or "/")
    if provider is None:
        return visit.go("/sign-in")
    try:
        begun = await oidc.begin(
            visit.office, provider, visitor=visitor_of(visit), redirect_uri=visit.premises.origin + BACK,
            anew=visit.asked("again") != "",
        )  # fmt: skip
    except SignInRefused as refusal:
        return refused(visit, refusal)
    response = RedirectResponse(begun.url, 303)
    response.set_cookie(
        flow_cookie(visit.premises), f"{begun.flow}:{quote(onward, safe='')}"[:2000], max_age=FLOW_S, path="/",
        secure=visit.premises.secure, httponly=True, samesite="lax",
    )  # fmt: skip
    return response


async def back(visit: Visit) -> Response:
    """From the provider."""
    provider = elsewhere(visit).provider
    flow, _, onward = visit.request.cookies.get(flow_cookie(visit.premises), "")[:2000].partition(":")
    if provider is None:
        return visit.go("/sign-in")
    try:
        came = await oidc.finish(
            visit.office, provider, flow, dict(visit.request.query_params), visitor=visitor_of(visit),
            redirect_uri=visit.premises.origin + BACK,
        )  # fmt: skip
    except SignInRefused as refusal:
        response = refused(visit, refusal)
    else:
        response = entered(visit, came, own_path(unquote(onward) or "/"))
    response.delete_cookie(
        flow_cookie(visit.premises), path="/", secure=visit.premises.secure, httponly=True, samesite="lax"
    )
    return response


async def code(visit: Visit) -> Response:
    """The code of ours."""
    try:
        came = await oidc.finish_with_code(
            visit.office, visit.field("pending", 200), visit.field("code", 20), visitor=visitor_of(visit)
        )
    except SignInRefused as refusal:
        return refused(visit, refusal)
    return entered(visit, came, own_path(visit.field("next") or "/"), again=True)


def entered(visit: Visit, came: Admitted | CodeWanted, onward: str, *, again: bool = False) -> Response:
    """In, or a code is wanted."""
    if isinstance(came, CodeWanted):
        problem = visit._(N_("This code is wrong or was used: wait for the next one.")) if again else ""
        return visit.page(
            "provider.html", 403 if again else 200, pending=came.pending, next=onward, problem=problem
        )
    response = visit.page("provider.html", pending="", next=onward, problem="")
    response.headers["Refresh"] = f"0; url={quote(onward, safe='/?&=%#')}"
    return let_in(response, visit.premises, came, enrolling=False)


def refused(visit: Visit, refusal: SignInRefused) -> Response:
    """Why not, and the way back."""
    return visit.page("provider_refused.html", 403, problem=visit._(str(refusal)))


ROUTES = (
    open_page("/sign-in/provider", away),
    open_page(BACK, back),
    open_page("/sign-in/provider/code", code, methods=("POST",)),
)

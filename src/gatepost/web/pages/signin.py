"""The door: signing in and out, proving it once more, and enrolling with a link. What is proved is the office's business."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import quote

import segno
from markupsafe import Markup
from starlette.responses import JSONResponse, Response

from gatepost.access.rights import ADMINISTRATORS, Right
from gatepost.access.standing import Admission, Strength
from gatepost.office import enrolment, signin
from gatepost.office import sessions as office_sessions
from gatepost.office.office import Impossible
from gatepost.office.passkeys import RelyingParty
from gatepost.office.sessions import Admitted, SignInRefused
from gatepost.store import accounts
from gatepost.web.looks import N_
from gatepost.web.page import open_page, page
from gatepost.web.pages.provider import elsewhere, provider_name, way_out
from gatepost.web.sessions import drop, enrolment_cookie, keep, let_in, visitor_of
from gatepost.web.visit import NotThere, Visit, own_path

ENROL = "/enrol"
OVER = N_(
    "The time for this is over, or it was finished before. Open your link again, or ask for another one."
)


def party(visit: Visit) -> RelyingParty:
    """What passkeys are registered with."""
    return RelyingParty(origin=visit.premises.origin)


def back(visit: Visit) -> str:
    """Where to go afterwards: a page of ours."""
    return own_path(visit.field("next") or visit.asked("next") or "/")


# Signing in


async def sign_in(visit: Visit) -> Response:
    """The form. Who is signed in already goes on."""
    if visit.actor is not None:
        return visit.go(back(visit))
    return form(visit)


def form(visit: Visit, problem: str = "", status: int = 200) -> Response:
    """Passkey first; password and code below."""
    return visit.page(
        "signin.html",
        status,
        next=back(visit),
        problem=problem,
        login=visit.field("login", 320),
        recovery=False,
        provider=provider_name(visit),
        way_out=way_out(visit) if visit.asked("out") else "",
    )


async def by_password(visit: Visit) -> Response:
    """Password and one-time code, both at once."""
    try:
        admitted = await signin.by_password(
            visit.office, visit.field("login", 320), visit.field("password", 1024), visit.field("code", 20),
            visitor=visitor_of(visit), sources=elsewhere(visit).passwords,
        )  # fmt: skip
    except SignInRefused as refusal:
        return form(visit, visit._(str(refusal)), 403)
    return entered(visit, admitted)


async def passkey_options(visit: Visit) -> Response:
    """What the browser asks the authenticator."""
    asked = await signin.passkey_options(visit.office, party(visit), visitor=visitor_of(visit))
    return JSONResponse({"flow": asked.flow, "options": asked.options})


async def by_passkey(visit: Visit) -> Response:
    """The authenticator's answer; tells the script where to go."""
    try:
        admitted = await signin.by_passkey(
            visit.office,
            party(visit),
            visit.field("flow", 200),
            visit.field("answer", 40_000),
            visitor=visitor_of(visit),
        )
    except SignInRefused as refusal:
        return JSONResponse({"problem": visit._(str(refusal))}, 403)
    return let_in(JSONResponse({"go": back(visit)}), visit.premises, admitted, enrolling=False)


def entered(visit: Visit, admitted: Admitted) -> Response:
    """In, or on to enrolment."""
    enrolling = admitted.admission is Admission.ENROL
    return let_in(
        visit.go(ENROL if enrolling else back(visit)), visit.premises, admitted, enrolling=enrolling
    )


async def recovery_form(visit: Visit) -> Response:
    """For who has lost everything but a recovery code."""
    return visit.page("signin.html", next="/", problem="", login="", recovery=True)


async def by_recovery(visit: Visit) -> Response:
    """Leads to enrolment."""
    login = visit.field("login", 320)
    try:
        admitted = await signin.by_recovery(
            visit.office,
            login,
            visit.field("password", 1024),
            visit.field("code", 100),
            visitor=visitor_of(visit),
        )
    except SignInRefused as refusal:
        return visit.page(
            "signin.html", 403, next="/", problem=visit._(str(refusal)), login=login, recovery=True
        )
    return entered(visit, admitted)


async def sign_out(visit: Visit) -> Response:
    """The session ends here and in the office."""
    if visit.actor is not None:
        await visit.premises.sessions.end(visit.token)
    response = visit.go("/sign-in?out=1" if way_out(visit) else "/sign-in")
    drop(response, visit.premises, visit.premises.cookie)
    drop(response, visit.premises, enrolment_cookie(visit.premises))
    return response


# Proving it once more


async def again(visit: Visit) -> Response:
    """Before a sensitive act."""
    return await again_form(visit)


async def again_form(visit: Visit, problem: str = "", status: int = 200) -> Response:
    """By passkey, or by a code where the session began so."""
    entered = await office_sessions.visit_of(visit.office, visit.token)
    strength = entered.session.strength if entered is not None else None
    has_codes = entered is not None and entered.account.has_codes
    by_code = strength is Strength.TWO_FACTORS or (strength is Strength.PROVIDER and has_codes)
    provider = provider_name(visit) if strength is Strength.PROVIDER else ""
    demo = entered is not None and entered.session.strength is Strength.DEMO and visit.premises.demo
    return visit.page(
        "again.html",
        status,
        next=back(visit),
        problem=problem,
        by_code=by_code,
        by_demo=demo,
        provider=provider,
    )


async def again_options(visit: Visit) -> Response:
    """What the browser asks the authenticator."""
    asked = await signin.prove_options(visit.office, party(visit), await of_office(visit))
    return JSONResponse({"flow": asked.flow, "options": asked.options})


async def again_by_passkey(visit: Visit) -> Response:
    """A new token for the same session."""
    try:
        token = await signin.prove_by_passkey(
            visit.office, party(visit), visit.token, visit.field("flow", 200), visit.field("answer", 40_000),
            visitor=visitor_of(visit),
        )  # fmt: skip
    except SignInRefused as refusal:
        return JSONResponse({"problem": visit._(str(refusal))}, 403)
    response = JSONResponse({"go": back(visit)})
    keep(response, visit.premises, visit.premises.cookie, token)
    return response


async def again_by_code(visit: Visit) -> Response:
    """The same with a one-time code; in a demo a click is enough."""
    entered = await of_office(visit)
    try:
        if visit.premises.demo and entered.session.strength is Strength.DEMO:
            token = await office_sessions.renew(visit.office, visit.token)
        else:
            token = await signin.prove_by_code(
                visit.office, visit.token, visit.field("code", 20), visitor=visitor_of(visit)
            )
    except SignInRefused as refusal:
        return await again_form(visit, visit._(str(refusal)), 403)
    response = visit.go(back(visit))
    keep(response, visit.premises, visit.premises.cookie, token)
    return response


async def of_office(visit: Visit) -> office_sessions.Visit:
    """The session as the office knows it. Raises NotThere."""
    entered = await office_sessions.visit_of(visit.office, visit.token)
    if entered is None:
        raise NotThere
    return entered


# Enrolment


async def link(visit: Visit) -> Response:
    """What an enrolment link opens: whose it is, and a button. Nothing is used up, since scanners follow links, too."""
    text = visit.request.path_params["link"]
    account = signin.whom_link_is_for(visit.office, text)
    return visit.page("enrol_link.html", 200 if account else 410, account=account, link=text)


async def use_link(visit: Visit) -> Response:
    """Begin to enrol."""
    try:
        admitted = await signin.by_link(
            visit.office, visit.request.path_params["link"], visitor=visitor_of(visit)
        )
    except SignInRefused:
        return visit.page("enrol_link.html", 410, account=None, link="")
    return let_in(visit.go(ENROL), visit.premises, admitted, enrolling=True)


async def enrolling(visit: Visit) -> office_sessions.Visit:
    """The session for enrolment that this browser has. Raises Over."""
    token = visit.request.cookies.get(enrolment_cookie(visit.premises), "")[:200]
    found = await office_sessions.visit_of(visit.office, token)
    if found is None or found.admission is not Admission.ENROL:
        raise Over
    return found


class Over(Exception):
    """There is no session for enrolment."""


def in_enrolment(answer: Any) -> Any:
    """A page of enrolment: without such a session it says what to do."""

    async def guarded(visit: Visit) -> Response:
        try:
            response: Response = await answer(visit, await enrolling(visit))
            return response
        except Over:
            return visit.page("told.html", 403, title=visit._("Enrolment"), text=visit._(OVER))
        except (Impossible, SignInRefused) as refusal:
            return JSONResponse({"problem": visit._(str(refusal))}, 400)

    return guarded


async def enrol(visit: Visit, session: office_sessions.Visit) -> Response:
    """What there is so far, and what may be added."""
    return enrol_page(visit, session)


def enrol_page(visit: Visit, session: office_sessions.Visit, problem: str = "", **more: Any) -> Response:
    """The one page of enrolment."""
    keys = visit.office.store.database.read(lambda c: accounts.passkeys(c, session.account.id))
    values = {"offer": None, "picture": "", "enrolled_codes": False} | more
    return visit.page(
        "enrol.html", 400 if problem else 200, account=session.account, keys=keys, problem=problem,
        administrator=bool(session.account.roles & ADMINISTRATORS), **values,
    )  # fmt: skip


async def enrol_options(visit: Visit, session: office_sessions.Visit) -> Response:
    """What the browser asks the authenticator to make."""
    asked = await enrolment.passkey_options(visit.office, party(visit), session)
    return JSONResponse({"flow": asked.flow, "options": asked.options})


async def enrol_passkey(visit: Visit, session: office_sessions.Visit) -> Response:
    """Keep it."""
    await enrolment.register_passkey(
        visit.office, party(visit), session, visit.field("flow", 200), visit.field("answer", 40_000),
        name=visit.field("name", 60),
    )  # fmt: skip
    return JSONResponse({"go": ENROL})


async def enrol_codes(visit: Visit, session: office_sessions.Visit) -> Response:
    """A password, and the seed of one-time codes to be proved."""
    password = visit.field("password", 1024)
    if not hmac.compare_digest(password.encode(), visit.field("repeated", 1024).encode()):
        return enrol_page(visit, session, visit._("The two passwords differ."))
    try:
        offer = await enrolment.begin_codes(visit.office, session, password or None)
    except Impossible as refusal:
        return enrol_page(visit, session, visit._(str(refusal)))
    return enrol_page(visit, session, offer=offer, picture=picture_of(offer.uri))


async def enrol_confirm(visit: Visit, session: office_sessions.Visit) -> Response:
    """The code proves that the seed arrived."""
    try:
        await enrolment.confirm_codes(
            visit.office, session, visit.field("flow", 200), visit.field("code", 20)
        )
    except Impossible as refusal:
        return enrol_page(visit, session, visit._(str(refusal)))
    return enrol_page(visit, session, enrolled_codes=True)


async def enrol_finish(visit: Visit, session: office_sessions.Visit) -> Response:
    """Signed in from here on; recovery codes are shown once."""
    token = visit.request.cookies.get(enrolment_cookie(visit.premises), "")[:200]
    try:
        finished = await enrolment.finish(visit.office, token, visitor=visitor_of(visit))
    except Impossible as refusal:
        return enrol_page(visit, session, visit._(str(refusal)))
    if not finished.recovery_codes:
        return let_in(visit.go("/"), visit.premises, finished.admitted, enrolling=False)
    response = visit.page("recovery_codes.html", codes=finished.recovery_codes)
    return let_in(response, visit.premises, finished.admitted, enrolling=False)


def picture_of(uri: str) -> Markup:
    """A QR code as SVG: paths only, no style."""
    code = segno.make(uri, error="m")
    return Markup(  # noqa: S704 - drawn by us; the title is escaped by segno's own attributes
        code.svg_inline(
            scale=4, border=2, svgclass="qr", lineclass=None, omitsize=True, dark="#000", light="#fff"
        )
    )


POST = ("POST",)
ROUTES = (
    open_page("/sign-in", sign_in),
    open_page("/sign-in/password", by_password, methods=POST),
    open_page("/sign-in/passkey/options", passkey_options, methods=POST),
    open_page("/sign-in/passkey", by_passkey, methods=POST),
    open_page("/sign-in/recover", recovery_form),
    open_page("/sign-in/recovery", by_recovery, methods=POST),
    open_page("/sign-out", sign_out, methods=POST),
    page("/sign-in/again", again, Right.OWN),
    page("/sign-in/again/options", again_options, Right.OWN, methods=POST),
    page("/sign-in/again/passkey", again_by_passkey, Right.OWN, methods=POST),
    page("/sign-in/again/code", again_by_code, Right.OWN, methods=POST),
    open_page("/enrol", in_enrolment(enrol)),
    open_page("/enrol/passkey/options", in_enrolment(enrol_options), methods=POST),
    open_page("/enrol/passkey", in_enrolment(enrol_passkey), methods=POST),
    open_page("/enrol/codes", in_enrolment(enrol_codes), methods=POST),
    open_page("/enrol/confirm", in_enrolment(enrol_confirm), methods=POST),
    open_page("/enrol/finish", in_enrolment(enrol_finish), methods=POST),
    open_page("/enrol/{link}", link),
    open_page("/enrol/{link}", use_link, methods=POST),
)


def link_to(origin: str, token: str) -> str:
    """The enrolment link as it is given to a person."""
    return f"{origin}{ENROL}/{quote(token, safe='')}"

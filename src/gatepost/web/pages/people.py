"""People and access: who may do what here, how they sign in; devices; and breaking the glass."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from gatepost.access.rights import ADMINISTRATORS, GRANTS, Right, Role
from gatepost.office import apppasswords, people, second, sessions, wayin
from gatepost.office.glass import Glass
from gatepost.office.office import Impossible
from gatepost.office.peoplesource import DirectoryNow
from gatepost.store import holds
from gatepost.store.glass import Stand
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.pages.signin import link_to
from gatepost.web.visit import Refused, Visit

A_PAGE = 100
ROLES = {
    "owner": N_("Owner"),
    "postmaster": N_("Postmaster"),
    "quarantine-manager": N_("Quarantine manager"),
    "help-desk": N_("Help desk"),
    "data-protection-officer": N_("Data protection officer"),
    "auditor": N_("Auditor"),
    "person": N_("Person"),
}
STANDS = {
    Stand.ASKED: N_("waits for a second person"),
    Stand.OPEN: N_("open"),
    Stand.ENDED: N_("ended"),
    Stand.REFUSED: N_("refused"),
}
POST = ("POST",)


async def listed(visit: Visit) -> Response:
    """Everybody, in the order of their logins."""
    found = people.listed(visit.office, visit.me, after=visit.asked("after", 320), limit=A_PAGE + 1)
    shown = found[:A_PAGE]
    return visit.page(
        "people.html", people=shown, roles=ROLES, next=shown[-1].account.login if len(found) > A_PAGE else "",
        without=sum(1 for one in shown if one.account.roles & ADMINISTRATORS and not one.passkeys),
        may_roles=visit.may(Right.ROLES), has_directory=DirectoryNow in visit.premises.more,
    )  # fmt: skip


async def add(visit: Visit) -> Response:
    """A new account, and the link it is enrolled by."""
    roles = roles_of(visit) or [Role.PERSON]
    try:
        account = await people.add(
            visit.office, visit.me, visit.field("login", 320), name=visit.field("name", 200),
            language=visit.field("language", 5) or "en", roles=roles,
        )  # fmt: skip
        by_mail = None if account.roles & ADMINISTRATORS else way_of(visit)
        token = await wayin.invite(visit.office, visit.me, account.login, by_mail=by_mail)
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return link_page(visit, account.login, token)


def way_of(visit: Visit) -> wayin.ByMail | None:
    """How an enrolment link is handed over: by mail where that was asked for, else shown here."""
    if visit.field("way", 10) != "mail":
        return None
    return partial(link_to, visit.premises.origin)


def link_page(visit: Visit, login: str, token: str) -> Response:
    """The enrolment link, shown once; or that it went by mail."""
    link = link_to(visit.premises.origin, token) if token else ""
    return visit.page("invited.html", login=login, link=link)


async def ask_directory(visit: Visit) -> Response:
    """What the directory says, at once."""
    directory: DirectoryNow = visit.part(DirectoryNow)
    try:
        steps = await directory.ask(visit.me)
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return visit.page("followed.html", steps=steps)


async def person(visit: Visit) -> Response:
    """One account."""
    login = visit.request.path_params["login"]
    try:
        shown = people.show(visit.office, visit.me, login)
    except Impossible as fault:
        raise Refused(str(fault), 404) from None
    number = shown.account.id
    return visit.page(
        "person.html", on_hold=visit.office.store.database.read(partial(holds.concerning, address=login)), person=shown, only_person=not shown.account.roles & ADMINISTRATORS,
        roles=ROLES, grants=GRANTS, may_roles=visit.may(Right.ROLES),
        passwords=apppasswords.listed(visit.office, visit.me, login),
        sessions=sessions.open_sessions(visit.office, visit.me, number),
        sign_ins=sessions.sign_ins(visit.office, visit.me, number, limit=20),
    )  # fmt: skip


async def change(visit: Visit) -> Response:
    """What is done to an account."""
    login, reason = visit.request.path_params["login"], visit.field("reason", 500)
    desk, actor = visit.office, visit.me
    try:
        match visit.field("do", 30):
            case "invite":
                token = await wayin.invite(desk, actor, login, reason=reason, by_mail=way_of(visit))
                return link_page(visit, login, token)
            case "recover":
                token = await wayin.recover(desk, actor, login, reason=reason, by_mail=way_of(visit))
                return link_page(visit, login, token)
            case "roles":
                await people.set_roles(desk, actor, login, roles_of(visit), reason=reason)
            case "rename":
                await people.rename(
                    desk, actor, login, name=visit.field("name", 200), language=visit.field("language", 5)
                )
            case "link":
                await people.link(
                    desk,
                    actor,
                    login,
                    visit.field("address", 320),
                    delegated=bool(visit.field("delegated", 5)),
                )
            case "unlink":
                await people.unlink(desk, actor, login, visit.field("address", 320))
            case "disable":
                await people.disable(desk, actor, login, reason=reason)
            case "enable":
                await people.enable(desk, actor, login, reason=reason)
            case "sign-out":
                await sessions.end_all(desk, actor, people.show(desk, actor, login).account.id)
            case "revoke":
                await apppasswords.revoke(desk, actor, visit.field("selector", 40), reason=reason)
            case "remove":
                await people.remove(desk, actor, login, reason=reason)
                return visit.go("/people")
            case _:
                raise Refused(visit._("Say what is to be done."))
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return visit.go(f"/people/{login}")


def roles_of(visit: Visit) -> list[Role]:
    """The roles that are ticked."""
    return [Role(one) for one in visit.form.getlist("role") if isinstance(one, str) and one in list(Role)]


# Breaking the glass


async def glass(visit: Visit) -> Response:
    """Who asked to read whose held mail, and where each stands."""
    desk: Glass = visit.part(Glass)
    now = visit.office.clock()
    found = desk.listed(visit.me)
    return visit.page(
        "glass.html", breakings=[(one, one.stand(now)) for one in found], stands=STANDS,
        may_ask=visit.may(Right.BREAK_GLASS), may_agree=visit.may(Right.APPROVE), two_people=desk.two_people,
        whose=visit.asked("whose", 320), requests=second.waiting(visit.office, visit.me),
        second_person=visit.office.access.second_person,
    )  # fmt: skip


async def ask_glass(visit: Visit) -> Response:
    """Ask."""
    desk: Glass = visit.part(Glass)
    hours = visit.field("hours", 2)
    try:
        await desk.ask(
            visit.me, visit.field("whose", 320), visit.field("reason", 1000),
            case_number=visit.field("case", 100), lasts_s=int(hours) * 3600.0 if hours.isdecimal() else 3600.0,
        )  # fmt: skip
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return visit.go("/glass")


async def decide_second(visit: Visit) -> Response:
    """Agree to what somebody may do to an account, or refuse it."""
    try:
        match visit.field("do", 10):
            case "agree":
                await second.decide(visit.office, visit.me, visit.field("key", 40), agree=True)
            case "refuse":
                await second.decide(visit.office, visit.me, visit.field("key", 40), agree=False)
            case _:
                raise Refused(visit._("Say what is to be done."))
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return visit.go("/glass")


async def decide_glass(visit: Visit) -> Response:
    """Agree, refuse, or end it."""
    desk: Glass = visit.part(Glass)
    number = visit.field("number", 18)
    if not number.isdecimal():
        raise Refused(visit._("Say what is to be done."))
    try:
        match visit.field("do", 10):
            case "agree":
                await desk.agree(visit.me, int(number))
            case "refuse":
                await desk.refuse(visit.me, int(number))
            case "close":
                await desk.close(visit.me, int(number))
            case _:
                raise Refused(visit._("Say what is to be done."))
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return visit.go("/glass")


ROUTES = (
    page("/people", listed, Right.PEOPLE, menu=N_("People and access"), order=9),
    page("/people/add", add, Right.PEOPLE, methods=POST),
    page("/people/directory", ask_directory, Right.PEOPLE, methods=POST),
    page("/people/{login}", person, Right.PEOPLE),
    page("/people/{login}/act", change, Right.PEOPLE, methods=POST),
    page(
        "/glass", glass, Right.BREAK_GLASS, Right.APPROVE, Right.JOURNAL, menu=N_("Break the glass"), order=10
    ),
    page("/glass/ask", ask_glass, Right.BREAK_GLASS, methods=POST),
    page("/glass/second", decide_second, Right.APPROVE, methods=POST),
    page("/glass/decide", decide_glass, Right.APPROVE, Right.BREAK_GLASS, methods=POST),
)

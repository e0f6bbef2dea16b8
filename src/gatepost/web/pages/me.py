"""One's own: what is held, who is allowed and blocked, how one signs in, who looked, and what is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response

from gatepost.access.apitoken import NEVER
from gatepost.access.rights import ADMINISTRATORS, Right
from gatepost.office import apitokens, apppasswords, enrolment, mydata, people, privacy, sessions
from gatepost.office.apppasswords import Scope
from gatepost.office.digests import Digests
from gatepost.office.glass import Glass
from gatepost.office.holding import Holding
from gatepost.office.office import Impossible
from gatepost.office.senders import Senders
from gatepost.office.settings import Every
from gatepost.store.quarantine import Wanted
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.pages.quarantine import rows_of
from gatepost.web.pages.requests import KINDS, STATUS
from gatepost.web.pages.signin import of_office, party
from gatepost.web.visit import Refused, Visit

DAY_S = 86_400.0
SCOPES = {"smtp": N_("Send mail"), "imap": N_("Read mail"), "sieve": N_("Change filters")}
EVERY = {"": N_("as is usual here"), "daily": N_("daily"), "weekly": N_("weekly"), "never": N_("never")}
POST = ("POST",)


async def me(visit: Visit) -> Response:
    """Everything of one's own at a glance."""
    holding, glass = visit.premises.more.get(Holding), visit.premises.more.get(Glass)
    held = await holding.listed(visit.me, Wanted(addresses=visit.me.addresses), limit=6) if holding else []
    return visit.page(
        "me.html", rows=rows_of(visit, held[:5]) if holding else [], more=len(held) > 5,
        looks=glass.looks_at_mine(visit.me, limit=5) if glass else [],
    )  # fmt: skip


# Senders


async def senders(visit: Visit) -> Response:
    """Who is allowed and blocked for one's own addresses."""
    return visit.page(
        "senders.html", kept=Senders(office=visit.office).listed(visit.me, mine=True), mine=True,
        recipients=visit.me.addresses, act="/me/senders/act", back="/me/senders",
    )  # fmt: skip


async def all_senders(visit: Visit) -> Response:
    """Who is, for everybody."""
    return visit.page(
        "senders.html", kept=Senders(office=visit.office).listed(visit.me), mine=False, recipients=(),
        act="/senders/act", back="/senders",
    )  # fmt: skip


async def change_senders(visit: Visit) -> Response:
    """Add or remove an entry."""
    back = "/me/senders" if visit.request.url.path.startswith("/me/") else "/senders"
    allow, recipient = visit.field("kind", 10) == "allow", visit.field("recipient", 320)
    if back == "/me/senders" and not visit.me.owns(recipient):
        raise Refused(visit._("This is not your address."))
    desk = Senders(office=visit.office)
    try:
        if visit.field("do", 10) == "remove":
            await desk.remove(visit.me, visit.field("sender", 320), allow=allow, recipient=recipient)
        else:
            await desk.add(
                visit.me, visit.field("sender", 320), allow=allow, recipient=recipient,
                reason=visit.field("reason", 500), expires_at=day_of(visit, visit.field("until", 20)),
            )  # fmt: skip
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return visit.go(back)


# Security


async def security(visit: Visit) -> Response:
    """Everything one signs in with, and where one is signed in."""
    return await security_page(visit)


async def security_page(visit: Visit, **shown: Any) -> Response:
    """`shown` is what is told once: a new app password, recovery codes."""
    entered = await of_office(visit)
    now = visit.office.clock()
    values: dict[str, Any] = {"made": None, "codes": (), "token": None} | shown
    return visit.page(
        "security.html", account=entered.account, keys=enrolment.own_passkeys(visit.office, visit.me),
        codes_left=enrolment.recovery_codes_left(visit.office, visit.me),
        passwords=apppasswords.listed(visit.office, visit.me), scopes=SCOPES,
        tokens=apitokens.listed(visit.office, visit.me),
        may_scopes=sorted(one.value for one in visit.me.rights - NEVER),
        sessions=sessions.open_sessions(visit.office, visit.me), this=entered.session.number,
        sign_ins=sessions.sign_ins(visit.office, visit.me, limit=20), today=now,
        administrator=bool(visit.me.roles & ADMINISTRATORS), **values,
    )  # fmt: skip


async def make_app_password(visit: Visit) -> Response:
    """A new one, shown once."""
    scopes = [
        Scope(one) for one in visit.form.getlist("scope") if isinstance(one, str) and one in list(Scope)
    ]
    try:
        made = await apppasswords.make(
            visit.office, visit.me, name=visit.field("name", 60), scopes=scopes,
            ranges=[one for one in visit.field("range", 500).replace(",", " ").split() if one],
            expires_at=day_of(visit, visit.field("until", 20)),
        )  # fmt: skip
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return await security_page(visit, made=made)


async def make_token(visit: Visit) -> Response:
    """A token for a program, shown once."""
    scopes = [
        Right(one) for one in visit.form.getlist("scope") if isinstance(one, str) and one in list(Right)
    ]
    ends = day_of(visit, visit.field("until", 20)) or visit.office.clock() + 90 * DAY_S
    try:
        made = await apitokens.make(
            visit.office, visit.me, name=visit.field("name", 60), scopes=scopes, expires_at=ends,
            ranges=[one for one in visit.field("range", 500).replace(",", " ").split() if one],
        )  # fmt: skip
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return await security_page(visit, token=made)


async def change_security(visit: Visit) -> Response:
    """Take something out, or sign out elsewhere."""
    number = visit.field("number", 17)  # what the store can count to
    try:
        match visit.field("do", 30):
            case "revoke":
                await apppasswords.revoke(visit.office, visit.me, visit.field("selector", 40))
            case "remove-passkey" if number.isdecimal():
                await enrolment.remove_passkey(visit.office, visit.me, int(number))
            case "rename-passkey" if number.isdecimal():
                await enrolment.rename_passkey(visit.office, visit.me, int(number), visit.field("name", 60))
            case "revoke-token" if number.isdecimal():
                await apitokens.revoke(visit.office, visit.me, int(number))
            case "end" if number.isdecimal():
                await sessions.end_one(visit.office, visit.me, int(number))
            case "end-all":
                await sessions.end_all(visit.office, visit.me)
                return visit.go("/sign-in")
            case "recovery-codes":
                made = await enrolment.new_recovery_codes(visit.office, await of_office(visit))
                return await security_page(visit, codes=made)
            case _:
                raise Refused(visit._("Say what is to be done."))
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return visit.go("/me/security")


async def passkey_options(visit: Visit) -> Response:
    """What the browser asks the authenticator to make."""
    asked = await enrolment.passkey_options(visit.office, party(visit), await of_office(visit))
    return JSONResponse({"flow": asked.flow, "options": asked.options})


async def add_passkey(visit: Visit) -> Response:
    """Keep it."""
    try:
        await enrolment.register_passkey(
            visit.office, party(visit), await of_office(visit), visit.field("flow", 200),
            visit.field("answer", 40_000), name=visit.field("name", 60),
        )  # fmt: skip
    except Impossible as fault:
        return JSONResponse({"problem": visit._(str(fault))}, 400)
    return JSONResponse({"go": "/me/security"})


async def rename(visit: Visit) -> Response:
    """One's own name and language."""
    try:
        await people.rename(
            visit.office,
            visit.me,
            visit.me.login,
            name=visit.field("name", 200),
            language=visit.field("language", 5),
        )
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return visit.go("/me/security")


# Who looked, and what is kept


async def looks(visit: Visit) -> Response:
    """Who looked at one's held mail, and who was given leave to."""
    glass: Glass = visit.part(Glass)
    before = visit.asked("before", 20)
    found = glass.looks_at_mine(
        visit.me, before=int(before) if before.isdecimal() and len(before) < 18 else None, limit=51
    )
    return visit.page(
        "looks.html", looks=found[:50], next=found[49].id if len(found) > 50 else None,
        breakings=glass.breakings_of_mine(visit.me), mine=True,
    )  # fmt: skip


async def data(visit: Visit) -> Response:
    """What is kept about one, and the letters one gets."""
    digests: Digests | None = visit.premises.more.get(Digests)
    return visit.page(
        "mydata.html", requests=privacy.mine(visit.office, visit.me), kinds=KINDS, states=STATUS,
        standing=digests.standing(visit.me) if digests else [], every=EVERY,
        usual=digests.settings().every.value if digests else "",
    )  # fmt: skip


async def ask(visit: Visit) -> Response:
    """A request to the data protection officer."""
    await privacy.ask(visit.office, visit.me, kind=visit.field("kind", 20), notes=visit.field("notes", 4000))
    return visit.go("/me/data")


async def take_data(visit: Visit) -> Response:
    """As a file."""
    with visit.office.long_reads.exporting(visit.me):
        octets = await mydata.export(visit.office, visit.me)
    day = datetime.fromtimestamp(visit.office.clock(), UTC)
    return Response(
        octets,
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="gatepost-my-data-{day:%Y-%m-%d}.zip"'},
    )


async def wish(visit: Visit) -> Response:
    """How often one wants a digest."""
    digests: Digests = visit.part(Digests)
    every = visit.field("every", 10)
    if every not in list(Every):
        raise Refused(visit._("Say what is to be done."))
    await digests.wish(visit.me, visit.field("address", 320), Every(every))
    return visit.go("/me/data")


def day_of(visit: Visit, text: str) -> float | None:
    """The midnight that ends a day (UTC); None for nothing. Raises Refused."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() + DAY_S
    except (ValueError, OverflowError):
        raise Refused(visit._("%(text)s is no date.", text=text)) from None


ROUTES = (
    page("/me", me, Right.OWN, menu=N_("My mail"), group="me", order=50),
    page("/me/senders", senders, Right.OWN, menu=N_("Allowed and blocked"), group="me", order=52),
    page("/me/senders/act", change_senders, Right.OWN, methods=POST),
    page("/senders", all_senders, Right.ENTRIES, menu=N_("Allowed and blocked"), order=6),
    page("/senders/act", change_senders, Right.ENTRIES, methods=POST),
    page("/me/security", security, Right.OWN, menu=N_("Security"), group="me", order=53),
    page("/me/security/act", change_security, Right.OWN, methods=POST),
    page("/me/security/app-password", make_app_password, Right.OWN, methods=POST),
    page("/me/security/token", make_token, Right.OWN, methods=POST),
    page("/me/security/passkey/options", passkey_options, Right.OWN, methods=POST),
    page("/me/security/passkey", add_passkey, Right.OWN, methods=POST),
    page("/me/security/name", rename, Right.OWN, methods=POST),
    page("/me/looks", looks, Right.OWN, menu=N_("Who looked at my mail"), group="me", order=54),
    page("/me/data", data, Right.OWN, menu=N_("My data"), group="me", order=55),
    page("/me/data/export", take_data, Right.OWN, methods=POST),
    page("/me/data/request", ask, Right.OWN, methods=POST),
    page("/me/data/digest", wish, Right.OWN, methods=POST),
)

"""What is held: everybody's for who looks after it, one's own for everybody; decided about one by one or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote

from starlette.responses import Response

from gatepost.access import networks
from gatepost.access.rights import Right
from gatepost.office.digests import Digests, Opened
from gatepost.office.holding import AT_ONCE, Decided, Holding, May, is_theirs
from gatepost.office.office import Impossible, NotAllowed
from gatepost.office.senders import Senders
from gatepost.store import history, quarantine
from gatepost.store.quarantine import State, Wanted
from gatepost.store.records import Held
from gatepost.web.looks import N_
from gatepost.web.page import open_page, page
from gatepost.web.visit import Refused, Visit, own_path

A_PAGE = 50
PATIENCE_S = 2.5
"""How long a page waits for what the next hop says to what was just released."""
FEW = 10
"""Released copies whose answers are waited for."""
STATES = {
    "": N_("Undecided"),
    "held": N_("Held"),
    "requested": N_("Asked for"),
    "released": N_("Released"),
    "deleted": N_("Deleted"),
    "expired": N_("Expired"),
}
CATEGORIES = {
    "spam": N_("Spam"),
    "phishing": N_("Phishing"),
    "malware": N_("Malware"),
    "attachment": N_("Attachment"),
    "authentication": N_("Not proved"),
    "blocked": N_("Blocked"),
    "approval": N_("Waits for approval"),
}
LEFT = {
    "There is no such held message, or it is not yours.": N_(
        "There is no such held message, or it is not yours."
    ),
    "It is held as malware: letting it go takes a reason.": N_(
        "It is held as malware: letting it go takes a reason."
    ),
    "It is held as malware; who looks after the quarantine decides.": N_(
        "It is held as malware; who looks after the quarantine decides."
    ),
    "It is asked for already; a postmaster decides.": N_("It is asked for already; a postmaster decides."),
    "This is not yours to decide.": N_("This is not yours to decide."),
    "It is released already.": N_("It is released already."),
    "It is deleted already.": N_("It is deleted already."),
    "It is expired already.": N_("It is expired already."),
}
"""What the office says of copies it left, for the catalogue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One copy with what its reader may see of its message."""

    copy: Held
    author: str
    subject: str | None
    """None: not theirs to see."""
    may: May
    on_hold: bool = False
    """A legal hold keeps it from deletion."""


async def listed(visit: Visit) -> Response:
    """Everybody's."""
    if not (visit.may(Right.RELEASE) or visit.may(Right.MESSAGES)):
        return visit.go("/me/quarantine")
    counts = await visit.office.read_long(visit.me, quarantine.tally)
    return await list_page(visit, addresses=None, counts=counts)


async def mine(visit: Visit) -> Response:
    """One's own."""
    return await list_page(visit, addresses=visit.me.addresses, counts={})


async def list_page(visit: Visit, *, addresses: tuple[str, ...] | None, counts: dict[str, int]) -> Response:
    """One page of the list; what is asked for stands in the URL."""
    holding: Holding = visit.part(Holding)
    state, before = visit.asked("state"), visit.asked("before")
    wanted = Wanted(
        state=State(state) if state in list(State) else None, category=visit.asked("category", 60),
        to=visit.asked("to", 320), sender=visit.asked("sender", 320), addresses=addresses,
    )  # fmt: skip
    number = int(before) if before.isdecimal() and len(before) < 18 else None
    found = await holding.listed(visit.me, wanted, before=number, limit=A_PAGE + 1)
    return visit.page(
        "quarantine.html", rows=rows_of(visit, found[:A_PAGE]), mine=addresses is not None, wanted=wanted, state=state,
        states=STATES, categories=CATEGORIES, counts=counts,
        next=found[A_PAGE - 1].id if len(found) > A_PAGE else None, first=number is None,
        decides=visit.may(Right.RELEASE) or addresses is not None, act=act_path(mine=addresses is not None),
    )  # fmt: skip


def act_path(*, mine: bool) -> str:
    """Where the list's form goes."""
    return "/me/quarantine/act" if mine else "/quarantine/act"


def rows_of(visit: Visit, copies: Sequence[Held]) -> list[Row]:
    """The copies with author and subject, as far as they are the visitor's to see."""
    holding: Holding = visit.part(Holding)

    def facts(connection: object) -> dict[str, tuple[str, str]]:
        found = {}
        for ref in {one.ref for one in copies}:
            entry = history.entry(connection, ref)
            found[ref] = (entry.author, entry.subject) if entry else ("", "")
        return found

    known = visit.office.store.database.read(facts)
    kept = holding.on_hold([one.id for one in copies]) if holding.sees_all(visit.me) else set()
    return [
        Row(
            copy=one, author=known[one.ref][0],
            subject=known[one.ref][1] if visit.may(Right.SUBJECTS) or visit.me.owns(one.to) else None,
            may=holding.may(visit.me, one), on_hold=one.id in kept,
        )
        for one in copies
    ]  # fmt: skip


def undecided(visit: Visit, copies: Sequence[Held]) -> list[Row]:
    """Those of a message's copies that the visitor may decide about."""
    holding: Holding | None = visit.premises.more.get(Holding)
    if holding is None:
        return []
    may = [
        one
        for one in copies
        if State(one.state) in quarantine.WAITING and (visit.may(Right.RELEASE) or is_theirs(visit.me, one))
    ]
    return [Row(copy=one, author="", subject=None, may=holding.may(visit.me, one)) for one in may]


async def teach(visit: Visit) -> Response:
    """The classifier, from a held message."""
    holding: Holding = visit.part(Holding)
    ref, spam = visit.request.path_params["ref"], visit.field("spam", 5)
    if spam not in ("yes", "no"):
        raise Refused(visit._("Say what is to be done."))
    try:
        await holding.teach(visit.me, ref, spam=spam == "yes")
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return visit.go(f"/messages/{ref}")


async def act(visit: Visit) -> Response:
    """Decide about everybody's copies that are ticked."""
    return await decide(visit, visit.field("back", 500) or "/quarantine")


async def act_on_mine(visit: Visit) -> Response:
    """Decide about one's own that are ticked."""
    return await decide(visit, visit.field("back", 500) or "/me/quarantine")


async def decide(visit: Visit, back: str) -> Response:
    """The act, and a page that tells what came of each copy."""
    holding: Holding = visit.part(Holding)
    numbers = numbers_of(visit)
    reason, verb = visit.field("reason", 500), visit.field("do", 20)
    began = visit.office.clock()
    try:
        match verb:
            case "release":
                decided = await holding.release(visit.me, numbers, reason, learn=bool(visit.field("learn")))
            case "request":
                decided = await holding.request(visit.me, numbers, reason)
            case "deny":
                decided = await holding.deny(visit.me, numbers, reason)
            case "delete":
                decided = await holding.delete(visit.me, numbers, reason)
            case "block":
                decided = await block(visit, numbers, reason)
            case _:
                raise Refused(visit._("Say what is to be done."))
    except Impossible as fault:
        raise Refused(visit._(str(fault))) from None
    return await decided_page(visit, decided, verb, began, back)


async def decided_page(visit: Visit, decided: Decided, verb: str, began: float, back: str) -> Response:
    """What came of it, with what the next hop said."""
    holding: Holding = visit.part(Holding)
    released = decided.done if verb == "release" else ()
    answers = {}
    if 0 < len(released) <= FEW:
        answers = await holding.answers(released, began, wait_s=PATIENCE_S)
    return visit.page(
        "decided.html", decided=decided, verb=verb, answers=answers, left=sorted(decided.left.items()), back=back,
        known=copies_known(visit, decided),
    )  # fmt: skip


def copies_known(visit: Visit, decided: Decided) -> dict[int, Held]:
    """Copies that were left and are the visitor's to see, by number."""
    holding: Holding = visit.part(Holding)
    found = visit.office.store.database.read(lambda c: quarantine.numbered(c, list(decided.left)))
    return {one.id: one for one in found if visit.actor is not None and holding.sees(visit.actor, one)}


async def block(visit: Visit, numbers: Sequence[int], reason: str) -> Decided:
    """Block the senders of these copies, for their own recipients or by right for all; the copies are deleted."""
    holding: Holding = visit.part(Holding)
    found = visit.office.store.database.read(lambda c: quarantine.numbered(c, numbers))
    everybody = visit.may(Right.ENTRIES) and visit.field("for", 20) == "all"
    pairs = {
        (one.sender, "" if everybody else one.to.lower())
        for one in found
        if one.sender and holding.sees(visit.me, one)
    }
    for sender, whose in sorted(pairs):
        await Senders(office=visit.office).add(
            visit.me, sender, allow=False, recipient=whose, reason=reason or "from the quarantine"
        )
    return await holding.delete(visit.me, numbers, reason)


def numbers_of(visit: Visit) -> list[int]:
    """The copies that are ticked. Raises Refused."""
    given = [one for one in visit.form.getlist("copy") if isinstance(one, str)]
    numbers = [int(one) for one in given if one.isdecimal() and len(one) < 18]
    if not numbers:
        raise Refused(visit._("Tick what it is about."))
    if len(numbers) > AT_ONCE:
        raise Refused(visit._("At most %(number)s at once.", number=AT_ONCE))
    return numbers


# What the links in digests lead to


async def link(visit: Visit) -> Response:
    """Shows what the link is about, and asks. Programs that follow every link change nothing by it."""
    digests: Digests = visit.part(Digests)
    found = opened(visit)
    sign_in = visit.actor is None and digests.takes_sign_in(found)
    here = own_path(visit.request.url.path)
    if sign_in and visit.request.headers.get("sec-fetch-site") == "cross-site":
        return visit.page(
            "onward.html", path=here
        )  # the browser keeps a strict cookie back, until a page of ours asks
    return visit.page("link.html", opened=found, sign_in=f"/sign-in?next={quote(here)}" if sign_in else "")


async def use_link(visit: Visit) -> Response:
    """The act."""
    digests: Digests = visit.part(Digests)
    here = opened(visit)
    began = visit.office.clock()
    try:
        decided = await digests.use(here.token, visit.actor, network=network_of(visit))
    except Impossible as fault:
        raise Refused(visit._(str(fault)), 410) from None
    except NotAllowed as fault:
        raise Refused(visit._(str(fault)), 403) from None
    verb = {"block": "delete"}.get(here.link.purpose, here.link.purpose)
    if verb == "never":
        return visit.page("told.html", title=visit._("No more of these letters"), text=visit._(
            "You will not get them any more. Sign in to change that."
        ))  # fmt: skip
    return await decided_page(visit, decided, verb, began, "/")


def network_of(visit: Visit) -> str:
    """Where the visitor comes from, as the journal keeps it."""
    return networks.prefix(ip_address(visit.address)) if visit.address else ""


def opened(visit: Visit) -> Opened:
    """What the link of this page leads to. Raises Refused."""
    digests: Digests = visit.part(Digests)
    try:
        found = digests.open(visit.request.path_params["token"])
    except Impossible as fault:
        raise Refused(visit._(str(fault)), 410) from None
    if visit.actor is not None and digests.is_anothers(found, visit.actor):
        words = N_(
            "This link was sent to %(whose)s, and you are signed in as %(login)s: sign out first, if it is yours."
        )
        raise Refused(visit._(words, whose=found.link.whose, login=visit.actor.login), 403)
    return found


ROUTES = (
    page("/quarantine", listed, Right.RELEASE, Right.MESSAGES, menu=N_("Quarantine"), order=3),
    page("/quarantine/act", act, Right.RELEASE, methods=("POST",)),
    page("/me/quarantine", mine, Right.OWN, menu=N_("My quarantine"), group="me", order=51),
    page("/me/quarantine/act", act_on_mine, Right.OWN, methods=("POST",)),
    page("/messages/{ref}/teach", teach, Right.TEACH, Right.OWN, methods=("POST",)),
    open_page("/link/{token}", link),
    open_page("/link/{token}/use", use_link, methods=("POST",)),
)

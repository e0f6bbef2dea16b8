"""Two people for what gives power: a role that sees or administers others, and a way into somebody else's account or mail.

Whoever wants it asks by trying; whoever may approve agrees; then the first has an hour for that one thing. Where one person
alone could do it, whoever looks after accounts could read everybody's held mail under another's name. Links that go by mail
to the person themselves, and commands on the machine, take nobody else.
"""

from __future__ import annotations

from dataclasses import replace

from gatepost.access.rights import Actor, Right, rights_of
from gatepost.mail.address import printable
from gatepost.office.office import Impossible, Office
from gatepost.office.sessions import record
from gatepost.office.tidings import Tiding, tell
from gatepost.store import accounts, seconds
from gatepost.store.accounts import Account
from gatepost.store.database import Connection
from gatepost.store.seconds import Request

WAITS_S = 86_400.0
"""So long somebody may agree."""
LEAVE_S = 3600.0
"""And so long it can be used then."""
MOST = 20
"""Open requests of one person."""


async def insist(
    office: Office, actor: Actor, act: str, *, about: Account | None = None, reason: str = "", then: str = ""
) -> None:
    """Go on with somebody's agreement, which is used up by it, or ask for it and raise Impossible: say so, and come back.

    `then`: what else the same agreement is for, right after. To be called when the actor's own right is proved.
    """
    if not office.access.second_person or actor.via == "command":
        return
    key = office.random(16).hex()

    def work(connection: Connection) -> str:
        now = office.clock()
        mine = [one for one in seconds.listed(connection, now) if one.asked_by == actor.account]
        same = [one for one in mine if one.act == act]
        leave = next((one for one in same if one.agreed_by is not None), None)
        if leave is not None:
            seconds.remove(connection, leave.key)
            if then:
                seconds.keep(connection, replace(leave, key=key, act=then), now)
            return ""
        others = approvers(connection, office, actor.account, about)
        if not others:
            return (
                "This takes a second person who agrees, and nobody else here may: give somebody the role owner or"
                " data-protection-officer, or do it by a command on the machine (gatepost user)."
            )
        if not same:
            if len(mine) >= MOST:
                return "You have asked for too many things that wait for a second person."
            asked = Request(
                key=key, asked_by=actor.account, asked_who=actor.who, asked_at=now, act=act,
                whose=about.id if about else 0, reason=printable(reason, 500), ends_at=now + WAITS_S,
            )  # fmt: skip
            seconds.keep(connection, asked, now)
            record(connection, office, asked.whose, who=actor.who, what=f"second ask {act}", why=reason)
            for one in others:
                tell(connection, office, one, Tiding.SECOND, by=actor.who, what=act)
        return (
            "This takes a second person: whoever may agree was told. Once somebody has agreed, do it again within"
            " an hour."
        )

    refusal = await office.store.database.commit(work)
    if refusal:
        raise Impossible(refusal)


def waiting(office: Office, actor: Actor) -> list[Request]:
    """All for who may agree, else one's own; with what was agreed to and not used yet."""
    found = office.store.database.read(lambda connection: seconds.listed(connection, office.clock()))
    return [one for one in found if actor.may(Right.APPROVE) or one.asked_by == actor.account]


async def decide(office: Office, actor: Actor, key: str, *, agree: bool) -> Request:
    """Be the second person. Raises NotAllowed, ProveAgain, Impossible."""
    office.insist(actor, Right.APPROVE)
    office.insist_on_person(actor)
    office.insist_on_proof(actor)

    def work(connection: Connection) -> Request:
        now = office.clock()
        asked = next((one for one in seconds.listed(connection, now) if one.key == key), None)
        if asked is None or asked.agreed_by is not None:
            raise Impossible("Nobody waits for an answer to that any more.")
        if actor.account == asked.asked_by:
            raise Impossible("The second person must be another than the one who asked.")
        if asked.whose and actor.account == asked.whose:
            raise Impossible("It is about your own account; somebody else must agree.")
        word = "agree" if agree else "refuse"
        record(
            connection, office, asked.whose, who=actor.who, what=f"second {word} {asked.act}",
            why=f"asked by {asked.asked_who}",
        )  # fmt: skip
        if not agree:
            seconds.remove(connection, key)
            return asked
        asker = accounts.find(connection, id=asked.asked_by)
        if asker is not None:
            tell(connection, office, asker, Tiding.AGREED, by=actor.who, what=asked.act)
        return seconds.agree(
            connection, asked, account=actor.account, who=actor.who, now=now, lasts_s=LEAVE_S
        )

    return await office.store.database.commit(work)


def approvers(
    connection: Connection, office: Office, but: int, about: Account | None = None
) -> list[Account]:
    """Who may agree, and can sign in to do so."""
    found = []
    for one in accounts.administrators(connection):
        rights = rights_of(one.roles, help_desk_sees_subjects=office.access.help_desk_sees_subjects)
        able = one.usable and Right.APPROVE in rights and one.id != but
        if able and (about is None or one.id != about.id) and accounts.passkeys(connection, one.id):
            found.append(one)
    return found


def tell_owners(connection: Connection, office: Office, actor: Actor, what: str) -> None:
    """Owners hear of every power that is given to somebody; not the one who gives it."""
    for one in accounts.administrators(connection):
        if one.usable and Right.ROLES in rights_of(one.roles) and one.id != actor.account:
            tell(connection, office, one, Tiding.POWER, by=actor.who, what=what)

"""Who may look after whom, and that an owner who can sign in is always left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gatepost.access.rights import ADMINISTRATORS, Actor, Right, Role
from gatepost.mail.address import printable
from gatepost.office.office import Impossible, Office
from gatepost.office.sessions import normal_login
from gatepost.store import accounts, signins
from gatepost.store.accounts import Account
from gatepost.store.database import Connection

T = TypeVar("T")


async def on(
    office: Office, actor: Actor, login: str, work: Callable[[Connection, Account], T], *, own: bool = False
) -> T:
    """Do something to one account, if the actor may; `own`: one may do it to one's own."""

    def guarded(connection: Connection) -> T:
        return work(connection, allowed(connection, office, actor, login, own=own))

    return await office.store.database.commit(guarded)


def allowed(
    connection: Connection, office: Office, actor: Actor, login: str, *, own: bool = False
) -> Account:
    """The account, if the actor may do something to it. Raises NotAllowed, ProveAgain, Impossible."""
    account = accounts.find(connection, login=normal_login(login))
    if own and account is not None and account.id == actor.account:
        office.insist(actor, Right.OWN)
    else:
        office.insist(actor, Right.PEOPLE)
        if account is not None and account.roles & ADMINISTRATORS:
            office.insist(actor, Right.ROLES)
            office.insist_on_proof(actor)
    if account is None:
        raise Impossible(nobody(connection, login))
    return account


def insist_on_owner(connection: Connection, before: Account, actor: Actor, able: frozenset[int]) -> None:
    """After a change: if this was a usable owner, one must be left; and one who can sign in, where there was one (`able`).

    Whoever commands the machine can make another.
    """
    if Role.OWNER not in before.roles or not before.usable:
        return
    nobody_able = actor.via != "command" and able and not owners_able(connection)
    if not accounts.owners(connection) or nobody_able:
        raise Impossible(f"{before.login} is the last owner: give somebody else the role owner first.")


def owners_able(connection: Connection) -> frozenset[int]:
    """Owners who can sign in."""
    return frozenset(number for number, has_passkey in accounts.owners(connection) if has_passkey)


def owner_is_left(connection: Connection, *, but: Account) -> bool:
    """Would an owner who can sign in be left without this account, if there is one?"""
    able = owners_able(connection)
    return not able or bool(able - {but.id})


def there(connection: Connection, login: str) -> Account:
    """The account with this login. Raises Impossible with the nearest right name."""
    account = accounts.find(connection, login=normal_login(login))
    if account is None:
        raise Impossible(nobody(connection, login))
    return account


def nobody(connection: Connection, login: str) -> str:
    """That there is no such account, and which one may be meant."""
    from difflib import get_close_matches

    known = [one.login for one in accounts.listed(connection, limit=5000)]
    near = get_close_matches(normal_login(login), known, n=1)
    meant = f" Did you mean {near[0]}?" if near else " What there is: gatepost user list"
    return f"There is no account {printable(login, 100)}.{meant}"


def end_sessions(connection: Connection, account: int) -> None:
    """Nobody is signed in to it any more, and no browser is known."""
    signins.close_sessions(connection, account)
    signins.forget_devices(connection, account)

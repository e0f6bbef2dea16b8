"""A way into an account for whoever it belongs to: a link that enrols once, and the end of all they signed in with before.

It takes a second person (`second`), but where the link goes by mail to the person themselves.
"""

from __future__ import annotations

from collections.abc import Callable

from gatepost.access import tokens
from gatepost.access.rights import ADMINISTRATORS, Actor
from gatepost.office import second
from gatepost.office.charge import allowed, end_sessions, on, owner_is_left
from gatepost.office.office import Impossible, Office
from gatepost.office.sessions import fresh, record
from gatepost.office.tidings import Tiding, tell
from gatepost.store import accounts, identities
from gatepost.store.accounts import Account
from gatepost.store.database import Connection

ByMail = Callable[[str], str]
"""The address in the console that a link's token leads to."""


async def invite(
    office: Office, actor: Actor, login: str, *, reason: str = "", by_mail: ByMail | None = None
) -> str:
    """A new enrolment link's token, shown once; an older one ends. Raises NotAllowed, Impossible.

    With `by_mail` the person gets it by mail, and nobody else: the token that comes back is empty.
    """
    await _insist(office, actor, "invite", login, reason=reason, by_mail=by_mail)
    token = fresh(office)

    def work(connection: Connection, account: Account) -> str:
        _give_link(
            connection,
            office,
            actor,
            account,
            token=token,
            tiding=Tiding.LINK,
            reason=reason,
            by_mail=by_mail,
        )
        record(connection, office, account, who=actor.who, what=f"account invite {account.login}", why=reason)
        return "" if by_mail else token

    return await on(office, actor, login, work)


async def recover(
    office: Office, actor: Actor, login: str, *, reason: str = "", by_mail: ByMail | None = None
) -> str:
    """Somebody lost what they sign in with: all of it is forgotten, and a new link's token comes back; see `invite`.

    App passwords and tokens stay. Raises NotAllowed, Impossible.
    """
    await _insist(office, actor, "recover", login, reason=reason, by_mail=by_mail)
    token = fresh(office)

    def work(connection: Connection, account: Account) -> str:
        if actor.via != "command" and not owner_is_left(connection, but=account):
            raise Impossible(
                f"{account.login} is the last owner who can sign in: recover it by a command on the machine."
            )
        _give_link(
            connection,
            office,
            actor,
            account,
            token=token,
            tiding=Tiding.FORGOTTEN,
            reason=reason,
            by_mail=by_mail,
        )
        for one in accounts.passkeys(connection, account.id):
            accounts.remove_passkey(connection, account.id, one.id)
        accounts.set_password(connection, account.id, None)
        accounts.set_seed(connection, account.id, None, None, session=None, step=0)
        accounts.set_recovery(connection, account.id, ())
        identities.unlink(connection, account.id)
        end_sessions(connection, account.id)
        record(
            connection, office, account, who=actor.who, what=f"account recover {account.login}", why=reason
        )
        return "" if by_mail else token

    return await on(office, actor, login, work)


async def _insist(
    office: Office, actor: Actor, act: str, login: str, *, reason: str, by_mail: ByMail | None
) -> None:
    """Before a link into an account is made. Raises NotAllowed, ProveAgain, Impossible."""
    office.insist_on_person(actor)
    account = office.store.database.read(lambda connection: allowed(connection, office, actor, login))
    if not account.usable:
        raise Impossible(f"{account.login} is disabled: enable it first.")
    if by_mail is None:
        if account.id != actor.account:
            await second.insist(office, actor, f"{act} {account.login}", about=account, reason=reason)
    elif account.roles & ADMINISTRATORS:
        raise Impossible("A link for somebody with a role beyond person is not sent by mail: hand it over.")
    elif office.finals is None:
        raise Impossible("No letters are written here: hand the link over.")


def _give_link(
    connection: Connection, office: Office, actor: Actor, account: Account, *, token: str, tiding: Tiding, reason: str,
    by_mail: ByMail | None,
) -> None:  # fmt: skip
    """The rows of a new link; the person is told, and owners of a way in for an administrator."""
    if not account.usable:
        raise Impossible(f"{account.login} is disabled: enable it first.")
    now = office.clock()
    tell(
        connection, office, account, tiding, by=actor.who, what=reason, link=by_mail(token) if by_mail else ""
    )
    if account.roles & ADMINISTRATORS:
        second.tell_owners(connection, office, actor, f"account {tiding.value} {account.login}")
    accounts.add_link(
        connection, account.id, tokens.digest(token), at=now, expires_at=now + office.access.link_s
    )

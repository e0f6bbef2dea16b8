"""App passwords: what mail programs and devices sign in with, each for what it is for, revoked at once.

The secret is made here, shown once, and kept as a salted SHA-256: it has 120 random bits, so nothing is gained by a slow
hash, and mail programs sign in often.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from pysqlite3 import dbapi2

from gatepost.access import networks, tokens
from gatepost.access.networks import IpAddress
from gatepost.access.rights import ADMINISTRATORS, Actor, Right
from gatepost.mail.address import printable
from gatepost.office import second
from gatepost.office.charge import there
from gatepost.office.naming import sender_of
from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.office.sessions import record
from gatepost.office.tidings import Tiding, tell
from gatepost.store import accounts, signins
from gatepost.store import apppasswords as rows
from gatepost.store.accounts import Account
from gatepost.store.apppasswords import AppPassword
from gatepost.store.database import Connection

MOST = 50
"""Good ones an account may have at a time."""
SALT_OCTETS = 16
NOTED_S = 60.0
"""The last use is written at most so often."""
SIGN_IN_S = 86_400.0
"""A sign-in from the same network is listed again after so long."""
TRIES = 5
"""At a selector nobody has; the second is needed once in a billion."""


class Scope(StrEnum):
    """What an app password is good for."""

    SMTP = "smtp"
    """Send mail."""
    IMAP = "imap"
    """Read mail."""
    SIEVE = "sieve"
    """Change the rules that sort it."""


@dataclass(frozen=True, slots=True)
class Made:
    """A new app password."""

    password: str = field(repr=False)
    """To be shown now and never again."""
    kept: AppPassword


@dataclass(frozen=True, slots=True)
class Good:
    """It signs in."""

    account: Account
    device: str
    """What it is called."""
    sends_as: tuple[str, ...]
    """Addresses it may write as: the account's of this moment, or the part of them it is limited to."""


class Fault(StrEnum):
    """Why something does not sign in."""

    NONE = "none"
    """It is no app password by its form: perhaps the account's."""
    UNKNOWN = "unknown"
    """There is none such, it was revoked, or it is another account's."""
    ENDED = "ended"
    ELSEWHERE = "elsewhere"
    """Not from this network."""
    SCOPE = "scope"
    NOBODY = "nobody"
    """None of the addresses it is limited to is the account's any more."""
    DISABLED = "disabled"
    """The account is."""


async def make(
    office: Office,
    actor: Actor,
    login: str | None = None,
    *,
    name: str,
    scopes: Iterable[Scope] = (Scope.SMTP, Scope.IMAP),
    sends_as: Iterable[str] = (),
    ranges: Iterable[str] = (),
    expires_at: float | None = None,
) -> Made:
    """A new one for oneself, or for the account `login` (only for sending then: reading somebody's mail is no such right).

    To write as somebody is half of being them: for another's it takes a second person. `ranges`: addresses or networks it is good
    from. Raises NotAllowed, ProveAgain, Impossible.
    """
    wanted = tuple(dict.fromkeys(scopes))
    limits = tuple(dict.fromkeys(_range(one) for one in ranges))
    senders = tuple(dict.fromkeys(sender_of(one) for one in sends_as))
    now = office.clock()
    if not wanted:
        raise Impossible("Say what the app password is for: smtp, imap.")
    if expires_at is None and office.access.app_password_s > 0:
        expires_at = now + office.access.app_password_s
    if expires_at is not None and expires_at <= now:
        raise Impossible("The app password would have ended already: give a day to come.")
    called = printable(name.strip(), 60)
    if not called:
        raise Impossible("Name the device or program that will use it, such as: telephone.")
    await insist_on_second(
        office,
        actor,
        login,
        f"app password {called}: {', '.join(wanted)}",
        reads=bool(set(wanted) - {Scope.SMTP}),
    )
    made = tokens.app_password(office.random(tokens.SELECTOR_OCTETS + tokens.SECRET_OCTETS))
    salt = office.random(SALT_OCTETS)

    def work(connection: Connection) -> AppPassword:
        account = whose(connection, office, actor, login)
        if rows.good(connection, account.id, now) >= MOST:
            raise Impossible(f"There are {MOST} app passwords already: revoke those that nobody uses.")
        for one in senders:
            if one not in accounts.addresses(connection, account.id):
                raise Impossible(f"{account.login} may not write as {one}.")
        number = rows.add(
            connection, account=account.id, selector=made.selector, salt=salt,
            hash=tokens.app_password_digest(made.secret, salt), name=called, scopes=wanted, sends_as=senders,
            networks=limits, at=now, by=actor.who, expires_at=expires_at,
        )  # fmt: skip
        why = f"{called}; {', '.join(wanted)}"
        tell(connection, office, account, Tiding.APP_PASSWORD, what=why, by=actor.who)
        record(connection, office, account, who=actor.who, what=f"app-password make {made.selector}", why=why)
        kept = rows.find(connection, number)
        assert kept is not None
        return kept

    for _ in range(TRIES):
        try:
            return Made(str(made), await office.store.database.commit(work))
        except dbapi2.IntegrityError:
            made = tokens.app_password(office.random(tokens.SELECTOR_OCTETS + tokens.SECRET_OCTETS))
    raise Impossible("No selector is free: try again.")


def listed(office: Office, actor: Actor, login: str | None = None) -> list[AppPassword]:
    """One's own or (with the right) somebody's, newest first, with those that ended or were revoked."""
    return office.store.database.read(
        lambda connection: rows.listed(connection, whose(connection, office, actor, login, making=False).id)
    )


async def revoke(office: Office, actor: Actor, selector: str, *, reason: str = "") -> bool:
    """From now on it signs nothing in; False when it did not before. Raises NotAllowed, Impossible."""

    def work(connection: Connection) -> bool:
        kept = rows.by_selector(connection, selector.strip().lower()[:8])
        if kept is None or kept.account != actor.account:
            office.insist(actor, Right.PEOPLE)
        if kept is None:
            raise Impossible(f"There is no app password {printable(selector, 20)}.")
        if not rows.revoke(connection, kept.id, office.clock()):
            return False
        what = f"app-password revoke {kept.selector}"
        why = f"{kept.name}; {reason}" if reason else kept.name
        record(connection, office, kept.account, who=actor.who, what=what, why=why)
        return True

    return await office.store.database.commit(work)


async def check(office: Office, user: str, typed: str, *, scope: Scope, ip: IpAddress | None) -> Good | Fault:
    """Does this password sign `user` (a login or an own address of the account) in for `scope`, from there?

    What is wrong beyond UNKNOWN is said only to whoever has the secret.
    """
    read = tokens.read_app_password(typed)
    if read is None:
        return Fault.NONE
    now = office.clock()

    def work(connection: Connection) -> tuple[AppPassword, Good] | Fault:
        kept = rows.by_selector(connection, read.selector)
        salt, right = (kept.salt, kept.hash) if kept else (bytes(SALT_OCTETS), bytes(32))
        same = tokens.same(tokens.app_password_digest(read.secret, salt), right)
        if kept is None or not same or kept.revoked_at is not None:
            return Fault.UNKNOWN
        account = accounts.find(connection, id=kept.account)
        if account is None or not is_user(connection, account, user):
            return Fault.UNKNOWN
        if not account.usable:
            return Fault.DISABLED
        if kept.expires_at is not None and kept.expires_at <= now:
            return Fault.ENDED
        if not networks.within(ip, kept.networks):
            return Fault.ELSEWHERE
        if scope.value not in kept.scopes:
            return Fault.SCOPE
        sends_as = senders(connection, account, kept.sends_as)
        if kept.sends_as and not sends_as:
            return Fault.NOBODY
        return kept, Good(account, kept.name, sends_as)

    found = office.store.database.read(work)
    if isinstance(found, Fault):
        return found
    kept, good = found
    network = networks.prefix(ip)
    if kept.used_at is None or now - kept.used_at >= NOTED_S or kept.used_from != network:
        await office.store.database.commit(lambda connection: _used(connection, office, kept, network))
    return good


def senders(connection: Connection, account: Account, limited_to: Iterable[str]) -> tuple[str, ...]:
    """What may be written as: the account's addresses of this moment, or those of them that are named."""
    every = accounts.addresses(connection, account.id)
    named = tuple(limited_to)
    return tuple(one for one in every if one in named) if named else every


def is_user(connection: Connection, account: Account, user: str) -> bool:
    """Is this what the account may call itself when it signs in?"""
    name = user.strip().lower()
    return name == account.login or name in accounts.addresses(connection, account.id, delegated=False)


def _used(connection: Connection, office: Office, kept: AppPassword, network: str) -> None:
    now = office.clock()
    if kept.used_at is None or now - kept.used_at >= SIGN_IN_S or kept.used_from != network:
        signins.note(
            connection,
            kept.account,
            at=now,
            how=f"app password {kept.name}",
            succeeded=True,
            network=network,
            agent="",
        )
        account = accounts.find(connection, id=kept.account)
        if account is not None:
            what = f"sign-in app-password {kept.selector}"
            record(connection, office, account, what=what, why=f"from {network}" if network else "")
    rows.used(connection, kept.id, at=now, network=network)


async def insist_on_second(
    office: Office, actor: Actor, login: str | None, act: str, *, reads: bool = False
) -> None:
    """Before something signs in for an account that is not the actor's own. Raises NotAllowed, ProveAgain, Impossible."""
    account = office.store.database.read(lambda connection: whose(connection, office, actor, login))
    if account.id != actor.account:
        if reads and actor.account:
            raise NotAllowed("An app password that reads mail is made by the person whose mail it is.")
        await second.insist(office, actor, f"{account.login}: {act}", about=account)


def whose(
    connection: Connection, office: Office, actor: Actor, login: str | None, *, making: bool = True
) -> Account:
    """Whose app passwords are meant, if the actor may deal with them."""
    account = (
        accounts.find(connection, id=actor.account)
        if login is None
        else there_or_not(connection, actor, office, login)
    )
    if account is None:
        raise Impossible("A command on the machine has no app passwords of its own: name an account.")
    if account.id == actor.account:
        office.insist(actor, Right.OWN)
    else:
        office.insist(actor, Right.PEOPLE)
        if making and account.roles & ADMINISTRATORS:
            office.insist(actor, Right.ROLES)
    if making:
        office.insist_on_person(actor)
        office.insist_on_proof(actor)
        if not account.usable:
            raise Impossible(f"{account.login} is disabled: enable it first.")
    return account


def there_or_not(connection: Connection, actor: Actor, office: Office, login: str) -> Account:
    """The account, said only to those who may know."""
    if login != actor.login:
        office.insist(actor, Right.PEOPLE)
    return there(connection, login)


def _range(text: str) -> str:
    found = networks.normal(text)
    if found is None:
        raise Impossible(f"{printable(text, 60)} is neither an address nor a network such as 192.0.2.0/24.")
    return found

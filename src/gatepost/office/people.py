"""People: accounts are added, given roles and addresses, disabled and removed; `wayin` is how they come to sign in.

Whoever has `Right.PEOPLE` looks after persons; an account with an administrative role, and every role but person, takes
`Right.ROLES`: else whoever resets accounts could become anybody. What gives a way into another's account or mail, or power,
takes a second person besides (`second`). An owner who can sign in is always left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from pysqlite3 import dbapi2

from gatepost.access.rights import ADMINISTRATORS, Actor, Right, Role
from gatepost.mail.address import printable
from gatepost.office import second
from gatepost.office.charge import allowed, end_sessions, insist_on_owner, nobody, on, owners_able, there
from gatepost.office.legalholds import insist_on_no_hold
from gatepost.office.naming import address_of, language_of, sender_of
from gatepost.office.office import Impossible, Office
from gatepost.office.sessions import normal_login, own_or_others, record
from gatepost.office.tidings import Tiding, tell
from gatepost.store import accounts, signins
from gatepost.store.accounts import Account, Passkey
from gatepost.store.database import Connection

HANDLE_OCTETS = 32
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An account with what belongs to it, as it is shown."""

    account: Account
    addresses: tuple[str, ...]
    """Its own."""
    delegated: tuple[str, ...]
    """It may write as these, too."""
    passkeys: tuple[Passkey, ...]
    recovery_codes: int
    """Unused ones."""
    sessions: int
    last_sign_in: float | None
    link_ends: float | None
    """Until when it can be enrolled by the link it was sent; None: there is none."""

    @property
    def enrolled(self) -> bool:
        """Can it sign in?"""
        return bool(self.passkeys) or (self.account.has_codes and not self.account.roles & ADMINISTRATORS)


async def add(
    office: Office,
    actor: Actor,
    login: str,
    *,
    name: str = "",
    language: str = "en",
    roles: Iterable[Role] = (Role.PERSON,),
    addresses: Iterable[str] = (),
    source: str = "",
    source_key: str = "",
) -> Account:
    """A new account, which cannot sign in before it is enrolled (see `invite`). Its login is its own address.

    Raises NotAllowed, or Impossible with what is wrong.
    """
    office.insist(actor, Right.PEOPLE)
    given = frozenset(roles) or frozenset({Role.PERSON})
    if given & ADMINISTRATORS:
        office.insist(actor, Right.ROLES)
        office.insist_on_person(actor)
        office.insist_on_proof(actor)
    key = address_of(login)
    own = dict.fromkeys([key, *(address_of(one) for one in addresses)])
    powers = f"roles {', '.join(sorted(given))}"
    if given & ADMINISTRATORS:
        await second.insist(office, actor, f"add {key}: {powers}", then=f"invite {key}")
    elif len(own) > 1:
        await second.insist(office, actor, f"add {key}: {', '.join(own)}")
    handle, called = office.random(HANDLE_OCTETS), printable(name.strip(), 100)
    speaks = language_of(language)

    def work(connection: Connection) -> Account:
        if accounts.find(connection, login=key) is not None:
            raise Impossible(f"There is an account {key} already.")
        number = accounts.add(
            connection, login=key, name=called, language=speaks, roles=given, handle=handle, at=office.clock(),
            source=source, source_key=source_key,
        )  # fmt: skip
        for address in own:
            _link(connection, number, address, delegated=False)
        why = powers + (f", from {source}" if source else "")
        if given & ADMINISTRATORS:
            second.tell_owners(connection, office, actor, f"account add {key}: {powers}")
        record(connection, office, number, who=actor.who, what=f"account add {key}", why=why)
        return there(connection, key)

    return await office.store.database.commit(work)


async def set_roles(
    office: Office, actor: Actor, login: str, roles: Iterable[Role], *, reason: str = ""
) -> Account:
    """These roles and no others; every session of the account ends, so that the next one has what it should.

    Raises NotAllowed, ProveAgain, Impossible for the last owner.
    """
    office.insist(actor, Right.ROLES)
    office.insist_on_person(actor)
    office.insist_on_proof(actor)
    given = frozenset(roles) or frozenset({Role.PERSON})
    before = office.store.database.read(lambda connection: there(connection, login))
    if (given - before.roles) & ADMINISTRATORS:  # to take a role away takes one person: it may be urgent
        act = f"roles {before.login}: {', '.join(sorted(given))}"
        await second.insist(office, actor, act, about=before, reason=reason)

    def work(connection: Connection, account: Account) -> Account:
        if given == account.roles:
            return account
        if (given - account.roles) & ADMINISTRATORS - (given - before.roles):
            raise Impossible("The roles were changed meanwhile: look again.")
        able = owners_able(connection)
        accounts.set_roles(connection, account.id, given)
        insist_on_owner(connection, account, actor, able)
        end_sessions(connection, account.id)
        told = f"{', '.join(sorted(account.roles))} -> {', '.join(sorted(given))}"
        tell(connection, office, account, Tiding.ROLES, by=actor.who, what=told)
        if (given - account.roles) & ADMINISTRATORS:
            second.tell_owners(connection, office, actor, f"account roles {account.login}: {told}")
        record(
            connection, office, account, who=actor.who, what=f"account roles {account.login}",
            why=f"{told}; {reason}" if reason else told,
        )  # fmt: skip
        return there(connection, account.login)

    return await on(office, actor, login, work)


async def rename(
    office: Office, actor: Actor, login: str, *, name: str | None = None, language: str | None = None
) -> Account:
    """Another name or language; one's own takes no right but `OWN`."""
    called = None if name is None else printable(name.strip(), 100)
    speaks = None if language is None else language_of(language)

    def work(connection: Connection, account: Account) -> Account:
        accounts.rename(connection, account.id, name=called, language=speaks)
        record(connection, office, account, who=actor.who, what=f"account rename {account.login}")
        return there(connection, account.login)

    return await on(office, actor, login, work, own=True)


async def link(office: Office, actor: Actor, login: str, address: str, *, delegated: bool = False) -> None:
    """Give an address to an account, as its own or (`delegated`) to write as; ``@domain`` only to write as.

    Raises NotAllowed, Impossible.
    """
    key = sender_of(address)
    if key.startswith("@"):
        office.insist(actor, Right.ROLES)
        if not delegated:
            raise Impossible(f"Nobody owns all of {key}; an account can be let write as it (delegated).")
    if not delegated:  # whoever owns an address reads what is held for it
        about = office.store.database.read(lambda connection: allowed(connection, office, actor, login))
        await second.insist(office, actor, f"link {about.login}: {key}", about=about)

    def work(connection: Connection, account: Account) -> None:
        whose = accounts.owner_of(connection, key)
        if whose is not None and whose.roles & ADMINISTRATORS:  # to write as them is half of being them
            office.insist(actor, Right.ROLES)
        _link(connection, account.id, key, delegated=delegated)
        kind = "may write as" if delegated else "owns"
        for told in dict.fromkeys([account, *([whose] if whose is not None else [])]):
            what = f"{account.login} {kind} {key}"
            tell(connection, office, told, Tiding.ADDRESSES, by=actor.who, what=what)
        record(
            connection,
            office,
            account,
            who=actor.who,
            what=f"account link {account.login}",
            why=f"{kind} {key}",
        )

    await on(office, actor, login, work)


async def unlink(office: Office, actor: Actor, login: str, address: str) -> None:
    """Take an address away, but the login. Raises NotAllowed, Impossible."""
    key = sender_of(address)

    def work(connection: Connection, account: Account) -> None:
        if key == account.login:
            raise Impossible(f"{key} is what the account signs in with.")
        if not accounts.unlink(connection, account.id, key):
            raise Impossible(f"{account.login} does not have the address {key}.")
        tell(connection, office, account, Tiding.ADDRESSES, by=actor.who, what=f"without {key}")
        record(connection, office, account, who=actor.who, what=f"account unlink {account.login}", why=key)

    await on(office, actor, login, work)


async def disable(office: Office, actor: Actor, login: str, *, reason: str = "") -> None:
    """Nobody and nothing signs in for it any more, from now on. Raises NotAllowed, Impossible for the last owner."""

    def work(connection: Connection, account: Account) -> None:
        if account.usable:
            able = owners_able(connection)
            tell(connection, office, account, Tiding.DISABLED, by=actor.who, what=reason)
            accounts.set_disabled(connection, account.id, office.clock(), printable(reason, 200))
            insist_on_owner(connection, account, actor, able)
            end_sessions(connection, account.id)
            accounts.end_links(connection, account.id)
            what = f"account disable {account.login}"
            record(connection, office, account, who=actor.who, what=what, why=reason)

    await on(office, actor, login, work)


async def enable(office: Office, actor: Actor, login: str, *, reason: str = "") -> None:
    """It may sign in again, with what it had. Raises NotAllowed, Impossible."""

    def work(connection: Connection, account: Account) -> None:
        if not account.usable:
            accounts.set_disabled(connection, account.id, None)
            what = f"account enable {account.login}"
            record(connection, office, account, who=actor.who, what=what, why=reason)

    await on(office, actor, login, work)


async def remove(office: Office, actor: Actor, login: str, *, reason: str = "") -> None:
    """Take the account out with all that is its own.

    Raises NotAllowed, ProveAgain, and Impossible for the last owner and while a legal hold is in force over it.
    """
    office.insist_on_proof(actor)
    insist_on_no_hold(office, login)

    def work(connection: Connection, account: Account) -> None:
        record(connection, office, account, who=actor.who, what=f"account remove {account.login}", why=reason)
        able = owners_able(connection)
        accounts.remove(connection, account.id)
        insist_on_owner(connection, account, actor, able)

    await on(office, actor, login, work)


def listed(office: Office, actor: Actor, *, after: str = "", limit: int = 100) -> list[Person]:
    """Everybody in the order of their logins; `after` is the last login of the page before. Raises NotAllowed."""
    office.insist(actor, Right.PEOPLE)

    def work(connection: Connection) -> list[Person]:
        return [
            _person(connection, office, one) for one in accounts.listed(connection, after=after, limit=limit)
        ]

    return office.store.database.read(work)


def show(office: Office, actor: Actor, login: str | None = None) -> Person:
    """One account; oneself by default. Raises NotAllowed, Impossible when there is none such."""

    def work(connection: Connection) -> Person:
        if login is None:
            own_or_others(office, actor, None)
            account = accounts.find(connection, id=actor.account)
        else:
            account = accounts.find(connection, login=normal_login(login))
            own_or_others(office, actor, account.id if account else -1)
        if account is None:
            raise Impossible(nobody(connection, login or ""))
        return _person(connection, office, account)

    return office.store.database.read(work)


def of_source(office: Office, source: str, key: str) -> Account | None:
    """The account that a source of people knows by `key`."""
    return office.store.database.read(lambda connection: accounts.of_source(connection, source, key))


def _link(connection: Connection, account: int, address: str, *, delegated: bool) -> None:
    owner = accounts.owner_of(connection, address)
    if delegated and owner is not None and owner.id == account:
        raise Impossible(f"{address} is the account's own already.")
    try:
        accounts.link(connection, account, address, delegated=delegated)
    except dbapi2.IntegrityError:
        whose = owner.login if owner else "another account"
        raise Impossible(
            f"{address} is {whose}'s own address; another account can be let write as it (delegated)."
        ) from None


def _person(connection: Connection, office: Office, account: Account) -> Person:
    now = office.clock()
    return Person(
        account=replace(
            account, password=None if account.password is None else "", seed=account.seed and b""
        ),
        addresses=accounts.addresses(connection, account.id, delegated=False),
        delegated=accounts.addresses(connection, account.id, delegated=True),
        passkeys=tuple(accounts.passkeys(connection, account.id)),
        recovery_codes=accounts.recovery_left(connection, account.id),
        sessions=len(signins.sessions(connection, account.id)),
        last_sign_in=signins.last_success(connection, account.id),
        link_ends=accounts.link_ends(connection, account.id, now),
    )

"""API tokens: made by their owner for what a program needs, for a while, and revoked at once.

A token acts for its owner with the rights of this moment that are among its scopes: what the owner loses, it loses. What takes
a person there and then (`access.apitoken.NEVER`) no token may do, and no token makes another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gatepost.access import apitoken, networks, tokens
from gatepost.access.apitoken import NEVER, ApiToken
from gatepost.access.networks import IpAddress
from gatepost.access.rights import Actor, Right, rights_of
from gatepost.mail.address import printable
from gatepost.office.charge import there
from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.office.sessions import own_or_others, record
from gatepost.office.tidings import Tiding, tell
from gatepost.store import accounts, apitokens
from gatepost.store.accounts import Account
from gatepost.store.apitokens import KeptToken
from gatepost.store.database import Connection

MOST = 50
"""Good ones an account may have at a time."""
LONGEST_S = 366 * 86_400.0
NOTED_S = 60.0
"""The last use is written at most so often."""


@dataclass(frozen=True, slots=True)
class Made:
    """A new token."""

    token: str = field(repr=False)
    """To be shown now and never again."""
    kept: KeptToken


async def make(
    office: Office,
    actor: Actor,
    login: str | None = None,
    *,
    name: str,
    scopes: Iterable[Right],
    expires_at: float,
    ranges: Iterable[str] = (),
) -> Made:
    """A new one for oneself; for another's account (`login`) only by a command on the machine.

    `ranges`: addresses or networks it is good from. Raises NotAllowed, ProveAgain, Impossible.
    """
    if actor.via == "api":
        raise NotAllowed("A token cannot make another: sign in to the console.")
    if login is not None and actor.via != "command":
        raise NotAllowed("Everybody makes their own tokens.")
    office.insist_on_proof(actor)
    now, called = office.clock(), printable(name.strip(), 60)
    if not called:
        raise Impossible("Name the program that will use it, such as: monitoring.")
    if not now < expires_at <= now + LONGEST_S:
        raise Impossible("A token ends within a year: give a day to come.")
    limits = tuple(dict.fromkeys(_range(one) for one in ranges))
    wanted = frozenset(scopes)
    made = apitoken.new_token(office.random(apitoken.OCTETS))

    def work(connection: Connection) -> KeptToken:
        account = there(connection, login) if login is not None else _self(connection, actor)
        _insist_on_scopes(wanted, _rights(office, account), account)
        if sum(one.good(now) for one in apitokens.listed(connection, account.id)) >= MOST:
            raise Impossible(f"{account.login} has {MOST} tokens already: revoke some.")
        kept = apitokens.add(
            connection, account.id, selector=made.selector, digest=made.digest, name=called, scopes=sorted(wanted),
            networks=limits, at=now, expires_at=expires_at,
        )  # fmt: skip
        told = f"{called}: {', '.join(kept.scopes)}"
        tell(connection, office, account, Tiding.TOKEN, by=actor.who, what=told)
        record(connection, office, account, who=actor.who, what=f"token make {kept.id}", why=told)
        return kept

    return Made(str(made), await office.store.database.commit(work))


def listed(office: Office, actor: Actor, account: int | None = None) -> list[KeptToken]:
    """One's own, or with the right another's; newest first. Raises NotAllowed."""
    target = own_or_others(office, actor, account)
    return office.store.database.read(lambda connection: apitokens.listed(connection, target))


async def revoke(office: Office, actor: Actor, number: int, account: int | None = None) -> bool:
    """It is good no more, from now on; False when it is none of theirs. Raises NotAllowed."""
    target = own_or_others(office, actor, account)

    def work(connection: Connection) -> bool:
        gone = apitokens.revoke(connection, target, number, office.clock())
        whose = accounts.find(connection, id=target)
        if gone is None or whose is None:
            return False
        record(connection, office, whose, who=actor.who, what=f"token revoke {number}", why=gone.name)
        return True

    return await office.store.database.commit(work)


async def actor_of(office: Office, text: str, *, ip: IpAddress | None) -> Actor | None:
    """Who is acting by this token; None when it is none, has ended, was revoked, or is not good from there."""
    token, now = apitoken.read_token(text), office.clock()
    if token is None:
        return None
    found = office.store.database.read(lambda connection: _look(connection, office, token, ip))
    if found is None:
        return None
    kept, actor = found
    if kept.used_at is None or now - kept.used_at >= NOTED_S:
        network = networks.prefix(ip)
        await office.store.database.commit(
            lambda connection: apitokens.used(connection, kept.id, now, network)
        )
    return actor


def _look(
    connection: Connection, office: Office, token: ApiToken, ip: IpAddress | None
) -> tuple[KeptToken, Actor] | None:
    kept = apitokens.find(connection, token.selector)
    if kept is None or not tokens.same(kept.hash, token.digest) or not kept.good(office.clock()):
        return None
    account = accounts.find(connection, id=kept.account)
    if account is None or not account.usable or not networks.within(ip, kept.networks):
        return None
    rights = apitoken.granted(kept.scopes, _rights(office, account))
    addresses = accounts.addresses(connection, account.id, delegated=False) if Right.OWN in rights else ()
    actor = Actor(
        account=account.id, login=account.login, name=account.name, roles=account.roles, rights=rights,
        addresses=addresses, via="api", language=account.language,
    )  # fmt: skip
    return kept, actor


def _insist_on_scopes(wanted: frozenset[Right], rights: frozenset[Right], account: Account) -> None:
    """Raises Impossible."""
    if not wanted:
        raise Impossible(f"Say what it is for: {', '.join(sorted(rights - NEVER))}.")
    for right in sorted(wanted):
        if right in NEVER:
            raise Impossible(f"{right.value} takes a person: no token can have it.")
        if right not in rights:
            raise Impossible(f"{account.login} does not have the right {right.value}.")


def _rights(office: Office, account: Account) -> frozenset[Right]:
    return rights_of(account.roles, help_desk_sees_subjects=office.access.help_desk_sees_subjects)


def _self(connection: Connection, actor: Actor) -> Account:
    account = accounts.find(connection, id=actor.account)
    if account is None:
        raise Impossible("A command on the machine has no account of its own: name one.")
    return account


def _range(text: str) -> str:
    normal = networks.normal(text)
    if normal is None:
        raise Impossible(f"{printable(text, 60)} is neither an address nor a network such as 192.0.2.0/24.")
    return normal

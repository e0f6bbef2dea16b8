"""People from a directory: accounts are added, follow what changes there, and are disabled when somebody leaves.

The directory speaks for what comes from it: name, login, own addresses in our domains, and those roles that its groups give.
It never takes over an account with an administrative role that was made here, and makes owners only where the settings say so.
Nobody is removed: who is gone is disabled, and comes back as they were. The names it has may be watched for impersonation.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Protocol

from pysqlite3 import dbapi2

from gatepost.access.rights import ADMINISTRATORS, Actor, Right, Role
from gatepost.net.directoryservice import DirectoryPerson, PeopleSourceSettings
from gatepost.office import charge, people
from gatepost.office.office import Impossible, Office
from gatepost.office.sessions import SignInRefused, record
from gatepost.store import accounts, journal
from gatepost.store.accounts import Account
from gatepost.store.database import Connection
from gatepost.store.disk import give_to_owner
from gatepost.tools import Unavailable

SOURCE = "directory"
"""What `Account.source` says of them."""
CLOCK = Actor(
    account=0,
    login="the directory",
    name="the directory",
    rights=frozenset({Right.PEOPLE, Right.ROLES}),
    via="command",
)
GONE = "not in the directory any more"
DISABLED = "disabled in the directory"
PAUSE = 50
FEW = 1
"""So many may be missing at once whatever the share: in a small company, one who leaves is a large one."""


class Kind(StrEnum):
    """What is done to one account."""

    ADD = "add"
    ADOPT = "adopt"
    """An account made here is the directory's from now on."""
    CHANGE = "change"
    DISABLE = "disable"
    ENABLE = "enable"
    SKIP = "skip"
    """Nothing: the text says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One account's part in a synchronisation."""

    kind: Kind
    login: str
    text: str


class Directory(Protocol):
    """Somewhere people come from."""

    async def people(self) -> list[DirectoryPerson]:
        """Everybody. Raises Unavailable."""
        ...

    async def proves(self, key: str, password: str) -> bool:
        """Is it this person's password? Raises Unavailable."""
        ...


async def synchronise(
    office: Office,
    settings: PeopleSourceSettings,
    found: Sequence[DirectoryPerson],
    domains: Iterable[str],
    *,
    force: bool = False,
    dry: bool = False,
) -> list[Step]:
    """Bring the accounts to what the directory says; with `dry` only tell. `domains` are ours.

    Raises Unavailable, having disabled nobody, when so many are missing that something is wrong, unless there is `force`.
    """
    ours = frozenset(domains)
    known = {one.source_key: one for one in _all(office)}
    here = {one.key for one in found}
    gone = [one for key, one in known.items() if key not in here and one.usable]
    usable = sum(one.usable for one in known.values())
    if usable and not found and not force:
        raise Unavailable(
            "the directory has nobody any more: nobody was disabled. See base and filter of [people_source]; if it is right,"
            " run gatepost user sync --force"
        )
    steps: list[Step] = []
    for place, person in enumerate(found):
        steps += await _bring(office, settings, person, known.get(person.key), ours, dry=dry)
        if place % PAUSE == 0:
            await asyncio.sleep(
                0
            )  # most people are as they were: nothing else would let others have their turn
    if len(gone) > FEW and len(gone) > settings.gone_at_most * usable and not force:
        raise Unavailable(
            f"{len(gone)} of {usable} people are not in the directory any more: nobody was disabled. If that is right, run"
            " gatepost user sync --force"
        )
    for account in gone:
        steps += await _act(Kind.DISABLE, account.login, GONE, dry, partial(_disable, office, account, GONE))
    return steps


def protected(settings: PeopleSourceSettings, found: Iterable[DirectoryPerson]) -> list[DirectoryPerson]:
    """Whose names are to be watched for impersonation."""
    groups = {one.group for one in settings.groups if one.protected}
    return [
        one
        for one in found
        if one.name and not one.disabled and (settings.protect_everybody or one.groups & groups)
    ]


def write_protected(path: Path, found: Sequence[DirectoryPerson]) -> bool:
    """Write them as the file that `checks.sender.people` reads, when it would be another; was it? Raises OSError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "role", "addresses", "also"))
    for one in sorted(found, key=lambda person: (person.name, person.login)):
        writer.writerow(
            (one.name, "", " ".join(one.addresses), "; ".join(name.replace(";", ",") for name in one.also))
        )
    octets = text.getvalue().encode()
    if path.exists() and path.read_bytes() == octets:
        return False
    growing = path.with_name(path.name + ".new")
    growing.unlink(missing_ok=True)
    with os.fdopen(os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        give_to_owner(file.fileno(), path.parent)
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    growing.replace(path)
    return True


@dataclass(frozen=True, slots=True)
class DirectoryNow:
    """For somebody at the console who does not wait for the clock, such as when a person has just left."""

    office: Office
    synchronise: Callable[[], Awaitable[list[Step]]]

    async def ask(self, actor: Actor) -> list[Step]:
        """What was done. Raises NotAllowed, and Impossible while the directory does not say or lacks too many."""
        self.office.insist(actor, Right.PEOPLE)
        self.office.insist_on_person(actor)
        why = self.office.why(actor)
        await self.office.store.database.commit(
            partial(journal.append, at=why.at, who=why.who, what="directory ask", why="")
        )
        try:
            return await self.synchronise()
        except Unavailable as fault:
            raise Impossible(f"The accounts stay as they are: {fault}.") from None


@dataclass(frozen=True, slots=True)
class DirectoryPasswords:
    """Implements `signin.PasswordSource`."""

    directory: Directory

    async def matches(self, login: str, account: Account | None, password: str) -> bool:  # noqa: ARG002
        """Asked of the directory; nobody's password costs the same question."""
        try:
            return await self.directory.proves(account.source_key if account else "", password)
        except Unavailable as why:
            raise SignInRefused(
                f"The directory cannot be asked now, so no password can be checked: {why}."
            ) from None


def _all(office: Office) -> list[Account]:
    def work(connection: Connection) -> list[Account]:
        found: list[Account] = []
        while page := accounts.listed(
            connection, source=SOURCE, after=found[-1].login if found else "", limit=1000
        ):
            found += page
        return found

    return office.store.database.read(work)


async def _bring(
    office: Office,
    settings: PeopleSourceSettings,
    person: DirectoryPerson,
    account: Account | None,
    ours: frozenset[str],
    *,
    dry: bool,
) -> list[Step]:
    """One person of the directory."""
    addresses = tuple(one for one in person.addresses if one.rpartition("@")[2] in ours)
    login = person.login if person.login in addresses else (addresses[0] if addresses else "")
    if not login:
        return (
            []
            if account is None
            else [Step(Kind.SKIP, account.login, "has no address in our domains any more")]
        )
    wanted = _Wanted(person, login, addresses, _roles(settings, person), _managed(settings))
    if account is None:
        return await _newcomer(office, wanted, dry=dry)
    steps: list[Step] = []
    if person.disabled:
        if account.usable:
            steps += await _act(
                Kind.DISABLE, account.login, DISABLED, dry, lambda: _disable(office, account, DISABLED)
            )
        return steps
    if not account.usable and account.disabled_because in (GONE, DISABLED):
        steps += await _act(
            Kind.ENABLE, account.login, "is in the directory again", dry,
            lambda: people.enable(office, CLOCK, account.login, reason="is in the directory again"),
        )  # fmt: skip
    return steps + await _change(office, account, wanted, dry=dry)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an account should be."""

    person: DirectoryPerson
    login: str
    addresses: tuple[str, ...]
    granted: frozenset[Role]
    managed: frozenset[Role]
    """Roles that the directory gives and takes; others stay as they are."""

    def roles(self, now: frozenset[Role]) -> frozenset[Role]:
        """The account's roles after."""
        return (now - self.managed) | self.granted or frozenset({Role.PERSON})


async def _newcomer(office: Office, wanted: _Wanted, *, dry: bool) -> list[Step]:
    if wanted.person.disabled:
        return []
    other = office.store.database.read(lambda connection: accounts.find(connection, login=wanted.login))
    if other is None:
        roles = frozenset({Role.PERSON}) | wanted.granted

        async def add() -> None:
            await people.add(
                office, CLOCK, wanted.login, name=wanted.person.name, roles=roles, source=SOURCE,
                source_key=wanted.person.key,
            )  # fmt: skip
            account = office.store.database.read(lambda connection: charge.there(connection, wanted.login))
            await _set_addresses(office, account, wanted.addresses)

        return await _act(Kind.ADD, wanted.login, ", ".join(sorted(roles)), dry, add)
    if other.source not in ("", SOURCE) or (other.source == "" and other.roles & ADMINISTRATORS):
        whose = (
            "an administrator's account made here"
            if other.source == ""
            else f"an account from {other.source}"
        )
        return [Step(Kind.SKIP, wanted.login, f"is {whose}: the directory does not take it over")]

    def adopt(connection: Connection) -> None:
        accounts.set_source(connection, other.id, SOURCE, wanted.person.key)
        record(
            connection,
            office,
            other,
            who=CLOCK.who,
            what=f"account adopt {other.login}",
            why=wanted.person.dn,
        )

    steps = await _act(
        Kind.ADOPT,
        wanted.login,
        "is the directory's from now on",
        dry,
        lambda: office.store.database.commit(adopt),
    )
    return steps + await _change(office, other, wanted, dry=dry)


async def _change(office: Office, account: Account, wanted: _Wanted, *, dry: bool) -> list[Step]:
    """Login, name, addresses, roles: each by itself, so that what cannot be does not hold up the rest."""
    steps: list[Step] = []
    login, person = account.login, wanted.person
    if wanted.login != login:
        done = await _act(
            Kind.CHANGE,
            login,
            f"signs in as {wanted.login} now",
            dry,
            lambda: _set_login(office, account, wanted.login),
        )
        steps += done
        if done[0].kind is Kind.CHANGE and not dry:
            login = wanted.login
    if person.name and person.name != account.name:
        steps += await _act(
            Kind.CHANGE, login, f"is called {person.name}", dry,
            lambda: people.rename(office, CLOCK, login, name=person.name),
        )  # fmt: skip
    own = set(office.store.database.read(lambda c: accounts.addresses(c, account.id, delegated=False)))
    keep = {*wanted.addresses, login}
    if own != keep:
        told = [f"has {one}" for one in sorted(keep - own)] + [
            f"has {one} no more" for one in sorted(own - keep)
        ]
        steps += await _act(
            Kind.CHANGE, login, ", ".join(told), dry, lambda: _set_addresses(office, account, tuple(keep))
        )
    roles = wanted.roles(account.roles)
    if roles != account.roles:
        steps += await _act(
            Kind.CHANGE, login, f"is {', '.join(sorted(roles))}", dry,
            lambda: people.set_roles(office, CLOCK, login, roles, reason="groups of the directory"),
        )  # fmt: skip
    return steps


async def _act(kind: Kind, login: str, text: str, dry: bool, act: Callable[[], object]) -> list[Step]:
    """Do it, unless only told to tell; what cannot be done is a step that says why."""
    if not dry:
        try:
            doing = act()
            if hasattr(doing, "__await__"):
                await doing
        except Impossible as why:
            return [Step(Kind.SKIP, login, f"{text}: {why}")]
    return [Step(kind, login, text)]


async def _disable(office: Office, account: Account, why: str) -> None:
    await people.disable(office, CLOCK, account.login, reason=why)


async def _set_login(office: Office, account: Account, login: str) -> None:
    def work(connection: Connection) -> None:
        other = accounts.find(connection, login=login)
        if other is not None and other.id != account.id:
            raise Impossible(f"{login} is another account's login")
        try:
            accounts.link(connection, account.id, login, delegated=False)
        except dbapi2.IntegrityError:
            raise Impossible(f"{login} is another account's own address") from None
        accounts.rename(connection, account.id, login=login)
        record(
            connection,
            office,
            account,
            who=CLOCK.who,
            what=f"account login {login}",
            why=f"was {account.login}",
        )

    await office.store.database.commit(work)


async def _set_addresses(office: Office, account: Account, wanted: Sequence[str]) -> None:
    """The account's own addresses are these, and its login. Raises Impossible when one is somebody else's; the rest is done."""

    def work(connection: Connection) -> list[str]:
        now = accounts.find(connection, id=account.id)
        if now is None:
            return []
        keep, own = {*wanted, now.login}, set(accounts.addresses(connection, account.id, delegated=False))
        taken = []
        for one in sorted(keep - own):
            owner = accounts.owner_of(connection, one)
            if owner is not None:
                taken.append(f"{one} is {owner.login}'s own address")
                continue
            accounts.link(connection, account.id, one, delegated=False)
            record(
                connection, office, now, who=CLOCK.who, what=f"account link {now.login}", why=f"owns {one}"
            )
        for one in sorted(own - keep):
            accounts.unlink(connection, account.id, one)
            record(connection, office, now, who=CLOCK.who, what=f"account unlink {now.login}", why=one)
        return taken

    taken = await office.store.database.commit(work)
    if taken:
        raise Impossible("; ".join(taken))


def _roles(settings: PeopleSourceSettings, person: DirectoryPerson) -> frozenset[Role]:
    granted = {role for one in settings.groups if one.group in person.groups for role in one.roles}
    return frozenset(granted if settings.may_make_owners else granted - {Role.OWNER})


def _managed(settings: PeopleSourceSettings) -> frozenset[Role]:
    named = {role for one in settings.groups for role in one.roles} - {Role.PERSON}
    return frozenset(named if settings.may_make_owners else named - {Role.OWNER})

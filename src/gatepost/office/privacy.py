"""What the data protection officer does: requests of data subjects, what is kept about an address, erasure, legal holds.

Everything takes `Right.PRIVACY`; what leaves the house takes `Right.EXPORT` too, and what cannot be undone a fresh proof.
Every act is in the journal, in the same commit; an erasure and the requests name nobody there, only their number.
"""

from __future__ import annotations

import asyncio
import calendar
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial

from gatepost.access.rights import Actor, Right
from gatepost.mail.address import parse_address
from gatepost.office.accessfile import in_english, letters, packed
from gatepost.office.longreads import EXPORT_S
from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.store import holds, journal, personal, requests
from gatepost.store.database import Connection
from gatepost.store.holds import LegalHold
from gatepost.store.personal import PARTS, Erased
from gatepost.store.requests import DataRequest, Kind, RetentionRun, Status

ADDRESSES = 20
"""Of one request."""
LONGEST_NOTES = 4000
NO_REQUEST = "There is no such request."


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would do, or did."""

    parts: Mapping[str, Erased]
    """Name of the part -> what becomes of it, all addresses together."""
    holds: Sequence[LegalHold]
    """Those in force over one of the addresses."""

    @property
    def counts(self) -> dict[str, int]:
        """As the proof keeps them."""
        found = {name: one.erased for name, one in self.parts.items() if one.erased}
        found |= {f"{name} changed": one.changed for name, one in self.parts.items() if one.changed}
        for name, one in self.parts.items():
            found |= {f"{name} kept: {why}": number for why, number in one.kept.items()}
        return found


# Requests


def listed(office: Office, actor: Actor) -> list[DataRequest]:
    """The open ones first, the most urgent of them first. Raises NotAllowed."""
    office.insist(actor, Right.PRIVACY)
    return office.store.database.read(requests.listed)


def show(office: Office, actor: Actor, number: int) -> DataRequest:
    """One request. Raises NotAllowed, and Impossible when there is none."""
    office.insist(actor, Right.PRIVACY)
    return _found(office.store.database.read(lambda c: requests.find(c, number)))


async def register(
    office: Office,
    actor: Actor,
    *,
    kind: str,
    person: str,
    addresses: str,
    received_at: float | None = None,
    notes: str = "",
) -> int:
    """Write a request down; its number. It is due one month after it came (GDPR Art. 12(3)).

    Raises NotAllowed, or Impossible for a kind, an address or a day that cannot be meant.
    """  # fmt: skip
    office.insist(actor, Right.PRIVACY)
    if kind not in set(Kind):
        raise Impossible("A request is for access, erasure, rectification or objection.")
    whose = addresses_in(addresses)
    now = office.clock()
    came = now if received_at is None else received_at
    if came > now + 86_400:
        raise Impossible("The request cannot have come in the future.")
    one = DataRequest(
        kind=Kind(kind), person=person.strip()[:200], addresses=whose, received_at=came, due_at=months_later(came, 1),
        notes=notes.strip()[:LONGEST_NOTES], registered_by=actor.who, registered_at=now,
    )  # fmt: skip

    def work(connection: Connection) -> int:
        number = requests.add(connection, one)
        _note(connection, office, actor, f"request register {number} {one.kind}")
        return number

    return await office.store.database.commit(work)


OPEN_AT_ONCE = 3
"""Requests of one person that may be open."""


async def ask(office: Office, actor: Actor, *, kind: str, notes: str) -> int:
    """A person's own request, about their own addresses; its number. Raises NotAllowed or Impossible."""
    office.insist(actor, Right.OWN)
    office.insist_on_person(actor)
    if kind not in set(Kind):
        raise Impossible("A request is for access, erasure, rectification or objection.")
    if not actor.addresses:
        raise Impossible("You have no mail address here.")
    now = office.clock()
    one = DataRequest(
        kind=Kind(kind), person=(actor.name or actor.login)[:200], addresses=tuple(actor.addresses[:ADDRESSES]), received_at=now,
        due_at=months_later(now, 1), notes=notes.strip()[:LONGEST_NOTES], registered_by=actor.who, registered_at=now,
    )  # fmt: skip

    def work(connection: Connection) -> int:
        mine = [
            each for each in requests.of_address(connection, one.addresses[0]) if each.status is Status.OPEN
        ]
        if len(mine) >= OPEN_AT_ONCE:
            raise Impossible("Your requests are not answered yet: wait for that first.")
        number = requests.add(connection, one)
        _note(connection, office, actor, f"request register {number} {one.kind}")
        return number

    return await office.store.database.commit(work)


def mine(office: Office, actor: Actor) -> list[DataRequest]:
    """Requests about one's own addresses, the newest first. Raises NotAllowed."""
    office.insist(actor, Right.OWN)
    found: dict[int, DataRequest] = {}
    for address in actor.addresses:
        for one in office.store.database.read(partial(requests.of_address, address=address)):
            if one.registered_by == actor.who:
                found[one.id] = one
    return sorted(found.values(), key=lambda one: -one.id)


async def extend(office: Office, actor: Actor, number: int, *, reason: str) -> DataRequest:
    """Two months more, once, with the reason that the person is told (GDPR Art. 12(3)). Raises NotAllowed or Impossible."""
    said = reason.strip()[:LONGEST_NOTES]
    if not said:
        raise Impossible("An extension takes a reason: the person must be told it within the first month.")

    def change(one: DataRequest) -> DataRequest:
        if one.extended_because:
            raise Impossible("It was extended already; the law allows it once.")
        return replace(one, due_at=months_later(one.received_at, 3), extended_because=said)

    return await _change(office, actor, number, "request extend", change)


async def note(office: Office, actor: Actor, number: int, *, notes: str) -> DataRequest:
    """Replace the notes. Raises NotAllowed or Impossible."""
    return await _change(
        office, actor, number, "request note", lambda one: replace(one, notes=notes.strip()[:LONGEST_NOTES])
    )


async def close(office: Office, actor: Actor, number: int, *, refused: bool, outcome: str) -> DataRequest:
    """It is answered: done, or refused. Raises NotAllowed, or Impossible without a word on how."""
    said = outcome.strip()[:LONGEST_NOTES]
    if not said:
        raise Impossible("Say in a sentence how it was answered.")
    status = Status.REFUSED if refused else Status.DONE

    def change(one: DataRequest) -> DataRequest:
        return replace(one, status=status, outcome=said, closed_by=actor.who, closed_at=office.clock())

    return await _change(office, actor, number, f"request {'refuse' if refused else 'close'}", change)


def addresses_in(text: str) -> tuple[str, ...]:
    """Whole addresses, lower case, apart by blanks, commas or lines. Raises Impossible."""
    found: dict[str, None] = {}
    for word in re.split(r"[\s,;]+", text.strip()):
        one = parse_address(word.strip("<>"), smtputf8=True) if word else None
        if one is None:
            raise Impossible("Give whole mail addresses, apart by blanks or commas.")
        found[str(one).lower()] = None
    if len(found) > ADDRESSES:
        raise Impossible(f"At most {ADDRESSES} addresses in one request.")
    return tuple(found)


def months_later(at: float, months: int) -> float:
    """The end of the same day so many months later, or of the last day of a shorter month."""
    day = datetime.fromtimestamp(at, UTC)
    years, month = divmod(day.month - 1 + months, 12)
    last = calendar.monthrange(day.year + years, month + 1)[1]
    due = day.replace(
        year=day.year + years,
        month=month + 1,
        day=min(day.day, last),
        hour=23,
        minute=59,
        second=59,
        microsecond=0,
    )
    return due.timestamp()


# Access


async def access_file(
    office: Office, actor: Actor, number: int, say: Callable[..., str] = in_english
) -> bytes:
    """Everything that is kept about the addresses of a request, as a ZIP with an index; in the journal before it leaves.

    Held mail itself is in it for who may read content; others find it named. `say` puts the words of the index into a
    language. Raises NotAllowed, ProveAgain or Impossible.
    """
    office.insist(actor, Right.EXPORT)
    one = show(office, actor, number)
    office.insist_on_proof(actor)
    found: dict[str, dict[str, list[dict[str, object]]]] = {}
    for address in one.addresses:
        found[address] = await office.read_long(
            actor, partial(personal.collected, address=address), seconds=EXPORT_S
        )
    counts = {part.name: sum(len(about[part.name]) for about in found.values()) for part in PARTS}
    told = {f"{name} handed out": count for name, count in counts.items() if count}

    def work(connection: Connection) -> None:
        _note(connection, office, actor, f"request export {number}")
        now = _found(requests.find(connection, number))
        requests.update(connection, replace(now, proof={**now.proof, **told}))

    await office.store.database.commit(work)
    held = await letters(office, actor, found)
    return await asyncio.to_thread(
        packed, one, found, held, hostname=office.hostname, now=office.clock(), say=say
    )


# Erasure


async def plan(office: Office, actor: Actor, number: int) -> Plan:
    """What an erasure would do; nothing is changed. Raises NotAllowed or Impossible."""
    one = show(office, actor, number)
    return await office.read_long(actor, partial(_planned, addresses=one.addresses), seconds=EXPORT_S)


async def erase(office: Office, actor: Actor, number: int) -> Plan:
    """Erase what is kept about the addresses of an open request for erasure; what was done is kept as its proof.

    Raises NotAllowed, ProveAgain, or Impossible for another kind of request and for one that is closed.
    """
    office.insist_on_person(actor)
    show(office, actor, number)
    office.insist_on_proof(actor)

    def work(connection: Connection) -> tuple[Plan, list[str]]:
        one = _found(requests.find(connection, number))
        if one.kind not in (Kind.ERASURE, Kind.OBJECTION) or one.status is not Status.OPEN:
            raise Impossible("Only an open request for erasure, or an objection, is carried out so.")
        files: list[str] = []
        done: dict[str, Erased] = {}
        for address in one.addresses:
            for name, part in personal.erase(connection, address).items():
                files += part.files
                done[name] = _together(done.get(name), part)
        made = Plan(
            done, [each for address in one.addresses for each in holds.concerning(connection, address)]
        )
        requests.update(connection, replace(one, proof={**one.proof, **made.counts}))
        _note(
            connection,
            office,
            actor,
            f"request erase {number}",
            ", ".join(f"{k} {v}" for k, v in made.counts.items()),
        )
        return made, files

    made, files = await office.store.database.commit(work)
    office.store.forget(files)
    return made


def _planned(connection: Connection, addresses: Sequence[str]) -> Plan:
    parts: dict[str, Erased] = {}
    for address in addresses:
        for name, one in personal.planned(connection, address).items():
            parts[name] = _together(parts.get(name), one)
    found = {one.id: one for address in addresses for one in holds.concerning(connection, address)}
    return Plan(parts, list(found.values()))


def _together(one: Erased | None, other: Erased) -> Erased:
    if one is None:
        return replace(other, files=())
    kept = {why: one.kept.get(why, 0) + other.kept.get(why, 0) for why in {**one.kept, **other.kept}}
    return Erased(one.erased + other.erased, one.changed + other.changed, kept)


# Retention


def runs(office: Office, actor: Actor, *, limit: int = 30) -> list[RetentionRun]:
    """What the last runs of retention deleted. Raises NotAllowed."""
    if not (actor.may(Right.PRIVACY) or actor.may(Right.JOURNAL)):
        raise NotAllowed(NO_REQUEST)
    return office.store.database.read(lambda c: requests.runs(c, limit=limit))


# How


async def _change(
    office: Office, actor: Actor, number: int, verb: str, change: Callable[[DataRequest], DataRequest]
) -> DataRequest:
    office.insist(actor, Right.PRIVACY)

    def work(connection: Connection) -> DataRequest:
        one = _found(requests.find(connection, number))
        if one.status is not Status.OPEN:
            raise Impossible("The request is closed.")
        changed = change(one)
        requests.update(connection, changed)
        _note(connection, office, actor, f"{verb} {number}")
        return changed

    return await office.store.database.commit(work)


def _note(connection: Connection, office: Office, actor: Actor, what: str, why: str = "") -> None:
    made = office.why(actor, why[:2000])
    journal.append(connection, at=made.at, who=made.who, what=what, why=made.why)


def _found(one: DataRequest | None) -> DataRequest:
    if one is None:
        raise Impossible(NO_REQUEST)
    return one


def told(one: DataRequest) -> dict[str, object]:
    """A request for a program."""
    return {**asdict(one), "addresses": list(one.addresses), "proof": dict(one.proof)}

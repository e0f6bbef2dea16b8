"""What the data protection officer does: requests of data subjects, what is kept about an address, erasure, legal holds.

Everything takes `Right.PRIVACY`; what leaves the house takes `Right.EXPORT` too, and what cannot be undone a fresh proof.
Every act is in the journal, in the same commit; an erasure and the requests name nobody there, only their number.
"""

from __future__ import annotations

import calendar
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial

from gatepost.access.rights import Actor, Right
from gatepost.mail.address import normal_domain, parse_address
from gatepost.office.glass import may_take_out
from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.store import holds, journal, personal, requests
from gatepost.store.database import Connection
from gatepost.store.failures import StoreFailed
from gatepost.store.holds import LegalHold
from gatepost.store.personal import PARTS, WHY_KEPT, Erased
from gatepost.store.requests import DataRequest, Kind, RetentionRun, Status

ADDRESSES = 20
"""Of one request."""
LONGEST_NOTES = 4000
MOST_OCTETS = 64 << 20
"""Of held mail in one file; the rest is named only."""
FOLDER = re.compile(r"[^\w.@+-]")
"""What of an address is no part of a file's name."""
NO_REQUEST = "There is no such request."


def in_english(text: str, **values: object) -> str:
    """A text of ours with what is filled in."""
    return text % values if values else text


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
    office: Office, actor: Actor, *, kind: str, person: str, addresses: str, received_at: float | None = None, notes: str = ""
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
        year=day.year + years, month=month + 1, day=min(day.day, last), hour=23, minute=59, second=59, microsecond=0
    )
    return due.timestamp()


# Access


async def access_file(office: Office, actor: Actor, number: int, say: Callable[..., str] = in_english) -> bytes:
    """Everything that is kept about the addresses of a request, as a ZIP with an index; in the journal before it leaves.

    Held mail itself is in it for who may read content; others find it named. `say` puts the words of the index into a
    language. Raises NotAllowed, ProveAgain or Impossible.
    """
    office.insist(actor, Right.EXPORT)
    one = show(office, actor, number)
    office.insist_on_proof(actor)
    found: dict[str, dict[str, list[dict[str, object]]]] = {}
    for address in one.addresses:
        found[address] = await office.store.database.read_apart(partial(personal.collected, address=address))
    counts = {part.name: sum(len(about[part.name]) for about in found.values()) for part in PARTS}
    told = {f"{name} handed out": count for name, count in counts.items() if count}

    def work(connection: Connection) -> None:
        _note(connection, office, actor, f"request export {number}")
        now = _found(requests.find(connection, number))
        requests.update(connection, replace(now, proof={**now.proof, **told}))

    await office.store.database.commit(work)
    return packed(office, actor, one, found, say)


def packed(
    office: Office, actor: Actor, one: DataRequest, found: Mapping[str, Mapping[str, Sequence[dict[str, object]]]],
    say: Callable[..., str],
) -> bytes:
    """The ZIP: ``index.md`` for people, ``index.json`` with a SHA-256 of each file, a folder for each address."""  # fmt: skip
    files: dict[str, bytes] = {}
    for address, parts in found.items():
        folder = FOLDER.sub("_", address)
        for part in PARTS:
            rows = parts[part.name]
            if rows:
                text = json.dumps(rows, ensure_ascii=False, indent=1, default=str)
                files[f"{folder}/{part.name}.json"] = text.encode()
        files |= {f"{folder}/held/{ref}.eml": octets for ref, octets in _letters(office, actor, parts["held"])}
    lines = [
        f"# {say('What is kept about %(addresses)s', addresses=', '.join(one.addresses))}", "",
        say("Request %(number)s, answered by %(host)s on %(day)s.", number=one.id, host=office.hostname, day=_day(office.clock())),
        "", f"| {say('What')} | {say('Entries')} | {say('File')} |", "|---|---|---|",
    ]  # fmt: skip
    for address, parts in found.items():
        for part in PARTS:
            name = f"{FOLDER.sub('_', address)}/{part.name}.json"
            lines.append(f"| {say(part.about)} ({address}) | {len(parts[part.name])} | {name if name in files else '—'} |")
    lines += ["", say("Messages name the others they were exchanged with: their addresses are their own data too.")]
    index = {
        "request": one.id, "addresses": list(one.addresses), "made_at": _day(office.clock()), "made_by": office.hostname,
        "files": {name: {"octets": len(octets), "sha256": hashlib.sha256(octets).hexdigest()} for name, octets in files.items()},
    }  # fmt: skip
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.md", "\n".join(lines) + "\n")
        archive.writestr("index.json", json.dumps(index, ensure_ascii=False, indent=1))
        for name, octets in files.items():
            archive.writestr(name, octets)
    return made.getvalue()


def _letters(
    office: Office, actor: Actor, held: Sequence[dict[str, object]]
) -> list[tuple[str, bytes]]:
    """The held messages themselves, for who may read them."""
    if not actor.may(Right.CONTENT):
        return []
    room, letters = MOST_OCTETS, []
    for ref in dict.fromkeys(str(one["ref"]) for one in held if one["state"] in ("held", "requested")):
        if not may_take_out(actor, office.store.held(ref=ref)):
            continue
        try:
            octets = office.store.octets_of(ref)
        except (KeyError, StoreFailed):
            continue
        if len(octets) <= room:
            room -= len(octets)
            letters.append((ref, octets))
    return letters


# Erasure


async def plan(office: Office, actor: Actor, number: int) -> Plan:
    """What an erasure would do; nothing is changed. Raises NotAllowed or Impossible."""
    one = show(office, actor, number)
    return await office.store.database.read_apart(partial(_planned, addresses=one.addresses))


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
        made = Plan(done, [each for address in one.addresses for each in holds.concerning(connection, address)])
        requests.update(connection, replace(one, proof={**one.proof, **made.counts}))
        _note(connection, office, actor, f"request erase {number}", ", ".join(f"{k} {v}" for k, v in made.counts.items()))
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


# Holds


def holds_listed(office: Office, actor: Actor, *, released: bool = False) -> list[LegalHold]:
    """Those in force, the newest first; or all. Raises NotAllowed."""
    if not (actor.may(Right.PRIVACY) or actor.may(Right.JOURNAL)):
        office.insist(actor, Right.PRIVACY)
    return office.store.database.read(lambda c: holds.listed(c, released=released))


async def hold(
    office: Office, actor: Actor, whom: str, *, reason: str, case_number: str = "", since: float | None = None,
    until: float | None = None, ends_at: float | None = None,
) -> int:
    """Keep everything about an address, or about ``@domain``, from deletion; the number of the hold.

    Raises NotAllowed, or Impossible for what is no address or domain, without a reason, or with times the wrong way round.
    """  # fmt: skip
    office.insist(actor, Right.PRIVACY)
    address, domain = _address_or_domain(whom)
    if not reason.strip():
        raise Impossible("A hold takes a reason.")
    if since is not None and until is not None and since >= until:
        raise Impossible("The time begins after it ends.")
    if ends_at is not None and ends_at <= office.clock():
        raise Impossible("The hold would be over already.")
    one = LegalHold(
        domain=domain, address=address, since=since or 0.0, until=until or holds.ALWAYS, reason=reason.strip()[:500],
        case_number=case_number.strip()[:60], ends_at=ends_at,
    )  # fmt: skip
    return await office.store.database.commit(lambda c: holds.add(c, one, office.why(actor)))


async def release(office: Office, actor: Actor, number: int, *, reason: str) -> LegalHold:
    """End a hold: retention goes on. Raises NotAllowed, ProveAgain, or Impossible when there is none in force, or no reason."""
    office.insist(actor, Right.PRIVACY)
    office.insist_on_proof(actor)
    if not reason.strip():
        raise Impossible("Releasing a hold takes a reason.")
    gone = await office.store.database.commit(
        lambda c: holds.release(c, number, office.why(actor, reason.strip()[:500]))
    )
    if gone is None:
        raise Impossible("There is no such hold in force.")
    return gone


def insist_on_no_hold(office: Office, address: str) -> None:
    """Raises Impossible while a hold is in force over this address."""
    found = office.store.database.read(lambda c: holds.concerning(c, address))
    if found:
        raise Impossible(
            f"A legal hold is in force over {found[0].whom}: it must be released first, or nothing may be deleted."
        )


def _address_or_domain(whom: str) -> tuple[str, str]:
    text = whom.strip().strip("<>").lower()
    if "@" in text.lstrip("@"):
        one = parse_address(text, smtputf8=True)
        if one is not None:
            return str(one).lower(), one.domain
    domain = normal_domain(text.removeprefix("@"))
    if domain is None or "." not in domain:
        raise Impossible("A hold is over a whole address, or over a domain such as @example.net.")
    return "", domain


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


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def told(one: DataRequest) -> dict[str, object]:
    """A request for a program."""
    return {**asdict(one), "addresses": list(one.addresses), "proof": dict(one.proof)}


__all__ = ["WHY_KEPT", "Plan", "access_file", "close", "erase", "extend", "hold", "holds_listed", "insist_on_no_hold", "listed", "note",
           "plan", "register", "release", "runs", "show", "told"]  # fmt: skip

"""The quarantine's rows: what is held, what was asked for, what became of it. One state machine for all who use it.

A row outlives the mail: once it is decided its octets go (or follow a released copy into the queue), and the row
stays with its state as long as history does. Every change is in the journal, in the same commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gatepost.store import heldaccounts, holds, journal, messages, queue
from gatepost.store.database import Connection
from gatepost.store.journal import Why
from gatepost.store.json import encode
from gatepost.store.records import Held, NewDelivery


class State(StrEnum):
    """Where a held copy stands."""

    HELD = "held"
    REQUESTED = "requested"
    """Its recipient asked for it; a postmaster decides."""
    RELEASED = "released"
    DELETED = "deleted"
    EXPIRED = "expired"
    """Nobody decided in time."""


NEXT: Mapping[State, frozenset[State]] = {
    State.HELD: frozenset({State.REQUESTED, State.RELEASED, State.DELETED, State.EXPIRED}),
    State.REQUESTED: frozenset({State.HELD, State.RELEASED, State.DELETED, State.EXPIRED}),
    State.RELEASED: frozenset(),
    State.DELETED: frozenset(),
    State.EXPIRED: frozenset(),
}
"""Which state may follow which."""

WAITING = frozenset(state for state, following in NEXT.items() if following)
"""Undecided: the octets are here."""

VERB = {
    State.HELD: "deny",
    State.REQUESTED: "request",
    State.RELEASED: "release",
    State.DELETED: "delete",
    State.EXPIRED: "expire",
}
"""How the journal says that a state was reached."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A change that took place."""

    file: str | None = None
    """The reference whose spool file is to be removed after the commit, if any."""


def hold(
    connection: Connection, message: int, copy: NewDelivery, *, ref: str, sender: str, size: int, now: float
) -> None:
    """Keep one recipient's copy until a person decides or time is up."""
    connection.execute(
        "INSERT INTO quarantine (message, ref, sender, size, recipient, to_address, junk, original, held_at, reason,"
        " rule, category, state, changed_at, changed_by, changed_why)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'held', ?9, '', '')",
        (
            message, ref, sender, size, encode(copy.recipient), copy.to, copy.junk, copy.original, now, copy.reason,
            copy.rule, copy.category,
        ),
    )  # fmt: skip


COLUMNS = (
    "id, ref, sender, to_address, size, junk, original, held_at, reason, rule, category, state, changed_at, changed_by,"
    " changed_why"
)
NOW_HELD = "state IN ('held', 'requested')"
SLICE = 500
"""Numbers in one query."""


def find(
    connection: Connection,
    *,
    ref: str | None = None,
    to: str | None = None,
    before: int | None = None,
    limit: int = 100,
    state: State | None = None,
    decided: bool = False,
) -> list[Held]:
    """What is held, newest first: of one message, for one address, numbered below `before`, in one state.

    With `decided` also what was released, deleted or has expired.
    """
    wanted = "1" if decided or state is not None else NOW_HELD
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM quarantine"  # noqa: S608 - our own words
        " WHERE (?1 IS NULL OR ref = ?1) AND (?2 IS NULL OR lower(to_address) = lower(?2)) AND (?3 IS NULL OR id < ?3)"
        f" AND (?5 IS NULL OR state = ?5) AND {wanted} ORDER BY id DESC LIMIT ?4",
        (ref, to, before, limit, state),
    )
    return [held_from(row) for row in rows]


def numbered(connection: Connection, numbers: Sequence[int]) -> list[Held]:
    """The copies with these numbers, decided ones too, in the order of the numbers."""
    found: dict[int, Held] = {}
    for start in range(0, len(numbers), SLICE):
        part = numbers[start : start + SLICE]
        marks = ", ".join("?" * len(part))
        rows = connection.execute(f"SELECT {COLUMNS} FROM quarantine WHERE id IN ({marks})", tuple(part))  # noqa: S608
        found.update((row[0], held_from(row)) for row in rows)
    return [found[number] for number in dict.fromkeys(numbers) if number in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person looks for in the quarantine; all that is given must hold."""

    state: State | None = None
    """None: what is undecided."""
    category: str = ""
    to: str = ""
    """A recipient's address, or ``@domain``."""
    sender: str = ""
    """A part of the sender's address."""
    addresses: tuple[str, ...] | None = None
    """Only copies for these, lower case; None: for anybody."""
    decided: bool = False
    """Also what became of others, whatever their state."""
    without: str = ""
    """A category that is left out."""


def search(
    connection: Connection, wanted: Wanted, *, before: int | None = None, limit: int = 100
) -> list[Held]:
    """Copies that fit, newest first, numbered below `before`."""
    where, values = ["1"], list[Any]()
    if wanted.state is not None:
        where.append("state = ?")
        values.append(wanted.state)
    if wanted.state in WAITING or (wanted.state is None and not wanted.decided):
        where.append(NOW_HELD)  # in words that the partial index is made for
    if wanted.category:
        where.append("category = ?")
        values.append(wanted.category)
    if wanted.without:
        where.append("category <> ?")
        values.append(wanted.without)
    if wanted.to.startswith("@"):
        where.append("lower(to_address) LIKE ? ESCAPE '!'")
        values.append("%" + like(wanted.to))
    elif wanted.to:
        where.append("lower(to_address) = ?")
        values.append(wanted.to.lower())
    if wanted.sender:
        where.append("lower(sender) LIKE ? ESCAPE '!'")
        values.append(f"%{like(wanted.sender)}%")
    if wanted.addresses is not None:
        where.append(f"lower(to_address) IN ({', '.join('?' * len(wanted.addresses))})")
        values += wanted.addresses
    if before is not None:
        where.append("id < ?")
        values.append(before)
    rows = connection.execute(  # the pieces are our own; what is searched for is bound
        f"SELECT {COLUMNS} FROM quarantine WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?",  # noqa: S608
        [*values, limit],
    )
    return [held_from(row) for row in rows]


def tally(connection: Connection) -> dict[str, int]:
    """How many undecided copies are held as what."""
    rows = connection.execute(f"SELECT category, count(*) FROM quarantine WHERE {NOW_HELD} GROUP BY category")  # noqa: S608
    return {category: int(count) for category, count in rows}


def like(text: str) -> str:
    """A text as itself in a LIKE pattern."""
    return text.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")


def held_from(row: Any) -> Held:
    """A row as a record."""
    number, ref, sender, to, size, junk, original, held_at, reason, rule, category, state, *changed = row
    changed_at, changed_by, changed_why = changed
    return Held(
        id=number, ref=ref, sender=sender, to=to, size=size, junk=bool(junk), original=bool(original), held_at=held_at,
        reason=reason, rule=rule, category=category, state=state, changed_at=changed_at, changed_by=changed_by,
        changed_why=changed_why,
    )  # fmt: skip


def move(connection: Connection, number: int, state: State, why: Why) -> Moved | None:
    """Bring a copy into another state; None when it is not there, the table does not allow it, or a legal hold forbids to
    delete it.

    Released, it goes into the queue, due at once, for the inbox and unchanged: a person has looked.
    """
    row = connection.execute(
        "SELECT state, message, ref, recipient, to_address FROM quarantine WHERE id = ?", (number,)
    ).fetchone()
    if row is None or state not in NEXT[State(row[0])]:
        return None
    if state is State.DELETED and holds.copies_on_hold(connection, [number]):
        return None
    _, message, ref, recipient, to = row
    connection.execute(
        "UPDATE quarantine SET state = ?, changed_at = ?, changed_by = ?, changed_why = ?, message = ? WHERE id = ?",
        (state, why.at, why.who, why.why, message if state in WAITING else None, number),
    )
    journal.append(
        connection, at=why.at, who=why.who, what=f"quarantine {VERB[state]} <{to}>", why=why.why, subject=ref
    )
    if state is State.RELEASED:
        held = heldaccounts.held_because(connection, messages.account_of(connection, message))
        queue.add(
            connection,
            message,
            messages.RECIPIENT.decode(recipient),
            to,
            junk=False,
            now=why.at,
            held_because=held,
        )
    return Moved(None if state in WAITING else messages.drop_if_unused(connection, message))


def expire(connection: Connection, *, before: float, limit: int, at: float) -> tuple[int, list[str]]:
    """End at most `limit` copies held since before `before`. Returns how many, and spool files to remove."""
    rows = connection.execute(
        f"SELECT id FROM quarantine WHERE {NOW_HELD} AND held_at < ? AND {holds.QUARANTINE}"  # noqa: S608
        " ORDER BY held_at LIMIT ?",
        (before, limit),
    ).fetchall()
    why = Why("gatepost", "nobody decided in time", at)
    moved = [move(connection, number, State.EXPIRED, why) for (number,) in rows]
    return len(rows), [one.file for one in moved if one is not None and one.file is not None]


def forget(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` rows that were decided before `before`."""
    return int(
        connection.execute(
            "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine"  # noqa: S608 - our own words
            f" WHERE state NOT IN ('held', 'requested') AND changed_at < ? AND {holds.QUARANTINE} LIMIT ?)",
            (before, limit),
        ).rowcount
    )

"""What people taught the classifier, in order: taught twice counts once, taught the other way flips, and can be forgotten.

Kept are a digest and the features, which are numbers, not the message. Retention deletes old lessons; what was learnt
from them stays in the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gatepost.store import holds
from gatepost.store.database import Connection

COLUMNS = "number, at, content, owner, spam, was, how, who, ref, features"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLesson:
    """One message and what it is."""

    content: bytes
    """Digest of what it says: the same for every copy of it."""
    spam: bool | None
    """None: forget what was taught about it."""
    owner: str = ""
    """Whose lesson it is: an address of ours, lower case; empty for the site's own."""
    how: str
    """``command``, ``release``, ``moved`` or ``report``."""
    who: str
    """Who taught it, as the journal names people."""
    ref: str = ""
    """Of the message in history, where it came through the gate."""
    features: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A lesson as it was written down."""

    number: int
    at: float
    content: bytes
    owner: str
    spam: bool | None
    was: bool | None
    """What the message was to this owner before; None when nothing was known."""
    how: str
    who: str
    ref: str
    features: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What is known now, by the newest lesson of each message."""

    ham: int = 0
    spam: int = 0
    people: int = 0
    """Who taught lessons of their own."""
    last: int = 0
    """The number of the newest lesson."""


def add(connection: Connection, lesson: NewLesson, *, at: float) -> bool:
    """Write it down; False when that is known already (or, to be forgotten, was never taught)."""
    was = label(connection, lesson.content, lesson.owner)
    if was is lesson.spam:
        return False
    connection.execute(
        "INSERT INTO lessons (at, content, owner, spam, was, how, who, ref, features) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (at, lesson.content, lesson.owner, lesson.spam, was, lesson.how, lesson.who, lesson.ref, lesson.features),
    )  # fmt: skip
    return True


def label(connection: Connection, content: bytes, owner: str) -> bool | None:
    """What this content is to `owner`: unwanted, wanted, or None when nothing was taught."""
    row = connection.execute(
        "SELECT spam FROM lessons WHERE content = ? AND owner = ? ORDER BY number DESC LIMIT 1",
        (content, owner),
    ).fetchone()
    return None if row is None or row[0] is None else bool(row[0])


def label_of(connection: Connection, ref: str, owner: str) -> bool | None:
    """The same for a message that came through the gate."""
    row = connection.execute(
        "SELECT spam FROM lessons WHERE ref = ? AND owner = ? AND ref <> '' ORDER BY number DESC LIMIT 1",
        (ref, owner),
    ).fetchone()
    return None if row is None or row[0] is None else bool(row[0])


def after(connection: Connection, number: int, *, limit: int) -> list[Lesson]:
    """Lessons behind number `number`, in order."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM lessons WHERE number > ? ORDER BY number LIMIT ?",  # noqa: S608 - our own words
        (number, limit),
    )
    return [lesson_from(row) for row in rows]


def lesson_from(row: tuple[Any, ...]) -> Lesson:
    """A row of COLUMNS."""
    return Lesson(
        number=row[0], at=row[1], content=row[2], owner=row[3], spam=truth(row[4]), was=truth(row[5]),
        how=row[6], who=row[7], ref=row[8], features=row[9],
    )  # fmt: skip


def truth(value: int | None) -> bool | None:
    """A column that may be NULL."""
    return None if value is None else bool(value)


def given_since(connection: Connection, owner: str, since: float) -> int:
    """How many lessons a person gave since then."""
    (number,) = connection.execute(
        "SELECT count(*) FROM lessons WHERE owner = ? AND at >= ?", (owner, since)
    ).fetchone()
    return int(number)


def taught(connection: Connection) -> Taught:
    """What is known by now."""
    ham, spam = connection.execute(
        "SELECT coalesce(sum(spam = 0), 0), coalesce(sum(spam), 0) FROM lessons AS one WHERE NOT EXISTS"
        " (SELECT 1 FROM lessons AS newer WHERE newer.content = one.content AND newer.owner = one.owner"
        "  AND newer.number > one.number)"
    ).fetchone()
    (people,) = connection.execute("SELECT count(DISTINCT owner) FROM lessons WHERE owner <> ''").fetchone()
    return Taught(ham=ham, spam=spam, people=people, last=last_number(connection))


def last_number(connection: Connection) -> int:
    """Of the newest lesson, 0 without any."""
    (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM lessons").fetchone()
    return int(number)


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` lessons older than `before`."""
    return int(
        connection.execute(
            f"DELETE FROM lessons WHERE number IN (SELECT number FROM lessons WHERE at < ? AND {holds.LESSONS} LIMIT ?)",  # noqa: S608
            (before, limit),
        ).rowcount
    )


def standing(connection: Connection, content: bytes | None = None, *, upto: int = 1 << 62) -> list[Lesson]:
    """The newest lesson of each message and owner, in their order; those that were taken back are left out.

    Only of one message with `content`; as things stood behind lesson number `upto`.
    """
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM lessons AS one WHERE spam IS NOT NULL AND number <= ?1"  # noqa: S608 - our own words
        " AND (?2 IS NULL OR content = ?2) AND NOT EXISTS (SELECT 1 FROM lessons AS newer"
        " WHERE newer.content = one.content AND newer.owner = one.owner AND newer.number > one.number"
        " AND newer.number <= ?1) ORDER BY number",
        (upto, content),
    )
    return [lesson_from(row) for row in rows]


def of_owner(connection: Connection, owner: str, *, limit: int) -> list[Lesson]:
    """A person's newest lessons that hold, the oldest of them first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM lessons AS one WHERE owner = ?1 AND spam IS NOT NULL AND NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM lessons AS newer WHERE newer.content = one.content AND newer.owner = ?1"
        "  AND newer.number > one.number) ORDER BY number DESC LIMIT ?2",
        (owner, limit),
    ).fetchall()
    return [lesson_from(row) for row in reversed(rows)]


def by_owner(connection: Connection) -> dict[str, int]:
    """How many lessons each person has given."""
    return dict(
        connection.execute("SELECT owner, count(*) FROM lessons WHERE owner <> '' GROUP BY owner").fetchall()
    )


def trim(connection: Connection, *, kept: int, limit: int) -> int:
    """Delete at most `limit` of the oldest of each kind beyond the newest `kept`."""
    deleted = 0
    for spam in (0, 1, None):
        deleted += connection.execute(
            "DELETE FROM lessons WHERE number IN (SELECT number FROM lessons WHERE spam IS ?1 AND number <="
            " (SELECT number FROM lessons WHERE spam IS ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2) LIMIT ?3)",
            (spam, kept, limit),
        ).rowcount
    return deleted

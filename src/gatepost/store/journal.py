"""Who did what, and why: append-only and hash-chained, so that a changed, missing or moved entry shows.

Each entry's chain value is the SHA-256 of the one before, the entry's number, time and kind, and a salted digest of every
field that may name a person. Values and salts lie in a table beside: they can be erased, and the chain still holds. Cutting
off the newest entries can only be seen by somebody who kept an older `Head`: backups do, and `store.journalhead` signs them
to be sent away.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gatepost.store.database import Connection
from gatepost.store.json import encode

START = b"\0" * 32
LAST = 2**62
SALT = 16
ERASED = "(erased)"
"""What a person reads where a field was erased."""
FIELDS = ("who", "detail", "why", "subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One thing somebody did."""

    number: int
    at: float
    who: str
    what: str
    """Room and verb, such as ``quarantine release``, and what it was done to."""
    why: str
    subject: str
    """The reference of the message it was about; empty for none."""
    erased: tuple[str, ...] = ()
    """Fields that were erased: who, detail (what it was done to), why, subject."""


@dataclass(frozen=True, slots=True)
class Why:
    """What the journal keeps of an act, besides the act."""

    who: str
    why: str
    at: float


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry's number and chain value."""

    number: int
    chain: bytes


def append(connection: Connection, *, at: float, who: str, what: str, why: str, subject: str = "") -> Head:
    """Add an entry; belongs into the transaction of what it tells.

    The first two words of `what` are its kind and cannot be erased: no name may stand there.
    """
    last = head(connection)
    number, kind, detail = last.number + 1, *taken_apart(what)
    values = {"who": who, "detail": detail, "why": why, "subject": subject}
    salts = {name: os.urandom(SALT) for name, value in values.items() if value}
    digests = json.dumps({name: digest(salt, values[name]) for name, salt in salts.items()})
    chain = link(last.chain, number, float(at), kind, digests)
    connection.execute(
        "INSERT INTO journal (number, at, kind, digests, chain) VALUES (?, ?, ?, ?, ?)",
        (number, at, kind, digests, chain),
    )
    connection.executemany(
        "INSERT INTO journal_fields (number, name, value, salt) VALUES (?, ?, ?, ?)",
        [(number, name, values[name], salt) for name, salt in salts.items()],
    )
    return Head(number, chain)


def head(connection: Connection) -> Head:
    """Where the chain ends now."""
    row = connection.execute("SELECT number, chain FROM journal ORDER BY number DESC LIMIT 1").fetchone()
    return Head(*row) if row else anchor(connection)


def anchor(connection: Connection) -> Head:
    """Where the chain begins: after what retention deleted, or at the very start."""
    row = connection.execute("SELECT number, chain FROM journal_anchor").fetchone()
    return Head(*row) if row else Head(0, START)


def read(
    connection: Connection,
    *,
    subject: str | None = None,
    about: str | None = None,
    who: str | None = None,
    kind: str | None = None,
    since: float | None = None,
    until: float | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[JournalEntry]:
    """Entries, newest first: those about the message `subject`, by `who`, of one `kind`, between two times; below `before`.

    `about` is an address or a name: entries that name it, and those about messages from or to it.
    """
    wanted, given = ["number < ?"], [LAST if before is None else before]
    for condition, value in (
        (
            "number IN (SELECT number FROM journal_fields WHERE name = 'subject' AND value = ?)",
            subject or None,
        ),
        (
            "number IN (SELECT value FROM json_each(?))",
            json.dumps(sorted(numbers_about(connection, about))) if about else None,
        ),
        ("number IN (SELECT number FROM journal_fields WHERE name = 'who' AND value = ?)", who),
        ("kind = ?", kind),
        ("at >= ?", since),
        ("at < ?", until),
    ):
        if value is not None:
            wanted.append(condition)
            given.append(value)  # type: ignore[arg-type]
    if subject == "":
        return []
    rows = connection.execute(
        f"{_ROWS} WHERE {' AND '.join(wanted)} ORDER BY number DESC LIMIT ?",
        (*given, limit),
    )
    return [_row(*row).entry for row in rows]


def subjects(connection: Connection, kind: str) -> set[str]:
    """What acts of this kind were about."""
    rows = connection.execute(
        "SELECT DISTINCT value FROM journal JOIN journal_fields USING (number) WHERE kind = ? AND name = 'subject'",
        (kind,),
    )
    return {value for (value,) in rows if value}


def verify(connection: Connection, *kept: Head, seen: Callable[[int], None] = lambda _: None) -> str | None:
    """None when every entry is as it was written, else one sentence about the first that is not.

    `kept` are heads somebody put away earlier: they must still be in the chain. Those from before what retention deleted
    say nothing any more. `seen` is told the number of each entry that was looked at.
    """
    last = anchor(connection)
    known = {one.number: one.chain for one in kept}
    other = "journal entry {} is another than the one known from earlier"
    if len(known) != len({(one.number, one.chain) for one in kept}):
        return "of the heads known from earlier two have one number and are not the same"
    if known.get(last.number, last.chain) != last.chain:
        return other.format(last.number)
    for row in _rows(connection):
        if row.number != last.number + 1:
            return f"journal entry {last.number + 1} is missing"
        if not row.follows(last.chain):
            return f"journal entry {row.number} was changed after it was written"
        last = Head(row.number, row.chain)
        seen(row.number)
        if known.get(last.number, last.chain) != last.chain:
            return other.format(last.number)
    beyond = [number for number in known if number > last.number]
    if beyond:
        return f"journal entry {max(beyond)} is known from earlier and is missing"
    return None


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` of the oldest entries and move the anchor behind them. The chain has no gaps: what follows an
    entry about somebody on hold stays with it.
    """
    rows = connection.execute(
        "SELECT number, chain, at FROM journal ORDER BY number LIMIT ?", (limit,)
    ).fetchall()
    old = 0
    kept = first_on_hold(connection)
    while old < len(rows) and rows[old][2] < before and rows[old][0] < kept:
        old += 1
    if old:
        number, chain, _ = rows[old - 1]
        connection.execute("DELETE FROM journal WHERE number <= ?", (number,))
        connection.execute("DELETE FROM journal_fields WHERE number <= ?", (number,))
        connection.execute("DELETE FROM journal_anchor")
        connection.execute("INSERT INTO journal_anchor VALUES (?, ?)", (number, chain))
    return old


def first_on_hold(connection: Connection) -> int:
    """The number of the oldest entry that names somebody on hold, LAST without any."""
    from gatepost.store.holds import names_in_journal  # which writes into the journal itself

    names = names_in_journal(connection)
    if names is None:
        return LAST
    rows = connection.execute("SELECT number, value FROM journal_fields ORDER BY number")
    return next((number for number, value in rows if names.search(value)), LAST)


def erase(connection: Connection, person: str) -> int:
    """Erase every field that names this person (an address, a login or a name, as a whole word), and from where and with what
    they signed in; how many.

    Number, time and kind of each entry stay, and the chain holds. The caller writes that it was done, without the name.
    What was erased from the file's pages is overwritten; backups of before have it still.
    """
    found = set(naming(connection, person))
    where_from = connection.execute(
        "SELECT number FROM journal JOIN journal_fields USING (number) WHERE kind LIKE 'sign-%' AND name = 'why'"
    )
    found |= {(number, "why") for (number,) in where_from if (number, "who") in found}
    connection.execute("PRAGMA secure_delete = ON")
    connection.executemany("DELETE FROM journal_fields WHERE number = ? AND name = ?", sorted(found))
    connection.execute("PRAGMA secure_delete = OFF")
    return len(found)


def naming(connection: Connection, person: str) -> Iterator[tuple[int, str]]:
    """Number and field of what names this person (an address, a login or a name) as a whole word."""
    if not person:
        return
    whole = re.compile(rf"(?<![\w.+@-]){re.escape(person)}(?![\w@-]|\.\w)", re.IGNORECASE)
    # Only ASCII has one lower case that SQLite knows, too: then few rows are left to look at closely.
    part = person.lower() if person.isascii() else ""
    rows = connection.execute(
        "SELECT number, name, value FROM journal_fields WHERE instr(lower(value), ?)", (part,)
    )
    for number, name, value in rows:
        if whole.search(value):
            yield number, name


def numbers_about(connection: Connection, person: str) -> set[int]:
    """Entries that name this person, and those about messages on record that came from or went to this address."""
    found = {number for number, _ in naming(connection, person)}
    local, _, domain = person.lower().rpartition("@")
    if local and domain:
        rows = connection.execute(
            "SELECT number FROM journal_fields WHERE name = 'subject' AND value IN (SELECT ref FROM history"
            " WHERE sender = ?1 UNION SELECT h.ref FROM history_recipients r JOIN history h ON h.id = r.history"
            " WHERE r.recipient = ?1)",
            (f"{domain} {local}",),
        )
        found |= {number for (number,) in rows}
    return found


def count_erased(connection: Connection) -> int:
    """How many fields were erased from what is there."""
    return sum(len(row.erased) for row in _rows(connection))


def export(connection: Connection) -> Iterator[dict[str, object]]:
    """The whole journal as records for JSON: the anchor, then each entry with what it takes to verify it, oldest first."""
    begins = anchor(connection)
    yield {"anchor": {"number": begins.number, "chain": begins.chain.hex()}}
    for row in _rows(connection):
        yield {
            "number": row.number,
            "at": row.at,
            "kind": row.kind,
            "fields": {
                name: {"value": value, "salt": row.salts[name].hex()}
                for name, value in row.values.items()
                if value
            },
            "digests": row.digests,
            "erased": list(row.erased),
            "chain": row.chain.hex(),
        }


def taken_apart(what: str) -> tuple[str, str]:
    """Kind and detail: two words at most are the kind, and none that may be an address."""
    words: list[str] = []
    for word in what.split(" ", 2)[:2]:
        if "@" in word or "<" in word:
            break
        words.append(word)
    kind = " ".join(words)
    return kind, what[len(kind) + 1 :] if kind else what


def digest(salt: bytes, value: str) -> str:
    """What the chain keeps of a field."""
    return hashlib.sha256(salt + value.encode("utf-8", "replace")).hexdigest()


def link(chain: bytes, number: int, at: float, kind: str, digests: str) -> bytes:
    """The chain value of an entry after the one before."""
    return hashlib.sha256(chain + encode([number, at, kind, digests])).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unsalted:
    """An entry as it was chained before its fields were salted."""

    number: int
    at: float
    who: str
    what: str
    why: str
    subject: str


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    at: float
    kind: str
    digests: str | None
    chain: bytes
    values: dict[str, str]
    salts: dict[str, bytes]

    @property
    def erased(self) -> tuple[str, ...]:
        there = FIELDS if self.digests is None else _digests(self.digests)
        return tuple(name for name in FIELDS if name in there and name not in self.values)

    @property
    def entry(self) -> JournalEntry:
        erased = self.erased
        told = {name: ERASED if name in erased else self.values.get(name, "") for name in FIELDS}
        return JournalEntry(
            number=self.number,
            at=self.at,
            who=told["who"],
            what=" ".join(word for word in (self.kind, told["detail"]) if word),
            why=told["why"],
            subject=told["subject"],
            erased=erased,
        )

    def follows(self, chain: bytes) -> bool:
        """Is it as it was written, after the entry with this chain value?"""
        if self.digests is None:
            return bool(self.erased) or self._follows_unsalted(chain)
        kept = _digests(self.digests)
        whole = all(kept.get(name) == digest(self.salts[name], value) for name, value in self.values.items())
        return whole and self.chain == link(chain, self.number, self.at, self.kind, self.digests)

    def _follows_unsalted(self, chain: bytes) -> bool:
        entry = self.entry
        unsalted = _Unsalted(
            number=self.number,
            at=self.at,
            who=entry.who,
            what=entry.what,
            why=entry.why,
            subject=entry.subject,
        )
        return self.chain == hashlib.sha256(chain + encode(unsalted)).digest()


def _digests(text: str) -> dict[str, str]:
    """By field; none of what somebody wrote there by hand."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_ROWS = (
    "SELECT number, at, kind, digests, chain,"
    " (SELECT json_group_object(name, json_array(value, hex(salt))) FROM journal_fields f WHERE f.number = j.number)"
    " FROM journal j"
)


def _rows(connection: Connection) -> Iterator[_Row]:
    """All of them, oldest first; also of a backup from before fields lay apart."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'journal_fields'").fetchone():
        for row in connection.execute(f"{_ROWS} ORDER BY number"):
            yield _row(*row)
        return
    for number, at, who, what, why, subject, chain in connection.execute(
        "SELECT number, at, who, what, why, subject, chain FROM journal ORDER BY number"
    ):
        values = dict(zip(FIELDS, (who, "", why, subject), strict=True))
        yield _Row(number, at, what, None, chain, values, dict.fromkeys(FIELDS, b""))


def _row(*row: Any) -> _Row:
    number, at, kind, digests, chain, fields = row
    found: dict[str, tuple[str, str]] = json.loads(fields)
    values = {name: value for name, (value, _) in found.items()}
    salts = {name: bytes.fromhex(salt) for name, (_, salt) in found.items()}
    return _Row(number, at, kind, digests, chain, values, salts)

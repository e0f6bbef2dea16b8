"""Legal holds: data about an address or a domain that is not deleted before somebody releases the hold.

Retention, erasure and deletion by people each add one condition to their SQL: `free` and what it is given name the columns
that hold an address. Without a hold in force that condition looks at an empty index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gatepost.mail.address import Address
from gatepost.store import journal
from gatepost.store.database import Connection
from gatepost.store.journal import Why

ALWAYS = 1e12
"""Later than any moment of ours, Unix seconds."""
COLUMNS = (
    "id, domain, address, since, until, reason, case_number, made_by, made_at, ends_at, released_at, released_by,"
    " released_why"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHold:
    """One hold, in force or released."""

    id: int = 0
    domain: str
    """Lower case."""
    address: str = ""
    """Empty: everybody of the domain."""
    since: float = 0.0
    until: float = ALWAYS
    """Only what is from between these two moments, Unix seconds; `until` is not included."""
    reason: str
    case_number: str = ""
    made_by: str = ""
    made_at: float = 0.0
    ends_at: float | None = None
    """When it is released by itself; None: when somebody does."""
    released_at: float | None = None
    released_by: str = ""
    released_why: str = ""

    @property
    def whom(self) -> str:
        """The address, or ``@domain``."""
        return self.address or f"@{self.domain}"

    def concerns(self, address: str) -> bool:
        """Is data about this address held, of some time at least?"""
        asked = address.lower()
        return asked == self.address if self.address else asked.rpartition("@")[2] == self.domain


def add(connection: Connection, hold: LegalHold, why: Why) -> int:
    """Put a hold in force; its number."""
    key = ""
    if hold.address:
        local, _, domain = hold.address.rpartition("@")
        key = f"{domain} {Address(local, domain).key.rpartition('@')[0]}"
    number = connection.execute(
        "INSERT INTO legal_holds (domain, address, key, since, until, reason, case_number, made_by, made_at, ends_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (hold.domain, hold.address, key, hold.since, hold.until, hold.reason, hold.case_number, why.who, why.at, hold.ends_at),
    ).lastrowid  # fmt: skip
    assert number is not None
    journal.append(
        connection, at=why.at, who=why.who, what=f"hold make {number} <{hold.whom}>", why=hold.reason
    )
    return int(number)


def release(connection: Connection, number: int, why: Why) -> LegalHold | None:
    """End a hold; None when there is none in force with this number."""
    found = find(connection, number)
    if found is None or found.released_at is not None:
        return None
    connection.execute(
        "UPDATE legal_holds SET released_at = ?, released_by = ?, released_why = ? WHERE id = ?",
        (why.at, why.who, why.why, number),
    )
    journal.append(
        connection, at=why.at, who=why.who, what=f"hold release {number} <{found.whom}>", why=why.why
    )
    return found


def release_due(connection: Connection, now: float) -> int:
    """End those whose time has come; how many."""
    rows = connection.execute(
        "SELECT id FROM legal_holds WHERE released_at IS NULL AND ends_at <= ?", (now,)
    ).fetchall()
    for (number,) in rows:
        release(connection, number, Why("gatepost", "its time was up", now))
    return len(rows)


def find(connection: Connection, number: int) -> LegalHold | None:
    """The one with this number."""
    row = connection.execute(f"SELECT {COLUMNS} FROM legal_holds WHERE id = ?", (number,)).fetchone()  # noqa: S608
    return _hold(row) if row else None


def listed(connection: Connection, *, released: bool = False) -> list[LegalHold]:
    """Those in force, the newest first; or all with `released`."""
    wanted = "1" if released else "released_at IS NULL"
    rows = connection.execute(f"SELECT {COLUMNS} FROM legal_holds WHERE {wanted} ORDER BY id DESC")  # noqa: S608
    return [_hold(row) for row in rows]


def concerning(connection: Connection, address: str) -> list[LegalHold]:
    """Those in force over this address."""
    return [one for one in listed(connection) if one.concerns(address)]


def copies_on_hold(connection: Connection, numbers: list[int]) -> set[int]:
    """Which of these copies of the quarantine may not be deleted."""
    if not listed(connection):
        return set()
    marks = ", ".join("?" * len(numbers))
    rows = connection.execute(
        f"SELECT id FROM quarantine WHERE id IN ({marks}) AND NOT ({QUARANTINE})",  # noqa: S608 - our own words
        numbers,
    )
    return {number for (number,) in rows}


def over_message(connection: Connection, ref: str) -> bool:
    """Is a hold in force over the facts about this message?"""
    row = connection.execute(
        f"SELECT NOT ({HISTORY}) FROM history h WHERE h.ref = ?",  # noqa: S608 - our own words
        (ref,),
    ).fetchone()
    return bool(row and row[0])


def names_in_journal(connection: Connection) -> re.Pattern[str] | None:
    """What an entry of the journal holds when it is about somebody on hold; None without a hold."""
    names = [
        rf"(?<![\w.+@-]){re.escape(one.address)}(?![\w@-]|\.\w)" if one.address else rf"@{re.escape(one.domain)}(?![\w-]|\.\w)"
        for one in listed(connection)
    ]  # fmt: skip
    return re.compile("|".join(names), re.IGNORECASE) if names else None


# Conditions. `l` is the hold.


def free(at: str, *conditions: str) -> str:
    """SQL: no hold is in force over a row from the moment `at` of which one of the conditions holds."""
    return (
        "NOT EXISTS (SELECT 1 FROM legal_holds l WHERE l.released_at IS NULL"  # noqa: S608 - our own words
        f" AND {at} >= l.since AND {at} < l.until"
        f" AND ({' OR '.join(conditions)}))"
    )


def named(column: str) -> str:
    """SQL: the column holds the address on hold, or one of the domain on hold, or that domain itself."""
    return (
        f"(l.address <> '' AND lower({column}) = l.address) OR (l.address = '' AND (lower({column}) = l.domain"
        f" OR substr(lower({column}), -length(l.domain) - 1) = '@' || l.domain))"
    )


def keyed(column: str) -> str:
    """The same of a column as history indexes addresses."""
    return (
        f"(l.key <> '' AND {column} = l.key)"
        f" OR (l.key = '' AND substr({column}, 1, length(l.domain) + 1) = l.domain || ' ')"
    )


def of_account(column: str) -> str:
    """The same of a column with an account's number, by its login and its addresses."""
    return (
        f"EXISTS (SELECT 1 FROM accounts a WHERE a.id = {column} AND ({named('a.login')}))"  # noqa: S608 - our own words
        f" OR EXISTS (SELECT 1 FROM account_addresses x WHERE x.account = {column} AND ({named('x.address')}))"
    )


HISTORY = free(
    "h.at", keyed("h.sender"), named("h.account"),
    "(l.key <> '' AND EXISTS (SELECT 1 FROM history_recipients r WHERE r.recipient = l.key AND r.at = h.at AND r.history = h.id))",
    "(l.key = '' AND instr(h.recipient_domains, ' ' || l.domain || ' '))",
)  # fmt: skip
"""Of ``history h``."""
TO = "json_extract(CAST(t.facts AS TEXT), '$.to')"
"""Of an attempt: whom it was to be delivered to."""
QUARANTINE = free("held_at", named("to_address"), named("sender"))
_OF_HELD = f"EXISTS (SELECT 1 FROM history h WHERE h.ref = t.ref AND NOT ({HISTORY}))"  # noqa: S608 - our own words
ATTEMPTS = f"{free('t.at', named(TO))} AND NOT {_OF_HELD}"
"""Of ``attempts t``."""
VIEWS = free("at", named("owner"))
GLASS = free("asked_at", named("owner"))
CORRESPONDENTS = free("l.since", named("identity"), "(l.address = '' AND lower(recipient_domain) = l.domain)")
LESSONS = free("at", named("owner"), named("who"))
ENTRIES = free("entries.made_at", named("identity"), named("recipient"), named("owner"))
SIGN_INS = free("at", of_account("sign_ins.account"))
APP_PASSWORDS = free("app_passwords.made_at", of_account("app_passwords.account"))
API_TOKENS = free("api_tokens.made_at", of_account("api_tokens.account"))


def _hold(row: tuple[object, ...]) -> LegalHold:
    names = (
        "id", "domain", "address", "since", "until", "reason", "case_number", "made_by", "made_at", "ends_at",
        "released_at", "released_by", "released_why",
    )  # fmt: skip
    return LegalHold(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]

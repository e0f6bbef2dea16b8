"""Every message and every refused attempt, with its facts: what explain, plan and the console read.

The facts are JSON; what is searched for stands beside them, and in `gist.py`. Addresses are indexed as "domain
local-part" in lower case, so that one index answers for an address and for a whole domain. `searching.py` finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gatepost.mail.address import Address
from gatepost.mail.verdict import SEVERITY, Action
from gatepost.store import gist, holds, numbers
from gatepost.store.database import Connection
from gatepost.store.json import decode_entry, encode
from gatepost.store.records import HistoryEntry

LONGEST_KEY = 320
"""Characters of an identifier that are indexed; the rest of a monstrous one is in the facts only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for; all that is given must hold. Addresses may be whole, or ``@domain``."""

    ref: str | None = None
    """The whole reference or its first characters."""
    sender: str | None = None
    """An address, ``@domain``, or ``<>`` for the null sender."""
    recipient: str | None = None
    client_ip: str | None = None
    message_id: str | None = None
    """With or without its angle brackets."""
    action: Action | None = None
    """The strictest action over the recipients."""
    kind: str | None = None
    rule: str = ""
    """A deciding rule, for any of the recipients, or the beginning of one."""
    subject: str = ""
    """Words within the subject, as they follow each other there; capitals do not matter."""
    outgoing: bool = False
    """Only what our own people and machines handed in."""
    account: str | None = None
    """Of these only one's: a login, or a machine's address."""
    since: float | None = None
    until: float | None = None
    """Unix seconds; `since` is included, `until` is not."""

    @property
    def narrow(self) -> bool:
        """Does it ask for more than a kind, an action and a time?"""
        return any(
            (self.ref, self.sender is not None, self.recipient, self.client_ip, self.message_id, self.rule, self.subject,
             self.outgoing, self.account is not None)
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page of results ended."""

    at: float
    id: int


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, and where to go on; None at the end."""

    entries: tuple[HistoryEntry, ...]
    next: Cursor | None
    until: float | None = None
    """The moment of the oldest message looked at, where the look ended before the page was full; `next` goes on there."""


def insert(connection: Connection, entry: HistoryEntry) -> None:
    """Add one entry. Raises IntegrityError when its reference is taken."""
    numbers.count(connection, (insert_uncounted(connection, entry),))


def insert_uncounted(connection: Connection, entry: HistoryEntry) -> list[numbers.Counter]:
    """The same for one of several that share a commit: what it returns goes to `numbers.count` with that of the others."""
    recipients = {address_key(recipient.address) for recipient in entry.envelope.recipients}
    action, sender = action_of(entry), address_key(entry.envelope.sender)
    domains = f" {' '.join({key.partition(' ')[0] for key in recipients})} "
    account = entry.client.account.lower()[:LONGEST_KEY]
    cursor = connection.execute(
        "INSERT INTO history (ref, at, kind, action, sender, client, message_id, recipient_domains, facts, account)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.ref,
            entry.at,
            entry.kind,
            action,
            sender,
            str(entry.client.ip or ""),
            bare_id(entry.message_id),
            domains,
            encode(entry),
            account,
        ),
    )
    number = cursor.lastrowid
    assert number is not None
    gist.insert(connection, number, entry, action=action, sender=sender, domains=domains, account=account)
    for recipient in recipients:
        connection.execute("INSERT INTO history_recipients VALUES (?, ?, ?)", (recipient, entry.at, number))
    return numbers.counters(entry, action)


def entry(connection: Connection, ref: str) -> HistoryEntry | None:
    """The entry with this very reference."""
    row = connection.execute("SELECT facts FROM history WHERE ref = ?", (ref,)).fetchone()
    return decode_entry(row[0]) if row else None


def since(connection: Connection, at: float, *, slice_rows: int = 500) -> Iterator[HistoryEntry]:
    """Everything from `at` on, oldest first, read in slices so that millions fit."""
    position: tuple[float, int] = (at, -1)
    while True:
        rows = connection.execute(
            "SELECT g.at, g.id, h.facts FROM history_gist g CROSS JOIN history h ON h.id = g.id"
            " WHERE (g.at, g.id) > (?, ?) ORDER BY g.at, g.id LIMIT ?",
            (*position, slice_rows),
        ).fetchall()
        for _, _, facts in rows:
            yield decode_entry(facts)
        if len(rows) < slice_rows:
            return
        position = rows[-1][0], rows[-1][1]


def counts(
    connection: Connection, *, since: float, until: float, step_s: float
) -> dict[tuple[float, str, str], int]:
    """How many entries in each step of time: {(start of the step, kind, action): number}."""
    rows = connection.execute(
        "SELECT CAST((at - ?1) / ?3 AS INTEGER) AS step, kind, action, count(*) FROM history_gist"
        " WHERE at >= ?1 AND at < ?2 GROUP BY step, kind, action",
        (since, until, step_s),
    )
    return {(since + step * step_s, kind, action): number for step, kind, action, number in rows}


def action_of(entry: HistoryEntry) -> str:
    """The strictest action over the recipients; for what was turned down before a verdict, what the reply says."""
    actions = [judged.verdict.action for judged in entry.judged]
    if Action.DEFER in actions:
        return Action.DEFER.value
    if actions:
        return max(actions, key=SEVERITY.__getitem__).value
    return {"4": Action.DEFER, "2": Action.DELIVER}.get(entry.reply[:1], Action.REFUSE).value


def address_key(address: Address | None) -> str:
    """How an address is indexed; the null sender is empty."""
    if address is None:
        return ""
    local = address.key.rpartition("@")[0]
    return f"{address.domain} {local}"[:LONGEST_KEY]


def typed_key(text: str) -> str:
    """The same for an address as a person typed it."""
    local, _, domain = text.strip().strip("<>").rpartition("@")
    if not local and not domain:
        return ""
    return address_key(Address(local.strip('"'), domain.lower()))


def bare_id(message_id: str) -> str:
    """A Message-ID without its angle brackets."""
    return message_id.strip().removeprefix("<").removesuffix(">")[:LONGEST_KEY]


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` of the oldest entries that are older than `before`."""
    rows = connection.execute(
        "SELECT g.at, g.id, h.facts FROM history_gist g CROSS JOIN history h ON h.id = g.id WHERE g.at < ?"  # noqa: S608
        f" AND {holds.HISTORY} ORDER BY g.at, g.id LIMIT ?",
        (before, limit),
    ).fetchall()
    for at, number, facts in rows:
        for recipient in decode_entry(facts).envelope.recipients:
            connection.execute(
                "DELETE FROM history_recipients WHERE recipient = ? AND at = ? AND history = ?",
                (address_key(recipient.address), at, number),
            )
        connection.execute("DELETE FROM history WHERE id = ?", (number,))
        connection.execute("DELETE FROM history_gist WHERE at = ? AND id = ?", (at, number))
    return len(rows)


def expire_attempts(connection: Connection, *, before: float, limit: int) -> int:
    """The same for delivery attempts, which are stored in the order they happened."""
    rows = connection.execute(
        f"SELECT id, at FROM attempts t WHERE {holds.ATTEMPTS} ORDER BY id LIMIT ?",  # noqa: S608 - our own words
        (limit,),
    ).fetchall()
    old = [(number,) for number, at in rows if at < before]
    connection.executemany("DELETE FROM attempts WHERE id = ?", old)
    return len(old)

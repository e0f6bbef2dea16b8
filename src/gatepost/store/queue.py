"""The queue's SQL: add, claim under a lease, settle; and what a person may do to it.

Functions over a connection, to be run inside `Database.commit` or `Database.read`. Whom to deliver to, how
often and how many at once is `delivery`'s business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gatepost.mail.client import Recipient
from gatepost.mail.verdict import Change
from gatepost.store import messages
from gatepost.store.database import Connection
from gatepost.store.json import encode
from gatepost.store.records import DeliveryAttempt, Done, Failed, Hold, Queued, QueueItem, RetryAt, Settlement

ATTEMPT = msgspec.json.Decoder(DeliveryAttempt)
READ_ALONG_OCTETS = 16 * 1024
"""Messages up to this size come with the claim of a copy."""
LOOKED_AT = 100_000
"""Copies that are sorted by their domains."""
MOST_NUMBER = 2**63 - 1
DUE = "SELECT due_at, id, to_address, message FROM queue WHERE held_because IS NULL AND"
CHANGES = msgspec.json.Decoder(tuple[Change, ...])
SHOWN = (
    "SELECT q.id, m.ref, m.envelope, q.to_address, m.size, q.junk, q.created_at, q.due_at, q.worker, q.attempts,"
    " q.held_because FROM queue q JOIN messages m ON m.id = q.message"
)


def add(
    connection: Connection,
    message: int,
    recipient: Recipient,
    to: str,
    *,
    junk: bool,
    now: float,
    changes: tuple[Change, ...] = (),
    held_because: str | None = None,
) -> None:
    """One recipient's copy, due at once unless it is held."""
    connection.execute(
        "INSERT INTO queue (message, recipient, to_address, junk, created_at, due_at, changes, held_because)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (message, encode(recipient), to, junk, now, now, encode(changes) if changes else None, held_because),
    )


def due(
    connection: Connection,
    *,
    now: float,
    limit: int,
    start: tuple[float, int] | None = None,
    end: tuple[float, int] | None = None,
) -> list[tuple[float, int, str, int]]:
    """When it fell due, number, address and message (its number) of copies that nobody has claimed, the longest due first.

    `start` (the first that counts) and `end` (the first that does not) are time and number of a copy.
    """
    since, number = (float("-inf"), 0) if start is None else start
    until, last = (now, MOST_NUMBER) if end is None else end
    # Each of the two finds its first row by the index; one condition for both would read all that fell due with the first.
    rows: list[tuple[float, int, str, int]] = connection.execute(
        f"{DUE} due_at = ? AND id >= ? ORDER BY id LIMIT ?", (since, number, limit)
    ).fetchall()
    rows += connection.execute(
        f"{DUE} due_at > ? AND due_at <= ? ORDER BY due_at, id LIMIT ?",
        (since, min(until, now), limit - len(rows)),
    ).fetchall()
    if end is not None:
        rows = [row for row in rows if row[:2] < (until, last)]
    return rows


def claim(
    connection: Connection,
    *,
    now: float,
    limit: int,
    lease_s: float,
    worker: str,
    only: Sequence[int] | None = None,
) -> list[QueueItem]:
    """Take at most `limit` due copies, the longest due first, or of `only` these; nobody else gets them until the lease ends."""
    until = now + lease_s
    if only is None:
        only = [number for _, number, *_ in due(connection, now=now, limit=limit)]
    taken = connection.execute(
        "UPDATE queue SET due_at = ?1, worker = ?2 WHERE id IN (SELECT value FROM json_each(?3))"
        " AND held_because IS NULL AND due_at <= ?4 RETURNING id",
        (until, worker, encode(only[:limit]).decode(), now),
    ).fetchall()
    rows = connection.execute(
        "SELECT q.id, q.recipient, q.to_address, q.junk, q.attempts, q.created_at, q.delay_told, q.changes,"
        " m.ref, m.envelope, m.may_bounce, m.account, m.added_header, m.removed_fields,"
        " iif(m.size <= ? AND m.key_id IS NULL, m.octets, NULL)"
        " FROM queue q JOIN messages m ON m.id = q.message WHERE q.id IN (SELECT value FROM json_each(?)) ORDER BY q.id",
        (READ_ALONG_OCTETS, encode([number for (number,) in taken]).decode()),
    ).fetchall()
    return [item_from(connection, row, until) for row in rows]


def item_from(connection: Connection, row: Any, until: float) -> QueueItem:
    """A claimed row with what its message and its earlier attempts say."""
    number, recipient, to, junk, attempts, created_at, delay_told, changes, *message = row
    ref, envelope, may_bounce, account, added, removed, octets = message
    known = messages.ENVELOPE.decode(envelope)
    return QueueItem(
        id=number,
        ref=ref,
        sender=str(known.sender) if known.sender else "",
        recipient=messages.RECIPIENT.decode(recipient),
        to=to,
        junk=bool(junk),
        attempts=attempts,
        created_at=created_at,
        envelope=known,
        may_bounce=bool(may_bounce),
        lease_until=until,
        changes=CHANGES.decode(changes) if changes else (),
        account=account,
        delay_told=bool(delay_told),
        history=tuple(attempts_of(connection, ref, to)) if attempts else (),
        octets=None
        if octets is None
        else messages.copy_for_delivery(
            octets, added, messages.SPANS.decode(removed) if removed != b"[]" else ()
        ),
    )


def settle_all(connection: Connection, settlements: Sequence[Settlement]) -> list[str]:
    """Write down what came of claims. Returns the references whose spool files are to be removed.

    A copy delivered under a lease that has ended is still delivered, so that Done always counts; every other
    outcome is ignored when somebody else holds the copy by now.
    """
    connection.executemany(
        "INSERT INTO attempts (ref, at, facts) VALUES (?, ?, ?)",
        [
            (one.item.ref, one.attempt.at, encode(one.attempt))
            for one in settlements
            if one.attempt is not None
        ],
    )
    done = [one.item.id for one in settlements if isinstance(one.outcome, Done)]
    others = [one for one in settlements if not isinstance(one.outcome, Done)]
    done += [one.item.id for one in others if not _goes_on(connection, one)]
    return remove_all(connection, done)


def _goes_on(connection: Connection, one: Settlement) -> bool:
    """It stays in the queue, for another try or for a person; False when it is to be taken out."""
    item, attempt, outcome, _ = one
    ours = connection.execute(
        "SELECT 1 FROM queue WHERE id = ? AND due_at = ?", (item.id, item.lease_until)
    ).fetchone()
    if not ours:
        return True
    tried = 0 if attempt is None else 1
    if isinstance(outcome, Hold):
        connection.execute(
            "UPDATE queue SET worker = NULL, attempts = attempts + ?, held_because = ? WHERE id = ?",
            (tried, outcome.reason, item.id),
        )
    elif isinstance(outcome, RetryAt):
        connection.execute(
            "UPDATE queue SET worker = NULL, attempts = attempts + ?, due_at = ?, delay_told = max(delay_told, ?)"
            " WHERE id = ?",
            (tried, outcome.at, outcome.delay_told, item.id),
        )
    return not isinstance(outcome, Failed)


def remove_all(connection: Connection, numbers: Sequence[int]) -> list[str]:
    """Take copies out; returns the references whose spool files are to be removed."""
    if not numbers:
        return []
    gone = connection.execute(
        "DELETE FROM queue WHERE id IN (SELECT value FROM json_each(?)) RETURNING message",
        (encode(numbers).decode(),),
    ).fetchall()
    return messages.drop_unused(connection, {message for (message,) in gone})


def remove(connection: Connection, number: int) -> str | None:
    """Take a copy out; returns the reference whose spool file is to be removed, if any."""
    return next(iter(remove_all(connection, (number,))), None)


def attempts_of(connection: Connection, ref: str, to: str | None = None) -> list[DeliveryAttempt]:
    """Every try for a message, or for one of its final addresses, oldest first."""
    rows = connection.execute("SELECT facts FROM attempts WHERE ref = ? ORDER BY id", (ref,)).fetchall()
    found = [ATTEMPT.decode(facts) for (facts,) in rows]
    return found if to is None else [attempt for attempt in found if attempt.to == to]


def newest_attempts(connection: Connection, limit: int) -> list[DeliveryAttempt]:
    """The latest tries of all messages, newest first."""
    rows = connection.execute("SELECT facts FROM attempts ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return [ATTEMPT.decode(facts) for (facts,) in rows]


def give_back(connection: Connection, workers: Sequence[str], now: float) -> int:
    """The copies these workers held fall due at once: one starts anew and knows nothing of them, others are gone for good.

    Those that a person has stopped meanwhile stay as they are until their lease ends: by the index alone, a long queue
    keeps nobody waiting.
    """
    return int(
        connection.execute(
            "UPDATE queue SET worker = NULL, due_at = ?1 WHERE worker IN (SELECT value FROM json_each(?2))"
            " AND held_because IS NULL AND due_at > ?1",
            (now, encode(workers).decode()),
        ).rowcount
    )


def listed(
    connection: Connection, *, ref: str | None = None, to: str | None = None, after: int = 0, limit: int = 100
) -> list[Queued]:
    """What is queued, oldest first: of one message, for one address, or numbered above `after`."""
    rows = connection.execute(
        f"{SHOWN} WHERE (?1 IS NULL OR m.ref = ?1) AND (?2 IS NULL OR lower(q.to_address) = lower(?2)) AND q.id > ?3"
        " ORDER BY q.id LIMIT ?4",
        (ref, to, after, limit),
    ).fetchall()
    return [queued_from(connection, row) for row in rows]


def numbered(connection: Connection, numbers: Sequence[int]) -> list[Queued]:
    """The copies with these numbers that are there, oldest first; at most some hundreds at once."""
    marks = ", ".join("?" * len(numbers))
    rows = connection.execute(f"{SHOWN} WHERE q.id IN ({marks}) ORDER BY q.id", tuple(numbers)).fetchall()
    return [queued_from(connection, row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """All that waits for one domain."""

    domain: str
    copies: int
    oldest: float
    """Unix seconds."""
    next_try: float | None
    """None when all of them are stopped."""


def by_domain(connection: Connection, *, limit: int = 20) -> list[Heading]:
    """Where the most of it should go, of the oldest LOOKED_AT copies."""
    rows = connection.execute(
        "SELECT lower(substr(to_address, instr(to_address, '@') + 1)) AS domain, count(*) AS copies, min(created_at),"
        " min(due_at) FILTER (WHERE held_because IS NULL) FROM (SELECT * FROM queue ORDER BY id LIMIT ?)"
        " GROUP BY domain ORDER BY copies DESC, domain LIMIT ?",
        (LOOKED_AT, limit),
    )
    return [
        Heading(domain=domain, copies=copies, oldest=oldest, next_try=next_try)
        for domain, copies, oldest, next_try in rows
    ]


def queued_from(connection: Connection, row: Any) -> Queued:
    """A row as a person sees it, with the words of the last try."""
    number, ref, envelope, to, size, junk, created_at, due_at, worker, attempts, held_because = row
    tries = attempts_of(connection, ref, to) if attempts else []
    return Queued(
        id=number,
        ref=ref,
        sender=str(messages.ENVELOPE.decode(envelope).sender or ""),
        to=to,
        size=size,
        junk=bool(junk),
        created_at=created_at,
        due_at=due_at,
        worker=worker,
        attempts=attempts,
        held_because=held_because,
        last_reply=tries[-1].reply if tries else "",
    )


def may_go(connection: Connection, item: QueueItem) -> bool:
    """Is a claimed copy still ours to send? Not when it was held, or taken out, since it was claimed."""
    return (
        connection.execute(
            "SELECT 1 FROM queue WHERE id = ? AND due_at = ? AND held_because IS NULL",
            (item.id, item.lease_until),
        ).fetchone()
        is not None
    )


def retry_now(connection: Connection, number: int, *, now: float) -> bool:
    """Due at once, also when it was held. False when it is gone or just being tried."""
    changed = connection.execute(
        "UPDATE queue SET due_at = ?1, worker = NULL, held_because = NULL"
        " WHERE id = ?2 AND (worker IS NULL OR due_at <= ?1)",
        (now, number),
    )
    return bool(changed.rowcount)


def hold(connection: Connection, number: int, reason: str) -> bool:
    """Stop it until `retry_now`; a try that runs now still counts. False when it is gone."""
    changed = connection.execute("UPDATE queue SET held_because = ? WHERE id = ?", (reason, number))
    return bool(changed.rowcount)

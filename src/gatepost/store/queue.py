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
from gatepost.store.records import DeliveryAttempt, Done, Failed, Hold, Outcome, Queued, QueueItem, RetryAt

ATTEMPT = msgspec.json.Decoder(DeliveryAttempt)
READ_ALONG_OCTETS = 16 * 1024
"""Messages up to this size come with the claim of a copy."""
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


def claim(connection: Connection, *, now: float, limit: int, lease_s: float, worker: str) -> list[QueueItem]:
    """Take at most `limit` due copies, the longest due first; nobody else gets them until the lease ends."""
    until = now + lease_s
    rows = connection.execute(
        "UPDATE queue SET due_at = ?1, worker = ?2 WHERE id IN ("
        " SELECT id FROM queue WHERE held_because IS NULL AND due_at <= ?3 ORDER BY due_at LIMIT ?4)"
        " RETURNING id, message, recipient, to_address, junk, attempts, created_at, delay_told, changes",
        (until, worker, now, limit),
    ).fetchall()
    return [item_from(connection, row, until) for row in sorted(rows)]


def item_from(connection: Connection, row: Any, until: float) -> QueueItem:
    """A claimed row with what its message and its earlier attempts say."""
    number, message, recipient, to, junk, attempts, created_at, delay_told, changes = row
    ref, envelope, may_bounce, account, added, removed, octets = connection.execute(
        "SELECT ref, envelope, may_bounce, account, added_header, removed_fields,"
        " iif(size <= ? AND key_id IS NULL, octets, NULL) FROM messages WHERE id = ?",
        (READ_ALONG_OCTETS, message),
    ).fetchone()
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
        else messages.copy_for_delivery(octets, added, messages.SPANS.decode(removed)),
    )


def settle(
    connection: Connection, item: QueueItem, attempt: DeliveryAttempt | None, outcome: Outcome
) -> str | None:
    """Write down what came of a claim. Returns the reference whose spool file is to be removed.

    A copy delivered under a lease that has ended is still delivered, so that Done always counts; every other
    outcome is ignored when somebody else holds the copy by now.
    """
    if attempt is not None:
        record_attempt(connection, item.ref, attempt)
    if isinstance(outcome, Done):
        return remove(connection, item.id)
    ours = connection.execute(
        "SELECT 1 FROM queue WHERE id = ? AND due_at = ?", (item.id, item.lease_until)
    ).fetchone()
    if not ours:
        return None
    if isinstance(outcome, Failed):
        return remove(connection, item.id)
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
    return None


def remove(connection: Connection, number: int) -> str | None:
    """Take a copy out; returns the reference whose spool file is to be removed, if any."""
    gone = connection.execute("DELETE FROM queue WHERE id = ? RETURNING message", (number,)).fetchone()
    return messages.drop_if_unused(connection, gone[0]) if gone else None


def record_attempt(connection: Connection, ref: str, attempt: DeliveryAttempt) -> None:
    """Keep what happened at one try; it outlives the copy."""
    connection.execute(
        "INSERT INTO attempts (ref, at, facts) VALUES (?, ?, ?)", (ref, attempt.at, encode(attempt))
    )


def attempts_of(connection: Connection, ref: str, to: str | None = None) -> list[DeliveryAttempt]:
    """Every try for a message, or for one of its final addresses, oldest first."""
    rows = connection.execute("SELECT facts FROM attempts WHERE ref = ? ORDER BY id", (ref,)).fetchall()
    found = [ATTEMPT.decode(facts) for (facts,) in rows]
    return found if to is None else [attempt for attempt in found if attempt.to == to]


def give_back(connection: Connection, worker: str, now: float) -> int:
    """The copies this worker held fall due at once: it starts anew and knows nothing of them."""
    return int(
        connection.execute(
            "UPDATE queue SET worker = NULL, due_at = ? WHERE worker = ?", (now, worker)
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
    """Where the most of it should go."""
    rows = connection.execute(
        "SELECT lower(substr(to_address, instr(to_address, '@') + 1)) AS domain, count(*) AS copies, min(created_at),"
        " min(due_at) FILTER (WHERE held_because IS NULL) FROM queue GROUP BY domain ORDER BY copies DESC, domain LIMIT ?",
        (limit,),
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

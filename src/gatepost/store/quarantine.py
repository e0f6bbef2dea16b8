"""The quarantine's SQL: hold, list, release, delete, expire. Release puts the copy into the queue, byte for byte."""

from __future__ import annotations

from gatepost.store import messages, queue
from gatepost.store.database import Connection
from gatepost.store.json import encode
from gatepost.store.records import Held, NewDelivery


def hold(connection: Connection, message: int, copy: NewDelivery, *, now: float) -> None:
    """Keep one recipient's copy until a person decides or time is up."""
    connection.execute(
        "INSERT INTO quarantine (message, recipient, to_address, junk, held_at, reason, rule)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (message, encode(copy.recipient), copy.to, copy.junk, now, copy.reason, copy.rule),
    )


def find(
    connection: Connection,
    *,
    ref: str | None = None,
    to: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Held]:
    """What is held, newest first: of one message, for one address, or numbered below `before`."""
    rows = connection.execute(
        "SELECT q.id, m.ref, m.envelope, q.to_address, m.size, q.junk, q.held_at, q.reason, q.rule"
        " FROM quarantine q JOIN messages m ON m.id = q.message"
        " WHERE (?1 IS NULL OR m.ref = ?1) AND (?2 IS NULL OR lower(q.to_address) = lower(?2)) AND (?3 IS NULL OR q.id < ?3)"
        " ORDER BY q.id DESC LIMIT ?4",
        (ref, to, before, limit),
    )
    return [
        Held(
            id=number,
            ref=ref,
            sender=str(messages.ENVELOPE.decode(envelope).sender or ""),
            to=to,
            size=size,
            junk=bool(junk),
            held_at=held_at,
            reason=reason,
            rule=rule,
        )
        for number, ref, envelope, to, size, junk, held_at, reason, rule in rows
    ]


def release(connection: Connection, number: int, *, now: float) -> bool:
    """Into the queue, due at once, for the inbox: a person has looked. False when it is not held any more."""
    row = connection.execute(
        "DELETE FROM quarantine WHERE id = ? RETURNING message, recipient, to_address", (number,)
    ).fetchone()
    if row is None:
        return False
    message, recipient, to = row
    queue.add(connection, message, messages.RECIPIENT.decode(recipient), to, junk=False, now=now)
    return True


def delete(connection: Connection, number: int) -> tuple[bool, str | None]:
    """Forget it. Returns whether it was held, and the reference whose spool file is to be removed, if any."""
    row = connection.execute("DELETE FROM quarantine WHERE id = ? RETURNING message", (number,)).fetchone()
    return row is not None, messages.drop_if_unused(connection, row[0]) if row else None


def expire(connection: Connection, *, before: float, limit: int) -> tuple[int, list[str]]:
    """Delete at most `limit` copies held since before `before`. Returns how many, and spool files to remove."""
    rows = connection.execute(
        "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine WHERE held_at < ? ORDER BY held_at LIMIT ?)"
        " RETURNING message",
        (before, limit),
    ).fetchall()
    gone = [messages.drop_if_unused(connection, message) for message in {message for (message,) in rows}]
    return len(rows), [ref for ref in gone if ref is not None]

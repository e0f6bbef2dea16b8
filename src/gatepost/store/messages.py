"""The messages that are queued or held: their octets, and what belongs in front of them at delivery.

A message stays as long as one of its copies is queued or held; after that history keeps only facts.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from gatepost.mail.client import Envelope, Recipient
from gatepost.store.database import Connection
from gatepost.store.failures import StoreFailed
from gatepost.store.json import encode

Spans = tuple[tuple[int, int], ...]
ENVELOPE = msgspec.json.Decoder(Envelope)
RECIPIENT = msgspec.json.Decoder(Recipient)
SPANS = msgspec.json.Decoder(Spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A message's row."""

    ref: str
    created_at: float
    envelope: Envelope
    added_header: bytes
    removed_fields: Spans
    size: int
    octets: bytes | None
    """None: they are in the spool."""


def insert(
    connection: Connection,
    *,
    ref: str,
    at: float,
    envelope: Envelope,
    size: int,
    octets: bytes | None,
    added_header: bytes = b"",
    removed_fields: Spans = (),
    may_bounce: bool = False,
) -> int:
    """Add the row and return its number. Raises IntegrityError when `ref` is taken."""
    row = (ref, at, encode(envelope), added_header, encode(removed_fields), may_bounce, size, octets)
    cursor = connection.execute(
        "INSERT INTO messages (ref, created_at, envelope, added_header, removed_fields, may_bounce, size, octets)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )
    return int(cursor.lastrowid)


def find(connection: Connection, ref: str) -> Kept | None:
    """The row, None when its last copy is gone."""
    row = connection.execute(
        "SELECT ref, created_at, envelope, added_header, removed_fields, size, octets FROM messages WHERE ref = ?",
        (ref,),
    ).fetchone()
    if row is None:
        return None
    ref, created_at, envelope, added_header, removed_fields, size, octets = row
    return Kept(
        ref=ref,
        created_at=created_at,
        envelope=ENVELOPE.decode(envelope),
        added_header=added_header,
        removed_fields=SPANS.decode(removed_fields),
        size=size,
        octets=octets,
    )


def is_there(connection: Connection, ref: str) -> bool:
    """Is there such a row?"""
    return connection.execute("SELECT 1 FROM messages WHERE ref = ?", (ref,)).fetchone() is not None


def drop_if_unused(connection: Connection, message: int) -> str | None:
    """Delete the row when no copy needs it any more.

    Returns the reference whose spool file is then to be removed after the commit; None when there is no file.
    """
    row = connection.execute(
        "DELETE FROM messages WHERE id = ?1"
        " AND NOT EXISTS (SELECT 1 FROM queue WHERE message = ?1)"
        " AND NOT EXISTS (SELECT 1 FROM quarantine WHERE message = ?1)"
        " RETURNING ref, octets IS NULL",
        (message,),
    ).fetchone()
    return row[0] if row is not None and row[1] else None


def in_spool(connection: Connection) -> list[tuple[str, int]]:
    """Reference and size of every message whose octets are a file."""
    return list(connection.execute("SELECT ref, size FROM messages WHERE octets IS NULL"))


def copy_for_delivery(octets: bytes, added_header: bytes, removed_fields: Spans) -> bytes:
    """Our fields in front, then the message as received without the removed spans."""
    if not removed_fields:
        return added_header + octets
    pieces = [added_header]
    start = 0
    for first, end in sorted(removed_fields):
        if not start <= first <= end <= len(octets):
            raise StoreFailed("the removed fields do not fit the message")
        pieces.append(octets[start:first])
        start = end
    pieces.append(octets[start:])
    return b"".join(pieces)

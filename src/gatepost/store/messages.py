"""The messages that are queued or held: their octets, and what belongs in front of them at delivery.

A message stays as long as one of its copies is queued or held; after that history keeps only facts. Of which any copy
is held, it is sealed, for the queued copies too: there is one set of octets, and delivery opens it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from gatepost.mail.client import Envelope, Recipient
from gatepost.store.database import Connection
from gatepost.store.failures import StoreFailed
from gatepost.store.json import encode
from gatepost.store.sealing import OVERHEAD, Seal

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
    """Of the message itself."""
    octets: bytes | None
    """None: they are in the spool."""
    seal: Seal | None = None
    """None: the octets are in plain."""


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
    seal: Seal | None = None,
    account: str = "",
) -> int:
    """Add the row and return its number. Raises IntegrityError when `ref` is taken."""
    row = (ref, at, encode(envelope), added_header, encode(removed_fields), may_bounce, size, octets, account)
    cursor = connection.execute(
        "INSERT INTO messages (ref, created_at, envelope, added_header, removed_fields, may_bounce, size, octets, account,"
        " key_id, wrapped_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, None, None) if seal is None else (*row, seal.key_id, seal.wrapped_key),
    )
    return int(cursor.lastrowid)


def find(connection: Connection, ref: str) -> Kept | None:
    """The row, None when its last copy is gone."""
    row = connection.execute(
        "SELECT ref, created_at, envelope, added_header, removed_fields, size, octets, key_id, wrapped_key"
        " FROM messages WHERE ref = ?",
        (ref,),
    ).fetchone()
    if row is None:
        return None
    ref, created_at, envelope, added_header, removed_fields, size, octets, key_id, wrapped_key = row
    return Kept(
        ref=ref,
        created_at=created_at,
        envelope=ENVELOPE.decode(envelope),
        added_header=added_header,
        removed_fields=SPANS.decode(removed_fields),
        size=size,
        octets=octets,
        seal=None if key_id is None else Seal(key_id, wrapped_key),
    )


def is_there(connection: Connection, ref: str) -> bool:
    """Is there such a row?"""
    return connection.execute("SELECT 1 FROM messages WHERE ref = ?", (ref,)).fetchone() is not None


def account_of(connection: Connection, message: int) -> str:
    """Who of ours handed it in; empty for mail of others."""
    row = connection.execute("SELECT account FROM messages WHERE id = ?", (message,)).fetchone()
    return str(row[0]) if row else ""


def drop_if_unused(connection: Connection, message: int) -> str | None:
    """Delete the row when no copy needs it any more; see `drop_unused`."""
    return next(iter(drop_unused(connection, (message,))), None)


def drop_unused(connection: Connection, numbers: Collection[int]) -> list[str]:
    """Delete the rows of these messages that no copy needs any more.

    Returns the references whose spool files are then to be removed after the commit.
    """
    rows = connection.execute(
        "DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?))"
        " AND NOT EXISTS (SELECT 1 FROM queue WHERE message = messages.id)"
        " AND NOT EXISTS (SELECT 1 FROM quarantine WHERE message = messages.id)"
        " RETURNING ref, octets IS NULL",
        (encode(list(numbers)).decode(),),
    ).fetchall()
    return [ref for ref, apart in rows if apart]


def in_spool(connection: Connection) -> list[tuple[str, int]]:
    """Reference and size on the disk of every message whose octets are a file; also in a backup of an older schema."""
    columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(messages)")}
    more = f"iif(key_id IS NULL, 0, {OVERHEAD})" if "key_id" in columns else "0"
    return list(connection.execute(f"SELECT ref, size + {more} FROM messages WHERE octets IS NULL"))  # noqa: S608


def key_ids(connection: Connection) -> set[str]:
    """The master keys that are needed to open what is here."""
    return {
        name
        for (name,) in connection.execute("SELECT DISTINCT key_id FROM messages WHERE key_id IS NOT NULL")
    }


def sealed_otherwise(connection: Connection, key_id: str, *, limit: int) -> list[tuple[int, str, Seal]]:
    """Number, reference and seal of messages that another master key than this one seals."""
    rows = connection.execute(
        "SELECT id, ref, key_id, wrapped_key FROM messages WHERE key_id IS NOT NULL AND key_id <> ? LIMIT ?",
        (key_id, limit),
    )
    return [(number, ref, Seal(name, wrapped)) for number, ref, name, wrapped in rows]


def held_in_plain(connection: Connection, *, limit: int) -> list[str]:
    """References of messages with a held copy that are not sealed: an older version held them."""
    rows = connection.execute(
        # CROSS: the other way round all that is queued would be read.
        "SELECT DISTINCT m.ref FROM quarantine q CROSS JOIN messages m ON m.id = q.message WHERE m.key_id IS NULL LIMIT ?",
        (limit,),
    )
    return [ref for (ref,) in rows]


def set_seal(connection: Connection, ref: str, seal: Seal, octets: bytes | None = None) -> None:
    """Another seal for the same octets, or with `octets` these in place of plain ones."""
    connection.execute(
        "UPDATE messages SET key_id = ?, wrapped_key = ?, octets = coalesce(?, octets) WHERE ref = ?",
        (seal.key_id, seal.wrapped_key, octets, ref),
    )


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

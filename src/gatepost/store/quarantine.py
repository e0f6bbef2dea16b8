"""The quarantine's SQL: hold, find, release, delete, expire. Release puts the copy into the queue, byte for byte."""

from __future__ import annotations

from gatepost.store.database import Connection
from gatepost.store.json import encode
from gatepost.store.records import NewDelivery


def hold(connection: Connection, message: int, copy: NewDelivery, *, now: float) -> None:
    """Keep one recipient's copy until a person decides or time is up."""
    connection.execute(
        "INSERT INTO quarantine (message, recipient, to_address, junk, held_at, reason, rule)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (message, encode(copy.recipient), copy.to, copy.junk, now, copy.reason, copy.rule),
    )

"""How much there is and how old it is: what `gatepost status` and the metrics tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gatepost.store.database import Connection

ADDED_UP = 10_000
"""Messages whose octets are added up; of more they are estimated."""
SAMPLED = 500
OLDEST = "SELECT min(created_at) FROM (SELECT created_at FROM queue WHERE {which} ORDER BY id LIMIT 100)"
"""Copies are numbered as they come; those that came at once may have each other's numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts of copies; ages in seconds, None when there is nothing."""

    queued: int
    due: int
    """Could be tried now, and nobody does."""
    being_tried: int
    stopped: int
    """Held in the queue until a person lets them go on."""
    oldest_queued_s: float | None
    oldest_moving_s: float | None
    """The same without those that are held until a person lets them go on."""
    longest_due_s: float | None
    """How long the copy that waits longest has been due: large when delivery does not keep up or is down."""
    held: int
    """In quarantine, undecided."""
    oldest_held_s: float | None
    messages: int
    octets: int
    """Of all messages queued or held; of more than ADDED_UP about so many."""
    requested: int = 0
    """Of those held: their recipients asked for them."""


def figures(connection: Connection, now: float) -> Figures:
    """One look, by the indexes alone: a long queue is not read for it."""

    def one(statement: str, *values: float) -> Any:
        return connection.execute(statement, values).fetchone()[0]

    def age(at: float | None) -> float | None:
        return None if at is None else max(0.0, now - at)

    queued = one("SELECT count(*) FROM queue")
    stopped = one("SELECT count(*) FROM queue WHERE held_because IS NOT NULL")
    held, oldest_held = connection.execute(
        "SELECT count(*), min(held_at) FROM quarantine INDEXED BY quarantine_waiting WHERE state IN ('held', 'requested')"
    ).fetchone()
    messages = one("SELECT count(*) FROM messages")
    longest_due = one("SELECT min(due_at) FROM queue WHERE held_because IS NULL")
    return Figures(
        queued=queued,
        due=one("SELECT count(*) FROM queue WHERE held_because IS NULL AND due_at <= ?", now),
        being_tried=one("SELECT count(*) FROM queue WHERE worker IS NOT NULL AND due_at > ?", now),
        stopped=stopped,
        oldest_queued_s=age(one(OLDEST.format(which="1"))),
        oldest_moving_s=age(one(OLDEST.format(which="held_because IS NULL"))) if stopped < queued else None,
        longest_due_s=age(longest_due) if longest_due is not None and longest_due <= now else None,
        held=held,
        oldest_held_s=age(oldest_held),
        messages=messages,
        octets=octets_of(connection, messages),
        requested=one("SELECT count(*) FROM quarantine WHERE state = 'requested'"),
    )


def octets_of(connection: Connection, messages: int) -> int:
    """Of all messages; of very many an estimate out of some, spread evenly: to add them up would read the whole table."""
    if messages <= ADDED_UP:
        return int(connection.execute("SELECT coalesce(sum(size), 0) FROM messages").fetchone()[0])
    sizes = connection.execute(
        "WITH RECURSIVE ends AS MATERIALIZED"
        " (SELECT (SELECT min(id) FROM messages) AS first, (SELECT max(id) FROM messages) AS last),"
        " place(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n < ?1)"
        " SELECT (SELECT size FROM messages WHERE id >= first + (last - first) * n / ?1 ORDER BY id LIMIT 1) FROM ends, place",
        (SAMPLED,),
    ).fetchall()
    return int(messages * sum(size for (size,) in sizes) / len(sizes))


def reusable_octets(connection: Connection) -> int:
    """Of the database's file: pages of what is gone, which new rows take before the file grows."""
    (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    (octets,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages * octets)


def standing(connection: Connection) -> tuple[int, int]:
    """How many copies are queued, and how many held: cheap enough to be asked for every few seconds."""
    found: tuple[int, int] = connection.execute(
        "SELECT (SELECT count(*) FROM queue),"
        " (SELECT count(*) FROM quarantine INDEXED BY quarantine_waiting WHERE state IN ('held', 'requested'))"
    ).fetchone()
    return found

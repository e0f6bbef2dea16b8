"""How much there is and how old it is: what `gatepost status` and the metrics tell."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.store.database import Connection


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
    """Of all messages queued or held."""
    requested: int = 0
    """Of those held: their recipients asked for them."""


def figures(connection: Connection, now: float) -> Figures:
    """One look at the tables."""
    queued, due, being_tried, stopped, oldest_queued, oldest_moving, longest_due = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE held_because IS NULL AND due_at <= ?1),"
        " count(*) FILTER (WHERE worker IS NOT NULL AND due_at > ?1), count(held_because), min(created_at),"
        " min(created_at) FILTER (WHERE held_because IS NULL),"
        " min(due_at) FILTER (WHERE held_because IS NULL AND due_at <= ?1) FROM queue",
        (now,),
    ).fetchone()
    held, oldest_held, requested = connection.execute(
        "SELECT count(*), min(held_at), count(*) FILTER (WHERE state = 'requested') FROM quarantine"
        " WHERE state IN ('held', 'requested')"
    ).fetchone()
    messages, octets = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM messages").fetchone()

    def age(at: float | None) -> float | None:
        return None if at is None else max(0.0, now - at)

    return Figures(
        queued=queued,
        due=due,
        being_tried=being_tried,
        stopped=stopped,
        oldest_queued_s=age(oldest_queued),
        oldest_moving_s=age(oldest_moving),
        longest_due_s=age(longest_due),
        held=held,
        oldest_held_s=age(oldest_held),
        messages=messages,
        octets=octets,
        requested=requested,
    )

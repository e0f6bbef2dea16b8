"""What data subjects asked for, until when it is to be answered, and what was done; and what retention deleted when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gatepost.store.database import Connection


class Kind(StrEnum):
    """What is asked for (GDPR)."""

    ACCESS = "access"
    """Article 15."""
    ERASURE = "erasure"
    """Article 17."""
    RECTIFICATION = "rectification"
    """Article 16."""
    OBJECTION = "objection"
    """Article 21."""


class Status(StrEnum):
    """How far it is."""

    OPEN = "open"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """One request of a data subject."""

    id: int = 0
    kind: Kind
    person: str
    addresses: tuple[str, ...]
    """Lower case."""
    received_at: float
    due_at: float
    extended_because: str = ""
    """Empty: it was not extended."""
    status: Status = Status.OPEN
    notes: str = ""
    outcome: str = ""
    proof: Mapping[str, int] = field(default_factory=dict)
    """What was handed out or erased, and how many of each."""
    registered_by: str = ""
    registered_at: float = 0.0
    closed_by: str = ""
    closed_at: float | None = None


COLUMNS = (
    "id, kind, person, addresses, received_at, due_at, extended_because, status, notes, outcome, proof, registered_by,"
    " registered_at, closed_by, closed_at"
)


def add(connection: Connection, one: DataRequest) -> int:
    """Register a request; its number."""
    number = connection.execute(
        "INSERT INTO data_requests (kind, person, addresses, received_at, due_at, status, notes, registered_by, registered_at)"
        " VALUES (?, ?, ?, ?, ?, 'open', ?, ?, ?)",
        (
            one.kind, one.person, " ".join(one.addresses), one.received_at, one.due_at, one.notes, one.registered_by,
            one.registered_at,
        ),
    ).lastrowid  # fmt: skip
    assert number is not None
    return int(number)


def update(connection: Connection, one: DataRequest) -> None:
    """Keep what may change of it."""
    connection.execute(
        "UPDATE data_requests SET due_at = ?, extended_because = ?, status = ?, notes = ?, outcome = ?, proof = ?,"
        " closed_by = ?, closed_at = ? WHERE id = ?",
        (
            one.due_at, one.extended_because, one.status, one.notes, one.outcome, json.dumps(dict(one.proof)) if one.proof
            else "", one.closed_by, one.closed_at, one.id,
        ),
    )  # fmt: skip


def find(connection: Connection, number: int) -> DataRequest | None:
    """The one with this number."""
    row = connection.execute(f"SELECT {COLUMNS} FROM data_requests WHERE id = ?", (number,)).fetchone()  # noqa: S608
    return _request(row) if row else None


def listed(connection: Connection, *, limit: int = 200) -> list[DataRequest]:
    """The open ones first, the most urgent of them first; then the newest that were closed."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM data_requests ORDER BY closed_at IS NOT NULL,"  # noqa: S608 - our own words
        " CASE WHEN closed_at IS NULL THEN due_at ELSE -closed_at END, id LIMIT ?",
        (limit,),
    )
    return [_request(row) for row in rows]


SOON_S = 7 * 86_400.0


def urgent(connection: Connection, now: float) -> tuple[int, int]:
    """How many open requests are overdue, and how many more are due within a week."""
    late, due = connection.execute(
        "SELECT coalesce(sum(due_at < ?1), 0), coalesce(sum(due_at >= ?1), 0) FROM data_requests"
        " WHERE closed_at IS NULL AND due_at < ?2",
        (now, now + SOON_S),
    ).fetchone()
    return int(late), int(due)


def of_address(connection: Connection, address: str) -> list[DataRequest]:
    """Those about this address, the newest first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM data_requests WHERE instr(' ' || addresses || ' ', ?) ORDER BY id DESC",  # noqa: S608
        (f" {address.lower()} ",),
    )
    return [_request(row) for row in rows]


def _request(row: Any) -> DataRequest:
    number, kind, person, addresses, received_at, due_at, because, status, notes, outcome, proof, *rest = row
    registered_by, registered_at, closed_by, closed_at = rest
    return DataRequest(
        id=number, kind=Kind(str(kind)), person=person, addresses=tuple(str(addresses).split()), received_at=received_at,
        due_at=due_at, extended_because=because, status=Status(str(status)), notes=notes, outcome=outcome,
        proof=json.loads(str(proof)) if proof else {}, registered_by=registered_by, registered_at=registered_at,
        closed_by=closed_by, closed_at=closed_at,
    )  # fmt: skip


# What retention did


@dataclass(frozen=True, slots=True)
class RetentionRun:
    """One run that deleted something, or the last that looked."""

    at: float
    deleted: Mapping[str, int]
    """Kind -> how many."""
    holds: int
    """How many holds were in force."""


def note_run(connection: Connection, at: float, deleted: Mapping[str, int], in_force: int) -> None:
    """Keep what a run deleted; of runs that found nothing only the last."""
    if not any(deleted.values()):
        connection.execute("DELETE FROM retention_runs WHERE deleted = '{}'")
    told = {kind: number for kind, number in deleted.items() if number}
    connection.execute(
        "INSERT INTO retention_runs (at, deleted, holds) VALUES (?, ?, ?)", (at, json.dumps(told), in_force)
    )


def runs(connection: Connection, *, limit: int = 50) -> list[RetentionRun]:
    """The newest first."""
    rows = connection.execute(
        "SELECT at, deleted, holds FROM retention_runs ORDER BY at DESC, id DESC LIMIT ?", (limit,)
    )
    return [RetentionRun(at, json.loads(deleted), in_force) for at, deleted, in_force in rows]


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` of each: requests closed, holds released and runs that ended before `before`."""
    return max(
        int(connection.execute(statement, (before, limit)).rowcount)
        for statement in (
            "DELETE FROM data_requests WHERE id IN (SELECT id FROM data_requests WHERE closed_at < ? LIMIT ?)",
            "DELETE FROM legal_holds WHERE id IN (SELECT id FROM legal_holds WHERE released_at < ? LIMIT ?)",
            "DELETE FROM retention_runs WHERE id IN (SELECT id FROM retention_runs WHERE at < ? LIMIT ?)",
        )
    )

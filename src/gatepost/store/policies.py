"""Policies saved from the console: their history, and the candidates people are at work on."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.store.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """One policy that was saved."""

    number: int
    at: float
    who: str
    why: str
    text: str
    """TOML, laid over the configuration file."""
    evidence: str
    """JSON: what the plan on recorded mail said; empty where nothing was tried."""
    back_to: int | None
    """The number whose text it is, when it was a way back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody is at work on."""

    account: int
    who: str
    changed_at: float
    based_on: int
    """The number of the policy in force when it was begun; 0: none had been saved."""
    text: str
    evidence: str
    """JSON of the plan for this very text; empty: not tried yet."""


def save(
    connection: Connection,
    *,
    at: float,
    who: str,
    why: str,
    text: str,
    evidence: str,
    back_to: int | None = None,
) -> int:
    """Add a policy; returns its number."""
    cursor = connection.execute(
        "INSERT INTO policies (at, who, why, text, evidence, back_to) VALUES (?, ?, ?, ?, ?, ?)",
        (at, who, why, text, evidence, back_to),
    )
    return int(cursor.lastrowid or 0)


def find(connection: Connection, number: int) -> Saved | None:
    """The one with this number."""
    row = connection.execute(
        "SELECT number, at, who, why, text, evidence, back_to FROM policies WHERE number = ?", (number,)
    ).fetchone()
    return _saved(row) if row else None


def listed(connection: Connection, *, before: int | None = None, limit: int = 50) -> list[Saved]:
    """Newest first."""
    rows = connection.execute(
        "SELECT number, at, who, why, text, evidence, back_to FROM policies WHERE (?1 IS NULL OR number < ?1)"
        " ORDER BY number DESC LIMIT ?2",
        (before, limit),
    )
    return [_saved(row) for row in rows]


def newest(connection: Connection) -> int:
    """The number of the newest; 0 when none was saved."""
    return int(connection.execute("SELECT coalesce(max(number), 0) FROM policies").fetchone()[0])


def draft(connection: Connection, account: int) -> Draft | None:
    """What this account is at work on."""
    row = connection.execute(
        "SELECT account, who, changed_at, based_on, text, evidence FROM candidates WHERE account = ?",
        (account,),
    ).fetchone()
    if row is None:
        return None
    number, who, changed_at, based_on, text, evidence = row
    return Draft(
        account=number, who=who, changed_at=changed_at, based_on=based_on, text=text, evidence=evidence
    )


def put_draft(connection: Connection, draft: Draft) -> None:
    """Keep it; the account's earlier one is gone."""
    connection.execute(
        "INSERT OR REPLACE INTO candidates (account, who, changed_at, based_on, text, evidence) VALUES (?, ?, ?, ?, ?, ?)",
        (draft.account, draft.who, draft.changed_at, draft.based_on, draft.text, draft.evidence),
    )


def drop_draft(connection: Connection, account: int) -> None:
    """Forget it."""
    connection.execute("DELETE FROM candidates WHERE account = ?", (account,))


def _saved(row: tuple[object, ...]) -> Saved:
    number, at, who, why, text, evidence, back_to = row
    return Saved(number=number, at=at, who=who, why=why, text=text, evidence=evidence, back_to=back_to)  # type: ignore[arg-type]

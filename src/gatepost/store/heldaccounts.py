"""Accounts whose mail is held: the hold is one row, and everything of theirs in the queue bears its words.

Set in the same commit as the message that showed it, and asked for in the commit of each message that follows: with
one writer at a time, nothing of the account is queued free between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.store import journal, queue
from gatepost.store.database import Connection
from gatepost.store.journal import Why
from gatepost.store.records import AccountHold

VOUCHED = "out:vouched:"
"""A fact in memory: a person has let the account's mail go, and for a while evidence alone does not hold it again."""
VOUCHED_S = 86_400.0
WORDS = "The account is held: "
"""How `held_because` of its copies begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAccount:
    """One account that is held."""

    account: str
    held_at: float
    reason: str
    ref: str
    copies: int
    """Of its mail in the queue, held for this."""


def hold(connection: Connection, hold: AccountHold) -> bool:
    """Hold the account and all its mail that is queued. False when it was held already."""
    added = connection.execute(
        "INSERT INTO held_accounts (account, held_at, reason, ref) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (hold.account, hold.at, hold.reason, hold.ref),
    ).rowcount
    connection.execute(
        "UPDATE queue SET held_because = ? WHERE held_because IS NULL"
        " AND message IN (SELECT id FROM messages WHERE account = ?)",
        (WORDS + hold.reason, hold.account),
    )
    if added:
        journal.append(
            connection, at=hold.at, who=hold.who, what=f"account hold <{hold.account}>", why=hold.reason, subject=hold.ref
        )  # fmt: skip
    return bool(added)


def held_because(connection: Connection, account: str) -> str | None:
    """What a new copy of this account's mail is held for; None when it may go."""
    if not account:
        return None
    row = connection.execute("SELECT reason FROM held_accounts WHERE account = ?", (account,)).fetchone()
    return WORDS + row[0] if row else None


def listed(connection: Connection) -> list[HeldAccount]:
    """All of them, the longest held first."""
    rows = connection.execute(
        "SELECT h.account, h.held_at, h.reason, h.ref, (SELECT count(*) FROM queue q JOIN messages m ON m.id = q.message"
        " WHERE m.account = h.account AND q.held_because LIKE ? || '%') FROM held_accounts h ORDER BY h.held_at",
        (WORDS,),
    )
    return [
        HeldAccount(account=account, held_at=held_at, reason=reason, ref=ref, copies=copies)
        for account, held_at, reason, ref, copies in rows
    ]


def copies_of(connection: Connection, account: str) -> list[tuple[str, str]]:
    """Reference and final address of each copy that is held for its account."""
    rows = connection.execute(
        "SELECT m.ref, q.to_address FROM queue q JOIN messages m ON m.id = q.message"
        " WHERE m.account = ? AND q.held_because LIKE ? || '%'",
        (account, WORDS),
    )
    return [(ref, to) for ref, to in rows]


def release(connection: Connection, account: str, why: Why) -> int | None:
    """End the hold; its mail falls due at once, and for a day only a person holds the account again.

    Returns how many copies; None when the account is not held.
    """
    if not connection.execute("DELETE FROM held_accounts WHERE account = ?", (account,)).rowcount:
        return None
    freed = connection.execute(
        "UPDATE queue SET held_because = NULL, due_at = ?, worker = NULL WHERE held_because LIKE ? || '%'"
        " AND message IN (SELECT id FROM messages WHERE account = ?)",
        (why.at, WORDS, account),
    ).rowcount
    connection.execute(
        "INSERT INTO memory VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
        (VOUCHED + account, why.who, why.at + VOUCHED_S),
    )
    what = f"account release <{account}>: {freed} copies go out"
    journal.append(connection, at=why.at, who=why.who, what=what, why=why.why, subject="")
    return int(freed)


def drop(connection: Connection, account: str, why: Why) -> tuple[int, list[str]] | None:
    """Take the account's held mail out of the queue, undelivered; the account stays held.

    Returns how many copies, and spool files to remove; None when the account is not held.
    """
    if held_because(connection, account) is None:
        return None
    numbers = connection.execute(
        "SELECT q.id FROM queue q JOIN messages m ON m.id = q.message WHERE m.account = ? AND q.held_because LIKE ? || '%'",
        (account, WORDS),
    ).fetchall()
    files = [queue.remove(connection, number) for (number,) in numbers]
    what = f"account drop <{account}>: {len(numbers)} copies deleted"
    journal.append(connection, at=why.at, who=why.who, what=what, why=why.why, subject="")
    return len(numbers), [one for one in files if one is not None]

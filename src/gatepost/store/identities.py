"""What an identity provider knows our people as. Functions over a connection."""

from __future__ import annotations

from gatepost.store import accounts
from gatepost.store.accounts import Account
from gatepost.store.database import Connection


def account_of(connection: Connection, issuer: str, subject: str) -> Account | None:
    """Whose identity this is here."""
    row = connection.execute(
        "SELECT account FROM provider_identities WHERE issuer = ? AND subject = ?", (issuer, subject)
    ).fetchone()
    return accounts.find(connection, id=row[0]) if row else None


def is_linked(connection: Connection, account: int) -> bool:
    """Does any provider know this account?"""
    return (
        connection.execute("SELECT 1 FROM provider_identities WHERE account = ?", (account,)).fetchone()
        is not None
    )


def subject_of(connection: Connection, issuer: str, account: int) -> str | None:
    """What the provider knows the account as."""
    row = connection.execute(
        "SELECT subject FROM provider_identities WHERE issuer = ? AND account = ?", (issuer, account)
    ).fetchone()
    return str(row[0]) if row else None


def link(connection: Connection, issuer: str, subject: str, account: int, *, at: float) -> None:
    """From now on this identity is this account. Raises IntegrityError when either has another already."""
    connection.execute("INSERT INTO provider_identities VALUES (?, ?, ?, ?)", (issuer, subject, account, at))


def unlink(connection: Connection, account: int) -> int:
    """No identity is this account any more; how many were."""
    return int(connection.execute("DELETE FROM provider_identities WHERE account = ?", (account,)).rowcount)

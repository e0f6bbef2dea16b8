"""API tokens of accounts. Functions over a connection; whoever calls them writes the journal in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gatepost.store import holds
from gatepost.store.database import Connection

_COLUMNS = "id, account, hash, name, scopes, networks, made_at, expires_at, revoked_at, used_at, used_from"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptToken:
    """A token, but for its secret."""

    id: int
    account: int
    hash: bytes = field(repr=False)
    name: str
    scopes: tuple[str, ...]
    """Rights."""
    networks: tuple[str, ...]
    """It is good from there; empty: from everywhere."""
    made_at: float
    expires_at: float
    revoked_at: float | None
    used_at: float | None
    used_from: str
    """A network prefix."""

    def good(self, now: float) -> bool:
        """Neither ended nor revoked."""
        return self.revoked_at is None and now < self.expires_at


def add(
    connection: Connection,
    account: int,
    *,
    selector: str,
    digest: bytes,
    name: str,
    scopes: Iterable[str],
    networks: Iterable[str],
    at: float,
    expires_at: float,
) -> KeptToken:
    """A new one. Raises IntegrityError when the selector is taken."""
    row = connection.execute(
        "INSERT INTO api_tokens (account, selector, hash, name, scopes, networks, made_at, expires_at)"  # noqa: S608
        f" VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING {_COLUMNS}",
        (account, selector, digest, name, " ".join(scopes), " ".join(networks), at, expires_at),
    ).fetchone()
    return _token(row)


def find(connection: Connection, selector: str) -> KeptToken | None:
    """The one with this selector."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM api_tokens WHERE selector = ?", (selector,)).fetchone()  # noqa: S608
    return _token(row) if row else None


def listed(connection: Connection, account: int) -> list[KeptToken]:
    """The account's, newest first; those that were revoked or have ended as well."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM api_tokens WHERE account = ? ORDER BY id DESC",  # noqa: S608
        (account,),
    )
    return [_token(row) for row in rows]


def revoke(connection: Connection, account: int, number: int, at: float) -> KeptToken | None:
    """It is no good any more: which one that was; None when it is not the account's, or was revoked before."""
    row = connection.execute(
        f"UPDATE api_tokens SET revoked_at = ? WHERE id = ? AND account = ? AND revoked_at IS NULL RETURNING {_COLUMNS}",  # noqa: S608
        (at, number, account),
    ).fetchone()
    return _token(row) if row else None


def used(connection: Connection, number: int, at: float, network: str) -> None:
    """When and from where it was used last."""
    connection.execute("UPDATE api_tokens SET used_at = ?, used_from = ? WHERE id = ?", (at, network, number))


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` that have been of no use since `before`."""
    return int(
        connection.execute(
            "DELETE FROM api_tokens WHERE id IN (SELECT id FROM api_tokens WHERE min(expires_at, coalesce(revoked_at,"  # noqa: S608
            f" expires_at)) < ? AND {holds.API_TOKENS} LIMIT ?)",
            (before, limit),
        ).rowcount
    )


def _token(row: tuple[object, ...]) -> KeptToken:
    number, account, digest, name, scopes, networks, made_at, expires_at, revoked_at, used_at, used_from = row
    return KeptToken(
        id=number, account=account, hash=digest, name=name, scopes=tuple(str(scopes).split()),  # type: ignore[arg-type]
        networks=tuple(str(networks).split()), made_at=made_at, expires_at=expires_at,  # type: ignore[arg-type]
        revoked_at=revoked_at, used_at=used_at, used_from=used_from,  # type: ignore[arg-type]
    )  # fmt: skip

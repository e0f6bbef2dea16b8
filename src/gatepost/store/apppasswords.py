"""What mail programs and devices sign in with: app passwords and client certificates. Functions over a connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gatepost.store import holds
from gatepost.store.database import Connection

_COLUMNS = (
    "id, account, selector, salt, hash, name, scopes, sends_as, networks, made_at, made_by, expires_at, revoked_at,"
    " used_at, used_from"
)
_CERTIFICATE = (
    "id, account, name, fingerprint, subject, sends_as, made_at, made_by, expires_at, used_at, used_from"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPassword:
    """One, without its secret."""

    id: int
    account: int
    selector: str
    """Names it; no secret."""
    salt: bytes = field(repr=False)
    hash: bytes = field(repr=False)
    name: str
    scopes: tuple[str, ...]
    sends_as: tuple[str, ...]
    """Empty: all addresses of the account."""
    networks: tuple[str, ...]
    """Empty: from everywhere."""
    made_at: float
    made_by: str
    expires_at: float | None
    revoked_at: float | None
    used_at: float | None
    used_from: str
    """A network prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A client certificate that signs in, known by its fingerprint or its subject."""

    id: int
    account: int
    name: str
    fingerprint: str
    subject: str
    sends_as: tuple[str, ...]
    made_at: float
    made_by: str
    expires_at: float | None
    used_at: float | None
    used_from: str


def add(
    connection: Connection,
    *,
    account: int,
    selector: str,
    salt: bytes,
    hash: bytes,  # noqa: A002
    name: str,
    scopes: Iterable[str],
    sends_as: Iterable[str],
    networks: Iterable[str],
    at: float,
    by: str,
    expires_at: float | None,
) -> int:
    """A new one; its number. Raises IntegrityError when the selector is taken."""
    row = (
        account, selector, salt, hash, name, " ".join(scopes), " ".join(sends_as), " ".join(networks), at, by, expires_at,
    )  # fmt: skip
    return int(
        connection.execute(
            "INSERT INTO app_passwords (account, selector, salt, hash, name, scopes, sends_as, networks, made_at, made_by,"
            " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            row,
        ).fetchone()[0]
    )


def by_selector(connection: Connection, selector: str) -> AppPassword | None:
    """The one that bears it."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM app_passwords WHERE selector = ?",  # noqa: S608
        (selector,),
    ).fetchone()
    return _app_password(row) if row else None


def listed(connection: Connection, account: int) -> list[AppPassword]:
    """The account's, revoked ones too, newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM app_passwords WHERE account = ? ORDER BY id DESC",  # noqa: S608
        (account,),
    )
    return [_app_password(row) for row in rows]


def find(connection: Connection, number: int) -> AppPassword | None:
    """The one with this number."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM app_passwords WHERE id = ?", (number,)).fetchone()  # noqa: S608
    return _app_password(row) if row else None


def good(connection: Connection, account: int, now: float) -> int:
    """How many of the account's can be used."""
    return int(
        connection.execute(
            "SELECT count(*) FROM app_passwords WHERE account = ? AND revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > ?)",
            (account, now),
        ).fetchone()[0]
    )


def revoke(connection: Connection, number: int, at: float) -> bool:
    """From now on it is good for nothing; False when it was not."""
    return bool(
        connection.execute(
            "UPDATE app_passwords SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (at, number)
        ).rowcount
    )


def used(connection: Connection, number: int, *, at: float, network: str) -> None:
    """It signed in."""
    connection.execute(
        "UPDATE app_passwords SET used_at = ?, used_from = ? WHERE id = ?", (at, network, number)
    )


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Delete at most `limit` that ended or were revoked before `before`."""
    return int(
        connection.execute(
            "DELETE FROM app_passwords WHERE id IN (SELECT id FROM app_passwords WHERE"  # noqa: S608
            f" coalesce(revoked_at, expires_at) < ? AND {holds.APP_PASSWORDS} LIMIT ?)",
            (before, limit),
        ).rowcount
    )


# Certificates


def add_certificate(
    connection: Connection,
    *,
    account: int,
    name: str,
    fingerprint: str,
    subject: str,
    sends_as: Iterable[str],
    at: float,
    by: str,
    expires_at: float | None,
) -> int:
    """A new one; its number. Raises IntegrityError when it is known already."""
    return int(
        connection.execute(
            "INSERT INTO client_certificates (account, name, fingerprint, subject, sends_as, made_at, made_by, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (account, name, fingerprint, subject, " ".join(sends_as), at, by, expires_at),
        ).fetchone()[0]
    )


def certificate(connection: Connection, *, fingerprint: str, subject: str) -> Certificate | None:
    """The one with this fingerprint, else the one with this subject."""
    row = connection.execute(
        f"SELECT {_CERTIFICATE} FROM client_certificates WHERE (fingerprint = ?1 AND ?1 <> '')"  # noqa: S608
        " OR (subject = ?2 AND ?2 <> '') ORDER BY fingerprint DESC LIMIT 1",
        (fingerprint, subject),
    ).fetchone()
    return _certificate(row) if row else None


def certificates(connection: Connection, account: int) -> list[Certificate]:
    """The account's, newest first."""
    rows = connection.execute(
        f"SELECT {_CERTIFICATE} FROM client_certificates WHERE account = ? ORDER BY id DESC",  # noqa: S608
        (account,),
    )
    return [_certificate(row) for row in rows]


def certificate_used(connection: Connection, number: int, *, at: float, network: str) -> None:
    """It signed in."""
    connection.execute(
        "UPDATE client_certificates SET used_at = ?, used_from = ? WHERE id = ?", (at, network, number)
    )


def remove_certificate(connection: Connection, account: int, number: int) -> Certificate | None:
    """Take it out; what it was."""
    row = connection.execute(
        f"DELETE FROM client_certificates WHERE id = ? AND account = ? RETURNING {_CERTIFICATE}",  # noqa: S608
        (number, account),
    ).fetchone()
    return _certificate(row) if row else None


def _app_password(row: tuple[object, ...]) -> AppPassword:
    (number, account, selector, salt, hashed, name, scopes, sends_as, networks, made_at, made_by, expires_at,
     revoked_at, used_at, used_from) = row  # fmt: skip
    return AppPassword(
        id=number, account=account, selector=selector, salt=salt, hash=hashed, name=name,  # type: ignore[arg-type]
        scopes=tuple(str(scopes).split()), sends_as=tuple(str(sends_as).split()),
        networks=tuple(str(networks).split()), made_at=made_at, made_by=made_by, expires_at=expires_at,  # type: ignore[arg-type]
        revoked_at=revoked_at, used_at=used_at, used_from=used_from,  # type: ignore[arg-type]
    )  # fmt: skip


def _certificate(row: tuple[object, ...]) -> Certificate:
    (
        number,
        account,
        name,
        fingerprint,
        subject,
        sends_as,
        made_at,
        made_by,
        expires_at,
        used_at,
        used_from,
    ) = row
    return Certificate(
        id=number, account=account, name=name, fingerprint=fingerprint, subject=subject,  # type: ignore[arg-type]
        sends_as=tuple(str(sends_as).split()), made_at=made_at, made_by=made_by, expires_at=expires_at,  # type: ignore[arg-type]
        used_at=used_at, used_from=used_from,  # type: ignore[arg-type]
    )  # fmt: skip

"""People: accounts with their roles and addresses, and what they prove themselves with. Functions over a connection.

Whoever calls them writes the journal in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gatepost.access.rights import Role
from gatepost.store.database import Connection
from gatepost.store.sealing import Seal

_COLUMNS = (
    "id, login, name, language, roles, handle, source, source_key, created_at, disabled_at, disabled_because,"
    " password, seed, seed_key_id, seed_wrapped_key, seed_in, seed_step"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person, or one device that sends mail."""

    id: int
    login: str
    """The address it signs in with, lower case."""
    name: str
    language: str
    roles: frozenset[Role]
    handle: bytes
    """WebAuthn's user handle."""
    source: str = ""
    """Where the account comes from, such as ``ldap:main``; empty: from here."""
    source_key: str = ""
    """What the source knows it by."""
    created_at: float
    disabled_at: float | None = None
    disabled_because: str = ""
    password: str | None = field(default=None, repr=False)
    """argon2id; None: there is none here."""
    seed: bytes | None = field(default=None, repr=False)
    """Of one-time codes, sealed; None: there are none."""
    seal: Seal | None = None
    seed_in: int | None = None
    """The session in which it was proved."""
    seed_step: int = 0

    @property
    def usable(self) -> bool:
        """Not disabled."""
        return self.disabled_at is None

    @property
    def has_codes(self) -> bool:
        """Signs in with password and code: the password may be kept elsewhere."""
        return self.seed is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """One registered authenticator."""

    id: int
    account: int
    credential: bytes
    public_key: bytes
    uses: int
    name: str
    synced: bool
    """It lives on several devices of the person."""
    made_at: float
    made_in: int
    """The session in which it was registered."""
    used_at: float | None


def find(connection: Connection, *, id: int | None = None, login: str | None = None) -> Account | None:  # noqa: A002
    """The account with this number or this login."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM accounts WHERE id = ?1 OR login = ?2",  # noqa: S608 - our own words
        (-1 if id is None else id, login or ""),
    ).fetchone()
    return _account(row) if row else None


def of_source(connection: Connection, source: str, key: str) -> Account | None:
    """The account that this source knows by `key`."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM accounts WHERE source = ? AND source_key = ? AND source <> ''",  # noqa: S608
        (source, key),
    ).fetchone()
    return _account(row) if row else None


def listed(
    connection: Connection, *, after: str = "", limit: int = 100, source: str | None = None
) -> list[Account]:
    """Accounts in the order of their logins; `after` is the last login of the page before."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM accounts WHERE login > ?1 AND (?2 IS NULL OR source = ?2) ORDER BY login LIMIT ?3",  # noqa: S608
        (after, source, limit),
    )
    return [_account(row) for row in rows]


def add(
    connection: Connection,
    *,
    login: str,
    name: str,
    language: str,
    roles: Iterable[Role],
    handle: bytes,
    at: float,
    source: str = "",
    source_key: str = "",
) -> int:
    """A new account; its number. Raises IntegrityError when the login is taken."""
    return int(
        connection.execute(
            "INSERT INTO accounts (login, name, language, roles, handle, source, source_key, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (login, name, language, _words(roles), handle, source, source_key, at),
        ).fetchone()[0]
    )


def rename(
    connection: Connection,
    account: int,
    *,
    login: str | None = None,
    name: str | None = None,
    language: str | None = None,
) -> None:
    """Change what is given."""
    connection.execute(
        "UPDATE accounts SET login = coalesce(?, login), name = coalesce(?, name), language = coalesce(?, language)"
        " WHERE id = ?",
        (login, name, language, account),
    )


def set_source(connection: Connection, account: int, source: str, source_key: str) -> None:
    """From now on it comes from there. Raises IntegrityError when the source knows another account by this key."""
    connection.execute(
        "UPDATE accounts SET source = ?, source_key = ? WHERE id = ?", (source, source_key, account)
    )


def set_roles(connection: Connection, account: int, roles: Iterable[Role]) -> None:
    """These and no others."""
    connection.execute("UPDATE accounts SET roles = ? WHERE id = ?", (_words(roles), account))


def set_disabled(connection: Connection, account: int, at: float | None, because: str = "") -> None:
    """Disabled since `at`; None: not any more."""
    connection.execute(
        "UPDATE accounts SET disabled_at = ?, disabled_because = ? WHERE id = ?", (at, because, account)
    )


def set_password(connection: Connection, account: int, password: str | None) -> None:
    """What is kept of the password."""
    connection.execute("UPDATE accounts SET password = ? WHERE id = ?", (password, account))


def set_seed(
    connection: Connection,
    account: int,
    seed: bytes | None,
    seal: Seal | None,
    *,
    session: int | None,
    step: int,
) -> None:
    """The sealed seed of one-time codes, the session in which it was proved, and the step of the code that did."""
    key_id, wrapped = (seal.key_id, seal.wrapped_key) if seal else (None, None)
    connection.execute(
        "UPDATE accounts SET seed = ?, seed_key_id = ?, seed_wrapped_key = ?, seed_in = ?, seed_step = ?"
        " WHERE id = ?",
        (seed, key_id, wrapped, session, step, account),
    )


def take_step(connection: Connection, account: int, step: int) -> bool:
    """Take the code of this step, unless it or a later one was taken."""
    return bool(
        connection.execute(
            "UPDATE accounts SET seed_step = ?1 WHERE id = ?2 AND seed_step < ?1", (step, account)
        ).rowcount
    )


def remove(connection: Connection, account: int) -> None:
    """Take it out, with all that is its own."""
    connection.execute("DELETE FROM accounts WHERE id = ?", (account,))


def owners(connection: Connection) -> list[tuple[int, bool]]:
    """The usable accounts that own the installation, and whether they have a passkey."""
    rows = connection.execute(
        "SELECT id, EXISTS (SELECT 1 FROM passkeys WHERE account = accounts.id) FROM accounts"
        " WHERE disabled_at IS NULL AND roles LIKE ?",
        (f"% {Role.OWNER} %",),
    )
    return [(number, bool(has_passkey)) for number, has_passkey in rows]


def administrators(connection: Connection) -> list[Account]:
    """Everybody with more roles than `person`."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM accounts WHERE trim(roles) <> ? ORDER BY login",  # noqa: S608 - our own words
        (Role.PERSON.value,),
    )
    return [_account(row) for row in rows]


# Addresses


def addresses(connection: Connection, account: int, *, delegated: bool | None = None) -> tuple[str, ...]:
    """The account's own addresses, those it may write as (`delegated`), or both (None)."""
    rows = connection.execute(
        "SELECT address FROM account_addresses WHERE account = ?1 AND (?2 IS NULL OR delegated = ?2) ORDER BY address",
        (account, delegated),
    )
    return tuple(row[0] for row in rows)


def owner_of(connection: Connection, address: str) -> Account | None:
    """Whose own address this is."""
    row = connection.execute(
        "SELECT account FROM account_addresses WHERE address = ? AND delegated = 0", (address,)
    ).fetchone()
    return find(connection, id=row[0]) if row else None


def link(connection: Connection, account: int, address: str, *, delegated: bool) -> None:
    """Give an address to an account. Raises IntegrityError when it is somebody else's own."""
    connection.execute(
        "INSERT INTO account_addresses (account, address, delegated) VALUES (?, ?, ?)"
        " ON CONFLICT (account, address) DO UPDATE SET delegated = excluded.delegated",
        (account, address, delegated),
    )


def unlink(connection: Connection, account: int, address: str) -> bool:
    """Take it away; False when it was not there."""
    return bool(
        connection.execute(
            "DELETE FROM account_addresses WHERE account = ? AND address = ?", (account, address)
        ).rowcount
    )


# Passkeys

_PASSKEY = "id, account, credential, public_key, uses, name, synced, made_at, made_in, used_at"


def passkeys(connection: Connection, account: int) -> list[Passkey]:
    """The account's, oldest first."""
    rows = connection.execute(
        f"SELECT {_PASSKEY} FROM passkeys WHERE account = ? ORDER BY id",  # noqa: S608
        (account,),
    )
    return [_passkey(row) for row in rows]


def passkey(connection: Connection, credential: bytes) -> Passkey | None:
    """The one with this credential id."""
    row = connection.execute(
        f"SELECT {_PASSKEY} FROM passkeys WHERE credential = ?",  # noqa: S608
        (credential,),
    ).fetchone()
    return _passkey(row) if row else None


def add_passkey(
    connection: Connection,
    account: int,
    *,
    credential: bytes,
    public_key: bytes,
    uses: int,
    name: str,
    synced: bool,
    at: float,
    session: int,
) -> int:
    """Register it; its number. Raises IntegrityError when the credential is known already."""
    return int(
        connection.execute(
            "INSERT INTO passkeys (account, credential, public_key, uses, name, synced, made_at, made_in)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (account, credential, public_key, uses, name, synced, at, session),
        ).fetchone()[0]
    )


def used_passkey(connection: Connection, number: int, *, before: int, uses: int, at: float) -> bool:
    """Count a use; False when it was used meanwhile, or is gone."""
    return bool(
        connection.execute(
            "UPDATE passkeys SET uses = ?, used_at = ? WHERE id = ? AND uses = ?", (uses, at, number, before)
        ).rowcount
    )


def rename_passkey(connection: Connection, account: int, number: int, name: str) -> bool:
    """Another name."""
    return bool(
        connection.execute(
            "UPDATE passkeys SET name = ? WHERE id = ? AND account = ?", (name, number, account)
        ).rowcount
    )


def remove_passkey(connection: Connection, account: int, number: int) -> bool:
    """Take it out; False when it is not this account's."""
    return bool(
        connection.execute("DELETE FROM passkeys WHERE id = ? AND account = ?", (number, account)).rowcount
    )


# Recovery codes and links


def set_recovery(connection: Connection, account: int, hashes: Iterable[bytes]) -> None:
    """These codes and no older ones."""
    connection.execute("DELETE FROM recovery_codes WHERE account = ?", (account,))
    connection.executemany(
        "INSERT INTO recovery_codes (account, hash) VALUES (?, ?)", [(account, one) for one in hashes]
    )


def recovery_left(connection: Connection, account: int) -> int:
    """How many codes are not used."""
    return int(
        connection.execute(
            "SELECT count(*) FROM recovery_codes WHERE account = ? AND used_at IS NULL", (account,)
        ).fetchone()[0]
    )


def take_recovery(connection: Connection, account: int, digest: bytes, at: float) -> bool:
    """Use a code up; False when it is none, or used."""
    return bool(
        connection.execute(
            "UPDATE recovery_codes SET used_at = ? WHERE account = ? AND hash = ? AND used_at IS NULL",
            (at, account, digest),
        ).rowcount
    )


def add_link(connection: Connection, account: int, digest: bytes, *, at: float, expires_at: float) -> None:
    """A new enrolment link; older ones of the account end."""
    end_links(connection, account)
    connection.execute("INSERT INTO enrolment_links VALUES (?, ?, ?, ?)", (digest, account, at, expires_at))


def link_account(connection: Connection, digest: bytes, now: float) -> Account | None:
    """Whom a link is for, while it can be used."""
    row = connection.execute(
        "SELECT account FROM enrolment_links WHERE hash = ? AND expires_at > ?", (digest, now)
    ).fetchone()
    return find(connection, id=row[0]) if row else None


def link_ends(connection: Connection, account: int, now: float) -> float | None:
    """When the account's open link ends; None: it has none."""
    row = connection.execute(
        "SELECT expires_at FROM enrolment_links WHERE account = ? AND expires_at > ?", (account, now)
    ).fetchone()
    return row[0] if row else None


def take_link(connection: Connection, digest: bytes, now: float) -> Account | None:
    """Use a link up: whom it was for; None when it cannot be used."""
    account = link_account(connection, digest, now)
    connection.execute("DELETE FROM enrolment_links WHERE hash = ?", (digest,))
    return account


def end_links(connection: Connection, account: int) -> None:
    """None of the account's links can be used any more."""
    connection.execute("DELETE FROM enrolment_links WHERE account = ?", (account,))


# Sealing


def sealed_as(account: int) -> str:
    """What the seal of an account's seed is bound to."""
    return f"account {account}"


def key_ids(connection: Connection) -> set[str]:
    """The master keys that seeds are sealed with."""
    rows = connection.execute("SELECT DISTINCT seed_key_id FROM accounts WHERE seed_key_id IS NOT NULL")
    return {row[0] for row in rows}


def sealed_otherwise(connection: Connection, key_id: str) -> list[tuple[int, str, Seal]]:
    """Number, what it is sealed as, and seal of the accounts whose seed another master key than this one seals."""
    rows = connection.execute(
        "SELECT id, seed_key_id, seed_wrapped_key FROM accounts WHERE seed_key_id <> ?", (key_id,)
    )
    return [(number, sealed_as(number), Seal(name, wrapped)) for number, name, wrapped in rows]


def set_seal(connection: Connection, account: int, seal: Seal) -> None:
    """Another seal for the same seed."""
    connection.execute(
        "UPDATE accounts SET seed_key_id = ?, seed_wrapped_key = ? WHERE id = ?",
        (seal.key_id, seal.wrapped_key, account),
    )


def _words(roles: Iterable[Role]) -> str:
    """Between blanks, so that one can be looked for."""
    return f" {' '.join(sorted(roles))} "


def _account(row: tuple[object, ...]) -> Account:
    (number, login, name, language, roles, handle, source, source_key, created_at, disabled_at, because,
     password, seed, key_id, wrapped, seed_in, step) = row  # fmt: skip
    known = {role.value: role for role in Role}
    return Account(
        id=number, login=login, name=name, language=language,  # type: ignore[arg-type]
        roles=frozenset(known[word] for word in str(roles).split() if word in known),
        handle=handle, source=source, source_key=source_key, created_at=created_at,  # type: ignore[arg-type]
        disabled_at=disabled_at, disabled_because=because, password=password, seed=seed, seed_in=seed_in, seed_step=step,  # type: ignore[arg-type]
        seal=None if seed is None else Seal(str(key_id), wrapped),  # type: ignore[arg-type]
    )  # fmt: skip


def _passkey(row: tuple[object, ...]) -> Passkey:
    number, account, credential, public_key, uses, name, synced, made_at, made_in, used_at = row
    return Passkey(
        id=number, account=account, credential=credential, public_key=public_key, uses=uses, name=name,  # type: ignore[arg-type]
        synced=bool(synced), made_at=made_at, made_in=made_in, used_at=used_at,  # type: ignore[arg-type]
    )  # fmt: skip

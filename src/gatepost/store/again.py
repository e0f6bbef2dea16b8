"""Doing again, on a restored database, what the backup it came from knows nothing of: see `store/gone.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gatepost.access.rights import Role
from gatepost.store import accounts, gone, journal, personal
from gatepost.store.database import Connection
from gatepost.store.gone import Gone


@dataclass(slots=True)
class Again:
    """What came of it."""

    done: Counter[str] = field(default_factory=Counter)
    """Kind -> of how many it was there again, and is gone once more."""
    kept: int = 0
    """Rows about those who were erased that stay: a legal hold is in force over them in the backup."""
    files: list[str] = field(default_factory=list)
    """Files of the spool to be removed after the commit."""


def again(connection: Connection, entries: Sequence[Gone], *, made_at: float) -> Again:
    """In the order in which it was done. The database has the present schema; it is one transaction of the caller's.

    The backup says itself up to which number it knows what is gone; an older one kept no list, and of its time counts.
    """
    known = gone.highest(connection)
    since = [one for one in entries if (one.number > known if known else one.at >= made_at)]
    told = Again()
    for one in since:
        told.done[one.kind] += _ACTS[one.kind](connection, one, told) if one.kind in _ACTS else 0
    gone.adopt(connection, since, after=known)
    told.done = +told.done
    return told


def _erased(connection: Connection, one: Gone, told: Again) -> int:
    parts = personal.erase(connection, one.whom)
    for part in parts.values():
        told.files += part.files
        told.kept += part.kept.get("hold", 0)
    return int(any(part.erased or part.changed for part in parts.values()))


def _journal(connection: Connection, one: Gone, _: Again) -> int:
    return int(journal.erase(connection, one.whom) > 0)


def _account(connection: Connection, one: Gone, _: Again) -> int:
    account = accounts.find(connection, login=one.whom)
    if account is not None:
        accounts.remove(connection, account.id)
    return int(account is not None)


def _disabled(connection: Connection, one: Gone, _: Again) -> int:
    account = accounts.find(connection, login=one.whom)
    if account is None or not account.usable:
        return 0
    accounts.set_disabled(connection, account.id, one.at, one.what)
    return 1


def _enabled(connection: Connection, one: Gone, _: Again) -> int:
    account = accounts.find(connection, login=one.whom)
    if account is not None:
        accounts.set_disabled(connection, account.id, None)
    return 0


def _roles(connection: Connection, one: Gone, _: Again) -> int:
    account = accounts.find(connection, login=one.whom)
    if account is None:
        return 0
    left = {role for role in account.roles if role.value in one.what.split()} or {Role.PERSON}
    if left == account.roles:
        return 0
    accounts.set_roles(connection, account.id, left)
    return 1


def _passkey(connection: Connection, one: Gone, _: Again) -> int:
    return int(
        connection.execute("DELETE FROM passkeys WHERE lower(hex(credential)) = ?", (one.what,)).rowcount
    )


def _address(connection: Connection, one: Gone, _: Again) -> int:
    account = accounts.find(connection, login=one.whom)
    return int(account is not None and accounts.unlink(connection, account.id, one.what))


_ACTS: dict[str, Callable[[Connection, Gone, Again], int]] = {
    "erased": _erased, "journal": _journal, "account": _account, "disabled": _disabled, "enabled": _enabled,
    "roles": _roles, "passkey": _passkey, "address": _address,
}  # fmt: skip

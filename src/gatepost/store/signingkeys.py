"""Keys that sign our mail, in the database: sealed under the master keys, each change of state in the journal.

It leaves out when a key moves on (`mailauth.keylife`) and what it signs (`delivery.signing`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import cast

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from pysqlite3 import dbapi2

from gatepost.mailauth.dkim_sign import PrivateKey, SigningKey
from gatepost.mailauth.keylife import MOVES, KeyFacts, KeyState
from gatepost.mailauth.keyrecord import key_name, key_record
from gatepost.store import journal
from gatepost.store.database import Connection, Database
from gatepost.store.failures import StoreFailed
from gatepost.store.journal import Why
from gatepost.store.sealing import Keyring, Seal

RSA_BITS = 2048
"""RFC 8301 §3.2; a longer one would not fit everybody's DNS."""
COLUMNS = "id, domain, selector, algorithm, state, since, created_at, record, checked_at, problem"


class CannotMove(StoreFailed):
    """A key cannot take this step now; the text says why."""


class SigningKeys:
    """The keys of all domains. What is read is never a secret, but for `private`."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self.database = database
        self.keyring = keyring

    def listed(self, domain: str | None = None, *, removed: bool = False) -> list[KeyFacts]:
        """All keys, or those of a domain, the oldest first; without the removed ones unless asked for."""
        return self.database.read(lambda connection: listed(connection, domain, removed=removed))

    async def create(self, domain: str, algorithm: str, selector: str, why: Why) -> KeyFacts:
        """Make a key. Raises CannotMove when the selector is taken, StoreFailed when it cannot be sealed."""
        private = await asyncio.to_thread(generate, algorithm)  # the loop has others to attend to
        record = key_record(private.public_key())
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        seal, sealed = self.keyring.seal(sealed_as(domain, selector), der)

        def work(connection: Connection) -> int:
            cursor = connection.execute(
                "INSERT INTO signing_keys (domain, selector, algorithm, state, since, created_at, record, private, key_id,"
                " wrapped_key) VALUES (?, ?, ?, 'created', ?, ?, ?, ?, ?, ?)",
                (domain, selector, algorithm, why.at, why.at, record, sealed, seal.key_id, seal.wrapped_key),
            )
            what = f"key create {key_name(domain, selector)} {algorithm}"
            journal.append(connection, at=why.at, who=why.who, what=what, why=why.why)
            return int(cursor.lastrowid)

        try:
            number = await self.database.commit(work)
        except dbapi2.IntegrityError:
            raise CannotMove(f"{domain} has a key with the selector {selector} already") from None
        return KeyFacts(
            id=number, domain=domain, selector=selector, algorithm=algorithm, state=KeyState.CREATED,
            since=why.at, created_at=why.at, record=record,
        )  # fmt: skip

    async def move(self, number: int, to: KeyState, why: Why) -> KeyFacts:
        """Let a key take a step. Raises CannotMove when the step is not one from where it is now."""

        def work(connection: Connection) -> KeyFacts:
            found = one(connection, number)
            if found is None:
                raise CannotMove(f"there is no key number {number}")
            if to not in MOVES[found.state]:
                way = ", ".join(sorted(MOVES[found.state])) or "nothing"
                raise CannotMove(
                    f"{key_name(found.domain, found.selector)} is {found.state}; from there it can become {way}"
                )
            gone = ", private = NULL, key_id = NULL, wrapped_key = NULL" if to is KeyState.REMOVED else ""
            connection.execute(
                f"UPDATE signing_keys SET state = ?, since = ?{gone} WHERE id = ?",  # noqa: S608
                (to.value, why.at, number),
            )
            what = f"key {to.value} {key_name(found.domain, found.selector)}"
            journal.append(connection, at=why.at, who=why.who, what=what, why=why.why)
            return cast("KeyFacts", one(connection, number))

        return await self.database.commit(work)

    async def looked_up(self, found: Sequence[tuple[int, str]], at: float) -> None:
        """Keep what looking up records came to: number, and what is wrong."""

        def work(connection: Connection) -> None:
            connection.executemany(
                "UPDATE signing_keys SET checked_at = ?, problem = ? WHERE id = ?",
                [(at, problem, number) for number, problem in found],
            )

        await self.database.commit(work)

    def private(self, key: KeyFacts) -> PrivateKey:
        """The secret itself. Raises KeyMissing or StoreFailed."""
        row = self.database.read(
            lambda connection: connection.execute(
                "SELECT private, key_id, wrapped_key FROM signing_keys WHERE id = ?", (key.id,)
            ).fetchone()
        )
        if row is None or row[0] is None:
            raise StoreFailed(f"the key {key_name(key.domain, key.selector)} was removed")
        der = self.keyring.open(sealed_as(key.domain, key.selector), Seal(row[1], row[2]), row[0])
        # It is ours and authentic: proving the primes again would cost a tenth of a second.
        return cast("PrivateKey", load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True))


class KeysInUse:
    """The keys that sign, in memory: looked after once a second, so that a switch reaches every process."""

    def __init__(
        self,
        keys: SigningKeys,
        clock: Callable[[], float],
        *,
        on_problem: Callable[[str], object],
        look_s: float = 1.0,
    ) -> None:
        """`clock`: seconds of any epoch. `on_problem` is told once of each key that cannot be opened."""
        self.keys = keys
        self._clock = clock
        self._on_problem = on_problem
        self._look_s = look_s
        self._looked_at = float("-inf")
        self._by_domain: dict[str, tuple[SigningKey, ...]] = {}
        self._opened: dict[int, SigningKey] = {}
        self._told: set[int] = set()

    def of(self, domain: str) -> tuple[SigningKey, ...]:
        """The keys that sign for exactly this domain now, RSA first; never raises."""
        now = self._clock()
        if now - self._looked_at >= self._look_s:
            self._looked_at = now
            with contextlib.suppress(StoreFailed):  # what is known holds meanwhile
                self._look()
        return self._by_domain.get(domain, ())

    def _look(self) -> None:
        found = self.keys.database.read(signing)
        if {one.id for one in found} == set(self._opened):
            return
        opened: dict[int, SigningKey] = {}
        by_domain: dict[str, list[SigningKey]] = {}
        for one in sorted(found, key=lambda each: each.algorithm, reverse=True):
            key = self._opened.get(one.id) or self._open(one)
            if key is not None:
                opened[one.id] = key
                by_domain.setdefault(one.domain, []).append(key)
        self._opened = opened
        self._by_domain = {domain: tuple(keys) for domain, keys in by_domain.items()}

    def _open(self, facts: KeyFacts) -> SigningKey | None:
        try:
            return SigningKey(facts.domain, facts.selector, self.keys.private(facts))
        except StoreFailed as failure:
            if facts.id not in self._told:
                self._told.add(facts.id)
                self._on_problem(
                    f"nothing is signed with {key_name(facts.domain, facts.selector)}: {failure}"
                )
            return None


def generate(algorithm: str) -> PrivateKey:
    """A new private key."""
    if algorithm == "ed25519-sha256":
        return Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def sealed_as(domain: str, selector: str) -> str:
    """What a key's sealing is bound to, so that none can be put in another's place."""
    return f"signing key {key_name(domain, selector)}"


def listed(connection: Connection, domain: str | None = None, *, removed: bool = False) -> list[KeyFacts]:
    """Keys in the order in which they were made."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM signing_keys"  # noqa: S608
        " WHERE (?1 IS NULL OR domain = ?1) AND (?2 OR state <> 'removed') ORDER BY domain, id",
        (domain, removed),
    )
    return [facts_from(row) for row in rows]


def signing(connection: Connection) -> list[KeyFacts]:
    """Those that sign."""
    rows = connection.execute(f"SELECT {COLUMNS} FROM signing_keys WHERE state = 'signing'")  # noqa: S608
    return [facts_from(row) for row in rows]


def one(connection: Connection, number: int) -> KeyFacts | None:
    """A key by its number."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM signing_keys WHERE id = ?",  # noqa: S608
        (number,),
    ).fetchone()
    return facts_from(row) if row else None


def facts_from(row: Sequence[object]) -> KeyFacts:
    """A row as facts."""
    number, domain, selector, algorithm, state, since, created_at, record, checked_at, problem = row
    return KeyFacts(
        id=number, domain=domain, selector=selector, algorithm=algorithm, state=KeyState(state), since=since,  # type: ignore[arg-type]
        created_at=created_at, record=record, checked_at=checked_at, problem=problem,  # type: ignore[arg-type]
    )  # fmt: skip


def key_ids(connection: Connection) -> set[str]:
    """The master keys that are needed to open what is here."""
    return {
        name
        for (name,) in connection.execute("SELECT DISTINCT key_id FROM signing_keys WHERE key_id IS NOT NULL")
    }


def sealed_otherwise(connection: Connection, key_id: str) -> list[tuple[int, str, Seal]]:
    """Number, what it is sealed as, and seal of the keys that another master key than this one seals."""
    rows = connection.execute(
        "SELECT id, domain, selector, key_id, wrapped_key FROM signing_keys WHERE key_id IS NOT NULL AND key_id <> ?",
        (key_id,),
    )
    return [
        (number, sealed_as(domain, selector), Seal(name, wrapped))
        for number, domain, selector, name, wrapped in rows
    ]


def set_seal(connection: Connection, number: int, seal: Seal) -> None:
    """Another seal for the same key."""
    connection.execute(
        "UPDATE signing_keys SET key_id = ?, wrapped_key = ? WHERE id = ?",
        (seal.key_id, seal.wrapped_key, number),
    )

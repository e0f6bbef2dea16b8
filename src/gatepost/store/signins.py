"""Sessions, sign-ins, challenges that wait for an answer, and failures: what comes and goes with people."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.access.lockout import Strikes
from gatepost.access.standing import Strength
from gatepost.store import holds
from gatepost.store.database import Connection

_SESSION = "number, account, strength, started_at, seen_at, proved_at, network, agent"
CHALLENGES_PER_NETWORK = 100
"""So many wait at most for answers from one network; the oldest go first."""
SESSIONS = 50
"""Of one account at a time."""
DEVICES = 20
"""Browsers that one account is known by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody is signed in."""

    number: int
    account: int
    strength: Strength
    started_at: float
    seen_at: float
    proved_at: float
    network: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """Somebody signed in, or tried to."""

    number: int
    at: float
    how: str
    succeeded: bool
    network: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What waits for an answer."""

    kind: str
    account: int
    value: bytes


def open_session(
    connection: Connection,
    *,
    digest: bytes,
    account: int,
    strength: Strength,
    at: float,
    network: str,
    agent: str,
) -> int:
    """A new session; its number. When the account has too many, the one not seen for longest ends."""
    connection.execute(
        "DELETE FROM sessions WHERE account = ?1 AND number NOT IN"
        " (SELECT number FROM sessions WHERE account = ?1 ORDER BY seen_at DESC LIMIT ?2)",
        (account, SESSIONS - 1),
    )
    return int(
        connection.execute(
            "INSERT INTO sessions (hash, account, strength, started_at, seen_at, proved_at, network, agent)"
            " VALUES (?1, ?2, ?3, ?4, ?4, ?4, ?5, ?6) RETURNING number",
            (digest, account, strength.value, at, network, agent),
        ).fetchone()[0]
    )


def session(connection: Connection, digest: bytes) -> Session | None:
    """The one with this token."""
    row = connection.execute(f"SELECT {_SESSION} FROM sessions WHERE hash = ?", (digest,)).fetchone()  # noqa: S608
    return _session(row) if row else None


def sessions(connection: Connection, account: int) -> list[Session]:
    """The account's, newest first."""
    rows = connection.execute(
        f"SELECT {_SESSION} FROM sessions WHERE account = ? ORDER BY number DESC",  # noqa: S608
        (account,),
    )
    return [_session(row) for row in rows]


def seen(connection: Connection, number: int, at: float) -> None:
    """Somebody asked for something in it."""
    connection.execute("UPDATE sessions SET seen_at = max(seen_at, ?) WHERE number = ?", (at, number))


def renew(connection: Connection, old: bytes, new: bytes, *, proved_at: float) -> bool:
    """Another token for the same session, which was proved anew; False when it is gone."""
    return bool(
        connection.execute(
            "UPDATE sessions SET hash = ?, proved_at = ?3, seen_at = ?3 WHERE hash = ?2",
            (new, old, proved_at),
        ).rowcount
    )


def set_proved(connection: Connection, digest: bytes, at: float) -> None:
    """When whoever is in this session proved it last."""
    connection.execute("UPDATE sessions SET proved_at = ? WHERE hash = ?", (at, digest))


def close_session(connection: Connection, digest: bytes) -> Session | None:
    """End the one with this token; what it was."""
    gone = session(connection, digest)
    connection.execute("DELETE FROM sessions WHERE hash = ?", (digest,))
    return gone


def close_sessions(connection: Connection, account: int, *, number: int | None = None) -> int:
    """End all of the account's, or one of them; how many."""
    return int(
        connection.execute(
            "DELETE FROM sessions WHERE account = ?1 AND (?2 IS NULL OR number = ?2)", (account, number)
        ).rowcount
    )


# Sign-ins


def note(
    connection: Connection, account: int, *, at: float, how: str, succeeded: bool, network: str, agent: str
) -> None:
    """Somebody signed in, or failed to."""
    connection.execute(
        "INSERT INTO sign_ins (account, at, how, succeeded, network, agent) VALUES (?, ?, ?, ?, ?, ?)",
        (account, at, how, succeeded, network, agent),
    )


def noted(
    connection: Connection, account: int, *, before: int | None = None, limit: int = 50
) -> list[SignIn]:
    """The account's, newest first; `before` is the last number of the page before."""
    rows = connection.execute(
        "SELECT number, at, how, succeeded, network, agent FROM sign_ins"
        " WHERE account = ? AND number < ? ORDER BY number DESC LIMIT ?",
        (account, 2**62 if before is None else before, limit),
    )
    return [
        SignIn(number=number, at=at, how=how, succeeded=bool(succeeded), network=network, agent=agent)
        for number, at, how, succeeded, network, agent in rows
    ]


def last_success(connection: Connection, account: int) -> float | None:
    """When the account last signed in."""
    row = connection.execute(
        "SELECT max(at) FROM sign_ins WHERE account = ? AND succeeded = 1", (account,)
    ).fetchone()
    return row[0] if row else None


def knows_network(connection: Connection, account: int, network: str, *, since: float) -> bool:
    """Did the account sign in from there?"""
    row = connection.execute(
        "SELECT 1 FROM sign_ins WHERE account = ? AND network = ? AND succeeded = 1 AND at >= ? AND network <> '' LIMIT 1",
        (account, network, since),
    ).fetchone()
    return row is not None


def knows_device(connection: Connection, account: int, digest: bytes) -> bool:
    """Is this a browser the account signed in with?"""
    row = connection.execute(
        "SELECT 1 FROM known_devices WHERE hash = ? AND account = ?", (digest, account)
    ).fetchone()
    return row is not None


def know_device(connection: Connection, account: int, digest: bytes, at: float) -> None:
    """Remember a browser; the one not seen for longest is forgotten when there are too many."""
    connection.execute(
        "INSERT INTO known_devices VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at",
        (digest, account, at),
    )
    connection.execute(
        "DELETE FROM known_devices WHERE account = ?1 AND hash NOT IN"
        " (SELECT hash FROM known_devices WHERE account = ?1 ORDER BY seen_at DESC LIMIT ?2)",
        (account, DEVICES),
    )


def forget_devices(connection: Connection, account: int) -> None:
    """No browser is known to the account any more."""
    connection.execute("DELETE FROM known_devices WHERE account = ?", (account,))


# Challenges


def challenge(
    connection: Connection,
    digest: bytes,
    *,
    kind: str,
    account: int,
    network: str,
    value: bytes,
    now: float,
    expires_at: float,
) -> None:
    """Something that an answer is expected to."""
    connection.execute("DELETE FROM challenges WHERE expires_at <= ?", (now,))
    connection.execute(
        "INSERT INTO challenges VALUES (?, ?, ?, ?, ?, ?)",
        (digest, kind, account, network, value, expires_at),
    )
    connection.execute(
        "DELETE FROM challenges WHERE network = ?1 AND hash NOT IN"
        " (SELECT hash FROM challenges WHERE network = ?1 ORDER BY expires_at DESC LIMIT ?2)",
        (network, CHALLENGES_PER_NETWORK),
    )


def take_challenge(connection: Connection, digest: bytes, *, kind: str, now: float) -> Challenge | None:
    """Take it away, whatever comes of the answer: None when it is gone, too old or another kind's."""
    row = connection.execute(
        "DELETE FROM challenges WHERE hash = ? RETURNING kind, account, value, expires_at", (digest,)
    ).fetchone()
    if row is None or row[0] != kind or row[3] <= now:
        return None
    return Challenge(kind=row[0], account=row[1], value=row[2])


# Failures


def strikes(connection: Connection, key: bytes) -> Strikes:
    """What is counted under this digest."""
    row = connection.execute(
        "SELECT failures, last_at, turned_away FROM strikes WHERE key = ?", (key,)
    ).fetchone()
    return Strikes(*row) if row else Strikes()


def set_strikes(connection: Connection, key: bytes, value: Strikes) -> None:
    """Count so many."""
    if value.failures <= 0:
        connection.execute("DELETE FROM strikes WHERE key = ?", (key,))
        return
    connection.execute(
        "INSERT INTO strikes VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET failures = excluded.failures,"
        " last_at = excluded.last_at, turned_away = excluded.turned_away",
        (key, value.failures, value.last_at, value.turned_away),
    )


def expire(connection: Connection, *, now: float, sign_ins_s: float, limit: int) -> int:
    """Delete at most `limit` rows of each kind that nobody needs any more; the most of one kind."""
    return max(
        int(connection.execute(statement, (before, limit)).rowcount)
        for statement, before in (
            (
                f"DELETE FROM sign_ins WHERE number IN (SELECT number FROM sign_ins WHERE at < ? AND {holds.SIGN_INS} LIMIT ?)",  # noqa: S608
                now - sign_ins_s,
            ),
            (
                "DELETE FROM strikes WHERE key IN (SELECT key FROM strikes WHERE last_at < ? LIMIT ?)",
                now - sign_ins_s,
            ),
            (
                "DELETE FROM sessions WHERE number IN (SELECT number FROM sessions WHERE seen_at < ? LIMIT ?)",
                now - sign_ins_s,
            ),
            (
                "DELETE FROM challenges WHERE hash IN (SELECT hash FROM challenges WHERE expires_at < ? LIMIT ?)",
                now,
            ),
            (
                "DELETE FROM enrolment_links WHERE hash IN (SELECT hash FROM enrolment_links WHERE expires_at < ? LIMIT ?)",
                now,
            ),
            (
                "DELETE FROM known_devices WHERE hash IN (SELECT hash FROM known_devices WHERE seen_at < ? LIMIT ?)",
                now - 4 * sign_ins_s,
            ),
        )
    )


def _session(row: tuple[object, ...]) -> Session:
    number, account, strength, started_at, seen_at, proved_at, network, agent = row
    return Session(
        number=number, account=account, strength=Strength(strength), started_at=started_at, seen_at=seen_at,  # type: ignore[arg-type]
        proved_at=proved_at, network=network, agent=agent,  # type: ignore[arg-type]
    )  # fmt: skip

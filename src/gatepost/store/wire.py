"""What is kept of the wire to others: their MTA-STS policies, and how sessions with their mail hosts went, day by day.

Both are written behind: a crash loses seconds of counting, and a policy that is fetched again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from gatepost.store.database import Connection, Database
from gatepost.store.failures import StoreFailed
from gatepost.store.json import encode
from gatepost.store.later import Later
from gatepost.tlspolicy.mta_sts import StsKnown, StsMode, StsPolicy
from gatepost.tlspolicy.tlsrpt import DAY_S, Counted, Session

SESSION = msgspec.json.Decoder(Session)
ALIKE_MOST = 200
"""Different sessions kept of one domain and day with all their details; at twice as many kinds the rest is not counted."""
WAITING_MOST = 20_000
"""Different sessions that may wait for the disk."""
USED_S = 30 * 86_400.0
"""A policy not used for so long is not refreshed any more."""
KEPT_S = 14 * 86_400.0
"""Sessions and reports of days before are forgotten."""


@dataclass(slots=True)
class StoredPolicies:
    """Implements `net.stspolicies.Kept`."""

    database: Database
    clock: Callable[[], float]
    """Unix seconds."""
    flush_s: float = 1.0
    _waiting: dict[str, StsKnown] = field(default_factory=dict)
    _later: Later = field(init=False)

    def __post_init__(self) -> None:
        self._later = Later(self._flush, self.flush_s)

    def load(self, domain: str) -> StsKnown | None:
        """What was kept of a domain; never raises."""
        if domain in self._waiting:
            return self._waiting[domain]
        with contextlib.suppress(StoreFailed):
            row = self.database.read(
                lambda connection: connection.execute(
                    "SELECT policy_id, mode, mx, max_age_s, fetched_at FROM sts_known WHERE domain = ?",
                    (domain,),
                ).fetchone()
            )
            return known_from(row) if row else None
        return None

    def keep(self, domain: str, known: StsKnown) -> None:
        """Keep it soon. Only from the event loop."""
        self._waiting[domain] = known
        self._later.soon()

    def due(self, before: float, limit: int) -> list[str]:
        """Domains in use whose policy was fetched before then, the oldest first."""
        since = self.clock() - USED_S
        rows = self.database.read(
            lambda connection: connection.execute(
                "SELECT domain FROM sts_known WHERE fetched_at < ? AND used_at > ? ORDER BY fetched_at LIMIT ?",
                (before, since, limit),
            ).fetchall()
        )
        return [domain for (domain,) in rows]

    async def used(self, domains: Sequence[str]) -> None:
        """Mail went there."""
        now = self.clock()

        def work(connection: Connection) -> None:
            connection.executemany(
                "UPDATE sts_known SET used_at = ? WHERE domain = ?", [(now, domain) for domain in domains]
            )

        await self.database.commit(work)

    async def close(self) -> None:
        """Write what is not written."""
        await self._later.finish()

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        now = self.clock()
        rows = [
            (
                domain, known.policy_id, known.policy.mode.value, " ".join(known.policy.mx), known.policy.max_age_s,
                known.fetched_at, now,
            )
            for domain, known in waiting.items()
            if known.policy is not None
        ]  # fmt: skip

        def work(connection: Connection) -> None:
            # A refresh is no use: what nobody writes to any more is to fall out of it.
            connection.executemany(
                "INSERT INTO sts_known VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET policy_id = excluded.policy_id,"
                " mode = excluded.mode, mx = excluded.mx, max_age_s = excluded.max_age_s, fetched_at = excluded.fetched_at",
                rows,
            )

        try:
            await self.database.commit(work)
        except StoreFailed:  # in memory it holds; the next one tries again
            self._waiting = {**waiting, **self._waiting}


def known_from(row: tuple[str, str, str, int, float]) -> StsKnown:
    """A row as what is known."""
    policy_id, mode, mx, max_age_s, fetched_at = row
    policy = StsPolicy(mode=StsMode(mode), mx=tuple(mx.split()), max_age_s=max_age_s)
    return StsKnown(policy=policy, policy_id=policy_id, fetched_at=fetched_at)


@dataclass(slots=True)
class TlsTallies:
    """Counts sessions, and gives a day's counts back for its reports."""

    database: Database
    clock: Callable[[], float]
    """Unix seconds."""
    flush_s: float = 5.0
    lost: int = 0
    """Sessions not counted because too many different ones waited for the disk."""
    _waiting: dict[tuple[int, Session], int] = field(default_factory=dict)
    _later: Later = field(init=False)

    def __post_init__(self) -> None:
        self._later = Later(self._flush, self.flush_s)

    def count(self, session: Session) -> None:
        """One more. Only from the event loop; does not block, never raises."""
        if session.failure is None:  # good ones are only counted: which host and where is in no report
            session = replace(session, host="", address="", hello="", sending="")
        key = (int(self.clock() // DAY_S), session)
        if key not in self._waiting and len(self._waiting) >= WAITING_MOST:
            self.lost += 1
            return
        self._waiting[key] = self._waiting.get(key, 0) + 1
        self._later.soon()

    def domains(self, day: int) -> list[str]:
        """Those with sessions on a day and without a report that is done."""
        rows = self.database.read(
            lambda connection: connection.execute(
                "SELECT DISTINCT s.domain FROM tls_sessions s WHERE s.day = ?1 AND NOT EXISTS"
                " (SELECT 1 FROM tls_reports r WHERE r.day = ?1 AND r.domain = s.domain AND r.done)",
                (day,),
            ).fetchall()
        )
        return [domain for (domain,) in rows]

    def counted(self, day: int, domain: str) -> list[Counted]:
        """A domain's sessions on a day, successes first."""
        rows = self.database.read(
            lambda connection: connection.execute(
                "SELECT alike, sessions FROM tls_sessions WHERE day = ? AND domain = ?", (day, domain)
            ).fetchall()
        )
        found = [Counted(session=SESSION.decode(alike), sessions=sessions) for alike, sessions in rows]
        return sorted(found, key=lambda one: (one.session.failure is not None, -one.sessions))

    def tries(self, day: int, domain: str) -> tuple[int, float]:
        """How often a report was tried, and when last."""
        row = self.database.read(
            lambda connection: connection.execute(
                "SELECT tries, at FROM tls_reports WHERE day = ? AND domain = ?", (day, domain)
            ).fetchone()
        )
        return (row[0], row[1]) if row else (0, 0.0)

    async def note(self, day: int, domain: str, outcome: str, *, done: bool) -> None:
        """What became of a report; one that is done is not tried again."""
        at = self.clock()
        await self.database.commit(lambda connection: noted(connection, day, domain, at, outcome, done=done))

    async def forget(self) -> None:
        """Delete what is too old to be reported."""
        before = int((self.clock() - KEPT_S) // DAY_S)

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM tls_sessions WHERE day < ?", (before,))
            connection.execute("DELETE FROM tls_reports WHERE day < ?", (before,))
            connection.execute("DELETE FROM sts_known WHERE fetched_at + max_age_s < ?", (self.clock(),))

        await self.database.commit(work)

    async def close(self) -> None:
        """Write what is not written."""
        await self._later.finish()

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        rows = [
            (day, session.policy.domain, encode(session), sessions)
            for (day, session), sessions in waiting.items()
        ]

        def work(connection: Connection) -> None:
            for day, domain, alike, sessions in rows:
                add(connection, day, domain, alike, sessions)

        try:
            await self.database.commit(work)
        except StoreFailed:
            for key, sessions in waiting.items():
                self._waiting[key] = self._waiting.get(key, 0) + sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A domain's sessions of one day, and what became of the report about them."""

    day: int
    """Since 1970, UTC."""
    domain: str
    sessions: int
    tries: int
    done: bool
    """Nothing more is to be sent."""
    outcome: str
    """Empty before the first try."""


def reported(connection: Connection, *, limit: int) -> list[Reported]:
    """The newest days first."""
    rows = connection.execute(
        "SELECT s.day, s.domain, sum(s.sessions), coalesce(r.tries, 0), coalesce(r.done, 0), coalesce(r.outcome, '')"
        " FROM tls_sessions s LEFT JOIN tls_reports r ON r.day = s.day AND r.domain = s.domain"
        " GROUP BY s.day, s.domain ORDER BY s.day DESC, s.domain LIMIT ?",
        (limit,),
    )
    return [
        Reported(day=day, domain=domain, sessions=sessions, tries=tries, done=bool(done), outcome=outcome)
        for day, domain, sessions, tries, done, outcome in rows
    ]


def add(connection: Connection, day: int, domain: str, alike: bytes, sessions: int) -> None:
    """Add to a row, or make one. In a flood of different failures their details are dropped and the sums stay true."""
    if grown(connection, day, domain, alike, sessions):
        return
    kinds = connection.execute(
        "SELECT count(*) FROM tls_sessions WHERE day = ? AND domain = ?", (day, domain)
    ).fetchone()[0]
    if kinds >= ALIKE_MOST:
        session = SESSION.decode(alike)
        failure = replace(session.failure, words="") if session.failure else None
        alike = encode(replace(session, host="", address="", hello="", sending="", failure=failure))
        if kinds >= 2 * ALIKE_MOST or grown(connection, day, domain, alike, sessions):
            return
    connection.execute("INSERT INTO tls_sessions VALUES (?, ?, ?, ?)", (day, domain, alike, sessions))


def grown(connection: Connection, day: int, domain: str, alike: bytes, sessions: int) -> bool:
    """Was there such a row to add to?"""
    return bool(
        connection.execute(
            "UPDATE tls_sessions SET sessions = sessions + ? WHERE day = ? AND domain = ? AND alike = ?",
            (sessions, day, domain, alike),
        ).rowcount
    )


def noted(connection: Connection, day: int, domain: str, at: float, outcome: str, *, done: bool) -> None:
    """One row for a report."""
    connection.execute(
        "INSERT INTO tls_reports VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at,"
        " tries = tries + 1, done = excluded.done, outcome = excluded.outcome",
        (day, domain, at, int(done), outcome),
    )

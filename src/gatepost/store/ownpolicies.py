"""Our own domains' MTA-STS policies, what speaks for enforcing them, and changes of key that wait for the DNS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.store import journal
from gatepost.store.database import Connection
from gatepost.store.journal import Why

DETAIL_MOST = 500
DAY_S = 86_400.0
LOOK, REPORT, STS = "look", "report:", "sts:"
"""Sources of evidence: our own look; what somebody reports of sessions with us, and of such that our MTA-STS policy held to."""
KEPT_DAYS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPolicy:
    """A policy as it is served."""

    domain: str
    mode: str
    """``testing``, ``enforce`` or ``none``."""
    policy_id: str
    """What the TXT record says."""
    hosts: tuple[str, ...]
    since: float
    """In this mode, Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one source found on one day."""

    day: int
    """Since 1970, UTC."""
    source: str
    """``look`` for our own, ``report:DOMAIN`` or ``sts:DOMAIN`` for what others report."""
    good: int
    bad: int
    detail: str = ""
    """The last thing that was bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """A certificate with another key that waits, or may be used."""

    name: str
    next_spki: str
    """The TLSA record that fits the next key."""
    seen_since: float | None
    """Since when the published records fit it."""
    ttl_s: int
    """Of the published records; 0: there are none, and any key may be used."""
    checked_at: float
    problem: str
    """Why it may not be used yet; empty when it may."""


def policies(connection: Connection) -> dict[str, OwnPolicy]:
    """Of every domain that ever had one."""
    rows = connection.execute("SELECT domain, mode, policy_id, hosts, since FROM sts_policies")
    return {
        domain: OwnPolicy(
            domain=domain, mode=mode, policy_id=policy_id, hosts=tuple(hosts.split()), since=since
        )
        for domain, mode, policy_id, hosts, since in rows
    }


def put(connection: Connection, policy: OwnPolicy, why: Why) -> None:
    """Serve this one from now on; in the journal."""
    connection.execute(
        "INSERT OR REPLACE INTO sts_policies (domain, mode, policy_id, hosts, since) VALUES (?, ?, ?, ?, ?)",
        (policy.domain, policy.mode, policy.policy_id, " ".join(policy.hosts), policy.since),
    )
    what = f"mta-sts {policy.mode} {policy.domain} id={policy.policy_id}"
    journal.append(connection, at=why.at, who=why.who, what=what, why=why.why)


def add_evidence(
    connection: Connection, domain: str, source: str, *, at: float, good: int, bad: int, detail: str = ""
) -> None:
    """Count what was found; what is too old is forgotten."""
    day = int(at // DAY_S)
    connection.execute(
        "INSERT INTO sts_evidence (domain, day, source, good, bad, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (domain, day, source) DO UPDATE SET good = good + ?4, bad = bad + ?5,"
        " detail = iif(?6 = '', detail, ?6)",
        (domain, day, source[:100], good, bad, detail[:DETAIL_MOST]),
    )
    connection.execute("DELETE FROM sts_evidence WHERE day < ?", (day - KEPT_DAYS,))


def evidence(connection: Connection, domain: str, *, since: float) -> Sequence[Evidence]:
    """What was found from the day of `since` on."""
    rows = connection.execute(
        "SELECT day, source, good, bad, detail FROM sts_evidence WHERE domain = ? AND day >= ? ORDER BY day, source",
        (domain, int(since // DAY_S)),
    )
    return [
        Evidence(day=day, source=source, good=good, bad=bad, detail=detail)
        for day, source, good, bad, detail in rows
    ]


def key_change(connection: Connection, name: str) -> KeyChange | None:
    """The change that is known for this host name."""
    row = connection.execute(
        "SELECT name, next_spki, seen_since, ttl_s, checked_at, problem FROM key_changes WHERE name = ?",
        (name,),
    ).fetchone()
    if row is None:
        return None
    name, next_spki, seen_since, ttl_s, checked_at, problem = row
    return KeyChange(
        name=name,
        next_spki=next_spki,
        seen_since=seen_since,
        ttl_s=ttl_s,
        checked_at=checked_at,
        problem=problem,
    )


def key_changes(connection: Connection) -> list[KeyChange]:
    """All that are known."""
    names = [name for (name,) in connection.execute("SELECT name FROM key_changes ORDER BY name")]
    return [one for name in names if (one := key_change(connection, name)) is not None]


def may_change(connection: Connection, name: str, key: str) -> str:
    """Why this host may not present a certificate with this key yet (its TLSA record), by what was looked up last."""
    known = key_change(connection, name)
    if known is None:
        return "whether TLSA records are published is not known yet"
    if known.ttl_s == 0:
        return ""
    if known.next_spki != key:
        return "TLSA records are published, and whether they fit its key is looked up first"
    return known.problem


def put_key_change(connection: Connection, change: KeyChange) -> None:
    """What is known of it now."""
    connection.execute(
        "INSERT OR REPLACE INTO key_changes (name, next_spki, seen_since, ttl_s, checked_at, problem)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (change.name, change.next_spki, change.seen_since, change.ttl_s, change.checked_at, change.problem),
    )

"""Reports that others send about their connections to us (RFC 8460 §4): read what counts, whatever was sent.

Only the sums are read: how many sessions with which of our domains succeeded and failed, and the commonest failure.
Everything is bounded, and nothing raises.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gatepost.mail.address import normal_domain, printable

PACKED_MOST = 1024 * 1024
UNPACKED_MOST = 8 * 1024 * 1024
POLICIES_MOST = 200
DETAILS_MOST = 500
SESSIONS_MOST = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one report says of one of our domains."""

    organization: str
    """As it calls itself, printable."""
    domain: str
    at: float
    """The beginning of its day, Unix seconds."""
    good: int
    bad: int
    sts: bool = False
    """The sessions were held to our MTA-STS policy: whoever reports has fetched it."""
    detail: str = ""
    """The commonest failure, such as ``12 times certificate-expired``."""


def unpacked(octets: bytes) -> bytes | None:
    """The JSON of a report, gzip or not; None when it is too large or broken."""
    if len(octets) > PACKED_MOST:
        return None
    if octets[:2] != b"\x1f\x8b":
        return octets
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        found = reader.decompress(octets, UNPACKED_MOST)
    except zlib.error:
        return None
    return None if reader.unconsumed_tail or not reader.eof else found


def read_report(octets: bytes) -> list[Told]:
    """What a report tells, by domain; empty when it is none."""
    text = unpacked(octets)
    try:
        report = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        return []
    if not isinstance(report, dict):
        return []
    at = _moment(report.get("date-range"))
    policies = report.get("policies")
    if at is None or not isinstance(policies, list):
        return []
    organization = printable(str(report.get("organization-name", "")), 80)
    return list(_told(policies[:POLICIES_MOST], organization, at))


def _told(policies: list[Any], organization: str, at: float) -> Iterator[Told]:
    for one in policies:
        policy, summary = _table(one, "policy"), _table(one, "summary")
        name = policy.get("policy-domain")
        domain = normal_domain(name) if isinstance(name, str) else None
        good = _number(summary.get("total-successful-session-count"))
        bad = _number(summary.get("total-failure-session-count"))
        if domain is not None and (good or bad):
            yield Told(
                organization=organization, domain=domain, at=at, good=good, bad=bad, sts=policy.get("policy-type") == "sts",
                detail=_commonest(one.get("failure-details")) if bad else "",
            )  # fmt: skip


def _commonest(details: Any) -> str:
    counts: dict[str, int] = {}
    for one in details[:DETAILS_MOST] if isinstance(details, list) else ():
        if isinstance(one, dict):
            kind = printable(str(one.get("result-type", "")), 60)
            counts[kind] = counts.get(kind, 0) + _number(one.get("failed-session-count"))
    if not counts:
        return ""
    kind = max(counts, key=counts.__getitem__)
    return f"{counts[kind]} times {kind}"


def _table(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _number(value: Any) -> int:
    return min(max(value, 0), SESSIONS_MOST) if isinstance(value, int) else 0


def _moment(value: Any) -> float | None:
    text = value.get("start-datetime") if isinstance(value, dict) else None
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if found is None:
        return None
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None

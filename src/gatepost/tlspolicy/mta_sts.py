"""MTA-STS (RFC 8461): the record, the policy file, and which mail hosts a policy knows.

Left out: fetching and keeping (`net.stspolicies`), and what follows for a delivery (`tlspolicy.requirement`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from gatepost.mail.address import normal_domain, printable

POLICY_MOST = 64 * 1024
"""Octets of a policy file (RFC 8461 §3.3)."""
MAX_AGE_MOST_S = 31_557_600
"""RFC 8461 §3.2: about a year."""
LIFE_LEAST_S = 60.0
"""A policy of less is used for so long all the same, or its host would be asked for every message (RFC 8461 §3.3)."""
MX_MOST = 500
LINES_MOST = 2_000
_RECORD = re.compile(r"v=STSv1[ \t]*;(.*)", re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9]{1,32}")


class StsMode(StrEnum):
    """What a failure means."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class StsPolicy:
    """A policy file that is well formed."""

    mode: StsMode
    max_age_s: int
    mx: tuple[str, ...] = ()
    """Host names, or ``*.example.net``; lower-case A-labels."""

    @property
    def lines(self) -> tuple[str, ...]:
        """As a report tells it (RFC 8460 §4.4)."""
        return (
            "version: STSv1",
            f"mode: {self.mode.value}",
            *(f"mx: {one}" for one in self.mx),
            f"max_age: {self.max_age_s}",
        )


@dataclass(frozen=True, slots=True)
class Malformed:
    """A policy file that says nothing."""

    words: str


def policy_id(records: Iterable[str]) -> str | None:
    """The id in the TXT records at ``_mta-sts``; None when there is not exactly one good record (RFC 8461 §3.1)."""
    ours = [found for one in records if len(one) < 2_000 and (found := _RECORD.match(one))]
    if len(ours) != 1:
        return None
    for field in ours[0][1].split(";"):
        name, _, value = field.strip(" \t").partition("=")
        if name.strip(" \t") == "id":
            value = value.strip(" \t")
            return value if _ID.fullmatch(value) else None
    return None


def read_policy(octets: bytes) -> StsPolicy | Malformed:
    """Read a policy file; never raises (RFC 8461 §3.2). Of a key that comes twice the first counts, unknown ones do not."""
    if len(octets) > POLICY_MOST:
        return Malformed(f"the policy has more than {POLICY_MOST} octets")
    try:
        lines = octets.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        return Malformed("the policy is not UTF-8 text")
    if len(lines) > LINES_MOST:
        return Malformed("the policy has too many lines")
    said: dict[str, str] = {}
    mx: list[str] = []
    for line in lines:
        key, colon, value = line.partition(":")
        key, value = key.strip(" \t"), value.strip(" \t")
        if not colon:
            if line.strip():
                return Malformed(f"a line is not key and value: {printable(line, 60)}")
            continue
        if key == "mx":
            pattern = _pattern(value)
            if pattern is None:
                return Malformed(f"mx is no host name: {printable(value, 60)}")
            mx.append(pattern)
        else:
            said.setdefault(key, value)
    return _judged(said, mx)


def _judged(said: dict[str, str], mx: list[str]) -> StsPolicy | Malformed:
    if said.get("version") != "STSv1":
        return Malformed("the version is not STSv1")
    try:
        mode = StsMode(said.get("mode", ""))
    except ValueError:
        return Malformed(f"the mode is {printable(said.get('mode', 'missing'), 40)}")
    age = said.get("max_age", "")
    if not (age.isascii() and age.isdecimal() and len(age) <= 10):
        return Malformed(f"max_age is {printable(age, 40) or 'missing'}")
    if not mx and mode is not StsMode.NONE:
        return Malformed("no mx is named")
    if len(mx) > MX_MOST:
        return Malformed(f"more than {MX_MOST} mx are named")
    return StsPolicy(mode=mode, max_age_s=min(int(age), MAX_AGE_MOST_S), mx=tuple(dict.fromkeys(mx)))


def _pattern(text: str) -> str | None:
    wild = text.startswith("*.")
    name = normal_domain(text.removeprefix("*.").removesuffix("."))
    if name is None:
        return None
    return f"*.{name}" if wild else name


def knows(policy: StsPolicy, host: str) -> bool:
    """Is this mail host one of the policy's (RFC 8461 §4.1)? A star stands for one whole label."""
    host = host.rstrip(".").lower()
    parent = host.partition(".")[2]
    return any(one == host or (parent and one == f"*.{parent}") for one in policy.mx)


@dataclass(frozen=True, slots=True, kw_only=True)
class StsKnown:
    """A domain's policy as it is remembered, or why there is none."""

    policy: StsPolicy | None = None
    policy_id: str = ""
    fetched_at: float = 0.0
    trouble: str = ""
    """One of RFC 8460's ``sts-…`` words, when the domain has a record and no policy could be had; with `words`."""
    words: str = ""
    bogus: bool = False
    """The record's DNSSEC signatures are wrong, and no policy is remembered."""

    @property
    def life_s(self) -> float:
        """How long the policy is used after it was fetched; 0 when there is none."""
        return max(self.policy.max_age_s, LIFE_LEAST_S) if self.policy is not None else 0.0

    @property
    def expires_at(self) -> float:
        """Unix seconds; a policy is good until then whatever happens (RFC 8461 §3.3)."""
        return self.fetched_at + self.life_s

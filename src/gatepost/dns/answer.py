"""A DNS answer with its DNSSEC state, and the one question that everybody asks: `Resolver.lookup`.

Names that do not exist and servers that fail are values here, not exceptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol


class Status(StrEnum):
    """What came of a question."""

    FOUND = "found"
    NODATA = "nodata"
    """The name exists, the asked type does not."""
    NXDOMAIN = "nxdomain"
    FAILED = "failed"
    """No answer to be had: SERVFAIL, timeout, refused, bogus, budget spent. Never the same as "no record"."""


class Security(IntEnum):
    """RFC 4035 §4.3, ordered so that `min` is the weakest link."""

    BOGUS = 0
    INDETERMINATE = 1
    """Nobody validated."""
    INSECURE = 2
    SECURE = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. `records` are in presentation form without final dots: addresses for A and AAAA, host
    names in lower case for PTR, NS and CNAME, ``preference host`` for MX (host empty for a null MX), the
    joined character-strings (latin-1, so that octets survive) for TXT, ``3 1 1 hex`` for TLSA."""

    status: Status
    records: tuple[str, ...] = ()
    security: Security = Security.INDETERMINATE
    ttl_s: int = 0
    problem: str = ""
    """For FAILED: ``timeout``, ``servfail``, ``refused``, ``bogus``, ``budget``, ``bad name`` …"""

    @property
    def exists(self) -> bool:
        """Does the name exist, whatever its records?"""
        return self.status in (Status.FOUND, Status.NODATA)


class Resolver(Protocol):
    """Anything that answers questions: `dns.zone.Zone`, `net.resolver.CachingResolver`, a budget around either."""

    async def lookup(self, name: str, kind: str) -> Answer:
        """Ask for `kind` ("A", "AAAA", "MX", "TXT", "PTR", "CNAME", "NS", "SOA", "TLSA") at `name`.

        CNAMEs are followed. Never raises for anything the network or the name did: that is FAILED.
        """
        ...

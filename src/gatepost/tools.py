"""What a check may ask of the world, as Protocols; `Unavailable` when the world cannot say.

A check cannot reach the queue, the quarantine or the reply. Each addition here is argued.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gatepost.dns.answer import Resolver
from gatepost.mail.address import Address


class Unavailable(Exception):
    """Something outside could not be asked; `str()` is one sentence that says what and why."""


class Memory(Protocol):
    """Counters and facts with expiry, shared by the workers. Keys are ``room:…`` strings; times are Unix seconds."""

    async def get(self, key: str) -> str | None:
        """The fact stored under `key`, or None when absent or expired."""
        ...

    async def put(self, key: str, value: str, *, ttl_s: float) -> None:
        """Remember `value`; need not be durable."""
        ...

    async def add(self, key: str, amount: int = 1, *, ttl_s: float) -> int:
        """Add to a counter (0 when absent or expired; the expiry is set by the first add) and return the sum."""
        ...


class Standing(StrEnum):
    """What a recipient is to us."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    """Our domain, no such mailbox."""
    NOT_OURS = "not-ours"
    """Somebody else's domain: taking it would be relaying."""
    UNSURE = "unsure"
    """Could not be asked (the callout's next hop is down); Unavailable would lose the address's own story."""


@dataclass(frozen=True, slots=True)
class RecipientAnswer:
    """What the directory says of an address."""

    standing: Standing
    text: str
    """One sentence."""


class Recipients(Protocol):
    """Who we take mail for: lists, files, aliases, callouts."""

    async def find(self, address: Address) -> RecipientAnswer:
        """`<postmaster>` and postmaster at each of our domains are always KNOWN (RFC 5321 §4.5.1)."""
        ...


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """What memory holds of a pair that wrote to each other."""

    first_seen: float
    last_seen: float
    messages: int
    """Delivered messages with this authenticated identity."""
    replied: bool
    """Our side wrote to it."""


class Correspondents(Protocol):
    """The first memory of known correspondents."""

    async def know(self, identity: str, recipient_domain: str) -> Acquaintance | None:
        """`identity` is an authenticated domain or address; None when never met."""
        ...


class Tools(Protocol):
    """Everything a check may ask."""

    @property
    def resolver(self) -> Resolver: ...
    @property
    def memory(self) -> Memory: ...
    @property
    def recipients(self) -> Recipients: ...
    @property
    def correspondents(self) -> Correspondents: ...
    @property
    def now(self) -> float:
        """Unix seconds, fixed for this message."""
        ...

"""What a check may ask of the world, as Protocols; `Unavailable` when the world cannot say.

A check cannot reach the queue, the quarantine or the reply. Each addition here is argued.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gatepost.dns.answer import Resolver
from gatepost.mail.address import Address
from gatepost.mail.client import Mail
from gatepost.mail.filereport import FileReport
from gatepost.mail.message import Message


class Unavailable(Exception):
    """Something outside could not be asked; `str()` is one sentence that says what and why."""


class Unscannable(Unavailable):
    """The virus scanner is there and will never say: too large for it, locked, or beyond its limits."""


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
    """One sentence, which whoever asks may hear."""
    behind: str = ""
    """What the host behind us said, which names it: for the postmaster alone."""
    only_bounces: bool = False
    """It takes mail from the null sender alone: it stands for the sender of something that we sent on."""


class Recipients(Protocol):
    """Who we take mail for: lists, files, aliases, callouts."""

    async def find(self, address: Address) -> RecipientAnswer:
        """`<postmaster>` and postmaster at each of our domains are always KNOWN (RFC 5321 §4.5.1)."""
        ...

    def next_hops(self, address: Address) -> tuple[str, ...]:
        """The hosts that take a known recipient's mail from us, as ``host:port``; empty when any copy of it goes elsewhere."""
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
    unproved: int = 0
    """Delivered messages that only claimed this identity."""
    places: Mapping[str, int] = field(default_factory=dict)
    """Countries (``DE``) and network owners (``AS3320``) its messages came from, and how many; empty where nothing says so."""


class Correspondents(Protocol):
    """The first memory of known correspondents."""

    async def know(self, identity: str, recipient_domain: str) -> Acquaintance | None:
        """`identity` is an authenticated domain or address; None when never met."""
        ...


class Unpacker(Protocol):
    """Looks into attachments, in a child that can do no harm."""

    async def inspect(self, message: Message) -> Sequence[FileReport]:
        """What every attachment of `message` is and holds; one look however many ask.

        A file that crashed, hung or burst the child has the fact ``failed``. Unavailable when no child can be had.
        """
        ...


class Scanner(Protocol):
    """The virus scanner."""

    async def scan(self, octets: bytes) -> str | None:
        """The name of the malware found, None when the scanner calls it clean.

        Unavailable when it cannot say now, Unscannable when it never will.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What the classifier thinks of a message."""

    probability: float
    """Calibrated: of a hundred messages given 0.9, ninety are unwanted."""
    log_odds: float
    """The same as evidence, without the share of spam among what was learnt; bounded."""
    learnt: tuple[int, int]
    """How many wanted and unwanted messages it has learnt."""
    ready: bool
    """Has it learnt enough to count?"""
    words: tuple[tuple[str, float], ...] = ()
    """What decided, the strongest first, with its log-odds; printable."""


class Model(Protocol):
    """The classifier as it stands now."""

    def opinion(self, mail: Mail) -> Opinion | None:
        """None when it has learnt nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody whose name is worth stealing."""

    name: str
    addresses: tuple[str, ...] = ()
    role: str = ""
    """Said in findings: "managing director"."""


class People(Protocol):
    """Who we are."""

    @property
    def own_domains(self) -> Sequence[str]:
        """Domains we take mail for."""
        ...

    @property
    def protected(self) -> Sequence[Person]:
        """People whose name is worth stealing."""
        ...

    @property
    def partners(self) -> Sequence[str]:
        """Domains of partners, named by the operator or learnt from whom we write to."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A sender somebody allowed or blocked."""

    id: int
    allow: bool
    identity: str
    """An address, or a domain with all below it, lower case; to allow counts only when proved."""
    recipient: str = ""
    """For which address or domain of ours; empty for all."""
    owner: str = ""
    reason: str = ""
    expires_at: float | None = None


class Entries(Protocol):
    """Senders allowed and blocked, by the postmaster or a person."""

    @property
    def some(self) -> bool:
        """Are there any? Costs nothing to ask."""
        ...

    async def matching(self, identities: Sequence[str], recipients: Sequence[Address]) -> Sequence[Entry]:
        """Entries in force for any of the identities and any of the recipients. Never suspends."""
        ...

    def count(self, entries: Sequence[Entry]) -> None:
        """A hit for each: it said something about a message."""
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
    def unpacker(self) -> Unpacker: ...
    @property
    def scanner(self) -> Scanner: ...
    @property
    def model(self) -> Model: ...
    @property
    def people(self) -> People: ...
    @property
    def entries(self) -> Entries: ...
    @property
    def now(self) -> float:
        """Unix seconds, fixed for this message."""
        ...

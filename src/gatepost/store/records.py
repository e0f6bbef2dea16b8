"""What goes into the store and comes out of it, as plain records shared by its tables.

msgspec reads and writes these dataclasses as JSON, so history is self-describing and survives growth:
a new field needs a default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gatepost.mail.address import Address
from gatepost.mail.authresults import AuthResults
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.mail.finding import Finding
from gatepost.mail.verdict import Change, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One recipient with the verdict on it."""

    recipient: Recipient
    verdict: Verdict
    deliver_to: tuple[str, ...] = ()
    """Final addresses after aliases and forwards; empty means the recipient itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """Everything known about one message or one refused attempt: what explain, plan and the console read."""

    ref: str
    at: float
    """Unix seconds when it was decided."""
    kind: str
    """``message``, ``attempt`` (refused at RCPT TO) or ``session`` (refused before that)."""
    client: Client
    envelope: Envelope
    judged: tuple[Judged, ...] = ()
    findings: tuple[Finding, ...] = ()
    auth: AuthResults = field(default_factory=AuthResults)
    reply: str = ""
    """The reply we gave, as sent."""
    author: str = ""
    """The From field as a reader sees it, printable."""
    subject: str = ""
    message_id: str = ""
    size: int = 0
    milliseconds: dict[str, float] = field(default_factory=dict)
    mode: str = "enforce"
    signed_by: tuple[str, ...] = ()
    """Our keys that signed it, by the names of their records; of forwarded mail the one that sealed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """One recipient's copy to be queued or held, in the same commit as the message."""

    recipient: Recipient
    """Whom it was sent to (DSN parameters included)."""
    to: str
    """Whom it is delivered to, after aliases and forwards."""
    junk: bool = False
    held: bool = False
    """True: quarantine instead of queue."""
    reason: str = ""
    """Why held, one sentence."""
    rule: str = ""
    category: str = ""
    """What it is held as: ``malware``, ``phishing``, ``spam``, …"""
    original: bool = False
    """Held beside a copy that is delivered changed: this is what it was made from."""
    changes: tuple[Change, ...] = ()
    """What is changed in this copy at delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """All that one accepted message makes durable, in one commit, before its 250."""

    entry: HistoryEntry
    octets: bytes
    """The message as received, unchanged: what history, quarantine and release mean by it."""
    added_header: bytes = b""
    """Our Return-Path-less trace and Authentication-Results fields, put in front at delivery; CRLF ended."""
    removed_fields: tuple[tuple[int, int], ...] = ()
    """Spans of foreign Authentication-Results under our name, left out at delivery."""
    deliveries: tuple[NewDelivery, ...] = ()
    may_bounce: bool = False
    """The sender was proved by SPF or an aligned signature, or signed in, so a DSN may go to it."""
    account: str = ""
    """Who of ours handed it in (`Client.account`)."""
    hold: AccountHold | None = None
    """From now on everything of the account is held, this message and what is queued included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountHold:
    """An account's mail is to be held."""

    account: str
    at: float
    reason: str
    """One sentence."""
    ref: str = ""
    """The message at which it showed."""
    who: str = "gatepost"
    """Who holds it, for the journal."""
    notices: tuple[Notice, ...] = ()
    """Who is told, unless the account was held already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """One recipient's copy, claimed for delivery under a lease."""

    id: int
    ref: str
    sender: str
    """Empty for the null sender."""
    recipient: Recipient
    to: str
    junk: bool
    attempts: int
    created_at: float
    envelope: Envelope
    may_bounce: bool
    lease_until: float
    changes: tuple[Change, ...] = ()
    account: str = ""
    """Who of ours handed the message in."""
    delay_told: bool = False
    """A delay DSN has been sent."""
    history: tuple[DeliveryAttempt, ...] = ()
    octets: bytes | None = field(default=None, repr=False)
    """The message as it is delivered, where it is small and kept in plain: one look at the disk less. None: ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttempt:
    """What happened at one try, as `explain` tells it."""

    at: float
    to: str
    host: str
    address: str
    status: str
    """``delivered``, ``deferred`` or ``failed``."""
    reply: str
    """The other side's words, or our sentence when there was no other side."""
    tls_version: str | None = None
    tls_policy: str = "none"
    """dane, mta-sts, required, opportunistic or none."""
    tls_verified: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """Delivered: the copy leaves the queue."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again, not before `at` (Unix seconds)."""

    at: float
    delay_told: bool = False
    """A delay DSN was sent now."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Given up: the copy leaves the queue; the DSN, if one is due, goes into the same commit."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """Stays in the queue, untouched until a person lets it go on."""

    reason: str


Outcome = Done | RetryAt | Failed | Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message of our own (a DSN, an alert) to be queued."""

    ref: str
    recipient: Address
    octets: bytes
    """A whole message, CRLF ended."""
    sender: Address | None = None
    """None, the null sender, for every DSN (RFC 3464 §2)."""
    notify: frozenset[str] = frozenset()
    """As of NOTIFY (RFC 3461 §4.1): with NEVER nobody hears of it when it cannot be delivered."""
    at: float
    entry: HistoryEntry | None = None
    """Its own line in history, if it is to have one."""


class Settlement(NamedTuple):
    """What came of one claimed copy."""

    item: QueueItem
    attempt: DeliveryAttempt | None
    """None: it was not tried."""
    outcome: Outcome
    notices: Sequence[Notice] = ()
    """The messages of our own that it gives rise to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """One recipient's copy in the queue, as `gatepost queue` shows it."""

    id: int
    ref: str
    sender: str
    to: str
    size: int
    junk: bool
    created_at: float
    due_at: float
    """When it is next tried, or when the lease of the try that runs now ends."""
    worker: str | None
    """Who is trying it now."""
    attempts: int
    held_because: str | None
    last_reply: str = ""
    """What the last try came to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One recipient's copy in quarantine, or what became of it."""

    id: int
    ref: str
    sender: str
    to: str
    size: int
    junk: bool
    held_at: float
    reason: str
    rule: str
    category: str = ""
    original: bool = False
    """A changed copy was delivered; this is what it was made from."""
    state: str = "held"
    """held, requested, released, deleted or expired."""
    changed_at: float = 0.0
    changed_by: str = ""
    """Who brought it into this state; empty for the gate itself."""
    changed_why: str = ""

"""What the API takes and gives. The OpenAPI document is made of these types; a field's docstring is in `docs`.

Times are Unix seconds. What is null is not the caller's to see.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

Text = Annotated[str, Meta(max_length=320, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]
Reason = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$(?!\n)")]
"""Python's ``$`` lets a newline follow, ECMAScript's, which JSON Schema means, does not: so nothing may follow."""
Limit = Annotated[int, Meta(ge=1, le=500)]
Moment = Annotated[int, Meta(ge=0, le=100_000_000_000)]
Number = Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)]
"""Whole numbers that every JSON reader holds exactly (RFC 8259 §6)."""
Copies = Annotated[tuple[Number, ...], Meta(min_length=1, max_length=500)]
Key = Annotated[str, Meta(max_length=40, pattern=r"^([0-9]{1,12}(\.[0-9]{1,9})?-[0-9]{1,18})?$(?!\n)")]
"""Where a page ended."""


class Given(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What callers send: unknown names are refused, so that a typo is told."""


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""


class Action(StrEnum):
    """What became of a message."""

    DELIVER = "deliver"
    JUNK = "junk"
    QUARANTINE = "quarantine"
    REFUSE = "refuse"
    DEFER = "defer"


class Kind(StrEnum):
    """How far it came."""

    MESSAGE = "message"
    ATTEMPT = "attempt"
    SESSION = "session"


class HeldState(StrEnum):
    """Where a held copy stands."""

    HELD = "held"
    REQUESTED = "requested"
    RELEASED = "released"
    DELETED = "deleted"
    EXPIRED = "expired"


# Messages


class MessagesAsked(Given, frozen=True, kw_only=True):
    """Which messages; what is left out does not matter."""

    sender: Text = ""
    recipient: Text = ""
    client: Text = ""
    message_id: Text = ""
    action: Action | None = None
    kind: Kind | None = None
    since: Moment | None = None
    until: Moment | None = None
    after: Key = ""
    limit: Limit = 50


class MessageRow(Struct, frozen=True, kw_only=True):
    """One message."""

    ref: str
    at: float
    kind: Kind
    action: Action
    would_action: Action
    rule: str
    sender: str
    recipients: tuple[str, ...]
    author: str
    subject: str | None
    client: str
    size: int


class MessagePage(Struct, frozen=True, kw_only=True):
    """Newest first; ask again with ``after`` = `next`, empty at the end."""

    messages: tuple[MessageRow, ...]
    next: str


class Verdict(Struct, frozen=True, kw_only=True):
    """What was decided, and for whom."""

    recipients: tuple[str, ...]
    action: Action
    would_action: Action
    rule: str
    reason: str
    score: float


class Seen(Struct, frozen=True, kw_only=True):
    """One finding, and what the policy made of it."""

    name: str
    text: str
    weight: float
    enforced: bool
    excused_by: str
    decisive: bool


class Delivery(Struct, frozen=True, kw_only=True):
    """One try at delivery."""

    at: float
    to: str
    host: str
    address: str
    status: str
    reply: str
    tls_version: str | None
    tls_policy: str
    tls_verified: bool
    reason: str


class HeldCopy(Struct, frozen=True, kw_only=True):
    """One recipient's copy in quarantine, or what became of it."""

    number: int
    ref: str
    sender: str
    to: str
    size: int
    held_at: float
    reason: str
    rule: str
    category: str
    state: HeldState
    original: bool
    changed_at: float
    changed_by: str
    changed_why: str


class QueuedCopy(Struct, frozen=True, kw_only=True):
    """One recipient's copy that waits for delivery."""

    number: int
    ref: str
    sender: str
    to: str
    size: int
    created_at: float
    due_at: float
    tries: int
    being_tried: bool
    stopped_because: str | None
    last_reply: str


class Story(Struct, frozen=True, kw_only=True):
    """Everything about one message that the caller may see."""

    ref: str
    at: float
    kind: Kind
    mode: str
    action: Action
    reply: str
    sender: str
    recipients: tuple[str, ...]
    author: str
    subject: str | None
    message_id: str
    size: int
    client: str
    hello: str
    verdicts: tuple[Verdict, ...]
    findings: tuple[Seen, ...]
    deliveries: tuple[Delivery, ...]
    held: tuple[HeldCopy, ...]
    queued: tuple[QueuedCopy, ...]


# Quarantine and queue


class HeldAsked(Given, frozen=True, kw_only=True):
    """Which held copies; without a state the undecided."""

    state: HeldState | None = None
    category: Text = ""
    to: Text = ""
    sender: Text = ""
    ref: Text = ""
    before: Number | None = None
    limit: Limit = 50


class HeldPage(Struct, frozen=True, kw_only=True):
    """Newest first; ask again with ``before`` = `next`, null at the end."""

    copies: tuple[HeldCopy, ...]
    next: int | None


class Decide(StrEnum):
    """What to do with held copies."""

    RELEASE = "release"
    REQUEST = "request"
    DENY = "deny"
    DELETE = "delete"


class HeldAct(Given, frozen=True, kw_only=True):
    """Decide about copies."""

    act: Decide
    copies: Copies
    reason: Reason = ""
    learn: bool = True
    """Teach the classifier that released mail is wanted."""
    wait: Annotated[int, Meta(ge=0, le=20)] = 0
    """Seconds to wait for what the next hop says to released copies."""


class Left(Struct, frozen=True, kw_only=True):
    """A copy that stayed as it was."""

    number: int
    why: str


class HeldDone(Struct, frozen=True, kw_only=True):
    """What came of it."""

    done: tuple[HeldCopy, ...]
    """As they were before."""
    requested: tuple[HeldCopy, ...]
    left: tuple[Left, ...]
    deliveries: tuple[Delivery, ...]


class QueueAsked(Given, frozen=True, kw_only=True):
    """Which waiting copies."""

    ref: Text = ""
    to: Text = ""
    after: Number = 0
    limit: Limit = 50


class QueuePage(Struct, frozen=True, kw_only=True):
    """Oldest first; ask again with ``after`` = `next`, null at the end."""

    copies: tuple[QueuedCopy, ...]
    next: int | None


class QueueDo(StrEnum):
    """What to do with waiting copies."""

    RETRY = "retry"
    HOLD = "hold"
    DROP = "drop"


class QueueAct(Given, frozen=True, kw_only=True):
    """Act on copies."""

    act: QueueDo
    copies: Copies
    reason: Reason = ""


class QueueDone(Struct, frozen=True, kw_only=True):
    """Those it was done for."""

    done: tuple[QueuedCopy, ...]


# Senders


class SenderKind(StrEnum):
    """What an entry does."""

    ALLOW = "allow"
    BLOCK = "block"


class SenderEntry(Struct, frozen=True, kw_only=True):
    """A sender that is allowed or blocked."""

    kind: SenderKind
    sender: str
    recipient: str
    """Empty: for everybody."""
    owner: str
    reason: str
    expires_at: float | None
    hits: int


class SenderList(Struct, frozen=True, kw_only=True):
    """All entries the caller may see."""

    entries: tuple[SenderEntry, ...]


class SenderAdd(Given, frozen=True, kw_only=True):
    """Add an entry, or change it."""

    kind: SenderKind
    sender: Annotated[str, Meta(min_length=1, max_length=320)]
    recipient: Text = ""
    reason: Reason = ""
    expires_at: Moment | None = None


class SenderRemove(Given, frozen=True, kw_only=True):
    """Take an entry out."""

    kind: SenderKind
    sender: Annotated[str, Meta(min_length=1, max_length=320)]
    recipient: Text = ""


class Removed(Struct, frozen=True, kw_only=True):
    """Whether there was one."""

    removed: bool


# Status and journal


class ConcernSeen(Struct, frozen=True, kw_only=True):
    """Something that needs attention."""

    key: str
    level: str
    text: str
    remedy: str


class Status(Struct, frozen=True, kw_only=True):
    """How the installation is."""

    state: str
    """well, warning or critical."""
    hostname: str
    queued: int
    due: int
    being_tried: int
    stopped: int
    held: int
    requested: int
    concerns: tuple[ConcernSeen, ...]


class JournalAsked(Given, frozen=True, kw_only=True):
    """Which entries."""

    who: Text = ""
    kind: Text = ""
    subject: Text = ""
    since: Moment | None = None
    until: Moment | None = None
    before: Number | None = None
    limit: Limit = 100


class Entry(Struct, frozen=True, kw_only=True):
    """One thing somebody did."""

    number: int
    at: float
    who: str
    what: str
    why: str
    subject: str


class JournalPage(Struct, frozen=True, kw_only=True):
    """Newest first; ask again with ``before`` = `next`, null at the end."""

    entries: tuple[Entry, ...]
    next: int | None


class Nothing(Given, frozen=True, kw_only=True):
    """Nothing is asked."""


ENCODER = msgspec.json.Encoder()

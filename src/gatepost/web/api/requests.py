"""The API's part for data protection: requests of data subjects are listed, opened, answered and looked up.

What hands data out or erases it takes a person at the console, or a command on the machine: no token does.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from gatepost.access.rights import Right
from gatepost.office import privacy
from gatepost.office.office import Impossible, NotAllowed
from gatepost.store.requests import DataRequest
from gatepost.web.api.operations import Call, Operation
from gatepost.web.api.shapes import Given, Moment, Nothing, Text

Notes = Annotated[str, Meta(max_length=4000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$(?!\n)")]


class RequestKind(StrEnum):
    """What is asked for (GDPR Art. 15, 17, 16, 21)."""

    ACCESS = "access"
    ERASURE = "erasure"
    RECTIFICATION = "rectification"
    OBJECTION = "objection"


class RequestStatus(StrEnum):
    """How far it is."""

    OPEN = "open"
    DONE = "done"
    REFUSED = "refused"


class PrivacyRequest(Struct, frozen=True, kw_only=True):
    """A request of a data subject."""

    number: int
    kind: RequestKind
    person: str
    addresses: tuple[str, ...]
    received_at: float
    due_at: float
    extended_because: str
    status: RequestStatus
    notes: str
    outcome: str
    proof: dict[str, int]
    """What was handed out or erased so far, and how many of each; empty: nothing yet."""
    registered_by: str
    registered_at: float
    closed_by: str
    closed_at: float | None


class PrivacyRequests(Struct, frozen=True, kw_only=True):
    """The open ones first, the most urgent of them first; then the newest that were closed."""

    requests: tuple[PrivacyRequest, ...]


class RequestsAsked(Given, frozen=True, kw_only=True):
    """Which requests."""

    status: RequestStatus | None = None
    address: Text = ""


class RequestOpen(Given, frozen=True, kw_only=True):
    """Write a request down."""

    kind: RequestKind
    addresses: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=20)]
    person: Text = ""
    received_at: Moment | None = None
    """Null: now."""
    notes: Notes = ""


class RequestDo(StrEnum):
    """What to do with a request."""

    EXTEND = "extend"
    """Two months more, once; the text is what the person is told."""
    NOTE = "note"
    """The text replaces the notes."""
    CLOSE = "close"
    """It is answered; the text says how."""
    REFUSE = "refuse"
    """It is refused; the text says why."""


class RequestAct(Given, frozen=True, kw_only=True):
    """Act on a request."""

    act: RequestDo
    text: Notes = ""


async def listed(call: Call) -> Struct:
    """All, or some."""
    asked: RequestsAsked = call.given
    found = privacy.listed(call.premises.office, call.actor)
    shown = [
        one for one in found
        if (asked.status is None or one.status.value == asked.status.value)
        and (not asked.address or asked.address.lower() in one.addresses)
    ]  # fmt: skip
    return PrivacyRequests(requests=tuple(map(shape, shown)))


async def show(call: Call) -> Struct:
    """One, with what was handed out or erased so far."""
    return shape(privacy.show(call.premises.office, call.actor, number_of(call)))


async def register(call: Call) -> Struct:
    """One more."""
    asked: RequestOpen = call.given
    office = call.premises.office
    number = await privacy.register(
        office, call.actor, kind=asked.kind.value, person=asked.person, addresses=" ".join(asked.addresses),
        received_at=asked.received_at, notes=asked.notes,
    )  # fmt: skip
    return shape(privacy.show(office, call.actor, number))


async def act(call: Call) -> Struct:
    """Extend it, note something, or answer it."""
    asked: RequestAct = call.given
    office, number = call.premises.office, number_of(call)
    match asked.act:
        case RequestDo.EXTEND:
            changed = await privacy.extend(office, call.actor, number, reason=asked.text)
        case RequestDo.NOTE:
            changed = await privacy.note(office, call.actor, number, notes=asked.text)
        case RequestDo.CLOSE | RequestDo.REFUSE:
            refused = asked.act is RequestDo.REFUSE
            changed = await privacy.close(office, call.actor, number, refused=refused, outcome=asked.text)
    return shape(changed)


def number_of(call: Call) -> int:
    """Of the request in the path, which is there. Raises NotAllowed."""
    text = call.path["number"]
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise NotAllowed(privacy.NO_REQUEST)
    try:
        return privacy.show(call.premises.office, call.actor, int(text)).id
    except Impossible:
        raise NotAllowed(privacy.NO_REQUEST) from None


def shape(one: DataRequest) -> PrivacyRequest:
    """As it is told."""
    return PrivacyRequest(
        number=one.id, kind=RequestKind(one.kind.value), person=one.person, addresses=one.addresses,
        received_at=one.received_at, due_at=one.due_at, extended_because=one.extended_because,
        status=RequestStatus(one.status.value), notes=one.notes, outcome=one.outcome, proof=dict(one.proof),
        registered_by=one.registered_by, registered_at=one.registered_at, closed_by=one.closed_by,
        closed_at=one.closed_at,
    )  # fmt: skip


PRIVACY_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="requests", method="GET", path="/v1/requests", rights=(Right.PRIVACY,), takes=RequestsAsked,
        gives=PrivacyRequests, answer=listed, about="Requests of data subjects, the most urgent first.",
    ),
    Operation(
        name="request", method="GET", path="/v1/requests/{number}", rights=(Right.PRIVACY,), takes=Nothing,
        gives=PrivacyRequest, answer=show, about="One request, and what was handed out or erased for it so far.",
    ),
    Operation(
        name="open_request", method="POST", path="/v1/requests", rights=(Right.PRIVACY,), takes=RequestOpen,
        gives=PrivacyRequest, answer=register, about="Write a request down; it is due a month after it came.",
    ),
    Operation(
        name="act_on_request", method="POST", path="/v1/requests/{number}", rights=(Right.PRIVACY,), takes=RequestAct,
        gives=PrivacyRequest, answer=act, about="Extend a request, note something, close or refuse it.",
    ),
)  # fmt: skip

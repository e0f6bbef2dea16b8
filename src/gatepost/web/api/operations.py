"""The API's operations at the desk: one table, each with its right, what it takes and gives, and the office's act behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from gatepost.access.rights import Actor, Right
from gatepost.mail import verdict
from gatepost.office import looking
from gatepost.office.holding import Holding
from gatepost.office.senders import Senders
from gatepost.office.waiting import Waiting
from gatepost.store import journal, quarantine
from gatepost.store.history import Search
from gatepost.store.records import DeliveryAttempt, Held, Queued
from gatepost.store.ref import as_typed
from gatepost.web import paging
from gatepost.web.api import shapes
from gatepost.web.visit import Premises

SEVERITY = {"off": 0, "well": 0, "warning": 1, "critical": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a program that may make it."""

    premises: Premises
    actor: Actor
    given: Any
    """The query or the body, read."""
    path: Mapping[str, str]


Answer = Callable[[Call], Awaitable[Struct]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of the table."""

    name: str
    method: str
    path: str
    """Below ``/api``; a name in braces is a reference."""
    rights: Sequence[Right]
    """One of these scopes is enough."""
    takes: type[Struct]
    """Of a GET or DELETE the query, else the body."""
    gives: type[Struct]
    answer: Answer
    about: str


async def status(call: Call) -> Struct:
    """Health and figures."""
    office = call.premises.office
    seen, figures = await call.premises.health(), office.store.figures(office.clock())
    levels = {0: "well", 1: "warning", 2: "critical"}
    worst = max((SEVERITY.get(str(one.level), 0) for one in seen.concerns), default=0)
    return shapes.Status(
        state=levels[worst], hostname=office.hostname, queued=figures.queued, due=figures.due,
        being_tried=figures.being_tried, stopped=figures.stopped, held=figures.held, requested=figures.requested,
        concerns=tuple(
            shapes.ConcernSeen(key=one.key, level=str(one.level), text=one.text, remedy=one.remedy)
            for one in seen.concerns
        ),
    )  # fmt: skip


async def messages(call: Call) -> Struct:
    """Found in history."""
    asked: shapes.MessagesAsked = call.given
    search = Search(
        sender=asked.sender or None, recipient=asked.recipient or None, client_ip=asked.client or None,
        message_id=asked.message_id or None, action=verdict.Action(asked.action.value) if asked.action else None,
        kind=asked.kind.value if asked.kind else None, since=asked.since, until=asked.until,
    )  # fmt: skip
    found = await call.premises.office.read_long(
        call.actor,
        lambda connection: looking.messages(
            connection, call.actor, search, after=paging.read(asked.after), limit=asked.limit
        ),
    )
    rows = tuple(
        shapes.MessageRow(
            ref=row.ref, at=row.at, kind=shapes.Kind(row.kind), action=shapes.Action(row.action.value),
            would_action=shapes.Action(row.would.value), rule=row.rule, sender=row.sender, recipients=row.recipients,
            author=row.author, subject=row.subject, client=row.client, size=row.size,
        )
        for row in found.rows
    )  # fmt: skip
    return shapes.MessagePage(messages=rows, next=paging.written(found.next))


async def message(call: Call) -> Struct:
    """The whole story of one."""
    story = looking.story(call.premises.office, call.actor, call.path["ref"])
    entry = story.entry
    return shapes.Story(
        ref=entry.ref, at=entry.at, kind=shapes.Kind(entry.kind), mode=entry.mode,
        action=shapes.Action(story.action.value), reply=entry.reply, sender=str(entry.envelope.sender or ""),
        recipients=looking.recipients_of(entry), author=entry.author,
        subject=entry.subject if story.sees_inside else None, message_id=entry.message_id, size=entry.size,
        client=str(entry.client.ip or ""), hello=entry.client.hello,
        verdicts=tuple(
            shapes.Verdict(
                recipients=one.recipients, action=shapes.Action(one.verdict.action.value),
                would_action=shapes.Action(one.verdict.would_action.value), rule=one.verdict.rule, reason=one.reason,
                score=round(one.verdict.score, 2),
            )
            for one in story.decisions
        ),
        findings=tuple(
            shapes.Seen(
                name=one.name, text=one.text, weight=one.weight, enforced=one.enforced, excused_by=one.excused_by,
                decisive=one.decisive,
            )
            for one in story.evidence
        ),
        deliveries=tuple(map(delivery, story.attempts)), held=tuple(held(one, call.actor) for one in story.held),
        queued=tuple(map(queued, story.queued)),
    )  # fmt: skip


async def quarantine_list(call: Call) -> Struct:
    """What is held."""
    asked: shapes.HeldAsked = call.given
    holding: Holding = call.premises.more[Holding]
    if asked.ref:
        found = [one for one in holding.show(call.actor, as_typed(asked.ref)) if fits(one, asked)]
        return shapes.HeldPage(copies=tuple(held(one, call.actor) for one in found[: asked.limit]), next=None)
    wanted = quarantine.Wanted(
        state=quarantine.State(asked.state.value) if asked.state else None, category=asked.category, to=asked.to,
        sender=asked.sender,
    )  # fmt: skip
    found = await holding.listed(call.actor, wanted, before=asked.before, limit=asked.limit + 1)
    more = len(found) > asked.limit
    shown = found[: asked.limit]
    return shapes.HeldPage(
        copies=tuple(held(one, call.actor) for one in shown), next=shown[-1].id if more else None
    )


def fits(copy: Held, asked: shapes.HeldAsked) -> bool:
    """Is it in the state asked for?"""
    return asked.state is None or copy.state == asked.state.value


async def quarantine_act(call: Call) -> Struct:
    """Decide."""
    asked: shapes.HeldAct = call.given
    holding: Holding = call.premises.more[Holding]
    began, numbers = call.premises.office.clock(), list(asked.copies)
    deliveries: Sequence[DeliveryAttempt] = ()
    match asked.act:
        case shapes.Decide.RELEASE:
            decided = await holding.release(call.actor, numbers, asked.reason, learn=asked.learn)
            if asked.wait and decided.done:
                answers = await holding.answers(decided.done, began, wait_s=float(asked.wait))
                deliveries = tuple(answers.values())
        case shapes.Decide.REQUEST:
            decided = await holding.request(call.actor, numbers, asked.reason)
        case shapes.Decide.DENY:
            decided = await holding.deny(call.actor, numbers, asked.reason)
        case shapes.Decide.DELETE:
            decided = await holding.delete(call.actor, numbers, asked.reason)
    return shapes.HeldDone(
        done=tuple(held(one, call.actor) for one in decided.done), requested=tuple(held(one, call.actor) for one in decided.requested),
        left=tuple(shapes.Left(number=number, why=why) for number, why in sorted(decided.left.items())),
        deliveries=tuple(map(delivery, deliveries)),
    )  # fmt: skip


async def queue_list(call: Call) -> Struct:
    """What waits."""
    asked: shapes.QueueAsked = call.given
    found = await Waiting(office=call.premises.office).listed(
        call.actor, ref=as_typed(asked.ref) if asked.ref else None, to=asked.to or None, after=asked.after,
        limit=asked.limit + 1,
    )  # fmt: skip
    shown = found[: asked.limit]
    return shapes.QueuePage(
        copies=tuple(map(queued, shown)), next=shown[-1].id if len(found) > asked.limit else None
    )


async def queue_act(call: Call) -> Struct:
    """Act on it."""
    asked: shapes.QueueAct = call.given
    done = await Waiting(office=call.premises.office).act(
        call.actor, asked.act.value, list(asked.copies), asked.reason
    )
    return shapes.QueueDone(done=tuple(map(queued, done)))


async def sender_list(call: Call) -> Struct:
    """Who is allowed and blocked."""
    kept = Senders(office=call.premises.office).listed(call.actor)
    return shapes.SenderList(
        entries=tuple(
            shapes.SenderEntry(
                kind=shapes.SenderKind.ALLOW if one.entry.allow else shapes.SenderKind.BLOCK,
                sender=one.entry.identity, recipient=one.entry.recipient, owner=one.entry.owner,
                reason=one.entry.reason, expires_at=one.entry.expires_at, hits=one.hits,
            )
            for one in kept
        )
    )  # fmt: skip


async def sender_add(call: Call) -> Struct:
    """One more."""
    asked: shapes.SenderAdd = call.given
    entry = await Senders(office=call.premises.office).add(
        call.actor, asked.sender, allow=asked.kind is shapes.SenderKind.ALLOW, recipient=asked.recipient,
        reason=asked.reason, expires_at=asked.expires_at,
    )  # fmt: skip
    return shapes.SenderEntry(
        kind=asked.kind, sender=entry.identity, recipient=entry.recipient, owner=entry.owner, reason=entry.reason,
        expires_at=entry.expires_at, hits=0,
    )  # fmt: skip


async def sender_remove(call: Call) -> Struct:
    """One less."""
    asked: shapes.SenderRemove = call.given
    gone = await Senders(office=call.premises.office).remove(
        call.actor, asked.sender, allow=asked.kind is shapes.SenderKind.ALLOW, recipient=asked.recipient
    )
    return shapes.Removed(removed=gone)


async def journal_list(call: Call) -> Struct:
    """Who did what."""
    asked: shapes.JournalAsked = call.given
    found = await call.premises.office.read_long(
        call.actor, lambda connection: journal.read(
            connection, who=asked.who or None, kind=asked.kind or None, subject=asked.subject or None,
            since=asked.since, until=asked.until, before=asked.before, limit=asked.limit + 1,
        )
    )  # fmt: skip
    shown = found[: asked.limit]
    entries = tuple(
        shapes.Entry(
            number=one.number, at=one.at, who=one.who, what=one.what, why=one.why, subject=one.subject
        )
        for one in shown
    )
    return shapes.JournalPage(entries=entries, next=shown[-1].number if len(found) > asked.limit else None)


def held(one: Held, actor: Actor) -> shapes.HeldCopy:
    """A held copy as it is told; a reason that may quote the message is for who may see its subject."""
    inside = actor.may(Right.SUBJECTS) or actor.owns(one.to) or looking.tells_metadata(one.rule)
    return shapes.HeldCopy(
        number=one.id, ref=one.ref, sender=one.sender, to=one.to, size=one.size, held_at=one.held_at, reason=one.reason if inside else "",
        rule=one.rule, category=one.category, state=shapes.HeldState(one.state), original=one.original,
        changed_at=one.changed_at, changed_by=one.changed_by, changed_why=one.changed_why,
    )  # fmt: skip


def queued(one: Queued) -> shapes.QueuedCopy:
    """A waiting copy as it is told."""
    return shapes.QueuedCopy(
        number=one.id, ref=one.ref, sender=one.sender, to=one.to, size=one.size, created_at=one.created_at,
        due_at=one.due_at, tries=one.attempts, being_tried=one.worker is not None, stopped_because=one.held_because,
        last_reply=one.last_reply,
    )  # fmt: skip


def delivery(one: DeliveryAttempt) -> shapes.Delivery:
    """A try as it is told."""
    return shapes.Delivery(
        at=one.at, to=one.to, host=one.host, address=one.address, status=one.status, reply=one.reply,
        tls_version=one.tls_version, tls_policy=one.tls_policy, tls_verified=one.tls_verified, reason=one.reason,
    )  # fmt: skip


SEES = (Right.MESSAGES, Right.OWN)
DESK_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="status", method="GET", path="/v1/status", rights=(Right.OVERVIEW,), takes=shapes.Nothing,
        gives=shapes.Status, answer=status, about="How the installation is.",
    ),
    Operation(
        name="messages", method="GET", path="/v1/messages", rights=(Right.MESSAGES,), takes=shapes.MessagesAsked,
        gives=shapes.MessagePage, answer=messages, about="Messages and refused attempts, newest first.",
    ),
    Operation(
        name="message", method="GET", path="/v1/messages/{ref}", rights=SEES, takes=shapes.Nothing,
        gives=shapes.Story, answer=message, about="The whole story of one message.",
    ),
    Operation(
        name="quarantine", method="GET", path="/v1/quarantine", rights=(Right.RELEASE, *SEES), takes=shapes.HeldAsked,
        gives=shapes.HeldPage, answer=quarantine_list, about="Held copies: everybody's by right, else one's own.",
    ),
    Operation(
        name="decide", method="POST", path="/v1/quarantine", rights=(Right.RELEASE, Right.OWN), takes=shapes.HeldAct,
        gives=shapes.HeldDone, answer=quarantine_act, about="Release, ask for, deny or delete held copies.",
    ),
    Operation(
        name="queue", method="GET", path="/v1/queue", rights=(Right.QUEUE, Right.MESSAGES), takes=shapes.QueueAsked,
        gives=shapes.QueuePage, answer=queue_list, about="Copies that wait for delivery, oldest first.",
    ),
    Operation(
        name="act", method="POST", path="/v1/queue", rights=(Right.QUEUE,), takes=shapes.QueueAct,
        gives=shapes.QueueDone, answer=queue_act, about="Retry, stop or drop waiting copies.",
    ),
    Operation(
        name="senders", method="GET", path="/v1/senders", rights=(Right.ENTRIES, Right.OWN), takes=shapes.Nothing,
        gives=shapes.SenderList, answer=sender_list, about="Senders that are allowed and blocked.",
    ),
    Operation(
        name="add_sender", method="POST", path="/v1/senders", rights=(Right.ENTRIES, Right.OWN), takes=shapes.SenderAdd,
        gives=shapes.SenderEntry, answer=sender_add, about="Allow or block a sender.",
    ),
    Operation(
        name="remove_sender", method="DELETE", path="/v1/senders", rights=(Right.ENTRIES, Right.OWN),
        takes=shapes.SenderRemove, gives=shapes.Removed, answer=sender_remove, about="Take a sender's entry out.",
    ),
    Operation(
        name="journal", method="GET", path="/v1/journal", rights=(Right.JOURNAL,), takes=shapes.JournalAsked,
        gives=shapes.JournalPage, answer=journal_list, about="Who did what, newest first.",
    ),
)  # fmt: skip
"""Mail, queue, senders and journal; see `table`."""

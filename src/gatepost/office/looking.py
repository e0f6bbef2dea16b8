"""What became of mail: found, told as a story, and counted; each sees what their rights show.

`Right.MESSAGES` shows everybody's metadata, `Right.SUBJECTS` subjects, file names and what was read inside; whoever is a
recipient sees their own copy whole. What is not there and what is not theirs look the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from gatepost.access.rights import Actor, Right
from gatepost.checks.references import about, reference_of
from gatepost.mail.verdict import SEVERITY, Action, Verdict, Weighed
from gatepost.office.office import NotAllowed, Office
from gatepost.office.whatif import Instead, instead
from gatepost.policy import PolicyBook
from gatepost.store.approvals import CATEGORY as APPROVAL
from gatepost.store.database import Connection
from gatepost.store.history import Cursor, Search
from gatepost.store.journal import JournalEntry
from gatepost.store.quarantine import State
from gatepost.store.records import DeliveryAttempt, Held, HistoryEntry, Judged, Queued
from gatepost.store.ref import as_typed
from gatepost.store.searching import find

NOT_HERE = "There is no such message, or it is not yours to see."
METADATA = frozenset(
    {"recipients", "rates", "dnsbl", "rdns", "hello", "greylist", "tlsrequired", "spf", "dkim", "dmarc", "arc", "forwarder",
     "senders", "correspondents", "account", "quota", "volume", "fanout", "habits", "session", "loop", "store"}
)  # fmt: skip
"""Checks whose sentences tell only who wrote to whom from where; the others may quote subjects, names and text."""
NAMES_NO_FACT = frozenset({"today", "threshold", "allow", "block"})
DOMAIN = re.compile(r"@?[\w-]+(\.[\w-]+)+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One message in a list."""

    ref: str
    at: float
    kind: str
    action: Action
    would: Action
    """The same as `action` unless the gate observes."""
    rule: str
    sender: str
    recipients: tuple[str, ...]
    author: str
    subject: str | None
    """None: not theirs to see."""
    client: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of a list."""

    rows: tuple[Row, ...]
    next: Cursor | None
    looked_until: float | None = None
    """Only so far back was looked; `next` goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One verdict and all recipients it holds for."""

    verdict: Verdict
    recipients: tuple[str, ...]
    reference: str
    """Where to read about the deciding rule."""
    about: str
    """What the deciding fact means, one line that quotes nothing; empty where a score decided."""
    reason: str
    """Empty where it may quote what the reader may not see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One finding, and what the policy made of it."""

    name: str
    text: str
    """Empty where it may quote what the reader may not see."""
    weight: float
    enforced: bool
    excused_by: str
    reference: str
    decisive: bool
    """It is the deciding rule."""
    words: tuple[str, ...] = ()
    about: str = ""
    """What such a fact means, one line that quotes nothing."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the sentence was made from; empty where it may not be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything about one message that the reader may see."""

    entry: HistoryEntry
    """Cut down to what may be seen."""
    action: Action
    decisions: tuple[Decision, ...]
    evidence: tuple[Evidence, ...]
    attempts: tuple[DeliveryAttempt, ...]
    queued: tuple[Queued, ...]
    held: tuple[Held, ...]
    acts: tuple[JournalEntry, ...]
    changes: tuple[Instead, ...]
    """What would have led to another action for the first recipient."""
    sees_inside: bool
    """Subject, file names, and what was read inside the message."""


# Finding


def understand(typed: str) -> Search:
    """What a person typed into the one field: a reference, an address, a domain, an IP address or a Message-ID."""
    text = typed.strip().removeprefix("[ref ").removesuffix("]").strip()
    try:
        return Search(client_ip=str(ip_address(text)))
    except ValueError:
        pass
    if text == "<>":
        return Search(sender="<>")
    if text.startswith("<") and text.endswith(">"):
        return Search(message_id=text)
    if "@" in text and not text.startswith("@"):
        return Search(recipient=text)  # the caller also looks for it as sender and Message-ID
    if DOMAIN.match(text):
        return Search(sender="@" + text.removeprefix("@"))
    return Search(ref=as_typed(text))


def messages(
    connection: Connection, actor: Actor, search: Search, *, after: Cursor | None = None, limit: int = 50
) -> Found:
    """One page of what is looked for, newest first. Raises NotAllowed without `Right.MESSAGES`."""
    insist(actor)
    if search.subject and not actor.may(Right.SUBJECTS):
        raise NotAllowed("Subjects are not yours to search.")
    page = find(connection, search, limit=limit, after=after)
    return Found(rows=tuple(row(one, actor) for one in page.entries), next=page.next, looked_until=page.until)


def anywhere(connection: Connection, actor: Actor, typed: str, *, limit: int = 50) -> Found:
    """The first page of what the one search field may mean: an address is looked for as recipient, sender and Message-ID."""
    insist(actor)
    first = understand(typed)
    searches = [first]
    if first.recipient is not None:
        searches += [Search(sender=first.recipient), Search(message_id=first.recipient)]
    elif first.sender is not None and first.sender.startswith("@"):
        searches.append(Search(recipient=first.sender))
    elif first.ref is not None and len(first.ref) < 4:
        return Found(rows=(), next=None)
    found = {one.ref: one for search in searches for one in find(connection, search, limit=limit).entries}
    newest = sorted(found.values(), key=lambda one: -one.at)[:limit]
    return Found(rows=tuple(row(one, actor) for one in newest), next=None)


def insist(actor: Actor) -> None:
    """Raises NotAllowed without the right to everybody's metadata."""
    if not actor.may(Right.MESSAGES):
        raise NotAllowed(NOT_HERE)


def row(entry: HistoryEntry, actor: Actor) -> Row:
    """A message as a row."""
    verdict = strictest(entry)
    own = any(actor.owns(one) for one in recipients_of(entry))
    return Row(
        ref=entry.ref,
        at=entry.at,
        kind=entry.kind,
        action=verdict.action,
        would=verdict.would_action,
        rule=verdict.rule,
        sender=str(entry.envelope.sender or ""),
        recipients=recipients_of(entry),
        author=entry.author,
        subject=entry.subject if own or actor.may(Right.SUBJECTS) else None,
        client=str(entry.client.ip or ""),
        size=entry.size,
    )


def recipients_of(entry: HistoryEntry) -> tuple[str, ...]:
    """As they were named."""
    return tuple(str(one.address) for one in entry.envelope.recipients)


def strictest(entry: HistoryEntry) -> Verdict:
    """Over the recipients; for what was turned down before a verdict, one made from the reply."""
    if entry.judged:
        return max((one.verdict for one in entry.judged), key=lambda one: SEVERITY.get(one.action, 4))
    action = {"4": Action.DEFER, "2": Action.DELIVER}.get(entry.reply[:1], Action.REFUSE)
    first = entry.findings[0] if entry.findings else None
    return Verdict(
        action=action, would_action=action, rule=first.name if first else "session",
        reason=first.text if first else entry.reply, score=0.0,
    )  # fmt: skip


# One message


def story(office: Office, actor: Actor, ref: str, book: PolicyBook | None = None) -> Story:
    """The whole story of one message, as far as it is the actor's to see. Raises NotAllowed.

    With the policy in force it tells what would have changed the first recipient's verdict.
    """
    entry = office.store.entry(ref) or office.store.entry(as_typed(ref))
    if entry is None:
        raise NotAllowed(NOT_HERE)
    awaited = not_yet_theirs(office, entry)
    own = [one for one in recipients_of(entry) if actor.owns(one) and one.lower() not in awaited]
    everybody = actor.may(Right.MESSAGES)
    if not everybody and not own:
        raise NotAllowed(NOT_HERE)
    inside = (
        actor.may(Right.SUBJECTS)
        or len(own) == len(entry.envelope.recipients)
        or (bool(own) and not everybody)
    )
    seen = entry if everybody else only_for(entry, actor)
    changes = instead(seen, seen.judged[0], book) if book is not None and seen.judged else []
    shown_decisions, shown_evidence = decisions(seen, inside=inside), evidence(seen, inside=inside)
    if not inside:
        seen = outside_of(seen)
        changes = [
            replace(one, text="") for one in changes if one.how in NAMES_NO_FACT or tells_metadata(one.what)
        ]
    return Story(
        entry=seen,
        action=strictest(seen).action,
        decisions=tuple(shown_decisions),
        evidence=tuple(shown_evidence),
        attempts=tuple(one for one in office.store.attempts_of(entry.ref) if everybody or actor.owns(one.to)),
        queued=tuple(one for one in office.store.queued(ref=entry.ref) if everybody or actor.owns(one.to)),
        held=tuple(one for one in office.store.held(ref=entry.ref, decided=True) if everybody or actor.owns(one.to)),
        acts=tuple(reversed(office.store.journal(subject=entry.ref))) if actor.may(Right.JOURNAL) else (),
        changes=tuple(changes),
        sees_inside=inside,
    )  # fmt: skip


def not_yet_theirs(office: Office, entry: HistoryEntry) -> frozenset[str]:
    """Recipients, lower case, who know nothing of it: their copies wait for approval on the way out, or were declined."""
    if not entry.client.account:
        return frozenset()
    return frozenset(
        one.to.lower()
        for one in office.store.held(ref=entry.ref, decided=True)
        if one.category == APPROVAL and one.state != State.RELEASED
    )


def only_for(entry: HistoryEntry, actor: Actor) -> HistoryEntry:
    """The entry without the other recipients."""
    judged = tuple(one for one in entry.judged if actor.owns(str(one.recipient.address)))
    envelope = replace(
        entry.envelope,
        recipients=tuple(one for one in entry.envelope.recipients if actor.owns(str(one.address))),
    )
    return replace(entry, judged=judged, envelope=envelope)


def outside_of(entry: HistoryEntry) -> HistoryEntry:
    """The entry without anything that may quote what is inside the message."""
    judged = tuple(
        replace(
            one,
            verdict=replace(
                one.verdict, changes=(), reason=one.verdict.reason if tells_metadata(one.verdict.rule) else "",
                weighed=tuple(each for each in one.verdict.weighed if tells_metadata(each.finding.name)),
            ),
        )
        for one in entry.judged
    )  # fmt: skip
    findings = tuple(one for one in entry.findings if tells_metadata(one.name))
    reply = entry.reply if all(tells_metadata(one.verdict.rule) for one in entry.judged) else entry.reply[:9]
    return replace(entry, subject="", judged=judged, findings=findings, reply=reply)


def decisions(entry: HistoryEntry, *, inside: bool) -> list[Decision]:
    """Recipients of the same verdict together; for what had none, what the reply said."""
    groups: dict[tuple[Action, Action, str, str], list[Judged]] = {}
    for one in entry.judged:
        verdict = one.verdict
        groups.setdefault((verdict.action, verdict.would_action, verdict.rule, verdict.reason), []).append(
            one
        )
    found = []
    for same in groups.values():
        verdict = same[0].verdict
        reason = verdict.reason if inside or tells_metadata(verdict.rule) else ""
        found.append(
            Decision(
                verdict=replace(
                    verdict, reason=reason, weighed=(), changes=verdict.changes if inside else ()
                ),
                recipients=tuple(str(one.recipient.address) for one in same),
                reference=reference_of(verdict.rule),
                about=about(verdict.rule),
                reason=reason,
            )
        )
    if not found:
        verdict = strictest(entry)
        reason = verdict.reason if inside or tells_metadata(verdict.rule) else ""
        found.append(
            Decision(
                verdict=replace(verdict, reason=reason),
                recipients=(),
                reference=reference_of(verdict.rule),
                about=about(verdict.rule),
                reason=reason,
            )
        )
    return found


def evidence(entry: HistoryEntry, *, inside: bool) -> list[Evidence]:
    """Every finding once, the heaviest first."""
    shown: dict[tuple[str, str], Weighed] = {}
    deciding = {one.verdict.rule for one in entry.judged}
    for judged in entry.judged:
        for weighed in judged.verdict.weighed:
            shown.setdefault((weighed.finding.key, weighed.finding.text), weighed)
    found = []
    for one in shown.values():
        finding = one.finding
        visible = inside or tells_metadata(finding.name)
        words = finding.evidence.get("words") if visible else None
        found.append(
            Evidence(
                name=finding.key,
                text=finding.text if visible else "",
                weight=one.weight,
                enforced=one.mode == "enforce",
                excused_by=one.excused_by or "",
                reference=reference_of(finding.key),
                decisive=finding.name in deciding,
                words=tuple(map(str, words)) if isinstance(words, list) else (),
                about=about(finding.key),
                facts=finding.evidence if visible else {},
            )
        )
    if not found:
        found = [
            Evidence(
                name=one.key, text=one.text if inside or tells_metadata(one.name) else "", weight=0.0, enforced=True,
                excused_by="", reference=reference_of(one.key), decisive=False, about=about(one.key),
                facts=one.evidence if inside or tells_metadata(one.name) else {},
            )
            for one in entry.findings
        ]  # fmt: skip
    return sorted(found, key=lambda one: (not one.decisive, bool(one.excused_by), -abs(one.weight), one.name))


def tells_metadata(name: str) -> bool:
    """Does a finding of this name quote nothing from inside the message?"""
    return name.partition(".")[0] in METADATA or name == "default.deliver"

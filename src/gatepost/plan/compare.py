"""A candidate policy against recorded facts: what would have changed, from what to what, and for whom.

Nothing of the mail is needed for that. What was never asked is counted as unknown where it could have
mattered: the content of mail turned down at the door, and facts of checks and lists that were off then.
Left out: sessions that ended before a recipient was named; no policy decides about those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import SEVERITY, Action, Verdict
from gatepost.policy import Policy, PolicyBook, decide, decide_at_door
from gatepost.store.records import HistoryEntry, Judged

Told = Callable[[str], frozenset[str]]
"""A message's reference -> what people did about it, of ``released``, ``replied``, ``reported``."""

MOST_SAMPLES = 5
"""Messages shown for each change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One message that would have been treated differently."""

    ref: str
    recipient: str
    author: str
    subject: str
    rule: str
    """The candidate's deciding rule."""
    reason: str
    """The candidate's reason."""
    told: tuple[str, ...] = ()
    """What people did about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """All messages of one recipient domain that go from one action to another."""

    domain: str
    before: Action
    after: Action
    count: int
    rules: dict[str, int]
    """The candidate's deciding rules, with counts."""
    told: dict[str, int]
    """How many of them a person released, answered or reported."""
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a candidate policy would have changed; counts are of recipients, as each has a verdict."""

    looked_at: int
    same: int
    unknown: int
    """What was never asked could have made the difference."""
    unknown_because: dict[str, int]
    changes: tuple[Change, ...]
    """The most frequent first."""

    @property
    def changed(self) -> int:
        """How many verdicts differ."""
        return sum(change.count for change in self.changes)


def compare(
    entries: Iterable[HistoryEntry],
    current: PolicyBook,
    candidate: PolicyBook,
    told: Told = lambda _: frozenset(),
    *,
    outgoing: tuple[PolicyBook, PolicyBook] | None = None,
) -> Plan:
    """Re-decide every recorded verdict under both books. One pass; memory does not grow with the history.

    Mail of our own people is decided by `outgoing`, the current and the candidate's book for it; without, it is left out.
    """
    looked_at = same = 0
    unknown: Counter[str] = Counter()
    tables: dict[tuple[str, Action, Action], _Tally] = {}
    for entry in entries:
        if entry.kind == "session":
            continue
        books = outgoing if entry.client.account else (current, candidate)
        if books is None:
            continue
        for judged in entry.judged:
            looked_at += 1
            address = judged.recipient.address
            before, after, why_unknown = _both(
                entry.kind, judged, books[0].for_recipient(address), books[1].for_recipient(address)
            )
            if why_unknown:
                unknown[why_unknown] += 1
            elif before is after.action:
                same += 1
            else:
                key = (address.domain, before, after.action)
                tables.setdefault(key, _Tally()).add(entry, judged, after, told(entry.ref))
    changes = [table.change(*key) for key, table in tables.items()]
    changes.sort(key=lambda one: (-one.count, one.domain, one.before, one.after))
    return Plan(
        looked_at=looked_at,
        same=same,
        unknown=unknown.total(),
        unknown_because=dict(unknown),
        changes=tuple(changes),
    )


@dataclass(slots=True)
class _Tally:
    count: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)

    def add(self, entry: HistoryEntry, judged: Judged, after: Verdict, told: frozenset[str]) -> None:
        self.count += 1
        self.rules[after.rule] += 1
        self.told.update(told)
        if len(self.samples) < MOST_SAMPLES:
            self.samples.append(
                Sample(
                    ref=entry.ref,
                    recipient=str(judged.recipient.address),
                    author=entry.author,
                    subject=entry.subject,
                    rule=after.rule,
                    reason=after.reason,
                    told=tuple(sorted(told)),
                )
            )

    def change(self, domain: str, before: Action, after: Action) -> Change:
        return Change(
            domain=domain,
            before=before,
            after=after,
            count=self.count,
            rules=dict(self.rules),
            told=dict(self.told),
            samples=tuple(self.samples),
        )


def _both(kind: str, judged: Judged, current: Policy, candidate: Policy) -> tuple[Action, Verdict, str]:
    """The action before, the verdict after, and why the latter is not known ("" where it is)."""
    findings = [one.finding for one in judged.verdict.weighed]
    before, after = _decided(kind, findings, current), _decided(kind, findings, candidate)
    # Where both only observe, what they would have done is the question.
    observing = current.mode is candidate.mode
    was = before.would_action if observing else before.action
    if observing and after.would_action is not after.action:
        after = _as_enforced(after)
    if kind == "attempt" and after.action is Action.DELIVER:
        return was, after, "turned down at the door, so nothing is known of its content"
    never_asked = _never_asked(findings, current, candidate)
    if never_asked:
        reach = {_action(kind, [*findings, *more], candidate, observing) for more in _extremes(never_asked)}
        if reach != {after.action}:
            return was, after, f"{never_asked[0][0].key} was not asked then"
    return was, after, ""


def _decided(kind: str, findings: Sequence[Finding], policy: Policy) -> Verdict:
    """At the door as at the door: a message was let in there, and a door rule may now keep it out."""
    at_door = decide_at_door(findings, policy)
    if kind == "attempt" or at_door.would_action is not Action.DELIVER:
        return at_door
    return decide(findings, policy)


def _action(kind: str, findings: Sequence[Finding], policy: Policy, observing: bool) -> Action:
    verdict = _decided(kind, findings, policy)
    return verdict.would_action if observing else verdict.action


def _as_enforced(verdict: Verdict) -> Verdict:
    return Verdict(
        action=verdict.would_action,
        would_action=verdict.would_action,
        rule=verdict.rule,
        reason=verdict.reason,
        score=verdict.score,
        weighed=verdict.weighed,
    )


_Possible = tuple[Finding, float]
"""A fact that might have been found, and how much it speaks against the mail."""


def _never_asked(findings: Sequence[Finding], current: Policy, candidate: Policy) -> list[_Possible]:
    """Facts that count for the candidate, of checks that were off and lists that were not asked."""
    asked_lists = {name for one in findings if one.name == "dnsbl.asked" for name in _lists(one)}
    spoke = {one.name.partition(".")[0] for one in findings}
    possible = []
    for key, rule in candidate.rules.items():
        if rule.mode is not Mode.ENFORCE or not (rule.weight or rule.action):
            continue
        name, _, source = key.partition(":")
        check = name.partition(".")[0]
        before = current.rules.get(key)
        if check == "dnsbl":
            missing = (
                bool(source) and source not in asked_lists and (before is None or before.mode is Mode.OFF)
            )
        else:
            missing = (before is None or before.mode is Mode.OFF) and check not in spoke
        if missing:
            strength = rule.weight if rule.action is None else 1_000.0 + SEVERITY.get(rule.action, 0)
            possible.append((Finding(name, "", {}, source), strength))
    return possible


def _lists(asked: Finding) -> list[str]:
    lists = asked.evidence.get("lists")
    return lists if isinstance(lists, list) else []


def _extremes(possible: Sequence[_Possible]) -> list[list[Finding]]:
    """All that speaks against, and all that speaks for: the action lies between."""
    return [
        [finding for finding, strength in possible if strength > 0],
        [finding for finding, strength in possible if strength < 0],
    ]

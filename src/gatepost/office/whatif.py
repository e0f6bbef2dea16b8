"""What would have led to another action: thresholds, weights, lists and entries, each tried on the recorded facts.

Nothing here is guessed: every answer is the verdict of `policy.decide` on the same facts under a policy with one thing changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.policy import FactRule, Policy, PolicyBook, decide, decide_at_door
from gatepost.store.records import HistoryEntry, Judged

THRESHOLDS = ("junk_at", "quarantine_at", "refuse_at")
MOST = 12
STEPS = 12
"""Halvings to find the weight at which the action turns."""
ALLOWED, BLOCKED = "senders.allowed", "senders.blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead:
    """One change, and what it would have led to."""

    how: str
    """today, threshold, weight, without, enforced, allow or block."""
    what: str
    """The threshold or fact; empty for the rest."""
    now: float
    then: float
    """The values, where `how` is threshold or weight."""
    action: Action
    text: str = ""
    """The fact's sentence."""


def instead(entry: HistoryEntry, judged: Judged, book: PolicyBook) -> list[Instead]:
    """At most MOST changes that would have led to another action for this recipient, the likeliest to be wanted first."""
    policy = book.for_recipient(judged.recipient.address)
    findings = [one.finding for one in judged.verdict.weighed]
    if not findings:
        return []
    trial = Trial(policy, findings, at_door=entry.kind == "attempt")
    base = trial.action(policy)
    found: list[Instead] = []
    if base is not judged.verdict.would_action:
        found.append(Instead(how="today", what="", now=0.0, then=0.0, action=base))
    found += [*trial.thresholds(base), *trial.entries(base), *trial.facts(base)]
    return found[:MOST]


class Trial:
    """One message's facts, to be judged again and again."""

    def __init__(self, policy: Policy, findings: Sequence[Finding], *, at_door: bool) -> None:
        self.policy = replace(policy, mode=Mode.ENFORCE)
        self.findings = findings
        self.at_door = at_door

    def action(self, policy: Policy, findings: Sequence[Finding] | None = None) -> Action:
        """What enforcing the policy does."""
        judge = decide_at_door if self.at_door else decide
        return judge(self.findings if findings is None else findings, policy).would_action

    def thresholds(self, base: Action) -> Iterator[Instead]:
        """Each moved just past the score, as far as they still rise."""
        if self.at_door:
            return
        score = decide(self.findings, self.policy).score
        for name in THRESHOLDS:
            now = getattr(self.policy, name)
            then = round_up(score) if score >= now else round_down(score)
            if then <= 0:
                continue
            moved = with_threshold(self.policy, name, then)
            if not moved.junk_at <= moved.quarantine_at <= moved.refuse_at:
                continue
            action = self.action(moved)
            if action is not base:
                yield Instead(how="threshold", what=name, now=now, then=then, action=action)

    def entries(self, base: Action) -> Iterator[Instead]:
        """The sender on the list of the allowed, or of the blocked."""
        present = {one.name for one in self.findings}
        for how, name in (("allow", ALLOWED), ("block", BLOCKED)):
            if name in self.policy.rules and name not in present:
                action = self.action(self.policy, [*self.findings, Finding(name, "")])
                if action is not base:
                    yield Instead(how=how, what=name, now=0.0, then=0.0, action=action)

    def facts(self, base: Action) -> Iterator[Instead]:
        """Each fact without worth, with the weight at which the action turns, or enforced where it only observes."""
        seen: set[str] = set()
        changes: list[tuple[float, Instead]] = []
        for finding in self.findings:
            rule = self.policy.rule_of(finding)
            if finding.key in seen or not (rule.weight or rule.action):
                continue
            seen.add(finding.key)
            if rule.mode is Mode.OBSERVE:
                action = self.action(self.with_rule(finding, replace(rule, mode=Mode.ENFORCE)))
                if action is not base:
                    changes.append((2.0, self.told("enforced", finding, rule.weight, rule.weight, action)))
            elif rule.mode is Mode.ENFORCE:
                action = self.action(self.with_rule(finding, replace(rule, mode=Mode.OBSERVE)))
                if action is base:
                    continue
                changes.append((-abs(rule.weight), self.told("without", finding, rule.weight, 0.0, action)))
                if rule.weight and not rule.action and not rule.measured:
                    then = self.turning(finding, rule, base)
                    after = self.action(self.with_rule(finding, replace(rule, weight=then)))
                    if then and after is not base:
                        changes.append(
                            (-abs(rule.weight) + 0.01, self.told("weight", finding, rule.weight, then, after))
                        )
        yield from (one for _, one in sorted(changes, key=lambda one: (one[0], one[1].what)))

    def turning(self, finding: Finding, rule: FactRule, base: Action) -> float:
        """The weight nearest to the present one, to a tenth, at which the action is another; 0 where there is none."""
        near, far = rule.weight, 0.0
        for _ in range(STEPS):
            middle = (near + far) / 2
            if self.action(self.with_rule(finding, replace(rule, weight=middle))) is base:
                near = middle
            else:
                far = middle
        return round_down(far) if rule.weight > 0 else round_up(far)

    def with_rule(self, finding: Finding, rule: FactRule) -> Policy:
        """The policy with another rule for this fact alone."""
        return replace(self.policy, rules={**self.policy.rules, finding.key: rule})

    def told(self, how: str, finding: Finding, now: float, then: float, action: Action) -> Instead:
        """One answer."""
        return Instead(how=how, what=finding.key, now=now, then=then, action=action, text=finding.text)


def with_threshold(policy: Policy, name: str, value: float) -> Policy:
    """The policy with one threshold moved."""
    if name == "junk_at":
        return replace(policy, junk_at=value)
    if name == "quarantine_at":
        return replace(policy, quarantine_at=value)
    return replace(policy, refuse_at=value)


def round_up(value: float) -> float:
    """The next tenth above."""
    return round(int(value * 10 + (0 if value < 0 else 1)) / 10, 1)


def round_down(value: float) -> float:
    """The tenth below or at the value."""
    tenth = round(int(value * 10) / 10, 1)
    return tenth if tenth <= value else round(tenth - 0.1, 1)

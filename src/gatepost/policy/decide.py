"""decide(findings, policy) -> Verdict: one pure fold over facts.

Four steps (`docs/architecture.md` §8): excuses remove facts that another fact explains; decisive facts
name an action; weights, in log-odds, are summed under a ceiling per group; thresholds turn the sum into
an action, and the stronger of both is taken. DEFER stands apart: only when something that could not be
asked would change the action. What a fact is worth by default stands beside the check that emits it; it
comes here as plain data, through the Protocols below, so that policy and checks stay strangers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum

from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import SEVERITY, Action, Verdict, Weighed


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRule:
    """What one fact means under a policy, everything resolved."""

    weight: float = 0.0
    mode: Mode = Mode.ENFORCE
    group: str = ""
    action: Action | None = None
    missing: tuple[str, ...] = ()
    at_door: bool = False
    binding: bool = False
    excused_by: tuple[str, ...] = ()
    softened_by: tuple[str, ...] = ()
    reply: str = ""


UNDECLARED = FactRule()
"""A fact of a check that is no longer here: shown, and worth nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy with nothing left to resolve; `assemble` makes one."""

    rules: Mapping[str, FactRule]
    """By ``name:source`` where a source has its own, else by ``name``."""
    ceilings: Mapping[str, float] = field(default_factory=dict)
    """Per group: how much its facts may add up to, either way. One fact alone may always count whole."""
    ceiling: float = 5.0
    """For groups not named in `ceilings`."""
    junk_at: float = 4.0
    quarantine_at: float = 7.0
    refuse_at: float = 10.0
    mode: Mode = Mode.ENFORCE
    """The whole gate's."""
    agreeing_groups: frozenset[str] = frozenset({"reputation", "content", "malware"})
    """A fact of one of these, weighing at least `agrees_at`, agrees with a decisive fact that would be softened."""
    agrees_at: float = 1.0
    allowed_by: str = "senders.allowed"
    """The fact that excuses everything but `inexcusable_groups`."""
    inexcusable_groups: frozenset[str] = frozenset({"malware"})

    def rule_of(self, finding: Finding) -> FactRule:
        """The most specific rule for a finding."""
        rules = self.rules
        return rules.get(finding.key) or rules.get(finding.name) or UNDECLARED

    def reply_codes(self, verdict: Verdict) -> tuple[int, str]:
        """SMTP code and enhanced code (RFC 3463) that say a REFUSE or DEFER, such as ``(550, "5.1.1")``."""
        declared = self.rules.get(verdict.rule, UNDECLARED).reply
        deferred = verdict.action is Action.DEFER
        if declared and declared.startswith("4") is deferred:
            code, _, enhanced = declared.partition(" ")
            return int(code), enhanced
        return (451, "4.7.1") if deferred else (550, "5.7.1")


def decide(findings: Iterable[Finding], policy: Policy) -> Verdict:
    """What to do with a message for one recipient, by all that was found about it."""
    judged = _weigh(findings, policy)
    return _verdict(judged, judged, policy, at_door=False)


def decide_at_door(findings: Iterable[Finding], policy: Policy) -> Verdict:
    """At RCPT TO: REFUSE, DEFER, or DELIVER for "go on".

    Only protocol, relay, recipient and rate rules and enforced lists count here (`FactRule.at_door`);
    anything milder than a refusal waits for the message.
    """
    judged = _weigh(findings, policy)
    return _verdict(judged, [one for one in judged if one[1].at_door], policy, at_door=True)


_Judged = tuple[Weighed, FactRule]


@dataclass(frozen=True, slots=True)
class _Outcome:
    action: Action
    score: float
    by: Weighed | None = None
    """The deciding finding, None when the score decided."""
    softened: bool = False


def _weigh(findings: Iterable[Finding], policy: Policy) -> list[_Judged]:
    """Step 1: each finding with its rule, its weight, and the fact that excuses it."""
    found = [(finding, policy.rule_of(finding)) for finding in findings]
    present = {finding.name for finding, rule in found if rule.mode is Mode.ENFORCE}
    allowed = policy.allowed_by in present
    judged = []
    for finding, rule in found:
        excuse = None
        if rule.excused_by:
            excuse = next((name for name in rule.excused_by if name in present), None)
        if excuse is None and allowed and _speaks_against(rule) and _may_be_allowed(rule, policy):
            excuse = policy.allowed_by
        judged.append((Weighed(finding, rule.weight, rule.mode, excuse), rule))
    return judged


def _speaks_against(rule: FactRule) -> bool:
    return rule.weight > 0 or rule.action is not None or bool(rule.missing)


def _may_be_allowed(rule: FactRule, policy: Policy) -> bool:
    if rule.binding or rule.group in policy.inexcusable_groups:
        return False
    hidden = [policy.rules.get(name, UNDECLARED).group for name in rule.missing]
    return policy.inexcusable_groups.isdisjoint(hidden)


def _verdict(shown: list[_Judged], counted: list[_Judged], policy: Policy, *, at_door: bool) -> Verdict:
    live = [one for one in counted if one[0].mode is Mode.ENFORCE and one[0].excused_by is None]
    outcome = _settle(live, policy, at_door=at_door)
    action = outcome.action
    if policy.mode is not Mode.ENFORCE and action is not Action.DELIVER:
        action = _settle([one for one in live if one[1].binding], policy, at_door=at_door).action
    rule, reason = _explain(live, shown, outcome, policy)
    return Verdict(
        action=action,
        would_action=outcome.action,
        rule=rule,
        reason=reason,
        score=outcome.score,
        weighed=tuple([weighed for weighed, _ in shown]),
    )


def _settle(live: list[_Judged], policy: Policy, *, at_door: bool) -> _Outcome:
    outcome = _outcome(live, policy, at_door=at_door)
    if any(rule.missing for _, rule in live):
        outcome = _deferred(live, outcome, policy, at_door=at_door)
    return outcome


def _outcome(live: Sequence[_Judged], policy: Policy, *, at_door: bool = False) -> _Outcome:
    """Steps 2 to 4. A decisive fact wins over an equal score: it makes the better story."""
    score = _score(live, policy)
    action, by, softened = _by_score(score, policy), None, False
    deferring = None
    for weighed, rule in live:
        named = rule.action
        if named is None:
            continue
        if named is Action.DEFER:
            deferring = _first(deferring, weighed)
            continue
        mild = bool(rule.softened_by) and _softens(rule, live, policy)
        if mild:
            named = Action.QUARANTINE if named is Action.REFUSE else Action.JUNK
        if SEVERITY[named] > SEVERITY[action] or (named is action and _first(by, weighed) is weighed):
            action, by, softened = named, weighed, mild
    if at_door and action is not Action.REFUSE:
        action, by, softened = Action.DELIVER, None, False
    if deferring is not None and action is not Action.REFUSE:
        return _Outcome(Action.DEFER, score, deferring)
    return _Outcome(action, score, by, softened)


def _first(one: Weighed | None, other: Weighed) -> Weighed:
    """The one to be named, whatever order they came in."""
    return other if one is None or other.finding.key < one.finding.key else one


def _score(live: Sequence[_Judged], policy: Policy) -> float:
    """Step 3: the sum of weights, each group's under its ceiling.

    The same fact found twice without a group counts once: it is a group of its own.
    """
    against: dict[str, list[float]] = {}
    in_favour: dict[str, list[float]] = {}
    for weighed, rule in live:
        weight = rule.weight
        if weight:
            side = against if weight > 0 else in_favour
            side.setdefault(rule.group or weighed.finding.name, []).append(abs(weight))
    if not against and not in_favour:
        return 0.0
    return fsum(_capped(against, policy)) - fsum(_capped(in_favour, policy))


def _capped(side: Mapping[str, list[float]], policy: Policy) -> list[float]:
    sums = []
    for group, weights in side.items():
        if len(weights) == 1:
            sums.append(weights[0])
        else:
            # A dot: a fact without a group, found several times; it counts once.
            ceiling = 0.0 if "." in group else policy.ceilings.get(group, policy.ceiling)
            sums.append(min(fsum(weights), max(ceiling, *weights)))
    return sums


def _by_score(score: float, policy: Policy) -> Action:
    if score < policy.junk_at:
        return Action.DELIVER
    if score >= policy.refuse_at:
        return Action.REFUSE
    return Action.QUARANTINE if score >= policy.quarantine_at else Action.JUNK


def _softens(rule: FactRule, live: Sequence[_Judged], policy: Policy) -> bool:
    """Does a fact speak for a milder action, and nothing of weight agree with the harsher one? RFC 9989 §7.4."""
    present = {weighed.finding.name for weighed, _ in live}
    if not any(name in present for name in rule.softened_by):
        return False
    return not any(
        other.group in policy.agreeing_groups and other.weight >= policy.agrees_at for _, other in live
    )


def _deferred(live: list[_Judged], outcome: _Outcome, policy: Policy, *, at_door: bool) -> _Outcome:
    """DEFER when what could not be asked would make the action stronger."""
    if outcome.action in (Action.REFUSE, Action.DEFER):
        return outcome
    asked_in_vain = sorted((one for one in live if one[1].missing), key=lambda one: one[0].finding.key)
    deciding: Weighed | None = None
    together = list(live)
    for weighed, rule in asked_in_vain:
        worst, addition = outcome, None
        for name in rule.missing:
            supposed = _supposed(name, live, policy)
            if supposed is None or (at_door and not supposed[1].at_door):
                continue
            result = _outcome([*live, supposed], policy, at_door=at_door)
            if addition is None or _harsher(result, worst):
                worst, addition = result, supposed
        if addition is not None:
            together.append(addition)
            deciding = deciding or (weighed if _changes(worst, outcome) else None)
    if deciding is None and _changes(_outcome(together, policy, at_door=at_door), outcome):
        deciding = asked_in_vain[0][0]
    return outcome if deciding is None else _Outcome(Action.DEFER, outcome.score, deciding)


def _supposed(name: str, live: Sequence[_Judged], policy: Policy) -> _Judged | None:
    """A fact that might have been found, unless it would have been excused or is only observed."""
    rule = policy.rules.get(name, UNDECLARED)
    if rule.mode is not Mode.ENFORCE:
        return None
    if rule.excused_by and any(weighed.finding.name in rule.excused_by for weighed, _ in live):
        return None
    return Weighed(Finding(name, ""), rule.weight, rule.mode), rule


def _harsher(one: _Outcome, other: _Outcome) -> bool:
    return (_severity(one), one.score) > (_severity(other), other.score)


def _changes(one: _Outcome, other: _Outcome) -> bool:
    return _severity(one) > _severity(other)


def _severity(outcome: _Outcome) -> float:
    return SEVERITY.get(outcome.action, 2.5)  # waiting outranks all but a refusal


def _explain(live: list[_Judged], shown: list[_Judged], outcome: _Outcome, policy: Policy) -> tuple[str, str]:
    """The deciding rule's name, and one sentence."""
    by = outcome.by
    if by is not None:
        reason = by.finding.text
        if outcome.softened:
            signs = policy.rule_of(by.finding).softened_by
            sign = next(one.finding.text for one, _ in live if one.finding.name in signs)
            reason = f"{reason}; {outcome.action} rather than refuse, because {_inner(sign)}"
        return by.finding.name, reason
    if outcome.action is not Action.DELIVER:
        limit = {
            Action.JUNK: policy.junk_at,
            Action.QUARANTINE: policy.quarantine_at,
            Action.REFUSE: policy.refuse_at,
        }[outcome.action]
        return (
            f"score.{outcome.action}",
            f"score {outcome.score:.1f} reaches {limit:g} for {outcome.action}: {_top(live)}",
        )
    if any(weighed.excused_by == policy.allowed_by for weighed, _ in shown):
        allowing = next((one for one, _ in shown if one.finding.name == policy.allowed_by), None)
        return policy.allowed_by, allowing.finding.text if allowing else "the sender is allowed"
    top = _top(live)
    if not top:
        return "default.deliver", "nothing spoke against it"
    return "default.deliver", f"score {outcome.score:.1f} stays below {policy.junk_at:g} for junk: {top}"


def _top(live: Sequence[_Judged]) -> str:
    """The facts that weigh most against the message, in words, at most three."""
    against = sorted(
        (
            (-rule.weight, weighed.finding.key, weighed.finding.text)
            for weighed, rule in live
            if rule.weight > 0
        )
    )
    return "; ".join(f"{_inner(text)} (+{-weight:.1f})" for weight, _, text in against[:3])


def _inner(sentence: str) -> str:
    return sentence.rstrip(".")

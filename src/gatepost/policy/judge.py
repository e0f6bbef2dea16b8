"""decide(findings, policy) -> Verdict: one pure fold over facts.

Four steps (`docs/architecture.md` §8): excuses remove facts that another fact explains; decisive facts
name an action; weights, in log-odds, are summed under a ceiling per group; thresholds turn the sum into
an action, and the stronger of both is taken. DEFER stands apart: only when something that could not be
asked would change the action. What a fact is worth by default stands beside the check that emits it; it
comes here as plain data, through the Protocols below, so that policy and checks stay strangers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum, inf

from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import SEVERITY, Action, Verdict, Weighed


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRule:
    """What one fact means under a policy, everything resolved."""

    weight: float = 0.0
    measured: bool = False
    """The weight is a factor on the log-odds that the finding itself brings."""
    mode: Mode = Mode.ENFORCE
    group: str = ""
    action: Action | None = None
    missing: tuple[str, ...] = ()
    at_door: bool = False
    binding: bool = False
    excused_by: tuple[str, ...] = ()
    softened_by: tuple[str, ...] = ()
    reply: str = ""
    counts: bool = field(init=False, default=False)
    """Can it make any difference by itself?"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", bool(self.weight or self.action or self.missing))


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
    agreeing_groups: frozenset[str] = frozenset({"reputation", "content", "phishing", "malware"})
    """A fact of one of these, weighing at least `agrees_at`, agrees with a decisive fact that would be softened."""
    agrees_at: float = 1.0
    allowed_by: str = "senders.allowed"
    """The fact that excuses everything but `inexcusable_groups`."""
    inexcusable_groups: frozenset[str] = frozenset({"malware", "blocked"})
    """Malware, and whom the operator blocked by name."""

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


def decide(findings: Sequence[Finding], policy: Policy) -> Verdict:
    """What to do with a message for one recipient, by all that was found about it."""
    return _verdict(findings, policy, at_door=False)


def decide_at_door(findings: Sequence[Finding], policy: Policy) -> Verdict:
    """At RCPT TO: REFUSE, DEFER, or DELIVER for "go on".

    Only protocol, relay, recipient and rate rules and enforced lists count here (`FactRule.at_door`);
    anything milder than a refusal waits for the message.
    """
    return _verdict(findings, policy, at_door=True)


# Looking a member up in its class costs as much as a call, and this is done for every finding.
_ENFORCE = Mode.ENFORCE
_DELIVER, _JUNK, _QUARANTINE, _REFUSE, _DEFER = (
    Action.DELIVER, Action.JUNK, Action.QUARANTINE, Action.REFUSE, Action.DEFER
)  # fmt: skip

_Live = tuple[Finding, FactRule]
"""A finding that counts: enforced, not excused, and worth something."""


@dataclass(slots=True)
class _Case:
    """What one decision is about."""

    policy: Policy
    at_door: bool
    present: set[str] = field(default_factory=set)
    """Names of the enforced facts."""


@dataclass(slots=True)
class _Outcome:
    action: Action
    score: float
    by: Finding | None = None
    """The deciding finding, None when the score decided."""
    softened: bool = False


_NOTHING_SEEN = Verdict(
    action=_DELIVER,
    would_action=_DELIVER,
    rule="default.deliver",
    reason="nothing spoke against it",
    score=0.0,
)
"""What comes of no findings, without the work of finding it out."""


def _verdict(findings: Sequence[Finding], policy: Policy, *, at_door: bool) -> Verdict:
    if not findings and min(policy.junk_at, policy.quarantine_at, policy.refuse_at) > 0:
        return _NOTHING_SEEN  # as most mail at the door
    case = _Case(policy, at_door)
    shown, live = _weigh(findings, case)
    outcome = _settle(live, case)
    action = outcome.action
    if action is not _DELIVER and policy.mode is not _ENFORCE:
        action = _settle([one for one in live if one[1].binding], case).action
    rule, reason = _explain(shown, live, outcome, case)
    return Verdict(
        action=action,
        would_action=outcome.action,
        rule=rule,
        reason=reason,
        score=outcome.score,
        weighed=tuple(shown),
    )


def _weigh(findings: Iterable[Finding], case: _Case) -> tuple[list[Weighed], list[_Live]]:
    """Step 1: every finding with its weight and what excuses it, and those that count."""
    policy, present, at_door = case.policy, case.present, case.at_door
    rules = policy.rules
    pairs: list[_Live] = []
    for finding in findings:
        name = finding.name
        rule = rules.get(f"{name}:{finding.source}") if finding.source else None
        if rule is None:
            rule = rules.get(name, UNDECLARED)
        if rule.measured:
            rule = _as_measured(rule, finding)
        if rule.mode is _ENFORCE:
            present.add(name)
        pairs.append((finding, rule))
    allowed = policy.allowed_by in present
    shown: list[Weighed] = []
    live: list[_Live] = []
    for pair in pairs:
        finding, rule = pair
        excuse = None
        if rule.counts:
            if rule.excused_by:
                excuse = next((name for name in rule.excused_by if name in present), None)
            if excuse is None and allowed and _speaks_against(rule) and _may_be_allowed(rule, policy):
                excuse = policy.allowed_by
            if excuse is None and rule.mode is _ENFORCE and (rule.at_door or not at_door):
                live.append(pair)
        shown.append(Weighed(finding, rule.weight, rule.mode, excuse))
    return shown, live


MEASURED = 10.0
"""No fact measures itself at more than this, either way: that is the threshold of a refusal."""


def _as_measured(rule: FactRule, finding: Finding) -> FactRule:
    """The rule with the weight that this finding's own log-odds give it; what measures nothing weighs nothing."""
    measured = finding.evidence.get("log_odds")
    if not isinstance(measured, int | float) or not -inf < measured < inf:
        measured = 0.0
    return replace(rule, weight=rule.weight * max(-MEASURED, min(MEASURED, measured)))


def _speaks_against(rule: FactRule) -> bool:
    return rule.weight > 0 or rule.action is not None or bool(rule.missing)


def _may_be_allowed(rule: FactRule, policy: Policy) -> bool:
    if rule.binding or rule.group in policy.inexcusable_groups:
        return False
    hidden = [policy.rules.get(name, UNDECLARED).group for name in rule.missing]
    return policy.inexcusable_groups.isdisjoint(hidden)


def _settle(live: list[_Live], case: _Case) -> _Outcome:
    outcome = _outcome(live, case)
    for _, rule in live:
        if rule.missing:
            return _deferred(live, outcome, case)
    return outcome


def _outcome(live: Sequence[_Live], case: _Case) -> _Outcome:
    """Steps 2 to 4. A decisive fact wins over an equal score: it makes the better story."""
    score = _score(live, case.policy)
    action, softened = _by_score(score, case.policy), False
    by: Finding | None = None
    deferring: Finding | None = None
    for finding, rule in live:
        named = rule.action
        if named is None:
            continue
        if named is _DEFER:
            deferring = _first(deferring, finding)
            continue
        mild = bool(rule.softened_by) and _softens(rule, live, case)
        if mild:
            named = _QUARANTINE if named is _REFUSE else _JUNK
        if SEVERITY[named] > SEVERITY[action] or (named is action and _first(by, finding) is finding):
            action, by, softened = named, finding, mild
    if case.at_door and action is not _REFUSE:
        action, by, softened = _DELIVER, None, False
    if deferring is not None and action is not _REFUSE:
        return _Outcome(_DEFER, score, deferring)
    return _Outcome(action, score, by, softened)


def _first(one: Finding | None, other: Finding) -> Finding:
    """The one to be named, whatever order they came in."""
    if one is None:
        return other
    return other if (other.key, other.text) < (one.key, one.text) else one


def _score(live: Sequence[_Live], policy: Policy) -> float:
    """Step 3: the sum of weights, each group's under its ceiling.

    The same fact found twice without a group counts once: it is a group of its own.
    """
    against: dict[str, list[float]] = {}
    in_favour: dict[str, list[float]] = {}
    for finding, rule in live:
        weight = rule.weight
        if weight:
            side = against if weight > 0 else in_favour
            side.setdefault(rule.group or finding.name, []).append(abs(weight))
    if not against and not in_favour:
        return 0.0
    # fsum, so that the order of findings cannot matter
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
        return _DELIVER
    if score >= policy.refuse_at:
        return _REFUSE
    return _QUARANTINE if score >= policy.quarantine_at else _JUNK


def _softens(rule: FactRule, live: Sequence[_Live], case: _Case) -> bool:
    """Does a fact speak for a milder action, and nothing of weight agree with the harsher one? RFC 9989 §7.4."""
    if case.present.isdisjoint(rule.softened_by):
        return False
    policy = case.policy
    return not any(
        other.group in policy.agreeing_groups and other.weight >= policy.agrees_at for _, other in live
    )


def _deferred(live: list[_Live], outcome: _Outcome, case: _Case) -> _Outcome:
    """DEFER when what could not be asked would make the action stronger."""
    if outcome.action in (_REFUSE, _DEFER):
        return outcome
    asked_in_vain = sorted((one for one in live if one[1].missing), key=lambda one: one[0].key)
    deciding: Finding | None = None
    together = list(live)
    for finding, rule in asked_in_vain:
        worst, addition = outcome, None
        for name in rule.missing:
            supposed = _supposed(name, case)
            if supposed is None:
                continue
            result = _outcome([*live, supposed], case)
            if addition is None or _harsher(result, worst):
                worst, addition = result, supposed
        if addition is not None:
            together.append(addition)
            deciding = deciding or (finding if _changes(worst, outcome) else None)
    if deciding is None and _changes(_outcome(together, case), outcome):
        deciding = asked_in_vain[0][0]
    return outcome if deciding is None else _Outcome(_DEFER, outcome.score, deciding)


def _supposed(name: str, case: _Case) -> _Live | None:
    """A fact that might have been found; None where it would not count."""
    rule = case.policy.rules.get(name, UNDECLARED)
    if rule.mode is not _ENFORCE or not case.present.isdisjoint(rule.excused_by):
        return None
    if case.at_door and not rule.at_door:
        return None
    return Finding(name, ""), rule


def _harsher(one: _Outcome, other: _Outcome) -> bool:
    return (_severity(one), one.score) > (_severity(other), other.score)


def _changes(one: _Outcome, other: _Outcome) -> bool:
    return _severity(one) > _severity(other)


def _severity(outcome: _Outcome) -> float:
    return SEVERITY.get(outcome.action, 2.5)  # waiting outranks all but a refusal


def _explain(
    shown: Sequence[Weighed], live: Sequence[_Live], outcome: _Outcome, case: _Case
) -> tuple[str, str]:
    """The deciding rule's name, and one sentence."""
    policy, action = case.policy, outcome.action
    if outcome.by is not None:
        reason = outcome.by.text
        if outcome.softened:
            signs = policy.rule_of(outcome.by).softened_by
            sign = min(one.finding.text for one in shown if one.finding.name in signs)
            reason = f"{_inner(reason)}; {action} rather than refuse, because {_inner(sign)}"
        return outcome.by.name, reason
    score, top = outcome.score, _top(live)
    if action is not _DELIVER:
        limit = {_JUNK: policy.junk_at, _QUARANTINE: policy.quarantine_at}.get(action, policy.refuse_at)
        return f"score.{action}", f"score {score:.1f} reaches {limit:g} for {action}: {top}"
    if policy.allowed_by in case.present:
        said = [
            one.finding.text
            for one in shown
            if one.finding.name == policy.allowed_by and one.mode is _ENFORCE
        ]
        if any(one.excused_by == policy.allowed_by for one in shown):
            return policy.allowed_by, min(said)
    if not top:
        return _NOTHING_SEEN.rule, _NOTHING_SEEN.reason
    return "default.deliver", f"score {score:.1f} stays below {policy.junk_at:g} for junk: {top}"


def _top(live: Sequence[_Live]) -> str:
    """The facts that weigh most against the message, in words, at most three."""
    against = [(-rule.weight, finding.key, finding.text) for finding, rule in live if rule.weight > 0]
    if len(against) > 1:
        against.sort()
    return "; ".join([f"{_inner(text)} (+{-weight:.1f})" for weight, _, text in against[:3]])


def _inner(sentence: str) -> str:
    return sentence.rstrip(".")

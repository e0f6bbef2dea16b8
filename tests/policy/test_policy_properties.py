"""What holds for every set of facts."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.checks.connection.dnsbl import DnsblSettings
from gatepost.checks.dnslists.lists import Kind, ListSettings
from gatepost.checks.registry import configure
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import SEVERITY, Action
from gatepost.policy import Policy, PolicySettings, assemble, decide, decide_at_door

LISTS = (
    ListSettings(zone="a.example", mode=Mode.ENFORCE, weight=3.0),
    ListSettings(zone="b.example", mode=Mode.ENFORCE, weight=10.0),
    ListSettings(zone="c.example", weight=5.0),
    ListSettings(zone="w.example", mode=Mode.ENFORCE, kind=Kind.WELCOME),
)
POLICY = assemble(PolicySettings(), configure({"dnsbl": DnsblSettings(lists=LISTS)})).default
ORDER = {Action.DELIVER: 0.0, Action.JUNK: 1.0, Action.QUARANTINE: 2.0, Action.DEFER: 2.5, Action.REFUSE: 3.0}
EXCUSERS = {name for rule in POLICY.rules.values() for name in rule.excused_by} | {POLICY.allowed_by}

facts = st.sampled_from(sorted(POLICY.rules)).map(
    lambda key: Finding(key.partition(":")[0], f"saw {key}", {}, key.partition(":")[2])
)
findings = st.lists(facts, max_size=10)
bad = facts.filter(
    lambda one: (
        (POLICY.rule_of(one).weight > 0 or POLICY.rule_of(one).action is not None)
        and one.name not in EXCUSERS
    )
)


@settings(deadline=None)
@given(findings, bad)
def test_an_added_bad_fact_never_softens(some: list[Finding], more: Finding) -> None:
    settled = [one for one in some if not POLICY.rule_of(one).missing]
    for decision in (decide, decide_at_door):
        before, after = decision(settled, POLICY), decision([*settled, more], POLICY)
        assert ORDER[after.action] >= ORDER[before.action]
    assert decide([*some, more], POLICY).score >= decide(some, POLICY).score


@settings(deadline=None)
@given(findings, bad)
def test_an_added_bad_fact_never_lets_waiting_mail_into_the_inbox(some: list[Finding], more: Finding) -> None:
    if decide(some, POLICY).action is Action.DEFER:
        assert decide([*some, more], POLICY).action is not Action.DELIVER


@settings(deadline=None)
@given(findings, st.randoms())
def test_order_never_matters(some: list[Finding], random) -> None:
    other = list(some)
    random.shuffle(other)
    for decision in (decide, decide_at_door):
        one, two = decision(some, POLICY), decision(other, POLICY)
        assert (one.action, one.would_action, one.rule, one.score) == (
            two.action,
            two.would_action,
            two.rule,
            two.score,
        )
        assert one.reason == two.reason


@settings(deadline=None)
@given(findings, st.sampled_from([key for key in sorted(POLICY.rules) if key.endswith(".unavailable")]))
def test_a_failure_follows_its_on_failure_and_nothing_else(some: list[Finding], failure: str) -> None:
    before, after = decide(some, POLICY), decide([*some, Finding(failure, "away")], POLICY)
    if POLICY.rules[failure].missing:
        assert after.action in (before.action, Action.DEFER)
    else:
        assert (after.action, after.rule, after.score) == (before.action, before.rule, before.score)


@settings(deadline=None)
@given(findings)
def test_an_observing_gate_delivers_what_its_binding_rules_let_in(some: list[Finding]) -> None:
    observing = replace(POLICY, mode=Mode.OBSERVE)
    free = [one for one in some if not POLICY.rule_of(one).binding]
    for decision in (decide, decide_at_door):
        assert decision(free, observing).action is Action.DELIVER
        assert decision(some, observing).would_action is decision(some, POLICY).action


@settings(deadline=None)
@given(findings)
def test_only_door_rules_act_at_the_door_and_only_by_turning_down(some: list[Finding]) -> None:
    verdict = decide_at_door(some, POLICY)
    assert verdict.action in (Action.DELIVER, Action.DEFER, Action.REFUSE)
    door = [one for one in some if POLICY.rule_of(one).at_door or one.name in EXCUSERS]
    assert decide_at_door(door, POLICY).action is verdict.action


@settings(deadline=None)
@given(findings, st.floats(0, 12), st.floats(0, 12))
def test_a_lower_threshold_never_softens(some: list[Finding], low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    settled = [
        one
        for one in some
        if POLICY.rule_of(one).action is not Action.DEFER and not POLICY.rule_of(one).missing
    ]

    def at(threshold: float) -> Policy:
        return replace(POLICY, junk_at=threshold, quarantine_at=threshold, refuse_at=threshold)

    assert SEVERITY[decide(settled, at(low)).action] >= SEVERITY[decide(settled, at(high)).action]

"""A verdict: excuses, decisive facts, weights under ceilings, thresholds, deferral."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from gatepost.mail.address import Address
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.policy import (
    FactRule,
    Policy,
    PolicyOverride,
    PolicyProblem,
    PolicySettings,
    assemble,
    decide,
    decide_at_door,
)

RULES = {
    "list.hit": FactRule(weight=3.0, group="reputation", at_door=True),
    "list.hit:big": FactRule(weight=11.0, group="reputation", at_door=True),
    "list.hit:new": FactRule(weight=3.0, group="reputation", at_door=True, mode=Mode.OBSERVE),
    "list.welcome": FactRule(weight=-2.0),
    "lure.seen": FactRule(weight=2.0, group="phishing"),
    "rdns.missing": FactRule(weight=1.5, group="connection"),
    "spf.fail": FactRule(weight=2.0, group="sender", excused_by=("forwarder.trusted",)),
    "forwarder.trusted": FactRule(),
    "forwarder.signs": FactRule(),
    "dmarc.reject": FactRule(
        action=Action.REFUSE, excused_by=("forwarder.trusted",), softened_by=("forwarder.signs",)
    ),
    "dmarc.quarantine": FactRule(action=Action.JUNK),
    "dmarc.temperror": FactRule(missing=("dmarc.reject",)),
    "virus.found": FactRule(action=Action.QUARANTINE, group="malware"),
    "virus.unavailable": FactRule(missing=("virus.found",)),
    "quiet.unavailable": FactRule(),
    "recipients.unknown": FactRule(action=Action.REFUSE, at_door=True, binding=True, reply="550 5.1.1"),
    "greylist.wait": FactRule(action=Action.DEFER, at_door=True, reply="450 4.7.1"),
    "senders.allowed": FactRule(),
}
POLICY = Policy(rules=RULES, ceilings={"reputation": 6.0})


def found(*names: str) -> list[Finding]:
    made = []
    for name in names:
        fact, _, source = name.partition(":")
        made.append(Finding(fact, f"we saw {name}.", {}, source))
    return made


def test_nothing_found_is_delivered_and_says_so() -> None:
    verdict = decide([], POLICY)
    assert (verdict.action, verdict.rule, verdict.score) == (Action.DELIVER, "default.deliver", 0.0)


@pytest.mark.parametrize(
    ("names", "action", "rule"),
    [
        (("rdns.missing",), Action.DELIVER, "default.deliver"),
        (("list.hit:a", "rdns.missing"), Action.JUNK, "score.junk"),
        (("list.hit:a", "list.hit:b", "rdns.missing"), Action.QUARANTINE, "score.quarantine"),
        (("list.hit:big",), Action.REFUSE, "score.refuse"),
        (("dmarc.quarantine",), Action.JUNK, "dmarc.quarantine"),
        (("dmarc.quarantine", "list.hit:a", "rdns.missing"), Action.JUNK, "dmarc.quarantine"),
        (("virus.found", "list.hit:big"), Action.REFUSE, "score.refuse"),
        (("greylist.wait", "virus.found"), Action.DEFER, "greylist.wait"),
        (("greylist.wait", "recipients.unknown"), Action.REFUSE, "recipients.unknown"),
    ],
)
def test_the_stronger_of_decisive_fact_and_score_is_taken(
    names: tuple[str, ...], action: Action, rule: str
) -> None:
    for order in permutations(names):
        verdict = decide(found(*order), POLICY)
        assert (verdict.action, verdict.rule) == (action, rule)


def test_five_lists_are_not_five_crimes_but_one_list_counts_whole() -> None:
    assert decide(found("list.hit:a", "list.hit:b", "list.hit:c", "list.hit:d"), POLICY).score == 6.0
    assert decide(found("list.hit:a", "list.hit:big"), POLICY).score == 11.0


def test_the_same_fact_twice_counts_once() -> None:
    assert decide(found("virus.found", "virus.found", "list.welcome", "list.welcome"), POLICY).score == -2.0


def test_an_observed_list_is_shown_with_its_weight_and_counts_nothing() -> None:
    verdict = decide(found("list.hit:new"), POLICY)
    assert verdict.score == 0.0
    assert (verdict.weighed[0].weight, verdict.weighed[0].mode) == (3.0, Mode.OBSERVE)


def test_a_trusted_forwarder_excuses_spf_and_dmarc() -> None:
    verdict = decide(found("spf.fail", "dmarc.reject", "forwarder.trusted"), POLICY)
    assert verdict.action is Action.DELIVER
    assert {one.excused_by for one in verdict.weighed} == {"forwarder.trusted", None}


def test_an_observed_fact_excuses_nothing() -> None:
    rules = {**RULES, "forwarder.trusted": FactRule(mode=Mode.OBSERVE)}
    assert (
        decide(found("dmarc.reject", "forwarder.trusted"), replace(POLICY, rules=rules)).action
        is Action.REFUSE
    )


def test_a_failed_reject_is_refused_unless_it_may_have_been_forwarded() -> None:
    assert decide(found("dmarc.reject"), POLICY).action is Action.REFUSE
    mild = decide(found("dmarc.reject", "forwarder.signs"), POLICY)
    assert (mild.action, mild.rule) == (Action.QUARANTINE, "dmarc.reject")
    assert "quarantine rather than refuse, because we saw forwarder.signs" in mild.reason
    assert decide(found("dmarc.reject", "forwarder.signs", "list.hit:a"), POLICY).action is Action.REFUSE
    assert decide(found("dmarc.reject", "forwarder.signs", "lure.seen"), POLICY).action is Action.REFUSE
    assert (
        decide(found("dmarc.reject", "forwarder.signs", "list.hit:new"), POLICY).action is Action.QUARANTINE
    )


def test_only_a_missing_answer_that_could_change_the_action_defers() -> None:
    assert decide(found("virus.unavailable"), POLICY).action is Action.DEFER
    assert decide(found("virus.unavailable"), POLICY).rule == "virus.unavailable"
    assert decide(found("virus.unavailable", "virus.found"), POLICY).action is Action.QUARANTINE
    assert decide(found("dmarc.temperror", "list.hit:big"), POLICY).action is Action.REFUSE
    assert decide(found("dmarc.temperror", "forwarder.trusted"), POLICY).action is Action.DELIVER
    assert decide(found("quiet.unavailable"), POLICY).action is Action.DELIVER


def test_two_missing_answers_that_matter_only_together_defer() -> None:
    rules = {
        "a.x": FactRule(weight=3.0),
        "b.x": FactRule(weight=3.0),
        "a.unavailable": FactRule(missing=("a.x",)),
        "b.unavailable": FactRule(missing=("b.x",)),
    }
    policy = Policy(rules=rules)
    assert decide(found("a.unavailable"), policy).action is Action.DELIVER
    assert decide(found("a.unavailable", "b.unavailable"), policy).action is Action.DEFER


def test_at_the_door_only_door_rules_count() -> None:
    assert decide_at_door(found("dmarc.reject", "rdns.missing"), POLICY).action is Action.DELIVER
    assert decide_at_door(found("list.hit:a", "list.hit:b"), POLICY).action is Action.DELIVER
    assert decide_at_door(found("list.hit:big"), POLICY).action is Action.REFUSE
    unknown = decide_at_door(found("recipients.unknown"), POLICY)
    assert POLICY.reply_codes(unknown) == (550, "5.1.1")
    assert POLICY.reply_codes(decide_at_door(found("greylist.wait"), POLICY)) == (450, "4.7.1")


def test_an_observing_gate_delivers_what_its_binding_rules_let_in() -> None:
    observing = replace(POLICY, mode=Mode.OBSERVE)
    verdict = decide(found("dmarc.reject", "list.hit:big"), observing)
    assert (verdict.action, verdict.would_action) == (Action.DELIVER, Action.REFUSE)
    assert decide_at_door(found("list.hit:big"), observing).action is Action.DELIVER
    assert decide_at_door(found("recipients.unknown"), observing).action is Action.REFUSE


def test_an_allowed_sender_is_excused_everything_but_malware() -> None:
    verdict = decide(found("senders.allowed", "dmarc.reject", "list.hit:big"), POLICY)
    assert verdict.rule == "senders.allowed"
    assert verdict.action is Action.DELIVER
    assert decide(found("senders.allowed", "virus.found"), POLICY).action is Action.QUARANTINE
    assert decide(found("senders.allowed", "virus.unavailable"), POLICY).action is Action.DEFER
    assert decide(found("senders.allowed", "recipients.unknown"), POLICY).action is Action.REFUSE


def test_overrides_layer_domain_then_address() -> None:
    book = assemble(
        PolicySettings(
            overrides=(
                PolicyOverride(recipients=("example.net",), junk_at=3.0, mode=Mode.OBSERVE),
                PolicyOverride(recipients=("ana@example.net",), refuse_at=20.0),
            )
        ),
        (),
    )
    ana = book.for_recipient(Address("Ana", "example.net"))
    assert (ana.junk_at, ana.refuse_at, ana.mode) == (3.0, 20.0, Mode.OBSERVE)
    assert book.for_recipient(Address("ben", "example.net")).refuse_at == 10.0
    assert book.for_recipient(Address("ben", "example.org")) is book.default
    assert book.for_recipient(Address("ana", "example.net")) is ana


def test_thresholds_must_rise_for_everyone() -> None:
    with pytest.raises(PolicyProblem, match="must rise"):
        assemble(PolicySettings(junk_at=9.0, quarantine_at=5.0), ())
    with pytest.raises(PolicyProblem, match="must rise"):
        assemble(PolicySettings(overrides=(PolicyOverride(recipients=("example.net",), refuse_at=6.0),)), ())

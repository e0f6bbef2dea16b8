"""The policy for mail that goes out: the same fold over facts, other thresholds, and a line for hijacked accounts. Pure.

There is no Junk on the way out: what is bad enough is held until somebody approves it, or refused. Malware is refused
whatever else is set, and while the gate observes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gatepost.mail.finding import Mode
from gatepost.mail.verdict import Action, Verdict
from gatepost.policy.assemble import CheckDeclared, PolicyBook, assemble
from gatepost.policy.judge import FactRule, Policy
from gatepost.policy.marking import STRIP
from gatepost.policy.settings import PolicyOverride, PolicySettings
from gatepost.submitting.settings import OutgoingPolicySettings

HIJACK = "hijack"
"""The group of facts that say an account does not behave like its owner."""
OPINION = "spam.opinion"
MALWARE_FOUND = "antivirus.found"
APPROVAL = "approval"
"""The category of outgoing mail that is held."""
MALWARE_SAYS = 3.0
"""What an attempt to send malware adds to the suspicion."""


def assemble_outgoing(
    settings: OutgoingPolicySettings,
    declared: Iterable[CheckDeclared],
    *,
    mode: Mode = Mode.ENFORCE,
    reports: Sequence[str] = (),
) -> PolicyBook:
    """One policy for all that goes out; to `reports`, addresses that the gate reads itself, anything may be sent.

    `mode` is the whole gate's. Raises PolicyProblem.
    """
    open_door = (PolicyOverride(recipients=tuple(reports), mode=Mode.OBSERVE),) if reports else ()
    book = assemble(
        PolicySettings(
            junk_at=settings.hold_at,
            quarantine_at=settings.hold_at,
            refuse_at=settings.refuse_at,
            weights=settings.weights,
            modes=settings.modes,
            actions=settings.actions,
            ceilings={HIJACK: 20.0},
            overrides=open_door,
        ),
        declared,
        mode=settings.mode or mode,
    )
    rules = {name: _outgoing(name, rule) for name, rule in book.default.rules.items()}
    return replace(book, default=replace(book.default, rules=rules))


def _outgoing(name: str, rule: FactRule) -> FactRule:
    """What a fact means here: no Junk, no mail changed on the way, no malware."""
    if name.partition(":")[0] == MALWARE_FOUND or (rule.group == "malware" and rule.action is not None):
        return replace(rule, action=Action.REFUSE, binding=True, reply="550 5.7.1")
    if name == STRIP:
        return replace(rule, action=Action.QUARANTINE)
    return replace(rule, action=None) if rule.action is Action.JUNK else rule


def suspicion(verdict: Verdict, policy: Policy) -> float:
    """How much speaks for a hijacked account, in log-odds: the facts of that group, and with any of them what the
    classifier thinks of the text, and malware."""
    hijack = beside = 0.0
    for one in verdict.weighed:
        if one.mode is not Mode.ENFORCE or one.excused_by is not None:
            continue
        group = policy.rule_of(one.finding).group
        if group == HIJACK:
            hijack += max(0.0, one.weight)
        elif one.finding.name == OPINION:
            beside += max(0.0, one.weight)
        elif group == "malware":
            beside += MALWARE_SAYS
    return hijack + beside if hijack else 0.0


def told(verdict: Verdict, policy: Policy) -> list[str]:
    """The sentences behind that suspicion, the heaviest first."""
    found = [
        (-one.weight, one.finding.text)
        for one in verdict.weighed
        if one.mode is Mode.ENFORCE
        and one.excused_by is None
        and one.weight > 0
        and (policy.rule_of(one.finding).group in (HIJACK, "malware") or one.finding.name == OPINION)
    ]
    return [text for _, text in sorted(found)]

"""What facts are worth, and what to do with a message: the only place that judges. Pure."""

from gatepost.policy.assemble import PolicyBook, PolicyProblem, assemble
from gatepost.policy.judge import FactRule, Policy, decide, decide_at_door
from gatepost.policy.marking import Marking, category, marks, strip
from gatepost.policy.settings import MarkingSettings, PolicyOverride, PolicySettings

__all__ = [
    "FactRule",
    "Marking",
    "MarkingSettings",
    "Policy",
    "PolicyBook",
    "PolicyOverride",
    "PolicyProblem",
    "PolicySettings",
    "assemble",
    "category",
    "decide",
    "decide_at_door",
    "marks",
    "strip",
]

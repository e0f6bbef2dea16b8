"""What facts are worth, and what to do with a message: the only place that judges. Pure."""

from gatepost.policy.assemble import PolicyBook, PolicyProblem, assemble
from gatepost.policy.judge import FactRule, Policy, decide, decide_at_door
from gatepost.policy.settings import PolicyOverride, PolicySettings

__all__ = [
    "FactRule",
    "Policy",
    "PolicyBook",
    "PolicyOverride",
    "PolicyProblem",
    "PolicySettings",
    "assemble",
    "decide",
    "decide_at_door",
]

"""Recorded mail re-decided: what another policy would have done, and what each DNS list is worth. Pure."""

from gatepost.plan.compare import Change, Plan, Sample, compare
from gatepost.plan.listfigures import ListFigures, list_figures, tallies

__all__ = ["Change", "ListFigures", "Plan", "Sample", "compare", "list_figures", "tallies"]

"""What was decided: Action and Verdict.

There is deliberately no DISCARD: mail is delivered, held where a person finds it, or refused while
the sender still listens.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gatepost.mail.finding import Finding, Mode


class Action(StrEnum):
    """In the order of severity, but for DEFER, which stands apart."""

    DELIVER = "deliver"
    JUNK = "junk"
    QUARANTINE = "quarantine"
    REFUSE = "refuse"
    DEFER = "defer"


SEVERITY = {Action.DELIVER: 0, Action.JUNK: 1, Action.QUARANTINE: 2, Action.REFUSE: 3}


@dataclass(frozen=True, slots=True)
class Weighed:
    """A finding with what the policy made of it."""

    finding: Finding
    weight: float
    """Log-odds the policy gives it when enforced; 0 when it has none."""
    mode: Mode
    excused_by: str | None = None
    """The finding that explained it away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that is done to a recipient's copy at delivery; what was received stays as it is."""

    kind: str
    """``tag`` (in front of the subject), ``banner`` (above the text), ``strip`` (parts replaced by a note), or
    ``kept``: one of these was due and was not done, and `text` says why."""
    text: str
    """The tag, the banner's or the note's text, or the reason."""
    parts: tuple[int, ...] = ()
    """Of ``strip``: the parts' places in `mime.Tree.parts`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One recipient's decision, with its reason."""

    action: Action
    """What is done."""
    would_action: Action
    """What enforcing would have done; the same as `action` unless the gate observes."""
    rule: str
    """The deciding rule: ``dmarc.reject``, ``score.junk``, ``default.deliver``, …"""
    reason: str
    """One sentence a person can read."""
    score: float
    """The sum of weights, in log-odds."""
    weighed: tuple[Weighed, ...] = ()
    changes: tuple[Change, ...] = ()
    """What is changed in this recipient's copy when it is delivered."""

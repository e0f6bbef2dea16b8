"""A Finding is a named fact with one human sentence and its evidence. It carries no score.

What a fact is worth is the policy's business alone, so that a new policy can be tried on recorded
facts (`docs/decisions/0006-findings-carry-no-score.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Evidence = Mapping[str, "str | int | float | bool | list[str] | None"]


ONLY_FOR = "only_for"
"""Evidence: the recipients a finding is about, as `Address.key`, where it is not about all."""


BEHIND = "behind"
"""Evidence: what a host behind us said, for the postmaster alone; the sentence goes to whoever asked."""


class Mode(StrEnum):
    """How far a check, a list, a rule or the whole gate is trusted."""

    OFF = "off"
    OBSERVE = "observe"
    """It runs and is recorded, and carries no weight."""
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw."""

    name: str
    """``check.fact``, such as ``spf.fail``; a failure is ``check.unavailable``."""
    text: str
    """One sentence for a person. Attacker-chosen text in it has been made printable."""
    evidence: Evidence = field(default_factory=dict)
    source: str = ""
    """Which of several like things spoke, such as a block list's zone; policy may weigh ``name:source`` apart."""

    def concerns(self, recipient: str) -> bool:
        """Is it about the copy for `recipient` (an `Address.key`)? Some are about a few of the recipients only."""
        few = self.evidence.get(ONLY_FOR)
        return few is None or (isinstance(few, list) and recipient in few)

    @property
    def key(self) -> str:
        """What policy looks up: ``name`` or ``name:source``."""
        return f"{self.name}:{self.source}" if self.source else self.name

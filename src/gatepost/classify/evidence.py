"""What a finding adds to the classifier's opinion, learnt on the site's own mail.

Rules see what the words already said: their points on top count the same thing twice. Here each finding's log-odds are
learnt given the classifier's: the shift that best explains the messages that had it, with the weight it came with as
the prior. Until mail says otherwise a finding is worth its default; what it can learn is bounded either way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

STRENGTH = 10.0
"""How many undecided messages the default weight stands for."""
FARTHEST = 4.0
"""Log-odds that learning may move a weight from its default."""
MOST_FINDINGS = 2000
EDGE = 12
"""Log-odds of the text beyond this are taken as this; one step of counts for each whole number between."""
STEPS = 2 * EDGE + 1


@dataclass(slots=True)
class FindingEvidence:
    """For each finding, how many wanted and unwanted messages had it, by what the text alone said of them."""

    strength: float = STRENGTH
    counts: dict[str, list[list[float]]] = field(default_factory=dict)
    """By finding: wanted and unwanted messages, STEPS numbers each."""

    def learn(
        self, findings: Iterable[str], *, spam: bool, text_log_odds: float, weight: float = 1.0
    ) -> None:
        """One message: its findings' names, its label, and what the classifier said of its text before learning it.

        A negative `weight` takes it back. Beyond MOST_FINDINGS names no new one is taken.
        """
        step = round(max(min(text_log_odds, EDGE), -EDGE)) + EDGE if math.isfinite(text_log_odds) else EDGE
        for name in set(findings):
            if name not in self.counts:
                if len(self.counts) >= MOST_FINDINGS or weight < 0:
                    continue
                self.counts[name] = [[0.0] * STEPS, [0.0] * STEPS]
            row = self.counts[name][spam]
            row[step] = max(row[step] + weight, 0.0)

    def log_odds(self, name: str, default: float, prior: float = 0.0) -> float:
        """What finding `name` is worth beside the text; `default` where nothing was learnt of it.

        `prior` is the log of unwanted over wanted among what was learnt: the share of spam is not the finding's merit.
        The shift is the mode of a logistic likelihood under a normal prior, found by Newton's method on 25 steps.
        """
        rows = self.counts.get(name)
        if rows is None:
            return default
        shift = default
        for _ in range(30):
            # A prior as strong as `strength` messages whose text left them even: each tells a quarter.
            slope, curve = (default - shift) * self.strength / 4, self.strength / 4
            for step, (ham, spam) in enumerate(zip(*rows, strict=True)):
                if ham or spam:
                    likely = 1 / (1 + math.exp(-max(min(step - EDGE + prior + shift, 30.0), -30.0)))
                    slope += spam * (1 - likely) - ham * likely
                    curve += (ham + spam) * likely * (1 - likely)
            move = max(min(slope / curve, 1.0), -1.0) if curve > 0 else 0.0
            shift += move
            if abs(move) < 1e-4:
                break
        return max(min(shift, default + FARTHEST), default - FARTHEST)

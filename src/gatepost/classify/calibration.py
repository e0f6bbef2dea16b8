"""What a score means: two learners' scores joined, as log-odds, with a threshold out of the site's own ham.

Each learner's score is measured by its spread over messages it had not learnt (mean 0, spread 1), the two are added,
and a logistic curve (J. Platt, 1999) over the same messages turns the sum into log-odds. Classes weigh the same there,
so the log-odds say nothing of how much of what was learnt is spam. The evidence a message gets is stretched so that one
ham in a thousand (or as many as the site says) reaches JUNK_AT: thresholds of the policy then mean on every site what they mean on the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

JUNK_AT = 4.0
"""Evidence that puts a message into Junk by the policy's own measure."""
BAYES_SHARE = 0.5
"""What a spread of Bayes' score weighs beside one of the regression's."""
LOST = 0.001
"""The share of ham that may reach it, unless somebody says otherwise."""
TAIL, MOST_IN_TAIL = 0.1, 1000
"""The share of ham, the worst scored, and how many at most, from which rarer shares are worked out. With less than a tenth the
thousandth came out too low for mail of kinds nobody taught (measured by leaving out whole mailing lists and senders)."""
FEWEST = 5
"""Of each class; with fewer nothing is calibrated. Few are better than none: plain scores of a model that saw much of one kind
and little of the other lean far to one side."""
STEEPEST = 3.0

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Numbers only, so that it can stand in a snapshot."""

    bayes_mean: float = 0.0
    bayes_spread: float = 4.0
    logistic_mean: float = 0.0
    logistic_spread: float = 4.0
    slope: float = 1.0
    offset: float = 0.0
    stretch: float = 1.0
    """Of positive log-odds, into evidence."""

    def joint(self, bayes: float, logistic: float) -> float:
        """Both scores as one; more is more likely spam."""
        return (
            BAYES_SHARE * (bayes - self.bayes_mean) / self.bayes_spread
            + (logistic - self.logistic_mean) / self.logistic_spread
        )

    def log_odds(self, joint: float) -> float:
        """Of spam, were there as much of it as of ham."""
        return self.slope * joint + self.offset

    def evidence(self, log_odds: float) -> float:
        """The same as the policy weighs it: JUNK_AT for the ham that scores highest of a thousand."""
        return log_odds * self.stretch if log_odds > 0 else log_odds

    def numbers(self) -> tuple[float, ...]:
        """All of it, in the order of the fields."""
        return (
            self.bayes_mean, self.bayes_spread, self.logistic_mean, self.logistic_spread,
            self.slope, self.offset, self.stretch,
        )  # fmt: skip


def calibrated(bayes: Scores, logistic: Scores, spam: NDArray[np.bool_], lost: float = LOST) -> Calibration:
    """A calibration from scores of messages the learners had not learnt; the plain one when there are too few.

    `lost` is the share of ham that may reach JUNK_AT.
    """
    if min(int(spam.sum()), int((~spam).sum())) < FEWEST:
        return Calibration()
    means, spreads = [], []
    for scores in (bayes, logistic):
        # Classes weigh the same: the scale must not depend on how much spam was taught.
        means.append(float(scores[spam].mean() + scores[~spam].mean()) / 2)
        spreads.append(max(float(scores[spam].std() + scores[~spam].std()) / 2, 1e-3))
    joint = BAYES_SHARE * (bayes - means[0]) / spreads[0] + (logistic - means[1]) / spreads[1]
    slope, offset = _curve(joint, spam)
    edge = slope * _rare(joint[~spam], lost) + offset
    stretch = min(max(JUNK_AT / max(edge, 0.1), 1 / STEEPEST), STEEPEST)
    return Calibration(means[0], spreads[0], means[1], spreads[1], slope, offset, stretch)


def _curve(joint: Scores, spam: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of the logistic curve, by Newton's method; Platt's softened labels keep it finite."""
    hams, spams = int((~spam).sum()), int(spam.sum())
    wanted = np.where(spam, (spams + 1) / (spams + 2), 1 / (hams + 2))
    weight = np.where(spam, 0.5 / spams, 0.5 / hams)
    slope, offset = 1.0, 0.0
    for _ in range(50):
        likely = 1 / (1 + np.exp(-np.clip(slope * joint + offset, -30, 30)))
        wrong = weight * (likely - wanted)
        curve = weight * likely * (1 - likely) + 1e-9
        first, second = float((wrong * joint).sum()) + 1e-4 * (slope - 1), float(wrong.sum())
        aa, ab, bb = (
            float((curve * joint * joint).sum()) + 1e-4,
            float((curve * joint).sum()),
            float(curve.sum()),
        )
        determinant = aa * bb - ab * ab
        if abs(determinant) < 1e-15:
            break
        down, across = (bb * first - ab * second) / determinant, (aa * second - ab * first) / determinant
        slope, offset = slope - max(min(down, 1.0), -1.0), offset - max(min(across, 2.0), -2.0)
        if abs(down) + abs(across) < 1e-7:
            break
    return max(slope, 0.05), offset


def _rare(ham: Scores, share: float) -> float:
    """The score that `share` of ham exceeds, however few there are: beyond its worst TAIL it is taken to thin out exponentially."""
    ordered = np.sort(ham)[::-1]
    many = max(min(round(len(ham) * TAIL), MOST_IN_TAIL), 5)
    start = float(ordered[min(many, len(ordered) - 1)])
    excess = max(float((ordered[:many] - start).mean()), 1e-6)
    return start + excess * math.log(max(many / len(ham) / share, 1.0))

"""Logistic regression over three views of a message, learnt one message at a time (AdaGrad).

J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods" (JMLR 12, 2011); 4-grams for mail after D. Sculley and
G. Wachman (SIGIR 2007). The views are its words, its 4-grams and the facts of how it is written. Each view has a length of
its own (SHARES), however much there is in it: long mail weighs no more than short mail, and a dozen facts as much as
hundreds of words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gatepost.classify.tokens import Hashes

SLOTS = (1 << 20, 1 << 20, 1 << 14)
"""Weights of each view, a power of 2."""
MASKS = tuple(np.array(slots - 1, np.uint32) for slots in SLOTS)
SHARES = (1.0, 0.5, 1.0)
RATE = 1.0
FLOOR = 0.01
"""Added to the sum of squared gradients."""


class Logistic:
    """Weights, and the log-odds they give a message."""

    def __init__(self) -> None:
        self.weights = tuple(np.zeros(slots, np.float32) for slots in SLOTS)
        self.steps = tuple(np.zeros(slots, np.float32) for slots in SLOTS)
        self.bias = 0.0

    def score(self, views: Sequence[Hashes], footer: Sequence[Hashes] = ()) -> float:
        """Log-odds of spam, not calibrated. With what a footer adds, the higher of the scores with it and without."""
        alone = together = self.bias
        for at, (values, weights, mask, share) in enumerate(
            zip(views, self.weights, MASKS, SHARES, strict=True)
        ):
            count = len(values)
            total = share * float(np.add.reduce(weights.take(values & mask))) if count else 0.0
            view = total / math.sqrt(count) if count else 0.0
            alone += view
            if at < len(footer) and len(footer[at]):
                total += share * float(np.add.reduce(weights.take(footer[at] & mask)))
                view = total / math.sqrt(count + len(footer[at]))
            together += view
        return max(alone, together)

    def learn(self, views: Sequence[Hashes], *, spam: bool, weight: float = 1.0) -> None:
        """One step towards the label."""
        score = max(min(self.score(views), 30.0), -30.0)
        wrong = 1 / (1 + math.exp(-score)) - spam
        if abs(wrong * weight) < 1e-4:
            return
        self.bias -= 0.02 * wrong * weight
        for at, (values, weights, steps) in enumerate(zip(views, self.weights, self.steps, strict=True)):
            if len(values):
                slots = values & MASKS[at]
                push = SHARES[at] * weight * wrong / math.sqrt(len(values))
                seen = steps[slots] + push * push
                steps[slots] = seen
                weights[slots] -= (RATE * push) / np.sqrt(seen + FLOOR)

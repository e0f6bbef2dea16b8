"""Logistic regression over hashed words and 4-grams, learnt one message at a time (AdaGrad).

J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods" (JMLR 12, 2011); 4-grams for mail after D. Sculley and
G. Wachman (SIGIR 2007). Each message's words together have length 1, and so have its 4-grams: long mail weighs no
more than short mail.
"""

from __future__ import annotations

import math

import numpy as np

from gatepost.classify.tokens import Hashes

NOTHING = np.zeros(0, np.uint32)
SLOTS = 1 << 20
_MASK = np.uint32(SLOTS - 1)
RATE = 1.0
FLOOR = 0.01
"""Added to the sum of squared gradients."""


class Logistic:
    """Weights, and the log-odds they give a message."""

    def __init__(self) -> None:
        self.words = np.zeros(SLOTS, np.float32)
        self.grams = np.zeros(SLOTS, np.float32)
        self.word_steps = np.zeros(SLOTS, np.float32)
        self.gram_steps = np.zeros(SLOTS, np.float32)
        self.bias = 0.0

    def score(
        self, words: Hashes, grams: Hashes, footer_words: Hashes = NOTHING, footer_grams: Hashes = NOTHING
    ) -> float:
        """Log-odds of spam, not calibrated. With what a footer adds, the higher of the scores with it and without."""
        alone = together = self.bias
        for values, footer, weights in (
            (words, footer_words, self.words), (grams, footer_grams, self.grams),
        ):  # fmt: skip
            count = len(values)
            total = float(weights[values & _MASK].sum()) if count else 0.0
            alone += total / math.sqrt(count) if count else 0.0
            if len(footer):
                total += float(weights[footer & _MASK].sum())
                count += len(footer)
            together += total / math.sqrt(count) if count else 0.0
        return max(alone, together)

    def learn(self, words: Hashes, grams: Hashes, *, spam: bool, weight: float = 1.0) -> None:
        """One step towards the label."""
        score = max(min(self.score(words, grams), 30.0), -30.0)
        slope = (1 / (1 + math.exp(-score)) - spam) * weight
        if abs(slope) < 1e-4:
            return
        self.bias -= 0.02 * slope
        for values, weights, steps in (
            (words, self.words, self.word_steps),
            (grams, self.grams, self.gram_steps),
        ):
            if len(values):
                slots = values & _MASK
                push = slope / math.sqrt(len(values))
                seen = steps[slots] + push * push
                steps[slots] = seen
                weights[slots] -= (RATE * push) / np.sqrt(seen + FLOOR)

"""Token Bayes in the manner of Robinson and Fisher: counts of messages that held a token, by class.

Gary Robinson, "A statistical approach to the spam problem", Linux Journal 107 (2003). Left out: token pairs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gatepost.classify.tokens import Hashes

Odds = NDArray[np.float32]
NOTHING = np.zeros(0, np.uint32)
NO_ODDS = np.zeros(0, np.float32)
SLOTS = 1 << 20
MASK = np.array(SLOTS - 1, np.uint32)
STRENGTH = 0.5
"""Robinson's s: how many messages the prior counts for."""
PRIOR = 0.5
"""Robinson's x: of a token never seen."""
MARGIN = 0.1
"""Tokens nearer than this to 0.5 say nothing."""
CERTAIN = 0.01
"""f(w) stays this far from 0 and 1: no token decides alone."""


class Bayes:
    """Counts, and the score they give a message."""

    def __init__(self) -> None:
        self.ham = np.zeros(SLOTS, np.float32)
        self.spam = np.zeros(SLOTS, np.float32)
        self.messages = [0.0, 0.0]
        self._settled: Odds | None = None

    def learn(self, words: Hashes, *, spam: bool, weight: float = 1.0) -> None:
        """Count one message; a negative weight takes it back."""
        counts = self.spam if spam else self.ham
        slots = words & MASK
        counts[slots] = np.maximum(counts[slots] + weight, 0)
        self.messages[spam] = max(self.messages[spam] + weight, 0.0)
        self._settled = None

    def settle(self) -> None:
        """Work out the odds of every token, once for all messages until something is learnt."""
        known = ((self.ham + self.spam) > 0).nonzero()[0]
        settled = np.zeros(SLOTS, np.float32)
        settled[known] = self._odds(known)
        self._settled = settled

    def log_odds(self, words: Hashes) -> Odds:
        """For each token the log-odds of spam that Robinson's f(w) gives; 0 where it is within MARGIN of even."""
        slots = words & MASK
        return self._odds(slots) if self._settled is None else self._settled.take(slots)

    def _odds(self, slots: Hashes | NDArray[np.int64]) -> Odds:
        ham, spam = self.ham[slots], self.spam[slots]
        count = ham + spam
        ham_share = ham / max(self.messages[0], 1.0)
        spam_share = spam / max(self.messages[1], 1.0)
        likely = spam_share / np.maximum(ham_share + spam_share, 1e-9)
        f = (STRENGTH * PRIOR + count * likely) / (STRENGTH + count)
        f = np.clip(f, CERTAIN, 1 - CERTAIN)
        return np.where(np.abs(f - 0.5) > MARGIN, np.log(f / (1 - f)), 0).astype(np.float32)

    def score(self, words: Hashes, footer: Hashes = NOTHING) -> float:
        """Positive for spam; the sum of the tokens' log-odds over the root of their number.

        With what a footer adds, the higher of the scores with it and without.
        """
        return scored(self.log_odds(words), self.log_odds(footer) if len(footer) else NO_ODDS)


def scored(odds: Odds, footer: Odds) -> float:
    """The score that log-odds come to, with the footer's where these speak against the message."""
    total, count = float(np.add.reduce(odds)), int(np.count_nonzero(odds))
    score = total / math.sqrt(count) if count else 0.0
    if len(footer) and (more := int(np.count_nonzero(footer))):
        score = max(score, (total + float(footer.sum())) / math.sqrt(count + more))
    return score

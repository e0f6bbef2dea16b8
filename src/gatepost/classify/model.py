"""The site's model: two learners, how their scores join, and what a joint score means here.

Pure: who keeps it, and where, is decided elsewhere. A model can always be made again from the lessons (`train`).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gatepost.classify.bayes import Bayes
from gatepost.classify.features import Features
from gatepost.classify.logistic import Logistic
from gatepost.tools import Opinion

Lesson = tuple[Features, bool]
"""A message's features, and whether it is spam."""

MAGIC = b"GPM1"
MOST_OCTETS = 64 << 20
"""Of a model unpacked."""
READY_AT = (100, 100)
"""Ham and spam it must have learnt before it counts."""
BOUND = 12.0
"""Log-odds beyond which it never goes."""
MOST_WEIGHT = 3.0
"""Of one lesson."""
SHOWN = 12
PASSES = 4


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a snapshot cannot be used."""

    text: str


class SiteModel:
    """What a site has learnt."""

    def __init__(self) -> None:
        self.bayes = Bayes()
        self.logistic = Logistic()
        self.learnt = [0, 0]
        self.slope, self.offset = 1.0, 0.0
        """Log-odds without prior = slope * joint score + offset."""

    def learn(self, features: Features, spam: bool, weight: float = 1.0) -> None:
        """One lesson, at most MOST_WEIGHT strong."""
        weight = min(max(weight, 0.0), MOST_WEIGHT)
        self.bayes.learn(features.words, spam=spam, weight=weight)
        self.logistic.learn(features.words, features.grams, spam=spam, weight=weight)
        self.learnt[spam] += 1

    def unlearn(self, features: Features, spam: bool, weight: float = 1.0) -> None:
        """Take a lesson back."""
        weight = min(max(weight, 0.0), MOST_WEIGHT)
        self.bayes.learn(features.words, spam=spam, weight=-weight)
        self.logistic.learn(features.words, features.grams, spam=not spam, weight=weight)
        self.learnt[spam] = max(self.learnt[spam] - 1, 0)

    def score(self, features: Features) -> float:
        """The joint score, not calibrated."""
        return self.bayes.score(features.words) + self.logistic.score(features.words, features.grams)

    def opinion(self, features: Features, user_layer: UserLayer | None = None) -> Opinion:
        """What it thinks of a message, and the words that decided."""
        score = self.score(features) + (user_layer.shift(features) if user_layer is not None else 0.0)
        odds = max(min(self.slope * score + self.offset, BOUND), -BOUND)
        return Opinion(
            probability=1 / (1 + math.exp(-odds)),
            log_odds=odds,
            learnt=(self.learnt[0], self.learnt[1]),
            ready=self.learnt[0] >= READY_AT[0] and self.learnt[1] >= READY_AT[1],
            words=self._words(features),
        )

    def _words(self, features: Features) -> tuple[tuple[str, float], ...]:
        odds = self.bayes.log_odds(features.words)
        strongest = np.argsort(-np.abs(odds))[: 2 * SHOWN]
        named = ((features.name(int(features.words[at])), round(float(odds[at]), 2)) for at in strongest)
        return tuple(one for one in named if one[0] and one[1])[:SHOWN]

    def calibrate(self, lessons: Iterable[Lesson]) -> None:
        """Set what scores mean from lessons it has not learnt."""
        del lessons

    def to_bytes(self) -> bytes:
        """A snapshot: small when little was learnt."""
        head = struct.pack(
            "<4sQQdddddd",
            MAGIC,
            *self.learnt,
            *self.bayes.messages,
            self.logistic.bias,
            self.slope,
            self.offset,
            0.0,
        )
        return head + zlib.compress(b"".join(one.tobytes() for one in self._arrays()), 1)

    @classmethod
    def from_bytes(cls, octets: bytes) -> SiteModel | Unreadable:
        """The model of a snapshot, or why there is none."""
        size = struct.calcsize("<4sQQdddddd")
        if octets[:4] != MAGIC or len(octets) < size:
            return Unreadable("this is not a model of this version")
        model = cls()
        _, ham, spam, *numbers = struct.unpack("<4sQQdddddd", octets[:size])
        if not all(math.isfinite(one) for one in numbers):
            return Unreadable("a number in the model is not one")
        model.learnt = [ham, spam]
        model.bayes.messages = numbers[:2]
        model.logistic.bias, model.slope, model.offset = numbers[2:5]
        wanted = sum(one.nbytes for one in model._arrays())
        try:
            whole = zlib.decompressobj().decompress(octets[size:], wanted + 1)
        except zlib.error as problem:
            return Unreadable(f"the model is damaged ({problem})")
        if len(whole) != wanted:
            return Unreadable("the model is damaged: it has another length")
        start = 0
        for array in model._arrays():
            array[:] = np.frombuffer(whole, "<f4", count=len(array), offset=start)
            start += array.nbytes
            if not np.isfinite(array).all():
                return Unreadable("a number in the model is not one")
        return model

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return (
            self.bayes.ham, self.bayes.spam, self.logistic.words, self.logistic.grams,
            self.logistic.word_steps, self.logistic.gram_steps,
        )  # fmt: skip


class UserLayer:
    """What one person taught, as a small delta over the site's model."""

    MOST = 2000
    LIMIT = 3.0

    def __init__(self) -> None:
        self.weights: dict[int, float] = {}

    def learn(self, features: Features, spam: bool) -> None:
        """One lesson of this person."""
        push = (1.0 if spam else -1.0) / math.sqrt(max(len(features.words), 1))
        for word in features.words.tolist():
            self.weights[word] = self.weights.get(word, 0.0) + push
        while len(self.weights) > self.MOST:
            del self.weights[next(iter(self.weights))]

    def shift(self, features: Features) -> float:
        """What it adds to the joint score, bounded."""
        total = sum(self.weights.get(word, 0.0) for word in features.words.tolist())
        return max(min(total / math.sqrt(max(len(features.words), 1)), self.LIMIT), -self.LIMIT)

    def to_bytes(self) -> bytes:
        """A snapshot."""
        return b"".join(struct.pack("<If", word, weight) for word, weight in self.weights.items())

    @classmethod
    def from_bytes(cls, octets: bytes) -> UserLayer | Unreadable:
        """The layer of a snapshot, or why there is none."""
        if len(octets) % 8 or len(octets) > 8 * cls.MOST:
            return Unreadable("this is not what a person taught")
        layer = cls()
        layer.weights = {
            word: weight for word, weight in struct.iter_unpack("<If", octets) if math.isfinite(weight)
        }
        return layer


def train(lessons: Sequence[Lesson], *, passes: int = PASSES, seed: int = 1) -> SiteModel:
    """A model from all lessons: replayed in shuffled order, calibrated on what was held out."""
    model = SiteModel()
    order = list(lessons)
    chance = np.random.default_rng(seed)
    for features, spam in order:
        model.bayes.learn(features.words, spam=spam)
        model.learnt[spam] += 1
    for _ in range(passes):
        for at in chance.permutation(len(order)):
            features, spam = order[at]
            model.logistic.learn(features.words, features.grams, spam=spam)
    return model

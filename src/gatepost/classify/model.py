"""The site's model: two learners, how their scores join, and what a joint score means here.

Pure: who keeps it, and where, is decided elsewhere. A model can always be made again from the lessons (`train`).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter

import numpy as np

from gatepost.classify.bayes import Bayes, Odds, scored
from gatepost.classify.calibration import LOST, Calibration, calibrated
from gatepost.classify.features import Features
from gatepost.classify.logistic import Logistic
from gatepost.classify.tokens import Hashes
from gatepost.tools import Opinion

Lesson = tuple[Features, bool]
"""A message's features, and whether it is spam."""

MAGIC = b"GPM4"
HEAD = struct.Struct("<4sQQ10d")
READY_AT = (100, 100)
"""Ham and spam it must have learnt before it counts."""
BOUND = 12.0
"""Log-odds beyond which it never goes."""
MOST_WEIGHT = 1.0
"""Of one lesson, however many agree on it: nobody turns the model with one message."""
SHOWN = 12
PASSES = 2
PARTS = 3
"""In which lessons are parted to calibrate on what was not learnt."""


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
        self.calibration = Calibration()

    def learn(self, features: Features, spam: bool, weight: float = 1.0) -> None:
        """One lesson more, at most MOST_WEIGHT strong.

        The regression remembers what it learnt last best, so a lesson of less weight is only counted here; it takes its place among
        all others when the model is made anew (`train`). Else a few such lessons in a row would outweigh hundreds before them.
        """
        weight = min(max(weight, 0.0), MOST_WEIGHT)
        self.bayes.learn(features.all_words, spam=spam, weight=weight)
        if weight >= MOST_WEIGHT:
            self.logistic.learn(features.views, spam=spam, weight=weight)
        self.learnt[spam] += 1

    def unlearn(self, features: Features, spam: bool, weight: float = 1.0) -> None:
        """Take a lesson back."""
        weight = min(max(weight, 0.0), MOST_WEIGHT)
        self.bayes.learn(features.all_words, spam=spam, weight=-weight)
        if weight >= MOST_WEIGHT:
            self.logistic.learn(features.views, spam=not spam, weight=weight)
        self.learnt[spam] = max(self.learnt[spam] - 1, 0)

    def score(self, features: Features) -> float:
        """The joint score, not calibrated."""
        return self.calibration.joint(*self.scores(features))

    def scores(self, features: Features) -> tuple[float, float]:
        """Of Bayes and of the regression."""
        return self.bayes.score(features.words, features.footer_words), self.logistic.score(
            features.views, features.footer
        )

    def opinion(self, features: Features, user_layer: UserLayer | None = None) -> Opinion:
        """What it thinks of a message, and the words that decided."""
        words = features.all_words
        each = self.bayes.log_odds(words)
        own = len(features.words)
        logistic = self.logistic.score(features.views, features.footer)
        odds = self.calibration.log_odds(self.calibration.joint(scored(each[:own], each[own:]), logistic))
        odds += user_layer.shift(features) if user_layer is not None else 0.0
        ham, spam = self.learnt
        prior = math.log((spam + 1) / (ham + 1))
        return Opinion(
            probability=1 / (1 + math.exp(-max(min(odds + prior, 30.0), -30.0))),
            log_odds=max(min(self.calibration.evidence(odds), BOUND), -BOUND),
            learnt=(ham, spam),
            ready=ham >= READY_AT[0] and spam >= READY_AT[1],
            words=_deciding(features, words, each, own),
        )

    def calibrate(
        self, lessons: Sequence[Lesson], lost: float, weights: Sequence[float] | None, judged: Sequence[int]
    ) -> None:
        """Set what scores mean from the lessons numbered `judged`: each part of all is judged by what the others teach.

        `lost` is the share of wanted mail that may score as junk.
        """
        if not lessons:
            return
        part = np.random.default_rng(len(lessons)).permutation(len(lessons)) % PARTS
        asked = np.zeros(len(lessons), bool)
        asked[list(judged)] = True
        spam = np.array([is_spam for _, is_spam in lessons], bool)
        bayes, logistic = np.zeros(len(lessons)), np.zeros(len(lessons))
        for number in range(PARTS):
            others = (part != number).nonzero()[0].tolist()
            known = _taught([lessons[at] for at in others], weights and [weights[at] for at in others])
            for at in ((part == number) & asked).nonzero()[0].tolist():
                bayes[at], logistic[at] = known.scores(lessons[at][0])
        self.calibration = calibrated(bayes[asked], logistic[asked], spam[asked], lost)

    def to_bytes(self) -> bytes:
        """A snapshot: small when little was learnt."""
        numbers = (*self.bayes.messages, self.logistic.bias, *self.calibration.numbers())
        head = HEAD.pack(MAGIC, *self.learnt, *numbers)
        return head + zlib.compress(b"".join(one.tobytes() for one in self._arrays()), 1)

    @classmethod
    def from_bytes(cls, octets: bytes) -> SiteModel | Unreadable:
        """The model of a snapshot, or why there is none."""
        if octets[:4] != MAGIC or len(octets) < HEAD.size:
            return Unreadable("this is not a model of this version")
        model = cls()
        _, ham, spam, *numbers = HEAD.unpack(octets[: HEAD.size])
        if not all(math.isfinite(one) for one in numbers):
            return Unreadable("a number in the model is not one")
        model.learnt = [ham, spam]
        model.bayes.messages = numbers[:2]
        model.logistic.bias = numbers[2]
        model.calibration = Calibration(*numbers[3:])
        if min(model.calibration.bayes_spread, model.calibration.logistic_spread) <= 0:
            return Unreadable("a spread in the model is none")
        wanted = sum(one.nbytes for one in model._arrays())
        try:
            whole = zlib.decompressobj().decompress(octets[HEAD.size :], wanted + 1)
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
        model.bayes.settle()
        return model

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return self.bayes.ham, self.bayes.spam, *self.logistic.weights, *self.logistic.steps


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
        """What it adds to the log-odds, bounded."""
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


def _deciding(features: Features, words: Hashes, odds: Odds, own: int) -> tuple[tuple[str, float], ...]:
    """The tokens with the strongest odds, by name; of a footer only those that speak against the message."""
    strength = np.abs(odds)
    if own < len(odds):
        strength[own:] = np.maximum(odds[own:], 0)
    strongest = strength.nonzero()[0]
    if len(strongest) > SHOWN + 4:
        least = np.partition(strength, -SHOWN - 4)[-SHOWN - 4]
        strongest = (strength >= least).nonzero()[0]
    strongest = strongest[(-strength[strongest]).argsort(kind="stable")][: SHOWN + 4]
    named = zip(features.names(words[strongest]), odds[strongest].tolist(), strict=True)
    return tuple((name, round(weight, 2)) for name, weight in islice(filter(itemgetter(0), named), SHOWN))


def train(lessons: Sequence[Lesson], lost: float = LOST, weights: Sequence[float] | None = None) -> SiteModel:
    """A model from all lessons, calibrated; the same for the same lessons in the same order.

    `weights` are 1 where nothing is said. Lessons of less weight are learnt among the others, never after them, and the
    model is calibrated without them where the others are enough.
    """
    strong = [number for number, weight in enumerate(weights or ()) if weight >= MOST_WEIGHT]
    enough = all(sum(lessons[at][1] == spam for at in strong) >= READY_AT[spam] for spam in (False, True))
    model = _taught(lessons, weights)
    model.calibrate(lessons, lost, weights, strong if enough else range(len(lessons)))
    model.bayes.settle()
    return model


def _taught(lessons: Sequence[Lesson], weights: Sequence[float] | None = None) -> SiteModel:
    """Every lesson counted once, and replayed to the regression in shuffled order."""
    model = SiteModel()
    each = [1.0] * len(lessons) if weights is None else [min(max(one, 0.0), MOST_WEIGHT) for one in weights]
    for (features, spam), weight in zip(lessons, each, strict=True):
        model.bayes.learn(features.all_words, spam=spam, weight=weight)
        model.learnt[spam] += 1
    chance = np.random.default_rng(1)
    for _ in range(PASSES):
        for at in chance.permutation(len(lessons)).tolist():
            features, spam = lessons[at]
            model.logistic.learn(features.views, spam=spam, weight=each[at])
    return model

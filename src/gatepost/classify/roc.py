"""How good is a classifier? What it misses at what it costs, with intervals, whether its probabilities hold; and the curve.

As the TREC spam tracks count: 1-ROCA% is the chance in per cent that an unwanted message scores below a wanted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

LOST = (0.001, 0.005, 0.01)
"""Shares of wanted mail lost at which is told what is missed."""
BINS = (0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0)
RESAMPLES = 400
"""Of the bootstrap that intervals come from."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One message and what was thought of it."""

    spam: bool
    score: float
    """Log-odds: higher is more likely unwanted."""
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """What is missed where a share of wanted mail may be lost."""

    lost: float
    """The share of wanted mail allowed to be lost."""
    threshold: float
    """The score above which mail is called unwanted then."""
    missed: float
    """The share of unwanted mail that is not."""
    low: float
    high: float
    """95 % interval of it, by bootstrap of both kinds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Messages that were given about the same probability."""

    low: float
    high: float
    number: int
    said: float
    """Mean of the probabilities given."""
    was: float
    """The share that was unwanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All of it."""

    ham: int
    spam: int
    auc: float
    one_minus_roca: float
    """In per cent."""
    roca_low: float
    roca_high: float
    """95 % interval of it."""
    at: tuple[At, ...]
    calibration: tuple[Bin, ...]
    brier: float
    """Mean squared error of the probabilities."""


def figures(scored: Sequence[Scored], *, seed: int = 1) -> Figures:
    """Raises ValueError when one of the two kinds is missing."""
    ham, spam = (np.array([one.score for one in scored if one.spam is kind]) for kind in (False, True))
    if not len(ham) or not len(spam):
        raise ValueError("both wanted and unwanted messages are needed")
    said = np.array([one.probability for one in scored])
    was = np.array([one.spam for one in scored], float)
    chance = np.random.default_rng(seed)
    again = [(chance.choice(ham, len(ham)), chance.choice(spam, len(spam))) for _ in range(RESAMPLES)]
    roca = [100 * (1 - area(*one)) for one in again]
    auc = area(ham, spam)
    return Figures(
        ham=len(ham), spam=len(spam), auc=auc, one_minus_roca=100 * (1 - auc),
        roca_low=float(np.percentile(roca, 2.5)), roca_high=float(np.percentile(roca, 97.5)),
        at=tuple(missed_at(ham, spam, lost, again) for lost in LOST),
        calibration=tuple(binned(said, was)), brier=float(np.mean((said - was) ** 2)),
    )  # fmt: skip


def area(ham: Numbers, spam: Numbers) -> float:
    """The area under the ROC curve; ties count half."""
    ordered = np.sort(ham)
    below = np.searchsorted(ordered, spam, "left") + np.searchsorted(ordered, spam, "right")
    return float(below.sum()) / (2 * len(ham) * len(spam))


def missed_at(ham: Numbers, spam: Numbers, lost: float, again: Sequence[tuple[Numbers, Numbers]]) -> At:
    """The threshold that loses no more than that, and what it misses."""
    threshold = losing(ham, lost)
    missed = [share_missed(one_spam, losing(one_ham, lost)) for one_ham, one_spam in again]
    return At(
        lost=lost, threshold=threshold, missed=share_missed(spam, threshold),
        low=float(np.percentile(missed, 2.5)), high=float(np.percentile(missed, 97.5)),
    )  # fmt: skip


def losing(ham: Numbers, lost: float) -> float:
    """The score of the first wanted message that must not be lost any more: what is above it is called unwanted."""
    allowed = int(lost * len(ham))
    return float(np.sort(ham)[len(ham) - 1 - allowed])


def share_missed(spam: Numbers, threshold: float) -> float:
    """Unwanted mail that does not score above it."""
    return float(np.mean(spam <= threshold))


def binned(said: Numbers, was: Numbers) -> list[Bin]:
    """By what was said, what was; empty bins are left out."""
    place = np.clip(np.searchsorted(np.array(BINS), said, "right") - 1, 0, len(BINS) - 2)
    found = []
    for number, (low, high) in enumerate(pairwise(BINS)):
        inside = place == number
        if inside.any():
            found.append(
                Bin(
                    low=low, high=high, number=int(inside.sum()), said=float(said[inside].mean()),
                    was=float(was[inside].mean()),
                )
            )  # fmt: skip
    return found


WIDTH, HEIGHT, EDGE = 640, 440, 70
SMALLEST = 1e-4
"""Where both axes begin: smaller shares are drawn there."""
TICKS = (0.0001, 0.001, 0.01, 0.1, 1.0)


def drawn(scored: Sequence[Scored], title: str) -> str:
    """The curve as SVG: unwanted mail missed over wanted mail lost, both in logarithms; lower left is better."""
    ham, spam = (np.sort([one.score for one in scored if one.spam is kind]) for kind in (False, True))
    steps = np.unique(np.concatenate((ham, spam)))
    lost = 1 - np.searchsorted(ham, steps, "right") / len(ham)
    missed = np.searchsorted(spam, steps, "right") / len(spam)
    points = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in zip(lost, missed, strict=True))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{EDGE}" y="28" font-size="16">{escape(title)}</text>',
    ]
    for tick in TICKS:
        x, y, words = across(tick), down(tick), f"{100 * tick:g} %"
        lines += [
            f'<path d="M{x:.1f} {EDGE - 20}V{HEIGHT - EDGE}M{EDGE} {y:.1f}H{WIDTH - 30}" stroke="#ddd" fill="none"/>',
            f'<text x="{x:.1f}" y="{HEIGHT - EDGE + 18}" text-anchor="middle">{words}</text>',
            f'<text x="{EDGE - 8}" y="{y + 4:.1f}" text-anchor="end">{words}</text>',
        ]
    lines += [
        f'<polyline points="{points}" fill="none" stroke="#1f6feb" stroke-width="2"/>',
        f'<text x="{(WIDTH + EDGE) / 2:.0f}" y="{HEIGHT - 22}" text-anchor="middle">wanted mail lost</text>',
        f'<text x="20" y="{HEIGHT / 2:.0f}" transform="rotate(-90 20 {HEIGHT / 2:.0f})" text-anchor="middle">unwanted mail missed</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def across(share: float) -> float:
    """Where a share of wanted mail stands."""
    return EDGE + logarithmic(share) * (WIDTH - 30 - EDGE)


def down(share: float) -> float:
    """Where a share of unwanted mail stands."""
    return HEIGHT - EDGE - logarithmic(share) * (HEIGHT - 2 * EDGE + 20)


def logarithmic(share: float) -> float:
    """0 at SMALLEST or less, 1 at all of it."""
    return float(1 - np.log10(max(share, SMALLEST)) / np.log10(SMALLEST))

"""The classifier is examined: on mail it has not learnt, or without an installation by cross-validation, or online.

Two copies of a message are one, so that no message is judged by a model that has seen it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gatepost.app.installation import Installation
from gatepost.classify.features import Features
from gatepost.classify.model import SiteModel, train
from gatepost.classify.roc import Scored
from gatepost.jobs.learning import ANEW_BELOW
from gatepost.office.teaching import MOST_OCTETS, as_it_came, digest, features_of
from gatepost.scan.source import Found
from gatepost.store import lessons
from gatepost.store.snapshots import Snapshots

FOLDS = 5
TIE = 1e-6
"""Of the score: less than what makes a difference between log-odds."""
ONLINE_BATCH = 100
"""Messages that are judged before they are learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A message of which is known what it is."""

    content: bytes
    features: Features
    spam: bool


class TooFew(ValueError):
    """Not enough messages; `str()` is one sentence."""


def examples(found: Iterable[Found], *, spam: bool, complain: Callable[[str], None]) -> Iterator[Example]:
    """What is no message is told to `complain`."""
    for one in found:
        if one.problem or len(one.octets) > MOST_OCTETS:
            complain(f"{one.path}: {one.problem or 'is too large to learn from'}")
            continue
        message, _ = as_it_came(one.octets)
        seen = message.once(features_of)
        kept = Features.from_bytes(seen.to_bytes())  # without the text, which would fill the memory
        if kept is not None:
            yield Example(content=digest(message), features=kept, spam=spam)


def each_once(given: Iterable[Example]) -> list[Example]:
    """Every message once, the first time it comes."""
    found: dict[bytes, Example] = {}
    for one in given:
        found.setdefault(one.content, one)
    return list(found.values())


def by_the_installed(installation: Installation, given: Sequence[Example]) -> tuple[list[Scored], int]:
    """What the installation's model thinks of those it has not learnt; and how many it has. Raises TooFew."""
    snapshot = Snapshots(installation.loaded.state, clock=time.monotonic).current()
    if snapshot is None:
        raise TooFew("this installation's classifier has learnt nothing yet: try --fresh, or teach it first.")
    known = {one.content for one in installation.store.database.read(lessons.standing)}
    new = [one for one in given if one.content not in known]
    return [scored(snapshot.model, one) for one in new], len(given) - len(new)


def cross_validated(given: Sequence[Example], done: Callable[[], None]) -> list[Scored]:
    """Each fifth is judged by a fresh model that learnt the other four. Raises TooFew."""
    if len(given) < 10 * FOLDS:
        raise TooFew(f"cross-validation needs at least {10 * FOLDS} messages.")
    fold_of = [int.from_bytes(one.content[:4], "big") % FOLDS for one in given]
    found: list[Scored] = []
    for fold in range(FOLDS):
        learnt = [
            (one.features, one.spam) for one, place in zip(given, fold_of, strict=True) if place != fold
        ]
        model = train(learnt)
        found += [scored(model, one) for one, place in zip(given, fold_of, strict=True) if place == fold]
        done()
    return found


def online(given: Sequence[Example], done: Callable[[], None], *, seed: int = 1) -> list[Scored]:
    """As the TREC spam track has it: judge the mail as it comes, then learn it, a hundred at a time; mixed by `seed`."""
    order = [given[at] for at in np.random.default_rng(seed).permutation(len(given))]
    model, found = SiteModel(), []
    for start in range(0, len(order), ONLINE_BATCH):
        batch = order[start : start + ONLINE_BATCH]
        found += [scored(model, one) for one in batch]
        if start + len(batch) <= ANEW_BELOW:
            model = train([(one.features, one.spam) for one in order[: start + len(batch)]])
        else:
            for one in batch:
                model.learn(one.features, one.spam)
        done()
    return found


def scored(model: SiteModel, one: Example) -> Scored:
    """One message judged. Log-odds are bounded; who is ahead beyond the bound, the score says."""
    opinion = model.opinion(one.features)
    ahead = TIE * model.score(one.features)
    return Scored(spam=one.spam, score=opinion.log_odds + ahead, probability=opinion.probability)

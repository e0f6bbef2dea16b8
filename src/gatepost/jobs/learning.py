"""Lessons become a model: in a process of its own, one at a time, and only when there are new ones.

While little was taught the model is made anew from every lesson each time, which is the best it can be; later lessons
are added one by one, and it is made anew when a quarter more has come. Everything can be made again from the lessons.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

from gatepost.classify.features import Features
from gatepost.classify.model import MOST_WEIGHT, READY_AT, SiteModel, Unreadable, UserLayer, train
from gatepost.delivery.routes import MaildirAt, Routes
from gatepost.jobs.mailboxes import Mailboxes
from gatepost.jobs.reports import Reports
from gatepost.jobs.rounds import Round
from gatepost.jobs.settings import LearningSettings
from gatepost.store import lessons
from gatepost.store.database import Connection
from gatepost.store.disk import Disk
from gatepost.store.lessons import Lesson
from gatepost.store.memory import StoredMemory
from gatepost.store.snapshotfile import Label, label_of
from gatepost.store.snapshots import Snapshots
from gatepost.store.store import Store

log = logging.getLogger("gatepost.jobs")

ANEW_BELOW = 3000
"""Messages up to which the model is made anew at every round: seconds of work."""
GROWN = 1.25
OF_OTHERS = 0.1
"""The most that one person's lessons weigh in the model of all, as a share of what everybody else taught."""
IN_A_LAYER = 500
"""A person's newest lessons that make the layer."""
AT_ONCE = 500
NICE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What a round came to."""

    ham: int = 0
    spam: int = 0
    """All that the model has learnt by now."""
    new: int = 0
    """Lessons that were taken in."""
    anew: bool = False
    """The model was made from the beginning."""
    ready: bool = False
    problem: str = ""
    """What was wrong with the snapshot that was there."""


@dataclass(slots=True, kw_only=True)
class Learning:
    """The rounds of learning. They run in the process that delivers; the work itself does not."""

    store: Store
    memory: StoredMemory
    settings: Callable[[], LearningSettings]
    routes: Callable[[], Routes]
    clock: Callable[[], float]
    """Unix seconds."""

    def rounds(self) -> Sequence[Round]:
        """What to run."""
        settings = self.settings()
        mailboxes = Mailboxes(
            store=self.store,
            memory=self.memory,
            settings=self.settings,
            bases=self.maildirs,
            clock=self.clock,
        )
        reports = Reports(
            store=self.store, settings=self.settings, clock=self.clock,
            is_ours=lambda domain: self.routes().find(domain) is not None,
        )  # fmt: skip
        return [
            Round("learning", settings.learn_s, self.learn),
            Round("reports", settings.learn_s, reports.read),
            Round("mailboxes", settings.mailboxes_s, mailboxes.look),
        ]

    def maildirs(self) -> set[Path]:
        """The folders of Maildirs that this gate delivers to."""
        found = (one.destination for one in self.routes().domains)
        return {one.base for one in found if isinstance(one, MaildirAt)}

    async def learn(self) -> None:
        """Take in what was taught since the last round."""
        label = label_of(self.store.folder)
        last = self.store.database.read(lessons.last_number)
        if last == (label.applied if label else 0):
            return
        settings = self.settings()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=stand_back) as pool:
            done = await asyncio.get_running_loop().run_in_executor(
                pool, catch_up, self.store.folder, settings
            )
        if done.problem:
            log.warning("the classifier's snapshot: %s", done.problem)
        log.info(
            "learnt %d lessons; %d wanted and %d unwanted messages by now", done.new, done.ham, done.spam
        )
        await self.trim(settings.kept)

    async def trim(self, kept: int) -> None:
        """Delete what is more than is kept, in slices that disturb nobody."""
        deleted = AT_ONCE
        while deleted >= AT_ONCE:
            deleted = await self.store.database.commit(
                lambda connection: lessons.trim(connection, kept=kept, limit=AT_ONCE)
            )


def catch_up(state: Path, settings: LearningSettings, *, again: bool = False) -> Learnt:
    """Learn what was taught since the snapshot, or with `again` everything anew, and write the next one.

    Raises OSError when it cannot be written. Any process may do it, beside a running gate; they take turns.
    """
    snapshots = Snapshots(state, clock=time.monotonic)
    with (
        snapshots.turn(),
        contextlib.closing(Disk().connect(state / "gatepost.db", read_only=True)) as connection,
    ):
        found = snapshots.read()
        problem = found.text if isinstance(found, Unreadable) else found.problem if found else ""
        known = None if isinstance(found, Unreadable) else found
        last = lessons.last_number(connection)
        if known is not None and known.label.applied >= last and not (again or problem):
            return learnt(known.model)
        since = known.label.applied if known else 0
        new = pending(connection, since)
        standing = lessons.taught(connection)
        total = standing.ham + standing.spam
        anew = again or known is None or total <= ANEW_BELOW or total >= GROWN * known.label.trained_on
        if known is None or anew:
            model, since = made_anew(connection, settings), 0
        else:
            model = known.model
            add(model, new, connection, settings)
        label = Label(
            applied=last,
            trained_on=total if anew or known is None else known.label.trained_on,
            made_at=time.time(),
            wanted=model.learnt[0],
            unwanted=model.learnt[1],
            ready=learnt(model).ready,
        )
        snapshots.write(model, label, layers(connection, owners(connection, new, everybody=anew)))
        return learnt(model, new=len(new), anew=anew, problem=problem)


def learnt(model: SiteModel, *, new: int = 0, anew: bool = False, problem: str = "") -> Learnt:
    """What a model is by now."""
    ham, spam = model.learnt
    ready = ham >= READY_AT[0] and spam >= READY_AT[1]
    return Learnt(ham=ham, spam=spam, new=new, anew=anew, ready=ready, problem=problem)


def pending(connection: Connection, since: int) -> list[Lesson]:
    """Everything behind lesson number `since`."""
    found: list[Lesson] = []
    while True:
        more = lessons.after(connection, found[-1].number if found else since, limit=AT_ONCE)
        found += more
        if len(more) < AT_ONCE:
            return found


def made_anew(connection: Connection, settings: LearningSettings) -> SiteModel:
    """The model that all lessons that hold make."""
    worth = worths(connection, settings)
    found: list[tuple[int, Features, float]] = []
    in_order = sorted(lessons.standing(connection), key=lambda one: one.content)
    for _, group in groupby(in_order, key=lambda one: one.content):
        about = list(group)
        strength = voted(about, worth)
        features = Features.from_bytes(about[-1].features)
        if features is not None and strength:
            found.append((about[0].number, features, strength))
    found.sort(key=lambda one: one[0])
    lost = max(min(settings.wanted_as_junk, 50.0), 0.1) / 1000
    return train(
        [(features, strength > 0) for _, features, strength in found],
        lost,
        [abs(strength) for *_, strength in found],
    )


def add(model: SiteModel, new: Iterable[Lesson], connection: Connection, settings: LearningSettings) -> None:
    """Lesson by lesson: what the message counted for before is taken back, what it counts for now is learnt."""
    worth = worths(connection, settings)
    for one in new:
        features = Features.from_bytes(one.features)
        if features is None:
            continue
        before, after = (
            voted(lessons.standing(connection, one.content, upto=upto), worth)
            for upto in (one.number - 1, one.number)
        )
        if before == after:
            continue
        if before:
            model.unlearn(features, before > 0, abs(before))
        if after:
            model.learn(features, after > 0, abs(after))


def worths(connection: Connection, settings: LearningSettings) -> dict[str, float]:
    """How much each lesson of a person counts in the site's model; the postmaster's counts 1.

    The more one gave, the less each: all of them together never weigh more than OF_OTHERS of what everybody else taught,
    where that alone would make a model.
    """
    standing = lessons.taught(connection)
    worth = {}
    for owner, given in lessons.by_owner(connection).items():
        worth[owner] = settings.person_weight * min(1.0, settings.person_in_site / given)
        others = standing.ham + standing.spam - given
        if others >= sum(READY_AT):
            worth[owner] = min(worth[owner], OF_OTHERS * others / given)
    return worth


def voted(about: Sequence[Lesson], worth: Mapping[str, float]) -> float:
    """How strongly one message counts in the site's model: positive as unwanted, negative as wanted, 0 not at all.

    What the site's own people taught decides; else each person has a small vote, and nobody can turn the model alone.
    """
    strength = 0.0
    for one in about:
        side = 1.0 if one.spam else -1.0
        if not one.owner:
            return side
        strength += side * worth.get(one.owner, 0.0)
    return max(min(strength, MOST_WEIGHT), -MOST_WEIGHT)


def owners(connection: Connection, new: Iterable[Lesson], *, everybody: bool) -> set[str]:
    """Whose layers are to be made."""
    touched = {one.owner for one in new if one.owner}
    return touched | set(lessons.by_owner(connection)) if everybody else touched


def layers(connection: Connection, people: Iterable[str]) -> dict[str, UserLayer | None]:
    """What each of them taught; None where nothing of it holds any more."""
    made: dict[str, UserLayer | None] = {}
    for owner in people:
        layer, holds = UserLayer(), False
        for one in lessons.of_owner(connection, owner, limit=IN_A_LAYER):
            features = Features.from_bytes(one.features)
            if features is not None:
                layer.learn(features, bool(one.spam))
                holds = True
        made[owner] = layer if holds else None
    return made


def stand_back() -> None:
    """In the child: mail comes first. A filter of system calls may forbid it, and then it learns as quickly as it can."""
    with contextlib.suppress(OSError):
        os.nice(NICE)

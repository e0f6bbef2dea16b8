"""Teaching by hand: messages from files become lessons, and the lessons a model, beside a running gate or without one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gatepost.app.installation import Installation
from gatepost.jobs.learning import Learnt, catch_up
from gatepost.office.teaching import BATCH, MOST_OCTETS, Teacher, kind, lesson, teach
from gatepost.scan.source import Found
from gatepost.store.lessons import NewLesson
from gatepost.store.postmaster import Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What came of it."""

    read: int
    learnt: int
    known: int
    """Taught before, just so."""
    over: int
    """Left out, because a person has taught enough for a day."""
    unreadable: int


def teach_messages(
    installation: Installation,
    found: Iterable[Found],
    teacher: Teacher,
    *,
    spam: bool | None,
    why: str,
    complain: Callable[[str], None],
) -> Taught:
    """Write a lesson for each message; they are learnt by `learn_now`, or by a running gate within seconds.

    What is no message is told to `complain`, one sentence each. Raises StoreFailed.
    """
    read = learnt = known = over = unreadable = 0
    batch: list[NewLesson] = []
    bound = installation.loaded.config.learning.person_a_day

    def write() -> None:
        nonlocal learnt, known, over
        if not batch:
            return
        whose = f" for <{teacher.owner}>" if teacher.owner else ""
        many = f" ({len(batch)} messages)" if len(batch) > 1 else ""
        reason = Why(who=teacher.who, why=why, at=time.time())
        done = installation.run(
            teach(
                installation.store, batch, reason, person_a_day=bound, say=f"learn {kind(spam)}{whose}{many}"
            )
        )
        learnt, known, over = learnt + done.learnt, known + done.known, over + done.over
        batch.clear()

    for one in found:
        if one.problem or len(one.octets) > MOST_OCTETS:
            unreadable += 1
            complain(f"{one.path}: {one.problem or 'is too large to learn from'}")
            continue
        read += 1
        batch.append(lesson(one.octets, teacher, spam=spam))
        if len(batch) >= BATCH:
            write()
    write()
    return Taught(read=read, learnt=learnt, known=known, over=over, unreadable=unreadable)


def learn_now(installation: Installation, *, again: bool = False) -> Learnt:
    """Make the model of what was taught, here and now; `again` makes it anew. Raises OSError."""
    return catch_up(installation.loaded.state, installation.loaded.config.learning, again=again)

"""From a message to a lesson: what we put in front of it is taken off, what it says is digested, its features are kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.classify.features import Features, features
from gatepost.mail.content import content_of
from gatepost.mail.message import Message, to_crlf
from gatepost.store import journal, lessons
from gatepost.store.database import Connection
from gatepost.store.lessons import NewLesson
from gatepost.store.postmaster import Why
from gatepost.store.store import Store

OUR_FIELDS = 12
"""Our X-Gatepost field stands among the first so many, or it is not ours."""
REF = re.compile(rb"ref=([0-9A-Z]{8,20})(?:;|\Z)")
MOST_OCTETS = 16 << 20
"""Larger messages teach nothing."""
DAY_S = 86_400.0
BATCH = 200
"""Lessons in one commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """Who teaches, and whose lesson it is."""

    who: str
    """As the journal names people."""
    how: str
    """``command``, ``release``, ``moved`` or ``report``."""
    owner: str = ""
    """A person's address: then it is that person's lesson; empty: the site's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of teaching."""

    learnt: int = 0
    known: int = 0
    """Taught before, just so."""
    over: int = 0
    """Left out, because a person has taught enough for a day."""


def features_of(message: Message) -> Features:
    """For `Message.once`: what learners see of it."""
    return features(content_of(message), message)


def lesson(octets: bytes, teacher: Teacher, *, spam: bool | None, ref: str = "") -> NewLesson:
    """One message as a lesson. `ref` is its reference, if the message does not bear it itself."""
    message, own_ref = as_it_came(octets)
    return NewLesson(
        content=digest(message), spam=spam, owner=teacher.owner.lower(), how=teacher.how, who=teacher.who,
        ref=ref or own_ref, features=message.once(features_of).to_bytes(),
    )  # fmt: skip


def as_it_came(octets: bytes) -> tuple[Message, str]:
    """The message without what was put in front of it since it reached the gate, and its reference if it has one.

    Our fields come first and X-Gatepost is the last of them; foreign ones of that name were taken out.
    """
    message = Message.parse(to_crlf(octets))
    for one in message.fields[:OUR_FIELDS]:
        if one.name == b"x-gatepost":
            found = REF.search(message.value(one))
            return Message.parse(message.octets[one.end :]), found[1].decode() if found else ""
    return message, ""


def digest(message: Message) -> bytes:
    """The same for every copy of a message, whoever got it and however it travelled."""
    told = hashlib.sha256()
    for name in (b"from", b"subject"):
        told.update((message.get(name) or b"") + b"\0")
    told.update(bytes(message.body).rstrip())
    return told.digest()[:16]


async def teach(
    store: Store, given: Sequence[NewLesson], why: Why, *, person_a_day: int = 0, say: str = ""
) -> Done:
    """Write lessons down, with a line in the journal; they are learnt at the next round.

    A person's lessons beyond `person_a_day` within a day are left out; 0 is no bound. `say` is what the journal says
    was done; without it the lesson itself is told.
    """

    def work(connection: Connection) -> Done:
        learnt = known = over = 0
        for one in given:
            if one.owner and person_a_day:
                lately = lessons.given_since(connection, one.owner, why.at - DAY_S)
                if lately >= person_a_day:
                    over += 1
                    continue
            if lessons.add(connection, one, at=why.at):
                learnt += 1
            else:
                known += 1
        if learnt:
            first = given[0]
            what = say or f"learn {kind(first.spam)}" + (f" for <{first.owner}>" if first.owner else "")
            subject = first.ref if len(given) == 1 else ""
            journal.append(connection, at=why.at, who=why.who, what=what, why=why.why, subject=subject)
        return Done(learnt=learnt, known=known, over=over)

    return await store.database.commit(work)


def kind(spam: bool | None) -> str:
    """In the words of `gatepost learn`."""
    return "forget" if spam is None else "spam" if spam else "ham"

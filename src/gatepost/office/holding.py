"""What is held, in people's hands: seen, released, asked for, denied, deleted and taught from, by right and by ownership.

Whoever has `Right.RELEASE` decides about everybody's held mail, malware aside. Everybody else sees their own, releases
what `[quarantine] people_may_release` names, and asks for the rest; nobody releases malware to themselves. What waits
for approval on its way out is not its recipients' before somebody approved it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from gatepost.accepting.acquainting import remember_let_go
from gatepost.access.rights import Actor, Right
from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.office.teaching import MOST_OCTETS, Teacher, lesson, teach
from gatepost.store import holds, lessons, quarantine
from gatepost.store.approvals import CATEGORY as APPROVAL
from gatepost.store.database import Connection
from gatepost.store.journal import Why
from gatepost.store.lessons import NewLesson
from gatepost.store.postmaster import MALWARE, moved
from gatepost.store.quarantine import WAITING, State, Wanted
from gatepost.store.records import DeliveryAttempt, Held

AT_ONCE = 500
"""Copies that one act may be about."""
LOOK_AGAIN_S = 0.1
LONGEST_REASON = 500
NOT_HERE = "There is no such held message, or it is not yours."


class May(StrEnum):
    """The most that somebody may do to let a copy go."""

    RELEASE = "release"
    REQUEST = "request"
    """Ask for it; a postmaster decides."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What came of an act on several copies."""

    done: tuple[Held, ...] = ()
    """As they were before."""
    requested: tuple[Held, ...] = ()
    """Asked for instead of released."""
    left: Mapping[int, str] = field(default_factory=dict)
    """The number of a copy that stayed as it was -> why, one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The quarantine as people act on it."""

    office: Office
    people_may_release: frozenset[str] = frozenset({"spam"})
    """Categories of their own mail."""

    # Looking

    async def listed(
        self, actor: Actor, wanted: Wanted, *, before: int | None = None, limit: int = 50
    ) -> list[Held]:
        """Copies the actor may see, newest first; `before` is the last number of the page before. Raises Busy."""
        if not self.sees_all(actor):
            own = (
                actor.addresses if wanted.addresses is None else set(wanted.addresses) & set(actor.addresses)
            )
            if not own:
                return []
            wanted = Wanted(
                state=wanted.state, category=wanted.category, to=wanted.to, sender=wanted.sender,
                addresses=tuple(own), decided=wanted.decided, without=APPROVAL,
            )  # fmt: skip
        return await self.office.read_long(
            actor, lambda connection: quarantine.search(connection, wanted, before=before, limit=limit)
        )

    def show(self, actor: Actor, ref: str) -> list[Held]:
        """Every copy of a message that the actor may see, decided ones too. Raises NotAllowed when there is none."""
        found = [one for one in self.office.store.held(ref=ref, decided=True) if self.sees(actor, one)]
        if not found:
            raise NotAllowed(NOT_HERE)
        return found

    def sees_all(self, actor: Actor) -> bool:
        """Everybody's held mail?"""
        return actor.may(Right.RELEASE) or actor.may(Right.MESSAGES)

    def sees(self, actor: Actor, copy: Held) -> bool:
        """This copy?"""
        return self.sees_all(actor) or is_theirs(actor, copy)

    def may(self, actor: Actor, copy: Held) -> May:
        """The most the actor may do to let an undecided copy go."""
        if State(copy.state) not in WAITING:
            return May.NOTHING
        if copy.category == MALWARE:
            return May.RELEASE if actor.may(Right.RELEASE_MALWARE) else May.NOTHING
        if actor.may(Right.RELEASE):
            return May.RELEASE
        if not is_theirs(actor, copy):
            return May.NOTHING
        return May.RELEASE if copy.category in self.people_may_release else May.REQUEST

    # Acting

    async def release(
        self, actor: Actor, numbers: Sequence[int], reason: str = "", *, learn: bool = True
    ) -> Decided:
        """Let copies go, byte for byte as they came; what the actor may only ask for is asked for.

        Malware takes the right to it, a reason and a fresh proof (raises ProveAgain). With `learn` the classifier is
        taught in the same commit: for everybody by who may teach, else for the person alone. Whom approved mail goes to
        is known from then on, as if it had gone out at once.
        """
        copies = self._undecided(actor, numbers)
        if any(one.category == MALWARE and self.may(actor, one) is May.RELEASE for one in copies):
            self.office.insist_on_proof(actor)
        told = self._lessons(actor, copies) if learn else {}
        why = self._why(actor, reason)

        def then(connection: Connection, copy: Held, _: Why) -> None:
            if copy.ref in told:
                lessons.add(connection, told[copy.ref], at=why.at)

        def work(connection: Connection) -> tuple[Decided, list[str]]:
            current, left = self._now(connection, copies, numbers)
            go, ask = list[Held](), list[Held]()
            for copy in current:
                may = self.may(actor, copy)
                if may is May.RELEASE and copy.category == MALWARE and not why.why:
                    left[copy.id] = "It is held as malware: letting it go takes a reason."
                elif may is May.RELEASE:
                    go.append(copy)
                elif may is May.REQUEST and copy.state == State.HELD:
                    ask.append(copy)
                else:
                    left[copy.id] = why_left(copy)
            done, files = moved(connection, go, State.RELEASED, why, then)
            approved = [(one.ref, one.to) for one in done if one.category == APPROVAL]
            remember_let_go(connection, approved, at=why.at)
            asked, _ = moved(connection, ask, State.REQUESTED, why)
            return Decided(done=tuple(done), requested=tuple(asked), left=left), files

        return await self._commit(work)

    async def request(self, actor: Actor, numbers: Sequence[int], reason: str = "") -> Decided:
        """Ask for copies; a postmaster decides. Not for malware."""

        def may(copy: Held) -> str:
            return "" if self.may(actor, copy) is not May.NOTHING else why_left(copy)

        return await self._decide(actor, numbers, State.REQUESTED, reason, may)

    async def deny(self, actor: Actor, numbers: Sequence[int], reason: str = "") -> Decided:
        """Not let go though asked for. Raises NotAllowed."""
        self.office.insist(actor, Right.RELEASE)
        return await self._decide(actor, numbers, State.HELD, reason, lambda _: "")

    async def delete(self, actor: Actor, numbers: Sequence[int], reason: str = "") -> Decided:
        """Delete copies for good: everybody's with the right, one's own always."""

        kept = self.on_hold(numbers)

        def may(copy: Held) -> str:
            if copy.id in kept:
                return "A legal hold is in force over it: it may not be deleted."
            return "" if actor.may(Right.RELEASE) or is_theirs(actor, copy) else NOT_HERE

        return await self._decide(actor, numbers, State.DELETED, reason, may)

    def on_hold(self, numbers: Sequence[int]) -> set[int]:
        """Those of the copies that a legal hold keeps from deletion."""
        return self.office.store.database.read(lambda c: holds.copies_on_hold(c, list(numbers)))

    async def teach(self, actor: Actor, ref: str, *, spam: bool | None, reason: str = "") -> None:
        """Teach the classifier from a held message: for everybody by who may, else for the actor alone.

        Raises NotAllowed, and Impossible when the message is not kept any more.
        """
        copies = self.show(actor, ref)
        if not actor.may(Right.TEACH):  # what one teaches for oneself alone is about one's own copy
            copies = [one for one in copies if is_theirs(actor, one)]
        if not copies:
            raise NotAllowed(NOT_HERE)
        new = self._lesson(actor, copies[0], spam=spam)
        if new is None:
            raise Impossible("The message is not kept any more, or it teaches nothing.")
        await teach(self.office.store, [new], self._why(actor, reason))

    async def answers(
        self, copies: Sequence[Held], since: float, *, wait_s: float
    ) -> dict[tuple[str, str], DeliveryAttempt]:
        """What the next hop said to released copies, by reference and address, for those it answered within `wait_s`."""
        wanted = {(one.ref, one.to) for one in copies}
        until = asyncio.get_running_loop().time() + wait_s
        while True:
            found = {
                (ref, one.to): one
                for ref in {ref for ref, _ in wanted}
                for one in self.office.store.attempts_of(ref)
                if one.at >= since and (ref, one.to) in wanted
            }
            if len(found) == len(wanted) or asyncio.get_running_loop().time() >= until:
                return found
            await asyncio.sleep(LOOK_AGAIN_S)

    # How

    async def _decide(
        self, actor: Actor, numbers: Sequence[int], state: State, reason: str, may: Any
    ) -> Decided:
        copies, why = self._undecided(actor, numbers), self._why(actor, reason)

        def work(connection: Connection) -> tuple[Decided, list[str]]:
            current, left = self._now(connection, copies, numbers)
            go = []
            for copy in current:
                problem = may(copy)
                if problem:
                    left[copy.id] = problem
                else:
                    go.append(copy)
            done, files = moved(connection, go, state, why)
            left |= {one.id: why_left(one) for one in set_aside(go, done)}
            return Decided(done=tuple(done), left=left), files

        return await self._commit(work)

    async def _commit(self, work: Any) -> Decided:
        decided, files = await self.office.store.database.commit(work)
        self.office.store.forget(files)
        assert isinstance(decided, Decided)
        return decided

    def _undecided(self, actor: Actor, numbers: Sequence[int]) -> list[Held]:
        """Those of the copies that the actor may see. Raises NotAllowed when that is none, Impossible when too many."""
        if len(numbers) > AT_ONCE:
            raise Impossible(f"At most {AT_ONCE} at once.")
        found = self.office.store.database.read(partial(quarantine.numbered, numbers=numbers))
        seen = [one for one in found if self.sees(actor, one)]
        if not seen:
            raise NotAllowed(NOT_HERE)
        return seen

    def _now(
        self, connection: Connection, seen: Sequence[Held], numbers: Sequence[int]
    ) -> tuple[list[Held], dict[int, str]]:
        """The copies as they stand within the transaction, and those that are not the actor's to see."""
        known = {one.id for one in seen}
        left = {number: NOT_HERE for number in numbers if number not in known}
        return quarantine.numbered(connection, sorted(known)), left

    def _why(self, actor: Actor, reason: str) -> Why:
        return self.office.why(actor, reason.strip()[:LONGEST_REASON])

    def _lessons(self, actor: Actor, copies: Iterable[Held]) -> dict[str, NewLesson]:
        """By reference; a lost key is told here, before anything is changed."""
        told: dict[str, NewLesson] = {}
        for copy in copies:
            if copy.ref not in told and copy.category != MALWARE and self.may(actor, copy) is May.RELEASE:
                new = self._lesson(actor, copy, spam=False)
                if new is not None:
                    told[copy.ref] = new
        return told

    def _lesson(self, actor: Actor, copy: Held, *, spam: bool | None) -> NewLesson | None:
        if copy.size > MOST_OCTETS or copy.category == MALWARE:
            return None
        try:
            octets = self.office.store.octets_of(copy.ref)
        except KeyError:
            return None
        owner = "" if actor.may(Right.TEACH) else copy.to
        return lesson(octets, Teacher(who=actor.who, how="release", owner=owner), spam=spam, ref=copy.ref)


def is_theirs(actor: Actor, copy: Held) -> bool:
    """Is it the actor's own? What waits for approval is still on its way out: it belongs to none of its recipients."""
    return actor.owns(copy.to) and copy.category != APPROVAL


def why_left(copy: Held) -> str:
    """Why nothing was done to it."""
    if State(copy.state) not in WAITING:
        return f"It is {copy.state} already."
    if copy.category == MALWARE:
        return "It is held as malware; who looks after the quarantine decides."
    if copy.state == State.REQUESTED:
        return "It is asked for already; a postmaster decides."
    return "This is not yours to decide."


def set_aside(wanted: Iterable[Held], done: Iterable[Held]) -> list[Held]:
    """Those that were not done."""
    numbers = {one.id for one in done}
    return [one for one in wanted if one.id not in numbers]

"""Reading somebody's held mail: by ownership, by right, or by breaking the glass; each look is written down, and told.

Breaking the glass takes a reason, a fresh proof, mostly a second person who agrees, and ends by itself. It is for reading
only. The owner is told by mail when it opens, and sees every look under "Who looked at my mail".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gatepost.access.rights import Actor, Right
from gatepost.mail.address import parse_address
from gatepost.office.holding import is_theirs
from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.store import glass, journal
from gatepost.store.database import Connection
from gatepost.store.glass import Breaking, Stand, View
from gatepost.store.postmaster import MALWARE
from gatepost.store.records import Held

LONGEST_S = 4 * 3600.0
ONE_LOOK_S = 60.0
"""A page and the frame in it, or a page loaded again at once, are one look."""
LEAST_REASON = 10
"""Characters; a reason is a sentence."""
LONGEST_REASON = 1000
NOT_HERE = "There is no such held message, or it is not yours to read."

Tell = Callable[[str, Breaking], Awaitable[None]]
"""Writes to the owner's address that somebody may read their held mail now."""


async def nobody_told(_: str, __: Breaking) -> None:
    """Where no letter can be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glass:
    """Who may read what is held, and for how long."""

    office: Office
    two_people: bool = True
    """A second person must agree."""
    tell: Tell = nobody_told

    async def ask(
        self, actor: Actor, owner: str, reason: str, *, case_number: str = "", lasts_s: float = 3600.0
    ) -> Breaking:
        """Ask to read what is held for an address. Open at once where one person is enough.

        Raises NotAllowed, ProveAgain, or Impossible with what is missing.
        """
        self.office.insist(actor, Right.BREAK_GLASS)
        self.office.insist_on_proof(actor)
        address = parse_address(owner.strip(), smtputf8=True)
        if address is None:
            raise Impossible("Whose mail? Give one address.")
        if len(reason.strip()) < LEAST_REASON:
            raise Impossible("Say why in a sentence: the owner reads it.")
        if not 0 < lasts_s <= LONGEST_S:
            raise Impossible("At most 4 hours.")
        now = self.office.clock()

        def work(connection: Connection) -> Breaking:
            number = glass.ask(
                connection, owner=address.key.lower(), account=actor.account, who=actor.who, at=now,
                reason=reason.strip()[:LONGEST_REASON], case_number=case_number.strip()[:100], lasts_s=lasts_s,
                two_people=self.two_people,
            )  # fmt: skip
            self._note(connection, actor, f"glass ask {number} <{address.key.lower()}>", reason)
            if not self.two_people:
                glass.open_up(connection, number, at=now)
                self._note(connection, actor, f"glass open {number} <{address.key.lower()}>", reason)
            return self._found(connection, number)

        breaking = await self.office.store.database.commit(work)
        if breaking.stand(now) is Stand.OPEN:
            await self.tell(breaking.owner, breaking)
        return breaking

    async def agree(self, actor: Actor, number: int) -> Breaking:
        """Be the second person: it opens now. Raises NotAllowed, ProveAgain, Impossible."""
        breaking = await self._second(actor, number, opens=True)
        await self.tell(breaking.owner, breaking)
        return breaking

    async def refuse(self, actor: Actor, number: int) -> Breaking:
        """Be the second person, and say no. Raises NotAllowed, ProveAgain, Impossible."""
        return await self._second(actor, number, opens=False)

    async def close(self, actor: Actor, number: int) -> None:
        """End it before its time: whoever asked, or who may agree. Raises NotAllowed."""

        def work(connection: Connection) -> None:
            breaking = glass.find(connection, number)
            if breaking is None or not (breaking.asked_by == actor.account or actor.may(Right.APPROVE)):
                raise NotAllowed(NOT_HERE)
            glass.end(connection, number, at=self.office.clock())
            self._note(connection, actor, f"glass close {number} <{breaking.owner}>", "")

        await self.office.store.database.commit(work)

    def listed(self, actor: Actor, *, before: int | None = None, limit: int = 100) -> list[Breaking]:
        """All for who may agree or read the journal; else one's own, newest first. Raises NotAllowed."""
        if actor.may(Right.APPROVE) or actor.may(Right.JOURNAL):
            account = None
        elif actor.may(Right.BREAK_GLASS):
            account = actor.account
        else:
            raise NotAllowed("This is for who may break the glass.")
        return self.office.store.database.read(
            lambda connection: glass.listed(connection, account=account, before=before, limit=limit)
        )

    def looks_at_mine(self, actor: Actor, *, before: int | None = None, limit: int = 100) -> list[View]:
        """Who looked at the actor's held mail."""
        self.office.insist(actor, Right.OWN)
        return self.office.store.database.read(
            lambda connection: glass.views(connection, owners=actor.addresses, before=before, limit=limit)
        )

    def breakings_of_mine(self, actor: Actor, *, limit: int = 50) -> list[Breaking]:
        """Who was given leave to, whether or not they looked."""
        self.office.insist(actor, Right.OWN)
        return self.office.store.database.read(
            lambda connection: glass.listed(connection, owners=actor.addresses, limit=limit)
        )

    def looks(self, actor: Actor, *, before: int | None = None, limit: int = 100) -> list[View]:
        """Every look of anybody at anybody's mail. Raises NotAllowed."""
        self.office.insist(actor, Right.JOURNAL)
        return self.office.store.database.read(lambda c: glass.views(c, before=before, limit=limit))

    # Reading

    def may_read(self, actor: Actor, ref: str) -> bool:
        """Would `read` give it? Nothing is written down by asking."""
        return self._leave(actor, self.office.store.held(ref=ref)) is not None

    async def read(self, actor: Actor, ref: str, how: str = "read") -> bytes:
        """A held message as it came, once the look is on record. `how`: read, downloaded or attachment.

        Read is to be shown harmlessly; in any other way malware goes only to whoever may release it.
        Raises NotAllowed, and KeyError or StoreFailed when the octets are gone or cannot be opened.
        """
        copies = self.office.store.held(ref=ref)
        leave = self._leave(actor, copies)
        if leave is None or (how != "read" and not may_take_out(actor, copies)):
            raise NotAllowed(NOT_HERE)
        octets = self.office.store.octets_of(ref)
        if leave != OWN:
            await self.office.store.database.commit(
                partial(self._write_down, actor=actor, copies=copies, leave=leave, how=how)
            )
        return octets

    def _leave(self, actor: Actor, copies: list[Held]) -> int | None:
        """OWN, BY_RIGHT, or the number of the breaking; None when it may not be read."""
        if not copies:
            return None
        if any(is_theirs(actor, one) for one in copies):
            return OWN
        if actor.may(Right.CONTENT):
            return BY_RIGHT
        if not actor.may(Right.BREAK_GLASS):
            return None
        owners, now = [one.to.lower() for one in copies], self.office.clock()
        found = self.office.store.database.read(
            partial(glass.open_for, account=actor.account, owners=owners, now=now)
        )
        return found.id if found is not None else None

    def _write_down(
        self, connection: Connection, *, actor: Actor, copies: list[Held], leave: int, how: str
    ) -> None:
        since = self.office.clock() - ONE_LOOK_S
        if glass.viewed_since(connection, account=actor.account, ref=copies[0].ref, how=how, since=since):
            return
        breaking = glass.find(connection, leave) if leave > 0 else None
        owners = {one.to.lower() for one in copies} if breaking is None else {breaking.owner}
        for owner in sorted(owners):
            glass.view(
                connection, at=self.office.clock(), account=actor.account, who=actor.who, owner=owner,
                ref=copies[0].ref, how=how, glass=breaking.id if breaking else None,
            )  # fmt: skip
        reason = breaking.reason if breaking else ""
        what = f"quarantine {how} {' '.join(f'<{one}>' for one in sorted(owners)[:5])}"
        self._note(connection, actor, what, reason, subject=copies[0].ref)

    # How

    async def _second(self, actor: Actor, number: int, *, opens: bool) -> Breaking:
        self.office.insist(actor, Right.APPROVE)
        self.office.insist_on_proof(actor)
        now = self.office.clock()

        def work(connection: Connection) -> Breaking:
            breaking = glass.find(connection, number)
            if breaking is None or breaking.stand(now) is not Stand.ASKED:
                raise Impossible("Nobody waits for an answer to that any more.")
            if actor.account == breaking.asked_by:
                raise Impossible("The second person must be another than the one who asked.")
            if actor.owns(breaking.owner):
                raise Impossible("It is your own mail; somebody else must agree.")
            glass.decide(connection, number, account=actor.account, who=actor.who, at=now)
            if opens:
                glass.open_up(connection, number, at=now)
            word = "agree" if opens else "refuse"
            self._note(connection, actor, f"glass {word} {number} <{breaking.owner}>", breaking.reason)
            return self._found(connection, number)

        return await self.office.store.database.commit(work)

    def _found(self, connection: Connection, number: int) -> Breaking:
        breaking = glass.find(connection, number)
        assert breaking is not None
        return breaking

    def _note(self, connection: Connection, actor: Actor, what: str, reason: str, subject: str = "") -> None:
        why = self.office.why(actor, reason.strip()[:LONGEST_REASON])
        journal.append(connection, at=why.at, who=why.who, what=what, why=why.why, subject=subject)


def may_take_out(actor: Actor, copies: Sequence[Held]) -> bool:
    """May its octets leave the gate with the actor? Taking malware out is as good as its release."""
    return actor.may(Right.RELEASE_MALWARE) or all(one.category != MALWARE for one in copies)


OWN = 0
"""It is the reader's own mail."""
BY_RIGHT = -1
"""`Right.CONTENT`."""

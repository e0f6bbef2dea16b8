"""What every act of the office needs, and the two ways in which it refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gatepost.access.rights import Actor, Right
from gatepost.access.settings import AccessSettings
from gatepost.mail.address import Address
from gatepost.office.longreads import SEARCH_S, LongReads
from gatepost.store.database import Connection
from gatepost.store.journal import Why
from gatepost.store.store import Store

T = TypeVar("T")
STEP_UP_S = 300.0
"""A sensitive act asks for a proof no older than this."""


class NotAllowed(Exception):
    """The actor lacks a right; `str()` is a sentence for them. Looks the same whether or not the thing exists."""


class ProveAgain(Exception):
    """The act is allowed, and asks for a fresh proof of who is acting."""


class Impossible(Exception):
    """The act is allowed and cannot be done as asked; `str()` says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """One installation as people act on it."""

    store: Store
    clock: Callable[[], float]
    """Unix seconds."""
    random: Callable[[int], bytes]
    """So many unpredictable octets."""
    hostname: str
    step_up_s: float = STEP_UP_S
    access: AccessSettings = field(default_factory=AccessSettings)
    finals: Callable[[Address], Sequence[Address]] | None = None
    """Where mail to an address of ours ends up, for letters to people; None: none are written."""

    long_reads: LongReads = field(default_factory=LongReads)

    async def read_long(
        self, actor: Actor, work: Callable[[Connection], T], *, seconds: float = SEARCH_S
    ) -> T:
        """What may take long to find, in the actor's turn. Raises Busy, or TookTooLong after `seconds`."""
        return await self.long_reads.read(self.store.database, actor, work, seconds=seconds)

    def why(self, actor: Actor, reason: str = "") -> Why:
        """What the journal keeps beside the act."""
        return Why(who=actor.who, why=reason, at=self.clock())

    def insist(self, actor: Actor, right: Right) -> None:
        """Raises NotAllowed."""
        if not actor.may(right):
            raise NotAllowed(f"This takes the right {right.value}, which {actor.login} does not have.")

    def insist_on_person(self, actor: Actor) -> None:
        """Raises NotAllowed for a program with a token: what gives a way in takes a person there and then."""
        if actor.via == "api":
            raise NotAllowed("This takes a person at the console: no token may do it.")

    def insist_on_proof(self, actor: Actor) -> None:
        """Raises ProveAgain when the last proof is too old for a sensitive act."""
        if actor.via == "console" and self.clock() - actor.proved_at > self.step_up_s:
            raise ProveAgain("Please prove once more that it is you.")

"""Searches and exports: long reads, one at a time for each person, few at once in all, and each with an end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from gatepost.access.rights import Actor
from gatepost.store.database import Connection, Database
from gatepost.store.patience import Patience, patient

T = TypeVar("T")
AT_ONCE = 4
"""Of all people together: more would only take the processors from one another."""
WAITING = 8
"""Of one person: so many wait for the one that runs."""
WAIT_S = 15.0
SEARCH_S = 10.0
EXPORT_S = 120.0
"""For what goes through everything about somebody, or through recorded mail, once."""


class Busy(Exception):
    """Another of theirs runs; `str()` is a sentence for them."""


@dataclass(slots=True)
class LongReads:
    """Whose turn it is. One for each console."""

    wait_s: float = WAIT_S
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _own: dict[str, asyncio.Lock] = field(default_factory=dict)
    _interested: Counter[str] = field(default_factory=Counter)
    """How many of each person run or wait."""
    _exporting: set[str] = field(default_factory=set)

    async def read(
        self, database: Database, actor: Actor, work: Callable[[Connection], T], *, seconds: float = SEARCH_S
    ) -> T:
        """`work` on a connection of its own, in its person's turn. Raises Busy, TookTooLong or StoreFailed.

        A command on the machine itself takes the time it takes.
        """
        if actor.via == "command":
            return await database.read_apart(work)
        async with self._turn(actor.login):
            with patient(Patience(long_s=seconds)):
                return await database.read_apart(work)

    @contextmanager
    def exporting(self, actor: Actor) -> Iterator[None]:
        """Within, they take data out, slice by slice; a second file has to wait for the first. Raises Busy."""
        if actor.login in self._exporting:
            raise Busy("Another file is being made for you. Wait until it has come, or stop it.")
        self._exporting.add(actor.login)
        try:
            yield
        finally:
            self._exporting.discard(actor.login)

    @asynccontextmanager
    async def _turn(self, who: str) -> AsyncIterator[None]:
        if self._interested[who] > WAITING:
            raise Busy("Too many searches of yours wait already. Let them come first.")
        self._interested[who] += 1
        own = self._own.setdefault(who, asyncio.Lock())
        try:
            taken: list[asyncio.Lock | asyncio.Semaphore] = []
            try:
                async with asyncio.timeout(self.wait_s):
                    for one in (own, self._places):
                        await one.acquire()
                        taken.append(one)
            except TimeoutError:
                for one in taken:
                    one.release()
                raise Busy("Another search runs. Wait until it has come, and ask again.") from None
            except BaseException:
                for one in taken:
                    one.release()
                raise
            try:
                yield
            finally:
                for one in taken:
                    one.release()
        finally:
            self._interested[who] -= 1
            if not self._interested[who]:
                del self._interested[who], self._own[who]

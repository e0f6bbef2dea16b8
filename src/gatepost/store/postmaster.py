"""What a person does to queue and quarantine. Every act is in the journal, in the same commit as the act.

A copy is named by its message's reference and, where there are several, its final address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gatepost.store import journal, quarantine, queue
from gatepost.store.database import Connection
from gatepost.store.journal import Why
from gatepost.store.quarantine import State
from gatepost.store.records import Held, Queued
from gatepost.store.store import Store
from gatepost.tools import Unavailable

__all__ = ["Dangerous", "OnRelease", "Postmaster", "Why"]

ALL = 100_000
"""No message has more copies than this."""
MALWARE = "malware"
Act = Callable[[Connection, Any], tuple[bool, str | None]]
"""Does it to one copy; says whether it could, and which spool file is then to be removed."""


class Dangerous(Unavailable):
    """It is held as malware: only with `force` and a reason."""


OnRelease = Callable[[Connection, Held, Why], None]
"""Called for each copy that is let out, in the same commit: where the classifier is taught."""


class Postmaster:
    """The store in a person's hands."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def retry_now(self, ref: str, why: Why, *, to: str | None = None) -> list[Queued]:
        """Let copies fall due at once, held ones too. Returns those it did so for; one that is being tried is left."""

        def act(connection: Connection, copy: Queued) -> tuple[bool, None]:
            return queue.retry_now(connection, copy.id, now=why.at), None

        return await self._queued("queue retry", ref, to, why, act)

    async def hold(self, ref: str, why: Why, *, to: str | None = None) -> list[Queued]:
        """Stop copies in the queue until they are retried by hand. Returns those it stopped."""

        def act(connection: Connection, copy: Queued) -> tuple[bool, None]:
            return queue.hold(connection, copy.id, why.why or f"by {why.who}"), None

        return await self._queued("queue hold", ref, to, why, act)

    async def drop(self, ref: str, why: Why, *, to: str | None = None) -> list[Queued]:
        """Take copies out of the queue, undelivered and without a DSN. Returns those it took out."""

        def act(connection: Connection, copy: Queued) -> tuple[bool, str | None]:
            return True, queue.remove(connection, copy.id)

        return await self._queued("queue drop", ref, to, why, act)

    async def release(
        self,
        ref: str,
        why: Why,
        *,
        to: str | None = None,
        force: bool = False,
        on_release: OnRelease | None = None,
    ) -> list[Held]:
        """Let copies out of quarantine into the queue, byte for byte. Returns those it let out.

        Raises Dangerous when one is held as malware, unless there is `force` and a reason.
        """

        def harmless(copies: Sequence[Held]) -> None:
            insist_on_force(copies, force=force, why=why.why)

        return await self._move(State.RELEASED, ref, why, to, ready=harmless, then=on_release)

    async def delete(self, ref: str, why: Why, *, to: str | None = None) -> list[Held]:
        """Delete copies from quarantine for good. Returns those it deleted."""
        return await self._move(State.DELETED, ref, why, to)

    async def request(self, ref: str, why: Why, *, to: str | None = None) -> list[Held]:
        """A recipient asks for copies to be let go; a postmaster decides. Returns those that were only held before."""
        return await self._move(State.REQUESTED, ref, why, to)

    async def deny(self, ref: str, why: Why, *, to: str | None = None) -> list[Held]:
        """Not let go though asked for: they stay held. Returns those that were asked for."""
        return await self._move(State.HELD, ref, why, to)

    async def note(self, what: str, why: Why, *, subject: str = "") -> None:
        """Write into the journal what was done elsewhere (a setting, a list, an account)."""

        def work(connection: Connection) -> None:
            journal.append(connection, at=why.at, who=why.who, what=what, why=why.why, subject=subject)

        await self.store.database.commit(work)

    async def _queued(self, what: str, ref: str, to: str | None, why: Why, act: Act) -> list[Queued]:
        def work(connection: Connection) -> tuple[list[Queued], list[str]]:
            copies = queue.listed(connection, ref=ref, to=to, limit=ALL)
            return each(connection, copies, act, what, why)

        done, files = await self.store.database.commit(work)
        self.store.forget(files)
        return done

    async def _move(
        self,
        state: State,
        ref: str,
        why: Why,
        to: str | None,
        *,
        ready: Callable[[Sequence[Held]], None] = lambda _: None,
        then: OnRelease | None = None,
    ) -> list[Held]:
        def work(connection: Connection) -> tuple[list[Held], list[str]]:
            copies = quarantine.find(connection, ref=ref, to=to, limit=ALL)
            ready(copies)
            return moved(connection, copies, state, why, then)

        done, files = await self.store.database.commit(work)
        self.store.forget(files)
        return done


def insist_on_force(copies: Sequence[Held], *, force: bool, why: str) -> None:
    """Raises Dangerous when one is held as malware, unless there is force and a reason."""
    bad = [copy for copy in copies if copy.category == MALWARE]
    if bad and not (force and why.strip()):
        lacks = "a reason as well" if force else "force and a reason"
        raise Dangerous(f"{bad[0].ref} is held as malware ({bad[0].reason}): letting it go takes {lacks}")


def moved(
    connection: Connection, copies: Sequence[Held], state: State, why: Why, then: OnRelease | None = None
) -> tuple[list[Held], list[str]]:
    """Bring every copy into a state, those that may go there; returns these, and spool files to remove."""
    done, files = [], []
    for copy in copies:
        change = quarantine.move(connection, copy.id, state, why)
        if change is None:
            continue
        done.append(copy)
        if change.file is not None:
            files.append(change.file)
        if then is not None:
            then(connection, copy, why)
    return done, files


def each(
    connection: Connection, copies: Sequence[Queued], act: Act, what: str, why: Why
) -> tuple[list[Queued], list[str]]:
    """Act on every copy and write it down; returns those it worked for, and spool files to remove."""
    done: list[Queued] = []
    files: list[str] = []
    for copy in copies:
        worked, file = act(connection, copy)
        if file is not None:
            files.append(file)
        if worked:
            done.append(copy)
            journal.append(
                connection, at=why.at, who=why.who, what=f"{what} <{copy.to}>", why=why.why, subject=copy.ref
            )
    return done, files

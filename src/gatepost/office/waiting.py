"""What waits for delivery, in people's hands: tried now, stopped, dropped; each in the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatepost.access.rights import Actor, Right
from gatepost.office.office import Impossible, Office
from gatepost.store import queue
from gatepost.store.database import Connection
from gatepost.store.postmaster import each
from gatepost.store.records import Queued

AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The queue as people act on it."""

    office: Office

    async def listed(
        self, actor: Actor, *, ref: str | None = None, to: str | None = None, after: int = 0, limit: int = 100
    ) -> list[Queued]:
        """What waits, oldest first; `after` is the last number of the page before. Raises NotAllowed or Busy."""
        if not actor.may(Right.QUEUE):
            self.office.insist(actor, Right.MESSAGES)
        return await self.office.read_long(
            actor, lambda connection: queue.listed(connection, ref=ref, to=to, after=after, limit=limit)
        )

    async def act(self, actor: Actor, verb: str, numbers: Sequence[int], reason: str = "") -> list[Queued]:
        """``retry``, ``hold`` or ``drop`` copies by their numbers; returns those it was done for.

        Raises NotAllowed, or Impossible for more than 500.
        """
        self.office.insist(actor, Right.QUEUE)
        if len(numbers) > AT_ONCE:
            raise Impossible(f"At most {AT_ONCE} at once.")
        why = self.office.why(actor, reason.strip()[:500])
        acts: dict[str, Callable[[Connection, Queued], tuple[bool, str | None]]] = {
            "retry": lambda connection, copy: (queue.retry_now(connection, copy.id, now=why.at), None),
            "hold": lambda connection, copy: (
                queue.hold(connection, copy.id, why.why or f"by {why.who}"),
                None,
            ),
            "drop": lambda connection, copy: (True, queue.remove(connection, copy.id)),
        }
        if verb not in acts:
            raise Impossible(f"retry, hold or drop, and not {verb[:20]}.")

        def work(connection: Connection) -> tuple[list[Queued], list[str]]:
            copies = queue.numbered(connection, numbers)
            return each(connection, copies, acts[verb], f"queue {verb}", why)

        done, files = await self.office.store.database.commit(work)
        self.office.store.forget(files)
        return done

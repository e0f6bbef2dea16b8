"""Accounts whose mail is held, in people's hands: see them, let their mail go, drop it, hold one."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.accepting.acquainting import remember_let_go
from gatepost.access.rights import Actor, Right
from gatepost.office.office import Impossible, Office
from gatepost.store import heldaccounts
from gatepost.store.database import Connection
from gatepost.store.heldaccounts import HeldAccount
from gatepost.store.journal import Why
from gatepost.store.records import AccountHold


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """The way out of one installation. All of it takes the right to handle the queue."""

    office: Office

    def held(self, actor: Actor) -> list[HeldAccount]:
        """Accounts that are held, the longest held first. Raises NotAllowed."""
        self.office.insist(actor, Right.QUEUE)
        return self.office.store.database.read(heldaccounts.listed)

    async def hold(self, actor: Actor, account: str, reason: str) -> bool:
        """Hold all mail of an account (a login, or a machine's address); False when it was held. Raises NotAllowed, Impossible."""
        self.office.insist(actor, Right.QUEUE)
        if not account.strip() or not reason.strip():
            raise Impossible("Say which account, and why its mail is to be held.")
        why = self.office.why(actor, reason.strip())
        hold = AccountHold(account=account.strip(), at=why.at, reason=why.why, who=why.who)
        return await self.office.store.database.commit(lambda connection: heldaccounts.hold(connection, hold))

    async def release(self, actor: Actor, account: str, reason: str = "") -> int:
        """Let all of it go out; how many copies. Raises NotAllowed, Impossible."""
        self.office.insist(actor, Right.QUEUE)
        why = self.office.why(actor, reason)
        freed = await self.office.store.database.commit(lambda connection: let_go(connection, account, why))
        return _found(freed, account)

    async def drop(self, actor: Actor, account: str, reason: str) -> int:
        """Delete all of it, undelivered; how many copies. The account stays held. Raises NotAllowed, ProveAgain, Impossible."""
        self.office.insist(actor, Right.QUEUE)
        self.office.insist_on_proof(actor)
        why = self.office.why(actor, reason)

        def work(connection: Connection) -> tuple[int, list[str]] | None:
            return heldaccounts.drop(connection, account, why)

        done = await self.office.store.database.commit(work)
        count = _found(None if done is None else done[0], account)
        self.office.store.forget(done[1] if done is not None else [])
        return count


def let_go(connection: Connection, account: str, why: Why) -> int | None:
    """`heldaccounts.release`; whom its mail goes to is known from then on, as if it had gone out at once."""
    copies = heldaccounts.copies_of(connection, account)
    freed = heldaccounts.release(connection, account, why)
    if freed is not None:
        remember_let_go(connection, copies, at=why.at)
    return freed


def _found(count: int | None, account: str) -> int:
    if count is None:
        raise Impossible(f"{account} is not held.")
    return count

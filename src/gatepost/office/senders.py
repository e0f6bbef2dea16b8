"""Senders that people allow and block: for everybody with a right, for one's own mail always."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from gatepost.access.rights import Actor, Right
from gatepost.checks.sender.identity import SHARED_DOMAINS
from gatepost.dns.names import public_suffix
from gatepost.mail.address import normal_domain, parse_address
from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.store import entries
from gatepost.store.entries import Kept
from gatepost.tools import Entry

ALLOWED_S = 180 * 86_400.0
"""An allowance without an end of its own ends after so long."""
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """The entries, in people's hands."""

    office: Office

    def listed(self, actor: Actor, *, mine: bool = False) -> list[Kept]:
        """Everybody's with the right to it, else what holds for the actor's own addresses."""
        found = self.office.store.database.read(entries.listed)
        if actor.may(Right.ENTRIES) and not mine:
            return found
        return [one for one in found if one.entry.recipient and actor.owns(one.entry.recipient)]

    async def add(
        self,
        actor: Actor,
        identity: str,
        *,
        allow: bool,
        recipient: str,
        reason: str,
        expires_at: float | None = None,
    ) -> Entry:
        """Allow or block a sender for one recipient, or with an empty one for all. Raises NotAllowed or Impossible."""
        whose = self._whose(actor, recipient)
        identity = identity_of(identity)
        if allow:
            insist_on_somebody(identity)
            expires_at = expires_at or self.office.clock() + ALLOWED_S
        entry = Entry(
            id=0, allow=allow, identity=identity, recipient=whose, owner=actor.login,
            reason=reason.strip()[:LONGEST_REASON] or f"by {actor.who}", expires_at=expires_at,
        )  # fmt: skip
        why = self.office.why(actor, entry.reason)
        await self.office.store.database.commit(partial(entries.add, entry=entry, why=why))
        return entry

    async def remove(
        self, actor: Actor, identity: str, *, allow: bool, recipient: str, reason: str = ""
    ) -> bool:
        """Take an entry out; False when there is none such. Raises NotAllowed or Impossible."""
        whose, identity = self._whose(actor, recipient), identity_of(identity)
        why = self.office.why(actor, reason[:LONGEST_REASON])
        return await self.office.store.database.commit(
            partial(entries.remove, allow=allow, identity=identity, recipient=whose, why=why)
        )

    def _whose(self, actor: Actor, recipient: str) -> str:
        whose = identity_of(recipient) if recipient else ""
        if not (actor.may(Right.ENTRIES) or (whose and actor.owns(whose))):
            raise NotAllowed("You may allow and block senders for your own addresses only.")
        return whose


def identity_of(text: str) -> str:
    """An address or a domain in its normal form. Raises Impossible."""
    text = text.strip()
    if "@" in text.lstrip("@"):
        address = parse_address(text, smtputf8=True)
        if address is not None:
            return address.key
    else:
        domain = normal_domain(text.lstrip("@"))
        if domain is not None:
            return domain
    raise Impossible(f"{text[:320] or 'nothing'} is neither an address nor a domain.")


def insist_on_somebody(identity: str) -> None:
    """A domain where everybody can have an address proves nobody in particular; nor does a public suffix."""
    if identity in SHARED_DOMAINS or ("@" not in identity and public_suffix(identity) == identity):
        raise Impossible(f"Everybody can have an address at {identity}: allow a whole address.")

"""Instruments for judging without an installation: nothing remembered, everybody known, no DNS."""

from __future__ import annotations

from collections.abc import Sequence

from gatepost.dns.answer import Answer, Status
from gatepost.mail.address import Address
from gatepost.mail.client import Mail
from gatepost.mail.filereport import FileReport
from gatepost.mail.message import Message
from gatepost.store.records import Acceptance, HistoryEntry
from gatepost.tools import (
    Acquaintance,
    Entry,
    Opinion,
    Person,
    RecipientAnswer,
    Standing,
    Unavailable,
)


class Forgetful:
    """A memory that keeps nothing. Implements `tools.Memory` and `tools.Correspondents`."""

    async def get(self, key: str) -> str | None:  # noqa: ARG002 - the seam's signature
        """Nothing."""
        return None

    async def put(self, key: str, value: str, *, ttl_s: float) -> None:
        """Forgotten at once."""

    async def add(self, key: str, amount: int = 1, *, ttl_s: float) -> int:  # noqa: ARG002
        """Every count is the first."""
        return amount

    async def know(self, identity: str, recipient_domain: str) -> Acquaintance | None:  # noqa: ARG002
        """A stranger."""
        return None


class EverybodyKnown:
    """Implements `tools.Recipients`: who the mail is for was settled long ago."""

    async def find(self, address: Address) -> RecipientAnswer:
        """Known."""
        return RecipientAnswer(Standing.KNOWN, f"{address} was accepted before")

    def next_hops(self, _: Address) -> tuple[str, ...]:
        """Nothing is sent on."""
        return ()


class NoDns:
    """A resolver that must not ask; whatever would need it is not run, so this is never decisive."""

    async def lookup(self, name: str, kind: str) -> Answer:  # noqa: ARG002
        """Not asked."""
        return Answer(Status.FAILED, problem="not asked")


class KeepsNothing:
    """Implements `intake.Keeper` for scans, which store nothing."""

    async def carry_out(self, acceptance: Acceptance) -> None:
        """Nothing is carried out."""

    def record_soon(self, entry: HistoryEntry) -> None:
        """Nothing is recorded."""

    def has_room(self) -> bool:
        """Nothing needs none."""
        return True


class Nothing:
    """Implements the instruments of content checks where there are none."""

    own_domains: Sequence[str] = ()
    protected: Sequence[Person] = ()
    partners: Sequence[str] = ()
    some = False

    async def inspect(self, message: Message) -> Sequence[FileReport]:  # noqa: ARG002 - the seam's signature
        """No child to look into files."""
        raise Unavailable("no child is set up that may look into attachments")

    async def scan(self, octets: bytes) -> str | None:  # noqa: ARG002
        """No scanner."""
        raise Unavailable("no virus scanner is set up")

    def opinion(self, mail: Mail) -> Opinion | None:  # noqa: ARG002
        """Nothing was learnt."""
        return None

    async def matching(self, identities: Sequence[str], recipients: Sequence[Address]) -> Sequence[Entry]:  # noqa: ARG002
        """Nobody is allowed or blocked."""
        return ()

    def count(self, entries: Sequence[Entry]) -> None:
        """Nothing was hit."""


NOTHING = Nothing()

"""One transaction: copies of one message to their destination, by SMTP, LMTP or into a Maildir, and what came of each.

It leaves out where to (`routes`), whose turn it is (`runner`) and what is written down of it (`results`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

from gatepost.delivery.loops import loop_in, trace_of
from gatepost.delivery.maildir import Filed, copy_name, file_copy
from gatepost.delivery.routes import Destination as Where
from gatepost.delivery.routes import Elsewhere, MaildirAt
from gatepost.delivery.settings import DeliverySettings
from gatepost.mail.address import Address, parse_address
from gatepost.mail.marking import CannotChange, changed
from gatepost.net.outbound import Sent
from gatepost.net.timers import Limits
from gatepost.smtp.sending import TOO_MANY, Hop, Outcome, Outgoing, OutgoingRecipient, Result
from gatepost.store.failures import StoreFailed
from gatepost.store.records import Hold, QueueItem
from gatepost.tlspolicy.requirement import waives_tls


class Spool(Protocol):
    """What is needed of `store.Store`."""

    def delivered_copy(self, ref: str) -> bytes: ...
    def may_go(self, item: QueueItem) -> bool: ...


class Sender(Protocol):
    """What is needed of `net.outbound.Outbound`."""

    async def send(self, hop: Hop, message: Outgoing) -> Sent: ...
    async def send_to_domain(self, domain: str, message: Outgoing) -> Sent: ...


class Came(NamedTuple):
    """One copy, and what came of it."""

    item: QueueItem
    outcome: Outcome | Hold
    """Hold: it could not even be read."""
    sent: Sent | None = None
    """None where no other server was asked."""
    filed: Filed | None = None


async def _same(octets: bytes) -> bytes:
    """Nothing signs."""
    return octets


@dataclass(slots=True)
class Carrier:
    """Carries what it is given, and says what came of it."""

    store: Spool
    sender: Sender
    hostname: str
    clock: Callable[[], float]
    """Unix seconds."""
    settings: DeliverySettings = field(default_factory=DeliverySettings)
    junk_headers: bytes = b"X-Gatepost-Verdict: junk\r\n"
    """For the next hop's Sieve: see `junk_mark`."""
    forwarded_from: Callable[[str, Address], str] = lambda sender, _: sender
    """The envelope sender of mail that an address of ours sends on elsewhere (`Forwarding.sender`)."""
    signed_again: Callable[[bytes, QueueItem], Awaitable[bytes]] = lambda octets, _: _same(octets)
    """The signatures of a copy that was changed at delivery (`Signer.signed_again`)."""
    _limits: Limits = field(init=False)
    """A transaction ends before its claim does."""

    def __post_init__(self) -> None:
        self._limits = Limits(self.settings.lease_s * 0.9)

    async def carry(self, where: Where, items: Sequence[QueueItem]) -> list[Came]:
        """One entry for each copy but those that were held, or taken out, since they were claimed."""
        if items[0].account:  # its mail may have been held while this waited for its turn
            items = [item for item in items if self.store.may_go(item)]
            if not items:
                return []
        try:
            octets = items[0].octets or self.store.delivered_copy(items[0].ref)
            if items[0].changes:
                octets = await asyncio.to_thread(changed, octets, items[0].changes)
                octets = await self.signed_again(octets, items[0])
        except (KeyError, StoreFailed, OSError, CannotChange) as failure:
            return [Came(item, Hold(f"The message cannot be read: {failure}")) for item in items]
        came: list[Came] = []
        sound: list[QueueItem] = []
        for item in items:
            words = loop_in(octets, traced_address(item, where), received_most=self.settings.received_most)
            if words is None:
                sound.append(item)
            else:
                came.append(Came(item, Outcome(result=Result.FAILED, status="5.4.6", words=words)))
        if isinstance(where, MaildirAt):
            return came + [await self._file(where, item, octets) for item in sound]
        return came + await self._send(where, sound, octets) if sound else came

    async def _file(self, where: MaildirAt, item: QueueItem, octets: bytes) -> Came:
        to = address_of(item.to)
        name = copy_name(created_at=item.created_at, ref=item.ref, item=item.id, hostname=self.hostname)
        copy = trace_of(to, item.sender) + octets
        try:
            filed = await asyncio.to_thread(
                file_copy, base=where.base, to=to, octets=copy, name=name, junk=item.junk
            )
        except OSError as error:
            words = f"The mailbox could not be written: {error.strerror or error}"
            return Came(item, Outcome(result=Result.DEFERRED, status="4.2.0", words=words))
        words = "It was filed at an earlier try." if filed.again else "Filed in the mailbox."
        return Came(item, Outcome(result=Result.DELIVERED, status="2.0.0", words=words), filed=filed)

    async def _send(self, where: Hop | Elsewhere, items: Sequence[QueueItem], octets: bytes) -> list[Came]:
        """One transaction, and another for recipients that were too many for it, as long as some are taken each time."""
        came: list[Came] = []
        try:
            with self._limits.one():
                while items:
                    sent = await self._sent(where, self._message(where, items, octets))
                    going_on, left = some_taken(sent), []
                    for item, outcome in zip(items, sent.outcomes, strict=True):
                        if going_on and outcome.status == TOO_MANY:
                            left.append(item)
                        else:
                            came.append(Came(item, outcome, sent))
                    items = left
        except TimeoutError:
            words = f"The transaction was not over after {self._limits.seconds:.0f} seconds."
            outcome = Outcome(result=Result.DEFERRED, status="4.4.7", words=words)
            sent = Sent(host=str(where), address="", outcomes=(outcome,) * len(items))
            came += [Came(item, outcome, sent) for item in items]
        return came

    async def _sent(self, where: Hop | Elsewhere, message: Outgoing) -> Sent:
        if isinstance(where, Hop):
            return await self.sender.send(where, message)
        return await self.sender.send_to_domain(where.domain, message)

    def _message(self, where: Hop | Elsewhere, items: Sequence[QueueItem], octets: bytes) -> Outgoing:
        first = items[0]
        front = self.junk_headers if first.junk else b""
        sender = first.sender
        if is_forwarded(first):
            front += trace_of(first.recipient.address)
            if isinstance(where, Elsewhere):
                sender = self.forwarded_from(sender, first.recipient.address)
        return Outgoing(
            sender=sender,
            recipients=tuple(
                OutgoingRecipient(address=item.to, notify=item.recipient.notify, orcpt=item.recipient.orcpt)
                for item in items
            ),
            octets=front + octets,
            body=first.envelope.body,
            smtputf8=first.envelope.smtputf8,
            ret=first.envelope.ret,
            envid=first.envelope.envid,
            require_tls=first.envelope.require_tls,
            tls_waived=not first.envelope.require_tls and waives_tls(octets),
        )


def some_taken(sent: Sent) -> bool:
    """Did the message reach anybody?"""
    return any(one.result is Result.DELIVERED for one in sent.outcomes)


def junk_mark(headers: Sequence[str]) -> bytes:
    """The header fields in front of junk mail, from `[marking] junk_headers`."""
    return "".join(f"{one}\r\n" for one in headers).encode("ascii")


@lru_cache(maxsize=4096)
def address_of(text: str) -> Address:
    """A final address as the queue keeps it."""
    address = parse_address(text, smtputf8=True)
    if address is None:
        local, _, domain = text.rpartition("@")
        return Address(local, domain.lower())
    return address


def is_forwarded(item: QueueItem) -> bool:
    """Does it go to another address than it was sent to?"""
    to, named = address_of(item.to), item.recipient.address
    return (to.local != named.local or to.domain != named.domain) and to.key != named.key


def traced_address(item: QueueItem, where: Where) -> str:
    """The address whose Delivered-To would be ours: only where we write one."""
    if isinstance(where, MaildirAt):
        return item.to
    return str(item.recipient.address) if is_forwarded(item) else ""

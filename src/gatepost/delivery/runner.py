"""Getting mail out: claim what is due, hand it on, write down what came of it.

Several recipients of one message at one destination go in one transaction. A crash between the other
side's 250 and our commit delivers again, which is all that SMTP promises (RFC 5321 §4.5.5); a Maildir
copy is recognised. It leaves out where to (`routes`), when (`schedule`) and what a DSN says (`dsn`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gatepost.delivery.loops import loop_in, trace_of
from gatepost.delivery.maildir import copy_name, file_copy
from gatepost.delivery.notices import Notices
from gatepost.delivery.routes import Destination as Where
from gatepost.delivery.routes import Elsewhere, MaildirAt, Routes
from gatepost.delivery.schedule import Destination, delay_is_due, next_attempt
from gatepost.delivery.settings import DeliverySettings
from gatepost.delivery.window import BEGIN, Window
from gatepost.mail.address import Address, parse_address
from gatepost.mail.marking import CannotChange, changed
from gatepost.net.outbound import Sent
from gatepost.smtp.sending import Hop, Outcome, Outgoing, OutgoingRecipient, Result
from gatepost.smtp.sending import Protocol as Speaks
from gatepost.store.failures import StoreFailed
from gatepost.store.records import DeliveryAttempt, Done, Failed, Hold, Notice, QueueItem, RetryAt
from gatepost.store.records import Outcome as Settled
from gatepost.tlspolicy.requirement import waives_tls

_LOG = logging.getLogger("gatepost.delivery")
_JITTERS_KEPT = 1000
_AFTER_A_BUG_S = 900.0
_CLAIM_MOST = 100
"""So many are claimed in one step."""


class Queue(Protocol):
    """What the runner needs of `store.Store`."""

    async def claim(self, now: float, limit: int, lease_s: float, worker: str) -> list[QueueItem]: ...
    async def settle(
        self,
        item: QueueItem,
        attempt: DeliveryAttempt | None,
        outcome: Settled,
        notices: Sequence[Notice] = (),
    ) -> None: ...
    async def give_back(self, worker: str, now: float) -> int: ...
    def delivered_copy(self, ref: str) -> bytes: ...
    def may_go(self, item: QueueItem) -> bool: ...


class Sender(Protocol):
    """What the runner needs of `net.outbound.Outbound`."""

    async def send(self, hop: Hop, message: Outgoing) -> Sent: ...
    async def send_to_domain(self, domain: str, message: Outgoing) -> Sent: ...


_Came = tuple[QueueItem, Outcome, Sent]
"""One copy, and what came of it."""


@dataclass(slots=True, eq=False)
class DeliveryRunner:
    """Run `run()` in one task; `poke()` when mail came in; `stop()` finishes what is in hand."""

    store: Queue
    routes: Routes
    sender: Sender
    hostname: str
    clock: Callable[[], float]
    """Unix seconds."""
    jitter: Callable[[], float]
    """0..1."""
    notices: Notices
    settings: DeliverySettings = field(default_factory=DeliverySettings)
    junk_headers: bytes = b"X-Gatepost-Verdict: junk\r\n"
    """For the next hop's Sieve: see `junk_mark`."""
    retry_first_s: float = 60.0
    """`OutboundSettings.retry_first_s`."""
    forwarded_from: Callable[[str, Address], str] = lambda sender, _: sender
    """The envelope sender of mail that an address of ours sends on elsewhere (`Forwarding.sender`)."""
    signed_again: Callable[[bytes, QueueItem], Awaitable[bytes]] = lambda octets, _: _same(octets)
    """The signatures of a copy that was changed at delivery (`Signer.signed_again`)."""
    on_failed: Callable[[QueueItem], Awaitable[None]] = lambda _: _nothing()
    """Told of each copy that is given up."""
    worker: str = "delivery"
    """This process's name for its claims, the same after a restart."""
    delivered: int = 0
    deferred: int = 0
    failed: int = 0
    _destinations: dict[Where, Destination] = field(default_factory=dict)
    _in_hand: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _gates: dict[Where, Window] = field(default_factory=dict)
    _gate: asyncio.Semaphore = field(init=False)
    _woken: asyncio.Event = field(init=False)
    _jitters: dict[tuple[str, int], float] = field(default_factory=dict)
    """The last ones given, by message and number of tries."""
    _more: bool = False
    """The last look at the queue did not see its end."""
    _stopping: bool = False

    def __post_init__(self) -> None:
        self._gate = asyncio.Semaphore(self.settings.at_once)
        self._woken = asyncio.Event()

    def poke(self) -> None:
        """New mail may be due: look at the queue now. Only from the loop's own thread."""
        self._woken.set()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what is in hand is settled."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Until `stop`; cancelling breaks off what is in hand, which is then tried again after a restart."""
        await self.store.give_back(self.worker, self.clock())
        try:
            while not self._stopping:
                self._woken.clear()
                if not await self._claim():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._woken.wait(), self.settings.poll_s)
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _claim(self) -> bool:
        """Take what is due; True when there may be more at once."""
        room = min(self.settings.in_hand - self._in_hand, _CLAIM_MOST)
        if room < min(self.settings.in_hand, _CLAIM_MOST):
            return False
        try:
            items = await self.store.claim(self.clock(), room, self.settings.lease_s, self.worker)
        except StoreFailed as failure:
            _LOG.error("the queue cannot be read: %s", failure)
            return False
        for where, group in self._grouped(items):
            self._in_hand += len(group)
            task = asyncio.create_task(self._attend(where, group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._more = len(items) >= room
        return self._more

    def _grouped(self, items: Sequence[QueueItem]) -> list[tuple[Where, list[QueueItem]]]:
        """The same message to the same destination goes at once; into a Maildir, or forwarded, each by itself."""
        groups: dict[tuple[object, ...], list[QueueItem]] = {}
        for item in items:
            where = self.routes.destination(address_of(item.to))
            alone = item.id if isinstance(where, MaildirAt) or is_forwarded(item) else None
            groups.setdefault((where, item.ref, item.junk, item.changes, alone), []).append(item)
        most = self.settings.recipients_per_transaction
        return [
            (self.routes.destination(address_of(group[0].to)), group[start : start + most])
            for group in groups.values()
            for start in range(0, len(group), most)
        ]

    async def _attend(self, where: Where, items: list[QueueItem]) -> None:
        """One group from claim to settled, whatever happens on the way."""
        try:
            state = self._state(where)
            now = self.clock()
            until = state.rests_until(now) or state.crowded_until(items[0].id, now)
            came = until if until is not None else await self._in_turn(where, items, state)
            # Written down when the place is free again: the next one need not wait for our disk.
            if isinstance(came, float):
                for item in items:
                    await self._put_back(item, came, state.last_words)
            else:
                await self._write_all_down(came, lmtp=is_lmtp(where))
        except StoreFailed as failure:
            # The lease ends by itself and the copy is tried again.
            _LOG.error("not written down what came of %s: %s", items[0].ref, failure)
        except Exception:  # noqa: BLE001  # a bug of ours must not stop the mail of others
            _LOG.exception("delivery of %s broke off", items[0].ref)
            with contextlib.suppress(StoreFailed):
                for item in items:  # those that are settled already are left alone
                    await self.store.settle(item, None, RetryAt(self.clock() + _AFTER_A_BUG_S))
        finally:
            self._in_hand -= len(items)
            if self._more:
                self._woken.set()

    async def _in_turn(
        self, where: Where, items: list[QueueItem], state: Destination
    ) -> float | Sequence[_Came]:
        """Wait for a place, then deliver; or until when to wait, because those before found nobody."""
        state.waiting += 1
        try:
            async with self._gates[where], self._gate:
                if state.failures and self.clock() < state.resting_until:
                    return state.resting_until
                state.running += 1
                try:
                    return await self._deliver(where, items, state)
                finally:
                    state.running -= 1
        finally:
            state.waiting -= 1

    def _state(self, where: Where) -> Destination:
        state = self._destinations.get(where)
        if state is None:
            if len(self._destinations) > 5000:
                self._forget_idle()
            local = isinstance(where, MaildirAt)
            at_once = self.settings.at_once if local else self.settings.at_once_per_destination
            state = Destination(self.settings.schedule, at_once, crowd=self.settings.in_hand * 3 // 4)
            self._destinations[where] = state
            self._gates[where] = Window(at_once, at_once if local else BEGIN)
        return state

    def _forget_idle(self) -> None:
        for where, state in list(self._destinations.items()):
            if not (state.running or state.waiting or state.failures or state.outside):
                del self._destinations[where], self._gates[where]

    def _jitter_of(self, item: QueueItem) -> float:
        """The same for all copies of a message that failed together, so that they go in one transaction again."""
        key = (item.ref, item.attempts)
        if key not in self._jitters:
            if len(self._jitters) >= _JITTERS_KEPT:
                self._jitters.clear()
            self._jitters[key] = self.jitter()
        return self._jitters[key]

    async def _put_back(self, item: QueueItem, until: float, words: str) -> None:
        """Not tried now; but patience with it may end, and the sender may have to be told that it waits."""
        now = self.clock()
        if words and now >= item.created_at + self.settings.schedule.give_up_s:
            outcome = Outcome(result=Result.DEFERRED, status="4.4.7", words=words)
            await self._write_down(item, outcome, None)
            return
        again = until + self._jitter_of(item) * min(1.0, max(0.0, until - now))
        await self.store.settle(item, None, RetryAt(again))
        if again - now < self.settings.poll_s:
            asyncio.get_running_loop().call_later(max(0.0, again - self.clock()), self._woken.set)

    async def _deliver(self, where: Where, items: list[QueueItem], state: Destination) -> Sequence[_Came]:
        if items[0].account:  # its mail may have been held while this waited for its turn
            items = [item for item in items if self.store.may_go(item)]
            if not items:
                return ()
        try:
            octets = items[0].octets or self.store.delivered_copy(items[0].ref)
            if items[0].changes:
                octets = await asyncio.to_thread(changed, octets, items[0].changes)
                octets = await self.signed_again(octets, items[0])
        except (KeyError, StoreFailed, OSError, CannotChange) as failure:
            for item in items:
                await self.store.settle(item, None, Hold(f"The message cannot be read: {failure}"))
            return ()
        sound: list[QueueItem] = []
        for item in items:
            words = loop_in(octets, traced_address(item, where), received_most=self.settings.received_most)
            if words is None:
                sound.append(item)
            else:
                await self._write_down(item, Outcome(result=Result.FAILED, status="5.4.6", words=words), None)
        if not sound:
            return ()
        if not isinstance(where, MaildirAt):
            return await self._send(where, sound, octets, state)
        began = self.clock()
        for item in sound:
            await self._file(where, item, octets)
        state.reached(self.clock() - began)
        return ()

    async def _file(self, where: MaildirAt, item: QueueItem, octets: bytes) -> None:
        to = address_of(item.to)
        name = copy_name(created_at=item.created_at, ref=item.ref, item=item.id, hostname=self.hostname)
        copy = trace_of(to, item.sender) + octets
        try:
            filed = await asyncio.to_thread(
                file_copy, base=where.base, to=to, octets=copy, name=name, junk=item.junk
            )
        except OSError as error:
            words = f"The mailbox could not be written: {error.strerror or error}"
            await self._write_down(item, Outcome(result=Result.DEFERRED, status="4.2.0", words=words), None)
            return
        words = "It was filed at an earlier try." if filed.again else "Filed in the mailbox."
        outcome = Outcome(result=Result.DELIVERED, status="2.0.0", words=words)
        await self._write_down(item, outcome, None)
        filed.forget()

    async def _send(
        self, where: Hop | Elsewhere, items: list[QueueItem], octets: bytes, state: Destination
    ) -> Sequence[_Came]:
        first = items[0]
        front = self.junk_headers if first.junk else b""
        sender = first.sender
        if is_forwarded(first):
            front += trace_of(first.recipient.address)
            if self.routes.find(address_of(first.to).domain) is None:
                sender = self.forwarded_from(sender, first.recipient.address)
        message = Outgoing(
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
        began = self.clock()
        try:
            async with asyncio.timeout(self.settings.lease_s * 0.9):
                if isinstance(where, Hop):
                    sent = await self.sender.send(where, message)
                else:
                    sent = await self.sender.send_to_domain(where.domain, message)
        except TimeoutError:
            words = f"The transaction was not over after {self.settings.lease_s * 0.9:.0f} seconds."
            outcome = Outcome(result=Result.DEFERRED, status="4.4.7", words=words)
            sent = Sent(host=str(where), address="", outcomes=(outcome,) * len(items))
        self._learn(where, state, sent, self.clock() - began)
        return [(item, outcome, sent) for item, outcome in zip(items, sent.outcomes, strict=True)]

    def _learn(self, where: Where, state: Destination, sent: Sent, took_s: float) -> None:
        """What a try says of its destination: there, down, or busy with the others of ours."""
        window = self._gates[where]
        if not (sent.unreachable and all(one.result is Result.DEFERRED for one in sent.outcomes)):
            state.reached(took_s)
            window.widen()
        elif sent.outcomes[0].reply is not None and window.room > 1 and state.running > 1:
            window.narrow()  # it answers, only not so many of us at once
        else:
            window.narrow()
            state.not_reached(self.clock(), sent.outcomes[0].words)

    async def _write_all_down(self, came: Sequence[_Came], *, lmtp: bool) -> None:
        """All in one commit, as far as they fit."""
        writing = [self._write_down(item, outcome, sent, lmtp=lmtp) for item, outcome, sent in came]
        if len(writing) == 1:
            await writing[0]
        else:
            await asyncio.gather(*writing)

    async def _write_down(
        self, item: QueueItem, outcome: Outcome, sent: Sent | None, *, lmtp: bool = False
    ) -> None:
        """Settle one copy, with the DSN it gives rise to."""
        now = self.clock()
        attempt = DeliveryAttempt(
            at=now,
            to=item.to,
            host=sent.host if sent else self.hostname,
            address=sent.address if sent else "",
            status=outcome.result.value,
            reply=outcome.words,
            tls_version=sent.tls_version if sent else None,
            tls_policy=sent.tls_policy if sent else "none",
            tls_verified=sent.tls_verified if sent else False,
            reason=reason_of(outcome, sent),
        )
        relayed = sent is not None and not lmtp
        passed_on = sent is not None and sent.dsn_offered
        if outcome.result is Result.DELIVERED:
            self.delivered += 1
            notices = [] if passed_on else self.notices.delivered(item, outcome, now, relayed=relayed)
            await self.store.settle(item, attempt, Done(), notices)
            return
        again = None
        if outcome.result is Result.DEFERRED:
            again = next_attempt(
                self.settings.schedule,
                retry_first_s=self.retry_first_s,
                attempts=item.attempts + 1,
                created_at=item.created_at,
                now=now,
                jitter=self._jitter_of(item),
            )
        if again is not None:
            self.deferred += 1
            due = delay_is_due(
                self.settings.schedule, created_at=item.created_at, now=now, told=item.delay_told
            )
            notices = self.notices.delayed(item, outcome, now, sent) if due else []
            await self.store.settle(item, attempt, RetryAt(again, delay_told=due), notices)
            return
        self.failed += 1
        await self.on_failed(item)
        notices, hold = self.notices.failed(item, outcome, now, sent)
        await self.store.settle(item, attempt, Hold(hold) if hold else Failed(outcome.words), notices)


async def _nothing() -> None:
    """Nobody wants to be told."""


async def _same(octets: bytes) -> bytes:
    """Nothing signs."""
    return octets


def junk_mark(headers: Sequence[str]) -> bytes:
    """The header fields in front of junk mail, from `[marking] junk_headers`."""
    return "".join(f"{one}\r\n" for one in headers).encode("ascii")


def reason_of(outcome: Outcome, sent: Sent | None) -> str:
    """One sentence: why it did not go out when that is ours to say, else what was required of the wire and came of it."""
    if outcome.reply is None and outcome.result is not Result.DELIVERED:
        return outcome.words
    return (sent.reason if sent else "") or ("" if outcome.reply else outcome.words)


def address_of(text: str) -> Address:
    """A final address as the queue keeps it."""
    address = parse_address(text, smtputf8=True)
    if address is None:
        local, _, domain = text.rpartition("@")
        return Address(local, domain.lower())
    return address


def is_forwarded(item: QueueItem) -> bool:
    """Does it go to another address than it was sent to?"""
    return address_of(item.to).key != item.recipient.address.key


def is_lmtp(where: Where) -> bool:
    """LMTP's answer is the final delivery's own (RFC 2033 §2)."""
    return isinstance(where, Hop) and where.protocol is Speaks.LMTP


def traced_address(item: QueueItem, where: Where) -> str:
    """The address whose Delivered-To would be ours: only where we write one."""
    if isinstance(where, MaildirAt):
        return item.to
    return str(item.recipient.address) if is_forwarded(item) else ""

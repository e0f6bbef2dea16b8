"""One process's instruments: store, resolver, memory, directory, and the flows built on them.

Within one process several programs share them (`workers = 0`), so they are opened by the first who asks
and closed by the last who leaves. After a fork every process opens its own.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from gatepost.accepting.desk import Contact
from gatepost.app.doors import Doors
from gatepost.app.fileschanged import Written, known, settings_log
from gatepost.app.lookers import Lookers
from gatepost.app.office import console_url
from gatepost.app.opinions import LearntModel
from gatepost.app.orders import orders
from gatepost.app.peoplesource import sync_of
from gatepost.app.signing import forwarding_of, keeping_of, keys_in_use, signer_of
from gatepost.app.wire import Wire, wire_of
from gatepost.app.wiring import build_intake, build_submission
from gatepost.checks.connection.recipients import takes_key
from gatepost.checks.dnslists.lists import forget_keys
from gatepost.checks.outgoing.bounces import bounced
from gatepost.checks.sender.networks import forget_networks, places_of
from gatepost.config.schema import Loaded
from gatepost.delivery.carrying import Carrier, junk_mark
from gatepost.delivery.directory import Directory
from gatepost.delivery.notices import Notices
from gatepost.delivery.results import Results
from gatepost.delivery.runner import DeliveryRunner
from gatepost.delivery.share import Share, part_of
from gatepost.delivery.signing import Signer
from gatepost.intake import Intake
from gatepost.jobs.approvals import Approvals
from gatepost.jobs.heads import HeadSending
from gatepost.jobs.learning import Learning
from gatepost.jobs.letter import Letters
from gatepost.jobs.look import DROPPED_KEPT_S, DROPPED_KEY
from gatepost.jobs.peoplesync import PeopleSync
from gatepost.jobs.rounds import Round
from gatepost.jobs.tallies import Differences, Tallies
from gatepost.jobs.work import BEAT_S, Jobs
from gatepost.mail.address import Address, parse_address
from gatepost.mail.client import IpAddress
from gatepost.net.callout import RecipientCallout
from gatepost.net.outbound import Outbound
from gatepost.net.resolver import CachingResolver
from gatepost.net.sandbox_forkserver import Forkserver
from gatepost.smtp.sending import Hop
from gatepost.store.correspondents import StoredCorrespondents, partners
from gatepost.store.disk import Room
from gatepost.store.entries import StoredEntries
from gatepost.store.inhand import InHand
from gatepost.store.later import Later
from gatepost.store.memory import StoredMemory
from gatepost.store.records import Acceptance, HistoryEntry, QueueItem
from gatepost.store.ref import new_ref
from gatepost.store.snapshots import Snapshots
from gatepost.store.store import Store

REFUSALS_KEPT_A_MINUTE = 600
"""Refusals of one client that are kept in history in a minute; the log and the metrics have them all."""

CLIENTS_COUNTED = 20_000
"""Clients whose refusals are kept in a minute."""

LOOK_AT_DISK_S = 2.0
TAKES_KEPT_S = 86_400.0
"""What a host behind us said it takes is believed for so long; each session with it says it anew."""
"""How often, at most, a busy gate looks how much room the disk has."""

COUNTS_WRITTEN_S = 5.0
"""How soon what was counted for the metrics is written."""

DIGESTS_S = 900.0
"""Between two looks whether a letter about held mail is due."""


class Keeper:
    """Implements `intake.Keeper` over the store: signs what our people send; looks at the disk only now and then."""

    def __init__(self, store: Store, signer: Signer) -> None:
        self._store = store
        self.signer = signer
        self._looked_at = -LOOK_AT_DISK_S
        self._room = True
        self._minute = 0
        self._refusals: dict[IpAddress | None, int] = {}

    async def carry_out(self, acceptance: Acceptance) -> None:
        """Sign it where it is ours to sign, once and for all tries, and make it durable."""
        await self._store.carry_out(await self.signer.signed(acceptance))

    def record_soon(self, entry: HistoryEntry) -> None:
        """Keep a refusal; of a client that floods us, only so many a minute, so that it cannot fill the history."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._refusals = minute, {}
        client = entry.client.ip
        seen = self._refusals.get(client, 0)
        if seen < REFUSALS_KEPT_A_MINUTE and len(self._refusals) < CLIENTS_COUNTED:
            self._refusals[client] = seen + 1
            self._store.record_soon(entry)

    def has_room(self) -> bool:
        """False from the watermark on."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_AT_DISK_S:
            self._looked_at, self._room = now, self._store.room() is not Room.FULL
        return self._room


class Parts:
    """Opened with `async with parts.opened()`."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.forkserver = Forkserver()
        """Processes forked once it has begun share it."""
        self._users = 0
        self.store: Store
        self.resolver: CachingResolver
        self.wire: Wire
        self.outbound: Outbound
        self.runner: DeliveryRunner | None = None
        """Where this process delivers."""
        self.connections: Callable[[], int] = lambda: 0
        """How many reached this process."""
        self.written: tuple[Loaded, Written] | None = None

    def read_files(self) -> None:
        """What the files say, for the journal. Done before the fork: it touches seven megabytes that processes share. Raises ConfigError."""
        self.written = (self.loaded, known(self.loaded))

    @contextlib.asynccontextmanager
    async def opened(self, *, checkpointer: bool = False) -> AsyncIterator[Parts]:
        """Everything open; only the process that delivers is the `checkpointer` of the database."""
        if self._users == 0:
            self._open(checkpointer=checkpointer or self.loaded.config.workers == 0)
        self._users += 1
        try:
            yield self
        finally:
            self._users -= 1
            if self._users == 0:
                await self._close()

    def _open(self, *, checkpointer: bool) -> None:
        config = self.loaded.config
        database = replace(config.store.database, checkpointer=checkpointer)
        self.store = Store.open(
            self.loaded.state, replace(config.store, database=database), key_file=self.loaded.key_file
        )
        self.keys = keys_in_use(self.store)
        self.keeper = Keeper(self.store, signer_of(self.loaded, self.keys))
        self.store.front = self.keeper.signer.front
        self.forwarding = forwarding_of(lambda: self.loaded, self.store)
        self.resolver = CachingResolver(config.dns)
        self.wire = wire_of(self.loaded, self.store, self.resolver)
        self.outbound = self.wire.outbound
        self.memory = StoredMemory(self.store.database, time.time)
        self.outbound.takes = self._learn_size
        self.correspondents = StoredCorrespondents(self.store.database, time.time)
        self.entries = StoredEntries(self.store.database, time.time)
        self.callout = RecipientCallout(sender=self.outbound, clock=time.monotonic, settings=config.callout)
        self.model = LearntModel(Snapshots(self.loaded.state, clock=time.monotonic))
        self.lookers = Lookers(self.loaded, self.forkserver)
        self.directory = self._directory()
        self._learn_partners()
        self.tallies = Tallies()
        self.differences = Differences(self.tallies)
        self.counted = Later(self._write_counts, COUNTS_WRITTEN_S)

    async def _close(self) -> None:
        self.counted.soon()
        await self.counted.finish()
        await self.wire.close()
        await self.resolver.close()
        await self.memory.close()
        await self.correspondents.close()
        await self.entries.close()
        await self.lookers.close()
        self.forkserver.close()
        await self.store.close()

    def adopt(self, loaded: Loaded) -> None:
        """After a reload."""
        self.loaded = loaded
        self.keeper.signer = signer_of(loaded, self.keys)
        self.store.front = self.keeper.signer.front
        self.lookers.adopt(loaded)
        self.directory = self._directory()
        self._learn_partners()
        forget_keys()
        forget_networks()

    def intake(self, announce: Callable[[HistoryEntry], None]) -> Intake:
        """The flow that receives mail under the present configuration."""
        return build_intake(
            self.loaded, store=self.keeper, resolver=self.resolver, memory=self.memory, recipients=self.directory,
            correspondents=self.correspondents, expand=self.directory.expand, acquaint=self.acquaint, announce=announce,
            model=self.model, entries=self.entries,
            unpacker=self.lookers.unpacker, scanner=self.lookers.scanner,
        )  # fmt: skip

    def doors(self, announce: Callable[[HistoryEntry], None]) -> Doors:
        """Both ways, under the present configuration."""
        submission = build_submission(
            self.loaded, store=self.keeper, holds=self.store, resolver=self.resolver, memory=self.memory,
            recipients=self.directory, correspondents=self.correspondents, expand=self.directory.expand,
            acquaint=self.acquaint, announce=announce, notify=self.letters().notices, model=self.model,
            unpacker=self.lookers.unpacker, scanner=self.lookers.scanner,
        )  # fmt: skip
        return Doors(self.intake(announce), submission)

    def acquaint(self, contact: Contact) -> None:
        """Somebody wrote to a domain of ours and was let in, or we wrote to somebody."""
        file = self._networks_file
        self.correspondents.learn(
            contact.identity,
            contact.domain,
            at=contact.at,
            replied=contact.ours,
            proved=contact.proved,
            places=places_of(contact.ip, file) if file and contact.ip is not None else (),
        )

    async def _learn_size(self, hop: Hop, octets: int) -> None:
        """What a host behind us takes: for the doors of all processes."""
        if str(hop) in self.loaded.routes.hops:
            await self.memory.put(takes_key(str(hop)), str(octets), ttl_s=TAKES_KEPT_S)

    def _learn_partners(self) -> None:
        self._networks_file = next(
            (one.settings.networks_file for one in self.loaded.checks if one.name == "impersonation"), ""
        )
        self.loaded.people.learn_from(
            lambda most: self.store.database.read(lambda connection: partners(connection, most)),
            time.monotonic,
        )

    def _directory(self) -> Directory:
        return Directory(
            routes=self.loaded.routes,
            clock=time.monotonic,
            callout=self.callout,
            postmaster=self.named_postmaster(),
            rewritten=self.forwarding,
        )

    def delivery(
        self,
        *,
        jitter: Callable[[], float],
        worker: str = "delivery",
        gone: Sequence[str] = (),
        share: Share | None = None,
    ) -> DeliveryRunner:
        """The runner that empties this process's share of the queue."""
        config, share = self.loaded.config, share or Share()
        settings = part_of(config.delivery, share.number, share.of)
        self.runner = DeliveryRunner(
            store=self.store,
            routes=self.loaded.routes,
            carrier=Carrier(
                store=self.store,
                sender=self.outbound,
                hostname=config.hostname,
                clock=time.time,
                settings=settings,
                junk_headers=junk_mark(config.marking.junk_headers),
                forwarded_from=self.forwarding.sender,
                signed_again=lambda octets, item: self.keeper.signer.signed_again(
                    octets, item, self.store.entry
                ),
            ),
            results=Results(
                store=self.store,
                notices=Notices(
                    hostname=config.hostname,
                    postmaster=self.postmaster(),
                    original=self.store.octets_of,
                    new_ref=fresh_ref,
                    expand=self.directory.expand,
                    settings=settings,
                ),
                hostname=config.hostname,
                clock=time.time,
                jitter=jitter,
                settings=settings,
                retry_first_s=config.outbound.retry_first_s,
                on_failed=self.came_back,
            ),
            clock=time.time,
            settings=settings,
            worker=worker,
            gone=gone,
            share=share,
            in_hand=InHand(self.loaded.state / f"in-hand-{worker}"),
            by_smarthost=self.outbound.destinations.by_smarthost if config.outbound.smarthost else None,
        )
        return self.runner

    def postmaster(self) -> Address:
        """Who reads what the gate has to say: the one named, else postmaster at our first domain."""
        return self.named_postmaster() or Address(
            "postmaster", self.loaded.routes.domains[0].name.lstrip(".")
        )

    def named_postmaster(self) -> Address | None:
        """The one in the configuration."""
        named = self.loaded.config.delivery.postmaster
        return parse_address(named) if named else None

    def jobs(self) -> Sequence[Round]:
        """What the clock starts in this process."""
        learning = Learning(
            store=self.store,
            memory=self.memory,
            settings=lambda: self.loaded.config.learning,
            routes=lambda: self.loaded.routes,
            clock=time.time,
        )
        jobs = Jobs(
            store=self.store,
            memory=self.memory,
            resolver=self.resolver,
            orders=lambda: orders(self.loaded),
            clock=time.time,
            new_ref=fresh_ref,
            expand=self.final_addresses,
            write_tallies=self.counted.soon,
            started_at=time.time(),
        )
        keys = keeping_of(lambda: self.loaded, self.store, self.resolver, self.letters())
        heads = HeadSending(
            store=self.store,
            memory=self.memory,
            settings=lambda: self.loaded.config.journal,
            hostname=self.loaded.config.hostname,
            folder=self.loaded.folder,
            expand=self.final_addresses,
            new_ref=fresh_ref,
            clock=time.time,
        )
        waiting = Approvals(store=self.store, memory=self.memory, letters=self.letters(), clock=time.time)
        digests = Round("digests", DIGESTS_S, self.send_digests)
        return [
            *jobs.rounds(),
            *learning.rounds(),
            *keys.rounds(),
            *waiting.rounds(),
            *settings_log(lambda: self.loaded, self.store, self.memory, self.written).rounds(),
            *self._wire_rounds(),
            *heads.rounds(),
            *self.people_from_directory().rounds(),
            digests,
        ]

    async def send_digests(self) -> None:
        """Letters about held mail; nothing where no URL of the console is named, which links in them could lead to."""
        if console_url(self.loaded):
            from gatepost.app.digests import send_digests  # of no use to any other process

            await send_digests(lambda: self.loaded, self.store)

    def people_from_directory(self) -> PeopleSync:
        """What brings accounts to what the directory says."""
        return sync_of(lambda: self.loaded, self.store, self.memory)

    async def came_back(self, item: QueueItem) -> None:
        """What somebody of ours sent could not be delivered for good."""
        if item.account:
            await bounced(item.account, self.memory, time.time())

    def letters(self) -> Letters:
        """Who writes to the postmaster."""
        return Letters(
            store=self.store,
            hostname=self.loaded.config.hostname,
            to=self.postmaster,
            expand=self.final_addresses,
            new_ref=fresh_ref,
            clock=time.time,
        )

    def _wire_rounds(self) -> Sequence[Round]:
        return self.wire.rounds(lambda: self.loaded, self.store, contact=self.postmaster, new_ref=fresh_ref)

    def final_addresses(self, address: Address) -> tuple[str, ...]:
        """Where mail to this address goes, by the directory of this moment."""
        return self.directory.expand(address)

    def count(self, entry: HistoryEntry) -> None:
        """For the metrics; costs an addition or two."""
        self.tallies.entry(entry)
        self.counted.soon()

    def counting(self) -> Round:
        """In a process without the jobs, whose beat does it there: what it counted is written soon."""

        async def work() -> None:
            self.counted.soon()

        return Round("counts", BEAT_S, work)

    async def _write_counts(self) -> None:
        """Add what this process counted to the sums of all."""
        resolver, runner, store = self.resolver, self.runner, self.store
        totals = {
            "dns|memory": resolver.remembered,
            "dns|network": resolver.asked,
            "dns|failed": resolver.failed,
            "connections": self.connections(),
            "dropped": store.dropped_entries,
        }
        if runner is not None:
            totals |= {
                "delivery|delivered": runner.results.delivered,
                "delivery|deferred": runner.results.deferred,
                "delivery|failed": runner.results.failed,
            }
        more = self.differences.add(totals)
        if more.get("dropped"):
            await self.memory.add(DROPPED_KEY, more["dropped"], ttl_s=DROPPED_KEPT_S)
        await self.tallies.write(self.memory)


def fresh_ref(now: float) -> str:
    """A new reference."""
    return new_ref(now, os.urandom(8))

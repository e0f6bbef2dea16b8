"""A runner over a real store in a temporary folder, with a clock of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatepost.delivery.carrying import Carrier
from gatepost.delivery.notices import Notices
from gatepost.delivery.results import Results
from gatepost.delivery.routes import Routes
from gatepost.delivery.runner import DeliveryRunner
from gatepost.delivery.settings import DeliverySettings, DomainSettings
from gatepost.delivery.share import Share, part_of
from gatepost.dns.zone import Zone
from gatepost.mail.address import Address, parse_address
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.net.outbound import Outbound, OutboundSettings
from gatepost.store.records import Acceptance, HistoryEntry, NewDelivery
from gatepost.store.store import Store

NOW = 1_750_000_000.0
MAIL = b"From: Sam <sam@example.org>\r\nTo: ana@example.net\r\nSubject: hello\r\n\r\n.dots\r\nand words\r\n"


def parsed(text: str) -> Address:
    address = parse_address(text, smtputf8=True)
    assert address is not None
    return address


@dataclass
class Bench:
    store: Store
    routes: Routes
    outbound: Outbound
    settings: DeliverySettings
    runner: DeliveryRunner = field(init=False)
    now: float = NOW
    refs: int = 0

    def runner_of(self, share: Share | None = None, worker: str = "delivery") -> DeliveryRunner:
        """As one process, or one of several, has it."""
        share = share or Share()
        settings = part_of(self.settings, share.number, share.of)
        return DeliveryRunner(
            store=self.store,
            routes=self.routes,
            carrier=Carrier(
                store=self.store,
                sender=self.outbound,
                hostname="mx.example.net",
                clock=lambda: self.now,
                settings=settings,
            ),
            results=Results(
                store=self.store,
                notices=Notices(
                    hostname="mx.example.net",
                    postmaster=parsed("postmaster@example.net"),
                    original=self.store.octets_of,
                    new_ref=lambda now: self.next_ref(),
                    settings=settings,
                ),
                hostname="mx.example.net",
                clock=lambda: self.now,
                jitter=lambda: 0.5,
                settings=settings,
            ),
            clock=lambda: self.now,
            settings=settings,
            worker=worker,
            share=share,
            by_smarthost=self.outbound.destinations.by_smarthost
            if self.outbound.settings.smarthost
            else None,
        )

    def next_ref(self) -> str:
        self.refs += 1
        return f"NOTICE{self.refs}"

    async def until_idle(self) -> None:
        """Run until nothing is due and nothing in hand."""
        while self.due():
            task = asyncio.create_task(self.runner.run())
            while not task.done() and (self.runner._in_hand or self.due()):
                await asyncio.sleep(0.002)
            self.runner.stop()
            await task
            self.runner._stopping = False

    def due(self) -> int:
        return self.rows("SELECT count(*) FROM queue WHERE held_because IS NULL AND due_at <= ?", self.now)[
            0
        ][0]

    def rows(self, sql: str, *values: Any) -> list[Any]:
        return self.store.database.read(lambda connection: connection.execute(sql, values).fetchall())

    def waiting(self) -> list[tuple[str, float, int]]:
        """(to, due in seconds from now, attempts) of what is queued and not held."""
        rows = self.rows(
            "SELECT to_address, due_at, attempts FROM queue WHERE held_because IS NULL ORDER BY id"
        )
        return [(to, due - self.now, attempts) for to, due, attempts in rows]

    def held(self) -> list[tuple[str, str]]:
        return self.rows(
            "SELECT to_address, held_because FROM queue WHERE held_because IS NOT NULL ORDER BY id"
        )


@contextlib.asynccontextmanager
async def bench(
    folder: Path,
    *,
    deliver: str = "maildir:mail",
    settings: DeliverySettings | None = None,
    zone: str = "",
    smtp_port: int = 25,
    domains: tuple[DomainSettings, ...] | None = None,
    outbound_settings: OutboundSettings | None = None,
    **domain: Any,
) -> AsyncIterator[Bench]:
    store = Store.open(folder / "state")
    settings = settings or DeliverySettings()
    routes = Routes(
        domains or (DomainSettings(name="example.net", deliver=deliver, **domain),), folder=folder
    )
    outbound = Outbound(
        "mx.example.net",
        Zone.parse(zone) if zone else Zone.parse(""),
        outbound_settings or OutboundSettings(),
        smtp_port=smtp_port,
    )
    it = Bench(store, routes, outbound, settings)
    it.runner = it.runner_of()
    try:
        yield it
    finally:
        await outbound.close()
        await store.close()


async def queue_mail(
    store: Store,
    ref: str,
    *,
    to: tuple[str, ...] = ("ana@example.net",),
    final: tuple[str, ...] = (),
    sender: str = "sam@example.org",
    octets: bytes = MAIL,
    at: float = NOW,
    junk: bool = False,
    may_bounce: bool = True,
    notify: frozenset[str] = frozenset(),
    orcpt: str | None = None,
    **envelope: Any,
) -> None:
    """One accepted message, a copy for each of `to`."""
    recipients = tuple(Recipient(address=parsed(one), notify=notify, orcpt=orcpt) for one in to)
    whole = Envelope(sender=parsed(sender) if sender else None, recipients=recipients, **envelope)
    entry = HistoryEntry(
        ref=ref, at=at, kind="message", client=Client(ip=None), envelope=whole, size=len(octets)
    )
    await store.carry_out(
        Acceptance(
            entry=entry,
            octets=octets,
            may_bounce=may_bounce,
            deliveries=tuple(
                NewDelivery(recipient=one, to=last, junk=junk)
                for one, last in zip(recipients, final or to, strict=True)
            ),
        )
    )


def mailbox_files(folder: Path) -> list[Path]:
    """What a reader sees as new mail."""
    return sorted((folder / "new").iterdir()) if (folder / "new").is_dir() else []

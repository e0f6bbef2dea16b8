"""The jobs over a real store and real questions on loopback: what they tell, to whom, and what they delete."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.checks.dnslists.health import HEALTH_KEY, out_of_service
from gatepost.checks.dnslists.lists import ListSettings
from gatepost.dns.answer import Security
from gatepost.dns.zone import Zone
from gatepost.jobs.alarms import CALM_S
from gatepost.jobs.settings import AlertSettings
from gatepost.jobs.work import Jobs, Orders
from gatepost.mail.verdict import Action, Verdict
from gatepost.net.resolver import CachingResolver, DnsSettings
from gatepost.net.zoneserver import ZoneServer
from gatepost.store.database import Connection
from gatepost.store.json import encode
from gatepost.store.memory import StoredMemory
from gatepost.store.records import DeliveryAttempt, Judged
from gatepost.store.ref import new_ref
from gatepost.store.retention import Retention
from gatepost.store.store import Store
from store_samples import acceptance

SOUND_ZONE = """
$SECURE .
. SOA a.example. b.example. 1 2 3 4 5
$BOGUS dnssec-failed.org
dnssec-failed.org. SOA a.example. b.example. 1 2 3 4 5
2.0.0.127.bl.example. A 127.0.0.2
"""
BL = ListSettings(zone="bl.example")


class Bench:
    """One gate's jobs, with a clock of ours."""

    def __init__(self, folder: Path, orders: Orders) -> None:
        self.now = 1_700_000_000.0
        self.orders = orders
        self.folder = folder
        self.zone = Zone.parse(SOUND_ZONE)
        self.store: Store
        self.jobs: Jobs

    async def run(self, work: Callable[[Bench], Awaitable[None]]) -> None:
        async with ZoneServer(self.zone) as server:
            self.store = Store.open(self.folder)
            memory = StoredMemory(self.store.database, lambda: self.now)
            resolver = CachingResolver(
                DnsSettings(
                    servers=(server.address,), trust_ad=True, patience_s=0.3, min_ttl_s=0, failure_ttl_s=0
                )
            )
            self.jobs = Jobs(
                store=self.store, memory=memory, resolver=resolver, orders=lambda: self.orders,
                clock=lambda: self.now, new_ref=lambda now: new_ref(now, os.urandom(8)),
                expand=lambda address: (str(address),), write_tallies=lambda: None, started_at=self.now,
            )  # fmt: skip
            try:
                await work(self)
            finally:
                await resolver.close()
                await memory.close()
                await self.store.close()

    def mails(self) -> list[str]:
        """What was queued, as text, oldest first; each is taken away."""
        found = []
        for one in self.store.queued(limit=1000):
            assert one.sender == ""
            found.append(f"to {one.to}\n{self.store.octets_of(one.ref).decode()}")
        return found

    async def sent(self) -> list[str]:
        """The same, and then the queue is empty."""
        found = self.mails()

        def clear(connection: object) -> None:
            connection.execute("DELETE FROM queue")  # type: ignore[attr-defined]

        await self.store.database.commit(clear)
        return found


def orders(folder: Path, **more: object) -> Orders:
    return Orders(
        hostname="mx.example.net", mode="enforce", version="1", folder=folder,
        alerts=AlertSettings(to=("ana@example.net", "ben@example.net")), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_resolver_that_stops_validating_is_told_by_mail_once_and_when_it_is_well_again(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, orders(tmp_path))

    async def work(bench: Bench) -> None:
        await bench.jobs.look()
        assert await bench.sent() == []
        bench.zone.trust("", Security.INSECURE)
        bench.now += 60
        await bench.jobs.look()
        told = await bench.sent()
        assert [one.partition("\n")[0] for one in told] == ["to ana@example.net", "to ben@example.net"]
        assert "does not validate DNSSEC" in told[0]
        assert "apt-get install unbound" in told[0]
        bench.now += 60
        await bench.jobs.look()
        assert await bench.sent() == []
        bench.zone.trust("", Security.SECURE)
        bench.now += CALM_S
        await bench.jobs.look()
        told = await bench.sent()
        assert len(told) == 2
        assert "WELL AGAIN:" in told[0]

    asyncio.run(bench.run(work))


def test_a_stuck_queue_is_told_and_is_not_made_longer_by_the_telling(tmp_path: Path) -> None:
    bench = Bench(tmp_path, orders(tmp_path))

    async def work(bench: Bench) -> None:
        await bench.store.carry_out(acceptance(new_ref(bench.now, b"12345678"), at=bench.now))
        bench.now += 5 * 3600
        for _ in range(3):
            await bench.jobs.look()
            bench.now += 60
        told = [one for one in bench.store.queued(limit=100) if not one.sender]
        assert len(told) == 2
        text = bench.store.octets_of(told[0].ref).decode()
        assert "The queue is stuck: a message has waited for 5 hours." in text
        assert text.count("CRITICAL:") == 1  # due since then, and nobody tries it

    asyncio.run(bench.run(work))


def test_without_anyone_to_tell_alarms_stand_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quiet = Orders(hostname="mx.example.net", mode="enforce", version="1", folder=tmp_path)
    bench = Bench(tmp_path, quiet)

    async def work(bench: Bench) -> None:
        bench.zone.trust("", Security.INSECURE)
        await bench.jobs.look()
        assert bench.mails() == []

    with caplog.at_level(logging.WARNING, "gatepost.jobs"):
        asyncio.run(bench.run(work))
    assert "does not validate DNSSEC" in caplog.text


def test_a_list_that_refuses_us_leaves_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path, orders(tmp_path, lists=(BL,)))

    async def out(bench: Bench) -> dict[str, str]:
        found = dict(out_of_service(await bench.jobs.memory.get(HEALTH_KEY)))
        return {key: why for key, why in found.items() if not key.endswith("(IPv6)")}

    async def work(bench: Bench) -> None:
        await bench.jobs.lists()
        assert await out(bench) == {}
        bench.zone.add("1.0.0.127.bl.example", "A", "127.0.0.2", 0)
        bench.now += 900
        bench.jobs.resolver.forget()
        await bench.jobs.lists()
        assert await out(bench) == {"bl.example": "it lists the world: 127.0.0.1 must not be listed"}
        await bench.jobs.memory.close()  # what it knows is written a second later
        await bench.jobs.look()
        (told, _) = await bench.sent()
        assert "The list bl.example is out of service: it lists the world" in told

    with caplog.at_level(logging.WARNING, "gatepost.jobs"):
        asyncio.run(bench.run(work))
    assert "the list bl.example is out of service" in caplog.text


def test_what_is_past_its_time_is_deleted_and_the_spool_swept_at_the_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path, orders(tmp_path, retention=Retention(history_s=86_400.0)))

    async def work(bench: Bench) -> None:
        old, young = new_ref(bench.now, b"12345678"), new_ref(bench.now, b"87654321")
        await bench.store.record(acceptance(old, at=bench.now - 2 * 86_400).entry)
        await bench.store.record(acceptance(young, at=bench.now - 3600).entry)
        left = bench.folder / "spool" / old[-2:] / old
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_bytes(b"left behind by a crash")
        os.utime(left, (bench.now - 7200, bench.now - 7200))
        await bench.jobs.forget()
        assert bench.store.entry(old) is None
        assert bench.store.entry(young) is not None
        assert not left.exists()

    asyncio.run(bench.run(work))


def test_orders_are_asked_for_anew(tmp_path: Path) -> None:
    """A reload reaches the jobs: who is told is who is named now."""
    bench = Bench(tmp_path, orders(tmp_path))

    async def work(bench: Bench) -> None:
        bench.orders = Orders(
            hostname="mx.example.net", mode="enforce", version="1", folder=tmp_path,
            alerts=AlertSettings(to=("chie@example.net",)),
        )  # fmt: skip
        bench.zone.trust("", Security.INSECURE)
        await bench.jobs.look()
        assert [one.partition("\n")[0] for one in bench.mails()] == ["to chie@example.net"]

    asyncio.run(bench.run(work))


def test_a_host_behind_us_that_is_down_is_told_within_minutes(tmp_path: Path) -> None:
    """By the tries to deliver, and by senders who are put off since nobody says who is here."""
    bench = Bench(tmp_path, orders(tmp_path, domains=("example.net",)))

    async def try_in_vain(bench: Bench) -> None:
        attempt = DeliveryAttempt(
            at=bench.now, to="ana@example.net", host="10.0.0.5", address="", status="deferred",
            reply="Connection refused",
        )  # fmt: skip
        verdict = Verdict(
            action=Action.DEFER,
            would_action=Action.DEFER,
            score=0.0,
            rule="recipients.unsure",
            reason="10.0.0.5:25 is silent",
        )
        turned_away = acceptance(new_ref(bench.now, os.urandom(8)), at=bench.now).entry
        judged = Judged(recipient=turned_away.envelope.recipients[0], verdict=verdict)
        await bench.store.record(replace(turned_away, kind="attempt", judged=(judged,)))

        def note(connection: Connection) -> None:
            row = ("X", bench.now, encode(attempt))
            connection.execute("INSERT INTO attempts (ref, at, facts) VALUES (?, ?, ?)", row)

        await bench.store.database.commit(note)

    async def work(bench: Bench) -> None:
        for _ in range(3):
            await bench.jobs.look()
            assert await bench.sent() == []
            await try_in_vain(bench)
            bench.now += 120
        for _ in range(3):
            await try_in_vain(bench)
        bench.now += 1
        await bench.jobs.look()
        told = (await bench.sent())[0]
        assert "10.0.0.5 has taken none of our mail for 6 minutes: Connection refused." in told
        assert "it is not known who is here: 10.0.0.5:25 is silent." in told

    asyncio.run(bench.run(work))

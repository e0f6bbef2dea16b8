"""Destinations that stall keep nobody else waiting; those that take few at once get few."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from delivery_bench import bench, queue_mail
from gatepost.delivery.settings import DeliverySettings
from scripted_peer import Peer

STALLED = 40


def silent(verb: str, _line: str) -> str | None:
    return "silent" if verb == "greeting" else None


def test_destinations_that_stall_slow_nobody_else(tmp_path: Path) -> None:
    """Forty of them with ten messages each, queued before the others' mail."""

    async def go() -> None:
        async with (
            Peer().serve() as good,
            Peer(address="127.0.0.2", port=good.port, answer=silent).serve() as bad,
        ):
            lines = ["well.example. MX 10 mx.well.example.", "mx.well.example. A 127.0.0.1"]
            for number in range(STALLED):
                lines += [
                    f"s{number}.example. MX 10 mx.s{number}.example.",
                    f"mx.s{number}.example. A 127.0.0.2",
                ]
            async with bench(tmp_path, zone="\n".join(lines) + "\n", smtp_port=good.port) as it:
                for number in range(STALLED):
                    for copy in range(10):
                        await queue_mail(it.store, f"S{number}N{copy}", final=(f"a@s{number}.example",))
                for number in range(30):
                    await queue_mail(it.store, f"W{number}", final=("a@well.example",), at=it.now + 1)
                it.now += 2
                running = asyncio.create_task(it.runner.run())
                async with asyncio.timeout(10):
                    while len(good.messages) < 30:
                        await asyncio.sleep(0.01)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                assert bad.connections >= STALLED, "they were all being asked meanwhile"

    asyncio.run(go())


def test_a_host_that_takes_three_at_once_gets_its_mail(tmp_path: Path) -> None:
    async def go() -> tuple[int, int]:
        inside = 0
        most = 0

        class Few(Peer):
            async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                nonlocal inside, most
                inside += 1
                most = max(most, inside)
                try:
                    if inside > 3:
                        writer.write(b"421 4.7.0 too many of you\r\n")
                        await writer.drain()
                        return
                    await super()._talk(reader, writer)
                finally:
                    inside -= 1

        async with Few().serve() as peer:
            zone = "far.example. MX 10 mx.far.example.\nmx.far.example. A 127.0.0.1\n"
            settings = DeliverySettings(poll_s=0.02)
            async with bench(tmp_path, zone=zone, smtp_port=peer.port, settings=settings) as it:
                for number in range(60):
                    await queue_mail(it.store, f"F{number}", final=(f"a{number}@far.example",))
                running = asyncio.create_task(it.runner.run())
                async with asyncio.timeout(20):
                    while len(peer.messages) < 60:
                        await asyncio.sleep(0.01)
                        it.now += 5
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                refused = sum(
                    one.status == "deferred"
                    for number in range(60)
                    for one in it.store.attempts_of(f"F{number}")
                )
                return len(peer.messages), refused

    delivered, refused = asyncio.run(go())
    assert delivered == 60
    assert refused < 60, "it learns"


def test_a_long_line_behind_one_destination_keeps_nobody_from_going_out(tmp_path: Path) -> None:
    """All of it is looked through for others' mail, and meanwhile the first one goes out."""

    async def go() -> None:
        async with Peer().serve() as peer:
            zone = "far.example. MX 10 mx.far.example.\nmx.far.example. A 127.0.0.1\n"
            async with bench(tmp_path, zone=zone, smtp_port=peer.port) as it:
                await queue_mail(it.store, "M", final=("a@far.example",))
                looks = 0
                due = it.store.due

                def endless(now: float, **where: Any) -> list[tuple[float, int, str]]:
                    nonlocal looks
                    looks += 1
                    assert looks < 5000, "it only looks"
                    if looks == 1:
                        return due(now, **where)
                    first = where["start"][1] if where["start"] else 10**6
                    return [(now, first + n, f"a{n}@far.example") for n in range(where["limit"])]

                it.store.due = endless  # type: ignore[method-assign]
                running = asyncio.create_task(it.runner.run())
                async with asyncio.timeout(20):
                    while not peer.messages:
                        await asyncio.sleep(0)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    asyncio.run(go())

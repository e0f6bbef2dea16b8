"""Kill -9, cut connections and a full disk in the middle of deliveries: nothing is lost, only what SMTP cannot tell comes twice."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from promise import SETTINGS, a_memory_folder
from test_killed import HERE, PATHS

from gatepost.mail.address import Address
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.store.records import Acceptance, HistoryEntry, NewDelivery
from gatepost.store.store import Store
from scripted_peer import Died, Peer

memory_folder = a_memory_folder
COUNT = 120


def letter(number: int) -> bytes:
    body = b"x" * 60 + b"\r\n"
    return b"From: a@example.org\r\nSubject: number %d\r\n\r\n" % number + body * (1 + number % 40)


def numbers_in(peer: Peer) -> Counter[int]:
    """How often each letter arrived whole."""
    found: Counter[int] = Counter()
    for octets in peer.messages:
        number = int(octets.split(b"number ", 1)[1].split(b"\r\n", 1)[0])
        assert octets.endswith(letter(number)), "whole, or not at all"
        found[number] += 1
    return found


async def fill(folder: Path) -> None:
    store = Store.open(folder, SETTINGS)
    now = time.time()

    async def put(number: int) -> None:
        recipient = Recipient(address=Address(f"r{number}", "far.example"))
        envelope = Envelope(sender=Address("a", "example.org"), recipients=(recipient,))
        entry = HistoryEntry(
            ref=f"F{number}", at=now, kind="message", client=Client(ip=None), envelope=envelope
        )
        copy = NewDelivery(recipient=recipient, to=str(recipient.address))
        await store.carry_out(Acceptance(entry=entry, octets=letter(number), deliveries=(copy,)))

    await asyncio.gather(*(put(number) for number in range(COUNT)))
    await store.close()


async def process(folder: Path, port: int, *several: int) -> asyncio.subprocess.Process:
    started = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "sending_out.py"), str(folder), str(port), *map(str, several),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": PATHS},
        start_new_session=True,
    )  # fmt: skip
    if not several:
        assert await begun(started) == started.pid
    return started


async def begun(started: asyncio.subprocess.Process) -> int:
    """The next one that begins to deliver."""
    assert started.stdout is not None
    async with asyncio.timeout(30):
        return int(await started.stdout.readline())


async def ended(started: asyncio.subprocess.Process) -> None:
    """All of it, in one instant."""
    os.killpg(started.pid, signal.SIGKILL)
    await started.wait()


def left(folder: Path) -> int:
    store = Store.open(folder, SETTINGS)
    try:
        return store.database.read(lambda c: int(c.execute("SELECT count(*) FROM queue").fetchone()[0]))
    finally:
        store.database.close_now()


@pytest.mark.parametrize("kills_at", [(1,), (20, 60), (5, 10, 50, 90, 100)])
def test_killed_in_the_middle(memory_folder: Path, kills_at: tuple[int, ...]) -> None:
    async def go() -> tuple[Counter[int], int]:
        await fill(memory_folder)
        async with Peer(keywords=("PIPELINING",)).serve() as peer:
            for taken in kills_at:
                running = await process(memory_folder, peer.port)
                async with asyncio.timeout(20):
                    while len(peer.messages) < taken:
                        await asyncio.sleep(0.001)
                await ended(running)
            running = await process(memory_folder, peer.port)
            async with asyncio.timeout(30):
                while len(numbers_in(peer)) < COUNT or await asyncio.to_thread(left, memory_folder):
                    await asyncio.sleep(0.02)
            await ended(running)
            return numbers_in(peer), len(peer.messages) - COUNT

    arrived, again = asyncio.run(go())
    assert set(arrived) == set(range(COUNT))
    # Twenty may be on their way, and those that wait for our disk.
    assert again <= len(kills_at) * 60


def test_one_of_three_killed_in_the_middle_again_and_again(memory_folder: Path) -> None:
    """The others go on, it comes back, and in the end fewer begin anew with what all three held."""

    async def go() -> Counter[int]:
        await fill(memory_folder)
        async with Peer(keywords=("PIPELINING",)).serve() as peer:

            async def until_taken(count: int) -> None:
                async with asyncio.timeout(30):
                    while len(peer.messages) < count:
                        await asyncio.sleep(0.001)

            running = await process(memory_folder, peer.port, 3)
            alive = [await begun(running) for _ in range(3)]
            for taken in (5, 20, 35):
                await until_taken(taken)
                os.kill(alive.pop(0), signal.SIGKILL)
                alive.append(await begun(running))
            await until_taken(60)
            await ended(running)
            running = await process(memory_folder, peer.port)
            async with asyncio.timeout(30):
                while await asyncio.to_thread(left, memory_folder):
                    await asyncio.sleep(0.02)
            await ended(running)
            return numbers_in(peer)

    arrived = asyncio.run(go())
    assert set(arrived) == set(range(COUNT)), "nothing is lost, nor waits for a process that is no more"
    # Of each that was killed, what was on its way and what waited for the disk.
    assert sum(arrived.values()) - COUNT <= 3 * 60 + 60


@pytest.mark.parametrize("several", [(), (3,)], ids=["one", "three"])
def test_a_network_that_cuts_connections_anywhere(memory_folder: Path, several: tuple[int, ...]) -> None:
    chance = random.Random(8)

    def answer(verb: str, line: str) -> str | None:
        return "die" if verb != "message" and chance.random() < 0.03 else None

    async def go() -> tuple[Counter[int], int]:
        await fill(memory_folder)
        async with Peer(keywords=("PIPELINING",), answer=answer).serve() as peer:
            running = await process(memory_folder, peer.port, *several)
            async with asyncio.timeout(60):
                while await asyncio.to_thread(left, memory_folder):
                    await asyncio.sleep(0.05)
            await ended(running)
            return numbers_in(peer), peer.connections

    arrived, connections = asyncio.run(go())
    assert connections > 5
    assert arrived == Counter(range(COUNT)), (
        "nothing lost, and nothing twice: no answer to a message was cut off"
    )


@dataclass
class Cutting(Peer):
    """The network fails in the middle of a message, or between its end and the answer; this often, in both ways there are."""

    cuts: int = 20
    after_the_dot: bool = False
    chance: random.Random = field(default_factory=lambda: random.Random(5))
    was_cut: int = 0

    async def _take_message(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, accepted: int
    ) -> None:
        if self.was_cut >= self.cuts or self.chance.random() < 0.5:
            await super()._take_message(reader, writer, accepted)
            return
        self.was_cut += 1
        if self.after_the_dot:
            got = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
            self.messages.append(got)  # taken for good, and the answer never arrives
        else:
            await reader.readexactly(self.chance.randrange(40))
        if self.was_cut % 2:
            writer.transport.abort()
            raise Died
        await asyncio.Event().wait()  # nothing comes through any more, and nobody says so


@pytest.mark.parametrize("after_the_dot", [False, True], ids=["in-the-message", "before-the-answer"])
def test_a_network_cut_in_a_message_or_before_its_answer(memory_folder: Path, *, after_the_dot: bool) -> None:
    async def go() -> tuple[Counter[int], int]:
        await fill(memory_folder)
        async with Cutting(keywords=("PIPELINING",), after_the_dot=after_the_dot).serve() as peer:
            running = await process(memory_folder, peer.port)
            async with asyncio.timeout(60):
                while await asyncio.to_thread(left, memory_folder):
                    await asyncio.sleep(0.05)
            await ended(running)
            return numbers_in(peer), peer.was_cut

    arrived, cuts = asyncio.run(go())
    assert cuts == 20
    assert set(arrived) == set(range(COUNT)), "nothing is lost"
    twice = sum(arrived.values()) - COUNT
    assert twice == (cuts if after_the_dot else 0), "only what SMTP cannot tell comes again"


async def said(started: asyncio.subprocess.Process, words: bytes) -> None:
    """Wait until it says so in its log."""
    assert started.stderr is not None
    async with asyncio.timeout(30):
        while words not in await started.stderr.readline():
            pass


def room_for(started: asyncio.subprocess.Process, octets: int) -> None:
    """No file of the process may be longer from now on: to its disk it is as if that were full."""
    resource.prlimit(started.pid, resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))


def test_a_disk_that_is_full_for_one_of_two(memory_folder: Path) -> None:
    """What one cannot write down it keeps; the other delivers its own mail meanwhile, and none of the first's."""

    async def go() -> tuple[Counter[int], int]:
        await fill(memory_folder)
        async with Peer(keywords=("PIPELINING",)).serve() as peer:
            running = await process(memory_folder, peer.port, 2)
            one, _ = await begun(running), await begun(running)
            async with asyncio.timeout(20):
                while len(peer.messages) < 10:
                    await asyncio.sleep(0.001)
            resource.prlimit(one, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            await said(running, b"not written down yet")
            before = await asyncio.to_thread(left, memory_folder)
            resource.prlimit(one, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            await said(running, b"is written down again")
            async with asyncio.timeout(30):
                while await asyncio.to_thread(left, memory_folder):
                    await asyncio.sleep(0.02)
            await ended(running)
            return numbers_in(peer), before

    arrived, before = asyncio.run(go())
    assert before > 0, "the queue still had what was delivered meanwhile"
    assert arrived == Counter(range(COUNT)), "nothing is lost, nothing comes twice"


@pytest.mark.parametrize("killed", [False, True], ids=["until-there-is-room", "killed-meanwhile"])
def test_a_disk_that_is_full_in_the_middle_of_deliveries(memory_folder: Path, *, killed: bool) -> None:
    """What was delivered cannot be written down: it is kept until it can be, and only a kill makes it come again."""

    async def go() -> tuple[Counter[int], int]:
        await fill(memory_folder)
        async with Peer(keywords=("PIPELINING",)).serve() as peer:
            running = await process(memory_folder, peer.port)
            async with asyncio.timeout(20):
                while len(peer.messages) < 10:
                    await asyncio.sleep(0.001)
            room_for(running, 4096)
            await said(running, b"not written down yet")
            before = await asyncio.to_thread(left, memory_folder)
            if killed:
                await ended(running)
                running = await process(memory_folder, peer.port)
            else:
                room_for(running, resource.RLIM_INFINITY)
                await said(running, b"is written down again")
            async with asyncio.timeout(30):
                while await asyncio.to_thread(left, memory_folder):
                    await asyncio.sleep(0.02)
            await ended(running)
            return numbers_in(peer), before

    arrived, before = asyncio.run(go())
    assert before > 0, "the queue still had what was delivered meanwhile"
    assert set(arrived) == set(range(COUNT)), "nothing is lost"
    twice = sum(arrived.values()) - COUNT
    assert twice <= (COUNT if killed else 0), "the process knew what it had delivered"
    assert (twice > 0) == killed

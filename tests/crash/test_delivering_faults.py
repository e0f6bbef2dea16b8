"""Kill -9 and cut connections in the middle of deliveries: nothing is lost, and only what SMTP cannot tell comes twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from promise import SETTINGS, a_memory_folder
from test_killed import HERE, PATHS

from gatepost.mail.address import Address
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.store.records import Acceptance, HistoryEntry, NewDelivery
from gatepost.store.store import Store
from scripted_peer import Peer

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


async def process(folder: Path, port: int) -> asyncio.subprocess.Process:
    started = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "sending_out.py"), str(folder), str(port),
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": PATHS},
    )  # fmt: skip
    assert started.stdout is not None
    assert await started.stdout.readline() == b"begun\n"
    return started


async def ended(started: asyncio.subprocess.Process) -> None:
    started.send_signal(signal.SIGKILL)
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


def test_a_network_that_cuts_connections_anywhere(memory_folder: Path) -> None:
    chance = random.Random(8)

    def answer(verb: str, line: str) -> str | None:
        return "die" if verb != "message" and chance.random() < 0.03 else None

    async def go() -> tuple[Counter[int], int]:
        await fill(memory_folder)
        async with Peer(keywords=("PIPELINING",), answer=answer).serve() as peer:
            running = await process(memory_folder, peer.port)
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


def test_an_answer_cut_off_after_the_dot_is_the_one_thing_that_comes_twice(memory_folder: Path) -> None:
    cuts = 0

    async def go() -> Counter[int]:
        peer: Peer

        def answer(verb: str, line: str) -> str | None:
            nonlocal cuts
            if verb == "message" and cuts < 10:
                cuts += 1
                return "die"
            return None

        await fill(memory_folder)
        async with Peer(keywords=("PIPELINING",), answer=answer).serve() as peer:
            running = await process(memory_folder, peer.port)
            async with asyncio.timeout(60):
                while await asyncio.to_thread(left, memory_folder):
                    await asyncio.sleep(0.05)
            await ended(running)
            return numbers_in(peer)

    arrived = asyncio.run(go())
    assert cuts == 10
    assert set(arrived) == set(range(COUNT))

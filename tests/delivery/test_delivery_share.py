"""Several processes that deliver: each message is one's, no bound is passed by all of them together, trouble is one's alone."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery_bench import Bench, bench, queue_mail
from gatepost.delivery.routes import Elsewhere
from gatepost.delivery.runner import DeliveryRunner
from gatepost.delivery.settings import DeliverySettings, ScheduleSettings
from gatepost.delivery.share import Share, Troubled, mark_of, part, part_of, processes
from scripted_peer import Peer

FAR = Elsewhere("far.example")
ZONE = "far.example. MX 10 mx.far.example.\nmx.far.example. A 127.0.0.1\n"


def shares(of: int) -> list[Share]:
    troubled = Troubled()
    return [Share(number, of, troubled) for number in range(of)]


@given(of=st.integers(1, 8), message=st.integers(1, 2**40), troubled=st.booleans())
def test_each_copy_is_one_processs(of: int, message: int, *, troubled: bool) -> None:
    all_of_them = shares(of)
    if troubled:
        all_of_them[-1].in_trouble(FAR)
    for one in all_of_them:
        one.changed()
    having = [one.number for one in all_of_them if one.may_have(message) and one.has(message, FAR)]
    assert len(having) == 1
    assert [one.number for one in all_of_them if one.left_to_another(FAR)] == [
        number for number in range(of) if troubled and of > 1 and number != having[0]
    ]


def test_trouble_is_over_for_all_when_the_one_that_sees_to_it_says_so() -> None:
    first, second = sorted(shares(2), key=lambda one: one.number != mark_of(FAR) % 2)
    second.in_trouble(FAR)
    assert first.changed()
    assert not first.changed(), "that was told"
    second.well(FAR)
    assert second.left_to_another(FAR), "it is not its to say"
    first.well(FAR)
    assert not second.left_to_another(FAR)


@given(whole=st.integers(0, 1000), of=st.integers(1, 8))
def test_the_parts_of_a_bound_are_the_bound(whole: int, of: int) -> None:
    parts = [part(whole, number, of) for number in range(of)]
    assert sum(parts) == (whole if whole >= of or not whole else of)
    assert max(parts) - min(parts) <= 1


@given(
    asked=st.integers(0, 32), each=st.integers(1, 40), at_once=st.integers(1, 400), in_hand=st.integers(1, 2000),
    cores=st.integers(1, 64),
)  # fmt: skip
def test_all_processes_together_keep_to_what_is_set(
    asked: int, each: int, at_once: int, in_hand: int, cores: int
) -> None:
    settings = DeliverySettings(
        processes=asked, at_once_per_destination=each, at_once=at_once, in_hand=in_hand
    )
    of = processes(settings, cores=cores)
    assert of == 1 or of <= (asked or min(2, cores))
    parts = [part_of(settings, number, of) for number in range(of)]
    assert sum(one.at_once_per_destination for one in parts) == each
    assert sum(one.at_once for one in parts) == at_once
    assert sum(one.in_hand for one in parts) == in_hand


def test_one_process_has_the_settings_as_they_are() -> None:
    settings = DeliverySettings()
    assert part_of(settings, 0, 1) == settings
    assert processes(settings, cores=8) == 1
    by_itself = DeliverySettings(processes=0)
    assert [processes(by_itself, cores=cores) for cores in (1, 8)] == [1, 2]
    assert processes(DeliverySettings(processes=3, at_once_per_destination=1), cores=8) == 1


async def until(true: object, *, patience_s: float = 20) -> None:
    assert callable(true)
    async with asyncio.timeout(patience_s):
        while not true():
            await asyncio.sleep(0.005)


def two_of(it: Bench) -> list[DeliveryRunner]:
    """As two processes have them, but for the connections, which they share here."""
    return [it.runner_of(one, f"delivery-{one.number}") for one in shares(2)]


async def ended(running: list[asyncio.Task[None]]) -> None:
    for one in running:
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)


class Counting(Peer):
    """Says how many talk to it at once; turns away who is one too many."""

    most = 1000
    inside = 0
    seen = 0

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.inside >= self.most:
            writer.write(b"421 4.7.0 too many of you\r\n")
            await writer.drain()
            return
        self.inside += 1
        self.seen = max(self.seen, self.inside)
        try:
            await super()._talk(reader, writer)
        finally:
            self.inside -= 1


@pytest.mark.parametrize("bound", [1, 2, 3])
def test_two_never_talk_to_a_host_more_often_at_once_than_is_set(tmp_path: Path, bound: int) -> None:
    async def go() -> tuple[int, int]:
        settings = DeliverySettings(at_once_per_destination=bound, processes=2, poll_s=0.05)
        async with (
            Counting().serve() as peer,
            bench(tmp_path, zone=ZONE, smtp_port=peer.port, settings=settings) as it,
        ):
            for number in range(40):
                await queue_mail(it.store, f"M{number}", final=("ana@far.example",))
            runners = two_of(it) if processes(settings, cores=2) == 2 else [it.runner]
            running = [asyncio.create_task(one.run()) for one in runners]
            await until(lambda: len(peer.messages) == 40 and not it.due())
            await ended(running)
            assert isinstance(peer, Counting)
            return len(runners), peer.seen

    runners, seen = asyncio.run(go())
    assert runners == min(bound, 2)
    assert seen <= bound


def test_both_deliver(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with Peer().serve() as peer, bench(tmp_path, zone=ZONE, smtp_port=peer.port) as it:
            for number in range(40):
                await queue_mail(it.store, f"M{number}", final=("ana@far.example", "ben@far.example")[:1])
            runners = two_of(it)
            running = [asyncio.create_task(one.run()) for one in runners]
            await until(lambda: len(peer.messages) == 40 and not it.rows("SELECT 1 FROM queue"))
            await ended(running)
            return [one.results.delivered for one in runners]

    assert asyncio.run(go()) == [20, 20]


def test_a_host_with_one_connection_to_give_gets_the_mail_of_both(tmp_path: Path) -> None:
    """Who has none of it leaves its mail to who has it, and does not take the host for one that is down."""

    async def go() -> tuple[int, list[int]]:
        settings = DeliverySettings(poll_s=0.02, schedule=ScheduleSettings(destination_pause_s=0.05))
        async with (
            Counting().serve() as peer,
            bench(tmp_path, zone=ZONE, smtp_port=peer.port, settings=settings) as it,
        ):
            assert isinstance(peer, Counting)
            peer.most = 1
            for number in range(30):
                await queue_mail(it.store, f"M{number}", final=("ana@far.example",))
            runners = two_of(it)
            running = [asyncio.create_task(one.run()) for one in runners]

            def all_there() -> bool:
                it.now += 1  # what was turned away once is due again soon
                return len(peer.messages) == 30

            await until(all_there)
            await ended(running)
            owner = mark_of(FAR) % 2
            return peer.seen, [one.results.delivered for one in (runners[owner], runners[1 - owner])]

    seen, (owner, other) = asyncio.run(go())
    assert seen == 1
    assert owner > other


def test_a_host_that_is_down_is_asked_as_seldom_as_by_one(tmp_path: Path) -> None:
    """Time stands still: after each process found out by itself, at most, only one of them goes on asking."""

    async def go() -> tuple[list[int], int]:
        settings = DeliverySettings(poll_s=0.01, at_once_per_destination=2)
        async with (
            Peer(
                answer=lambda verb, _: "421 4.3.2 going down" if verb == "greeting" else None
            ).serve() as peer,
            bench(tmp_path, zone=ZONE, smtp_port=peer.port, settings=settings) as it,
        ):
            for number in range(20):
                await queue_mail(it.store, f"M{number}", final=("ana@far.example",))
            runners = two_of(it)
            running = [asyncio.create_task(one.run()) for one in runners]

            def at_rest() -> bool:
                return not it.due() and not it.rows("SELECT 1 FROM queue WHERE worker IS NOT NULL")

            await until(at_rest)
            asked = [peer.connections]
            for _ in range(3):
                it.now += 31 * 2 ** len(asked)
                await until(at_rest)
                asked.append(peer.connections)
            await ended(running)
            tried = it.rows("SELECT count(*) FROM attempts")[0][0]
            return [
                asked[0],
                *(after - before for before, after in pairwise(asked)),
            ], tried

    asked, tried = asyncio.run(go())
    assert 1 <= asked[0] <= 2, "each once at most"
    assert asked[1:] == [1, 1, 1], "then one of them, once a pause"
    assert tried == sum(asked)

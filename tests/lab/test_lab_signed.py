"""The table of situations in a really signed tree: knot's signatures, unbound's validation, our own stub resolver."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from lab_situations import SITUATIONS
from lab_world import World, gathered

from gatepost.net.resolver import CachingResolver, DnsSettings
from signed_names import ZoneOf, names

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    """The world of all situations, and where to ask for its names."""
    world = World(tmp_path_factory.mktemp("world"), SITUATIONS)
    state = {"plain": "insecure", "bogus": "bogus"}
    zones = {
        ".": ZoneOf(),
        "test": ZoneOf(["ns.test. 300 A 127.0.0.1"]),
        **{
            f"{zone}.test": ZoneOf(records, state.get(zone, "signed"))
            for zone, records in world.records.items()
            if zone not in world.cuts
        },
        **{name: ZoneOf(world.records.get(name, []), state) for name, state in world.cuts.items()},
    }
    with names(tmp_path_factory.mktemp("names"), zones) as resolver:
        yield world, resolver


def test_every_situation_comes_out_as_it_must(lab: tuple[World, str]) -> None:
    world, server = lab

    async def go() -> list[str]:
        resolver = CachingResolver(DnsSettings(servers=(server,), trust_ad=True))
        try:
            async with world.running():
                return await gathered(world, resolver, [one.name for one in SITUATIONS])
        finally:
            await resolver.close()

    wrong = asyncio.run(go())
    assert not wrong, "\n" + "\n".join(wrong)


def test_without_a_resolver_that_is_believed_there_is_no_dane(lab: tuple[World, str]) -> None:
    world, server = lab
    for placed in world.casts["ee-bad"].hosts:
        assert placed.peer is not None
        placed.peer.messages.clear()

    async def go() -> tuple[str, str]:
        resolver = CachingResolver(DnsSettings(servers=(server,), trust_ad=False))
        try:
            async with world.running():
                sent, _ = await world.deliver("ee-bad", resolver)
        finally:
            await resolver.close()
        return sent.outcomes[0].result.value, sent.tls_policy

    assert asyncio.run(go()) == ("delivered", "opportunistic")

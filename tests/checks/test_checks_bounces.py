"""What comes back of an account's mail."""

from __future__ import annotations

import asyncio

import pytest

from gatepost.checks.outgoing.bounces import bounced
from sending import desk, letter

FREE = {
    "fanout": {"mode": "off"},
    "quota": {"account": {"strangers_hour": 0}, "device": {"strangers_hour": 0}},
}


@pytest.mark.parametrize(
    ("sent", "failed", "names"),
    [
        (100, 9, []),
        (100, 10, []),
        (100, 20, ["bounces.some"]),
        (20, 12, ["bounces.most"]),
        (2, 15, ["bounces.most"]),
    ],
)
def test_the_share_that_comes_back(sent: int, failed: int, names: list[str]) -> None:
    gate = desk(checks=FREE)
    gate.send(letter(), *[f"p{number}@example.org" for number in range(sent - 1)])

    async def come_back() -> None:
        for _ in range(failed):
            await bounced("ana@example.net", gate.world, gate.world.now)

    asyncio.run(come_back())
    gate.world.now += 3600
    gate.send()
    assert [one for one in gate.findings() if one.startswith("bounces.")] == names
    gate.world.now += 4 * 3600
    gate.send()
    assert [one for one in gate.findings() if one.startswith("bounces.")] == [], "long ago"

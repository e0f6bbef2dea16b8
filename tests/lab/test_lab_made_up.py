"""The table of situations against answers made up in memory: fast, and without any program."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lab_situations import SITUATIONS
from lab_world import World, gathered

from gatepost.dns.zone import Zone

TRUST = {"secure": "$SECURE", "hosts": "$SECURE", "bogus": "$BOGUS"}


def made_up(world: World) -> Zone:
    """The same names as a zone text."""
    lines = ["$SECURE test", "$INSECURE plain.test"]
    for zone, records in world.records.items():
        if zone in TRUST:
            lines.append(f"{TRUST[zone]} {zone}.test")
        lines += records
    for name, state in world.cuts.items():
        tlsa = f"_{world.smtp_port}.{name}"
        lines.append({"bogus": f"$BOGUS {name}", "insecure": f"$INSECURE {name}"}.get(state, f"$FAIL {tlsa}"))
    return Zone.parse("\n".join(lines) + "\n")


def test_every_situation_comes_out_as_it_must(tmp_path: Path) -> None:
    async def go() -> list[str]:
        world = World(tmp_path, SITUATIONS)
        async with world.running():
            return await gathered(world, made_up(world), [one.name for one in SITUATIONS])

    wrong = asyncio.run(go())
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_table_is_as_large_as_it_is_meant_to_be() -> None:
    assert len(SITUATIONS) >= 60
    assert len({one.name for one in SITUATIONS}) == len(SITUATIONS)

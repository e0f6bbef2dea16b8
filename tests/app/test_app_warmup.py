"""What the first message would have loaded is there before it comes."""

from __future__ import annotations

import asyncio

from drive import drive
from gatepost.app import warmup


def test_the_rehearsal_goes_the_whole_way_and_asks_nobody() -> None:
    asked: set[str] = set()

    class Noted(warmup.Rehearsal):
        async def lookup(self, name, kind):
            asked.add(f"{name} {kind}")
            return await super().lookup(name, kind)

    drive(warmup.rehearse("mx.example.net", Noted()))
    assert {"example.com TXT", "s._domainkey.example.com TXT", "_dmarc.example.com TXT"} <= asked


def test_it_needs_no_event_loop() -> None:
    warmup.warm_up("mx.example.net")
    asyncio.run(asyncio.sleep(0))

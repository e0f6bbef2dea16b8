"""The records of our domains, when the DNS is there and when it is not."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gatepost.app.deskparts import installed
from gatepost.app.ownrecords import OwnFacts, Patient, State, own_records
from gatepost.config.schema import Loaded, load
from gatepost.dns.answer import Answer, Status
from gatepost.office.office import Office
from gatepost.store.store import Store
from office_samples import POSTMASTER

CONFIG = """
hostname = "mx.example.net"
state = "."
[[domains]]
name = "example.net"
deliver = "maildir:mail"
"""


class Silent:
    """Answers MX at once, and nothing else, ever."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def lookup(self, name: str, kind: str) -> Answer:
        """Waits for good."""
        self.asked.append((name, kind))
        if kind == "MX":
            return Answer(Status.FOUND, ("10 mx.example.net",))
        await asyncio.Event().wait()
        raise AssertionError


def loaded_from(folder: Path) -> Loaded:
    path = folder / "gatepost.toml"
    path.write_text(CONFIG)
    return load(path)


def test_each_record_says_that_it_could_not_be_looked_up_and_what_is_known_stays(tmp_path: Path) -> None:
    loaded = loaded_from(tmp_path)

    async def look() -> tuple[list[Any], Silent, int]:
        silent = Silent()
        async with Patient(silent, 0.05) as asked:
            found = await own_records("example.net", loaded, OwnFacts(), asked)
        return found, silent, len(asyncio.all_tasks())

    found, silent, tasks = asyncio.run(look())
    assert tasks == 1, "nothing goes on asking"
    states = {(one.name, one.kind): one.state for one in found}
    assert states["example.net", "MX"] is State.OK
    assert states["example.net", "TXT"] is states["_dmarc.example.net", "TXT"] is State.UNKNOWN
    assert states["mx.example.net", "A"] is State.UNKNOWN
    assert all("timeout" in one.text for one in found if one.state is State.UNKNOWN)
    assert len(silent.asked) == len(set(silent.asked))


def test_the_console_waits_for_all_of_them_together(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("gatepost.app.deskparts.DNS_PATIENCE_S", 0.05)
    loaded = loaded_from(tmp_path)

    async def look() -> list[str]:
        store = Store.open(tmp_path)
        office = Office(store=store, clock=time.time, random=os.urandom, hostname="mx.example.net")
        parts: Any = SimpleNamespace(resolver=Silent())
        async with asyncio.timeout(20):
            records = await installed(lambda: loaded, parts, office).records_of(POSTMASTER, "example.net")
        await store.close()
        return [one.state for one in records]

    assert sorted(set(asyncio.run(look()))) == ["missing", "ok", "unknown"], (
        "there is no key, the MX is known"
    )

"""What is kept of those who write to us, and of those we write to."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gatepost.store.correspondents import StoredCorrespondents, partners
from gatepost.store.database import Database
from gatepost.store.store import Store, StoreSettings
from gatepost.tools import Acquaintance


def remembered(tmp_path: Path, *lessons: dict[str, object]) -> tuple[Acquaintance | None, list[str]]:
    """`lessons` are learned one by one, each written and read back by somebody else."""

    async def work() -> tuple[Acquaintance | None, list[str]]:
        store = Store.open(tmp_path, StoreSettings())
        database: Database = store.database
        for lesson in lessons:
            writer = StoredCorrespondents(database, lambda: 1e9, flush_s=0.0)
            writer.learn(**{"identity": "y.example", "recipient_domain": "example.net", "at": 5.0, **lesson})  # type: ignore[arg-type]
            await writer.close()
        known = await StoredCorrespondents(database, lambda: 1e9).know("Y.example", "example.net")
        wrote_to = database.read(lambda connection: partners(connection, 10))
        await store.close()
        return known, wrote_to

    return asyncio.run(work())


def test_claims_are_counted_beside_an_acquaintance_and_make_none(tmp_path: Path) -> None:
    claim = {"proved": False}
    assert remembered(tmp_path / "a", claim, claim)[0] is None
    known, _ = remembered(tmp_path / "b", {}, claim, {}, claim, claim)
    assert known is not None
    assert (known.messages, known.unproved) == (2, 3)


def test_places_add_up_and_those_of_claims_do_not_count(tmp_path: Path) -> None:
    known, _ = remembered(
        tmp_path, {"places": ("DE", "AS3320")}, {"places": ("DE",)}, {"places": ("FR",), "proved": False}
    )
    assert known is not None
    assert known.places == {"DE": 2, "AS3320": 1}
    crowd = [{"places": (f"AS{number}",)} for number in range(20)]
    known, _ = remembered(tmp_path / "crowd", *crowd)
    assert known is not None
    assert len(known.places) == 12


def test_whom_we_wrote_to_is_a_partner_the_latest_first(tmp_path: Path) -> None:
    lessons = [
        {"identity": "a.example", "replied": True, "at": 1.0}, {"identity": "b.example", "replied": True, "at": 2.0},
        {"identity": "stranger.example", "at": 3.0},
    ]  # fmt: skip
    assert remembered(tmp_path, *lessons)[1] == ["b.example", "a.example"]

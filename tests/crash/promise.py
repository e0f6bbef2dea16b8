"""The promise, as a check: what was accepted is there whole, what was not is whole or absent."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.store.records import Acceptance
from gatepost.store.store import Store, StoreSettings
from gatepost.store.upkeep import damaged, sweep
from store_samples import acceptance

NOW = 1_750_000_000.0
SETTINGS = StoreSettings(inline_octets=1000)


@pytest.fixture(name="memory_folder")
def a_memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one: what is tested is order, not the patience of this machine's disk."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="gatepost-", dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


def sample(ref: str, size: int, *, held: bool = False) -> Acceptance:
    """A message whose octets tell it from every other."""
    octets = f"Subject: {ref}\r\n\r\n".encode()
    octets += (ref.encode() * (size // len(ref) + 1))[: size - len(octets)]
    return acceptance(
        ref, at=NOW, octets=octets, recipients=("ana@example.net", "ben@example.net"), held=held
    )


async def check_promise(folder: Path, accepted: set[str], wanted: list[Acceptance]) -> None:
    """Open what a crash left, and look at every message."""
    store = Store.open(folder, SETTINGS)
    assert damaged(store) == []
    await look(store, accepted, wanted)
    sweep(store, NOW + 10**9)
    await look(store, accepted, wanted)
    rows = {mail.entry.ref for mail in wanted if present(store, mail.entry.ref)}
    large = {mail.entry.ref for mail in wanted if len(mail.octets) > SETTINGS.inline_octets}
    assert {file.name for file in store.spool.files()} == rows & large, "files without a row are swept"
    again = [mail for mail in wanted if mail.entry.ref not in rows]
    for mail in again:
        await store.carry_out(mail)
    await look(store, {mail.entry.ref for mail in wanted}, wanted)
    await store.close()


async def look(store: Store, accepted: set[str], wanted: list[Acceptance]) -> None:
    copies = Counter(queued.ref for queued in store.queued(limit=10_000))
    copies += Counter(held.ref for held in store.held(limit=10_000))
    for mail in wanted:
        ref = mail.entry.ref
        if ref not in accepted and not present(store, ref):
            assert copies[ref] == 0
            assert store.entry(ref) is None
            continue
        assert store.octets_of(ref) == mail.octets, f"{ref} is not whole"
        assert copies[ref] == len(mail.deliveries)
        assert store.entry(ref) == mail.entry


def present(store: Store, ref: str) -> bool:
    try:
        store.octets_of(ref)
    except KeyError:
        return False
    return True


def abandon(store: Store) -> None:
    """Close the files and finish nothing, as a crash does."""
    store.database.close_now()

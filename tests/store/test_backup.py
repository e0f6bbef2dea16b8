"""A backup of a running store can be verified and restored, and what is wrong with one is said."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import pytest

from gatepost.store import messages
from gatepost.store.backup import backup, keep_files, restore, verify
from gatepost.store.disk import Disk
from gatepost.store.failures import StoreFailed
from gatepost.store.history import Search
from gatepost.store.postmaster import Postmaster, Why
from gatepost.store.store import Store
from store_samples import acceptance

NOW = 1_750_000_000.0
LARGE = b"Subject: large\r\n\r\n" + b"x" * 100_000


def made(tmp_path: Path) -> tuple[Path, Path]:
    """A state folder and its backup, made while the store is open and takes more mail in."""
    state, target = tmp_path / "state", tmp_path / "backup"

    async def story() -> None:
        store = Store.open(state)
        await store.carry_out(acceptance("SMALL", at=NOW))
        await store.carry_out(acceptance("LARGE", at=NOW, octets=LARGE))
        await Postmaster(store).note("settings change", Why("ana", "because", NOW))
        more = [acceptance(f"MORE{number}", at=NOW, octets=LARGE) for number in range(20)]
        await asyncio.gather(
            asyncio.to_thread(lambda: backup(state, target, now=NOW)),
            *(store.carry_out(mail) for mail in more),
        )
        await store.close()

    asyncio.run(story())
    return state, target


def test_a_restored_store_has_everything(tmp_path: Path) -> None:
    _, target = made(tmp_path)
    assert verify(target) == []
    manifest = restore(target, tmp_path / "again", hold_because="restored")
    assert manifest.counts["journal"] == 1

    async def story() -> None:
        store = Store.open(tmp_path / "again")
        assert store.octets_of("LARGE") == LARGE
        assert store.damaged() == []
        assert store.entry("SMALL") is not None
        assert len(store.find(Search(sender="sam@example.org")).entries) == manifest.counts["history"]
        assert await store.claim(NOW + 1, 100, 60.0, "w") == [], "it may have been delivered since"
        assert {queued.held_because for queued in store.queued()} == {"restored"}
        await store.close()

    asyncio.run(story())


def test_restore_leaves_a_state_that_is_there_alone(tmp_path: Path) -> None:
    state, target = made(tmp_path)
    with pytest.raises(StoreFailed, match="not empty"):
        restore(target, state, hold_because=None)


@pytest.mark.parametrize("broken", ["database", "message", "manifest", "missing"])
def test_damage_is_named(broken: str, tmp_path: Path) -> None:
    _, target = made(tmp_path)
    large = target / "spool" / "E" / "LARGE"
    match broken:
        case "database":
            octets = bytearray((target / "gatepost.db").read_bytes())
            octets[-2000] ^= 1
            (target / "gatepost.db").write_bytes(octets)
        case "message":
            large.unlink()
            large.write_bytes(LARGE.replace(b"x", b"y"))
        case "manifest":
            (target / "manifest.json").unlink()
        case "missing":
            large.unlink()
    wrong = verify(target)
    assert wrong
    with pytest.raises(StoreFailed, match="not sound"):
        restore(target, tmp_path / "again", hold_because=None)
    assert not (tmp_path / "again").exists()


def test_what_leaves_during_the_backup_is_left_out_and_what_was_lost_is_told(tmp_path: Path) -> None:
    state, target = tmp_path / "state", tmp_path / "backup"
    disk = Disk()

    async def story() -> None:
        store = Store.open(state)
        for ref in ("LEAVES", "STAYS", "LOST"):
            await store.carry_out(acceptance(ref, at=NOW, octets=LARGE))
        target.mkdir()
        with contextlib.closing(disk.connect(state / "gatepost.db", read_only=True)) as source:
            source.execute("VACUUM INTO ?", (str(target / "gatepost.db"),))
        await Postmaster(store).drop("LEAVES", Why("ana", "meanwhile", NOW))
        store.spool.path_of("LOST").unlink()
        with contextlib.closing(disk.connect(target / "gatepost.db")) as copy:
            keep_files(state, target, copy)
            assert [ref for ref, _ in messages.in_spool(copy)] == ["STAYS", "LOST"]
            assert copy.execute("SELECT count(*) FROM queue").fetchone() == (2,)
        await store.close()

    asyncio.run(story())
    assert [path.name for path in (target / "spool").rglob("*") if path.is_file()] == ["STAYS"]
    shutil.rmtree(target)
    backup(state, target, now=NOW)
    assert verify(target) == ["the octets of message LOST are missing"]

"""Fail the n-th operation for every n: accepted mail is never lost, and never half there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
from pathlib import Path

import pytest
from faulty_disk import FaultyDisk
from promise import SETTINGS, a_memory_folder, abandon, check_promise, sample

from gatepost.store.postmaster import Postmaster, Why
from gatepost.store.records import Acceptance
from gatepost.store.store import Store, StoreFailed, StoreFull
from gatepost.store.upkeep import damaged, key_problem, reseal

memory_folder = a_memory_folder

MAILS = [
    sample("SMALL", 200),
    sample("LARGE", 5000),
    sample("HELD", 300, held=True),
    sample("LATER", 5000, held=True),
]


async def take_in(folder: Path, disk: FaultyDisk) -> tuple[set[str], list[BaseException]]:
    """Three messages at once, then one; returns which were accepted, and what else came back."""
    accepted: set[str] = set()
    failures: list[BaseException] = []

    async def carry_out(store: Store, mail: Acceptance) -> None:
        try:
            await store.carry_out(mail)
        except StoreFailed as failure:
            failures.append(failure)
        else:
            accepted.add(mail.entry.ref)

    try:
        store = Store.open(folder, SETTINGS, disk)
    except StoreFailed as failure:
        return accepted, [failure]
    await asyncio.gather(*(carry_out(store, mail) for mail in MAILS[:3]))
    await carry_out(store, MAILS[3])
    abandon(store)
    return accepted, failures


@pytest.mark.parametrize(
    ("after", "for_good"),
    [(False, False), (True, False), (False, True), (True, True)],
    ids=["once", "done-but-failed", "for-good", "done-but-failed-for-good"],
)
def test_accepted_mail_survives_a_fault_at_every_operation(
    memory_folder: Path, after: bool, for_good: bool
) -> None:
    seen: set[str] = set()
    for number in itertools.count(1):
        folder = memory_folder / str(number)
        disk = FaultyDisk(fail_at=number, after=after, for_good=for_good)
        accepted, failures = asyncio.run(take_in(folder, disk))
        asyncio.run(check_promise(folder, accepted, MAILS))
        seen.update(disk.failed)
        if not disk.failed:
            assert accepted == {mail.entry.ref for mail in MAILS}
            assert failures == []
            break
        if not for_good and disk.count > number + 60:
            assert "LATER" in accepted, "one fault does not outlast itself"
    assert {"write", "sync", "rename", "create", "COMMIT", "BEGIN IMMEDIATE"} <= seen


def test_a_full_disk_is_told_from_a_broken_one(memory_folder: Path) -> None:
    disk = FaultyDisk(fail_at=0, code=errno.ENOSPC)

    async def story() -> None:
        store = Store.open(memory_folder, SETTINGS, disk)
        disk.fail_at = disk.count + 2  # the write of the spool file; the first is its creation
        with pytest.raises(StoreFull):
            await store.carry_out(MAILS[1])
        assert disk.failed
        assert list(store.spool.files()) == [], "what could not be finished makes room again"
        await store.carry_out(MAILS[1])
        await store.close()

    asyncio.run(story())
    asyncio.run(check_promise(memory_folder, {"LARGE"}, MAILS[1:2]))


def test_a_full_database_takes_mail_again_when_there_is_room(memory_folder: Path) -> None:
    async def story() -> set[str]:
        store = Store.open(memory_folder, SETTINGS)
        await store.carry_out(MAILS[0])
        connection = store.database._writing()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        mails = [sample(f"FULL{number}", 900) for number in range(40)]
        results = await asyncio.gather(*(store.carry_out(mail) for mail in mails), return_exceptions=True)
        assert all(isinstance(result, StoreFull) for result in results), results
        await asyncio.gather(
            *(store.carry_out(mail) for mail in mails)
        )  # the fresh connection has no such limit
        await store.close()
        await check_promise(
            memory_folder, {mail.entry.ref for mail in [MAILS[0], *mails]}, [MAILS[0], *mails]
        )

    asyncio.run(story())


def test_a_fault_while_a_person_decides_loses_nothing_and_decides_nothing_by_halves(
    memory_folder: Path,
) -> None:
    """Release one, delete one, renew the master key: after a fault at any step each copy is held or decided, never both."""
    why = Why("ana", "for a test", 1_750_000_000.0)
    for number in itertools.count(1):
        folder = memory_folder / f"decide{number}"
        kept = [
            sample("FREED", 300, held=True),
            sample("GONE", 5000, held=True),
            sample("STAYS", 300, held=True),
        ]
        told = asyncio.run(decide(folder, kept, why, number))
        asyncio.run(look_after(folder, kept, told))
        if not told["failed"]:
            break


async def decide(folder: Path, kept: list[Acceptance], why: Why, fail_at: int) -> dict[str, bool]:
    """Hold the mail on a sound disk, then decide on one that fails at its n-th operation; says what was promised."""
    store = Store.open(folder, SETTINGS)
    for mail in kept:
        await store.carry_out(mail)
    await store.close()
    disk = FaultyDisk(fail_at=0)
    store = Store.open(folder, SETTINGS, disk)
    disk.fail_at = disk.count + fail_at
    told = {"failed": False, "FREED": False, "GONE": False}
    hands = Postmaster(store)
    for ref, act in (("FREED", hands.release), ("GONE", hands.delete)):
        with contextlib.suppress(StoreFailed):
            told[ref] = bool(await act(ref, why))
    with contextlib.suppress(StoreFailed):
        store.keys.add_key()
        await reseal(store)
    told["failed"] = bool(disk.failed)
    abandon(store)
    return told


async def look_after(folder: Path, kept: list[Acceptance], told: dict[str, bool]) -> None:
    store = Store.open(folder, SETTINGS)
    states = {held.ref: held.state for held in store.held(decided=True)}
    queued = {copy.ref for copy in store.queued()}
    for ref, done in (("FREED", "released"), ("GONE", "deleted")):
        assert states[ref] in ("held", done)
        assert states[ref] == done or not told[ref], "what was promised is so"
    assert ("FREED" in queued) == (states["FREED"] == "released")
    octets = {mail.entry.ref: mail.octets for mail in kept}
    for ref in ("FREED", "STAYS"):
        assert store.octets_of(ref) == octets[ref], f"{ref} cannot be opened any more"
    if states["GONE"] == "held":
        assert store.octets_of("GONE") == octets["GONE"]
    assert key_problem(store) == ""
    assert damaged(store) == []
    await store.close()

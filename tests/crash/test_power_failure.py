"""Pull the plug between any two system calls: what was answered with 250 is there, whole, whatever the disk kept."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from logged import round_of
from power import PowerlessDisk, read_log
from promise import SETTINGS, a_memory_folder, look

from conftest import real_program
from gatepost.store.store import Store
from gatepost.store.upkeep import damaged

memory_folder = a_memory_folder

HERE = Path(__file__).parent
MAILS = [mail for number in range(4) for mail in round_of(number)]


@pytest.fixture(scope="module")
def logger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that logs and fails system calls."""
    library = tmp_path_factory.mktemp("logger") / "disk_log.so"
    compiler = real_program("cc", "gcc")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, HERE / "disk_log.c", "-ldl", "-lpthread"],
        check=True,
    )
    return library


def run(logger: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), *sys.path]),
        "LD_PRELOAD": str(logger),
    }
    return subprocess.run(
        [sys.executable, str(HERE / "logged.py"), *arguments],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


EVERY = pytest.param(1, marks=pytest.mark.long)


@pytest.mark.parametrize("step", [4, EVERY])
def test_no_power_failure_loses_accepted_mail(step: int, logger: Path, memory_folder: Path) -> None:
    state, log = memory_folder / "state", memory_folder / "log"
    state.mkdir()
    run(logger, str(state), str(log))
    disk = PowerlessDisk(str(state))
    dice = random.Random(step)
    accepted: set[str] = set()
    points = 0
    for number, record in enumerate(read_log(log)):
        if record.what == "N":
            what, ref = record.data.decode().split()
            (accepted.add if what == "accepted" else accepted.discard)(ref)
        else:
            disk.follow(record)
        if record.what in "NS" or number % step == 0:  # what is certain changes only at a sync or a promise
            for chance in (0.0,) if record.what == "N" else (dice.choice((0.0, 0.5, 0.9, 1.0)),):
                points += 1
                leave_and_look(disk, memory_folder / "left", chance, dice, accepted)
    assert len(accepted) >= 8
    assert points > 100


def leave_and_look(
    disk: PowerlessDisk, left: Path, chance: float, dice: random.Random, accepted: set[str]
) -> None:
    left.mkdir()
    disk.leave(left, chance, dice)
    asyncio.run(look_at(left, accepted))
    shutil.rmtree(left)


async def look_at(folder: Path, accepted: set[str]) -> None:
    store = Store.open(folder, SETTINGS)
    assert damaged(store) == []
    for mail in MAILS:
        ref = mail.entry.ref
        if ref in accepted:
            await look(store, accepted, [mail])
    await store.close()


@pytest.mark.parametrize("step", [8, EVERY])
def test_no_failing_system_call_loses_accepted_mail(step: int, logger: Path, memory_folder: Path) -> None:
    lines = run(logger, str(memory_folder), "fail", str(step)).splitlines()
    for code in (errno.EIO, errno.ENOSPC):
        assert sum(line.startswith(f"{code}-") for line in lines) > 100 / step
    for line in lines:
        name, *accepted = line.split()
        assert "BROKE" not in accepted, line
        asyncio.run(look_at(memory_folder / name, set(accepted)))

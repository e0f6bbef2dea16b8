"""A process whose every write is logged: takes mail in, delivers some, checkpoints between; notes what it promised.

logged.py FOLDER LOG            log it all
logged.py FOLDER fail           fail the n-th system call for every n, each in a forked child of its own;
                                prints for each n how the child ended and what it had accepted
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import sys
from pathlib import Path

from promise import NOW, SETTINGS, abandon, sample
from pysqlite3 import dbapi2

from gatepost.store.database import DatabaseSettings
from gatepost.store.records import Acceptance, Done
from gatepost.store.store import Store, StoreFailed, StoreSettings

DISK = ctypes.CDLL(None)
QUIET = StoreSettings(inline_octets=SETTINGS.inline_octets, database=DatabaseSettings(checkpointer=False))


def round_of(number: int) -> list[Acceptance]:
    """A few messages of every sort."""
    return [
        sample(f"R{number}SMALL", 150),
        sample(f"R{number}LARGE", 3000),
        sample(f"R{number}HELD", 200, held=True),
    ]


async def story(folder: Path, rounds: int) -> set[str]:
    """Take in, checkpoint, deliver; returns what was accepted."""
    accepted: set[str] = set()

    async def carry_out(mail: Acceptance) -> None:
        await store.carry_out(mail)
        accepted.add(mail.entry.ref)
        DISK.disk_log_note(b"accepted " + mail.entry.ref.encode())

    store = Store.open(folder, QUIET)
    for number in range(rounds):
        results = await asyncio.gather(
            *(carry_out(mail) for mail in round_of(number)), return_exceptions=True
        )
        wrong = [result for result in results if result is not None and not isinstance(result, StoreFailed)]
        assert not wrong, wrong
        try:
            for item in await store.claim(NOW, 2, 60.0, "w"):
                DISK.disk_log_note(b"leaving " + item.ref.encode())
                accepted.discard(item.ref)
                await store.settle(item, None, Done())
        except StoreFailed:
            pass
        if number % 2 and store.database._connection is not None:
            with contextlib.suppress(dbapi2.OperationalError):
                store.database._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    abandon(store)
    return accepted


def fail_every(folder: Path, step: int) -> None:
    """One child for every n, until one gets through without a failure."""
    for code in (errno.EIO, errno.ENOSPC):
        number = -code % step
        while True:
            number += step
            place = folder / f"{code}-{number}"
            place.mkdir()
            child = os.fork()
            if child == 0:
                one_failure(place, number, code)
            _, status = os.waitpid(child, 0)
            if os.waitstatus_to_exitcode(status) == 7:
                break


def one_failure(place: Path, number: int, code: int) -> None:
    """In the child: fail call `number`; exit with 7 when it was never reached."""
    DISK.disk_log_start(str(place).encode(), -1)
    DISK.disk_log_fail(ctypes.c_long(number), code)
    accepted: set[str] = set()
    try:
        accepted = asyncio.run(story(place, 2))
    except StoreFailed:
        pass
    except BaseException as failure:
        print(place.name, "BROKE", repr(failure).replace(" ", "_"), flush=True)
        os._exit(1)
    print(place.name, *sorted(accepted), flush=True)
    os._exit(0 if DISK.disk_log_calls() >= number else 7)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    if sys.argv[2] == "fail":
        fail_every(where, int(sys.argv[3]))
    else:
        descriptor = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        DISK.disk_log_start(str(where).encode(), descriptor)
        asyncio.run(story(where, 4))

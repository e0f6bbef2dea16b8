"""How fast the store takes mail: 4 KB messages, 20 callers, in one or more processes that share the database.

    .venv/bin/python benchmarks/store.py [--messages N] [--callers N] [--processes N] [--octets N] [--folder DIR]

Prints the rate, the CPU time of one message (this process, all threads) and the latency of `carry_out`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from gatepost.store.database import DatabaseSettings
from gatepost.store.ref import new_ref
from gatepost.store.store import Store, StoreSettings
from store_samples import acceptance


async def take_in(folder: Path, messages: int, callers: int, octets: int, *, first: bool) -> dict[str, float]:
    """Carry out `messages` by `callers` at once."""
    store = Store.open(folder, StoreSettings(database=DatabaseSettings(checkpointer=first)))
    body = b"Subject: bench\r\n\r\n" + b"x" * 76 + b"\r\n"
    body += os.urandom(octets // 2).hex().encode()[: octets - len(body)]
    waits: list[float] = []
    start = time.time()
    mails = [
        acceptance(
            new_ref(start + number / 4000, os.urandom(4)),
            at=start + number / 4000,
            octets=body,
            sender=f"s{number % 997}@example.org",
            message_id=f"<{number}.{os.getpid()}@example.org>",
            added_header=b"Received: from x by y; now\r\n" * 4,
        )
        for number in range(messages)
    ]
    gc.freeze()
    todo = iter(mails)

    async def caller() -> None:
        for mail in todo:
            begun = time.perf_counter()
            await store.carry_out(mail)
            waits.append(time.perf_counter() - begun)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await store.close()
    waits.sort()
    return {
        "rate": messages / wall,
        "cpu_ms": cpu / messages * 1000,
        "p50_ms": waits[len(waits) // 2] * 1000,
        "p99_ms": waits[int(len(waits) * 0.99)] * 1000,
    }


def one_process(folder: Path, messages: int, callers: int, octets: int, first: bool) -> dict[str, float]:
    """The same in a process of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(take_in(folder, messages, callers, octets, first=first))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--callers", type=int, default=20)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--folder", type=Path, default=None)
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=wanted.folder))
    try:
        with ProcessPoolExecutor(wanted.processes) as pool:
            runs = [
                pool.submit(one_process, folder, wanted.messages, wanted.callers, wanted.octets, number == 0)
                for number in range(wanted.processes)
            ]
            results = [run.result() for run in runs]
    finally:
        shutil.rmtree(folder)
    for result in results:
        print("  ".join(f"{name} {value:,.2f}" for name, value in result.items()))
    print(f"together {sum(result['rate'] for result in results):,.0f} messages/s")


if __name__ == "__main__":
    main()

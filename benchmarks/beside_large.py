"""Small mail beside a large one: how long a small message takes to be judged while 25 MB with ten attachments are.

One process, the intake's own checks, no DNS. Prints the p50 and p99 of small mail alone and beside.
Run: .venv/bin/python benchmarks/beside_large.py
"""

from __future__ import annotations

import asyncio
import base64
import os
import statistics
import time

from gatepost.app.lookers import Lookers
from gatepost.app.scanning import fresh_ref, open_examiner
from gatepost.scan.judge import Told, judge

SMALL = (
    b"From: Ana <ana@example.org>\r\nTo: ben@example.net\r\nSubject: Lunch\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n\r\n" + b"Shall we meet at noon? https://www.example.org/menu\r\n" * 90
)


def large() -> bytes:
    parts = b"".join(
        b"--x\r\nContent-Type: application/octet-stream; name=%d.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n%s"
        % (number, base64.encodebytes(os.urandom(1_850_000)).replace(b"\n", b"\r\n"))
        for number in range(10)
    )
    return (
        b"From: ana@example.org\r\nTo: ben@example.net\r\nSubject: Files\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        + parts
        + b"--x--\r\n"
    )


async def small_ones(judging: object, count: int) -> list[float]:
    took = []
    for _ in range(count):
        started = time.perf_counter()
        await judging(SMALL)  # type: ignore[operator]
        took.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.002)
    return took


def told(what: str, took: list[float]) -> None:
    took.sort()
    print(
        f"{what:28} n={len(took):5}  p50 {statistics.median(took):6.2f} ms  p99 {took[int(len(took) * 0.99)]:6.2f} ms  max {took[-1]:6.2f} ms"
    )


async def main() -> None:
    examiner, loaded, close = await open_examiner(None, zones=(), resolver=None, dns=False)
    assert Lookers

    async def judging(octets: bytes) -> None:
        await judge(
            octets,
            examiner,
            Told(),
            trusted=loaded.trusted_relays,
            now=1_700_000_000.0,
            ref=fresh_ref(1_700_000_000.0),
        )

    big = large()
    try:
        await judging(big)  # the children are up
        await small_ones(judging, 200)
        told("small mail alone", await small_ones(judging, 2000))
        beside: list[float] = []
        started, larges = time.perf_counter(), 0
        while len(beside) < 2000:
            task = asyncio.create_task(judging(big))
            while not task.done():
                beside += await small_ones(judging, 1)
            await task
            larges += 1
        told("beside 25 MB", beside)
        print(
            f"{larges} large ones of {len(big) / 1e6:.1f} MB, {(time.perf_counter() - started) / larges:.2f} s each"
        )
    finally:
        await close()


asyncio.run(main())

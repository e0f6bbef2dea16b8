"""A process that takes mail in, several at once, and says on standard output which it would have answered with 250."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

from promise import SETTINGS, sample

from gatepost.store.store import Store


async def main(folder: Path, name: str) -> None:
    store = Store.open(folder, SETTINGS)
    numbers = itertools.count()

    async def caller() -> None:
        for number in numbers:
            mail = sample(f"{name}{number}", 200 if number % 3 else 5000, held=number % 5 == 0)
            await store.carry_out(mail)
            os.write(1, f"{mail.entry.ref}\n".encode())

    await asyncio.gather(*(caller() for _ in range(8)))


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

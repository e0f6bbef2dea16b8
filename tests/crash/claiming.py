"""A process that claims until nothing is due, and says what it got."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from promise import NOW, SETTINGS

from gatepost.store.store import Store


async def main(folder: Path, worker: str) -> None:
    store = Store.open(folder, SETTINGS)
    while items := await store.claim(NOW, 7, 60.0, worker):
        print(*(item.id for item in items))
    await store.close()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

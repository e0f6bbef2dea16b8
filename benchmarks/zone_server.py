"""Answers from a master file on a loopback port: zone_server.py FILE PORT"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gatepost.dns.zone import Zone
from gatepost.net.zoneserver import ZoneServer


async def main() -> None:
    """Until ended."""
    zone = Zone.parse(Path(sys.argv[1]).read_text(encoding="utf-8"))
    async with ZoneServer(zone, port=int(sys.argv[2])):
        await asyncio.Event().wait()


asyncio.run(main())

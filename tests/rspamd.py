"""A real rspamd on a free loopback port, with its DKIM and ARC modules and nothing else, that asks our own zone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from conftest import real_program

ARC = "/usr/share/rspamd/plugins/arc.lua"
CONFIG = """
options {{
  pidfile = "{folder}/pid"; tempdir = "{folder}"; hs_cache_dir = "{folder}"; dynamic_conf = "{folder}/dynamic"; rrd = "";
  control_socket = "{folder}/control mode=0600"; disable_hyperscan = true; filters = "dkim";
  url_tld = "{folder}/suffixes";
  dns {{ nameserver = ["{names}:1"]; timeout = 2s; retransmits = 2; }}
}}
logging {{ type = "console"; level = "info"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
modules {{ path = "{arc}"; }}
dkim {{ trusted_only = false; }}
arc {{ }}
actions {{ reject = 1000; }}
"""


@dataclass
class Rspamd:
    url: str
    client: httpx.AsyncClient

    async def symbols(self, octets: bytes) -> dict[str, list[str]]:
        """What it sees in a message: symbols, and what each is about."""
        answer = await self.client.post(f"{self.url}/checkv2", content=octets, timeout=20)
        return {name: one.get("options", []) for name, one in answer.json()["symbols"].items()}


@contextlib.asynccontextmanager
async def rspamd(folder: Path, names: str) -> AsyncIterator[Rspamd]:
    """`names` is the address:port of the name server."""
    program = real_program("rspamd")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config, log = folder / "rspamd.conf", folder / "rspamd.log"
    (folder / "suffixes").write_text("example\norg\n")  # the real list takes it many seconds to compile
    config.write_text(CONFIG.format(folder=folder, names=names, port=port, arc=ARC))
    with log.open("wb") as said:
        process = subprocess.Popen([program, "-f", "-i", "-c", str(config)], stdout=said, stderr=said)
    try:
        async with httpx.AsyncClient() as client:
            end = asyncio.get_running_loop().time() + 20
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    await client.get(f"http://127.0.0.1:{port}/ping", timeout=5)
                    break
                assert process.poll() is None, log.read_text()
                assert asyncio.get_running_loop().time() < end, log.read_text()
                await asyncio.sleep(0.02)
            yield Rspamd(f"http://127.0.0.1:{port}", client)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)

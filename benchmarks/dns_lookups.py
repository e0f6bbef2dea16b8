"""What a lookup costs: remembered ones per second, and ones that go over loopback per second of our CPU.

Run: python benchmarks/dns_lookups.py (not dns.py: that name would hide the library)
"""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.connection
import sys
import time

import uvloop

from gatepost.dns.zone import Zone
from gatepost.net.resolver import CachingResolver, DnsSettings
from gatepost.net.zoneserver import ZoneServer

QUESTIONS = 20_000
AT_ONCE = 64
ZONE = Zone.parse(
    '*.a.example A 192.0.2.1\n*.t.example TXT "v=spf1 ip4:192.0.2.0/24 include:_spf.example -all"\n*.m.example MX 10 mx.m.example.'
)


def serve(pipe: multiprocessing.connection.Connection) -> None:
    async def run() -> None:
        async with ZoneServer(ZONE) as server:
            pipe.send(server.address)
            await asyncio.get_running_loop().run_in_executor(None, pipe.recv)

    asyncio.run(run())


async def remembered(resolver: CachingResolver) -> float:
    await resolver.lookup("x.t.example", "TXT")
    started = time.perf_counter()
    for _ in range(300_000):
        await resolver.lookup("x.t.example", "TXT")
    return 300_000 / (time.perf_counter() - started)


async def asked(resolver: CachingResolver, kind: str, zone: str) -> tuple[float, float]:
    """Questions a second of wall time and of this process's CPU."""
    numbers = iter(range(QUESTIONS))

    async def ask() -> None:
        for number in numbers:
            answer = await resolver.lookup(f"n{number % 500}.{zone}", kind)
            assert answer.records, answer
            resolver.forget()

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return QUESTIONS / (time.perf_counter() - started), QUESTIONS / (time.process_time() - cpu)


async def measure(address: str) -> None:
    resolver = CachingResolver(DnsSettings(servers=(address,), trust_ad=True))
    print(f"remembered          {await remembered(resolver):>10,.0f}/s")
    for kind, zone in (("A", "a.example"), ("TXT", "t.example"), ("MX", "m.example")):
        wall, cpu = await asked(resolver, kind, zone)
        print(f"asked, {kind:<4}         {wall:>10,.0f}/s {cpu:>10,.0f}/CPU s")
    await resolver.close()


def main() -> None:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there,))
    server.start()
    try:
        address = here.recv()
        for name, factory in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop)):
            print(f"{name}, Python {sys.version.split()[0]}")
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(measure(address))
    finally:
        here.send(None)
        server.join()


if __name__ == "__main__":
    main()

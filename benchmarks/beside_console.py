"""Is the gate's own latency moved by people in the console? With a million messages in history, on one machine.

    .venv/bin/python benchmarks/beside_console.py [--messages 1000000] [--rounds 3] [--seconds 10] [--nice N,N]

`gatepost serve` with two workers takes signed mail from 20 clients that never pause, and from one that sends a message every
20 ms; meanwhile nobody is in the console, or somebody clicks (twice a second, every kind of page and search, with one page
open that streams live figures), or somebody asks without a pause. All in turn, several rounds, medians. The DNS, the senders and
the browser share the same CPUs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bigstore import fill
from corpus import make
from processes import adopt_orphans, cpu_s, free_port
from run import build, start_dns
from servers import Gatepost

from gatepost.access.rights import Role, on_this_machine
from gatepost.access.standing import Strength
from gatepost.office import people, sessions
from gatepost.office.office import Office
from gatepost.store.store import Store

PATHS = (
    "/overview", "/messages", "/messages?action=refuse&hours=24", "/messages?sender=common.example", "/messages?subject=invoice",
    "/messages?sender=gone.example&action=refuse", "/messages?subject=nothing-like-it", "/messages?recipient=info@example.net",
    "/messages?q=203.0.113.9", "/quarantine", "/queue", "/me/quarantine", "/policy", "/system", "/privacy/journal",
)  # fmt: skip
PAUSES = {"nobody": None, "somebody clicks": 0.5, "somebody without a pause": 0.0}
LOADS = {"20 clients": 20, "1 client": 1}
SLOW_MS = 20
"""Between two messages of the one client."""


@dataclass
class Person:
    """Goes through pages until told to stop, each request over one connection."""

    port: int
    cookie: str
    pause_s: float
    stopping: threading.Event = field(default_factory=threading.Event)
    times: list[float] = field(default_factory=list)

    def click(self) -> None:
        """Page after page."""
        connection = http.client.HTTPConnection("localhost", self.port, timeout=30)
        number = 0
        while not self.stopping.is_set():
            begun = time.perf_counter()
            connection.request("GET", PATHS[number % len(PATHS)], headers={"Cookie": self.cookie})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (PATHS[number % len(PATHS)], answer.status)
            self.times.append((time.perf_counter() - begun) * 1000)
            number += 1
            if self.pause_s:
                self.stopping.wait(self.pause_s)
        connection.close()

    def listen(self) -> None:
        """Live figures."""
        connection = http.client.HTTPConnection("localhost", self.port, timeout=30)
        connection.request("GET", "/live", headers={"Cookie": self.cookie})
        answer = connection.getresponse()
        while not self.stopping.is_set() and answer.readline():
            pass
        connection.close()


@contextlib.contextmanager
def beside(port: int, cookie: str, pause_s: float | None) -> Iterator[Person]:
    """Somebody in the console, or nobody."""
    person = Person(port, cookie, pause_s or 0.0)
    threads = [threading.Thread(target=one, daemon=True) for one in (person.click, person.listen)]
    if pause_s is not None:
        for one in threads:
            one.start()
        time.sleep(1.0)
        person.times.clear()
    try:
        yield person
    finally:
        person.stopping.set()
        if pause_s is not None:
            for one in threads:
                one.join()


async def prepare(state: Path, messages: int) -> str:
    """A long history and somebody signed in; the cookie."""
    await Store.open(state).close()
    fill(state / "gatepost.db", messages, time.time(), findings=14 if messages <= 1_000_000 else 3)
    store = Store.open(state)
    office = Office(store=store, clock=time.time, random=os.urandom, hostname="mx.example.net")
    account = await people.add(office, on_this_machine("bench"), "ana@example.net", roles=(Role.OWNER,))
    token = await sessions.start(office, account, strength=Strength.PASSKEY, ip=None)
    await store.close()
    return f"gatepost-session={token}"


def once(
    gate: Gatepost, console: int, load: Path, manifest: Path, load_name: str, seconds: int, person: Person
) -> dict[str, float]:
    """One load, measured."""
    person.times.clear()
    mail, people_s = gate.programs.cpu_s() - cpu_s(console), cpu_s(console)
    sessions_at_once = LOADS[load_name]
    command = [load, "-p", gate.port, "-s", sessions_at_once, "-n", 1_000_000, "-t", seconds, "-x"]
    command += ["-w", SLOW_MS] if sessions_at_once == 1 else []
    answer = json.loads(
        subprocess.run([str(one) for one in [*command, manifest]], capture_output=True, check=True).stdout
    )
    taken = max(1, answer["taken"])
    if answer["refused"] or answer["broken"]:
        print("  NOT ALL TAKEN:", answer, flush=True)
    pages = sorted(person.times) or [0.0]
    return {
        "rate": taken / answer["seconds"], "p50": answer["p50"], "p99": answer["p99"], "max": answer["longest"],
        "cpu": 1000 * (gate.programs.cpu_s() - cpu_s(console) - mail) / taken,
        "console": (cpu_s(console) - people_s) / answer["seconds"], "pages": len(person.times) / answer["seconds"],
        "page50": statistics.median(pages), "page95": pages[int(len(pages) * 0.95) - 1],
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--nice", default="", help="comma: the console at these priorities in turn; as root")
    wanted = parser.parse_args()
    adopt_orphans()
    results: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="gatepost-beside-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        load, corpus, console_port = build(folder), make(folder / "corpus"), free_port()
        cookie = asyncio.run(prepare(folder / "gate/var", wanted.messages))
        dns, port = start_dns(folder / "dns", corpus.zone)
        more = f'[console]\naddress = "127.0.0.1:{console_port}"\n'
        gate = Gatepost(folder / "gate", workers=2, off=(), dns_port=port, hold=False, more=more)
        try:
            console = max(
                pid for pid in gate.programs.pids() if b"python" in Path(f"/proc/{pid}/cmdline").read_bytes()
            )
            nices = [int(one) for one in wanted.nice.split(",") if one] or [None]
            cases = [
                (one, who, nice)
                for one in LOADS
                for who in PAUSES
                for nice in nices
                if who != "nobody" or nice == nices[0]
            ]
            for number in range(wanted.rounds + 1):  # the first is for warming up
                for load_name, who, nice in cases:
                    if nice is not None:
                        for thread in os.listdir(f"/proc/{console}/task"):
                            os.setpriority(os.PRIO_PROCESS, int(thread), nice)
                    with beside(console_port, cookie, PAUSES[who]) as person:
                        seconds = wanted.seconds if number else 2
                        found = once(gate, console, load, corpus.signed, load_name, seconds, person)
                    gate.programs.settle(60)
                    if number:
                        told = who if nice is None or who == "nobody" else f"{who}, nice {nice}"
                        results.setdefault((load_name, told), []).append(found)
        finally:
            gate.end()
            dns.end()
    columns = ("rate", "p50", "p99", "max", "cpu", "console", "pages", "page50", "page95")
    print(f"{'mail from':<11} {'in the console':<34} " + " ".join(f"{one:>8}" for one in columns))
    for (load_name, who), runs in results.items():
        medians = [statistics.median(run[one] for run in runs) for one in columns]
        print(f"{load_name:<11} {who:<34} " + " ".join(f"{one:>8.2f}" for one in medians))


if __name__ == "__main__":
    main()

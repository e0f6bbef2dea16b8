"""Is the gate's own latency moved by people in the console? With a million messages in history, on one machine.

    .venv/bin/python benchmarks/beside_console.py [--messages 1000000] [--rounds 20] [--seconds 4] [--cases clicks,fixed] [--nice N]

`gatepost serve` with two workers takes signed mail from 20 clients that never pause, and from one that sends a message every
20 ms. Meanwhile nobody is in the console; or somebody clicks, twice a second, every kind of page and search, with one page open that
streams live figures; or somebody looks into held mail as often; or somebody asks without a pause; or, to know what the browser and the sockets alone cost, the same person does the same at a
server of fixed octets. The person is a process of its own, at the lowest priority there is (`clicking.py`).

All cases in turn, many short rounds, each round in another order. What counts is each case beside "nobody" of the same round: the median
of those ratios, and in brackets where it lies with 95 % of certainty (order statistics). `waits` is how long the gate's processes without the
console were ready to run and had no processor, ms a message (/proc/PID/task/TID/schedstat). With --first the gate, the DNS and the load go
before whatever else the machine does (autogroup, sched(7)).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bigstore import fill
from corpus import make
from processes import Programs, adopt_orphans, cpu_s, free_port, wait_for
from run import build, start_dns
from servers import Gatepost, called

from gatepost.access.rights import Role, on_this_machine
from gatepost.access.standing import Strength
from gatepost.office import people, sessions
from gatepost.office.office import Office
from gatepost.store.store import Store

HERE = Path(__file__).resolve().parent
LOADS = {"20 clients": 20, "1 client": 1}
SLOW_MS = 20
"""Between two messages of the one client."""
SETTLED_S = 1.0
"""From the first click to the first message."""
NOBODY = "nobody"
COLUMNS = ("rate", "p50", "p99", "cpu", "waits", "console", "pages", "page50", "page95")
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """Who is there."""

    key: str
    name: str
    pause_s: float = 0.0
    fixed: bool = False
    """At the server of fixed octets."""
    looks: bool = False
    """At held mail and nothing else, each time another's: each look is written into the journal."""


CASES = (
    Case("nobody", NOBODY),
    Case("clicks", "somebody clicks", 0.5),
    Case("fixed", "the same at fixed octets", 0.5, fixed=True),
    Case("looks", "somebody looks into held mail", 0.5, looks=True),
    Case("hurry", "somebody without a pause"),
    Case("hurry-fixed", "fixed octets, 50 a second", 0.02, fixed=True),
)


class Person:
    """The process that clicks."""

    def __init__(self, programs: Programs, log: Path) -> None:
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, HERE / "clicking.py", "visit"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out,
                start_new_session=True, text=True,
            )  # fmt: skip
        programs.adopt(self._process)

    def ask(self, order: Any) -> list[float]:
        """What it says to an order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def beside(person: Person, case: Case, port: int, cookie: str, held: Sequence[str]) -> Iterator[None]:
    """Somebody, or nobody."""
    if case.name == NOBODY:
        yield
        return
    order = {"port": port, "cookie": cookie, "pause_s": case.pause_s}
    person.ask(order | {"paths": held} if case.looks else order)
    time.sleep(SETTLED_S)
    try:
        yield
    finally:
        person.ask(None)


async def prepare(state: Path, messages: int) -> str:
    """A long history and somebody signed in; the cookie."""
    await Store.open(state).close()
    fill(state / "gatepost.db", messages, time.time(), findings=14 if messages <= 1_000_000 else 3)
    store = Store.open(state)
    office = Office(store=store, clock=time.time, random=os.urandom, hostname="mx.example.net")
    account = await people.add(
        office, on_this_machine("bench"), "ana@example.net", roles=(Role.OWNER, Role.QUARANTINE_MANAGER)
    )
    token = await sessions.start(office, account, strength=Strength.PASSKEY, ip=None)
    await store.close()
    return f"gatepost-session={token}"


@dataclass(slots=True)
class Bench:
    """Everything that runs."""

    gate: Gatepost
    console: int
    """The process."""
    load: Path
    manifest: Path
    person: Person
    held: list[list[str]]
    """References of held messages, some for each time that somebody looks: a second look soon after is the same one."""

    def once(self, load_name: str, seconds: int) -> Figures:
        """One load, measured."""
        others = [pid for pid in self.gate.programs.pids() if pid != self.console]
        self.person.ask({})
        mail, waits, people_s = sum(map(cpu_s, others)), sum(map(waited_s, others)), cpu_s(self.console)
        sessions_at_once = LOADS[load_name]
        command = [
            self.load,
            "-p",
            self.gate.port,
            "-s",
            sessions_at_once,
            "-n",
            1_000_000,
            "-t",
            seconds,
            "-x",
        ]
        command += ["-w", SLOW_MS] if sessions_at_once == 1 else []
        told = subprocess.run(
            [str(one) for one in [*command, self.manifest]], capture_output=True, check=True
        )
        answer = json.loads(told.stdout)
        taken = max(1, answer["taken"])
        if answer["refused"] or answer["broken"]:
            print("  NOT ALL TAKEN:", answer, flush=True)
        pages = sorted(self.person.ask({})) or [0.0]
        return {
            "rate": taken / answer["seconds"], "p50": answer["p50"], "p99": answer["p99"],
            "cpu": 1000 * (sum(map(cpu_s, others)) - mail) / taken,
            "waits": 1000 * (sum(map(waited_s, others)) - waits) / taken,
            "console": (cpu_s(self.console) - people_s) / answer["seconds"], "pages": len(pages) / answer["seconds"],
            "page50": statistics.median(pages), "page95": pages[math.ceil(len(pages) * 0.95) - 1],
        }  # fmt: skip


def held(messages: int) -> list[list[str]]:
    """The newest that `bigstore.fill` holds, fifty at a time."""
    refs = [f"9{messages - number:012d}" for number in range(5, 20_000, 10) if number % 17]
    return [refs[place : place + 50] for place in range(0, len(refs), 50)]


def waited_s(pid: int) -> float:
    """Ready to run without a processor, all threads of a process."""
    nanoseconds = 0
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            nanoseconds += int(
                Path(f"/proc/{pid}/task/{thread}/schedstat").read_text(encoding="ascii").split()[1]
            )
    return nanoseconds / 1e9


def middle(ratios: Sequence[float]) -> str:
    """Median, and between which two of the ratios it lies with 95 % of certainty (the sign test turned round)."""
    ordered, count = sorted(ratios), len(ratios)
    outside, chance = 0, 0.5**count
    while 2 * (chance + math.comb(count, outside + 1) * 0.5**count) <= 0.05:
        outside += 1
        chance += math.comb(count, outside) * 0.5**count
    return f"{statistics.median(ordered):.3f} ({ordered[outside]:.3f} to {ordered[count - 1 - outside]:.3f})"


def tell(results: dict[tuple[str, str], list[Figures]]) -> None:
    """Medians, and each case beside nobody."""
    print(f"{'mail from':<11} {'in the console':<38} " + " ".join(f"{one:>8}" for one in COLUMNS))
    for (load_name, who), runs in results.items():
        medians = [statistics.median(run[one] for run in runs) for one in COLUMNS]
        print(f"{load_name:<11} {who:<38} " + " ".join(f"{one:>8.2f}" for one in medians))
    print("\nbeside nobody of the same round: median (95 %)")
    for (load_name, who), runs in results.items():
        if who != NOBODY:
            nobody = results[load_name, NOBODY]
            words = [
                f"{one} {middle([run[one] / other[one] for run, other in zip(runs, nobody, strict=True)])}"
                for one in ("p50", "p99", "rate", "cpu", "waits")
            ]
            print(f"{load_name:<11} {who:<38} " + "  ".join(words))


def measure(bench: Bench, ports: dict[bool, int], cookie: str, wanted: argparse.Namespace) -> None:
    """All rounds; the first is for warming up."""
    results: dict[tuple[str, str], list[Figures]] = {}
    chosen = [
        one for one in CASES if one.name == NOBODY or not wanted.cases or one.key in wanted.cases.split(",")
    ]
    for number in range(wanted.rounds + 1):
        for load_name in LOADS:
            for place in range(len(chosen)):
                case = chosen[(place + number) % len(chosen)]
                held = [f"/messages/{ref}/preview" for ref in bench.held.pop()] if case.looks else []
                with beside(bench.person, case, ports[case.fixed], cookie, held):
                    found = bench.once(load_name, wanted.seconds)
                bench.gate.programs.settle(60)
                if number:
                    results.setdefault((load_name, case.name), []).append(found)
        if number:
            print(f"round {number}, load {os.getloadavg()[0]:.1f}", flush=True)
    tell({(load, one.name): results[load, one.name] for load in LOADS for one in chosen})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--cases", default="", help="some alone: " + ",".join(one.key for one in CASES[1:]))
    parser.add_argument("--nice", type=int, help="the console at this priority instead; as root")
    parser.add_argument("--first", action="store_true", help="before all else on this machine; as root")
    wanted = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="gatepost-beside-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        load, corpus, console_port, fixed_port = (
            build(folder),
            make(folder / "corpus"),
            free_port(),
            free_port(),
        )
        cookie = asyncio.run(prepare(folder / "gate/var", wanted.messages))
        dns, port = start_dns(folder / "dns", corpus.zone)
        people_programs = Programs()
        more = f'[console]\naddress = "127.0.0.1:{console_port}"\n'
        gate = Gatepost(folder / "gate", workers=2, off=(), dns_port=port, hold=False, more=more)
        try:
            people_programs.start(
                [sys.executable, HERE / "clicking.py", "pages", fixed_port], folder / "pages.log"
            )
            wait_for(fixed_port)
            console = next(pid for pid in gate.programs.pids() if "console" in called(pid))
            if wanted.nice is not None:
                for thread in os.listdir(f"/proc/{console}/task"):
                    os.setpriority(os.PRIO_PROCESS, int(thread), wanted.nice)
            person = Person(people_programs, folder / "person.log")
            if wanted.first:
                for pid in (os.getpid(), gate.supervisor, *dns.pids()):
                    Path(f"/proc/{pid}/autogroup").write_text("-20", encoding="ascii")
            measure(
                Bench(gate, console, load, corpus.signed, person, held(wanted.messages)),
                {False: console_port, True: fixed_port},
                cookie,
                wanted,
            )
        finally:
            people_programs.end()
            gate.end()
            dns.end()


if __name__ == "__main__":
    main()

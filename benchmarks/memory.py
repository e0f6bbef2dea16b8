"""What each process of a gate holds in memory, with everything on: two workers, delivery, console, sandboxed children.

    .venv/bin/python benchmarks/memory.py [--rounds 3] [--messages 1500] [--history N] [--beside CHECKOUT]
    .venv/bin/python benchmarks/memory.py --growth 100000

Mail as `./bench` sends it (200 made-up messages, signed, some with an attachment) comes from 20 clients and is delivered into
a Maildir; somebody signed in goes through the console meanwhile. When all is quiet, `/proc/PID/smaps_rollup` tells for each process RSS (all it
can see), PSS (pages it shares divided among those who share them: these add up) and private (what is its alone and would be free without it).
The goal (120 MiB) is about the acceptor, two workers and what delivers, without the supervisor, the console and the sandbox; their sum stands below.
`--beside` measures another checkout in turn with this one. MiB, medians; `cpu` is that of all processes, ms a message.
`--growth` sends that many messages through one gate, a tenth at a time, and tells the PSS of each process after each tenth.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clicking import PATHS
from corpus import Corpus, make
from history import fill
from processes import adopt_orphans, free_port
from run import build, start_dns, yardstick
from servers import Gatepost

from gatepost.access.rights import Role, on_this_machine
from gatepost.access.standing import Strength
from gatepost.office import people, sessions
from gatepost.office.office import Office
from gatepost.store.store import Store

COLUMNS = ("RSS", "PSS", "private")
FIELDS = {"Rss": "RSS", "Pss": "PSS", "Private_Clean": "private", "Private_Dirty": "private"}
"""Of proc_pid_smaps(5), in KiB."""
LONGEST_S = 300
OF_THE_GOAL = ("acceptor", "worker", "delivery")
OF_THE_GATE = ("supervisor", *OF_THE_GOAL)


def memory_of(pid: int) -> dict[str, float]:
    """MiB by column."""
    held = dict.fromkeys(COLUMNS, 0.0)
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, _, size = line.partition(":")
        if name in FIELDS:
            held[FIELDS[name]] += int(size.split()[0]) / 1024
    return held


def processes(gate: Gatepost) -> dict[str, dict[str, float]]:
    """What each is, and what it holds."""
    found: dict[str, dict[str, float]] = {}
    for pid in gate.programs.pids():
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip().removeprefix("gate ")
        if pid == gate.supervisor:
            name = "supervisor"
        elif name == "sandbox" or b"sandbox_child" in Path(f"/proc/{pid}/cmdline").read_bytes():
            name = f"sandboxed child {sum(one.startswith('sandboxed') for one in found) + 1}"
        found[name] = memory_of(pid)
    return found


async def signed_in(state: Path) -> str:
    """A new store with an account in it; the cookie of its session."""
    store = Store.open(state)
    office = Office(store=store, clock=time.time, random=os.urandom, hostname="mx.example.net")
    account = await people.add(office, on_this_machine("bench"), "ana@example.net", roles=(Role.OWNER,))
    token = await sessions.start(office, account, strength=Strength.PASSKEY, ip=None)
    await store.close()
    return f"gatepost-session={token}"


def visit(port: int, cookie: str) -> None:
    """Every kind of page of the console, once."""
    connection = http.client.HTTPConnection("localhost", port, timeout=30)
    for path in PATHS:
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"the console answered {answer.status} to {path}")
    connection.close()


def send(gate: Gatepost, load: Path, corpus: Corpus, messages: int) -> int:
    """How many of them were taken, from 20 clients; waits until all is quiet."""
    command = [load, "-p", gate.port, "-s", 20, "-n", messages, "-t", LONGEST_S, "-x", corpus.signed]
    told = subprocess.run([str(word) for word in command], capture_output=True, check=True).stdout
    answer: dict[str, int] = json.loads(told)
    if answer["refused"] or answer["broken"]:
        print("NOT ALL TAKEN:", answer, flush=True)
    gate.programs.settle(60)
    return max(1, answer["taken"])


def once(
    folder: Path, load: Path, corpus: Corpus, dns: int, source: Path, asked: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """One gate, loaded, measured and ended."""
    console_port = free_port()
    made = [sys.executable, __file__, "--sign-in", folder / "var"]  # by the source that will read it
    environment = {**os.environ, "PYTHONPATH": str(source)}
    cookie = subprocess.run(made, capture_output=True, check=True, env=environment, text=True).stdout.strip()
    more = f'[console]\naddress = "127.0.0.1:{console_port}"\n'
    gate = Gatepost(folder, workers=2, off=(), dns_port=dns, hold=False, more=more, source=source)
    try:
        visit(console_port, cookie)
        send(gate, load, corpus, 200)
        if asked.history:
            fill(folder / "var/gatepost.db", asked.history)
        before = gate.programs.cpu_s()
        taken = send(gate, load, corpus, asked.messages)
        spent = 1000 * (gate.programs.cpu_s() - before) / taken
        visit(console_port, cookie)
        found = processes(gate)
    finally:
        gate.end()
    return {
        **found,
        "**acceptor, workers and delivery: the goal**": together(found, OF_THE_GOAL),
        "and the supervisor": together(found, OF_THE_GATE),
        "everything": together(found, ("",)),
        "cpu": dict.fromkeys(COLUMNS, spent),
    }


def together(found: dict[str, dict[str, float]], names: tuple[str, ...]) -> dict[str, float]:
    """The sum of those whose names begin so."""
    some = [one for name, one in found.items() if name.startswith(names)]
    return {column: sum(one[column] for one in some) for column in COLUMNS}


def grow(folder: Path, load: Path, corpus: Corpus, dns: int, source: Path, messages: int) -> None:
    """One gate; what was delivered is removed each time, so that the disk need not hold it all."""
    gate = Gatepost(folder, workers=2, off=(), dns_port=dns, hold=False, source=source)
    sent = 0
    try:
        for number in range(11):
            if number:
                sent += send(gate, load, corpus, messages // 10)
                shutil.rmtree(folder / "mail", ignore_errors=True)
            found = processes(gate)
            if not number:
                names = [name for name in found if name.startswith(OF_THE_GATE)]
                print(
                    "| messages | "
                    + " | ".join(names)
                    + " | the goal's |\n"
                    + "| --- " * (len(names) + 2)
                    + "|"
                )
            cells = [*(found[name] for name in names), together(found, OF_THE_GOAL)]
            print(f"| {sent:,} | " + " | ".join(f"{cell['PSS']:.1f}" for cell in cells) + " |", flush=True)
    finally:
        gate.end()


def main() -> None:
    """Measure and print."""
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("--rounds", type=int, default=3)
    reader.add_argument("--messages", type=int, default=1500)
    reader.add_argument("--history", type=int, default=0, help="messages already in history")
    reader.add_argument("--beside", type=Path, help="another checkout, measured in turn with this one")
    reader.add_argument("--growth", type=int, default=0, help="messages to send through one gate, instead")
    reader.add_argument("--sign-in", type=Path, help=argparse.SUPPRESS)
    asked = reader.parse_args()
    if asked.sign_in:
        print(asyncio.run(signed_in(asked.sign_in)))
        return
    adopt_orphans()
    here = Path(__file__).resolve().parents[1]
    sources = [one.resolve() / "src" for one in (asked.beside, here) if one is not None]
    results: dict[Path, list[dict[str, dict[str, float]]]] = {source: [] for source in sources}
    with tempfile.TemporaryDirectory(prefix="gatepost-memory-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        load, corpus = build(folder), make(folder / "corpus")
        dns, port = start_dns(folder / "dns", corpus.zone)
        try:
            if asked.growth:
                grow(folder / "gate", load, corpus, port, here / "src", asked.growth)
                return
            for number in range(asked.rounds):
                print(f"round {number + 1}; yardstick {yardstick():.0f} us", flush=True)
                for which, source in enumerate(sources):
                    results[source].append(
                        once(folder / f"gate-{number}-{which}", load, corpus, port, source, asked)
                    )
        finally:
            dns.end()
    for source, runs in results.items():
        print(f"\n{source.parent}\n\n| process | RSS | PSS | private |\n| --- | --- | --- | --- |")
        for what in runs[0]:
            cells = [
                statistics.median(run[what][column] for run in runs if what in run) for column in COLUMNS
            ]
            if what == "cpu":
                print(f"\ncpu: {cells[0]:.2f} ms a message")
            else:
                print(f"| {what} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |")


if __name__ == "__main__":
    sys.exit(main())

"""Measures Gatepost, and Postfix with its milters beside it, in one run. Called by ./bench, which says how.

Every server is started in each round, warmed up, loaded, and ended: rounds are interleaved, medians are told.
CPU is that of all processes of a server until it is idle again. Gatepost's delivery is a process of its own;
it is held back while mail comes in, and its CPU told apart. Postfix hands what it queued to its discard
transport meanwhile, and that counts as its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corpus import Corpus, make
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from history import fill
from processes import Programs, adopt_orphans, cpu_s, machine_cpu_s
from servers import CONTENT, PROVING, SENDER, Gatepost, Postfix, Server, alone, start_dns

HERE = Path(__file__).resolve().parent
LONGEST_S = 8
"""No load is put on for longer."""
COLUMNS = ("rate", "cpu", "p50", "p99", "later", "pss", "foreign")


@dataclass(frozen=True, slots=True)
class Load:
    """One measurement."""

    name: str
    manifest: Path
    sessions: int
    messages: int
    xclient: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server and what it is loaded with."""

    name: str
    start: Callable[[Path], Server]
    loads: tuple[Load, ...]
    history: int = 0
    """Messages already in history."""


def main() -> int:
    """The whole run."""
    parser = argparse.ArgumentParser(prog="./bench")
    parser.add_argument("--rounds", type=int, default=3, help="how often each server is measured (3)")
    parser.add_argument("--only", default="", help="words; servers whose name has one of them")
    parser.add_argument("--quick", action="store_true", help="one round of a tenth of the messages")
    parser.add_argument("--no-scan", action="store_true", help="without `gatepost scan`")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else max(1, min(arguments.rounds, 20))
    scale = 0.1 if arguments.quick else 1.0
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="gatepost-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        load = build(folder)
        corpus = make(folder / "corpus")
        dns, port = start_dns(folder / "dns", corpus.zone)
        try:
            told = [word for word in arguments.only.split(",") if word]
            wanted = [
                one
                for one in candidates(corpus, port, scale)
                if not told or any(word in one.name for word in told)
            ]
            print(about(rounds), flush=True)
            results: dict[tuple[str, str], list[dict[str, float]]] = {}
            for number in range(rounds):
                print(
                    f"round {number + 1}; yardstick: an RSA-2048 verification takes {yardstick():.0f} us CPU",
                    flush=True,
                )
                for one in wanted:
                    measure(one, folder / f"server-{number}-{one.name.replace(' ', '-')}", load, results)
            print(table(results))
            if not arguments.no_scan and not told:
                print(scan(corpus, port, folder, 2 if arguments.quick else 10))
        finally:
            dns.end()
    return 0


def build(folder: Path) -> Path:
    """The load generator."""
    program = folder / "load"
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        sys.exit("./bench needs a C compiler: ./bench --install as root, or apt-get install gcc libc6-dev")
    subprocess.run([compiler, "-O2", "-Wall", "-o", program, HERE / "load.c"], check=True)
    return program


def candidates(corpus: Corpus, dns: int, scale: float) -> list[Candidate]:
    """All servers that can run here."""

    def loads(manifest: Path, *, many: int, xclient: bool, wide: tuple[int, ...] = ()) -> tuple[Load, ...]:
        made = [
            Load("20 clients", manifest, 20, many, xclient),
            Load("1 client", manifest, 1, many // 4, xclient),
        ]
        made += [Load(f"{count} clients", manifest, count, many, xclient) for count in wide]
        return tuple(
            Load(x.name, x.manifest, x.sessions, max(20, int(x.messages * scale)), x.xclient) for x in made
        )

    def gate(workers: int, *, off: tuple[str, ...] = (), hold: bool = True) -> Callable[[Path], Server]:
        return lambda folder: Gatepost(folder, workers=workers, off=off, dns_port=dns, hold=hold)

    accept = loads(corpus.plain, many=6000, xclient=False, wide=(200, 1000))
    whole = loads(corpus.signed, many=4000, xclient=True, wide=(200, 1000))
    nothing = (*SENDER, *CONTENT, *PROVING)
    found = [
        Candidate("gatepost accepting, 2 workers", gate(2, off=nothing), accept),
        Candidate("gatepost authenticating, 2 workers", gate(2, off=CONTENT), whole),
        Candidate("gatepost filtering, 2 workers", gate(2), whole[:2]),
        Candidate("gatepost filtering, 1 process, delivering", gate(0, hold=False), whole[:2]),
        Candidate(
            "gatepost authenticating, 2 workers, 200,000 in history", gate(2, off=CONTENT), whole[:1], 200_000
        ),
        Candidate("gatepost filtering, 2 workers, delivering", gate(2, hold=False), whole[:2]),
    ]
    if shutil.which("postfix") and os.geteuid() == 0:
        few = loads(corpus.plain, many=2000, xclient=False)
        found.append(Candidate("postfix accepting", lambda folder: Postfix(folder, milters=False), few))
        if shutil.which("opendkim") and shutil.which("opendmarc") and alone():
            few = loads(corpus.signed, many=1200, xclient=True)
            found.append(
                Candidate("postfix + opendkim + opendmarc", lambda folder: Postfix(folder, milters=True), few)
            )
    return found


def measure(
    one: Candidate, folder: Path, load: Path, results: dict[tuple[str, str], list[dict[str, float]]]
) -> None:
    """One server, all its loads; what was measured is added to `results`."""
    folder.mkdir(parents=True, exist_ok=True)
    server = one.start(folder)
    try:
        first = one.loads[0]
        once(server, load, Load("warm-up", first.manifest, 20, max(200, first.messages // 10), first.xclient))
        if one.history:
            fill(folder / "var/gatepost.db", one.history)
        for this in one.loads:
            figures = once(server, load, this)
            results.setdefault((one.name, this.name), []).append(figures)
            print(
                f"  {one.name}, {this.name}: " + " ".join(f"{k}={figures[k]:.2f}" for k in COLUMNS),
                flush=True,
            )
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)


def once(server: Server, load: Path, this: Load) -> dict[str, float]:
    """Load it once. `later` is the CPU of delivering, ms a message; `foreign` the share of the machine others used."""
    server.begin()
    whole, received, machine, start = (
        server.programs.cpu_s(),
        server.receiving_s(),
        machine_cpu_s(),
        time.monotonic(),
    )
    client = os.times()
    command = [load, "-p", server.port, "-s", this.sessions, "-n", this.messages, "-t", LONGEST_S]
    command += ["-x", this.manifest] if this.xclient else [this.manifest]
    told = subprocess.run([str(word) for word in command], capture_output=True, check=True).stdout
    answer = json.loads(told)
    elapsed, machine = time.monotonic() - start, machine_cpu_s() - machine
    spent = os.times()
    clients = spent.children_user + spent.children_system - client.children_user - client.children_system
    servers = server.programs.cpu_s() - whole
    received_now = server.receiving_s() - received
    pss = server.programs.pss_mib()
    server.finish()
    separate = server.receiving_s() - received if type(server) is not Gatepost else received_now
    everything = server.programs.cpu_s() - whole
    count = max(1, answer["taken"])
    if answer["refused"] or answer["broken"]:
        print(f"  NOT ALL TAKEN: {told.decode().strip()}", flush=True)
    return {
        "rate": answer["taken"] / answer["seconds"], "cpu": 1000 * separate / count, "p50": answer["p50"],
        "p99": answer["p99"], "later": 1000 * (everything - separate) / count, "pss": pss,
        "foreign": max(0.0, machine - servers - clients) / elapsed / (os.cpu_count() or 1),
    }  # fmt: skip


def scan(corpus: Corpus, dns: int, folder: Path, times: int) -> str:
    """`gatepost scan` of the corpus, several times over: rate, and CPU of all its processes."""
    for number in range(times):
        copies = folder / "scanned" / str(number)
        copies.mkdir(parents=True)
        for path in corpus.files:
            shutil.copy(path, copies)
    programs = Programs()
    command = [
        sys.executable,
        "-m",
        "gatepost",
        "scan",
        "--json",
        "--resolver",
        f"127.0.0.1:{dns}",
        "--client-ip",
        "192.0.2.1",
    ]
    many = times * len(corpus.files)
    lines = []
    for target, count in ((corpus.files[0], 1), (folder / "scanned", many)):
        start, before = time.monotonic(), cpu_s(os.getpid())
        program = programs.start([*command, target], folder / "scan.log")
        program.wait()
        elapsed, spent = time.monotonic() - start, cpu_s(os.getpid()) - before
        lines.append((count, elapsed, spent))
    (_, first_s, first_cpu), (_, all_s, all_cpu) = lines
    return (
        f"\ngatepost scan: {many} messages in {all_s:.1f} s, {many / all_s:.0f}/s; CPU {1000 * (all_cpu - first_cpu) / many:.2f} ms"
        f" a message beyond the {first_cpu:.2f} s that starting takes (one message: {first_s:.2f} s)"
    )


def yardstick() -> float:
    """What the machine can do at this moment: microseconds of CPU of the same piece of work, which others slow down."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signature, public = key.sign(b"", PKCS1v15(), SHA256()), key.public_key()
    begun = time.process_time()
    for _ in range(10_000):
        public.verify(signature, b"", PKCS1v15(), SHA256())
    return (time.process_time() - begun) * 100


def about(rounds: int) -> str:
    """The machine and the day."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
         if line.startswith("model name")), platform.machine(),
    )  # fmt: skip
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} CPUs ({model}), Linux {platform.release()}, Python "
        f"{platform.python_version()}, {rounds} rounds\nrate: messages/s; cpu: ms a message of the server's processes; "
        "p50, p99: ms from connect to the reply to the data;\nlater: ms CPU a message of delivering; pss: MiB; "
        "foreign: share of the machine that others used\n"
    )


def table(results: dict[tuple[str, str], list[dict[str, float]]]) -> str:
    """Medians, as a Markdown table."""
    lines = ["", "| server | load | " + " | ".join(COLUMNS) + " |", "| --- | --- |" + " --- |" * len(COLUMNS)]
    for (server, load), figures in results.items():
        middle = {column: statistics.median(one[column] for one in figures) for column in COLUMNS}
        lines.append(
            f"| {server} | {load} | " + " | ".join(shown(middle[column]) for column in COLUMNS) + " |"
        )
    return "\n".join(lines)


def shown(figure: float) -> str:
    """Three figures that mean something."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"


if __name__ == "__main__":
    sys.exit(main())

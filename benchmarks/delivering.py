"""Delivery to a fast sink, Gatepost beside Postfix in one run; with hosts that stall; and with a million queued messages
(`--rounds 0 --queued 1000000`).

    .venv/bin/python benchmarks/delivering.py [--messages N] [--rounds N] [--processes N] [--alone] [--stalled N] [--queued N]

Both get the same messages (4 KB, to one domain, each to another recipient) into their queue first, then their rate of handing
them to one sink (`sink.c`: an epoll loop that keeps nothing, well under a tenth of what either server costs) is measured, from
release to the empty queue: rounds interleaved, medians told. Postfix runs once as Debian has it and once with 100 connections
at once to the sink, each used again and again. As root, with Postfix and a C compiler.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from processes import Programs, adopt_orphans, cpu_s, free_port, wait_for
from servers import master, owned

from gatepost.mail.address import Address
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.store.records import Acceptance, HistoryEntry, NewDelivery
from gatepost.store.store import Store

HERE = Path(__file__).parent
FROM = Address("ana", "example.org")
LINES = b"words that say nothing, again and again, until it is enough\r\n" * 64
MAIL = b"From: ana@example.org\r\nTo: ben@example.net\r\nSubject: a letter\r\n\r\n" + LINES
SMALL = MAIL[:400] + b"\r\n"
LONGEST_S = 600.0
EACH_STALLED = 20
"""Messages for each host that stalls."""
POSTFIX_MORE = {
    "default_destination_concurrency_limit": "100",
    "initial_destination_concurrency": "100",
    "smtp_connection_cache_on_demand": "no",
    "smtp_connection_cache_destinations": "static:all",
}


def main() -> int:
    """The whole run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--processes", type=int, default=0, help="that deliver; 0: as the gate chooses by itself"
    )
    parser.add_argument("--alone", action="store_true", help="also: with one process that delivers")
    parser.add_argument("--stalled", type=int, default=0, help="also: with so many hosts that stall")
    parser.add_argument("--queued", type=int, default=0, help="also: start with so many queued messages")
    arguments = parser.parse_args()
    adopt_orphans()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="gatepost-delivering-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Sink(folder) as sink:
            for number in range(arguments.rounds):
                for who, run in contenders(arguments):
                    where = folder / f"{len(list(folder.iterdir()))}"
                    rate, cpu = run(where, sink, arguments.messages)
                    found.setdefault(who, []).append(rate)
                    told = f"round {number + 1} {who}: {rate:,.0f}/s, {cpu:.2f} ms CPU a message"
                    print(f"{told}; {sink.told()}", flush=True)
                    shutil.rmtree(where)
            if arguments.queued:
                startup(folder / "many", sink, arguments.queued, arguments.processes)
    middle = {who: statistics.median(rates) for who, rates in found.items()}
    if middle:
        print("medians: " + ", ".join(f"{who} {rate:,.0f}/s" for who, rate in middle.items()))
    for who, rate in middle.items():
        if who != "gatepost":
            print(f"gatepost delivers {middle['gatepost'] / rate:.1f} times as fast as {who}")
    return 0


def contenders(
    arguments: argparse.Namespace,
) -> list[tuple[str, Callable[[Path, Sink, int], tuple[float, float]]]]:
    """In the order of a round."""
    chosen, stalled = partial(gatepost, processes=arguments.processes), arguments.stalled
    found: list[tuple[str, Callable[[Path, Sink, int], tuple[float, float]]]] = [("gatepost", chosen)]
    if arguments.alone:
        found.append(("gatepost with one process that delivers", partial(gatepost, processes=1)))
    if stalled:
        found.append((f"gatepost beside {stalled} hosts that stall", partial(chosen, stalled=stalled)))
    if shutil.which("postfix") and os.geteuid() == 0:
        found.append(("postfix", postfix))
        found.append(("postfix with 100 connections", partial(postfix, **POSTFIX_MORE)))
    return found


class Sink:
    """`sink.c` at work: it takes everything and keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "sink.log"
        program = folder / "sink"
        compiler = next(filter(shutil.which, ("cc", "gcc", "clang")))
        subprocess.run([compiler, "-O2", "-o", program, HERE / "sink.c"], check=True)
        self.port = free_port()
        self._programs = Programs()
        self._pid = self._programs.start([program, self.port], self._log).pid
        self.at_once = 0
        """The most connections at once since `begin`."""
        wait_for(self.port)
        self._begin = self._counted()
        self._spent = cpu_s(self._pid)

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self._programs.end()

    def begin(self) -> None:
        """Count from here."""
        self._begin, self._spent = self._counted(), cpu_s(self._pid)
        self.at_once = 0

    def taken(self) -> int:
        """Messages since `begin`."""
        return self._counted()[2] - self._begin[2]

    def told(self) -> str:
        """What it saw since `begin`."""
        connections, _, messages = self._counted()
        connections, taken = connections - self._begin[0], messages - self._begin[2]
        spent = 1000 * (cpu_s(self._pid) - self._spent) / taken
        return f"the sink: {connections} connections, {self.at_once} at once, {taken:,} messages, {spent:.3f} ms CPU each"

    def _counted(self) -> list[int]:
        """Connections, the most at once since the last look, messages."""
        before = self._log.stat().st_size
        os.kill(self._pid, signal.SIGUSR1)
        until(lambda: self._log.stat().st_size > before, 0.002)
        counted = [int(word) for word in self._log.read_text(encoding="ascii").split("\n")[-2].split()]
        self.at_once = max(self.at_once, counted[1])
        return counted


def configured(folder: Path, port: int, *, stalling: int = 0, processes: int = 0) -> Path:
    """A gate whose next hop is the sink; some domains' next hops stall, one address each."""
    folder.mkdir(parents=True)
    path = folder / "gatepost.toml"
    domains = [("example.net", f"127.0.0.1:{port}")]
    domains += [(f"stalled{number}.example", f"{address(number)}:{port}") for number in range(stalling)]
    text = f"""hostname = "mx.example.net"
workers = 1
[[listeners]]
address = "127.0.0.1:{free_port()}"
[dns]
servers = ["127.0.0.1:9"]
[delivery]
processes = {processes}
"""
    for name, where in domains:
        text += f'[[domains]]\nname = "{name}"\ndeliver = "smtp:{where}"\ntls = "none"\n'
    path.write_text(text, encoding="utf-8")
    return path


def address(number: int) -> str:
    """A loopback address for each host that stalls."""
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


@contextlib.contextmanager
def stalling(count: int, port: int) -> Iterator[None]:
    """So many hosts that let everybody connect and never say a word."""
    with contextlib.ExitStack() as stack:
        for number in range(count):
            host = stack.enter_context(socket.socket())
            host.bind((address(number), port))
            host.listen(64)
        yield


async def fill(folder: Path, recipients: Iterator[Address], octets: bytes = MAIL) -> None:
    """Queue a message for each as intake would."""
    store = Store.open(folder)
    now, number = time.time(), 0

    async def put(to: Address) -> None:
        nonlocal number
        number += 1
        recipient = Recipient(address=to)
        envelope = Envelope(sender=FROM, recipients=(recipient,))
        entry = HistoryEntry(
            ref=f"BENCH{number}", at=now, kind="message", client=Client(ip=None), envelope=envelope
        )
        copy = NewDelivery(recipient=recipient, to=str(to))
        await store.carry_out(Acceptance(entry=entry, octets=octets, deliveries=(copy,)))

    lot: list[Address] = []
    for to in recipients:
        lot.append(to)
        if len(lot) == 1000:
            await asyncio.gather(*map(put, lot))
            lot.clear()
    await asyncio.gather(*map(put, lot))
    await store.close()


def many(count: int, stalled: int = 0) -> Iterator[Address]:
    """Those of the hosts that stall first."""
    for number in range(stalled * EACH_STALLED):
        yield Address(f"ben{number}", f"stalled{number % stalled}.example")
    for number in range(count):
        yield Address(f"ben{number}", "example.net")


def gatepost(
    folder: Path, sink: Sink, count: int, *, stalled: int = 0, processes: int = 0
) -> tuple[float, float]:
    """Messages a second from ready to empty, and CPU of all processes."""
    path = configured(folder, sink.port, stalling=stalled, processes=processes)
    asyncio.run(fill(folder / "var", many(count, stalled)))
    programs = Programs()
    with stalling(stalled, sink.port):
        try:
            begin_gate(programs, path)
            sink.begin()
            start, spent = time.monotonic(), programs.cpu_s()
            connection = sqlite3.connect(f"file:{folder}/var/gatepost.db?mode=ro", uri=True)
            first = waiting(connection)
            until(lambda: sink.taken() > 0.99 * first and not waiting(connection))
            return first / (time.monotonic() - start), 1000 * (programs.cpu_s() - spent) / first
        finally:
            programs.end()


def begin_gate(programs: Programs, path: Path) -> None:
    """Start it; back when it is ready."""
    log = path.parent / "log"
    programs.start([sys.executable, "-m", "gatepost", "serve", "--config", path], log, cwd=path.parent)
    until(lambda: "ready mx=" in log.read_text(encoding="utf-8"))


def waiting(connection: sqlite3.Connection) -> int:
    """Copies for the sink that are still queued."""
    sql = "SELECT count(*) FROM queue WHERE to_address LIKE '%@example.net'"
    return int(connection.execute(sql).fetchone()[0])


def startup(folder: Path, sink: Sink, count: int, processes: int) -> None:
    """Seconds from start to ready, to the first delivered and to the first thousand, with so many queued and none in memory."""
    path = configured(folder, sink.port, processes=processes)
    asyncio.run(fill(folder / "var", many(count), SMALL))
    octets = sum(out_of_memory(file) for file in (folder / "var").iterdir() if file.is_file())
    programs = Programs()
    try:
        connection = sqlite3.connect(f"file:{folder}/var/gatepost.db?mode=ro", uri=True)
        tried = partial(connection.execute, "SELECT count(*) FROM attempts")
        start = time.monotonic()
        begin_gate(programs, path)
        ready = time.monotonic() - start
        until(lambda: tried().fetchone()[0] > 0)
        first = time.monotonic() - start
        until(lambda: tried().fetchone()[0] >= 1000)
        thousand = time.monotonic() - start
        print(
            f"{count:,} queued, {octets / 1e9:.1f} GB: ready after {ready:.1f} s, the first on record as delivered after {first:.1f} s,"
            f" the first thousand after {thousand:.1f} s"
        )
    finally:
        programs.end()


def out_of_memory(file: Path) -> int:
    """As after a reboot: what the kernel has cached of it is dropped (posix_fadvise(2)). Returns its octets."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def postfix(folder: Path, sink: Sink, count: int, **more: str) -> tuple[float, float]:
    """Messages a second from release to the empty queue."""
    for name in ("spool", "etc"):
        (folder / name).mkdir(parents=True)
    owned(folder / "data", "postfix")
    programs, listens, etc = Programs(), free_port(), folder / "etc"
    settings = {
        "compatibility_level": "3.6",
        "queue_directory": folder / "spool",
        "data_directory": folder / "data",
        "command_directory": "/usr/sbin",
        "daemon_directory": "/usr/lib/postfix/sbin",
        "maillog_file": folder / "maillog",
        "maillog_file_prefixes": folder,
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "myhostname": "mx.example.net",
        "mydestination": "",
        "relay_domains": "example.net",
        "relay_recipient_maps": "",
        "alias_maps": "",
        "alias_database": "",
        "mynetworks": "127.0.0.0/8",
        "smtpd_relay_restrictions": "reject_unauth_destination",
        "smtpd_client_restrictions": "check_client_access static:HOLD",
        "in_flow_delay": "0",
        "relay_transport": f"smtp:[127.0.0.1]:{sink.port}",
        "default_transport": f"smtp:[127.0.0.1]:{sink.port}",
        **more,
    }
    (etc / "main.cf").write_text(
        "".join(f"{name} = {value}\n" for name, value in settings.items()), encoding="utf-8"
    )
    (etc / "master.cf").write_text(master(listens), encoding="utf-8")
    try:
        programs.start(["postfix", "-c", etc, "start-fg"], folder / "postfix.log")
        wait_for(listens)
        subprocess.run(
            ["smtp-source", "-N", "-s", "20", "-m", str(count), "-l", str(len(MAIL)), "-f", str(FROM),
             "-t", "ben@example.net", f"127.0.0.1:{listens}"],
            check=True,
        )  # fmt: skip
        until(lambda: files(folder / "spool/hold") == count)
        subprocess.run(["postsuper", "-c", etc, "-H", "ALL"], check=True, capture_output=True)
        sink.begin()
        start, spent = time.monotonic(), programs.cpu_s()
        subprocess.run(["postqueue", "-c", etc, "-f"], check=True)
        until(lambda: sink.taken() >= count)
        until(lambda: not any(files(folder / "spool" / name) for name in ("incoming", "active", "deferred")))
        return count / (time.monotonic() - start), 1000 * (programs.cpu_s() - spent) / count
    finally:
        programs.end()


def files(folder: Path) -> int:
    """How many, hashed subfolders included."""
    return sum(len(names) for _, _, names in os.walk(folder))


def until(done: Callable[[], object], every_s: float = 0.05) -> None:
    """Look again and again."""
    end = time.monotonic() + LONGEST_S
    while not done():
        if time.monotonic() > end:
            raise RuntimeError("it takes too long")
        time.sleep(every_s)


if __name__ == "__main__":
    sys.exit(main())

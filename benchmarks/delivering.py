"""Delivery to a fast sink, Gatepost beside Postfix in one run, and how soon a gate with a million queued messages is up.

    .venv/bin/python benchmarks/delivering.py [--messages N] [--rounds N] [--queued N]

Both get the same messages (4 KB, to one domain) into their queue first, then their rate of handing them to Postfix's own
smtp-sink on loopback is measured from release to the empty queue: rounds interleaved, medians told. As root, with Postfix.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from processes import Programs, adopt_orphans, free_port, wait_for
from servers import master, owned

from gatepost.mail.address import Address
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.store.records import Acceptance, HistoryEntry, NewDelivery
from gatepost.store.store import Store

TO, FROM = Address("ben", "example.net"), Address("ana", "example.org")
LINES = b"words that say nothing, again and again, until it is enough\r\n" * 64
MAIL = b"From: ana@example.org\r\nTo: ben@example.net\r\nSubject: a letter\r\n\r\n" + LINES
SMALL = MAIL[:400] + b"\r\n"
LONGEST_S = 300.0


def main() -> int:
    """The whole run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queued", type=int, default=0, help="also: start with so many queued messages")
    arguments = parser.parse_args()
    adopt_orphans()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="gatepost-delivering-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        sink, port = Programs(), free_port()
        sink.start(["smtp-sink", "-u", "nobody", f"127.0.0.1:{port}", "1000"], folder / "sink.log")
        wait_for(port)
        try:
            for number in range(arguments.rounds):
                for who, run in (("gatepost", gatepost), ("postfix", postfix)):
                    if who == "postfix" and not (shutil.which("postfix") and os.geteuid() == 0):
                        continue
                    rate, cpu = run(folder / f"{who}{number}", port, arguments.messages)
                    found.setdefault(who, []).append(rate)
                    print(f"round {number + 1} {who}: {rate:,.0f}/s, {cpu:.2f} ms CPU a message", flush=True)
            if arguments.queued:
                print(
                    f"{arguments.queued:,} queued: ready after {startup(folder / 'many', port, arguments.queued):.1f} s"
                )
        finally:
            sink.end()
    middle = {who: statistics.median(rates) for who, rates in found.items()}
    print("medians: " + ", ".join(f"{who} {rate:,.0f}/s" for who, rate in middle.items()))
    if "postfix" in middle:
        print(f"gatepost delivers {middle['gatepost'] / middle['postfix']:.1f} times as fast")
    return 0


def configured(folder: Path, port: int) -> Path:
    """A gate whose next hop is the sink."""
    folder.mkdir(parents=True)
    path = folder / "gatepost.toml"
    path.write_text(
        f"""hostname = "mx.example.net"
workers = 1
[[listeners]]
address = "127.0.0.1:{free_port()}"
[dns]
servers = ["127.0.0.1:9"]
[[domains]]
name = "example.net"
deliver = "smtp:127.0.0.1:{port}"
tls = "none"
""",
        encoding="utf-8",
    )
    return path


async def fill(folder: Path, count: int, octets: bytes = MAIL) -> None:
    """Queue so many messages as intake would."""
    store = Store.open(folder)
    recipient, now = Recipient(address=TO), time.time()
    envelope = Envelope(sender=FROM, recipients=(recipient,))

    async def put(number: int) -> None:
        entry = HistoryEntry(
            ref=f"BENCH{number}", at=now, kind="message", client=Client(ip=None), envelope=envelope
        )
        copy = NewDelivery(recipient=recipient, to=str(TO))
        await store.carry_out(Acceptance(entry=entry, octets=octets, deliveries=(copy,)))

    for start in range(0, count, 1000):
        await asyncio.gather(*(put(number) for number in range(start, min(start + 1000, count))))
    await store.close()


def gatepost(folder: Path, port: int, count: int) -> tuple[float, float]:
    """Messages a second from ready to empty, and CPU of all processes."""
    path = configured(folder, port)
    asyncio.run(fill(folder / "var", count))
    programs = Programs()
    try:
        begin_gate(programs, path)
        start, spent = time.monotonic(), programs.cpu_s()
        connection = sqlite3.connect(f"file:{folder}/var/gatepost.db?mode=ro", uri=True)
        first = waiting(connection)
        until(lambda: not waiting(connection))
        return first / (time.monotonic() - start), 1000 * (programs.cpu_s() - spent) / first
    finally:
        programs.end()


def begin_gate(programs: Programs, path: Path) -> None:
    """Start it; back when it is ready."""
    log = path.parent / "log"
    programs.start([sys.executable, "-m", "gatepost", "serve", "--config", path], log, cwd=path.parent)
    until(lambda: "ready mx=" in log.read_text(encoding="utf-8"))


def waiting(connection: sqlite3.Connection) -> int:
    """Copies still queued."""
    return int(connection.execute("SELECT count(*) FROM queue").fetchone()[0])


def startup(folder: Path, port: int, count: int) -> float:
    """Seconds from start to ready and the first thousand delivered, with so many queued."""
    path = configured(folder, port)
    asyncio.run(fill(folder / "var", count, SMALL))
    programs = Programs()
    try:
        start = time.monotonic()
        begin_gate(programs, path)
        ready = time.monotonic() - start
        connection = sqlite3.connect(f"file:{folder}/var/gatepost.db?mode=ro", uri=True)
        until(lambda: waiting(connection) <= count - 1000)
        print(f"{count:,} queued: the first thousand delivered after {time.monotonic() - start:.1f} s")
        return ready
    finally:
        programs.end()


def postfix(folder: Path, port: int, count: int) -> tuple[float, float]:
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
        "relay_transport": f"smtp:[127.0.0.1]:{port}",
        "default_transport": f"smtp:[127.0.0.1]:{port}",
    }
    (etc / "main.cf").write_text(
        "".join(f"{name} = {value}\n" for name, value in settings.items()), encoding="utf-8"
    )
    (etc / "master.cf").write_text(master(listens), encoding="utf-8")
    try:
        programs.start(["postfix", "-c", etc, "start-fg"], folder / "postfix.log")
        wait_for(listens)
        subprocess.run(
            ["smtp-source", "-s", "20", "-m", str(count), "-l", str(len(MAIL)), "-f", str(FROM), "-t", str(TO),
             f"127.0.0.1:{listens}"],
            check=True,
        )  # fmt: skip
        until(lambda: files(folder / "spool/hold") == count)
        subprocess.run(["postsuper", "-c", etc, "-H", "ALL"], check=True, capture_output=True)
        start, spent = time.monotonic(), programs.cpu_s()
        subprocess.run(["postqueue", "-c", etc, "-f"], check=True)
        until(lambda: not any(files(folder / "spool" / name) for name in ("incoming", "active", "deferred")))
        return count / (time.monotonic() - start), 1000 * (programs.cpu_s() - spent) / count
    finally:
        programs.end()


def files(folder: Path) -> int:
    """How many, hashed subfolders included."""
    return sum(len(names) for _, _, names in os.walk(folder))


def until(done: object) -> None:
    """Look again and again."""
    end = time.monotonic() + LONGEST_S
    while not done():  # type: ignore[operator]
        if time.monotonic() > end:
            raise RuntimeError("it takes too long")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())

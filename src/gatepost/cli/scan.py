"""`gatepost scan`: judge messages without a server."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gatepost.app.scanning import fresh_ref, open_examiner
from gatepost.cli.progress import Progress
from gatepost.cli.story import tell
from gatepost.cli.terminal import failing_clearly, folded, harmless, json_line, terminal_width
from gatepost.config.schema import Loaded
from gatepost.intake import Intake
from gatepost.scan.judge import Told, judge, read_ip
from gatepost.scan.report import strictest, verdict_json
from gatepost.scan.source import Found, messages_in, paths_below

EXIT_STATUS = {"deliver": 0, "quarantine": 3, "refuse": 4, "defer": 5, "junk": 6}
PARALLEL_FROM = 64
"""Files from which a second process pays for its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The command line, as it crosses to the other processes."""

    config: str | None
    zones: tuple[str, ...]
    resolver: str | None
    dns: bool
    client_ip: str | None
    hello: str | None
    mail_from: str | None
    recipients: tuple[str, ...]
    now: float | None
    as_json: bool


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--config", envvar="GATEPOST_CONFIG", help="As for serve; without one every check runs on its defaults."
)
@click.option("--client-ip", help="The address the mail came from.")
@click.option("--hello", help="What the client said in EHLO.")
@click.option("--mail-from", help='Envelope sender; "" or "<>" for the null sender.')
@click.option("--rcpt", "recipients", multiple=True, help="Envelope recipient; may repeat.")
@click.option("--zone", "zones", multiple=True, help="Answer all DNS from this master file; may repeat.")
@click.option("--resolver", help="HOST:PORT of the resolver to ask.")
@click.option("--no-dns", is_flag=True, help="Ask nothing; checks that need DNS are not run.")
@click.option("--now", type=float, help="The clock for signatures and expiry, in Unix seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a message, one line each.")
@failing_clearly
def scan(paths: tuple[str, ...], no_dns: bool, **options: object) -> None:
    """Judge messages: files, mailboxes, Maildirs or folders; "-" is standard input.

    Exit status for a single message: 0 deliver, 3 quarantine, 4 refuse, 5 defer, 6 junk; for many: 0; without any: 1.
    Many are counted at the end, on standard error.

    Example: gatepost scan --client-ip 192.0.2.7 --mail-from a@b.example message.eml
    """
    wanted = Wanted(dns=not no_dns, **options)  # type: ignore[arg-type]
    if wanted.client_ip is not None:
        try:
            read_ip(wanted.client_ip)
        except ValueError:
            raise click.UsageError(f"--client-ip {wanted.client_ip} is not an IP address.") from None
    files = [str(path) for given in paths for path in ([Path("-")] if given == "-" else paths_below(given))]
    done: Counter[str] = Counter()
    unread = 0
    for lines in results(files, wanted):
        for action, text, problem in lines:
            if problem:
                click.echo(problem, err=True)
                unread += 1
                continue
            done[action] += 1
            click.echo(text)
    if len(files) != 1 or done.total() > 1:
        click.echo(counted(done, unread), err=True)
    elif done:
        sys.exit(EXIT_STATUS[next(iter(done))])
    if not done:
        sys.exit(1)


def counted(done: Counter[str], unread: int) -> str:
    """How many messages fared how, in one line."""
    each = ", ".join(f"{done[one]:,} {one}" for one in EXIT_STATUS if done[one])
    others = f"; {unread:,} could not be read as one" if unread else ""
    return f"{done.total():,} messages judged{': ' if each else ''}{each}{others}."


Line = tuple[str, str, str]
"""Action, what to print, and the problem of a file that is no message."""


def results(files: list[str], wanted: Wanted) -> Iterator[list[Line]]:
    """The outcome of each file, in order; on all cores when there are many."""
    cores = min(len(os.sched_getaffinity(0)), 8)
    if len(files) < PARALLEL_FROM or cores == 1:
        yield from Scanner(wanted).each(files)
        return
    chunks = [files[at : at + 32] for at in range(0, len(files), 32)]
    with ProcessPoolExecutor(cores, initializer=start_worker, initargs=(wanted,)) as pool:
        done = pool.map(scan_chunk, chunks)
        with Progress(alone=True) as tell:
            for chunk in tell.through("Files judged, by thirty-two", done, len(chunks)):
                yield from chunk


worker: Scanner | None = None
"""The scanner of a worker process."""


def start_worker(wanted: Wanted) -> None:
    """In a fresh process: build everything once."""
    global worker  # noqa: PLW0603 - a process pool has no other place for it
    worker = Scanner(wanted)


def scan_chunk(files: list[str]) -> list[list[Line]]:
    """Some files, in a worker process."""
    assert worker is not None
    return list(worker.each(files))


class Scanner:
    """One process's way of judging files."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted

    def each(self, files: list[str]) -> Iterator[list[Line]]:
        """The outcome of every file."""
        wanted = self.wanted
        with asyncio.Runner() as runner:
            examiner, loaded, close = runner.run(
                open_examiner(wanted.config, zones=wanted.zones, resolver=wanted.resolver, dns=wanted.dns)
            )
            try:
                for path in files:
                    yield [
                        runner.run(self._judge_one(examiner, loaded, found)) for found in messages_in(path)
                    ]
            finally:
                runner.run(close())

    async def _judge_one(self, examiner: Intake, loaded: Loaded, found: Found) -> Line:
        wanted = self.wanted
        place = f"{found.path}#{found.index}" if found.index else found.path
        if found.problem:
            return "", "", harmless(f"{place}: {found.problem}")
        told = Told(
            client_ip=read_ip(wanted.client_ip) if wanted.client_ip else None,
            hello=wanted.hello, mail_from=wanted.mail_from, recipients=wanted.recipients,
        )  # fmt: skip
        now = time.time() if wanted.now is None else wanted.now
        started = time.perf_counter()
        entry = await judge(
            found.octets, examiner, told, trusted=loaded.trusted_relays, now=now, ref=fresh_ref(now)
        )
        verdict = strictest(entry)
        if wanted.as_json:
            shown: dict[str, Any] = {"path": found.path, "index": found.index} | verdict_json(entry)
            shown["milliseconds"]["total"] = round((time.perf_counter() - started) * 1000, 3)
            return verdict.action.value, json_line(shown), ""
        width = terminal_width()
        lines = [
            folded(f"  {label}{harmless(text)}".rstrip(), hang=len(label) + 2, width=width)
            for label, text in tell(entry, [], only_looked_at=True)
        ]
        return verdict.action.value, "\n".join([harmless(place), *lines]), ""

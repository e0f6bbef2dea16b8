"""Figures for Prometheus: its text exposition over the smallest HTTP/1 there is (RFC 9112): GET /metrics, nothing else.

No TLS and no sign-in: the figures name no person, but belong on loopback or an inner network.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gatepost.checks.dnslists.health import plan
from gatepost.checks.dnslists.lists import DnsList
from gatepost.jobs.concerns import Concern, Facts, Level
from gatepost.jobs.tallies import BUCKETS_S
from gatepost.mail.finding import Mode

TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_OCTETS = 8192
PATIENCE_S = 5.0
AT_ONCE = 8
"""Requests in hand; any more are hung up on."""
COUNTERS = {
    "message": ("gatepost_messages", "Copies decided about, one for each recipient.", ("action", "role")),
    "refused": ("gatepost_refusals", "Turned down, by deciding rule.", ("kind", "rule", "role")),
    "would": ("gatepost_would", "What observing let through, by what enforcing does.", ("action", "rule")),
    "delivery": ("gatepost_deliveries", "Tries to deliver a copy.", ("outcome",)),
    "dns": ("gatepost_dns_questions", "Questions to the resolver.", ("answered",)),
    "connections": ("gatepost_connections", "Connections that reached a worker.", ()),
    "dropped": ("gatepost_history_dropped", "Entries of history lost: the disk was too slow.", ()),
}
"""First word of a tally's key -> the counter's name, help and labels."""


def exposition(
    tallies: Mapping[str, int],
    facts: Facts,
    concerns: Sequence[Concern],
    *,
    lists: Sequence[DnsList],
    version: str,
    started_at: float,
    stages: Sequence[str],
) -> bytes:
    """The text that Prometheus reads. `tallies` are the sums of all processes, by ``word|word|…``."""

    class Figures(Collector):
        """What is exposed is read at this moment; there is nothing to keep."""

        def collect(self) -> Iterator[Metric]:
            yield from counters(tallies)
            yield histogram(tallies, stages)
            yield from of_queue(facts)
            yield from of_surroundings(facts, lists)
            levels = [one.level for one in concerns]
            yield gauge(
                "gatepost_concerns",
                "Things that are not as they should be.",
                {(level.value,): levels.count(level) for level in (Level.WARNING, Level.CRITICAL)},
                ("level",),
            )
            yield gauge("gatepost_start_time_seconds", "When delivery began, Unix time.", {(): started_at})
            yield gauge("gatepost_build_info", "The version that runs.", {(version,): 1}, ("version",))

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    return generate_latest(registry)


def counters(tallies: Mapping[str, int]) -> Iterator[Metric]:
    """Everything that only grows."""
    families = {
        word: CounterMetricFamily(name, about, labels=labels)
        for word, (name, about, labels) in COUNTERS.items()
    }
    for key, total in sorted(tallies.items()):
        word, *labels = key.split("|")
        if word in families and len(labels) == len(COUNTERS[word][2]):
            families[word].add_metric(labels, total)
    yield from families.values()


def histogram(tallies: Mapping[str, int], stages: Sequence[str]) -> Metric:
    """How long messages took."""
    family = HistogramMetricFamily(
        "gatepost_message_seconds", "Time from the end of a message's data to its decision.", labels=["stage"]
    )
    for stage in stages:
        total, buckets = 0, []
        for number, bound in enumerate((*(f"{one:g}" for one in BUCKETS_S), "+Inf")):
            total += tallies.get(f"bucket|{stage}|{number}", 0)
            buckets.append((bound, total))
        family.add_metric([stage], buckets, sum_value=tallies.get(f"microseconds|{stage}", 0) / 1e6)
    return family


def of_queue(facts: Facts) -> Iterator[Metric]:
    """What waits and what is held."""
    figures = facts.figures
    yield gauge(
        "gatepost_queue_copies",
        "Copies in the queue: all of them, due and not tried, being tried, stopped.",
        {
            ("all",): figures.queued,
            ("due",): figures.due,
            ("tried",): figures.being_tried,
            ("stopped",): figures.stopped,
        },
        ("state",),
    )
    yield gauge(
        "gatepost_queue_oldest_seconds", "Age of the oldest copy.", {(): figures.oldest_moving_s or 0.0}
    )
    yield gauge(
        "gatepost_queue_due_seconds",
        "How long the copy that waits longest has been due.",
        {(): figures.longest_due_s or 0.0},
    )
    yield gauge("gatepost_held_copies", "Copies in quarantine.", {(): figures.held})
    yield gauge("gatepost_held_oldest_seconds", "Age of the oldest.", {(): figures.oldest_held_s or 0.0})
    yield gauge("gatepost_stored_messages", "Messages queued or held.", {(): figures.messages})
    yield gauge(
        "gatepost_stored_octets", "Their octets, estimated where they are many.", {(): figures.octets}
    )


def of_surroundings(facts: Facts, lists: Sequence[DnsList]) -> Iterator[Metric]:
    """Disk, certificates, resolvers, lists."""
    yield gauge("gatepost_disk_free_octets", "Room left for the state folder.", {(): facts.disk.free_octets})
    yield gauge("gatepost_disk_total_octets", "Its whole file system.", {(): facts.disk.total_octets})
    yield gauge(
        "gatepost_certificate_end_seconds",
        "When a certificate ends, Unix time.",
        {(one.file,): one.ends_at for one in facts.certificates if one.ends_at is not None},
        ("file",),
    )
    yield gauge(
        "gatepost_resolver_answers",
        "Does the resolver answer?",
        {(one.server,): float(one.answers) for one in facts.validations},
        ("server",),
    )
    yield gauge(
        "gatepost_resolver_validates",
        "Does the resolver validate DNSSEC? Absent where it cannot be told.",
        {(one.server,): float(one.validates) for one in facts.validations if one.validates is not None},
        ("server",),
    )
    out = facts.lists_out or {}
    yield gauge(
        "gatepost_list_in_service",
        "Is the list asked?",
        {(key,): float(key not in out) for one in lists if one.mode is not Mode.OFF for key in plan(one)},
        ("list",),
    )


def gauge(
    name: str, about: str, values: Mapping[tuple[str, ...], float], labels: Sequence[str] = ()
) -> GaugeMetricFamily:
    """One family."""
    family = GaugeMetricFamily(name, about, labels=labels)
    for given, value in values.items():
        family.add_metric(given, value)
    return family


class MetricsServer:
    """Answers GET /metrics on ``host:port``; without a host on loopback."""

    def __init__(self, address: str, expose: Callable[[], bytes]) -> None:
        self.address = address
        self._expose = expose
        self._open = 0

    async def run(self) -> None:
        """Until cancelled. Raises OSError when the address cannot be had."""
        host, _, port = self.address.rpartition(":")
        server = await asyncio.start_server(
            self._answer, host.strip("[]") or "127.0.0.1", int(port), limit=REQUEST_OCTETS
        )
        try:
            await server.serve_forever()
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= AT_ONCE:
                with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
                    async with asyncio.timeout(PATIENCE_S):
                        head = await reader.readuntil(b"\r\n\r\n")
                        writer.write(self._response(head))
                        await writer.drain()
        finally:
            self._open -= 1
            writer.close()

    def _response(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return http("400 Bad Request", b"")
        if words[0] != b"GET":
            return http("405 Method Not Allowed", b"", "Allow: GET\r\n")
        if words[1].partition(b"?")[0] != b"/metrics":
            return http("404 Not Found", b"Here is /metrics.\n")
        return http("200 OK", self._expose())


def http(status: str, body: bytes, more: str = "") -> bytes:
    """A whole response, after which the connection ends."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {TYPE}\r\nContent-Length: {len(body)}\r\n"
        f"{more}Connection: close\r\n\r\n"
    )
    return head.encode() + body

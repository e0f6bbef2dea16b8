"""The sums of all processes, and the smallest HTTP server there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_jobs_concerns import NOW, WELL

from gatepost.jobs import metrics
from gatepost.jobs.metrics import MetricsServer, exposition
from gatepost.jobs.tallies import PREFIX, TIMED, Differences, Tallies
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.mail.verdict import Action, Verdict
from gatepost.store.memory import StoredMemory, number_in, stored
from gatepost.store.records import HistoryEntry, Judged
from gatepost.store.store import Store
from store_samples import address


def entry(
    *actions: Action, kind: str = "message", rule: str = "score.junk", total_ms: float = 3.0
) -> HistoryEntry:
    judged = tuple(
        Judged(
            recipient=Recipient(address=address("ana@example.net")),
            verdict=Verdict(action=action, would_action=action, rule=rule, reason="", score=0.0),
        )
        for action in actions
    )
    return HistoryEntry(
        ref="R", at=NOW, kind=kind, client=Client(ip=None), envelope=Envelope(sender=None), judged=judged,
        milliseconds={"total": total_ms} if kind == "message" else {},
    )  # fmt: skip


def summed(tmp_path: Path, *processes: Tallies) -> dict[str, int]:
    """What the table says after each process has written."""

    async def write() -> dict[str, int]:
        found: dict[str, str] = {}
        for tallies in processes:
            store = Store.open(tmp_path)
            memory = StoredMemory(store.database, lambda: NOW)
            await tallies.write(memory)
            await memory.close()
            found = store.database.read(lambda c: stored(c, PREFIX, now=NOW))
            await store.close()
        return {key.removeprefix(PREFIX): number_in(value) for key, value in found.items()}

    return asyncio.run(write())


def samples(tallies: dict[str, int]) -> dict[tuple[str, ...], float]:
    """Name and label values (in the order of the labels' names) -> value, as a Prometheus server reads them."""
    text = exposition(tallies, WELL, (), lists=(), version="9.9", started_at=NOW, stages=TIMED).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_counts_of_all_processes_are_one(tmp_path: Path) -> None:
    one, two = Tallies(), Tallies()
    one.entry(entry(Action.DELIVER, Action.DELIVER))
    two.entry(entry(Action.DELIVER))
    two.entry(entry(Action.REFUSE, rule="dmarc.reject"))
    two.entry(entry(Action.REFUSE, kind="attempt", rule="recipients.unknown"))
    seen = samples(summed(tmp_path, one, two))
    assert seen["gatepost_messages_total", "deliver", "mx"] == 3
    assert seen["gatepost_messages_total", "refuse", "mx"] == 1
    assert seen["gatepost_refusals_total", "message", "mx", "dmarc.reject"] == 1
    assert seen["gatepost_refusals_total", "attempt", "mx", "recipients.unknown"] == 1


def test_what_was_written_is_not_counted_again(tmp_path: Path) -> None:
    tallies = Tallies()
    tallies.entry(entry(Action.JUNK))
    assert samples(summed(tmp_path, tallies, tallies))["gatepost_messages_total", "junk", "mx"] == 1


def test_times_fall_into_buckets(tmp_path: Path) -> None:
    tallies = Tallies()
    for took_ms in (0.5, 1.0, 3.0, 60_000.0):
        tallies.entry(entry(Action.DELIVER, total_ms=took_ms))
    seen = samples(summed(tmp_path, tallies))
    assert seen["gatepost_message_seconds_bucket", "0.001", "total"] == 2
    assert seen["gatepost_message_seconds_bucket", "0.005", "total"] == 3
    assert seen["gatepost_message_seconds_bucket", "30", "total"] == 3
    assert seen["gatepost_message_seconds_bucket", "+Inf", "total"] == 4
    assert seen["gatepost_message_seconds_count", "total"] == 4
    assert seen["gatepost_message_seconds_sum", "total"] == pytest.approx(60.0045)


def test_what_others_count_arrives_as_differences(tmp_path: Path) -> None:
    tallies = Tallies()
    differences = Differences(tallies)
    differences.add({"dns|network": 5})
    differences.add({"dns|network": 7})
    differences.add({"dns|network": 7})
    assert samples(summed(tmp_path, tallies))["gatepost_dns_questions_total", "network"] == 7


def test_different_words_are_bounded() -> None:
    tallies = Tallies()
    for number in range(10_000):
        tallies.add("refused", "attempt", f"rule{number}", "mx")
    assert len(tallies._counts) == 500


def test_queue_disk_and_certificate_are_there() -> None:
    seen = samples({})
    assert seen["gatepost_queue_copies", "all"] == 0
    assert seen["gatepost_disk_free_octets",] == 10**11
    assert seen["gatepost_certificate_end_seconds", "a.pem"] == NOW + 60 * 86_400
    assert seen["gatepost_resolver_validates", "127.0.0.1:53"] == 1
    assert seen["gatepost_build_info", "9.9"] == 1


def served(talk: Callable[[int], Coroutine[Any, Any, Any]]) -> Any:
    """What `talk` returns while the server runs; the port is a free one."""

    async def run() -> Any:
        probe = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = probe.sockets[0].getsockname()[1]
        probe.close()
        await probe.wait_closed()
        serving = asyncio.create_task(MetricsServer(f":{port}", lambda: b"gatepost_up 1\n").run())
        try:
            for _ in range(100):
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionError:
                    await asyncio.sleep(0)
                    continue
                writer.close()
                break
            return await talk(port)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    return asyncio.run(run())


async def asked(port: int, octets: bytes) -> bytes:
    """The whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(octets)
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("request_octets", "said"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 "),
        (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 "),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"HTTP/1.1 405 "),
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 404 "),
        (b"GET /metrics/../etc HTTP/1.1\r\n\r\n", b"HTTP/1.1 404 "),
        (b"nonsense\r\n\r\n", b"HTTP/1.1 400 "),
    ],
)
def test_only_get_metrics(request_octets: bytes, said: bytes) -> None:
    answer = served(lambda port: asked(port, request_octets))
    assert answer.startswith(said)
    assert (b"gatepost_up 1\n" in answer) == (b"200" in said)


def test_an_endless_request_is_hung_up_on() -> None:
    assert served(lambda port: asked(port, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000)) == b""


def test_a_silent_client_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PATIENCE_S", 0.02)
    assert served(lambda port: asked(port, b"GET /metr")) == b""


def test_a_crowd_cannot_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PATIENCE_S", 30.0)

    async def crowd(port: int) -> bytes:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(metrics.AT_ONCE)]
        while True:  # until all of them are in hand
            refused = await asked(port, b"GET /metrics HTTP/1.1\r\n\r\n")
            if not refused:
                break
        idle.pop()[1].close()
        for _ in range(100):
            answer = await asked(port, b"GET /metrics HTTP/1.1\r\n\r\n")
            if answer:
                break
        for _, writer in idle:
            writer.close()
        return answer

    assert served(crowd).startswith(b"HTTP/1.1 200 ")

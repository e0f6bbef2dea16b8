"""TLS reports to domains that ask for them: once, signed, also of successes, and never without a signature."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import gzip
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from gatepost.dns.zone import Zone
from gatepost.jobs.tlsreports import AGAIN_S, SPREAD_S, TlsReports, spread
from gatepost.mail.address import Address
from gatepost.mail.message import Message
from gatepost.mailauth.dkim_sign import default_names
from gatepost.store.store import Store
from gatepost.store.wire import ALIKE_MOST, TlsTallies, reported
from gatepost.tlspolicy.tlsrpt import DAY_S, Failure, Policy, PolicyKind, Session, Trouble

sys.path.append(str(Path(__file__).parent.parent / "lab"))
from lab_servers import Authorities, PolicyHosts, http, identity

DAY = 20_000
STS = Policy(kind=PolicyKind.STS, domain="example.org", lines=("mode: testing",), mx=("mx.example.org",))
BAD = Failure(Trouble.EXPIRED, "certificate has expired")
READER = "reports.example.net"


class Bench:
    def __init__(self, store: Store, web: PolicyHosts, known: Authorities) -> None:
        self.store, self.web, self.known = store, web, known
        self.now = DAY * DAY_S + 3600.0
        self.tallies = TlsTallies(store.database, lambda: self.now, flush_s=0.0)
        self.refs = 0
        store.front = lambda octets, now: b"DKIM-Signature: v=1\r\n"

    def reports(self, rua: str) -> TlsReports:
        record = f'_smtp._tls.example.org. TXT "v=TLSRPTv1; rua={rua}"\n' if rua else ""
        return TlsReports(
            store=self.store,
            tallies=self.tallies,
            resolver=Zone.parse(f"{record}{READER}. A {self.web.address}\nexample.org. A 192.0.2.1\n"),
            hostname="mx.gate.test",
            organization="mx.gate.test",
            contact=lambda: Address("postmaster", "gate.test"),
            clock=lambda: self.now,
            new_ref=self.ref,
            trust_anchors=str(self.known.file),
        )

    def ref(self, now: float) -> str:
        self.refs += 1
        return f"REPORT{self.refs}"

    async def count(self, *sessions: Session) -> None:
        for one in sessions:
            self.tallies.count(one)
        await self.tallies.close()

    def tomorrow(self) -> None:
        self.now = (DAY + 1) * DAY_S + SPREAD_S

    def queued(self) -> list[str]:
        return [one.to for one in self.store.queued()]


@contextlib.asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    known = Authorities(folder)
    web = PolicyHosts("127.0.0.1")
    web.contexts[READER] = identity("good", READER, known).context()
    store = Store.open(folder / "state")
    async with web.serve(identity("good", "other.test", known).context()):
        try:
            yield Bench(store, web, known)
        finally:
            await store.close()


def session(host: str = "mx.example.org", failure: Failure | None = None) -> Session:
    return Session(policy=STS, host=host, address="192.0.2.1", hello=host, failure=failure)


def test_a_report_goes_out_by_mail_the_day_after_and_once(tmp_path: Path) -> None:
    async def go() -> bytes:
        async with bench(tmp_path) as it:
            reports = it.reports("mailto:tls@example.net")
            await it.count(session(), session("mx2.example.org"), session(failure=BAD), session(failure=BAD))
            await reports.work()
            assert it.queued() == [], "the day is not over"
            it.tomorrow()
            await reports.work()
            await reports.work()
            assert it.queued() == ["tls@example.net"]
            return it.store.delivered_copy("REPORT1")

    octets = asyncio.run(go())
    assert octets.startswith(b"DKIM-Signature: v=1\r\n")
    assert b"\r\n" in octets
    assert b"\n" not in octets.replace(b"\r\n", b"")
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert message["TLS-Report-Domain"] == "example.org"
    assert message["TLS-Report-Submitter"] == "gate.test"
    assert message["TLS-Required"] == "No"
    assert message["Subject"].startswith("Report Domain: example.org Submitter: gate.test Report-ID: <")
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    words, part = message.iter_parts()  # type: ignore[union-attr]
    assert words.get_content_type() == "text/plain"
    assert part.get_content_type() == "application/tlsrpt+gzip"
    report = json.loads(gzip.decompress(part.get_payload(decode=True)))
    assert str(part.get_filename()).startswith("gate.test!example.org!1728000000!1728086399!")
    assert report["contact-info"] == "postmaster@gate.test", "or readers may throw it away (RFC 8460 §5.3)"
    assert {"tls-report-domain", "tls-report-submitter"} <= set(default_names(Message.parse(octets)))
    [told] = report["policies"]
    assert told["summary"] == {"total-successful-session-count": 2, "total-failure-session-count": 2}
    assert told["failure-details"][0]["result-type"] == "certificate-expired"
    assert told["failure-details"][0]["failed-session-count"] == 2


def test_successes_alone_are_reported_too_by_post(tmp_path: Path) -> None:
    async def go() -> list[tuple[str, bytes]]:
        async with bench(tmp_path) as it:
            it.web.answers[READER] = http("201 Created", "")
            await it.count(session())
            it.tomorrow()
            await it.reports(f"https://{READER}:{it.web.port}/v1").work()
            return it.web.posted

    [(host, octets)] = asyncio.run(go())
    assert host == READER
    assert (
        json.loads(gzip.decompress(octets))["policies"][0]["summary"]["total-successful-session-count"] == 1
    )


def test_a_post_that_is_refused_is_tried_again_for_a_day_and_not_for_ever(tmp_path: Path) -> None:
    async def go() -> list[float]:
        async with bench(tmp_path) as it:
            it.web.answers[READER] = http("503 Busy", "")
            await it.count(session())
            it.tomorrow()
            reports, began, tried = it.reports(f"https://{READER}:{it.web.port}/v1"), it.now, []
            while it.now < began + 1.4 * DAY_S:
                await reports.work()
                tried += [it.now - began] * (len(it.web.posted) - len(tried))
                it.now += AGAIN_S / 4
            [row] = it.store.database.read(lambda connection: reported(connection, limit=9))
            assert "503" in row.outcome
            assert (row.tries, row.done) == (5, False)
            return tried

    assert asyncio.run(go()) == [AGAIN_S * (2**number - 1) for number in range(5)]
    assert AGAIN_S * 15 == DAY_S


def test_who_has_a_report_does_not_get_it_again_when_another_reader_fails(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            it.web.answers[READER] = http("503 Busy", "")
            await it.count(session())
            it.tomorrow()
            reports = it.reports(f"https://{READER}:{it.web.port}/v1,mailto:tls@example.net")
            await reports.work()
            assert it.queued() == ["tls@example.net"]
            it.web.answers[READER] = http("201 Created", "")
            it.now += AGAIN_S
            await reports.work()
            it.now += AGAIN_S * 4
            await reports.work()
            assert it.queued() == ["tls@example.net"]
            assert len(it.web.posted) == 2
            [row] = it.store.database.read(lambda connection: reported(connection, limit=9))
            assert (row.tries, row.done, row.outcome.count("sent to")) == (2, True, 2)

    asyncio.run(go())


def test_unsigned_reports_are_not_sent(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            it.store.front = lambda octets, now: b""
            await it.count(session())
            it.tomorrow()
            await it.reports("mailto:tls@example.net").work()
            assert it.queued() == []

    asyncio.run(go())


def test_who_asks_for_none_gets_none(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            await it.count(session())
            it.tomorrow()
            await it.reports("").work()
            assert it.queued() == []
            assert it.tallies.domains(DAY) == []

    asyncio.run(go())


def test_a_flood_of_different_failures_keeps_the_sums_and_not_the_details(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            flood = [session(f"mx{number}.example.org", BAD) for number in range(ALIKE_MOST + 300)]
            await it.count(*flood, session())
            counted = it.tallies.counted(DAY, "example.org")
            assert len(counted) <= ALIKE_MOST + 2
            assert sum(one.sessions for one in counted if one.session.failure) == ALIKE_MOST + 300
            assert sum(one.sessions for one in counted if one.session.failure is None) == 1

    asyncio.run(go())


def test_counts_survive_a_restart_and_are_forgotten_in_time(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            await it.count(session())
            fresh = TlsTallies(it.store.database, lambda: it.now, flush_s=0.0)
            fresh.count(session())
            await fresh.close()
            [one] = fresh.counted(DAY, "example.org")
            assert one.sessions == 2
            it.now += 30 * DAY_S
            await fresh.forget()
            assert fresh.domains(DAY) == []

    asyncio.run(go())


def test_reports_are_spread_over_the_first_hours() -> None:
    found = {spread(f"domain{number}.example") for number in range(100)}
    assert len(found) > 90
    assert all(0 <= one < SPREAD_S for one in found)

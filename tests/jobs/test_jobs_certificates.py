"""Certificates through their years, with a clock and a DNS of ours: renewed in time, and never against DANE."""

from __future__ import annotations

import asyncio
import datetime
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.dns.zone import Zone
from gatepost.jobs.certificates import CertificateKeeping, ends_at, names_of
from gatepost.jobs.concerns import Certificate, Level, of_certificates, worst
from gatepost.jobs.letter import Letters
from gatepost.jobs.owntrouble import ACCOUNT_KEY, ASKED, PROBLEMS_KEY, RENEW_KEY, own_concerns, own_side_facts
from gatepost.jobs.settings import AlertSettings
from gatepost.jobs.tlsaguard import TlsaGuard, tlsa_name
from gatepost.mail.address import Address
from gatepost.net.authority import CertificateSettings, certificate_problems
from gatepost.net.certfiles import CertificateFolder, tlsa_of
from gatepost.net.policyhost import PolicyHost, Proofs, listen
from gatepost.store import ownpolicies
from gatepost.store.memory import StoredMemory
from gatepost.store.ref import new_ref
from gatepost.store.store import Store
from net.acme_server import AcmeServer

HOST = "mx.example.net"
DAY = 86_400.0


class Bench:
    """One gate's certificates."""

    def __init__(self, store: Store, folder: Path, authority: AcmeServer) -> None:
        self.store, self.authority = store, authority
        self.now = datetime.datetime.now().timestamp()
        self.zone = Zone()
        self.proofs = Proofs()
        self.settings = CertificateSettings(acme=authority.directory, agree=True, http_address="127.0.0.1:0")
        self.folder = CertificateFolder(folder / HOST)
        letters = Letters(
            store=store, hostname=HOST, to=lambda: Address("postmaster", "example.net"),
            expand=lambda address: (str(address),), new_ref=lambda now: new_ref(now, os.urandom(8)),
            clock=lambda: self.now,
        )  # fmt: skip
        self.memory = StoredMemory(store.database, lambda: self.now)
        self.keeping = CertificateKeeping(
            folder=folder, base=folder, settings=lambda: self.settings, wanted=lambda: [(HOST,)],
            guard=TlsaGuard(database=store.database, resolver=self, clock=lambda: self.now), prover=self.proofs,
            clock=lambda: self.now, letters=letters, memory=self.memory,
        )  # fmt: skip

    async def lookup(self, name: str, kind: str) -> object:
        return self.zone.find(name, kind)

    def publish(self, *records: str, ttl_s: int = 600) -> None:
        self.zone = Zone()
        for one in records:
            self.zone.add(tlsa_name(HOST), "TLSA", one, ttl_s)

    @property
    def serial(self) -> int:
        found = self.folder.current()
        assert found is not None
        return found.serial_number

    @property
    def tlsa(self) -> str:
        found = self.folder.current()
        assert found is not None
        return tlsa_of(found.public_key())

    def next_tlsa(self) -> str:
        return tlsa_of(self.folder.next_key().public_key())

    async def letters(self) -> list[str]:
        found = [self.store.octets_of(one.ref).decode() for one in self.store.queued(limit=100)]
        await self.store.database.commit(lambda connection: connection.execute("DELETE FROM queue"))
        return found


@pytest.fixture
def authority() -> Iterator[AcmeServer]:
    with AcmeServer() as server:
        yield server


def run(folder: Path, authority: AcmeServer, story: Callable[[Bench], Awaitable[None]]) -> None:
    async def go() -> None:
        store = Store.open(folder / "state")
        bench = Bench(store, folder / "certificates", authority)
        host = PolicyHost(listen("127.0.0.1:0"), proofs=bench.proofs)
        authority.http_port = host.port
        host.start()
        try:
            await story(bench)
        finally:
            await host.stop()
            await bench.memory.close()
            await store.close()

    asyncio.run(go())


def test_the_first_certificate_takes_the_place_of_our_own_and_is_renewed_a_month_before_its_end(
    tmp_path: Path, authority: AcmeServer
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        assert not bench.folder.is_stopgap()
        first, key = bench.serial, bench.tlsa
        bench.now += 59 * DAY
        await bench.keeping.work()
        assert bench.serial == first
        bench.now += 2 * DAY
        promised = bench.next_tlsa()
        await bench.keeping.work()
        assert bench.serial != first
        assert bench.tlsa == promised, "the next certificate has the key that was told before"
        assert bench.tlsa != key
        assert await bench.letters() == []

    run(tmp_path, authority, story)


def test_a_certificate_is_renewed_when_its_authority_says_so(tmp_path: Path, authority: AcmeServer) -> None:
    now = datetime.datetime.now(datetime.UTC)
    authority.window = (now + datetime.timedelta(days=5), now + datetime.timedelta(days=5, minutes=1))

    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        first = bench.serial
        bench.now += 4 * DAY
        await bench.keeping.work()
        assert bench.serial == first
        bench.now += 1.1 * DAY
        await bench.keeping.work()
        assert bench.serial != first
        assert authority.orders[-1].get("replaces")

    run(tmp_path, authority, story)


def test_a_new_key_waits_until_its_tlsa_record_was_seen_for_twice_its_ttl(
    tmp_path: Path, authority: AcmeServer
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        first, current, following = bench.serial, bench.tlsa, bench.next_tlsa()
        bench.publish(current)
        bench.now += 61 * DAY
        await bench.keeping.work()
        assert bench.serial == first, "its TLSA is not published"
        (told,) = await bench.letters()
        assert f"_25._tcp.{HOST}. 3600 IN TLSA {following}" in told
        assert f"TLSA {current}" in told
        bench.publish(current, following)
        for left_s in (0, 600, 599):
            bench.now += left_s
            await bench.keeping.work()
            assert bench.serial == first, "others may still remember the records without it"
        bench.now += 2
        await bench.keeping.work()
        assert bench.serial != first
        assert bench.tlsa == following
        assert len(authority.orders) == 2, "it was got once, and kept"

    run(tmp_path, authority, story)


def test_a_record_that_vanishes_while_the_key_waits_starts_the_wait_anew(
    tmp_path: Path, authority: AcmeServer
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        first, current, following = bench.serial, bench.tlsa, bench.next_tlsa()
        bench.publish(current, following)
        bench.now += 61 * DAY
        await bench.keeping.work()
        bench.now += 1100
        bench.publish(current)
        await bench.keeping.work()
        bench.publish(current, following)
        bench.now += 200
        await bench.keeping.work()
        assert bench.serial == first
        bench.now += 1201
        await bench.keeping.work()
        assert bench.serial != first

    run(tmp_path, authority, story)


@pytest.mark.parametrize("problem", ["servfail", "timeout", "bogus"])
def test_a_silent_dns_changes_no_key(problem: str, tmp_path: Path, authority: AcmeServer) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        first = bench.serial
        bench.zone.trouble(tlsa_name(HOST), "TLSA", problem)
        bench.now += 61 * DAY
        await bench.keeping.work()
        assert bench.serial == first
        assert "could not be looked up" in bench.keeping.standing[HOST].problem
        concerns = bench.store.database.read(
            lambda connection: list(own_concerns(own_side_facts(connection, {}), bench.now))
        )
        assert [one.key for one in concerns] == [f"tlsa:{HOST}"]

    run(tmp_path, authority, story)


def test_when_nobody_publishes_it_the_present_key_gets_a_new_certificate(
    tmp_path: Path, authority: AcmeServer
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        first, current = bench.serial, bench.tlsa
        bench.publish(current)
        bench.now += 61 * DAY
        await bench.keeping.work()
        assert bench.serial == first
        found = bench.folder.current()
        assert found is not None
        bench.now = ends_at(found) - 5 * DAY
        authority.ahead_s = 85 * DAY
        await bench.keeping.work()
        assert bench.serial != first
        assert bench.tlsa == current, "the published record still fits"
        second, following = bench.serial, bench.next_tlsa()
        orders = len(authority.orders)
        for _ in range(5):
            bench.now += 3600
            await bench.keeping.work()
        assert (bench.serial, len(authority.orders)) == (second, orders)
        bench.publish(current, following)
        bench.now += 61 * DAY
        await bench.keeping.work()
        bench.now += 1201
        await bench.keeping.work()
        assert bench.tlsa == following, "at the next renewal it is published"

    run(tmp_path, authority, story)


def test_an_authority_that_fails_when_time_is_short_is_not_pestered_either(
    tmp_path: Path, authority: AcmeServer
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        bench.publish(bench.tlsa)
        bench.now += 61 * DAY
        await bench.keeping.work()
        found = bench.folder.current()
        assert found is not None
        bench.now = ends_at(found) - 5 * DAY
        authority.refuse = "no more today"
        before = len(authority.orders)
        for _ in range(10):
            await bench.keeping.work()
            bench.now += 60
        assert len(authority.orders) == before + 1

    run(tmp_path, authority, story)


def test_records_that_fit_nothing_of_ours_keep_no_certificate_waiting(
    tmp_path: Path, authority: AcmeServer
) -> None:
    async def story(bench: Bench) -> None:
        bench.publish("3 1 1 " + "ab" * 32)
        await bench.keeping.work()
        assert not bench.folder.is_stopgap(), "those of the machine before us: nothing is lost by it"

    run(tmp_path, authority, story)


def test_an_authority_that_fails_is_not_pestered_and_the_postmaster_hears_of_it_once(
    tmp_path: Path, authority: AcmeServer
) -> None:
    async def story(bench: Bench) -> None:
        authority.refuse = "too many certificates"
        await bench.keeping.work()
        assert bench.folder.is_stopgap()
        for _ in range(10):
            bench.now += 300
            await bench.keeping.work()
        assert len(authority.orders) == 1
        bench.now += 3600
        await bench.keeping.work()
        assert len(authority.orders) == 2
        (told,) = await bench.letters()
        assert "too many certificates" in told
        authority.refuse = ""
        await bench.memory.put(RENEW_KEY, ASKED, ttl_s=60)
        await bench.keeping.work()
        assert not bench.folder.is_stopgap(), "a person's wish is tried at once"
        await bench.keeping.work()
        assert len(authority.orders) == 3, "and once"
        assert bench.keeping.standing[HOST].problem == ""

    run(tmp_path, authority, story)


def test_an_authority_that_asks_to_be_left_alone_is_also_after_a_restart(
    tmp_path: Path, authority: AcmeServer
) -> None:
    """RFC 8555 §6.6: rateLimited, with Retry-After."""

    async def story(bench: Bench) -> None:
        authority.refuse, authority.again_in_s = "too many certificates this week", 3 * 86_400
        await bench.keeping.work()
        assert len(authority.orders) == 1
        for _ in range(
            20
        ):  # more often than its own patience would have it, and each time as after a restart
            bench.now += 3.4 * 3600
            bench.keeping.standing.clear()
            await bench.keeping.work()
        assert len(authority.orders) == 1
        assert "too many certificates" in bench.keeping.standing[HOST].problem, "and status still says why"
        assert len(await bench.letters()) == 1
        bench.now += 5 * 3600
        authority.refuse = ""
        await bench.keeping.work()
        assert not bench.folder.is_stopgap()
        bench.keeping.standing.clear()
        await bench.keeping.work()
        assert bench.keeping.standing[HOST].problem == ""

    run(tmp_path, authority, story)


@pytest.mark.parametrize("asked", [10**9, -5])
def test_an_authority_that_asks_for_years_is_asked_after_a_week(
    asked: int, tmp_path: Path, authority: AcmeServer
) -> None:
    async def story(bench: Bench) -> None:
        authority.refuse, authority.again_in_s = "later", asked
        await bench.keeping.work()
        bench.now += 7 * DAY + 60
        await bench.keeping.work()
        assert len(authority.orders) == 2
        bench.now += 60
        await bench.keeping.work()
        assert len(authority.orders) == 2

    run(tmp_path, authority, story)


def test_a_person_has_the_accounts_key_changed_and_is_told_when_that_fails(
    tmp_path: Path, authority: AcmeServer
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        (before,) = [key.thumbprint() for key in authority.accounts.values()]

        async def ask() -> dict[str, str]:
            await bench.memory.put(ACCOUNT_KEY, ASKED, ttl_s=60)
            await bench.keeping.work()
            (key,) = authority.accounts.values()
            stored = await bench.memory.get(PROBLEMS_KEY + "certificates")
            return {"changed": str(key.thumbprint() != before), "told": str(stored)}

        assert await ask() == {"changed": "True", "told": "{}"}
        (before,) = [key.thumbprint() for key in authority.accounts.values()]
        bench.settings = replace(bench.settings, acme="http://127.0.0.1:9/directory")
        failed = await ask()
        assert failed["changed"] == "False"
        assert "The key of the account at the certificate authority was not changed" in failed["told"]

    run(tmp_path, authority, story)


def test_one_name_that_cannot_be_proved_does_not_take_the_others_with_it(
    tmp_path: Path, authority: AcmeServer
) -> None:
    other = "mail.elsewhere.example"

    async def story(bench: Bench) -> None:
        bench.keeping.wanted = lambda: [(HOST, other)]
        await bench.keeping.work()
        first = bench.serial
        authority.unproved = {other}
        bench.now += 61 * DAY
        await bench.keeping.work()
        assert bench.serial == first, "there is time: somebody may mend it"
        (told,) = await bench.letters()
        assert f"no address for {other}" in told
        for _ in range(60):
            bench.now += DAY / 2
            authority.ahead_s = bench.now - datetime.datetime.now().timestamp()
            await bench.keeping.work()
        current = bench.folder.current()
        assert current is not None
        assert ends_at(current) > bench.now, "the mail host has its certificate"
        assert names_of(current) == [HOST]
        assert f"is without {other}" in bench.keeping.standing[HOST].problem
        orders = len(authority.orders)
        for _ in range(24 * 3):
            bench.now += 20 * 60
            await bench.keeping.work()
        assert len(authority.orders) - orders <= 2, "the whole is tried once a day"
        authority.unproved.clear()
        bench.now += 2 * DAY
        await bench.keeping.work()
        again = bench.folder.current()
        assert again is not None
        assert set(names_of(again)) == {HOST, other}
        assert bench.keeping.standing[HOST].problem == ""

    run(tmp_path, authority, story)


def test_an_authority_that_is_away_for_weeks_is_told_of_before_the_end(
    tmp_path: Path, authority: AcmeServer
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        end = ends_at(bench.folder.current())  # type: ignore[arg-type]
        calls, levels = 0, []

        def hang_up(_: object, writer: asyncio.StreamWriter) -> None:
            nonlocal calls
            calls += 1
            writer.transport.abort()

        away = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = away.sockets[0].getsockname()[1]
        bench.settings = replace(bench.settings, acme=f"http://127.0.0.1:{port}/directory")
        while bench.now < end:
            bench.now += 3600
            await bench.keeping.work()
            seen = of_certificates((Certificate("mx", end),), bench.now, AlertSettings())
            levels.append(worst(list(seen)))
        away.close()
        first = {level: (len(levels) - levels.index(level)) / 24 for level in (Level.WARNING, Level.CRITICAL)}
        assert first[Level.WARNING] > 13, "two weeks before"
        assert first[Level.CRITICAL] > 2, "and again, as somebody's work of today"
        assert calls < 90 * 5, "renewal information four times a day, and an order once a day"
        (told,) = [one for one in await bench.letters() if "no new certificate" in one]
        assert "cannot be used" in told

    run(tmp_path, authority, story)


def test_what_was_found_out_holds_for_every_process(tmp_path: Path, authority: AcmeServer) -> None:
    async def story(bench: Bench) -> None:
        def may(key: str) -> str:
            return bench.store.database.read(lambda connection: ownpolicies.may_change(connection, HOST, key))

        assert "not known yet" in may("3 1 1 aa")
        await bench.keeping.work()
        assert may("3 1 1 aa") == "", "no TLSA records, no wait"
        bench.publish(bench.tlsa)
        chain: list[bytes] = []
        await bench.keeping.guard.problem(HOST, chain, "3 1 1 aa")
        assert "no TLSA record" in may("3 1 1 aa")
        assert "looked up first" in may("3 1 1 bb")

    run(tmp_path, authority, story)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (CertificateSettings(), None),
        (CertificateSettings(acme="https://a.example/d", agree=True, http_address="*:80"), None),
        (CertificateSettings(acme="http://a.example/d", agree=True, http_address="*:80"), "acme"),
        (CertificateSettings(acme="https://a.example/d", http_address="*:80"), "agree"),
        (CertificateSettings(acme="https://a.example/d", agree=True), "http_address"),
        (CertificateSettings(acme="https://a.example/d", agree=True, challenge="dns-01"), "dns_hook"),
        (CertificateSettings(acme="https://a.example/d", agree=True, challenge="tls-alpn-01"), "challenge"),
        (CertificateSettings(acme="https://a.example/d", agree=True, challenge="dns"), "challenge"),
    ],
)
def test_settings_that_cannot_work_are_told(settings: CertificateSettings, key: str | None) -> None:
    assert [one[0] for one in certificate_problems(settings, "")] == ([key] if key else [])

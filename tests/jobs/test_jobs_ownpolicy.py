"""A domain's MTA-STS policy becomes binding on evidence, and on nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gatepost.dns.zone import Zone
from gatepost.jobs import ownpolicy
from gatepost.jobs.letter import Letters
from gatepost.jobs.ownpolicy import (
    MtaStsSettings,
    PolicyKeeping,
    new_id,
    next_mode,
    policy_problems,
    policy_text,
)
from gatepost.mail.address import Address
from gatepost.net.certfiles import CertificateFolder, pem_of
from gatepost.store import ownpolicies
from gatepost.store.ownpolicies import DAY_S, LOOK, Evidence, OwnPolicy
from gatepost.store.ref import new_ref
from gatepost.store.store import Store
from gatepost.tlspolicy.mta_sts import StsPolicy, read_policy
from net.acme_server import AcmeServer

NOW = 20_000 * DAY_S
SETTINGS = MtaStsSettings(address="127.0.0.1:0")
POLICY = OwnPolicy(
    domain="example.net", mode="testing", policy_id="1", hosts=("mx.example.net",), since=NOW - 15 * DAY_S
)


def looks(days: int, **more: object) -> list[Evidence]:
    first = int(NOW // DAY_S) - days
    return [Evidence(day=first + number, source=LOOK, good=24, bad=0, **more) for number in range(days)]  # type: ignore[arg-type]


def mode(
    *found: Evidence, policy: OwnPolicy = POLICY, settings: MtaStsSettings = SETTINGS
) -> tuple[str, str]:
    return next_mode(policy, sorted(found, key=lambda one: one.day), settings, NOW)


def test_two_good_weeks_make_it_binding() -> None:
    assert mode(*looks(14)) == ("enforce", "for 14 days every look was good; nobody reported anything")
    report = Evidence(day=19_995, source="report:Example", good=1000, bad=3)
    assert mode(*looks(14), report) == (
        "enforce",
        "for 14 days every look was good; others report 1000 good connections",
    )


def test_what_speaks_against_it_keeps_it_in_testing_and_says_why() -> None:
    assert mode(*looks(14), policy=replace(POLICY, since=NOW - 10 * DAY_S)) == (
        "testing", "it has been in testing for 10 of 14 days"
    )  # fmt: skip
    assert mode(*looks(9)) == ("testing", "we have not looked on enough days")
    assert mode() == ("testing", "we have not looked on enough days")
    one_bad = replace(looks(14)[5], bad=1, detail="the policy cannot be fetched")
    assert mode(*[one for one in looks(14) if one.day != one_bad.day], one_bad)[0] == "testing"
    assert "the policy cannot be fetched" in mode(*looks(13), one_bad)[1]
    report = Evidence(day=19_995, source="report:Example", good=80, bad=20)
    assert mode(*looks(14), report) == (
        "testing",
        "others report 20 failed connections of 100, report:Example of 2024-09-29",
    )


def test_behind_nat_what_others_report_stands_for_our_own_fetching() -> None:
    outside = replace(SETTINGS, seen_by="reports", reports_to="tls@example.net")
    last = int(NOW // DAY_S) - 1
    under_policy = [
        Evidence(day=last - number, source="sts:example.com", good=40, bad=0) for number in range(7)
    ]
    assert mode(*looks(14), *under_policy, settings=outside)[0] == "enforce"
    assert mode(*looks(14), *under_policy[1:], settings=outside) == (
        "testing", "others report sessions under the policy for 6 days of 7 that are wanted",
    )  # fmt: skip
    without_policy = [replace(one, source="report:example.com") for one in under_policy]
    assert mode(*looks(14), *without_policy, settings=outside)[0] == "testing", "no policy was held to"
    failing = [replace(one, bad=3) for one in under_policy]
    assert mode(*looks(14), *failing, settings=outside)[0] == "testing"
    assert mode(*looks(9), *under_policy, settings=outside)[0] == "testing", "our own look still matters"
    assert list(policy_problems(replace(SETTINGS, seen_by="reports"))) == [
        ("seen_by", "is reports, and they come to no address that the gate reads: set reports_to.")
    ]
    assert [key for key, _ in policy_problems(replace(SETTINGS, seen_by="them"))] == ["seen_by"]


def test_what_cannot_be_fetched_from_inside_says_which_setting_helps(
    tmp_path: Path, authority: AcmeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        bench.publish_id()
        bench.served = ""
        await bench.keeping.work()
        assert 'set [mta_sts] seen_by = "reports")' in bench.keeping.problems["example.net"]
        bench.settings = replace(SETTINGS, seen_by="reports", reports_to="tls@example.net")
        await bench.keeping.work()
        assert bench.keeping.problems["example.net"] == ""
        bench.served = "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"
        await bench.keeping.work()
        assert "serves another policy than we do" in bench.keeping.problems["example.net"]
        bench.settings, bench.served = replace(SETTINGS, private_network=True), None
        await bench.keeping.work()
        assert bench.private is True

    run(tmp_path, authority, monkeypatch, story)


def test_it_never_goes_back_by_itself_but_the_operator_may() -> None:
    enforced = replace(POLICY, mode="enforce")
    assert mode(policy=enforced)[0] == "enforce"
    for chosen in ("testing", "enforce", "none"):
        assert mode(policy=enforced, settings=replace(SETTINGS, mode=chosen))[0] == chosen


def test_the_text_is_what_senders_read() -> None:
    found = read_policy(policy_text(replace(POLICY, mode="enforce"), SETTINGS).encode())
    assert isinstance(found, StsPolicy)
    assert (found.mode, found.mx, found.max_age_s) == ("enforce", ("mx.example.net",), 30 * 86_400)


def test_each_id_is_another() -> None:
    assert new_id(0, None) == "19700101000000"
    assert new_id(0, replace(POLICY, policy_id="19700101000000")) == "19700101000001"


class Bench:
    """Our domain as the world sees it."""

    def __init__(self, store: Store, folder: Path, authority: AcmeServer) -> None:
        self.store, self.now = store, NOW
        self.folder = CertificateFolder(folder)
        key = ec.generate_private_key(ec.SECP256R1())
        self.folder.install(authority.issue(["mx.example.net"], key.public_key()), pem_of(key))
        (folder / "root.pem").write_bytes(authority.root_pem)
        self.zone = Zone.parse("example.net. MX 10 mx.example.net.\n")
        self.keeping = PolicyKeeping(
            database=store.database, resolver=self, settings=lambda: self.settings, domains=lambda: ["example.net"],
            hostname="mx.example.net", chain_file=lambda: self.folder.chain_file, trust_anchors=str(folder / "root.pem"),
            clock=lambda: self.now,
            letters=Letters(
                store=store, hostname="mx.example.net", to=lambda: Address("postmaster", "example.net"),
                expand=lambda address: (str(address),), new_ref=lambda now: new_ref(now, os.urandom(8)),
                clock=lambda: self.now,
            ),
        )  # fmt: skip
        self.settings, self.private = SETTINGS, False
        self.served: str | None = None
        """Another policy than ours, when somebody else's is fetched."""

    async def lookup(self, name: str, kind: str) -> object:
        return self.zone.find(name, kind)

    async def fetched(self, url: str, *, allow_private: bool = False, **_: object) -> object:
        """Stands for the web."""
        self.private = allow_private
        from gatepost.net.fetch import Fetched, FetchFailed, FetchKind

        assert url == "https://mta-sts.example.net/.well-known/mta-sts.txt"
        text = self.served if self.served is not None else self.keeping.text("example.net")
        if not text:
            raise FetchFailed(FetchKind.CONNECT, "mta-sts.example.net cannot be reached")
        return Fetched(url=url, status=200, headers=(), body=text.encode(), address="192.0.2.1", at=self.now)

    def policy(self) -> OwnPolicy:
        return self.store.database.read(ownpolicies.policies)["example.net"]

    def publish_id(self) -> None:
        self.zone = Zone.parse(
            "example.net. MX 10 mx.example.net.\n"
            f'_mta-sts.example.net. TXT "v=STSv1; id={self.policy().policy_id}"\n'
        )

    async def letters(self) -> list[str]:
        found = [self.store.octets_of(one.ref).decode() for one in self.store.queued(limit=100)]
        await self.store.database.commit(lambda connection: connection.execute("DELETE FROM queue"))
        return found


@pytest.fixture(scope="module")
def authority() -> Iterator[AcmeServer]:
    with AcmeServer() as server:
        yield server


def run(
    folder: Path, authority: AcmeServer, patch: pytest.MonkeyPatch, story: Callable[[Bench], Awaitable[None]]
) -> None:
    async def go() -> None:
        store = Store.open(folder / "state")
        bench = Bench(store, folder / "tls", authority)
        patch.setattr(ownpolicy, "fetch", bench.fetched)
        found = bench.folder.current()
        assert found is not None
        bench.now = found.not_valid_before_utc.timestamp() + 7200
        try:
            await story(bench)
        finally:
            await store.close()

    asyncio.run(go())


def test_from_the_first_policy_to_a_binding_one(
    tmp_path: Path, authority: AcmeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        assert bench.policy().mode == "testing"
        (told,) = await bench.letters()
        assert f'_mta-sts.example.net. 3600 IN TXT "v=STSv1; id={bench.policy().policy_id}"' in told
        assert "does not say id=" in bench.keeping.problems["example.net"]
        bench.publish_id()
        first = bench.policy().policy_id
        began = bench.now
        while bench.policy().mode == "testing":
            assert bench.now < began + 17 * DAY_S
            bench.now += DAY_S
            await bench.keeping.work()
        assert bench.now >= began + 14 * DAY_S
        assert bench.keeping.problems["example.net"] == ""
        assert bench.policy().mode == "enforce"
        assert bench.policy().policy_id != first, "senders notice a change by its id"
        assert "mode: enforce" in (bench.keeping.text("example.net") or "")
        assert next(one.what for one in bench.store.journal()).startswith("mta-sts enforce example.net")
        (told,) = await bench.letters()
        assert bench.policy().policy_id in told

    run(tmp_path, authority, monkeypatch, story)


def test_each_thing_that_a_sender_would_stumble_over_is_found(
    tmp_path: Path, authority: AcmeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        bench.publish_id()

        async def problem() -> str:
            await bench.keeping.work()
            return bench.keeping.problems["example.net"]

        assert await problem() == ""
        bench.zone.add("example.net", "MX", "20 backup.example.org")
        assert await problem() == "its MX host backup.example.org is not in the policy"
        bench.publish_id()
        bench.served = "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"
        assert "serves another policy than we do" in await problem()
        bench.served = ""
        assert "cannot be reached" in await problem()
        bench.served = None
        bench.now += 100 * DAY_S
        assert "the certificate of mx.example.net: it would not be trusted" in await problem()
        bench.zone.trouble("example.net", "MX", "servfail")
        assert await problem() == "its MX records cannot be looked up"

    run(tmp_path, authority, monkeypatch, story)


def test_other_mail_hosts_make_another_policy_that_starts_in_the_mode_it_had(
    tmp_path: Path, authority: AcmeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeping.work()
        first = bench.policy()
        bench.settings = replace(SETTINGS, hosts=("*.example.net",))
        bench.now += 60
        await bench.keeping.work()
        assert bench.policy().hosts == ("*.example.net",)
        assert (bench.policy().mode, bench.policy().since) == (first.mode, first.since)
        assert bench.policy().policy_id > first.policy_id

    run(tmp_path, authority, monkeypatch, story)


def test_only_our_domains_have_a_policy(
    tmp_path: Path, authority: AcmeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(bench: Bench) -> None:
        assert bench.keeping.text("example.net") is None
        await bench.keeping.work()
        assert bench.keeping.text("example.net") is not None
        assert bench.keeping.text("example.org") is None

    run(tmp_path, authority, monkeypatch, story)

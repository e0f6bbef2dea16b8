"""Policies of others: fetched once, remembered across restarts, refreshed in time, and good until their end."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatepost.dns.zone import Zone
from gatepost.net.outbound import Outbound, OutboundSettings, Sent
from gatepost.net.stspolicies import AGAIN_AFTER_S, StsPolicies
from gatepost.smtp.sending import Outgoing, OutgoingRecipient, Result
from gatepost.store.database import Database
from gatepost.store.store import Store
from gatepost.store.wire import StoredPolicies
from gatepost.tlspolicy.mta_sts import StsKnown, StsMode
from scripted_peer import Peer

sys.path.append(str(Path(__file__).parent.parent / "lab"))
from lab_servers import Authorities, Identity, PolicyHosts, http, identity, make, policy

WEB = "mta-sts.example.org"
DAY = 86_400.0


class Bench:
    def __init__(self, folder: Path, web: PolicyHosts, database: Database, known: Authorities) -> None:
        self.web, self.database, self.known = web, database, known
        self.now = 1_790_000_000.0
        self.start()

    def zone(self, record: str = "v=STSv1; id=1;") -> Zone:
        text = f"{WEB}. A {self.web.address}\n"
        return Zone.parse(text + (f'_mta-sts.example.org. TXT "{record}"\n' if record else ""))

    def start(self, record: str = "v=STSv1; id=1;") -> None:
        """A fresh process, as it were."""
        self.kept = StoredPolicies(self.database, lambda: self.now, flush_s=0.0)
        self.sts = StsPolicies(
            resolver=self.zone(record),
            clock=lambda: self.now,
            kept=self.kept,
            trust_anchors=str(self.known.file),
            port=self.web.port,
        )

    def serve(self, mode: str, *, max_age: int = 7 * 86400, status: str = "200 OK") -> None:
        self.web.answers[WEB] = http(status, policy(mode, "mx.example.org", max_age=max_age))

    async def mode(self) -> str:
        known = await self.sts.of("example.org")
        await self.kept.close()
        return known.policy.mode.value if known.policy else known.trouble or "nothing"


@contextlib.asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    known = Authorities(folder)
    web = PolicyHosts("127.0.0.1")
    web.contexts[WEB] = identity("good", WEB, known).context()
    store = Store.open(folder / "state")
    async with web.serve(identity("good", "other.test", known).context()):
        it = Bench(folder, web, store.database, known)
        try:
            yield it
        finally:
            await it.sts.close()
            await it.kept.close()
            await store.close()


def test_it_is_fetched_once_and_outlives_a_restart(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            it.serve("enforce")
            assert [await it.mode() for _ in range(3)] == ["enforce"] * 3
            it.start()
            assert await it.mode() == "enforce"
            assert it.web.asked == [WEB]
            it.web.answers.clear()
            it.start(record="")  # the record is taken away as well
            it.now += 6 * DAY
            assert await it.mode() == "enforce"
            it.now += 2 * DAY
            assert await it.mode() == "nothing"

    asyncio.run(go())


def test_a_policy_that_lasts_no_time_does_not_cost_a_fetch_for_every_message(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            it.serve("enforce", max_age=0)
            for _ in range(20):
                assert await it.mode() == "enforce"
                it.now += 1
            assert len(it.web.asked) == 1
            it.now += 60
            assert await it.mode() == "enforce"
            assert len(it.web.asked) == 2

    asyncio.run(go())


def test_many_who_ask_at_once_cost_one_fetch(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            it.serve("enforce")
            found = await asyncio.gather(*(it.sts.of("example.org") for _ in range(20)))
            assert {one.policy.mode for one in found if one.policy} == {StsMode.ENFORCE}
            assert len(it.web.asked) == 1

    asyncio.run(go())


def test_a_new_id_brings_the_new_policy_and_a_bad_one_keeps_the_old(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            it.serve("testing")
            assert await it.mode() == "testing"
            it.sts.resolver = it.zone("v=STSv1; id=2;")
            it.web.answers[WEB] = http("500 Broken", "")
            assert await it.mode() == "testing"
            it.serve("enforce")
            assert await it.mode() == "testing", "it is not asked again at once"
            it.now += AGAIN_AFTER_S + 1
            assert await it.mode() == "enforce"

    asyncio.run(go())


def test_it_is_refreshed_before_it_ends_by_the_clock_while_it_is_in_use(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            it.serve("enforce", max_age=int(3 * DAY))
            assert await it.mode() == "enforce"
            for _ in range(5):
                it.now += 1.5 * DAY
                await it.sts.refresh()
                await it.kept.close()
            assert await it.mode() == "enforce"
            assert len(it.web.asked) == 6, "once, and at each refresh"
            await it.sts.refresh()
            it.web.answers.clear()
            it.now += 60 * DAY
            asked = len(it.web.asked)
            it.now += 2 * DAY
            await it.sts.refresh()
            assert len(it.web.asked) == asked, "nobody writes there any more"

    asyncio.run(go())


def test_what_another_process_refreshed_holds_here_too(tmp_path: Path) -> None:
    """Both deliver; one fetches the policy again, and then it is taken off the web and out of DNS."""

    async def go() -> None:
        async with bench(tmp_path) as it:
            it.serve("enforce")
            assert await it.mode() == "enforce"
            first = it.sts
            it.now += 5 * DAY
            it.start()
            await it.sts.of("example.org")
            await it.sts.refresh()
            await it.kept.close()
            assert len(it.web.asked) == 2
            it.now += 5 * DAY  # the one that was fetched first has ended
            it.start(record="")
            first.resolver = it.zone("")
            assert await it.mode() == "enforce"
            known = await first.of("example.org")
            assert known.policy is not None
            assert known.policy.mode is StsMode.ENFORCE

    asyncio.run(go())


def test_mail_is_not_kept_waiting_by_a_refresh(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            it.serve("enforce")
            await it.mode()
            it.now += 2 * DAY
            it.web.port = it.sts.port = 1  # nobody there
            known = await asyncio.wait_for(it.sts.of("example.org"), 1)
            assert known.policy is not None

    asyncio.run(go())


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (
            http("200 OK", policy("enforce", "mx.example.org"), kind="application/octet-stream"),
            "sts-policy-invalid",
        ),
        (http("200 OK", "mode: enforce"), "sts-policy-invalid"),
        (http("206 Partial", policy("enforce", "mx.example.org")), "sts-policy-fetch-error"),
        (http("301 Moved", "", more="Location: https://elsewhere.test/\r\n"), "sts-policy-fetch-error"),
        (b"no HTTP at all\r\n\r\n", "sts-policy-fetch-error"),
        (b"", "sts-policy-fetch-error"),
    ],
)
def test_what_a_policy_host_may_answer(tmp_path: Path, answer: bytes, trouble: str) -> None:
    async def go() -> StsKnown:
        async with bench(tmp_path) as it:
            it.web.answers[WEB] = answer
            return await it.sts.of("example.org")

    known = asyncio.run(go())
    assert (known.policy, known.trouble) == (None, trouble)
    assert known.words


def test_a_forged_record_defers_but_only_where_nothing_is_remembered(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            forged = Zone.parse("$BOGUS _mta-sts.example.org\n")
            it.sts.resolver = forged
            assert (await it.sts.of("example.org")).bogus
            it.start()
            it.serve("enforce")
            await it.mode()
            it.sts.resolver = forged
            known = await it.sts.of("example.org")
            assert known.policy is not None
            assert not known.bogus

    asyncio.run(go())


def test_a_policy_hosts_common_name_proves_nothing(tmp_path: Path) -> None:
    """RFC 8461 §3.3: by the names in its SAN alone."""

    async def go() -> str:
        async with bench(tmp_path) as it:
            it.serve("enforce")
            it.web.contexts[WEB] = Identity(make(WEB, it.known.trusted, san=False)).context()
            return await it.mode()

    assert asyncio.run(go()) == "sts-webpki-invalid"


@pytest.mark.parametrize(
    ("knows", "arrives"), [("relay.example.net", True), ("*.example.net", True), ("other.example.net", False)]
)
def test_the_policy_that_counts_for_a_smarthost_is_its_own(
    tmp_path: Path, knows: str, *, arrives: bool
) -> None:
    """RFC 8461 §3.4; what the recipients' domain says is about hosts that are not asked."""
    relay, web = "relay.example.net", "mta-sts.relay.example.net"

    async def go() -> tuple[Sent, Peer]:
        async with bench(tmp_path) as it:
            it.serve("enforce")
            it.web.contexts[web] = identity("good", web, it.known).context()
            it.web.answers[web] = http("200 OK", policy("enforce", knows))
            zone = Zone.parse(
                f"{WEB}. A {it.web.address}\n{web}. A {it.web.address}\n{relay}. A 127.0.0.1\n"
                '_mta-sts.example.org. TXT "v=STSv1; id=1;"\n_mta-sts.relay.example.net. TXT "v=STSv1; id=1;"\n'
            )
            it.sts.resolver = zone
            async with Peer(tls=identity("good", relay, it.known).context()).serve() as peer:
                settings = OutboundSettings(
                    trust_anchors=str(it.known.file), smarthost=f"{relay}:{peer.port}"
                )
                out = Outbound("mx.gate.test", zone, settings, sts=it.sts)
                mail = Outgoing(
                    sender="a@gate.test",
                    recipients=(OutgoingRecipient(address="b@example.org"),),
                    octets=b"x\r\n",
                )
                sent = await out.send_to_domain("example.org", mail)
                await out.close()
        return sent, peer

    sent, peer = asyncio.run(go())
    assert sent.tls_policy == "mta-sts"
    assert len(peer.messages) == arrives
    assert sent.outcomes[0].result is (Result.DELIVERED if arrives else Result.DEFERRED)

"""Postfix and Dovecot as next hops: what they file is, octet for octet, what came in, below their own trace fields."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from delivery_bench import bench, queue_mail
from gatepost.delivery.settings import DeliverySettings, DomainSettings
from gatepost.net.outbound import OutboundSettings
from gatepost.smtp.sending import TlsUse
from real_servers import RealServer, dovecot, postfix

pytestmark = pytest.mark.peers

MAIL = (
    b"From: Sam <sam@example.org>\r\nTo: ana@example.net\r\nDate: Sun, 15 Jun 2025 15:06:40 +0000\r\n"
    b"Message-ID: <1@example.org>\r\nSubject: every octet\r\nX-Folded: one\r\n\ttwo  \r\n\r\n"
    b".\r\n..\r\n.dots\r\nFrom the start\r\n"
    + b"x" * 990
    + b"\r\nblanks  \t\r\n\xc3\xa9\xff\r\n\r\n\r\n.\r\n\r\n"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ca")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    return folder


@pytest.fixture(scope="module")
def real_postfix(authority: Path) -> Iterator[RealServer]:
    with postfix(
        smtpd_tls_security_level="may",
        smtpd_tls_chain_files=str(authority / "server.pem"),
        local_header_rewrite_clients="",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def real_dovecot() -> Iterator[RealServer]:
    with dovecot() as server:
        yield server


def filed(copy: bytes) -> bool:
    """Is the message whole below the trace fields of the server that filed it?"""
    return copy.endswith(b"\n" + MAIL.replace(b"\r\n", b"\n"))


def test_postfix_gets_what_came_in_over_verified_tls(
    tmp_path: Path, authority: Path, real_postfix: RealServer
) -> None:
    async def go() -> None:
        domain = DomainSettings(
            name="example.net", deliver=f"smtp:127.0.0.1:{real_postfix.port}", tls=TlsUse.REQUIRED
        )
        settings = OutboundSettings(trust_anchors=str(authority / "ca.pem"))
        async with bench(tmp_path, domains=(domain,), outbound_settings=settings) as it:
            for number in range(20):
                await queue_mail(
                    it.store, f"M{number}", to=("ana@example.net", "ben@example.net"), octets=MAIL
                )
            await it.until_idle()
            assert it.waiting() == []
            assert it.held() == []
            (first, _) = it.store.attempts_of("M0")
            assert first.reply.startswith("250 2.0.0 Ok: queued as ")
            assert (first.tls_version, first.tls_policy, first.tls_verified) == ("TLSv1.3", "required", True)

    asyncio.run(go())
    for who in ("ana", "ben"):
        copies = real_postfix.wait_for(f"{who}@example.net", 20)
        assert len(copies) == 20
        assert all(filed(copy) for copy in copies)


def test_postfix_refuses_one_of_two_and_a_message_too_big(tmp_path: Path, real_postfix: RealServer) -> None:
    async def go() -> None:
        domain = DomainSettings(name="example.net", deliver=f"smtp:127.0.0.1:{real_postfix.port}")
        async with bench(tmp_path, domains=(domain,)) as it:
            never = frozenset({"NEVER"})
            await queue_mail(
                it.store, "A", to=("postmaster@example.net", "no@example.net"), octets=MAIL, notify=never
            )
            await queue_mail(it.store, "B", octets=MAIL + b"x\r\n" * 400_000, notify=never)
            await it.until_idle()
            refused = {one.to: (one.status, one.reply[:9]) for one in it.store.attempts_of("A")}
            (too_big,) = it.store.attempts_of("B")
        assert refused == {
            "postmaster@example.net": ("delivered", "250 2.0.0"),
            "no@example.net": ("failed", "550 5.1.1"),
        }
        assert too_big.status == "failed"
        assert "the next host takes 1000000" in too_big.reply

    asyncio.run(go())
    (copy,) = real_postfix.wait_for("postmaster@example.net")
    assert filed(copy)


def test_postfix_that_went_away_and_came_back(tmp_path: Path) -> None:
    async def go(server: RealServer) -> None:
        domain = DomainSettings(name="example.net", deliver=f"smtp:127.0.0.1:{server.port}")
        async with bench(tmp_path, domains=(domain,)) as it:
            await queue_mail(it.store, "A", octets=MAIL)
            await it.until_idle()
            assert it.waiting() == [("ana@example.net", 60.0, 1)]

    with postfix(soft_bounce="yes", smtpd_recipient_restrictions="reject") as server:
        asyncio.run(go(server))

    async def again(server: RealServer) -> None:
        domain = DomainSettings(name="example.net", deliver=f"smtp:127.0.0.1:{server.port}")
        async with bench(tmp_path, domains=(domain,)) as it:
            it.now += 60
            await it.until_idle()
            assert it.waiting() == []

    with postfix() as server:
        asyncio.run(again(server))
        (copy,) = server.wait_for("ana@example.net")
    assert filed(copy)


def test_dovecot_gets_what_came_in_over_lmtp(tmp_path: Path, real_dovecot: RealServer) -> None:
    async def go() -> None:
        domain = DomainSettings(name="example.net", deliver=f"lmtp:{real_dovecot.socket}")
        async with bench(tmp_path, domains=(domain,), settings=DeliverySettings()) as it:
            who = ("ana@example.net", "nobody@example.net", "ben@example.net")
            await queue_mail(it.store, "A", to=who, octets=MAIL, notify=frozenset({"NEVER"}))
            await it.until_idle()
            found = {one.to: (one.status, one.reply[:9]) for one in it.store.attempts_of("A")}
        assert found == {
            "ana@example.net": ("delivered", "250 2.0.0"),
            "ben@example.net": ("delivered", "250 2.0.0"),
            "nobody@example.net": ("failed", "550 5.1.1"),
        }

    asyncio.run(go())
    for who in ("ana", "ben"):
        (copy,) = real_dovecot.wait_for(f"{who}@example.net")
        assert filed(copy)


def test_dovecot_stores_an_address_with_a_detail(tmp_path: Path, real_dovecot: RealServer) -> None:
    before = len(real_dovecot.mailbox("ana@example.net"))

    async def go() -> None:
        domain = DomainSettings(name="example.net", deliver=f"lmtp:{real_dovecot.socket}")
        async with bench(tmp_path, domains=(domain,)) as it:
            await queue_mail(it.store, "A", to=("ana+news@example.net",), octets=MAIL)
            await it.until_idle()
            (attempt,) = it.store.attempts_of("A")
            assert attempt.status == "delivered"

    asyncio.run(go())
    assert len(real_dovecot.wait_for("ana@example.net", before + 1)) == before + 1

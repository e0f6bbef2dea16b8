"""Exim and OpenSMTPD as next hops: one is strict about who speaks when and offers everything, the other offers little.

Postfix and Dovecot are in `test_delivery_real_servers`; every combination of policies is in the lab.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from delivery_bench import bench, queue_mail
from gatepost.delivery.settings import DomainSettings
from gatepost.net.outbound import OutboundSettings
from gatepost.smtp.sending import TlsUse
from real_servers import RealServer
from unpacked_servers import exim, opensmtpd, told

pytestmark = pytest.mark.peers

ZONE = "receiver.example. 300 A 127.0.0.1\nother.example. 300 A 127.0.0.1\n"
NEVER = frozenset({"NEVER"})
PLAIN = (
    b"From: Sam <sam@example.org>\r\nTo: ana@example.net\r\nDate: Sun, 15 Jun 2025 15:06:40 +0000\r\n"
    b"Message-ID: <1@example.org>\r\nSubject: every octet\r\nX-Folded: one\r\n\ttwo  \r\n\r\n"
    b".\r\n..\r\n.dots\r\nFrom the start\r\n" + b"x" * 990 + b"\r\nblanks  \t\r\n\r\n\r\n.\r\n\r\n"
)
MAIL = PLAIN.replace(b"blanks", b"\xc3\xa9\xff blanks")


@dataclass(frozen=True)
class Receiver:
    name: str
    server: RealServer
    authority: Path
    """A PEM file that its certificate for receiver.example is trusted by."""
    speaks_tls: bool
    """Does a handshake with it come about? Not with the OpenSMTPD 6.8 of Debian 12, which offers STARTTLS and cannot use
    its own key with OpenSSL 3: no rare kind of host."""

    def domain(
        self, host: str = "receiver.example", port: int = 0, tls: TlsUse = TlsUse.NONE
    ) -> DomainSettings:
        return DomainSettings(name="example.net", deliver=f"smtp:{host}:{port or self.server.port}", tls=tls)

    def has(self, octets: bytes, address: str = "ana@example.net", count: int = 1) -> bool:
        """Is it there so often, octet for octet below what the server put in front?"""
        end = time_limit()
        while sum(whole(copy, octets) for copy in self.server.mailbox(address)) < count:
            assert next(end), told(self.server)
        return sum(whole(copy, octets) for copy in self.server.mailbox(address)) == count


def time_limit() -> Iterator[bool]:
    end = time.monotonic() + 20
    while True:
        time.sleep(0.02)
        yield time.monotonic() < end


def whole(copy: bytes, octets: bytes) -> bool:
    return copy.endswith(b"\n" + octets.replace(b"\r\n", b"\n"))


def letter(subject: str, octets: bytes = MAIL) -> bytes:
    return octets.replace(b"every octet", subject.encode())


@pytest.fixture(scope="module", params=["exim", "opensmtpd"])
def receiver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    folder = tmp_path_factory.mktemp("ca")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    chain = folder / "server.pem"
    authority.issue_cert(
        "receiver.example", key_type=trustme.KeyType.RSA
    ).private_key_and_cert_chain_pem.write_to_path(chain)
    with contextlib.ExitStack() as stack:
        if request.param == "exim":
            more = "tls_certificate = FOLDER/server.pem\ntls_privatekey = FOLDER/server.pem"
            server = stack.enter_context(exim(more, files=(chain,)))
        else:
            server = stack.enter_context(opensmtpd(chain))
        yield Receiver(request.param, server, folder / "ca.pem", shakes_hands(server.port))


def shakes_hands(port: int) -> bool:
    """Asked by Python's own client."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as session:
            session.starttls(context=context)
            session.ehlo()
    except (OSError, smtplib.SMTPException):
        return False
    return True


def test_twenty_messages_arrive_whole_and_in_step(tmp_path: Path, receiver: Receiver) -> None:
    """8-bit text, dots, long lines; one connection for many of them, pipelined where that is offered."""
    sent = [letter(f"plain {number}") for number in range(20)]

    async def go() -> None:
        async with bench(tmp_path, zone=ZONE, domains=(receiver.domain(),)) as it:
            for number, octets in enumerate(sent):
                await queue_mail(
                    it.store, f"M{number}", to=("ana@example.net", "ben@example.net"), octets=octets
                )
            await it.until_idle()
            assert (it.waiting(), it.held()) == ([], [])

    asyncio.run(go())
    for octets in sent:
        assert receiver.has(octets)
        assert receiver.has(octets, "ben@example.net")
    assert "synchronization error" not in told(receiver.server)


@pytest.mark.parametrize(
    ("host", "trusted", "tls", "arrives", "verified"),
    [
        ("receiver.example", True, TlsUse.REQUIRED, True, True),
        ("other.example", True, TlsUse.REQUIRED, False, False),
        ("receiver.example", False, TlsUse.REQUIRED, False, False),
        ("receiver.example", True, TlsUse.OPPORTUNISTIC, True, True),
        ("other.example", True, TlsUse.OPPORTUNISTIC, True, False),
    ],
    ids=["right", "another name", "unknown authority", "right, may be any", "another name, may be any"],
)
def test_starttls(
    tmp_path: Path, receiver: Receiver, host: str, trusted: bool, tls: TlsUse, arrives: bool, verified: bool
) -> None:
    """The right proof or no delivery, where that is wanted; where it is not, it arrives whatever the certificate is, and
    in plain text at a host that offers TLS and cannot do it (RFC 7435 §4)."""
    octets = letter(f"{host} {trusted} {tls}")
    arrives = arrives and (receiver.speaks_tls or tls is TlsUse.OPPORTUNISTIC)
    version = "TLSv1.3" if receiver.speaks_tls else None

    async def go() -> None:
        anchors = OutboundSettings(trust_anchors=str(receiver.authority) if trusted else "")
        domain = receiver.domain(host, tls=tls)
        async with bench(tmp_path, zone=ZONE, domains=(domain,), outbound_settings=anchors) as it:
            await queue_mail(it.store, "A", octets=octets)
            await it.until_idle()
            (attempt,) = it.store.attempts_of("A")
            assert attempt.status == ("delivered" if arrives else "deferred"), attempt
            if arrives:
                assert attempt.tls_version == version
                assert bool(attempt.tls_verified) == (verified and receiver.speaks_tls)
            else:
                assert len(it.waiting()) == 1
                assert "certificate" in attempt.reply or "TLS" in attempt.reply

    asyncio.run(go())
    assert (
        receiver.has(octets)
        if arrives
        else not any(whole(copy, octets) for copy in receiver.server.mailbox("ana@example.net"))
    )


def test_a_message_too_big_is_not_begun(tmp_path: Path, receiver: Receiver) -> None:
    async def go() -> None:
        async with bench(tmp_path, zone=ZONE, domains=(receiver.domain(),)) as it:
            await queue_mail(it.store, "A", octets=PLAIN + b"x\r\n" * 400_000, notify=NEVER)
            await it.until_idle()
            (attempt,) = it.store.attempts_of("A")
            assert attempt.status == "failed"
            assert "the next host takes 1000000" in attempt.reply

    asyncio.run(go())


def test_refused_recipients_between_taken_ones(tmp_path: Path, receiver: Receiver) -> None:
    octets = letter("some refused")
    who = ("no@example.net", "ana@example.net", "nor-i@example.net", "ben@example.net")

    async def go() -> None:
        async with bench(tmp_path, zone=ZONE, domains=(receiver.domain(),)) as it:
            await queue_mail(it.store, "A", to=who, octets=octets, notify=NEVER)
            await queue_mail(it.store, "B", to=who[::2], octets=octets, notify=NEVER)
            await it.until_idle()
            found = {one.to: (one.status, one.reply[:1]) for one in it.store.attempts_of("A")}
            assert found == {
                one: ("failed", "5") if one.startswith("no") else ("delivered", "2") for one in who
            }
            assert {one.status for one in it.store.attempts_of("B")} == {"failed"}

    asyncio.run(go())
    assert receiver.has(octets)
    assert receiver.has(octets, "ben@example.net")


def test_internationalised_mail(tmp_path: Path, receiver: Receiver) -> None:
    """It arrives where SMTPUTF8 is offered, and goes back where it is not (RFC 6531 §3.2)."""
    octets = letter("grüße an alle")

    async def go() -> None:
        async with bench(tmp_path, zone=ZONE, domains=(receiver.domain(),)) as it:
            await queue_mail(
                it.store, "A", sender="jürgen@example.org", octets=octets, smtputf8=True, notify=NEVER
            )
            await it.until_idle()
            (attempt,) = it.store.attempts_of("A")
            if receiver.name == "exim":
                assert attempt.status == "delivered", attempt
            else:
                assert attempt.status == "failed"
                assert "SMTPUTF8" in attempt.reply

    asyncio.run(go())
    if receiver.name == "exim":
        assert receiver.has(octets)


def test_the_next_host_tells_of_success(tmp_path: Path, receiver: Receiver) -> None:
    """Where DSN is offered the wish goes along, and the notification is the next host's (RFC 3461 §5.2.1)."""
    octets = letter("tell me", PLAIN)
    before = len(receiver.server.mailbox("sam@example.org"))

    async def go() -> None:
        async with bench(tmp_path, zone=ZONE, domains=(receiver.domain(),)) as it:
            await queue_mail(
                it.store, "A", octets=octets, notify=frozenset({"SUCCESS"}), orcpt="rfc822;anna@example.net",
                envid="QQ314159", ret="HDRS",
            )  # fmt: skip
            await it.until_idle()
            assert it.refs == 0, "we sent a notification of our own"

    asyncio.run(go())
    told_sam = receiver.server.wait_for("sam@example.org", before + 1)[-1]
    assert b"Action: delivered" in told_sam
    assert b"text/rfc822-headers" in told_sam
    if receiver.name == "exim":  # the other one leaves out what it was told
        assert b"Original-Recipient: rfc822;anna@example.net" in told_sam
        assert b"Original-Envelope-ID: QQ314159" in told_sam


@contextlib.asynccontextmanager
async def cutting(port: int, *, after: int | None) -> AsyncIterator[int]:
    """A way to `port` that breaks: after so many octets from the client; None: when the whole message was taken, before
    the reply. The port to connect to."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        seen = b""
        dotted = asyncio.Event()

        async def back() -> None:
            while octets := await far_reader.read(65536):
                if dotted.is_set():
                    return
                writer.write(octets)

        task = asyncio.create_task(back())
        while octets := await reader.read(4096):
            seen += octets
            if after is not None and len(seen) > after:
                break
            if after is None and seen.endswith(b"\r\n.\r\n"):
                dotted.set()
                far_writer.write(octets)
                await task
                break
            far_writer.write(octets)
        task.cancel()
        far_writer.transport.abort()
        writer.transport.abort()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize(
    "after", [60, 30_000, None], ids=["in the dialogue", "in the text", "before the reply"]
)
def test_a_connection_that_is_cut(tmp_path: Path, receiver: Receiver, after: int | None) -> None:
    """It waits and is tried again; it comes twice only where the reply was lost, and nobody can tell (RFC 5321 §4.2.5)."""
    octets = letter(f"cut {after}", PLAIN) + b"0123456789\r\n" * 10_000

    async def cut() -> None:
        async with (
            cutting(receiver.server.port, after=after) as port,
            bench(tmp_path, zone=ZONE, domains=(receiver.domain(port=port),)) as it,
        ):
            await queue_mail(it.store, "A", octets=octets)
            await it.until_idle()
            (attempt,) = it.store.attempts_of("A")
            assert attempt.status == "deferred"
            assert len(it.waiting()) == 1

    async def again() -> None:
        async with bench(tmp_path, zone=ZONE, domains=(receiver.domain(),)) as it:
            it.now += 3600
            await it.until_idle()
            assert it.waiting() == []
            assert it.store.attempts_of("A")[-1].status == "delivered"

    asyncio.run(cut())
    asyncio.run(again())
    assert receiver.has(octets, count=2 if after is None else 1)


@pytest.mark.parametrize("receiver", ["exim"], indirect=True)
def test_one_mailbox_is_busy_and_then_is_not(tmp_path: Path, receiver: Receiver) -> None:
    octets, who = letter("busy"), ("ana@example.net", "postmaster@example.net")
    busy = receiver.server.folder / "busy"

    async def go() -> None:
        async with bench(tmp_path, zone=ZONE, domains=(receiver.domain(),)) as it:
            busy.touch()
            await queue_mail(it.store, "A", to=who, octets=octets)
            await it.until_idle()
            assert [one[0] for one in it.waiting()] == [who[1]]
            busy.unlink()
            it.now += 3600
            await it.until_idle()
            assert it.waiting() == []

    asyncio.run(go())
    for address in who:
        assert receiver.has(octets, address)

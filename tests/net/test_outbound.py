"""Handing mail to another server over real sockets: every way it may die, TLS, connections used again, MX."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from gatepost.dns.zone import Zone
from gatepost.net.mailhosts import Found
from gatepost.net.outbound import Outbound, OutboundSettings, Sent
from gatepost.smtp.client import Patience
from gatepost.smtp.sending import Hop, Outgoing, OutgoingRecipient, Protocol, Result, TlsUse
from scripted_peer import Peer

sys.path.append(str(Path(__file__).parent.parent / "lab"))
from lab_servers import Authorities, Identity, make

MAIL = b"From: a@example.org\r\nSubject: dots\r\n\r\n.one\r\n..two\r\n.\r\nend without a line end"


def outgoing(*to: str, octets: bytes | None = MAIL, sender: str = "a@example.org") -> Outgoing:
    recipients = tuple(OutgoingRecipient(address=one) for one in to or ("b@example.net",))
    return Outgoing(sender=sender, recipients=recipients, octets=octets)


def outbound(zone: str = "", **options: Any) -> Outbound:
    settings = OutboundSettings(**options.pop("settings", {}))
    return Outbound("mx.example.net", Zone.parse(zone), settings, **options)


@pytest.fixture(params=["asyncio", "uvloop"])
def both_loops(request: pytest.FixtureRequest) -> Iterator[None]:
    """What depends on the loop's transports is tried on both."""
    if request.param == "uvloop":
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    yield
    asyncio.set_event_loop_policy(None)


async def send_once(peer: Peer, message: Outgoing | None = None, **options: Any) -> Sent:
    out = outbound(**options)
    protocol = Protocol.LMTP if peer.lmtp else Protocol.SMTP
    sent = await out.send(Hop(protocol=protocol, host="127.0.0.1", port=peer.port), message or outgoing())
    await out.close()
    return sent


@pytest.mark.usefixtures("both_loops")
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("lmtp", [True, False])
def test_a_message_arrives_octet_for_octet(*, split: bool, pipelining: bool, lmtp: bool) -> None:
    async def go() -> None:
        keywords = ("8BITMIME", *(["PIPELINING"] if pipelining else []))
        async with Peer(split=split, keywords=keywords, lmtp=lmtp).serve() as peer:
            sent = await send_once(peer, outgoing("b@example.net", "c@example.net"))
        assert [one.result for one in sent.outcomes] == [Result.DELIVERED] * 2
        assert peer.messages == [MAIL + b"\r\n"]

    asyncio.run(go())


@pytest.mark.usefixtures("both_loops")
def test_a_large_message_arrives_whole() -> None:
    async def go() -> None:
        octets = b"Subject: large\r\n\r\n" + b".a line of some length, again and again\r\n" * 100_000
        async with Peer(keywords=("PIPELINING",)).serve() as peer:
            sent = await send_once(peer, outgoing(octets=octets))
        assert sent.outcomes[0].result is Result.DELIVERED
        assert peer.messages == [octets]

    asyncio.run(go())


STAGES = ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "message"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("how", "pipelining"),
    [
        *product(["die", "421 4.3.2 closing", "garbage"], [True, False]),
        ("silent", True),
    ],
)
def test_whatever_dies_wherever_the_message_waits(stage: str, how: str, *, pipelining: bool) -> None:
    async def go() -> Sent:
        patience = Patience(
            **{f"{name}_s": 0.3 for name in ("greeting", "hello", "mail", "rcpt", "data", "final")}
        )
        peer = Peer(
            answer=lambda verb, line: how if verb == stage else None,
            keywords=("PIPELINING",) if pipelining else (),
        )
        async with peer.serve():
            return await send_once(peer, outgoing("b@example.net", "c@example.net"), patience=patience)

    sent = asyncio.run(go())
    assert [one.result for one in sent.outcomes] == [Result.DEFERRED] * 2
    assert sent.unreachable is (stage in ("greeting", "EHLO"))
    assert sent.committed is (stage == "message")
    expected = {
        "die": "the connection ended while waiting for the answer to",
        "silent": "no answer in time while waiting for the answer to",
        "421 4.3.2 closing": "421 4.3.2 closing",
        "garbage": "no reply (not-a-reply): garbage",
    }[how]
    assert expected.removesuffix(" the answer to" if stage == "greeting" else "") in sent.outcomes[0].words


@pytest.mark.usefixtures("both_loops")
def test_dying_in_the_middle_of_the_message() -> None:
    async def go() -> Sent:
        async with Peer(die_in_body_after=1000, keywords=("PIPELINING",)).serve() as peer:
            return await send_once(peer, outgoing(octets=b"a: b\r\n\r\n" + b"x" * 70 + b"\r\n" * 5_000_000))

    sent = asyncio.run(go())
    assert sent.outcomes[0].result is Result.DEFERRED
    assert not sent.committed


def test_nobody_there() -> None:
    async def go() -> tuple[Sent, int]:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return await outbound().send(Hop(host="127.0.0.1", port=port), outgoing()), port

    sent, port = asyncio.run(go())
    assert sent.unreachable
    assert f"127.0.0.1:{port} cannot be reached: " in sent.outcomes[0].words


def test_a_connection_is_used_again_and_not_for_ever() -> None:
    async def go() -> Peer:
        async with Peer().serve() as peer:
            out = outbound(settings={"messages_per_connection": 3})
            for _ in range(6):
                sent = await out.send(Hop(host="127.0.0.1", port=peer.port), outgoing())
                assert sent.outcomes[0].result is Result.DELIVERED
            await out.close()
        return peer

    peer = asyncio.run(go())
    assert peer.connections == 2
    assert len(peer.messages) == 6


def test_a_kept_connection_that_died_costs_no_message() -> None:
    async def go() -> Peer:
        mails = 0

        def answer(verb: str, line: str) -> str | None:
            nonlocal mails
            mails += verb == "MAIL"
            return "die" if verb == "MAIL" and mails == 2 else None

        async with Peer(answer=answer).serve() as peer:
            out = outbound()
            for _ in range(2):
                sent = await out.send(Hop(host="127.0.0.1", port=peer.port), outgoing())
                assert sent.outcomes[0].result is Result.DELIVERED
            await out.close()
        return peer

    peer = asyncio.run(go())
    assert peer.connections == 2
    assert len(peer.messages) == 2


def test_nothing_is_kept_of_a_host_whose_last_connection_broke() -> None:
    async def go() -> Outbound:
        mails = 0

        def answer(verb: str, line: str) -> str | None:
            nonlocal mails
            mails += verb == "MAIL"
            return "die" if verb == "MAIL" and mails > 1 else None

        async with Peer(answer=answer).serve() as peer:
            out = outbound()
            hop = Hop(host="127.0.0.1", port=peer.port)
            assert (await out.send(hop, outgoing())).outcomes[0].result is Result.DELIVERED
            assert (await out.send(hop, outgoing())).outcomes[0].result is Result.DEFERRED
        return out

    assert asyncio.run(go())._kept.waiting == {}


def test_idle_connections_take_their_leave() -> None:
    async def go() -> Peer:
        async with Peer().serve() as peer:
            out = outbound(settings={"idle_s": 0.02})
            await out.send(Hop(host="127.0.0.1", port=peer.port), outgoing())
            async with asyncio.timeout(5):
                while "QUIT" not in peer.lines:
                    await asyncio.sleep(0.01)
            assert out._kept.waiting == {}
        return peer

    assert asyncio.run(go()).lines[-1] == "QUIT"


@pytest.mark.usefixtures("both_loops")
def test_lmtp_over_a_unix_socket(tmp_path: Path) -> None:
    async def go() -> None:
        path = str(tmp_path / "lmtp.sock")
        async with Peer(lmtp=True).serve(path) as peer:
            out = outbound()
            sent = await out.send(Hop(protocol=Protocol.LMTP, path=path, tls=TlsUse.NONE), outgoing())
            await out.close()
        assert sent.outcomes[0].result is Result.DELIVERED
        assert sent.host == path
        assert peer.lines[0] == "LHLO mx.example.net"

    asyncio.run(go())


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return authority, path


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.usefixtures("both_loops")
@pytest.mark.parametrize(
    ("use", "trusted", "name", "delivered", "verified"),
    [
        (TlsUse.OPPORTUNISTIC, True, "127.0.0.1", True, True),
        (TlsUse.OPPORTUNISTIC, True, "elsewhere.example", True, False),
        (TlsUse.OPPORTUNISTIC, False, "127.0.0.1", True, False),
        (TlsUse.REQUIRED, True, "127.0.0.1", True, True),
        (TlsUse.REQUIRED, True, "elsewhere.example", False, False),
        (TlsUse.REQUIRED, False, "127.0.0.1", False, False),
        (TlsUse.NONE, True, "127.0.0.1", True, False),
    ],
)
def test_tls(
    authority: tuple[trustme.CA, Path],
    use: TlsUse,
    name: str,
    *,
    trusted: bool,
    delivered: bool,
    verified: bool,
) -> None:
    async def go() -> tuple[Sent, Peer]:
        async with Peer(tls=server_context(authority[0], name)).serve() as peer:
            out = outbound(settings={"trust_anchors": str(authority[1])} if trusted else {})
            hop = Hop(host="127.0.0.1", port=peer.port, tls=use)
            sent = await out.send(hop, outgoing())
            await out.send(hop, outgoing())
            await out.close()
        return sent, peer

    sent, peer = asyncio.run(go())
    assert (sent.outcomes[0].result is Result.DELIVERED) is delivered
    assert sent.tls_verified is verified
    assert sent.tls_policy == use.value
    assert sent.tls_version == ("TLSv1.3" if delivered and use is not TlsUse.NONE else None)
    assert len(peer.messages) == (2 if delivered else 0)
    if not delivered:
        assert sent.outcomes[0].status == "4.7.5"
        assert "the TLS handshake with 127.0.0.1 failed: " in sent.outcomes[0].words
        assert "certificate" in sent.outcomes[0].words


def test_a_common_name_is_no_proof(tmp_path: Path) -> None:
    """RFC 8461 §4.2: the host's name stands among the certificate's alternative names, or the certificate is not its own."""
    known = Authorities(tmp_path)
    shown = Identity(make("relay.example.net", known.trusted, san=False)).context()

    async def go(use: TlsUse) -> Sent:
        async with Peer(tls=shown).serve() as peer:
            out = outbound("relay.example.net. A 127.0.0.1", settings={"trust_anchors": str(known.file)})
            sent = await out.send(Hop(host="relay.example.net", port=peer.port, tls=use), outgoing())
            await out.close()
        return sent

    assert asyncio.run(go(TlsUse.REQUIRED)).outcomes[0].result is Result.DEFERRED
    sent = asyncio.run(go(TlsUse.OPPORTUNISTIC))
    assert (sent.outcomes[0].result, sent.tls_verified) == (Result.DELIVERED, False)


@pytest.mark.usefixtures("both_loops")
def test_a_broken_handshake_falls_back_to_plain_text_only_when_opportunistic() -> None:
    async def go(use: TlsUse) -> Sent:
        peer = Peer(keywords=("STARTTLS", "PIPELINING"))  # says 220 to it and then goes on in plain text
        async with peer.serve():
            out = outbound(patience=Patience(tls_s=0.3))
            sent = await out.send(Hop(host="127.0.0.1", port=peer.port, tls=use), outgoing())
            await out.close()
        return sent

    assert asyncio.run(go(TlsUse.OPPORTUNISTIC)).outcomes[0].result is Result.DELIVERED
    refused = asyncio.run(go(TlsUse.REQUIRED))
    assert refused.outcomes[0].result is Result.DEFERRED
    assert refused.tls_version is None


# Mail hosts


def mx(zone: str, **options: Any) -> tuple[list[str], str]:
    """The hosts of example.org in order, and the words of a failure."""
    found = asyncio.run(outbound(zone, **options).hosts.find("example.org"))
    return (list(found.hosts), "") if isinstance(found, Found) else ([], f"{found.status} {found.words}")


def test_mail_hosts_come_by_preference_and_equals_in_chosen_order() -> None:
    zone = "example.org. MX 20 c.example.\nexample.org. MX 10 a.example.\nexample.org. MX 10 b.example.\n"
    assert mx(zone, shuffle=lambda hosts: hosts.sort())[0] == ["a.example", "b.example", "c.example"]
    assert mx(zone, shuffle=lambda hosts: hosts.sort(reverse=True))[0] == [
        "b.example",
        "a.example",
        "c.example",
    ]


@pytest.mark.parametrize(
    ("zone", "hosts", "words"),
    [
        ("example.org. A 192.0.2.1\n", ["example.org"], ""),
        ("example.org. MX 0 .\n", [], "5.1.10 "),
        ("", [], "5.1.2 The domain example.org does not exist."),
        ("$FAIL example.org.\n", [], "4.4.3 "),
        ("example.org. MX 10 mx.example.net.\n", [], "5.4.6 "),
        (
            "example.org. MX 5 a.example.\nexample.org. MX 10 mx.example.net.\nexample.org. MX 20 b.example.\n",
            ["a.example"],
            "",
        ),
    ],
)
def test_special_mail_hosts(zone: str, hosts: list[str], words: str) -> None:
    found, said = mx(zone)
    assert found == hosts
    assert said.startswith(words)
    assert bool(said) is bool(words)


def test_the_second_host_takes_what_the_first_cannot() -> None:
    async def go() -> tuple[Sent, Peer]:
        async with Peer().serve() as peer:
            zone = (
                "example.org. MX 1 broken.example.\nexample.org. MX 5 gone.example.\nexample.org. MX 10 up.example.\n"
                "broken.example. A 127.0.0.9\nup.example. A 127.0.0.1\n"
            )
            out = outbound(zone, smtp_port=peer.port)
            sent = await out.send_to_domain("example.org", outgoing("b@example.org"))
            await out.close()
            return sent, peer

    sent, peer = asyncio.run(go())
    assert sent.host == "up.example"
    assert sent.outcomes[0].result is Result.DELIVERED
    assert len(peer.messages) == 1


def test_mail_for_an_address_of_ours_is_a_loop() -> None:
    async def go() -> Sent:
        zone = "example.org. MX 1 mail.example.\nmail.example. A 127.0.0.1\n"
        out = outbound(zone, own_addresses=frozenset({"127.0.0.1"}))
        return await out.send_to_domain("example.org", outgoing("b@example.org"))

    outcome = asyncio.run(go()).outcomes[0]
    assert (outcome.result, outcome.status) == (Result.FAILED, "5.4.6")

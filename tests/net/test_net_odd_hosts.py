"""Domains whose mail hosts are odd or hostile: one that says "not now", one in our own network, one with a crowd of addresses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from gatepost.delivery.results import reason_of
from gatepost.dns.zone import Zone
from gatepost.net.mailhosts import Found
from gatepost.net.outbound import Outbound, OutboundSettings, Sent
from gatepost.smtp.client import Patience
from gatepost.smtp.sending import Outgoing, OutgoingRecipient, Result
from gatepost.tlspolicy.tlsrpt import Session
from scripted_peer import Peer

MAIL = b"From: a@example.org\r\nSubject: odd\r\n\r\nx\r\n"
FIRST, SECOND, THIRD = "127.0.7.1", "127.0.7.2", "127.0.7.3"
THREE = "\n".join(
    f"example.org. MX {at} mx{at}.example.org.\nmx{at}.example.org. A {address}"
    for at, address in enumerate((FIRST, SECOND, THIRD), 1)
)


def outgoing(*to: str) -> Outgoing:
    recipients = tuple(OutgoingRecipient(address=one) for one in to or ("b@example.org",))
    return Outgoing(sender="a@example.org", recipients=recipients, octets=MAIL)


@dataclass
class Came:
    sent: Sent
    sessions: list[int]
    """With the first host, the second, the third."""
    messages: list[int]


def sent_to_three(stage: str, answer: str, *bad: str, to: tuple[str, ...] = ()) -> Came:
    """Three hosts, of which those at `bad` answer so."""

    async def go() -> Came:
        def script(address: str) -> Any:
            return lambda verb, line: answer if address in bad and verb == stage else None

        async with Peer(address=FIRST, answer=script(FIRST)).serve() as first:
            peers = [first, *(Peer(address=at, port=first.port, answer=script(at)) for at in (SECOND, THIRD))]
            async with peers[1].serve(), peers[2].serve():
                patience = Patience(final_s=0.3, mail_s=0.3)
                out = Outbound("mx.example.net", Zone.parse(THREE), smtp_port=first.port, patience=patience)
                sent = await out.send_to_domain("example.org", outgoing(*to))
                await out.close()
        return Came(sent, [one.connections for one in peers], [len(one.messages) for one in peers])

    return asyncio.run(go())


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "message"])
@pytest.mark.parametrize("answer", ["451 4.3.0 not now", "421 4.3.2 closing"])
def test_a_host_that_says_not_now_leaves_it_to_the_next(stage: str, answer: str) -> None:
    came = sent_to_three(stage, answer, FIRST, to=("b@example.org", "c@example.org"))
    assert [one.result for one in came.sent.outcomes] == [Result.DELIVERED] * 2
    assert came.sent.host == "mx2.example.org"
    assert came.sessions == [1, 1, 0]


@pytest.mark.parametrize("how", ["die", "silent"])
def test_a_host_that_falls_silent_before_it_has_the_message_does_so_too(how: str) -> None:
    came = sent_to_three("MAIL", how, FIRST)
    assert came.sent.outcomes[0].result is Result.DELIVERED
    assert came.messages == [0, 1, 0]


@pytest.mark.parametrize("how", ["die", "silent"])
def test_a_host_that_may_have_the_message_is_not_doubled_by_another(how: str) -> None:
    came = sent_to_three("message", how, FIRST)
    assert came.sent.outcomes[0].result is Result.DEFERRED
    assert came.sessions == [1, 0, 0]


def test_after_two_that_say_not_now_the_message_waits() -> None:
    came = sent_to_three("RCPT", "450 4.7.1 greylisted", FIRST, SECOND, THIRD)
    assert (came.sent.outcomes[0].result, came.sent.outcomes[0].status) == (Result.DEFERRED, "4.7.1")
    assert came.sent.host == "mx1.example.org"
    assert not came.sent.unreachable
    assert came.sessions == [1, 1, 0]


def test_the_story_tells_what_each_host_that_was_asked_said() -> None:
    put_off = sent_to_three("RCPT", "450 4.7.1 greylisted", FIRST, SECOND).sent
    assert reason_of(put_off.outcomes[0], put_off).endswith(
        "mx2.example.org was asked, too: 450 4.7.1 greylisted."
    )
    taken = sent_to_three("MAIL", "451 4.3.0 not now", FIRST).sent
    assert taken.outcomes[0].result is Result.DELIVERED
    assert reason_of(taken.outcomes[0], taken).endswith("mx1.example.org was asked, too: 451 4.3.0 not now.")
    at_once = sent_to_three("MAIL", "451 4.3.0 not now").sent
    assert "was asked, too" not in reason_of(at_once.outcomes[0], at_once)


def test_a_refusal_is_a_refusal_of_all() -> None:
    came = sent_to_three("RCPT", "550 5.1.1 nobody", FIRST)
    assert came.sent.outcomes[0].result is Result.FAILED
    assert came.sessions == [1, 0, 0]


def test_one_recipient_of_two_that_has_to_wait_waits() -> None:
    """What the first host took is done; the rest comes again by itself."""

    async def go() -> tuple[Sent, list[int]]:
        def script(verb: str, line: str) -> str | None:
            return "450 4.2.1 busy" if verb == "RCPT" and "c@" in line else None

        async with Peer(address=FIRST, answer=script).serve() as first:
            second = Peer(address=SECOND, port=first.port)
            async with second.serve():
                out = Outbound("mx.example.net", Zone.parse(THREE), smtp_port=first.port)
                sent = await out.send_to_domain("example.org", outgoing("b@example.org", "c@example.org"))
                await out.close()
        return sent, [first.connections, second.connections]

    sent, sessions = asyncio.run(go())
    assert [one.result for one in sent.outcomes] == [Result.DELIVERED, Result.DEFERRED]
    assert sessions == [1, 0]


def test_the_best_of_very_many_hosts_are_kept_in_whatever_order_they_come() -> None:
    zone = "".join(f"example.org. MX {at} mx{at}.example.org.\n" for at in range(200, 0, -1))
    found = asyncio.run(Outbound("mx.example.net", Zone.parse(zone)).hosts.find("example.org"))
    assert isinstance(found, Found)
    assert found.hosts == tuple(f"mx{at}.example.org" for at in range(1, 51))


def test_null_mx_beside_others_is_passed_over() -> None:
    zone = "example.org. MX 0 .\nexample.org. MX 10 mx.example.org.\n"
    found = asyncio.run(Outbound("mx.example.net", Zone.parse(zone)).hosts.find("example.org"))
    assert isinstance(found, Found)
    assert found.hosts == ("mx.example.org",)


# Where mail hosts may be.


def asked(zone: str, domain: str = "example.org", **settings: Any) -> Sent:
    """Of a gate that has nobody to talk to on its port."""

    async def go() -> Sent:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        out = Outbound(
            "mx.example.net", Zone.parse(zone), OutboundSettings(**settings), smtp_port=port, public_only=True
        )
        try:
            return await out.send_to_domain(domain, outgoing(f"b@{domain}"))
        finally:
            await out.close()

    return asyncio.run(go())


INNER = [
    "0.0.0.0", "127.0.0.1", "127.255.1.2", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
    "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
]  # fmt: skip


@pytest.mark.parametrize("address", INNER)
def test_the_dns_sends_mail_to_no_inner_address(address: str) -> None:
    kind = "AAAA" if ":" in address else "A"
    sent = asked(f"example.org. MX 10 mx.example.org.\nmx.example.org. {kind} {address}\n")
    assert (sent.outcomes[0].result, sent.outcomes[0].status) == (Result.FAILED, "5.4.4")
    assert "no address of the public network" in sent.outcomes[0].words
    assert "private_addresses" in sent.outcomes[0].words


@pytest.mark.parametrize(
    ("zone", "domain"),
    [
        ("example.org. MX 10 localhost.\n", "example.org"),
        ("example.org. MX 10 127.0.0.1.\n", "example.org"),
        ("example.org. A 127.0.0.1\n", "example.org"),
        ("", "[127.0.0.1]"),
        ("", "[IPv6:::1]"),
    ],
)
def test_nor_by_another_way_of_naming_one(zone: str, domain: str) -> None:
    sent = asked(zone, domain)
    assert (sent.outcomes[0].result, sent.outcomes[0].status) == (Result.FAILED, "5.4.4")


def test_an_inner_address_among_public_ones_is_left_out() -> None:
    out = Outbound(
        "mx.example.net", Zone.parse("mx.example.org. A 10.0.0.1\nmx.example.org. A 9.9.9.9\n"), public_only=True
    )  # fmt: skip
    place = asyncio.run(out.where("mx.example.org"))
    assert place.addresses == ("9.9.9.9",)
    assert place.trouble is None


def test_a_way_that_the_operator_names_may_be_inside() -> None:
    sent = asked("relay.lan. A 127.0.0.1\n", smarthost="relay.lan")
    assert sent.address == "127.0.0.1"


def test_both_families_have_their_turn() -> None:
    many = "\n".join(f"mx.example.org. AAAA 2001:db8::{at}" for at in range(1, 9))
    zone = f"{many}\nmx.example.org. A 192.0.2.1\nmx.example.org. A 192.0.2.2\n"
    place = asyncio.run(Outbound("mx.example.net", Zone.parse(zone)).where("mx.example.org"))
    assert place.addresses[:5] == ("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3")
    assert len(place.addresses) == 10


# What is reported of a connection that serves several domains.


def test_each_domain_hears_of_a_connection_that_it_shares() -> None:
    """A hoster's mail host serves thousands of domains: each asks for reports of its own (RFC 8460 §4)."""
    shared = "".join(f"{name}.example. MX 10 mx.hoster.example.\n" for name in ("a", "b"))
    counted: list[Session] = []

    async def go() -> int:
        async with Peer().serve() as peer:
            out = Outbound(
                "mx.example.net", Zone.parse(f"{shared}mx.hoster.example. A 127.0.0.1\n"), smtp_port=peer.port,
                tally=counted.append,
            )  # fmt: skip
            for name in ("a", "b", "a", "b"):
                await out.send_to_domain(f"{name}.example", outgoing(f"x@{name}.example"))
            await out.close()
            return peer.connections

    assert asyncio.run(go()) == 1
    assert [one.policy.domain for one in counted] == ["a.example", "b.example"]
    assert {one.address for one in counted} == {"127.0.0.1"}

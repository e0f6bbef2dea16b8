"""The server for zone files, asked by another DNS library."""

from __future__ import annotations

import asyncio

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from gatepost.dns.zone import Zone
from gatepost.net.zoneserver import ZoneServer

ZONE = Zone.parse(
    """
example SOA ns.example host.example 1 2 3 4 60
www.example A 192.0.2.1
alias.example CNAME www.example
big.example TXT "%s"
$SECURE signed.example
a.signed.example A 192.0.2.2
$BOGUS bogus.example
a.bogus.example A 192.0.2.3
$FAIL fail.example
"""
    % ("x" * 2000)
)


def ask(
    name: str, kind: str = "A", *, tcp: bool = False, flags: int = 0, payload: int = 1232
) -> dns.message.Message:
    async def run() -> dns.message.Message:
        async with ZoneServer(ZONE) as server:
            query = dns.message.make_query(name, kind, use_edns=0, payload=payload)
            query.flags |= flags
            how = dns.query.tcp if tcp else dns.query.udp
            return await asyncio.to_thread(how, query, "127.0.0.1", timeout=5, port=server.port)

    return asyncio.run(run())


def test_answers_and_aliases() -> None:
    answer = ask("Alias.example")
    assert [rrset.to_text() for rrset in answer.answer] == [
        "Alias.example. 3600 IN CNAME www.example.",
        "www.example. 3600 IN A 192.0.2.1",
    ]
    assert answer.flags & dns.flags.RA


@pytest.mark.parametrize(
    ("name", "rcode"),
    [
        ("www.example", dns.rcode.NOERROR),
        ("nowhere.example", dns.rcode.NXDOMAIN),
        ("fail.example", dns.rcode.SERVFAIL),
        ("a.bogus.example", dns.rcode.SERVFAIL),
    ],
)
def test_return_codes(name: str, rcode: int) -> None:
    assert ask(name).rcode() == rcode


def test_nothing_comes_with_the_soa_that_says_how_long() -> None:
    (soa,) = ask("www.example", "MX").authority
    assert soa.to_text() == "example. 3600 IN SOA ns.example. host.example. 1 2 3 4 60"


def test_it_plays_a_validator() -> None:
    assert ask("a.signed.example").flags & dns.flags.AD
    assert not ask("www.example").flags & dns.flags.AD
    unchecked = ask("a.bogus.example", flags=dns.flags.CD)
    assert (unchecked.rcode(), unchecked.flags & dns.flags.AD, len(unchecked.answer)) == (0, 0, 1)


def test_what_does_not_fit_is_cut_and_whole_over_tcp() -> None:
    cut = ask("big.example", "TXT")
    assert cut.flags & dns.flags.TC
    assert not cut.answer
    assert ask("big.example", "TXT", tcp=True).answer[0][0].to_text().count("x") == 2000
    assert ask("big.example", "TXT", payload=4096).answer


def test_garbage_is_not_answered_and_hurts_nobody() -> None:
    server = ZoneServer(ZONE)
    for wire in (b"", b"\0", b"\0" * 12, b"\xff" * 40, b"\0\0\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"):
        assert server.respond(wire) is None


def test_a_changed_zone_is_served_as_it_is() -> None:
    zone = Zone.parse("a.example A 192.0.2.1")
    server = ZoneServer(zone)
    query = dns.message.make_query("b.example", "A").to_wire()
    before = dns.message.from_wire(server.respond(query) or b"")
    zone.add("b.example", "A", "192.0.2.2")
    after = dns.message.from_wire(server.respond(query) or b"")
    assert (before.rcode(), after.rcode(), len(after.answer)) == (dns.rcode.NXDOMAIN, dns.rcode.NOERROR, 1)

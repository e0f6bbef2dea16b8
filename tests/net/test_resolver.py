"""The caching resolver against real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from drive import drive
from gatepost.dns.answer import Answer, Security, Status
from gatepost.dns.zone import Zone
from gatepost.net import dnswire
from gatepost.net.resolver import CachingResolver, DnsSettings, parse_server, read_resolv_conf, validates
from gatepost.net.zoneserver import ZoneServer

ZONE = """
$ORIGIN example.
@        3600 SOA ns.example. host.example. 1 2 3 4 120
www      300 A 192.0.2.1
         300 A 192.0.2.2
         60 AAAA 2001:db8::1
mx       MX 10 a.example.
null     MX 0 .
alias    30 CNAME www
big      TXT "{big}"
         MX 10 {many}.example.
loop     CNAME loop
tlsa     TLSA 3 1 1 abcd
$FAIL fail
$TIMEOUT slow
$SECURE signed
$BOGUS bogus.signed
a.signed A 192.0.2.7
x.bogus.signed A 192.0.2.8
out.signed CNAME www
""".replace("{big}", "x" * 3000).replace("{many}", "m" * 60)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def asking(
    zone: str = ZONE, *, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[tuple[CachingResolver, ZoneServer]]:
    async with ZoneServer(Zone.parse(zone)) as server:
        settings.setdefault("servers", (server.address,))
        resolver = CachingResolver(DnsSettings(trust_ad=True, **settings), clock=clock or Clock())
        try:
            yield resolver, server
        finally:
            await resolver.close()


def ask(*questions: tuple[str, str], **settings: Any) -> list[Answer]:
    async def run() -> list[Answer]:
        async with asking(**settings) as (resolver, _):
            return [await resolver.lookup(*question) for question in questions]

    return asyncio.run(run())


def test_the_zone_itself_and_the_zone_over_a_socket_say_the_same() -> None:
    questions = [
        (name, kind)
        for name in (
            "www.example",
            "mx.example",
            "null.example",
            "alias.example",
            "tlsa.example",
            "big.example",
        )
        for kind in ("A", "AAAA", "MX", "TXT", "CNAME", "TLSA", "SOA")
    ]
    questions += [
        ("nowhere.example", "A"),
        ("a.signed.example", "A"),
        ("out.signed.example", "A"),
        ("example", "SOA"),
    ]
    questions += [
        ("loop.example", "A"),
        ("x.bogus.signed.example", "A"),
        ("fail.example", "MX"),
        ("b.signed.example", "A"),
    ]
    zone = Zone.parse(ZONE)
    for question, answer in zip(questions, ask(*questions), strict=True):
        expected = drive(zone.lookup(*question))
        if question[0] == "loop.example":
            assert answer.status is Status.FAILED
        else:
            assert (question, answer) == (question, expected)


def test_a_bogus_name_is_told_from_a_broken_server() -> None:
    bogus, broken = ask(("x.bogus.signed.example", "A"), ("fail.example", "A"))
    assert (bogus.status, bogus.problem, bogus.security) == (Status.FAILED, "bogus", Security.BOGUS)
    assert (broken.status, broken.problem, broken.security) == (
        Status.FAILED,
        "servfail",
        Security.INDETERMINATE,
    )


def test_ad_counts_only_when_we_were_told_to_trust_it() -> None:
    async def run() -> Answer:
        async with ZoneServer(Zone.parse(ZONE)) as server:
            resolver = CachingResolver(DnsSettings(servers=(server.address,)))
            try:
                return await resolver.lookup("a.signed.example", "A")
            finally:
                await resolver.close()

    answer = asyncio.run(run())
    assert (answer.records, answer.security) == (("192.0.2.7",), Security.INDETERMINATE)


def test_ad_of_a_server_elsewhere_never_counts() -> None:
    resolver = CachingResolver(DnsSettings(servers=("192.0.2.53", "127.0.0.9", "::1"), trust_ad=True))
    assert [server.trusted for server in resolver.servers] == [False, True, True]


def test_an_answer_too_big_for_a_datagram_comes_over_tcp() -> None:
    async def run() -> None:
        async with asking() as (resolver, server):
            answer = await resolver.lookup("big.example", "TXT")
            assert answer.records == ("x" * 3000,)
            assert server.over_tcp == 1

    asyncio.run(run())


def test_many_who_ask_at_once_cost_one_question() -> None:
    async def run() -> None:
        async with asking() as (resolver, server):
            answers = await asyncio.gather(*(resolver.lookup("WWW.Example.", "A") for _ in range(200)))
            assert {answer.records for answer in answers} == {("192.0.2.1", "192.0.2.2")}
            assert list(server.asked) == [("www.example", "A")]

    asyncio.run(run())


def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    async def run() -> None:
        async with asking() as (resolver, server):
            first = asyncio.create_task(resolver.lookup("www.example", "A"))
            second = asyncio.create_task(resolver.lookup("www.example", "A"))
            await asyncio.sleep(0)
            first.cancel()
            assert (await second).status is Status.FOUND
            assert first.cancelled()
            assert len(server.asked) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "kind", "remembered_s"),
    [
        ("www.example", "A", 300),
        ("alias.example", "A", 30),
        ("nowhere.example", "A", 120),
        ("www.example", "MX", 120),
        ("fail.example", "A", 5),
    ],
)
def test_an_answer_is_remembered_as_long_as_it_says(name: str, kind: str, remembered_s: float) -> None:
    async def run() -> None:
        clock = Clock()
        async with asking(clock=clock) as (resolver, server):
            first = await resolver.lookup(name, kind)
            asked = len(server.asked)
            clock.now += remembered_s - 0.5
            assert drive(resolver.lookup(name, kind)) == first, "remembered: nothing to wait for"
            assert len(server.asked) == asked
            clock.now += 1
            assert await resolver.lookup(name, kind) == first
            assert len(server.asked) == 2 * asked

    asyncio.run(run())


def test_ttls_are_held_within_bounds() -> None:
    async def run() -> None:
        clock = Clock()
        zone = "short.example 0 A 192.0.2.1\nlong.example 100000 A 192.0.2.1"
        async with asking(zone, clock=clock, min_ttl_s=5.0, max_ttl_s=600.0) as (resolver, server):
            for name, bound in (("short.example", 5), ("long.example", 600)):
                await resolver.lookup(name, "A")
                clock.now += bound - 1
                drive(resolver.lookup(name, "A"))
                clock.now += 2
                await resolver.lookup(name, "A")
            assert len(server.asked) == 4

    asyncio.run(run())


def test_the_cache_is_bounded_and_keeps_what_is_asked_for() -> None:
    async def run() -> None:
        async with asking("*.example A 192.0.2.1", cache_entries=20) as (resolver, server):
            await resolver.lookup("dear.example", "A")
            for number in range(100):
                await resolver.lookup(f"n{number}.example", "A")
                drive(resolver.lookup("dear.example", "A"))
                assert len(resolver._cache) <= 20
            assert len(server.asked) == 101

    asyncio.run(run())


def test_silence_is_a_timeout_and_is_soon_over() -> None:
    (answer,) = ask(("slow.example", "A"), patience_s=0.2, try_s=0.05)
    assert (answer.status, answer.problem) == (Status.FAILED, "timeout")


def test_a_dead_server_is_passed_over() -> None:
    async def run() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            mute.bind(("127.0.0.1", 0))
            dead = f"127.0.0.1:{mute.getsockname()[1]}"
            async with ZoneServer(Zone.parse("*.example A 192.0.2.1")) as server:
                clock = Clock()
                settings = DnsSettings(servers=(dead, server.address), try_s=0.02)
                resolver = CachingResolver(settings, clock=clock)
                for number in range(5):
                    assert (await resolver.lookup(f"n{number}.example", "A")).status is Status.FOUND
                asked_the_dead = 0
                mute.setblocking(False)
                try:
                    while mute.recv(2000):
                        asked_the_dead += 1
                except BlockingIOError:
                    pass
                assert asked_the_dead == 3, "after three it rests"
                await resolver.close()

    asyncio.run(run())


def test_a_closed_port_is_a_failure_not_an_exception() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (answer,) = ask(("www.example", "A"), servers=(f"127.0.0.1:{port}",), try_s=0.01)
    assert (answer.status, answer.problem) == (Status.FAILED, "unreachable")


def test_what_cannot_be_asked_is_not_asked() -> None:
    names = ["a..b", "x" * 64, "www.example..", "..", "\N{KELVIN SIGN}.example"]
    *bad_names, bad_type = ask(*((name, "A") for name in names), ("a.b", "WHAT"))
    assert [answer.problem for answer in bad_names] == ["bad name"] * 5
    assert bad_type.problem == "bad type"


def test_closing_answers_those_who_wait() -> None:
    async def run() -> None:
        async with asking() as (resolver, _):
            waiting = asyncio.create_task(resolver.lookup("slow.example", "A"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await resolver.close()
            assert (await waiting).problem == "closed"
            assert (await resolver.lookup("www.example", "A")).problem == "overloaded"

    asyncio.run(run())


def test_more_than_we_can_carry_fails_at_once() -> None:
    async def run() -> None:
        async with asking(max_waiting=3, patience_s=0.1, try_s=0.1) as (resolver, _):
            names = [f"slow.example{'.' * (n == 0)}" for n in range(1)] + [f"n{n}.example" for n in range(5)]
            answers = await asyncio.gather(*(resolver.lookup(name, "A") for name in names))
            assert [answer.problem for answer in answers[3:]] == ["overloaded"] * 3

    asyncio.run(run())


# -- a server that misbehaves ------------------------------------------------------------------------------

Behaviour = Callable[[bytes], list[bytes]]


async def against(
    behaviour: Behaviour, use: Callable[[CachingResolver], Awaitable[None]], *, spoof: bytes | None = None
) -> None:
    """Let the resolver talk to a server that answers each query with the datagrams `behaviour` makes."""
    loop = asyncio.get_running_loop()

    class Misbehaving(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            if spoof is not None:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
                    elsewhere.sendto(data[:2] + spoof, addr)
            for wire in behaviour(data):
                self.transport.sendto(wire, addr)

    transport, _ = await loop.create_datagram_endpoint(Misbehaving, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    resolver = CachingResolver(
        DnsSettings(servers=(f"127.0.0.1:{port}",), trust_ad=True, try_s=0.05, patience_s=0.5)
    )
    try:
        await use(resolver)
    finally:
        await resolver.close()
        transport.close()


ASKED = dnswire.question("www.example", "A")
assert ASKED is not None


def reply(
    query: bytes, *records: bytes, flags: int = 0x8180, question: bytes = ASKED, count: int | None = None
) -> bytes:
    number = len(records) if count is None else count
    return query[:2] + struct.pack("!HHHHH", flags, 1, number, 0, 0) + question + b"".join(records)


def a(last: int, owner: bytes = b"\xc0\x0c") -> bytes:
    return owner + struct.pack("!HHIH", 1, 1, 300, 4) + bytes((192, 0, 2, last))


def expect(records: tuple[str, ...] = (), problem: str = "") -> Callable[[CachingResolver], Awaitable[None]]:
    async def use(resolver: CachingResolver) -> None:
        answer = await resolver.lookup("www.example", "A")
        assert (answer.records, answer.problem) == (records, problem)

    return use


def other_id(query: bytes) -> bytes:
    return bytes((query[0] ^ 1, query[1]))


@pytest.mark.parametrize(
    "forged",
    [
        lambda query: other_id(query) + reply(query, a(66))[2:],
        lambda query: reply(query, a(66), question=dnswire.question("evil.example", "A") or b""),
        lambda query: reply(query, a(66), question=dnswire.question("www.example", "MX") or b""),
        lambda query: query,
        lambda query: query[:2],
        lambda query: b"",
        lambda query: reply(query)[:14],
    ],
    ids=["wrong id", "other name", "other type", "echo", "two octets", "empty", "cut"],
)
def test_what_does_not_answer_the_question_is_not_listened_to(forged: Callable[[bytes], bytes]) -> None:
    asyncio.run(against(lambda query: [forged(query), reply(query, a(1))], expect(("192.0.2.1",))))


def test_an_answer_from_another_address_is_not_listened_to() -> None:
    forged = reply(b"\0\0", a(66))[2:]
    asyncio.run(against(lambda query: [reply(query, a(1))], expect(("192.0.2.1",)), spoof=forged))


def test_records_of_other_names_are_not_taken() -> None:
    evil = a(66, owner=b"\4evil\7example\0")
    asyncio.run(against(lambda query: [reply(query, evil, a(1))], expect(("192.0.2.1",))))
    asyncio.run(against(lambda query: [reply(query, evil)], expect(())))


@pytest.mark.parametrize(
    "records",
    [
        [b"\xc0\x0c\0"],
        [a(1)[:-1]],
        [b"\xc0\x20" + a(1)[2:]],
        [b"\xc0\x1d" + a(1)[2:]],
        [b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 5) + b"12345"],
        [b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 300, 2) + b"\xc0\x29"],
    ],
    ids=["cut head", "cut data", "forward pointer", "own pointer", "long address", "pointer to itself"],
)
def test_garbage_is_a_failure(records: list[bytes]) -> None:
    asyncio.run(against(lambda query: [reply(query, *records)], expect((), "garbage")))


def test_a_server_without_edns_is_asked_without() -> None:
    def behaviour(query: bytes) -> list[bytes]:
        return [reply(query, flags=0x8181)] if query[11] else [reply(query, a(1))]

    asyncio.run(against(behaviour, expect(("192.0.2.1",))))


def test_one_complaint_does_not_turn_edns_off() -> None:
    """A server may find fault with the question and not with EDNS."""
    with_edns: list[bool] = []

    def behaviour(query: bytes) -> list[bytes]:
        with_edns.append(bool(query[11]))
        return [reply(query, flags=0x8181)]

    async def use(resolver: CachingResolver) -> None:
        assert (await resolver.lookup("www.example", "A")).problem == "formerr"
        await resolver.lookup("other.example", "A")

    asyncio.run(against(behaviour, use))
    assert with_edns[:3] == [True, False, True]


def test_it_counts_what_it_asked_and_what_failed() -> None:
    async def run() -> None:
        async with asking() as (resolver, _):
            for name in ("www.example", "www.example", "fail.example"):
                await resolver.lookup(name, "A")
            assert (resolver.asked, resolver.failed) == (2, 1)

    asyncio.run(run())


@pytest.mark.parametrize(("code", "problem"), [(6, "bogus"), (7, "bogus"), (12, "bogus"), (22, "servfail")])
def test_an_extended_error_says_why(code: int, problem: str) -> None:
    option = struct.pack("!HHH", 15, 2, code)
    opt = struct.pack("!BHHIH", 0, 41, 1232, 0, len(option)) + option
    asked: list[bytes] = []

    def behaviour(query: bytes) -> list[bytes]:
        asked.append(query)
        return [query[:2] + struct.pack("!HHHHH", 0x8182, 1, 0, 0, 1) + ASKED + opt]

    asyncio.run(against(behaviour, expect((), problem)))
    assert len(asked) == (1 if problem == "bogus" else 2), (
        "only when it is not said we ask without validation"
    )


@pytest.mark.parametrize(("first", "second", "weakest"), [(0, 1, 2), (1, 0, 2), (1, 1, 3)])
def test_an_alias_left_open_is_followed_and_the_weakest_link_counts(
    first: int, second: int, weakest: int
) -> None:
    target = dnswire.question("there.example", "A")
    assert target is not None

    def behaviour(query: bytes) -> list[bytes]:
        if query[12 : 12 + len(target)] == target:
            return [reply(query, a(9), question=target, flags=0x8180 | second << 5)]
        data = b"\5there\xc0\x10"
        alias = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 20, len(data)) + data
        return [reply(query, alias, flags=0x8180 | first << 5)]

    async def use(resolver: CachingResolver) -> None:
        answer = await resolver.lookup("www.example", "A")
        assert answer == Answer(Status.FOUND, ("192.0.2.9",), Security(weakest), 20)

    asyncio.run(against(behaviour, use))


def test_a_failure_is_not_looked_into_where_nobody_is_trusted() -> None:
    async def run() -> None:
        async with ZoneServer(Zone.parse("$BOGUS example")) as server:
            resolver = CachingResolver(DnsSettings(servers=(server.address,)))
            assert (await resolver.lookup("a.example", "A")).problem == "servfail"
            assert len(server.asked) == 1
            await resolver.close()

    asyncio.run(run())


def test_queries_cannot_be_guessed() -> None:
    seen: list[tuple[int, int]] = []

    async def run() -> None:
        async with ZoneServer(Zone.parse("*.example A 192.0.2.1")) as server:
            respond = server.respond

            def watch(wire: bytes, *, over_tcp: bool = False) -> bytes | None:
                seen.append((int.from_bytes(wire[:2], "big"), int.from_bytes(wire[2:4], "big")))
                return respond(wire, over_tcp=over_tcp)

            server.respond = watch  # type: ignore[method-assign]
            resolver = CachingResolver(DnsSettings(servers=(server.address,)))
            for number in range(100):
                await resolver.lookup(f"n{number}.example", "A")
            await resolver.close()

    asyncio.run(run())
    identifiers = [identifier for identifier, _ in seen]
    assert len(set(identifiers)) > 90
    assert {flags for _, flags in seen} == {0x0120}, "recursion desired, AD understood, checking not disabled"


# -- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
        ("[2001:db8::53]", ("2001:db8::53", 53)),
    ],
)
def test_servers_are_read(text: str, server: tuple[str, int]) -> None:
    assert parse_server(text) == server


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dns.example",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:99999",
        "127.0.0.1:0000000053",
        "[::1",
        "[::1]53",
        "1.2.3:53",
    ],
)
def test_a_wrong_server_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no DNS server: give an address"):
        CachingResolver(DnsSettings(servers=(text,)))


def test_the_system_s_servers() -> None:
    text = "# x\nsearch a b\nnameserver 192.0.2.1 # c\nnameserver nonsense\nnameserver ::1\noptions edns0 trust-ad\n"
    assert read_resolv_conf(text) == (["192.0.2.1", "::1"], True)


def test_a_look_at_the_servers_says_whether_they_validate() -> None:
    zone = "$SECURE .\n$BOGUS dnssec-failed.org\n. SOA a. b. 1 2 3 4 5\ndnssec-failed.org SOA a. b. 1 2 3 4 5"

    async def look(text: str, trust_ad: bool) -> list[str]:
        async with ZoneServer(Zone.parse(text)) as server:
            resolver = CachingResolver(
                DnsSettings(servers=(server.address,), trust_ad=trust_ad, patience_s=0.3)
            )
            results = await validates(resolver)
            await resolver.close()
            return [result.text.replace(server.address, "X") for result in results]

    unsigned = zone.replace("$SECURE .\n$BOGUS dnssec-failed.org\n", "")
    assert asyncio.run(look(zone, True)) == ["The resolver X validates DNSSEC, and its word is taken."]
    assert "its word is not taken" in asyncio.run(look(zone, False))[0]
    assert "passes on answers whose" in asyncio.run(look(unsigned, True))[0]
    assert asyncio.run(look("$TIMEOUT .", True)) == ["The resolver X does not answer."]


def test_it_runs_on_uvloop_too() -> None:
    async def run() -> None:
        async with asking() as (resolver, server):
            answers = await asyncio.gather(
                *(resolver.lookup(name, "TXT") for name in ["big.example", "www.example"] * 9)
            )
            assert {answer.status for answer in answers} == {Status.FOUND, Status.NODATA}
            assert server.over_tcp == 1

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_a_server_that_cannot_speak_tcp_is_a_failure() -> None:
    asyncio.run(against(lambda query: [reply(query, flags=0x8380)], expect((), "garbage")))

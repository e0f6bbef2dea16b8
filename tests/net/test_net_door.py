"""The door: early talkers, PROXY and XCLIENT fronts, limits that one client feels and others do not."""

from __future__ import annotations

import asyncio
import errno

import pytest
import uvloop
from gate import gate

from gatepost.net.acceptor import CannotListen, bind, remedy
from gatepost.net.limits import ConnectionLimits, Listener
from gatepost.smtp.dialect import Dialect

FRONT = Listener(address="127.0.0.1:0", proxy_protocol_from=("127.0.0.1",))
BEHIND = Listener(address="127.0.0.1:0", xclient_from=("127.0.0.1",))
HEADER = b"PROXY TCP4 198.51.100.7 192.0.2.25 40321 25\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([198, 51, 100, 8, 192, 0, 2, 25]) + b"\x9d\x81\x00\x19"
NOW = ConnectionLimits(greeting_delay_s=0.0)


def test_early_talker_is_turned_away_and_recorded():
    async def story():
        async with gate(limits=ConnectionLimits(greeting_delay_local_s=0.05)) as g:
            peer = await g.connect(b"EHLO spam\r\n")
            said = await peer.reply()
            assert said.startswith("554 5.5.1 ")
            assert said.rstrip().endswith("[ref TOLD]")
            assert g.handler.refs == ["TOLD"], "what the client is told is what history has"
            assert await peer.ended()
            client, _, reply, what = g.handler.refusals[0]
            assert (str(client.ip), reply.code, what) == ("127.0.0.1", 554, "early-talker")

    uvloop.run(story())


def test_polite_client_waits_once():
    async def story():
        limits = ConnectionLimits(greeting_delay_s=0.05)
        async with gate(FRONT, limits=limits) as g:
            early = await g.connect(HEADER + b"EHLO x\r\n")
            assert (await early.reply()).startswith("554 5.5.1 ")
            peer = await g.connect(HEADER)
            assert (await peer.reply()).startswith("220 ")
            again = await g.connect(HEADER + b"EHLO x\r\n")
            assert (await again.reply()).startswith("220 "), "known: greeted at once, talking is not noticed"

    uvloop.run(story())


def test_client_that_leaves_while_it_waits_is_forgotten():
    async def story():
        async with gate(limits=ConnectionLimits(greeting_delay_local_s=0.05)) as g:
            peer = await g.connect()
            peer.close()
            while not g.acceptor.census.total:
                await asyncio.sleep(0)
            while g.acceptor.census.total:
                await asyncio.sleep(0.01)
            assert g.handler.refusals == []

    uvloop.run(story())


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(
    ("header", "ip", "port"), [(HEADER, "198.51.100.7", 40321), (V2, "198.51.100.8", 40321)]
)
def test_proxy_header_names_the_client(header, ip, port, in_pieces):
    async def story():
        async with gate(FRONT, limits=NOW) as g:
            peer = await g.connect()
            for piece in [bytes([octet]) for octet in header] if in_pieces else [header + b"EHLO c\r\n"]:
                peer.writer.write(piece)
                await asyncio.sleep(0)
            assert (await peer.reply()).startswith("220 ")
            if in_pieces:
                peer.writer.write(b"EHLO c\r\n")
            assert (await peer.reply()).startswith("250")
            await peer.send_mail()
            client = g.handler.mails[0][0]
            assert (str(client.ip), client.port) == (ip, port)
            assert g.acceptor.census.open_for(g.acceptor.census.place(ip)) == 1
            assert g.acceptor.census.open_for(g.acceptor.census.place("127.0.0.1")) == 0

    uvloop.run(story())


def test_front_without_its_header_is_turned_away():
    async def story():
        async with gate(FRONT, limits=ConnectionLimits(proxy_header_s=0.05)) as g:
            wrong = await g.connect(b"EHLO x\r\n")
            assert (await wrong.reply()).startswith("421 4.7.0 ")
            assert await wrong.ended()
            silent = await g.connect()
            assert (await silent.reply()).startswith("421 4.7.0 ")
            assert g.handler.reasons == ["no-proxy-header"] * 2

    uvloop.run(story())


def test_proxy_header_from_others_is_just_a_bad_command():
    async def story():
        async with gate(FRONT) as g:
            peer = await g.connect(source="127.0.0.2")
            assert (await peer.reply()).startswith("220 ")
            assert (await peer.say(HEADER)).startswith("5")
            assert g.handler.refusals[0][0].ip.compressed == "127.0.0.2"

    uvloop.run(story())


def test_limit_behind_a_front_is_the_named_clients():
    async def story():
        limits = ConnectionLimits(per_client=1, greeting_delay_s=0.0)
        async with gate(FRONT, limits=limits) as g:
            first = await g.connect(HEADER)
            assert (await first.reply()).startswith("220 ")
            second = await g.connect(HEADER)
            assert (await second.reply()).startswith("421 4.7.0 ")
            other = await g.connect(V2)
            assert (await other.reply()).startswith("220 ")

    uvloop.run(story())


def test_xclient_from_a_front_names_the_client():
    async def story():
        async with gate(BEHIND) as g:
            peer = await g.connect()
            await peer.reply()
            assert "XCLIENT" in await peer.say("EHLO front")
            assert (
                await peer.say(
                    "XCLIENT ADDR=IPV6:2001:db8::9 PORT=1234 NAME=[UNAVAILABLE] HELO=real.example.org"
                )
            ).startswith("220 ")
            assert (await peer.say("EHLO real.example.org")).startswith("250")
            await peer.send_mail()
            client = g.handler.mails[0][0]
            assert (str(client.ip), client.port, client.hello) == ("2001:db8::9", 1234, "real.example.org")
            assert g.acceptor.census.open_for(g.acceptor.census.place("2001:db8::1")) == 1

    uvloop.run(story())


def test_xclient_login_and_unknown_address():
    async def story():
        async with gate(BEHIND) as g:
            peer = await g.hello()
            assert (await peer.say("XCLIENT ADDR=[UNAVAILABLE] LOGIN=ana PROTO=SMTP")).startswith("220 ")
            await peer.say("HELO x")
            await peer.send_mail()
            client = g.handler.mails[0][0]
            assert (client.ip, client.user, client.extended) == (None, "ana", False)

    uvloop.run(story())


def test_xclient_is_not_for_everyone():
    async def story():
        async with gate(BEHIND) as g:
            peer = await g.connect(source="127.0.0.2")
            await peer.reply()
            assert "XCLIENT" not in await peer.say("EHLO x")
            assert (await peer.say("XCLIENT ADDR=198.51.100.7")).startswith("5")
            await peer.send_mail()
            assert str(g.handler.mails[0][0].ip) == "127.0.0.2"

    uvloop.run(story())


@pytest.mark.parametrize("bad", ["ADDR=x", "PORT=70000", "PROTO=HTTP", "ADDR=198.51.100.7,1"])
def test_bad_xclient_changes_nothing(bad):
    async def story():
        async with gate(BEHIND) as g:
            peer = await g.hello()
            assert (await peer.say(f"XCLIENT {bad}")).startswith("501 ")
            await peer.send_mail()
            assert str(g.handler.mails[0][0].ip) == "127.0.0.1"

    uvloop.run(story())


def test_xclient_to_a_client_with_too_many_connections():
    async def story():
        async with gate(BEHIND, limits=ConnectionLimits(per_client=1)) as g:
            first, second = await g.hello(), await g.hello()
            assert (await first.say("XCLIENT ADDR=198.51.100.7")).startswith("220 ")
            assert (await second.say("XCLIENT ADDR=198.51.100.7")).startswith("421 4.7.0 ")
            assert await second.ended()

    uvloop.run(story())


def test_one_client_over_its_limits_others_unaffected():
    async def story():
        limits = ConnectionLimits(per_client=3, unlimited_clients=())
        async with gate(limits=limits) as g:
            greedy = [await g.connect() for _ in range(6)]
            replies = [await peer.reply() for peer in greedy]
            assert [reply[:3] for reply in replies] == ["220"] * 3 + ["421"] * 3
            other = await g.connect(source="127.0.0.2")
            assert (await other.reply()).startswith("220 ")
            assert g.handler.reasons == ["too-many-from-client"] * 3
            greedy[0].close()
            while g.acceptor.census.total > 3:
                await asyncio.sleep(0.01)
            again = await g.connect()
            assert (await again.reply()).startswith("220 ")

    uvloop.run(story())


def test_too_fast_is_turned_away_and_not_every_time_recorded():
    async def story():
        limits = ConnectionLimits(per_client_a_minute=5, unlimited_clients=())
        async with gate(limits=limits) as g:
            for _ in range(5):
                await g.hello()
            told = 0
            for _ in range(100):
                peer = await g.connect()
                said = await peer.reply()
                assert said.startswith("421 4.7.0 ")
                told += "[ref" in said
                peer.close()
            assert told == len(g.handler.refusals), "no reference that finds nothing"
            assert g.acceptor.turned_away == {"too-fast": 100}
            assert 20 <= len(g.handler.refusals) <= 60, "a flood must not become a flood of history"

    uvloop.run(story())


def test_all_addresses_of_both_families():
    listening = bind([Listener(address="*:0"), Listener(address="[::1]:0", role=Dialect.LMTP)], backlog=5)
    try:
        addresses = [each.address for each in listening]
        assert addresses[0].startswith("0.0.0.0:")
        assert addresses[1] == addresses[0].replace("0.0.0.0", "[::]")
        assert addresses[2].startswith("[::1]:")
        assert [each.index for each in listening] == [0, 0, 1]
    finally:
        for each in listening:
            each.sock.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:x", "nowhere.invalid:25", "127.0.0.1:99999"])
def test_address_that_cannot_be_listened_on_is_named(address):
    with pytest.raises(CannotListen, match=address):
        bind([Listener(address="127.0.0.1:0"), Listener(address=address)], backlog=5)


def test_a_front_that_may_relay_itself_lends_that_to_nobody_it_names():
    front = Listener(
        address="127.0.0.1:0",
        role=Dialect.SUBMISSION,
        xclient_from=("127.0.0.1",),
        relay_for=("127.0.0.1", "10.0.0.0/8"),
    )

    async def story():
        async with gate(front) as g:
            peer = await g.hello()
            await peer.send_mail()
            assert (await peer.say("XCLIENT ADDR=10.0.0.9")).startswith("220 ")
            await peer.say("EHLO printer")
            await peer.send_mail()
            assert (await peer.say("XCLIENT ADDR=203.0.113.9")).startswith("220 ")
            await peer.say("EHLO stranger")
            assert (await peer.say("MAIL FROM:<a@example.org>")).startswith("530 ")
            assert (await peer.say("XCLIENT LOGIN=ana")).startswith("220 ")
            await peer.say("EHLO ana")
            await peer.send_mail()
            who = [(str(client.ip), client.user, client.excused) for client, *_ in g.handler.mails]
            assert who == [
                ("127.0.0.1", None, True),
                ("10.0.0.9", None, True),
                ("203.0.113.9", "ana", False),
            ]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EACCES, "take root or systemd"), (errno.EADDRINUSE, "ss -ltnp"), (errno.EADDRNOTAVAIL, "")],
)
def test_an_address_that_cannot_be_had_comes_with_what_to_do(number: int, said: str) -> None:
    told = remedy(OSError(number, ""))
    assert said in told
    assert bool(told) is bool(said)

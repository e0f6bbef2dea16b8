"""Sessions over real sockets: mail arrives as sent, bugs become 451, slowness and floods end."""

from __future__ import annotations

import asyncio
import smtplib
import socket

import pytest
import uvloop
from gate import MAIL, Recorder, gate

from gatepost.net.limits import ConnectionLimits, Listener, SessionLimits
from gatepost.smtp.dialect import Dialect
from gatepost.smtp.limits import SmtpLimits


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request):
    return uvloop.run if request.param == "uvloop" else asyncio.run


def test_mail_arrives_as_sent(run):
    async def story():
        async with gate() as g:
            peer = await g.hello()
            assert await peer.send_mail(MAIL, "ana@example.net", "nobody@example.net", "ben@example.net") == (
                "250 2.0.0 Stored for ana"
            )
            assert (await peer.say("QUIT")).startswith("221 ")
            assert await peer.ended()
            return g.handler

    handler = run(story())
    client, envelope, octets, screened = handler.mails[0]
    assert octets == MAIL
    assert [recipient.address.local for recipient in envelope.recipients] == ["ana", "ben"]
    assert len(screened) == 2
    assert (str(client.ip), client.hello, client.extended, client.role) == (
        "127.0.0.1",
        "client.example.org",
        True,
        "mx",
    )


def test_pipelined_in_one_segment_and_half_closed(run):
    """RFC 2920; and a client that sends everything and shuts its sending side still gets every answer."""

    async def story():
        async with gate() as g:
            peer = await g.connect()
            await peer.reply()
            envelope = (
                b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<ana@example.net>\r\nRCPT TO:<no@example.net>\r\nDATA\r\n"
            )
            peer.writer.write(envelope)
            codes = [(await peer.reply())[:3] for _ in range(5)]
            peer.writer.write(MAIL.replace(b"\r\n.", b"\r\n..") + b".\r\nQUIT\r\n")
            peer.writer.write_eof()
            codes += [(await peer.reply())[:3] for _ in range(2)]
            assert await peer.ended()
            return codes

    assert run(story()) == ["250", "250", "250", "550", "354", "250", "221"]


def test_bug_in_the_handler_is_451_and_the_connection_lives(run, caplog):
    async def story():
        async with gate() as g:
            peer = await g.hello()
            assert (await peer.say("MAIL FROM:<>")).startswith("250")
            assert (await peer.say("RCPT TO:<bug@example.net>")).startswith("451 4.3.0 ")
            assert (await peer.say("RCPT TO:<ana@example.net>")).startswith("250")
            g.handler.before_receive = lambda: 1 / 0
            assert (await peer.say("DATA")).startswith("354")
            answer = await peer.say(b"Subject: x\r\n\r\n.\r\n")
            assert answer.startswith("451 4.3.0 ")
            assert "division" not in answer
            g.handler.before_receive = lambda: None
            assert (await peer.send_mail()).startswith("250")
            assert g.handler.reasons == ["internal-error", "internal-error"]

    run(story())
    assert "division by zero" in caplog.text


def test_cancelled_question_below_is_451(run):
    async def story():
        async with gate() as g:
            peer = await g.hello()

            def cancelled():
                raise asyncio.CancelledError

            g.handler.before_receive = cancelled
            assert (await peer.send_mail()).startswith("451 4.3.0 ")
            assert (await peer.say("NOOP")).startswith("250")

    run(story())


def test_lmtp_answers_each_recipient(run):
    async def story():
        async with gate(Listener(address="127.0.0.1:0", role=Dialect.LMTP)) as g:
            peer = await g.connect()
            await peer.reply()
            await peer.say("LHLO c")
            first = await peer.send_mail(MAIL, "ana@example.net", "ben@example.net")
            assert [first, await peer.reply()] == ["250 2.0.0 Stored for ana", "250 2.0.0 Stored for ben"]
            g.handler.before_receive = lambda: 1 / 0
            first = await peer.send_mail(MAIL, "ana@example.net", "ben@example.net")
            assert [first[:3], (await peer.reply())[:3]] == ["451", "451"]

    run(story())


def test_violations_are_recorded_with_who_and_what(run):
    async def story():
        async with gate() as g:
            peer = await g.hello()
            await peer.say("MAIL FROM:<a@example.org>")
            await peer.say("RCPT TO:<ana@example.net>")
            await peer.say("DATA")
            assert (await peer.say(b"Subject: x\n\r\nbody\r\n.\r\n")).startswith("5")
            assert g.handler.mails == []
            client, envelope, reply, what = g.handler.refusals[0]
            assert (str(client.ip), what, reply.code >= 500) == ("127.0.0.1", "bare-lf", True)
            assert envelope is not None
            assert envelope.recipients[0].address.local == "ana"

    run(story())


def test_http_is_shown_the_door(run):
    async def story():
        async with gate() as g:
            peer = await g.connect()
            await peer.reply()
            assert (await peer.say("GET / HTTP/1.1")).startswith("554 ")
            assert await peer.ended()
            assert g.handler.reasons == ["http"]

    run(story())


def test_slow_loris_in_commands_and_in_data_is_cut_off(run):
    """Octets alone do not buy time: a whole line or block does."""

    async def story(before: bytes):
        limits = SmtpLimits(command_s=0.15, data_s=0.15)
        async with gate(smtp_limits=limits) as g:
            peer = await g.connect(before)
            ended = asyncio.ensure_future(peer.reader.read())
            while not ended.done():
                peer.writer.write(b"x")
                await asyncio.wait([ended], timeout=0.02)
            assert b"421 4.4.2 " in await ended
            assert g.handler.reasons == ["too-slow"]
            assert g.reception.service.in_flight_octets == 0

    run(asyncio.wait_for(story(b""), 8))
    run(asyncio.wait_for(story(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<ana@example.net>\r\nDATA\r\n"), 8))


def test_patience_begins_anew_with_each_command(run):
    async def story():
        async with gate(smtp_limits=SmtpLimits(command_s=0.4)) as g:
            peer = await g.hello()
            for _ in range(12):
                await asyncio.sleep(0.05)
                assert (await peer.say("NOOP")).startswith("250")
            assert g.handler.reasons == []

    run(story())


def test_connection_lasts_so_long_and_no_longer(run):
    async def story():
        async with gate(session_limits=SessionLimits(session_s=0.15)) as g:
            peer = await g.hello()
            assert (await peer.reply()).startswith("421 4.4.2 ")
            assert await peer.ended()

    run(story())


def test_client_that_does_not_read_is_not_read_from_and_ends(run):
    """Answers pile up for a client that never reads them: we stop reading, wait, and cut it off."""

    async def story():
        limits = SmtpLimits(command_s=0.15, commands_without_mail=10**9)
        async with gate(smtp_limits=limits) as g:
            loop = asyncio.get_running_loop()
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", g.ports[0]))

            async def flood() -> None:
                for _ in range(1000):
                    await loop.sock_sendall(sock, b"HELP\r\n" * 10_000)

            with pytest.raises(ConnectionError):
                await asyncio.wait_for(flood(), 8)
            sock.close()

    run(story())


def test_client_far_ahead_is_held_back_and_then_served(run):
    """Input is buffered only to a limit while a question is open (RFC 2920 lets clients run ahead)."""

    async def story():
        async with gate(smtp_limits=SmtpLimits(commands_without_mail=10**9)) as g:
            go_on = asyncio.Event()
            g.handler.before_receive = go_on.wait
            peer = await g.hello()
            await peer.say("MAIL FROM:<>")
            await peer.say("RCPT TO:<ana@example.net>")
            await peer.say("DATA")
            peer.writer.write(b"Subject: x\r\n\r\n.\r\n" + b"NOOP\r\n" * 40_000)
            reading = asyncio.ensure_future(peer.reader.readexactly(len(b"250 2.0.0 OK\r\n") * 1000))
            session = next(iter(g.reception._sessions))
            while session._transport.is_reading():
                await asyncio.sleep(0.01)
            assert not reading.done()
            go_on.set()
            await asyncio.wait_for(reading, 10)
            peer.writer.transport.abort()

    run(story())


def test_too_many_octets_in_flight_defer_new_mail(run):
    async def story():
        async with gate(session_limits=SessionLimits(in_flight_octets=1000, stop_grace_s=0.1)) as g:
            big, other = await g.hello(), await g.hello()
            await big.say("MAIL FROM:<>")
            await big.say("RCPT TO:<ana@example.net>")
            await big.say("DATA")
            big.writer.write(b"x" * 998 + b"\r\n" + b"y" * 100)
            while g.reception.service.in_flight_octets < 1000:
                await asyncio.sleep(0)
            assert (await other.say("MAIL FROM:<>")).startswith("452 4.3.1 ")
            assert (await big.say(b"\r\n.\r\n")).startswith("250")
            assert (await other.say("MAIL FROM:<>")).startswith("250")

    run(story())


def test_stop_says_421_to_the_idle_and_lets_data_finish(run):
    async def story():
        async with gate(session_limits=SessionLimits(stop_grace_s=5)) as g:
            idle, busy = await g.hello(), await g.hello()
            await busy.say("MAIL FROM:<>")
            await busy.say("RCPT TO:<ana@example.net>")
            await busy.say("DATA")
            stopping = asyncio.ensure_future(g.reception.stop())
            assert (await idle.reply()).startswith("421 4.3.2 ")
            assert await idle.ended()
            idle.close()
            assert (await busy.say(b"Subject: x\r\n\r\n.\r\n")).startswith("250")
            assert (await busy.reply()).startswith("421 4.3.2 ")
            busy.close()
            await asyncio.wait_for(stopping, 4)
            assert len(g.handler.mails) == 1

    run(story())


def test_message_in_hand_is_finished_when_its_client_vanishes(run):
    async def story():
        async with gate() as g:
            begun, go_on = asyncio.Event(), asyncio.Event()

            async def wait():
                begun.set()
                await go_on.wait()

            g.handler.before_receive = wait
            peer = await g.hello()
            await peer.say("MAIL FROM:<>")
            await peer.say("RCPT TO:<ana@example.net>")
            await peer.say("DATA")
            peer.writer.write(b"Subject: x\r\n\r\n.\r\n")
            await begun.wait()
            peer.writer.transport.abort()
            await asyncio.sleep(0.05)
            assert g.acceptor.census.total == 1, "it still costs us something, so it still counts"
            go_on.set()
            while g.acceptor.census.total:
                await asyncio.sleep(0)
            assert len(g.handler.mails) == 1

    run(story())


def test_python_smtplib_delivers(run):
    def send(port: int) -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            return client.sendmail("a@example.org", ["ana@example.net", "no@example.net"], MAIL)

    async def story():
        async with gate() as g:
            refused = await asyncio.to_thread(send, g.ports[0])
            assert refused["no@example.net"][0] == 550
            return g.handler

    handler: Recorder = run(story())
    assert handler.mails[0][2] == MAIL


def test_small_segments_are_not_delayed(run):
    """TCP_NODELAY: an answer never waits for the acknowledgement of the one before."""

    async def story():
        async with gate(limits=ConnectionLimits()) as g:
            await g.hello()
            session = next(iter(g.reception._sessions))
            sock = session._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(story())


def test_a_connection_that_cannot_be_taken_is_given_back(monkeypatch, caplog):
    async def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("out of luck")

    async def story():
        async with gate() as g:
            with monkeypatch.context() as broken:
                broken.setattr(asyncio.BaseEventLoop, "connect_accepted_socket", refuse)
                peer = await g.connect()
                assert await peer.ended()
            assert (g.reception.sessions, g.acceptor.census.total) == (0, 0)
            await g.hello()

    asyncio.run(story())
    assert "127.0.0.1 could not be taken" in caplog.text

"""One connection: drives an `SmtpServer` over a transport and asks the handler (RFC 5321 §3, §4.5.3.2).

The machine knows the protocol; this knows the socket, the clock and TLS. Whatever needs no waiting is answered
in the same turn of the loop; each question to the handler is one task. Whatever a handler raises ends here, as
``451 4.3.0`` to the client and a traceback in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

from gatepost.begin import Done, begin
from gatepost.mail.client import Attempt, Client, Envelope, SignedIn, TlsFacts
from gatepost.net.service import Authenticator, Service
from gatepost.net.xclient import client_named
from gatepost.smtp import events
from gatepost.smtp.dialect import Offers
from gatepost.smtp.handler import Screened
from gatepost.smtp.reply import (
    AUTHENTICATED,
    START_DATA,
    TLS_INJECTION,
    TLS_READY,
    Reply,
    internal_error,
    shutting_down,
    timed_out,
)
from gatepost.smtp.server import SmtpServer

log = logging.getLogger(__name__)

_SENDER_OK = Reply(250, "2.1.0", "Sender OK")
_NO_TLS = Reply(454, "4.7.0", "TLS is not available just now")
_NO_SIGN_IN = Reply(502, "5.5.1", "Signing in is not offered here")
_FULL = Reply(452, "4.3.1", "Too many messages at once, try again later")
_TOO_MANY = Reply(421, "4.7.0", "Too many connections from your address", close=True)
_CLOSING_S = 2.0
"""How long a closing connection has to take our last octets and to stop sending."""
_DISCARD_OCTETS = 1_048_576
"""What it may still send meanwhile."""


class Session(asyncio.Protocol):
    """Give it to a transport.

    `ended` is called once, when the connection and its last question are over. `renamed` is asked when a front
    names another client (XCLIENT): what is offered to that one, or None when it has too many connections.
    """

    def __init__(
        self,
        service: Service,
        machine: SmtpServer,
        client: Client,
        *,
        ended: Callable[[Session], None],
        renamed: Callable[[Client], Coroutine[Any, Any, Offers | None]],
    ) -> None:
        self.client = client
        self._service = service
        self._machine = machine
        self._ended: Callable[[Session], None] | None = ended
        self._renamed = renamed
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._question: asyncio.Task[Any] | None = None
        self._handshaking = False
        self._after_handshake: list[bytes] = []
        self._stalled = self._paused = self._eof = self._closing = self._stopping = self._lost = False
        self._mail: events.MailFrom | None = None
        self._envelope: Envelope | None = None
        self._screened: list[Screened] = []
        self._in_body = self._receiving = self._keys_wanted = False
        self._quit_politely = False
        self._body_octets = self._discarded = 0
        self._opened = self._since = 0.0
        self._progress = -1

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._opened = self._since = self._loop.time()
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._secured(tls)
        self._machine.greet(self._service.greeting)
        self._pump()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            self._discarded += len(data)
            if self._discarded > _DISCARD_OCTETS:
                self.abort()
            return
        if self._handshaking:  # decrypted, but the handshake has not been told to us yet
            self._after_handshake.append(data)
            return
        if self._in_body:
            self._body_octets += len(data)
            self._service.in_flight_octets += len(data)
        self._machine.receive(data)
        if self._question is None and not self._stalled:
            self._pump()
        elif not self._machine.wants_input:
            self._pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        if self._closing:
            return False
        if self._question is None:
            self._machine.eof()
            return False
        # A client may send everything, QUIT included, and half-close; TLS cannot be half-closed.
        return self.client.tls is None and not self._handshaking

    def pause_writing(self) -> None:
        self._stalled = True
        self._since = self._loop.time()
        self._pause_reading()

    def resume_writing(self) -> None:
        self._stalled = False
        if self._question is None and not self._closing:
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._lost = self._closing = True
        self._forget_body()
        if self._question is None:
            self._leave()
        elif not self._receiving:
            self._loop.call_soon(self._question.cancel)  # not before its first step, which owns the coroutine
        # A message already being judged and stored is left to finish: stopping it halfway would prove nothing.

    def stop(self) -> None:
        """Say goodbye as soon as no message is in hand."""
        self._stopping = True
        if self._transport is None or self._question is not None or self._in_body or self._handshaking:
            return
        if self._closing:
            self._transport.close()
        else:
            self._say_last(shutting_down(self._service.hostname), "stopping")

    def abort(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()
        if self._question is not None:
            self._loop.call_soon(self._question.cancel)

    def check(self, now: float) -> None:
        """To be called now and then (`now` is the loop's time): ends what takes too long (RFC 5321 §4.5.3.2).

        One look at each session a second costs less than a timer that every command moves.
        """
        if self._transport is None:
            return
        if self._closing or self._stalled:
            if now >= self._since + (_CLOSING_S if self._closing else self._machine.patience_s):
                self.abort()
            return
        progress = self._machine.progress
        if progress != self._progress or self._question is not None:
            self._progress, self._since = progress, now
        too_slow = now >= self._since + self._machine.patience_s
        too_long = now >= self._opened + self._service.limits.session_s and not self._in_body
        if (too_slow or too_long) and self._question is None:
            self._say_last(timed_out(self._service.hostname), "too-slow")

    # The machine's side

    def _pump(self) -> None:
        """Take events until one must wait; then send what there is. Not to be called while stalled or asking."""
        machine = self._machine
        while True:
            event = machine.next_event()
            if event is events.NEED_DATA:
                break
            step = self._STEPS.get(type(event))
            if step is None:
                break
            step(self, event)
            if self._question is not None:
                return
            if self._stalled:
                break
        transport = self._transport
        if transport is None or self._closing:
            return
        octets = machine.outgoing()
        if octets:
            transport.write(octets)
        if self._eof or (event is not events.NEED_DATA and machine.closed):
            self._close()
        elif self._stopping and not self._in_body:
            self._say_last(shutting_down(self._service.hostname), "stopping")

    def _hello(self, event: events.Hello) -> None:
        self._forget_mail()
        self.client = self.client.saying(event.name, extended=event.extended)
        self._machine.reply(self._service.hello)

    def _start_tls(self, _: events.StartTls) -> None:
        tls = self._service.tls
        if tls is None or self._transport is None:
            self._machine.reply(_NO_TLS)
            return
        self._machine.reply(TLS_READY)
        if self._machine.closed:  # plain text behind STARTTLS: the machine has said 554
            self._machine.refer(self._record(TLS_INJECTION, "starttls-injection"))
            return
        # Nothing more is read as plain text: the next octets are for the handshake.
        self._transport.pause_reading()
        self._transport.write(self._machine.outgoing())
        self._handshaking = True
        limit_s = self._service.smtp_limits.handshake_s
        self._question = self._loop.create_task(
            self._loop.start_tls(
                self._transport,
                self,
                tls.context_for(self.client.role),
                server_side=True,
                ssl_handshake_timeout=limit_s,
            )
        )
        self._question.add_done_callback(self._shaken)

    def _shaken(self, handshake: asyncio.Task[asyncio.Transport | None]) -> None:
        self._question = None
        failure = asyncio.CancelledError() if handshake.cancelled() else handshake.exception()
        transport = handshake.result() if failure is None else None
        if failure is not None and not isinstance(
            failure, (OSError, asyncio.CancelledError)
        ):  # SSLError is an OSError
            log.error("a TLS handshake with %s failed", self.client.ip, exc_info=failure)
        if transport is None or self._lost:
            self._turned_down(
                Reply(421, "4.7.0", f"TLS handshake failed: {failure or 'gone'}"), "tls-handshake"
            )
            self.abort()
            self.connection_lost(None)
            return
        self._transport = transport
        self._handshaking = False
        self._machine.tls_started()
        self._forget_mail()
        self.client = replace(self.client, hello="", user=None, sends_as=(), device="")
        self._secured(transport.get_extra_info("ssl_object"))
        early, self._after_handshake = self._after_handshake, []
        for data in early:
            self.data_received(data)
        if self._stopping:
            self.stop()
        elif not self._closing:
            self._pump()

    def _secured(self, tls: ssl.SSLObject) -> None:
        if self._service.tls is not None:
            facts = self._service.tls.facts(tls)
        else:
            facts = TlsFacts(version=tls.version() or "", cipher=(tls.cipher() or ("",))[0])
        self.client = replace(self.client, tls=facts)
        if facts.peer_fingerprint is None:
            self._machine.withdraw("EXTERNAL")

    def _sign_in(self, event: events.AuthRequest) -> None:
        authenticator = self._service.authenticator
        if authenticator is None:
            self._machine.reply(_NO_SIGN_IN)
            return

        self._ask(self._verify(authenticator, event))

    async def _verify(self, authenticator: Authenticator, event: events.AuthRequest) -> None:
        answer = await authenticator.sign_in(self.client, event.mechanism, event.credentials)
        if isinstance(answer, SignedIn):
            self.client = replace(
                self.client, user=answer.user, sends_as=answer.sends_as, device=answer.device
            )
            answer = AUTHENTICATED
        self._machine.reply(answer)

    def _keys_wanted_by(self, event: events.KeysWanted) -> None:
        authenticator = self._service.authenticator
        assert authenticator is not None  # without one no mechanism is offered
        self._keys_wanted = True

        self._ask(self._look_up_keys(authenticator, event))

    async def _look_up_keys(self, authenticator: Authenticator, event: events.KeysWanted) -> None:
        keys = await authenticator.keys(self.client, event.mechanism, event.user)
        self._machine.keys(keys)
        self._keys_wanted = False

    def _mail_from(self, event: events.MailFrom) -> None:
        service = self._service
        self._forget_mail()
        if self._stopping:
            self._refuse(shutting_down(service.hostname), "stopping")
        elif service.in_flight_octets > service.limits.in_flight_octets:
            self._refuse(_FULL, "too-many-octets")
        else:
            self._mail = event
            self._machine.reply(_SENDER_OK)

    def _rcpt_to(self, event: events.RcptTo) -> None:
        mail = self._mail
        assert mail is not None
        attempt = Attempt(client=self.client, sender=mail.sender, recipient=event.recipient, size=mail.size)

        self._ask_quickly(self._screen(attempt))

    async def _screen(self, attempt: Attempt) -> None:
        screened = await self._service.handler.screen(attempt)
        if screened.reply.code < 400:
            self._screened.append(screened)
        self._machine.reply(screened.reply)

    def _body_start(self, event: events.BodyStart) -> None:
        self._in_body = True
        self._envelope = self._machine.envelope
        if not event.chunked:
            self._machine.reply(START_DATA)

    def _body_end(self, event: events.BodyEnd) -> None:
        self._in_body = False
        self._receiving = True
        assert self._envelope is not None
        self._ask(self._receive(self._envelope, event.octets, self._screened))

    async def _receive(self, envelope: Envelope, octets: bytes, screened: Sequence[Screened]) -> None:
        replies = await self._service.handler.receive(self.client, envelope, octets, screened)
        if self.client.role == "lmtp":
            self._machine.reply_each(replies)
        else:
            self._machine.reply(replies[0])

    def _xclient(self, event: events.XClient) -> None:
        named = client_named(self.client, event.attributes)
        if isinstance(named, str):
            self._machine.reply(Reply(501, "5.5.4", f"XCLIENT: {named}"))
            return

        self._ask(self._become(named))

    async def _become(self, named: Client) -> None:
        offers = await self._renamed(named)
        if offers is None:
            self._refuse(_TOO_MANY, "too-many-from-client")
            return
        # Whether it may send without signing in is asked of the address it is named, never of the front.
        self.client = replace(named, excused=offers.auth_excused and named.user is None)
        self._forget_mail()
        self._machine.reply(self._service.greeting)
        self._machine.start_over(offers)

    def _reset(self, _: events.Reset) -> None:
        self._forget_mail()

    def _quit(self, _: events.Quit) -> None:
        self._quit_politely = True
        self._forget_mail()

    def _violation(self, event: events.Violation) -> None:
        self._machine.refer(self._record(event.reply, event.what))
        if self._in_body:
            self._forget_mail()

    # Questions to the handler

    def _ask_quickly(self, question: Coroutine[Any, Any, None]) -> None:
        """Ask what is mostly answered from memory: then the answer is there at once, and no task was made."""
        try:
            begun = begin(question)
        except Exception:
            log.exception("a question about mail from %s failed", self.client.ip)
            self._in_trouble()
            return
        if not isinstance(begun, Done):
            self._ask(begun)

    def _ask(self, question: Coroutine[Any, Any, None]) -> None:
        self._question = self._loop.create_task(self._await(question))

    async def _await(self, question: Coroutine[Any, Any, None]) -> None:
        """The one place where a bug anywhere in a handler ends."""
        failure: BaseException | None = None
        try:
            await question
        except asyncio.CancelledError as cancelled:
            failure = cancelled
        except Exception as bug:
            log.exception("a question about mail from %s failed", self.client.ip)
            failure = bug
        self._question = None
        if self._receiving:
            self._receiving = False
            if failure is None:
                self._forget_mail()
        if self._lost:
            self._leave()
            return
        if failure is not None:
            self._in_trouble()
        if not self._stalled:
            self._go_on()

    def _go_on(self) -> None:
        self._resume_reading()
        self._pump()

    def _in_trouble(self) -> None:
        reply = self._turned_down(internal_error(), "internal-error")
        if self._keys_wanted:
            self._machine.end(reply)
        elif self._machine.awaiting:
            self._machine.reply(reply)  # LMTP: for every recipient
        if self._envelope is not None:
            self._forget_mail()

    # Ends

    def _say_last(self, reply: Reply, what: str) -> None:
        """A reply nobody asked for, then the end."""
        self._machine.end(self._turned_down(reply, what))
        assert self._transport is not None
        self._transport.write(self._machine.outgoing())
        self._close()

    def _close(self) -> None:
        """Close so that our last reply arrives: unread octets would make the kernel send a reset instead."""
        transport = self._transport
        assert transport is not None
        self._closing = True
        self._forget_body()
        if self._quit_politely or self._eof or not transport.can_write_eof():
            transport.close()
        else:
            transport.write_eof()
            self._resume_reading()
        self._since = self._loop.time()

    def _refuse(self, reply: Reply, what: str) -> None:
        self._machine.reply(self._turned_down(reply, what))

    def _turned_down(self, reply: Reply, what: str) -> Reply:
        """Have it recorded; the reply with its reference."""
        return reply.referring(self._record(reply, what))

    def _record(self, reply: Reply, what: str) -> str:
        return self._service.handler.refused(
            self.client, self._envelope or self._machine.envelope, reply, what
        )

    def _leave(self) -> None:
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended(self)

    def _pause_reading(self) -> None:
        self._paused = True
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):  # closing already
                self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            with contextlib.suppress(RuntimeError):  # closing already
                self._transport.resume_reading()

    def _forget_mail(self) -> None:
        self._mail = None
        self._envelope = None
        self._screened = []
        if self._in_body or self._body_octets:
            self._forget_body()

    def _forget_body(self) -> None:
        self._in_body = False
        self._service.in_flight_octets -= self._body_octets
        self._body_octets = 0

    _STEPS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        events.Hello: _hello,
        events.StartTls: _start_tls,
        events.AuthRequest: _sign_in,
        events.KeysWanted: _keys_wanted_by,
        events.MailFrom: _mail_from,
        events.RcptTo: _rcpt_to,
        events.BodyStart: _body_start,
        events.BodyEnd: _body_end,
        events.Reset: _reset,
        events.XClient: _xclient,
        events.Quit: _quit,
        events.Violation: _violation,
    }

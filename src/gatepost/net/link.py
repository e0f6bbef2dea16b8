"""One connection to another server: sockets, TLS and the alarm around `SmtpClient`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import cast

from gatepost.smtp.client import NEED_REPLY, ClientEvent, Finished, SmtpClient, TlsWanted
from gatepost.smtp.sending import Fault, Hop, Outgoing


class Broken(Exception):
    """The session ended before a message could be sent on it."""

    def __init__(self, fault: Fault, *, in_handshake: bool = False) -> None:
        super().__init__(fault.words)
        self.fault = fault
        self.in_handshake = in_handshake
        """The TLS handshake itself failed."""


class Link(asyncio.Protocol):
    """Made by `Link.connect`; one message at a time by `transact`."""

    def __init__(self, machine: SmtpClient, address: str) -> None:
        self.machine = machine
        self.address = address
        self.tls_version: str | None = None
        self.tls_verified = False
        self._transport: asyncio.Transport | None = None
        self._woken: asyncio.Future[None] | None = None
        self._paused = False
        self._lost = False

    @classmethod
    async def connect(cls, machine: SmtpClient, hop: Hop, address: str, *, timeout_s: float) -> Link:
        """Open the connection; raises Broken."""
        loop = asyncio.get_running_loop()
        link = cls(machine, address)
        try:
            async with asyncio.timeout(timeout_s):
                if hop.path:
                    await loop.create_unix_connection(lambda: link, hop.path)
                else:
                    await loop.create_connection(lambda: link, address, hop.port)
        except TimeoutError:
            words = f"{hop} did not answer within {timeout_s:g} seconds"
            raise Broken(Fault(words=words, stage="connect")) from None
        except OSError as error:
            words = f"{hop} cannot be reached: {error.strerror or error}"
            raise Broken(Fault(words=words, stage="connect")) from None
        return link

    async def until_ready(self, context: ssl.SSLContext | None, name: str, *, verify: bool) -> None:
        """Greeting, EHLO, STARTTLS, or what the last message left to be answered; raises Broken."""
        while not self.machine.idle:
            event = await self._next_event()
            if isinstance(event, TlsWanted) and context is not None:
                await self._start_tls(context, name, verify=verify)
            elif isinstance(event, Fault):
                self.abort()
                raise Broken(event)

    async def transact(self, message: Outgoing) -> Finished:
        """Send one message after `until_ready`; always returns, whatever happens to the connection."""
        self.machine.send(message)
        while True:
            event = await self._next_event()
            if isinstance(event, Finished):
                if self.machine.ended:
                    self.abort()
                return event

    @property
    def alive(self) -> bool:
        """Can another message be sent here?"""
        return not (
            self._lost or self.machine.ended or self._transport is None or self._transport.is_closing()
        )

    @property
    def died_unheard(self) -> bool:
        """The session ended before the last transaction's MAIL FROM was taken: as an idle one does that was kept too long."""
        return self.machine.fault is not None and self.machine.fault.stage in ("mail", "idle")

    def leave(self) -> None:
        """QUIT and close, without waiting for the reply."""
        if self._transport is None or self._transport.is_closing():
            return
        self.machine.quit()
        with contextlib.suppress(OSError, RuntimeError):
            self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close without a word."""
        if self._transport:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport by descent.
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self.machine.receive(data)
        self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        why = f": {exc}" if exc else ""
        self.machine.fail(f"the connection ended while waiting for {_WAITING[self.machine.stage]}{why}")
        self._wake()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake()

    # The loop

    async def _next_event(self) -> ClientEvent:
        loop = asyncio.get_running_loop()
        steps, alarm = -1, 0.0
        while True:
            wrote = self._flush()
            event = self.machine.next_event()
            if event is not NEED_REPLY:
                return event
            if wrote or steps != self.machine.steps:
                steps, alarm = self.machine.steps, loop.time() + (self.machine.patience_s or 60.0)
            self._woken = loop.create_future()
            timer = loop.call_at(alarm, self._ring)
            try:
                await self._woken
            finally:
                timer.cancel()
                self._woken = None

    def _ring(self) -> None:
        self.machine.fail(f"no answer in time while waiting for {_WAITING[self.machine.stage]}")
        self._wake()

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def _flush(self) -> bool:
        """Write what the machine has, as long as the other side takes it."""
        wrote = False
        while not self._paused and self._transport is not None and not self._transport.is_closing():
            octets = self.machine.outgoing()
            if not octets:
                break
            self._transport.write(octets)
            wrote = True
        return wrote

    async def _start_tls(self, context: ssl.SSLContext, name: str, *, verify: bool) -> None:
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        patience = self.machine.patience_s or 60.0
        try:
            transport = await loop.start_tls(
                self._transport, self, context, server_hostname=name, ssl_handshake_timeout=patience
            )
        except (OSError, ssl.SSLError, ValueError) as error:
            self.abort()
            reason = (
                getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error) or "closed"
            )
            fault = Fault(words=f"the TLS handshake with {name} failed: {reason}", stage="tls")
            raise Broken(fault, in_handshake=True) from None
        if transport is None:
            raise Broken(
                Fault(words="the connection ended in the TLS handshake", stage="tls"), in_handshake=True
            )
        self._transport = transport
        self.tls_version = transport.get_extra_info("ssl_object").version()
        self.tls_verified = verify
        self.machine.tls_started(verified=verify)


_WAITING = {
    "greeting": "the greeting",
    "hello": "the answer to EHLO",
    "helo": "the answer to HELO",
    "starttls": "the answer to STARTTLS",
    "handshake": "the TLS handshake",
    "mail": "the answer to MAIL FROM",
    "rcpt": "the answer to RCPT TO",
    "data": "the answer to DATA",
    "body": "the message to be taken",
    "final": "the answer to the message",
    "reset": "the answer to RSET",
    "idle": "the next message",
}

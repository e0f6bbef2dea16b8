"""One connection to another server: sockets, TLS and the alarm around `SmtpClient`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from gatepost.smtp.client import NEED_REPLY, ClientEvent, Finished, SmtpClient, TlsWanted
from gatepost.smtp.sending import Fault, Hop, Outgoing
from gatepost.tlspolicy.tlsrpt import Failure, Trouble


class Broken(Exception):
    """The session ended before a message could be sent on it."""

    def __init__(self, fault: Fault, *, in_handshake: bool = False, failure: Failure | None = None) -> None:
        super().__init__(fault.words)
        self.fault = fault
        self.in_handshake = in_handshake
        """The TLS handshake itself failed, or what the server showed in it did not do."""
        self.failure = failure
        """What a TLS report says of it; None when TLS was not the trouble."""
        self.sending = ""
        """Our own address of the connection."""
        self.hello = ""
        """What the other side called itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """How TLS is begun."""

    context: ssl.SSLContext
    server_name: str
    verified: bool
    """A server whose certificate does not do is not talked to."""
    judge: Callable[[Sequence[bytes]], Failure | None] | None = None
    """Looks at the chain the server sent (DER, its own first), besides what the context checks."""


class Link(asyncio.Protocol):
    """Made by `Link.connect`; one message at a time by `transact`."""

    def __init__(self, machine: SmtpClient, address: str) -> None:
        self.machine = machine
        self.address = address
        self.tls_version: str | None = None
        self.tls_verified = False
        self.sending = ""
        """Our own address of the connection."""
        self.unverified: Failure | None = None
        """Why the certificate does not verify, where that is known and need not keep mail back."""
        self._transport: asyncio.Transport | None = None
        self._woken: asyncio.Future[None] | None = None
        self._alarm_at = 0.0
        """When patience with what is awaited ends, by the loop's clock."""
        self._timer: asyncio.TimerHandle | None = None
        """It looks after the alarm, which is put off much more often than it rings: no later than that, and mostly too soon."""
        self._paused = False
        self._lost = False
        self._gone = asyncio.Event()

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

    async def until_ready(self, handshake: Handshake | None = None) -> None:
        """Greeting, EHLO, STARTTLS, or what the last message left to be answered; raises Broken."""
        while not self.machine.idle:
            event = await self._next_event()
            if isinstance(event, TlsWanted) and handshake is not None:
                await self._start_tls(handshake)
            elif isinstance(event, Fault):
                self.abort()
                failure = Failure(Trouble.NO_STARTTLS, event.words) if event.stage == "tls" else None
                raise Broken(event, failure=failure)

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

    async def gone(self, patience_s: float) -> None:
        """Wait until it is closed, TLS's own leave-taking included; broken off when that takes too long."""
        try:
            await asyncio.wait_for(self._gone.wait(), patience_s)
        except TimeoutError:
            self.abort()
            await asyncio.sleep(0)

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
            self.sending = str(transport.get_extra_info("sockname")[0])

    def data_received(self, data: bytes) -> None:
        self.machine.receive(data)
        self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._gone.set()
        if self._timer is not None:
            self._timer.cancel()
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
        steps = -1
        while True:
            wrote = self._flush()
            event = self.machine.next_event()
            if event is not NEED_REPLY:
                return event
            if wrote or steps != self.machine.steps:
                steps = self.machine.steps
                self._set_alarm(loop, loop.time() + (self.machine.patience_s or 60.0))
            self._woken = loop.create_future()
            try:
                await self._woken
            finally:
                self._woken = None

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._alarm_at = at
        if self._timer is not None and self._timer.when() > at:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._woken is None:  # nobody waits
            return
        loop = asyncio.get_running_loop()
        if self._alarm_at > loop.time():
            self._timer = loop.call_at(self._alarm_at, self._ring)
            return
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

    async def _start_tls(self, how: Handshake) -> None:
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        patience, name = self.machine.patience_s or 60.0, how.server_name
        try:
            transport = await loop.start_tls(
                self._transport, self, how.context, server_hostname=name, ssl_handshake_timeout=patience
            )
        except (OSError, ssl.SSLError, ValueError) as error:
            self.abort()
            failure = failure_of(error)
            fault = Fault(words=f"the TLS handshake with {name} failed: {failure.words}", stage="tls")
            raise Broken(fault, in_handshake=True, failure=failure) from None
        if transport is None:
            words = "the connection ended in the TLS handshake"
            raise Broken(
                Fault(words=words, stage="tls"), in_handshake=True, failure=Failure(Trouble.FAILED, words)
            )
        self._transport = transport
        tls = transport.get_extra_info("ssl_object")
        found = how.judge(chain_of(tls)) if how.judge else None
        if found is not None:
            self.abort()
            words = f"the certificate of {name} does not do: {found.words}"
            raise Broken(Fault(words=words, stage="tls"), in_handshake=True, failure=found)
        self.tls_version = tls.version()
        self.tls_verified = how.verified
        self.machine.tls_started(verified=how.verified)


def chain_of(tls: ssl.SSLObject | ssl.SSLSocket) -> list[bytes]:
    """The certificates the server sent, DER, its own first, whether they verify or not."""
    ask = getattr(tls, "get_unverified_chain", None)
    if ask is not None:  # Python 3.13
        return list(ask() or ())
    inner = getattr(tls, "_sslobj")  # noqa: B009  # 3.11 and 3.12 have it one floor below
    return [one.public_bytes(_DER) for one in inner.get_unverified_chain() or ()]


_DER = 2
"""What `_ssl` calls ENCODING_DER."""


def failure_of(error: Exception) -> Failure:
    """A handshake's error in the words of a TLS report, by OpenSSL's numbers (x509_vfy.h)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure(
            _TROUBLES.get(error.verify_code, Trouble.FAILED),
            error.verify_message or "certificate verify failed",
        )
    reason = getattr(error, "reason", "") or str(error) or "closed"
    return Failure(Trouble.FAILED, reason)


_TROUBLES = {
    10: Trouble.EXPIRED,
    62: Trouble.WRONG_HOST,
    64: Trouble.WRONG_HOST,
    **dict.fromkeys((2, 18, 19, 20, 21, 24, 27), Trouble.NOT_TRUSTED),
}


_WAITING = {
    "greeting": "the greeting",
    "hello": "the answer to EHLO",
    "helo": "the answer to HELO",
    "starttls": "the answer to STARTTLS",
    "handshake": "the TLS handshake",
    "auth": "the answer to AUTH",
    "mail": "the answer to MAIL FROM",
    "rcpt": "the answer to RCPT TO",
    "data": "the answer to DATA",
    "body": "the message to be taken",
    "final": "the answer to the message",
    "reset": "the answer to RSET",
    "idle": "the next message",
}

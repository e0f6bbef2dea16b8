"""Questions to one DNS server over UDP, and TCP when the answer does not fit (RFC 1035 §4.2, RFC 7766).

Answers must come from the server's address to the port that asked (connected sockets), with the random
identifier and the question (RFC 5452 §9). Ports are the kernel's random ones and are changed often.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import socket

from gatepost.net import dnswire

SOCKET_BITS = 3
"""Eight sockets are open at a time to one server; each question takes a random one."""
USES_LOOPBACK = 5000
USES_REMOTE = 40
"""Questions until a socket gives its port away; nobody spoofs loopback from outside."""
REST_S = 20.0
"""How long a server that missed several questions in a row is asked last."""
_DATAGRAMS_A_TURN = 64


class Server:
    """One server, its sockets and its health."""

    def __init__(self, host: str, port: int, *, trust_ad: bool) -> None:
        self.address = (host, port)
        loopback = ipaddress.ip_address(host).is_loopback
        self.trusted = trust_ad and loopback
        """Its word on DNSSEC counts: nobody can come between us (RFC 6840 §5.10)."""
        self.plain = False
        """It refused EDNS once."""
        self.rests_until = 0.0
        self._missed = 0
        self._uses = USES_LOOPBACK if loopback else USES_REMOTE
        self._channels: list[_Channel] = []

    def __str__(self) -> str:
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def send(self, exchange: Exchange, *, unchecked: bool = False) -> bool:
        """Send the question; False when there is no way to."""
        try:
            channel = self._channel(exchange.loop)
            channel.send(exchange, unchecked=unchecked)
        except OSError:
            return False
        return True

    async def ask_over_tcp(self, asked: bytes, *, unchecked: bool = False) -> bytes | None:
        """The whole answer over a connection of its own; None when there is none."""
        identifier = secrets.randbits(16)
        packet = dnswire.query(identifier, asked, unchecked=unchecked, plain=self.plain)
        writer = None
        try:
            reader, writer = await asyncio.open_connection(*self.address)
            writer.write(len(packet).to_bytes(2, "big") + packet)
            size = int.from_bytes(await reader.readexactly(2), "big")
            wire = await reader.readexactly(size)
        except (OSError, EOFError):
            return None
        finally:
            if writer is not None:
                writer.close()
        right = wire[:2] == packet[:2] and dnswire.answers_question(wire, asked)
        return wire if right else None

    def answered(self) -> None:
        """It is well."""
        self._missed = 0
        self.rests_until = 0.0

    def missed(self, now: float) -> None:
        """It did not answer in time."""
        self._missed += 1
        if self._missed >= 3:
            self.rests_until = now + REST_S

    def close(self) -> None:
        """Close all sockets; questions in flight will not be answered."""
        for channel in self._channels:
            channel.close()
        self._channels.clear()

    def _channel(self, loop: asyncio.AbstractEventLoop) -> _Channel:
        place = secrets.randbits(SOCKET_BITS)
        if place >= len(self._channels):
            self._channels.append(_Channel(self, loop, self._uses))
            return self._channels[-1]
        channel = self._channels[place]
        if channel.uses_left <= 0 or channel.closed:
            channel.retire()
            channel = self._channels[place] = _Channel(self, loop, self._uses)
        return channel


class Exchange:
    """One question on its way, perhaps to several servers and more than once; any of them may answer."""

    __slots__ = ("_arrived", "_sent", "_wake", "asked", "loop")

    def __init__(self, asked: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self.asked = asked
        self.loop = loop
        self._arrived: list[tuple[Server, bytes | None]] = []
        self._sent: list[tuple[_Channel, int]] = []
        self._wake: asyncio.Future[None] | None = None

    async def next(self, wait_s: float) -> tuple[Server, bytes | None] | None:
        """The next answer (octets None: the server's port is closed), or None when none came in time."""
        if not self._arrived:
            self._wake = self.loop.create_future()
            timer = self.loop.call_later(wait_s, self._ring)
            try:
                await self._wake
            finally:
                timer.cancel()
                self._wake = None
        return self._arrived.pop(0) if self._arrived else None

    def sent(self, channel: _Channel, identifier: int) -> None:
        """A channel waits for us under this identifier."""
        self._sent.append((channel, identifier))

    def arrive(self, server: Server, wire: bytes | None) -> None:
        """A channel got an answer."""
        self._arrived.append((server, wire))
        self._ring()

    def close(self) -> None:
        """Nobody waits any more."""
        for channel, identifier in self._sent:
            channel.forget(identifier)

    def _ring(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class _Channel:
    """A connected UDP socket and who waits on it."""

    __slots__ = ("_loop", "_retired", "_server", "_socket", "_waiting", "closed", "uses_left")

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop, uses: int) -> None:
        self._server = server
        self._loop = loop
        self._waiting: dict[int, Exchange] = {}
        self._retired = False
        self.closed = False
        self.uses_left = uses
        family = socket.AF_INET6 if ":" in server.address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(server.address)
        except OSError:
            self._socket.close()
            raise
        loop.add_reader(self._socket, self._readable)

    def send(self, exchange: Exchange, *, unchecked: bool) -> None:
        self.uses_left -= 1
        identifier = secrets.randbits(16)
        while identifier in self._waiting:
            identifier = secrets.randbits(16)
        packet = dnswire.query(identifier, exchange.asked, unchecked=unchecked, plain=self._server.plain)
        # A full socket buffer loses the datagram, as any network may; the next try repeats it.
        with contextlib.suppress(BlockingIOError):
            self._socket.send(packet)
        self._waiting[identifier] = exchange
        exchange.sent(self, identifier)

    def forget(self, identifier: int) -> None:
        self._waiting.pop(identifier, None)
        if self._retired and not self._waiting:
            self.close()

    def retire(self) -> None:
        self._retired = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _readable(self) -> None:
        for _ in range(_DATAGRAMS_A_TURN):
            try:
                wire = self._socket.recv(4096)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # the port is closed: nobody on this socket will be answered
                waiting, self._waiting = self._waiting, {}
                for exchange in waiting.values():
                    exchange.arrive(self._server, None)
                return
            self._take(wire)
            if self.closed:
                return

    def _take(self, wire: bytes) -> None:
        exchange = self._waiting.get(int.from_bytes(wire[:2], "big"))
        # What does not match may be somebody's guess: keep waiting for the real one (RFC 5452 §9.1).
        if exchange is not None and dnswire.answers_question(wire, exchange.asked):
            del self._waiting[int.from_bytes(wire[:2], "big")]
            exchange.arrive(self._server, wire)

"""Who is connected to the console: how many at once, and from where. Counted from the connection on, before TLS and HTTP.

So nobody can keep the others out by holding connections open: one address has at most its share of them, and a handshake,
a head and a body each have their time (`server.py`, `guard.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

from gatepost.web.visit import is_within

log = logging.getLogger(__name__)
HANDSHAKE_S = 10.0
SILENT_MS = 30_000
"""Who takes nothing of an answer for so long is gone."""
PAUSE_S = 0.2
"""After the system had no connection for us."""
FULL = b"Too many connections. Close some, or try again in a moment.\r\n"
FULL_HEAD = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\nRetry-After: 5\r\n"
    b"Content-Length: %d\r\n\r\n"
) % len(FULL)
IPV6_SHARE = 64
"""Bits of an IPv6 address that count as one address: who has one has all behind it."""


@dataclass(slots=True, kw_only=True)
class Connections:
    """Lets connections in and counts them."""

    protocol: Callable[[Callable[[], None]], asyncio.Protocol]
    """Makes one that calls what it is given when its connection is over."""
    most: int
    most_each: int
    """Of one address."""
    shared: tuple[IPv4Network | IPv6Network, ...] = ()
    """Proxies, behind which there are many: only `most` holds for them."""
    tls: ssl.SSLContext | None = None
    here: Counter[str] = field(default_factory=Counter, init=False)
    _handling: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def serve(self, on: socket.socket) -> None:
        """Until cancelled; who still shakes hands then is dropped."""
        try:
            await self._accept(on)
        finally:
            for task in self._handling:
                task.cancel()

    async def _accept(self, on: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(on)
            except OSError as fault:  # the other side is gone already, or we have no descriptors left
                log.warning("a connection could not be accepted: %s", fault.strerror)
                await asyncio.sleep(PAUSE_S)
                continue
            key = share_of(str(peer[0]))
            if not self.has_room(key, str(peer[0])):
                self.turn_away(connection)
                continue
            self.here[key] += 1
            task = loop.create_task(self._hold(connection, key))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)

    def has_room(self, key: str, address: str) -> bool:
        """May one more of these come in?"""
        if self.here.total() >= self.most:
            return False
        return self.here[key] < self.most_each or is_within(address, self.shared)

    def turn_away(self, connection: socket.socket) -> None:
        """In words where that costs nothing."""
        with contextlib.suppress(OSError), connection:
            if self.tls is None:
                connection.send(FULL_HEAD + FULL)
                connection.shutdown(socket.SHUT_WR)

    async def _hold(self, connection: socket.socket, key: str) -> None:
        """Shake hands, hand it to HTTP, and wait until it is over."""
        loop = asyncio.get_running_loop()
        try:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_MS)
            over = asyncio.Event()
            try:
                await loop.connect_accepted_socket(
                    lambda: self.protocol(over.set),
                    connection,
                    ssl=self.tls,
                    ssl_handshake_timeout=HANDSHAKE_S if self.tls else None,
                    ssl_shutdown_timeout=HANDSHAKE_S if self.tls else None,
                )
            except (OSError, ssl.SSLError):
                connection.close()  # no TLS, or nothing at all
                return
            await over.wait()
        finally:
            self.here[key] -= 1
            if not self.here[key]:
                del self.here[key]


def share_of(address: str) -> str:
    """What is counted as one address."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed) >> IPV6_SHARE << IPV6_SHARE, IPV6_SHARE)))

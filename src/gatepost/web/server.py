"""The console's HTTP server: uvicorn on a socket that was bound before, obeying the process it lives in.

Who comes in is `connections.py`'s business; here each has so long to ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from gatepost.web.connections import Connections
from gatepost.web.pages.live import LISTENERS

AT_ONCE = 200
"""Connections in hand; more are told to come back."""
AT_ONCE_EACH = 60
"""Of one address."""
KEPT_S = 15
GRACE_S = 3
HEAD_S = 10.0
"""To ask for something, from the connection on or from the first octet of a further request."""
HEAD_OCTETS = 32 * 1024


class Protocol(H11Protocol):
    """Hangs up on who connects, or begins to ask, and does not finish asking."""

    over: Callable[[], None] = staticmethod(lambda: None)
    """Called when the connection is."""
    _asking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio."""
        super().connection_made(transport)
        self._asking = self.loop.call_later(HEAD_S, transport.close)

    def data_received(self, data: bytes) -> None:
        """asyncio."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._asked()
        elif self._asking is None:
            self._asking = self.loop.call_later(HEAD_S, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio."""
        self._asked()
        super().connection_lost(exc)
        self.over()

    def _asked(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None


class Server(uvicorn.Server):
    """Leaves signals to the gate, which knows when to stop, and its socket to `Connections`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None are."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """Nothing listens here."""
        self.servers = []
        self.started = True

    def protocol(self, over: Callable[[], None]) -> Protocol:
        """For one connection."""
        made = Protocol(self.config, self.server_state, self.lifespan.state)
        made.over = over
        return made


async def serve(
    app: ASGIApp,
    on: socket.socket,
    stopping: asyncio.Event,
    *,
    tls: ssl.SSLContext | None = None,
    each: int = AT_ONCE_EACH,
    shared: tuple[IPv4Network | IPv6Network, ...] = (),
) -> None:
    """Until `stopping` is set; then what is in hand has GRACE_S to finish.

    One address has at most `each` connections, but those of `shared`, where proxies are.
    """
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEPT_S,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=HEAD_OCTETS,
    )
    config.load()
    server = Server(config)
    connections = Connections(protocol=server.protocol, most=AT_ONCE, most_each=each, shared=shared, tls=tls)
    listening_ends = LISTENERS.begin()
    running = asyncio.ensure_future(server.serve([on]))
    coming = asyncio.ensure_future(connections.serve(on))
    waiting = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({running, coming, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    coming.cancel()
    await asyncio.wait({coming})
    listening_ends.set()
    server.should_exit = True
    await running
    if not coming.cancelled():
        coming.result()

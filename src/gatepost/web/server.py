"""The console's HTTP server: uvicorn on a socket that was bound before, obeying the process it lives in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from gatepost.web.pages.live import LISTENERS

AT_ONCE = 200
"""Connections in hand; more are told to come back."""
KEPT_S = 30
GRACE_S = 3
HEAD_S = 20.0
"""To ask for something, from the connection on."""
HEAD_OCTETS = 32 * 1024


class Protocol(H11Protocol):
    """Hangs up on who connects and does not finish asking."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio."""
        super().connection_made(transport)
        self.loop.call_later(HEAD_S, self._insist)

    def _insist(self) -> None:
        asked: object = self.cycle  # None before the first request, whatever its type says
        if asked is None:
            self.transport.close()


class Server(uvicorn.Server):
    """Leaves signals to the gate, which knows when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None are."""
        yield


def listening(host: str, port: int, *, backlog: int = 128) -> socket.socket:
    """Bound and ready to be served. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(backlog)
        found.setblocking(False)
    except BaseException:
        found.close()
        raise
    return found


async def serve(
    app: ASGIApp, on: socket.socket, stopping: asyncio.Event, *, tls: ssl.SSLContext | None = None
) -> None:
    """Until `stopping` is set; then what is in hand has GRACE_S to finish."""
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
        limit_concurrency=AT_ONCE,
        timeout_keep_alive=KEPT_S,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=HEAD_OCTETS,
    )
    config.load()
    config.ssl = tls
    server = Server(config)
    listening_ends = LISTENERS.begin()
    running = asyncio.ensure_future(server.serve([on]))
    waiting = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    listening_ends.set()
    server.should_exit = True
    await running

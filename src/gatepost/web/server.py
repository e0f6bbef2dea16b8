"""The console's HTTP server: uvicorn on a socket that was bound before, obeying the process it lives in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from gatepost.web.pages.live import LISTENERS

AT_ONCE = 200
"""Connections in hand; more are told to come back."""
KEPT_S = 30
GRACE_S = 3
HEAD_OCTETS = 32 * 1024


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
        http="h11",
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
    LISTENERS.stopping.clear()
    running = asyncio.ensure_future(server.serve([on]))
    waiting = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    LISTENERS.stopping.set()
    server.should_exit = True
    await running

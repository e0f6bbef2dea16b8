"""A small web server for what other mail servers and certificate authorities fetch from us.

It answers GET and HEAD for exactly two things: an MTA-STS policy at ``https://mta-sts.DOMAIN/.well-known/mta-sts.txt``
(RFC 8461 §3.3), with the certificate for the name asked (SNI), and the files that prove our names to a certificate
authority (RFC 8555 §8.3). On the TLS side it also answers ``acme-tls/1`` (RFC 8737). Everything is bounded: octets,
time, connections. Left out: any file, any other method.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import h11

from gatepost.net.authority import ALPN_PROTOCOL
from gatepost.net.tls import server_context

POLICY_PATH = "/.well-known/mta-sts.txt"
PROOF_PATH = "/.well-known/acme-challenge/"
POLICY_HOST = "mta-sts."
REQUEST_MOST = 16 * 1024
PATIENCE_S = 15.0
CONNECTIONS_MOST = 200
REQUESTS_MOST = 20
"""On one connection."""
HELLO_MOST = 4096
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")
BACKLOG = 128


class Proofs:
    """Implements `net.acme.Prover`: written by the thread of an order, read by the servers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, str] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}

    def file(self, token: str, content: str | None) -> None:
        """See `Prover.file`."""
        with self._lock:
            if content is None:
                self._files.pop(token, None)
            else:
                self._files[token] = content

    def certificate(self, name: str, chain_pem: bytes | None, key_pem: bytes = b"") -> None:
        """See `Prover.certificate`."""
        context = None if chain_pem is None else _challenge_context(chain_pem, key_pem)
        with self._lock:
            if context is None:
                self._contexts.pop(name.lower(), None)
            else:
                self._contexts[name.lower()] = context

    def content(self, token: str) -> str | None:
        """What to serve under this token."""
        with self._lock:
            return self._files.get(token)

    def context(self) -> ssl.SSLContext | None:
        """For a client that speaks acme-tls/1: picks the certificate by the name it asks for; None when none is pending."""
        with self._lock:
            pending = dict(self._contexts)
        if not pending:
            return None

        def name_asked(tls: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
            chosen = pending.get((name or "").lower())
            if chosen is None:
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            tls.context = chosen
            return None

        first = server_context()
        first.set_alpn_protocols([ALPN_PROTOCOL])
        first.sni_callback = name_asked
        return first


class PolicyHost:
    """Serves policies over TLS, or proofs over plain HTTP. `start` with a bound socket, `stop` at the end."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        proofs: Proofs,
        policy: Callable[[str], str | None] = lambda _: None,
        tls: Callable[[], ssl.SSLContext | None] | None = None,
    ) -> None:
        """`policy`: a domain's policy as it is served, None for none. `tls`: the context of the moment; None: plain HTTP."""
        self._sock = sock
        self._proofs = proofs
        self._policy = policy
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._sock.getsockname()[1])

    def start(self) -> None:
        """In the running loop."""
        self._sock.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())

    async def stop(self) -> None:
        """Close everything."""
        tasks = [*self._tasks, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sock.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._sock)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            if len(self._tasks) >= CONNECTIONS_MOST:
                client.close()
                continue
            task = asyncio.create_task(self._attend(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _attend(self, client: socket.socket) -> None:
        """One connection, from the hello to its end."""
        client.setblocking(False)
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                context = await self._context_for(client)
                if self._tls is not None and context is None:
                    return
                reader = asyncio.StreamReader(limit=REQUEST_MOST)
                protocol = asyncio.StreamReaderProtocol(reader)
                loop = asyncio.get_running_loop()
                transport, _ = await loop.connect_accepted_socket(lambda: protocol, client, ssl=context)
                writer = asyncio.StreamWriter(transport, protocol, reader, loop)
                await self._talk(reader, writer)
        except (OSError, TimeoutError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            if writer is not None:
                with contextlib.suppress(OSError, ssl.SSLError):
                    writer.close()
            else:
                client.close()

    async def _context_for(self, client: socket.socket) -> ssl.SSLContext | None:
        if self._tls is None:
            return None
        if self._proofs.context() is not None and f"{ALPN_PROTOCOL}".encode() in await _hello(client):
            return self._proofs.context()
        return self._tls()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_MOST)
        for _ in range(REQUESTS_MOST):
            try:
                request = await _next_request(connection, reader)
            except h11.RemoteProtocolError:
                _answer(connection, writer, 400, "This is no request.\n")
                await writer.drain()
                return
            if request is None:
                return
            status, text = self._reply(request)
            _answer(connection, writer, status, text, head=request.method == b"HEAD")
            await writer.drain()
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    def _reply(self, request: h11.Request) -> tuple[int, str]:
        if request.method not in (b"GET", b"HEAD"):
            return 405, "Only GET and HEAD are answered here.\n"
        path = request.target.decode("ascii", "replace").partition("?")[0]
        host = next((value for name, value in request.headers if name == b"host"), b"").decode(
            "ascii", "replace"
        )
        host = host.partition(":")[0].lower().rstrip(".")
        if path.startswith(PROOF_PATH):
            token = path.removeprefix(PROOF_PATH)
            content = self._proofs.content(token) if TOKEN.fullmatch(token) else None
            if content is not None:
                return 200, content
        elif path == POLICY_PATH and self._tls is not None and host.startswith(POLICY_HOST):
            policy = self._policy(host.removeprefix(POLICY_HOST))
            if policy is not None:
                return 200, policy
        return 404, "There is nothing here.\n"


def listen(address: str) -> socket.socket:
    """A bound socket for ``host:port``, ``[::1]:port`` or ``*:port``; raises OSError or ValueError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not port.isdecimal() or not host or int(port) > 65535:
        raise ValueError(f'"{address}" is no address to listen on, such as 192.0.2.1:443')
    if host == "*":
        return socket.create_server(("", int(port)), backlog=BACKLOG)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)


async def _next_request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """The next request with its body passed over; None at the end."""
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(REQUEST_MOST))
        elif isinstance(event, h11.Request):
            request = event
            if any(name in (b"content-length", b"transfer-encoding") for name, _ in event.headers):
                raise h11.RemoteProtocolError("no body is taken here")
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return None


def _answer(
    connection: h11.Connection, writer: asyncio.StreamWriter, status: int, text: str, *, head: bool = False
) -> None:
    body = text.encode("utf-8")
    headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ]
    with contextlib.suppress(h11.LocalProtocolError):  # the other side is past talking to
        writer.write(connection.send(h11.Response(status_code=status, headers=headers)) or b"")
        if not head:
            writer.write(connection.send(h11.Data(data=body)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")


async def _hello(client: socket.socket) -> bytes:
    """The beginning of what a client says, left where it is."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(client, _done, readable)
    try:
        await readable
    finally:
        loop.remove_reader(client)
    return client.recv(HELLO_MOST, socket.MSG_PEEK)


def _done(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)


def _challenge_context(chain_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    context = server_context()
    context.set_alpn_protocols([ALPN_PROTOCOL])
    with tempfile.TemporaryDirectory() as folder:  # the ssl module reads keys from files alone
        file = Path(folder) / "pem"
        file.touch(mode=0o600)
        file.write_bytes(chain_pem + key_pem)
        context.load_cert_chain(file)
    return context

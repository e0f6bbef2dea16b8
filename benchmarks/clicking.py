"""Somebody with a browser, as a process of its own; and a server of fixed octets to click at instead of the console.

    python clicking.py visit          reads orders from standard input: a line of JSON each, answered by one
    python clicking.py pages PORT     answers every request at once with the same page, and /live with a stream

A browser runs on another machine than the gate. Here both share the processors, so this one asks the kernel to be last in line
in its session (nice) and its session to be last of all (autogroup, sched(7)).
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

PATHS = (
    "/overview", "/messages", "/messages?action=refuse&hours=24", "/messages?sender=common.example", "/messages?subject=invoice",
    "/messages?sender=gone.example&action=refuse", "/messages?subject=nothing-like-it", "/messages?recipient=info@example.net",
    "/messages?q=203.0.113.9", "/quarantine", "/queue", "/me/quarantine", "/policy", "/system", "/privacy/journal",
)  # fmt: skip
PAGE = b"x" * 25_000
LAST = 19
"""The nicest there is."""


@dataclass
class Visit:
    """Goes through pages until told to stop, each request over one connection, while one page streams."""

    port: int
    cookie: str
    pause_s: float
    paths: tuple[str, ...] = PATHS
    stopping: threading.Event = field(default_factory=threading.Event)
    times: list[float] = field(default_factory=list)

    def click(self) -> None:
        """Page after page."""
        connection = http.client.HTTPConnection("localhost", self.port, timeout=30)
        number = 0
        while not self.stopping.is_set():
            begun = time.perf_counter()
            path = self.paths[number % len(self.paths)]
            connection.request("GET", path, headers={"Cookie": self.cookie})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (path, answer.status)
            self.times.append((time.perf_counter() - begun) * 1000)
            number += 1
            if self.pause_s:
                self.stopping.wait(self.pause_s)
        connection.close()

    def listen(self) -> None:
        """Live figures; a line comes every three seconds."""
        self.listening.sendall(
            f"GET /live HTTP/1.1\r\nHost: localhost\r\nCookie: {self.cookie}\r\n\r\n".encode()
        )
        while self.listening.recv(65_536):
            pass

    def begin(self) -> None:
        """Both."""
        self.listening = socket.create_connection(("localhost", self.port))
        self.threads = [threading.Thread(target=one, daemon=True) for one in (self.click, self.listen)]
        for one in self.threads:
            one.start()

    def end(self) -> None:
        """Waits for the page in hand."""
        self.stopping.set()
        self.listening.shutdown(socket.SHUT_RDWR)
        for one in self.threads:
            one.join()
        self.listening.close()


def visit() -> None:
    """{"port", "cookie", "pause_s", "paths"} begins a visit, {} tells its milliseconds so far and forgets them, null ends it."""
    visiting = Visit(0, "", 0.0)
    for line in sys.stdin:
        order = json.loads(line)
        if order is None:
            visiting.end()
        elif order:
            visiting = Visit(**order)
            visiting.begin()
        told, visiting.times = visiting.times, []
        print(json.dumps(told), flush=True)


class Pages(asyncio.Protocol):
    """HTTP as far as `Visit` needs it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.heard = transport, b""

    def data_received(self, data: bytes) -> None:
        """asyncio."""
        self.heard += data
        while b"\r\n\r\n" in self.heard:
            head, _, self.heard = self.heard.partition(b"\r\n\r\n")
            if head.startswith(b"GET /live"):
                self.transport.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                self.stream()
            else:
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE)

    def stream(self) -> None:
        """As often as the console does."""
        if not self.transport.is_closing():
            self.transport.write(b": still here\n\n")
            asyncio.get_running_loop().call_later(3.0, self.stream)


async def pages(port: int) -> None:
    """Until it is ended."""
    server = await asyncio.get_running_loop().create_server(Pages, "localhost", port)
    await server.serve_forever()


if __name__ == "__main__":
    os.nice(LAST)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(LAST), encoding="ascii")
    if sys.argv[1] == "pages":
        asyncio.run(pages(int(sys.argv[2])))
    else:
        visit()

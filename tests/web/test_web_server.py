"""The console's server on a real socket: who dawdles, who asks too much, and its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from visiting import console, office

from gatepost.web import guard, server

Story = Callable[[int], Awaitable[None]]


def told(folder: Path, story: Story, monkeypatch) -> None:
    """Serve while the story is told."""
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    monkeypatch.setattr(guard, "BODY_S", 0.2)

    async def run() -> None:
        on = server.listening("127.0.0.1", 0)
        port = on.getsockname()[1]
        stopping = asyncio.Event()
        app = console(office(folder), origin=f"http://localhost:{port}")
        serving = asyncio.create_task(server.serve(app, on, stopping))
        try:
            async with asyncio.timeout(20):
                await story(port)
        finally:
            stopping.set()
            await asyncio.wait_for(serving, 20)

    asyncio.run(run())


def test_whoever_does_not_finish_asking_is_hung_up_on(tmp_path, monkeypatch):
    async def story(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /sign-in HTTP/1.1\r\nHost: x")
        assert await reader.read() == b""
        writer.close()

    told(tmp_path, story, monkeypatch)


def test_a_form_that_never_ends_is_answered(tmp_path, monkeypatch):
    async def story(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /language HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: 100\r\n\r\nlang" % port
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.close()

    told(tmp_path, story, monkeypatch)


def test_a_head_without_end_is_refused(tmp_path, monkeypatch):
    async def story(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000)
        with contextlib.suppress(ConnectionError):
            assert (await reader.readline())[:12] in (b"HTTP/1.1 400", b"")
        writer.close()

    told(tmp_path, story, monkeypatch)


def test_it_says_nothing_of_what_it_is(tmp_path, monkeypatch):
    async def story(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /sign-in HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n" % port)
        head = (await reader.read()).partition(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"http/1.1 200")
        assert b"server:" not in head
        assert b"set-cookie: gatepost-door=" in head
        writer.close()

    told(tmp_path, story, monkeypatch)

"""The console's server on a real socket: who dawdles, who asks too much, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from visiting import console, office

from gatepost.web import connections, guard, server
from gatepost.web.connections import share_of
from gatepost.web.listening import listening

Story = Callable[[int], Awaitable[None]]


def told(folder: Path, story: Story, monkeypatch, **more: Any) -> None:
    """Serve while the story is told; `more` is for the server."""
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    monkeypatch.setattr(guard, "BODY_S", 0.2)

    async def run() -> None:
        on = listening("127.0.0.1", 0)
        port = on.getsockname()[1]
        stopping = asyncio.Event()
        app = console(office(folder), origin=f"http://localhost:{port}")
        serving = asyncio.create_task(server.serve(app, on, stopping, **more))
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


ASKED = b"GET /sign-in HTTP/1.1\r\nHost: localhost:%d\r\n\r\n"


async def status(port: int, here: str = "127.0.0.1") -> bytes:
    """What whoever comes from there is told."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(here, 0))
    with contextlib.suppress(ConnectionError):
        writer.write(ASKED % port)
    line = await reader.readline()
    writer.close()
    return line[9:12]


def test_one_address_cannot_hold_all_connections(tmp_path, monkeypatch):
    async def story(port: int) -> None:
        held = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(8)
        ]
        for _, writer in held:
            writer.write(ASKED % port)
        lines = [await reader.readline() for reader, _ in held]
        assert sorted(line[9:12] for line in lines) == [b"200"] * 5 + [b"503"] * 3
        assert await status(port, "127.0.0.2") == b"503"
        assert await status(port, "127.0.0.3") == b"200"
        for _, writer in held:
            writer.close()
        while await status(port, "127.0.0.2") != b"200":
            await asyncio.sleep(0.01)

    told(tmp_path, story, monkeypatch, each=5)


def test_a_proxy_may_hold_more_but_not_more_than_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "AT_ONCE", 8)

    async def story(port: int) -> None:
        held = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(7)
        ]
        for _, writer in held:
            writer.write(ASKED % port)
        assert {(await reader.readline())[9:12] for reader, _ in held} == {b"200"}
        held.append(await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)))
        assert await status(port, "127.0.0.3") == b"503"
        for _, writer in held:
            writer.close()

    told(tmp_path, story, monkeypatch, each=2, shared=(ip_network("127.0.0.2"),))


def test_a_second_question_must_be_finished_too(tmp_path, monkeypatch):
    async def story(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASKED % port)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        writer.write(b"GET /sign-in HT")
        assert await reader.read() == b""
        writer.close()

    told(tmp_path, story, monkeypatch)


def test_whoever_does_not_shake_hands_is_hung_up_on(tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "HANDSHAKE_S", 0.2)
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def story(port: int) -> None:
        silent = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(3)
        ]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting, server_hostname="localhost"
        )
        writer.write(ASKED % port)
        assert (await reader.readline())[9:12] in (b"200", b"307")
        writer.close()
        for quiet, behind in silent:
            with contextlib.suppress(ConnectionError):
                assert await quiet.read() == b""
            behind.close()

    told(tmp_path, story, monkeypatch, tls=context, each=2)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False), ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1:2", True), ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)  # fmt: skip
def test_what_counts_as_one_address(one, other, same):
    assert (share_of(one) == share_of(other)) is same

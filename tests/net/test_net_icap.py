"""ICAP: a small server of the test's own that reads requests strictly, and answers well or badly."""

from __future__ import annotations

import asyncio
import re

import pytest

from gatepost.net.clamd import Address
from gatepost.net.icap import Icap, endpoint_of
from gatepost.tools import Unavailable, Unscannable

FOUND = b"ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Bad.Thing;\r\nEncapsulated: null-body=0\r\n\r\n"
CLEAN = b"ICAP/1.0 204 No Content\r\n\r\n"


async def chunks(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """A chunked body, and whether it said that there is no more."""
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size, _, extension = line.strip().partition(b";")
        if int(size, 16) == 0:
            await reader.readexactly(2)
            return body, extension.strip() == b"ieof"
        body += await reader.readexactly(int(size, 16))
        await reader.readexactly(2)


def scan(octets: bytes, *, preview: int = 16, answer: bytes | None = None) -> tuple[str | None, bytes]:
    """The client's result, and the body that the server was sent."""
    seen = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert request.startswith(b"RESPMOD icap://127.0.0.1:")
        places = re.search(rb"Encapsulated: req-hdr=0, res-hdr=(\d+), res-body=(\d+)", request)
        assert places is not None
        inner = await reader.readexactly(int(places[2]))
        assert inner[: int(places[1])].endswith(b"\r\n\r\n")
        assert inner[int(places[1]) :].startswith(b"HTTP/1.1 200 OK\r\n")
        body, complete = await chunks(reader)
        if b"Preview:" in request and not complete:
            writer.write(b"ICAP/1.0 100 Continue\r\n\r\n")
            body += (await chunks(reader))[0]
        seen.extend(body)
        writer.write(answer if answer is not None else FOUND if b"bad thing" in body else CLEAN)
        writer.close()

    async def story() -> str | None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await Icap(f"icap://127.0.0.1:{port}/scan", preview=preview, scan_s=0.5).scan(octets)

    return asyncio.run(story()), bytes(seen)


@pytest.mark.parametrize("preview", [0, 16, 1 << 20])
@pytest.mark.parametrize("octets", [b"", b"short", bytes(range(256)) * 2000])
def test_clean_octets_arrive_whole(octets: bytes, preview: int) -> None:
    assert scan(octets, preview=preview) == (None, octets)


@pytest.mark.parametrize("preview", [0, 16])
def test_what_is_found_is_named(preview: int) -> None:
    assert scan(b"x" * 100 + b"a bad thing", preview=preview)[0] == "Bad.Thing"


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (b"ICAP/1.0 500 Server error\r\n\r\n", Unavailable),
        (b"ICAP/1.0 413 Too large\r\n\r\n", Unscannable),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Unavailable),
        (b"ICAP/1.0 204", Unavailable),
        (b"x" * 100_000, Unavailable),
        (b"", Unavailable),
    ],
)
def test_only_a_clear_answer_is_clean(answer: bytes, meaning: type[Exception]) -> None:
    with pytest.raises(meaning) as caught:
        scan(b"octets", answer=answer)
    assert caught.type is meaning


def test_a_find_without_a_name_is_a_find() -> None:
    assert (
        scan(b"octets", answer=b"ICAP/1.0 200 OK\r\n\r\n")[0] == "something the virus scanner does not name"
    )


@pytest.mark.parametrize("url", ["", "http://a/b", "icap://", "icap://a:99999/x", "icap://a/\r\nHost: b"])
def test_a_wrong_address_is_told(url: str) -> None:
    with pytest.raises(Address):
        endpoint_of(url)

"""clamd: found, clean, too large, killed and started again; and whatever else may answer on its socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from clam import EICAR, RealClamd, real_clamd

from gatepost.net.clamd import Address, Clamd, Endpoint, Engines
from gatepost.tools import Unavailable, Unscannable


@pytest.fixture(scope="module")
def clamd() -> Iterator[RealClamd]:
    with real_clamd() as running:
        yield running


def client(clamd: RealClamd) -> Clamd:
    return Clamd(Endpoint.parse(f"unix:{clamd.path}"), scan_s=10)


@pytest.mark.peers
def test_it_finds_eicar_and_calls_the_rest_clean(clamd: RealClamd) -> None:
    async def story() -> list[str | None]:
        scanner = client(clamd)
        return list(await asyncio.gather(*(scanner.scan(one) for one in [EICAR, b"hello", b"", EICAR] * 5)))

    names = asyncio.run(story())
    assert [bool(one) for one in names] == [True, False, False, True] * 5
    assert "Eicar" in str(names[0])


@pytest.mark.peers
def test_what_is_too_large_is_unscannable_and_not_clean(clamd: RealClamd) -> None:
    with pytest.raises(Unscannable, match="larger than the virus scanner takes"):
        asyncio.run(client(clamd).scan(bytes(9 << 20)))
    with pytest.raises(Unscannable):
        asyncio.run(Clamd(Endpoint.parse(f"unix:{clamd.path}"), largest_octets=10).scan(bytes(11)))


@pytest.mark.peers
def test_killed_it_is_unavailable_and_started_again_it_answers(clamd: RealClamd) -> None:
    async def story() -> list[str]:
        scanner, told = client(clamd), []
        for act in (lambda: None, clamd.kill, clamd.start):
            act()
            try:
                told.append(str(await scanner.scan(EICAR)))
            except Unavailable as why:
                told.append(str(why))
        return told

    before, between, after = asyncio.run(story())
    assert before == after == "Eicar-Test-Signature.UNOFFICIAL"
    assert "did not answer" in between


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        (b"stream: OK\0", None),
        (b"stream: Win.Test FOUND\0", "Win.Test"),
        (b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0", Unscannable),
        (b"stream: Heuristics.Encrypted.Zip FOUND\0", Unscannable),
        (b"INSTREAM size limit exceeded. ERROR\0", Unscannable),
        (b"stream: Can't allocate memory ERROR\0", Unavailable),
        (b"stream: \x1b[31m FOUND\0", "\\x1b[31m"),
        (b"OK" * 9000 + b"\0", Unavailable),
        (b"stream: OK", Unavailable),
        (b"", Unavailable),
        (None, Unavailable),
    ],
)
def test_only_a_clear_answer_is_clean(reply: bytes | None, meaning: str | type[Exception] | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply is None:
            await reader.read()  # it hangs until the client gives up
        else:
            await reader.readuntil(bytes(4))
            writer.write(reply)
        writer.close()

    async def story() -> str | None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await Clamd(Endpoint.parse(f"tcp:127.0.0.1:{port}"), scan_s=0.3).scan(b"some octets")

    if isinstance(meaning, type):
        with pytest.raises(meaning) as caught:
            asyncio.run(story())
        assert caught.type is meaning
    else:
        assert asyncio.run(story()) == meaning


@pytest.mark.parametrize(
    "text", ["", "unix:relative", "tcp:host", "tcp:host:0", "tcp:host:99999", "/run/x", "udp:a:1"]
)
def test_a_wrong_address_is_told(text: str) -> None:
    with pytest.raises(Address):
        Endpoint.parse(text)


class Says:
    def __init__(self, answer: str | Exception | None) -> None:
        self.answer = answer

    async def scan(self, octets: bytes) -> str | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_of_several_engines_a_find_counts_more_than_a_silence_and_silence_more_than_clean() -> None:
    silent = Says(Unavailable("gone"))
    assert asyncio.run(Engines((silent, Says("Bad"))).scan(b"")) == "Bad"
    with pytest.raises(Unavailable):
        asyncio.run(Engines((Says(None), silent)).scan(b""))
    assert asyncio.run(Engines((Says(None), Says(None))).scan(b"")) is None

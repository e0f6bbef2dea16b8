"""Asking web servers: what is taken from one, and everything that makes us refuse."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
import warnings
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from gatepost.dns.zone import Zone
from gatepost.net.fetch import Fetched, FetchFailed, FetchKind, FetchLimits, fetch, is_public

NOW = 1_750_000_000.0
ZONE = Zone.parse(
    """
www.example.net. 60 IN A 127.0.0.1
both.example.net. 60 IN A 10.0.0.1
both.example.net. 60 IN A 127.0.0.1
inside.example.net. 60 IN A 10.1.2.3
inside.example.net. 60 IN AAAA fd00::1
empty.example.net. 60 IN TXT "no address"
$FAIL down.example.net
"""
)
QUICK = FetchLimits(total_s=5.0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, str(path)


@pytest.fixture(params=["asyncio", "uvloop"])
def both_loops(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "uvloop":
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    yield
    asyncio.set_event_loop_policy(None)


class Web:
    """Answers with these octets, whatever is asked; remembers what was asked."""

    def __init__(
        self, answer: bytes, *, context: ssl.SSLContext | None, more: bytes = b"", then_wait: bool = False
    ) -> None:
        self.answer, self.context, self.more, self.then_wait = answer, context, more, then_wait
        self.asked: list[bytes] = []
        self.port = 0
        self._handling: set[asyncio.Task[None]] = set()

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line[15:])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            self.asked.append(head + await reader.readexactly(length))
            writer.write(self.answer)
            await writer.drain()
            while self.more:
                writer.write(self.more)
                await writer.drain()
            if self.then_wait:
                await reader.read()

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator[Web]:
        server = await asyncio.start_server(self._came, "127.0.0.1", 0, ssl=self.context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._handling:
                task.cancel()
            await asyncio.gather(*self._handling, return_exceptions=True)


def context_for(ca: trustme.CA, *names: str, expired: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = {"not_after": datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)} if expired else {}
    ca.issue_cert(*names, **ends).configure_cert(context)
    return context


def answer(body: bytes = b"hello", status: str = "200 OK", *fields: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "", ""]).encode() + body


def ask(
    authority: tuple[trustme.CA, str],
    octets: bytes,
    *,
    host: str = "www.example.net",
    names: tuple[str, ...] = ("www.example.net",),
    expired: bool = False,
    path: str = "/policy?x=1",
    limits: FetchLimits = QUICK,
    web: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[Fetched, Web]:
    async def go() -> tuple[Fetched, Web]:
        context = context_for(authority[0], *names, expired=expired)
        async with Web(octets, context=context, **(web or {})).up() as server:
            options.setdefault("trust_anchors", authority[1])
            options.setdefault("allow_private", True)
            fetched = await fetch(
                f"https://{host}:{server.port}{path}",
                resolver=ZONE,
                limits=limits,
                clock=lambda: NOW,
                **options,
            )
            return fetched, server

    return asyncio.run(go())


def refused(*arguments: Any, **options: Any) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        ask(*arguments, **options)
    return caught.value


@pytest.mark.usefixtures("both_loops")
def test_a_good_answer_comes_whole(authority: tuple[trustme.CA, str]) -> None:
    fetched, web = ask(authority, answer(b"x" * 300_000, "200 OK", "Content-Type: Text/Plain; charset=utf-8"))
    assert fetched.body == b"x" * 300_000
    assert (fetched.status, fetched.content_type, fetched.at, fetched.address) == (
        200,
        "text/plain",
        NOW,
        "127.0.0.1",
    )
    assert web.asked[0].startswith(b"GET /policy?x=1 HTTP/1.1\r\n")
    assert f"host: www.example.net:{web.port}\r\n".encode() in web.asked[0].lower()


@pytest.mark.usefixtures("both_loops")
def test_what_is_posted_arrives_with_its_header(authority: tuple[trustme.CA, str]) -> None:
    fetched, web = ask(
        authority, answer(b"", "201 Created"), method="POST", body=b"report",
        headers=[("Content-Type", "application/tlsrpt+gzip"), ("User-Agent", "Other")],
    )  # fmt: skip
    assert fetched.status == 201
    head, _, body = web.asked[0].partition(b"\r\n\r\n")
    assert body == b"report"
    assert b"application/tlsrpt+gzip" in head
    assert head.lower().count(b"user-agent:") == 1


def test_chunks_are_put_together(authority: tuple[trustme.CA, str]) -> None:
    octets = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert ask(authority, octets)[0].body == b"abcde"


@pytest.mark.usefixtures("both_loops")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"names": ("other.example.net",)}, "www.example.net"),
        ({"expired": True}, "expired"),
        ({"trust_anchors": ""}, "certificate"),
    ],
)
def test_a_certificate_that_does_not_hold_is_refused(
    options: dict[str, Any], said: str, authority: tuple[trustme.CA, str]
) -> None:
    failure = refused(authority, answer(), **options)
    assert failure.kind is FetchKind.CERTIFICATE
    assert said in str(failure)


def test_an_old_tls_is_refused(authority: tuple[trustme.CA, str]) -> None:
    async def go() -> None:
        context = context_for(authority[0], "www.example.net")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        async with Web(answer(), context=context).up() as web:
            url = f"https://www.example.net:{web.port}/"
            await fetch(
                url,
                resolver=ZONE,
                limits=QUICK,
                trust_anchors=authority[1],
                allow_private=True,
                clock=lambda: NOW,
            )

    with pytest.raises(FetchFailed) as caught:
        asyncio.run(go())
    assert caught.value.kind is FetchKind.TLS


@pytest.mark.usefixtures("both_loops")
@pytest.mark.parametrize(
    ("octets", "web", "kind"),
    [
        (answer(b"x" * 2000), {}, FetchKind.SIZE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", {"then_wait": True}, FetchKind.SIZE),
        (b"HTTP/1.1 200 OK\r\n\r\n", {"more": b"x" * 1000}, FetchKind.SIZE),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            {"more": b"50\r\n" + b"x" * 80 + b"\r\n"},
            FetchKind.SIZE,
        ),
        (b"HTTP/1.1 200 OK\r\n", {"more": b"X-More: and more\r\n"}, FetchKind.SIZE),
        (b"", {"more": b"HTTP/1.1 102 Wait\r\n\r\n"}, FetchKind.PROTOCOL),
        (b"220 mx.example.net ESMTP\r\n", {}, FetchKind.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", {}, FetchKind.PROTOCOL),
        (b"", {}, FetchKind.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nslow", {"then_wait": True}, FetchKind.TIMEOUT),
        (b"", {"then_wait": True}, FetchKind.TIMEOUT),
        (answer(b"no such thing", "404 Not Found"), {}, FetchKind.STATUS),
        (answer(b"", "302 Found", "Location: https://www.example.net/else"), {}, FetchKind.REDIRECT),
        (answer(b"", "302 Found", "Location: https://[x"), {}, FetchKind.REDIRECT),
    ],
)
def test_what_a_bad_server_does_has_a_name(
    octets: bytes, web: dict[str, Any], kind: FetchKind, authority: tuple[trustme.CA, str]
) -> None:
    limits = FetchLimits(total_s=0.5 if kind is FetchKind.TIMEOUT else 5.0, octets=1000, header_octets=8000)
    failure = refused(authority, octets, web=web, limits=limits)
    assert failure.kind is kind, failure
    assert "x=1" not in str(failure), "a query may hold a secret"
    if kind is FetchKind.STATUS:
        assert (failure.status, failure.body) == (404, b"no such thing")


def test_a_server_that_does_not_speak_tls_is_no_web_server(authority: tuple[trustme.CA, str]) -> None:
    async def go() -> None:
        async with Web(answer(), context=None).up() as web:
            url = f"https://www.example.net:{web.port}/"
            limits = FetchLimits(total_s=5.0, connect_s=0.5)
            await fetch(url, resolver=ZONE, limits=limits, allow_private=True, clock=lambda: NOW)

    with pytest.raises(FetchFailed) as caught:
        asyncio.run(go())
    assert caught.value.kind in (FetchKind.TLS, FetchKind.TIMEOUT)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://www.example.net/", FetchKind.ADDRESS),
        ("https://localhost/", FetchKind.ADDRESS),
        ("https://127.0.0.1/", FetchKind.ADDRESS),
        ("https://[::1]/", FetchKind.ADDRESS),
        ("https://[::ffff:10.0.0.1]/", FetchKind.ADDRESS),
        ("https://169.254.169.254/latest/meta-data", FetchKind.ADDRESS),
        ("https://inside.example.net/", FetchKind.ADDRESS),
        ("https://empty.example.net/", FetchKind.DNS),
        ("https://none.example.net/", FetchKind.DNS),
        ("https://down.example.net/", FetchKind.DNS),
        ("http://www.example.net/", FetchKind.URL),
        ("file:///etc/passwd", FetchKind.URL),
        ("https://user:word@www.example.net/", FetchKind.URL),
        ("https://www.example.net/a b", FetchKind.URL),
        ("https://www.example.net/\r\nX: y", FetchKind.URL),
        ("https://www.example.net:99999/", FetchKind.URL),
        ("https://[::1/", FetchKind.URL),
        ("https:///", FetchKind.URL),
        ("", FetchKind.URL),
    ],
)
def test_where_nobody_may_send_us(url: str, kind: FetchKind) -> None:
    with pytest.raises(FetchFailed) as caught:
        asyncio.run(fetch(url, resolver=ZONE, limits=QUICK, clock=lambda: NOW))
    assert caught.value.kind is kind


def test_the_next_address_is_tried_when_the_first_does_not_answer(authority: tuple[trustme.CA, str]) -> None:
    closed = FetchLimits(total_s=5.0, connect_s=0.3)
    zone = Zone.parse("two.example.net. 60 IN A 127.0.0.2\ntwo.example.net. 60 IN A 127.0.0.1")

    async def go() -> Fetched:
        async with Web(answer(), context=context_for(authority[0], "two.example.net")).up() as web:
            return await fetch(
                f"https://two.example.net:{web.port}/", resolver=zone, limits=closed,
                trust_anchors=authority[1], allow_private=True, clock=lambda: NOW,
            )  # fmt: skip

    assert asyncio.run(go()).address == "127.0.0.1"


def test_redirects_are_followed_as_far_as_allowed_and_secrets_stay_home(
    authority: tuple[trustme.CA, str], tmp_path: Path
) -> None:
    async def go() -> tuple[Fetched, list[bytes], FetchFailed]:
        context = context_for(authority[0], "www.example.net", "localhost")
        async with (
            Web(answer(b"there"), context=context).up() as last,
            Web(b"", context=context).up() as first,
        ):
            first.answer = answer(
                b"", "307 Temporary Redirect", f"Location: https://localhost:{last.port}/there"
            )
            url = f"https://www.example.net:{first.port}/"
            options: dict[str, Any] = {
                "resolver": ZONE, "trust_anchors": authority[1], "allow_private": True, "clock": lambda: NOW,
                "headers": [("Authorization", "Bearer secret")],
            }  # fmt: skip
            found = await fetch(url, limits=FetchLimits(total_s=5, redirects=1), **options)
            last.answer = answer(b"", "302 Found", f"Location: https://localhost:{last.port}/")
            with pytest.raises(FetchFailed) as caught:
                await fetch(url, limits=FetchLimits(total_s=5, redirects=3), **options)
            first.answer = answer(b"", "302 Found", "Location: http://www.example.net/")
            with pytest.raises(FetchFailed, match="no https"):
                await fetch(url, limits=FetchLimits(total_s=5, redirects=3), **options)
            return found, [*first.asked[:1], *last.asked[:1]], caught.value

    found, asked, failure = asyncio.run(go())
    assert found.body == b"there"
    assert found.url.endswith("/there")
    assert [b"Bearer secret" in one for one in asked] == [True, False]
    assert failure.kind is FetchKind.REDIRECT


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("192.0.2.1", False), ("198.51.100.7", False), ("8.8.8.8", True), ("10.0.0.1", False), ("100.64.0.1", False),
        ("0.0.0.0", False), ("255.255.255.255", False), ("224.0.0.1", False), ("240.0.0.1", False),
        ("172.31.255.255", False), ("2001:4860:4860::8888", True), ("fe80::1", False), ("fd00::1", False),
        ("::", False), ("ff02::1", False), ("::ffff:127.0.0.1", False), ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False), ("64:ff9b::808:808", True), ("2002:7f00:1::", False), ("2001:db8::1", False),
        ("2001:0:1::1", False), ("::127.0.0.1", False),
    ],
)  # fmt: skip
def test_public_addresses(address: str, *, public: bool) -> None:
    assert is_public(ip_address(address)) is public

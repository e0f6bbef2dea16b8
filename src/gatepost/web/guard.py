"""What stands between the network and the pages: security headers, forged forms, and bodies that are too long."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncGenerator, Mapping

from starlette.datastructures import FormData, Headers, MutableHeaders
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.web.visit import csrf_of

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';"
    " trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # others learn nothing; "no-referrer" would make browsers hide the Origin from us, too
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), publickey-credentials-get=(self)",
    "Cache-Control": "no-store",
}
"""On every answer; a page may say otherwise."""
A_YEAR_S = 31_536_000
MOST_FIELDS = 1000
BODY_S = 30.0
"""To send a form."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class WithHeaders:
    """Adds the headers to every answer, errors included."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._headers = dict(HEADERS)
        if secure:
            self._headers["Strict-Transport-Security"] = f"max-age={A_YEAR_S}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class TooLong(Exception):
    """The body is longer than the page takes."""


class Malformed(Exception):
    """The body is no form."""


async def read_form(request: Request, longest: int) -> FormData:
    """The form of a POST; other bodies give an empty one and stay unread. Raises TooLong or Malformed."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    length = request.headers.get("content-length", "0")
    if not length.isdecimal():
        raise Malformed
    if int(length) > longest:
        raise TooLong

    async def bounded() -> AsyncGenerator[bytes, None]:
        read = 0
        async for chunk in request.stream():
            read += len(chunk)
            if read > longest:
                raise TooLong
            yield chunk

    try:
        async with asyncio.timeout(BODY_S):
            return await _parsed(request, kind, bounded(), longest)
    except TimeoutError as fault:
        raise Malformed from fault
    except (MultiPartException, UnicodeDecodeError, KeyError, ValueError) as fault:
        raise Malformed from fault


async def _parsed(request: Request, kind: str, body: AsyncGenerator[bytes, None], longest: int) -> FormData:
    if kind == "multipart/form-data":
        parser = MultiPartParser(
            request.headers,
            body,
            max_files=10,
            max_fields=MOST_FIELDS,
            max_part_size=longest,
        )
        return await parser.parse()
    if kind == "application/x-www-form-urlencoded":
        form = await FormParser(request.headers, body).parse()
        if len(form) > MOST_FIELDS:
            raise TooLong
        return form
    return FormData()


def is_ours(headers: Headers, origin: str) -> bool:
    """Does the browser say that this request comes from our own page? True where it says nothing of it."""
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    named = headers.get("origin")
    return named is None or named == origin


def carries_token(headers: Mapping[str, str], form: FormData, token: str) -> bool:
    """Is the form's token (or the header's, from our scripts) the one of this session?"""
    given = headers.get("x-csrf-token") or form.get("csrf")
    return (
        isinstance(given, str)
        and bool(token)
        and hmac.compare_digest(given.encode(), csrf_of(token).encode())
    )

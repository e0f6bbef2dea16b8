"""Ask a web server: HTTPS alone (RFC 9110, RFC 9112), over one fresh connection, within limits of size, time and header.

Most addresses asked for come from strangers (a domain's policy, a report's reader), so a name that leads into our own
network is not followed: the address that was checked is the one connected to. Redirects are not followed unless the caller
says so, and then each is checked like the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import h11

from gatepost.dns.answer import Resolver, Status
from gatepost.mail.address import printable

__all__ = ["FetchFailed", "FetchKind", "FetchLimits", "Fetched", "fetch", "is_public"]

Header = tuple[str, str]
AGENT = "Gatepost"
CHUNK = 64 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
SECRETS = frozenset({"authorization", "cookie", "proxy-authorization"})
INTERIM_MOST = 8
URL_MOST = 4096


class FetchKind(StrEnum):
    """Why nothing was fetched, for programs."""

    URL = "url"
    """Not an https address."""
    DNS = "dns"
    ADDRESS = "address"
    """The name leads into a network that is not public."""
    CONNECT = "connect"
    TLS = "tls"
    CERTIFICATE = "certificate"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    """What came is no HTTP, or ended early."""
    STATUS = "status"
    """The server said something other than 2xx."""
    SIZE = "size"
    REDIRECT = "redirect"


class FetchFailed(Exception):
    """Nothing was fetched; `str()` is one sentence that says why."""

    def __init__(self, kind: FetchKind, text: str, *, status: int = 0, body: bytes = b"") -> None:
        super().__init__(text)
        self.kind = kind
        self.status = status
        """What the server said, for STATUS and REDIRECT."""
        self.body = body
        """What came with it: error texts of an authorization server, within the limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How much patience and room one answer is given."""

    total_s: float = 30.0
    """For everything, from the first question to the last octet."""
    connect_s: float = 10.0
    """Connection and handshake with one address."""
    octets: int = 1024 * 1024
    """Of the body, after chunks are put together."""
    header_octets: int = 32 * 1024
    redirects: int = 0
    """How many are followed, for GET only."""
    addresses: int = 4
    """How many addresses of a host are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A whole answer, 2xx."""

    url: str
    """Where it came from in the end."""
    status: int
    headers: tuple[Header, ...]
    """Names in lower case, in their order."""
    body: bytes
    address: str
    at: float
    """Unix seconds."""

    def header(self, name: str) -> str:
        """The first field of this name (lower case); empty when there is none."""
        return next((value for field, value in self.headers if field == name), "")

    @property
    def content_type(self) -> str:
        """The media type alone, lower case, such as ``text/plain``."""
        return self.header("content-type").partition(";")[0].strip().lower()


async def fetch(
    url: str,
    *,
    resolver: Resolver,
    limits: FetchLimits,
    method: str = "GET",
    body: bytes = b"",
    headers: Sequence[Header] = (),
    trust_anchors: str = "",
    allow_private: bool = False,
    clock: Callable[[], float],
) -> Fetched:
    """GET or POST an https address. Raises FetchFailed for whatever the world did.

    `trust_anchors` is a PEM file trusted besides the system's; `allow_private` lets addresses of the own network be asked,
    for a server that the operator named. `clock` gives Unix seconds. What the body is must be checked by the caller.
    """
    try:
        async with asyncio.timeout(limits.total_s):
            for _ in range(limits.redirects + 1):
                target = _target(url)
                request = _Request(target, method, body, tuple(headers))
                answer = await _once(
                    request, resolver, limits, _context(trust_anchors), allow_private=allow_private
                )
                if answer.status not in REDIRECTS:
                    return _settled(answer, url, clock())
                onward = _onward(url, answer)
                if method != "GET" or not limits.redirects:
                    raise _failed(FetchKind.REDIRECT, f"{target.shown} sends on to {_shown(onward)}", answer)
                if _target(onward).origin != target.origin:
                    headers = [one for one in headers if one[0].lower() not in SECRETS]
                url = onward
            raise FetchFailed(FetchKind.REDIRECT, f"{_shown(url)} sends on and on")
    except TimeoutError:
        problem = f"{_shown(url)} did not answer within {limits.total_s:g} s"
        raise FetchFailed(FetchKind.TIMEOUT, problem) from None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Is this an address of the public network, and of one host? What is wrapped in IPv6 is looked at itself."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


_NAT64 = ip_network("64:ff9b::/96")
"""RFC 6052 §2.1."""
_GLOBAL_UNICAST = ip_network("2000::/3")


@dataclass(frozen=True, slots=True)
class _Target:
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def shown(self) -> str:
        return _shown(f"https://{self.authority}{self.path.partition('?')[0]}")

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Request:
    target: _Target
    method: str
    body: bytes
    headers: tuple[Header, ...]


@dataclass(slots=True)
class _Answer:
    status: int
    headers: tuple[Header, ...]
    address: str
    body: bytes = b""

    def header(self, name: str) -> str:
        return next((value for field, value in self.headers if field == name), "")


def _target(url: str) -> _Target:
    """An https address taken apart. Raises FetchFailed."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        parts, port = urlsplit(""), 0
    printable_ascii = url.isascii() and url.isprintable() and " " not in url and len(url) <= URL_MOST
    if not printable_ascii or parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        raise FetchFailed(FetchKind.URL, f"{_shown(url)} is no https address")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(parts.hostname.rstrip("."), port, path)


def _onward(url: str, answer: _Answer) -> str:
    """Where a redirect leads; what is no address is left as it is, for `_target` to refuse."""
    location = answer.header("location")
    try:
        return urljoin(url, location)
    except ValueError:
        return location


async def _once(
    request: _Request,
    resolver: Resolver,
    limits: FetchLimits,
    context: ssl.SSLContext,
    *,
    allow_private: bool,
) -> _Answer:
    """One request to the first address that takes a connection."""
    target = request.target
    found = await _addresses(target.host, resolver)
    addresses = [one for one in found if allow_private or is_public(one)]
    if not addresses:
        problem = f"{target.host} is {found[0]}, an address that is not public: it is not asked"
        raise FetchFailed(FetchKind.ADDRESS, problem)
    last: FetchFailed | None = None
    for address in addresses[: limits.addresses]:
        try:
            reader, writer = await _connect(target, str(address), context, limits.connect_s)
        except FetchFailed as failure:
            last = failure
            continue
        try:
            return await _converse(request, reader, writer, limits, str(address))
        except OSError as failure:
            raise FetchFailed(
                FetchKind.PROTOCOL, f"{target.shown} broke the connection off ({_reason(failure)})"
            ) from None
        finally:
            writer.transport.abort()
    assert last is not None
    raise last


async def _addresses(host: str, resolver: Resolver) -> list[IPv4Address | IPv6Address]:
    with contextlib.suppress(ValueError):
        return [ip_address(host)]
    if host == "localhost":  # RFC 6761 §6.3: never asked of a server
        return [IPv4Address("127.0.0.1"), IPv6Address("::1")]
    v4, v6 = await asyncio.gather(resolver.lookup(host, "A"), resolver.lookup(host, "AAAA"))
    texts = [text for answer in (v4, v6) if answer.status is Status.FOUND for text in answer.records]
    if not texts:
        unsure = Status.FAILED in (v4.status, v6.status)
        problem = f"the address of {host} could not be looked up" if unsure else f"{host} has no address"
        raise FetchFailed(FetchKind.DNS, problem)
    return [ip_address(text) for text in texts]


async def _connect(
    target: _Target, address: str, context: ssl.SSLContext, patience_s: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    where = f"{target.host} at {address} port {target.port}"
    try:
        async with asyncio.timeout(patience_s):
            return await asyncio.open_connection(
                address, target.port, ssl=context, server_hostname=target.host
            )
    except TimeoutError:
        raise FetchFailed(FetchKind.TIMEOUT, f"{where} did not answer within {patience_s:g} s") from None
    except ssl.SSLCertVerificationError as failure:
        problem = f"the certificate of {where} does not hold: {printable(failure.verify_message, 200)}"
        raise FetchFailed(FetchKind.CERTIFICATE, problem) from None
    except (
        ssl.SSLError,
        ConnectionResetError,
        ConnectionAbortedError,
    ) as failure:  # it was there, and hung up
        raise FetchFailed(FetchKind.TLS, f"no TLS came about with {where} ({_reason(failure)})") from None
    except (OSError, ValueError) as failure:
        raise FetchFailed(FetchKind.CONNECT, f"{where} cannot be reached ({_reason(failure)})") from None


async def _converse(
    request: _Request,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    limits: FetchLimits,
    address: str,
) -> _Answer:
    """Say the request, read the answer."""
    machine = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=limits.header_octets)
    octets = machine.send(
        h11.Request(method=request.method, target=request.target.path, headers=_fields(request))
    )
    octets = (octets or b"") + (machine.send(h11.Data(data=request.body)) or b"" if request.body else b"")
    writer.write(octets + (machine.send(h11.EndOfMessage()) or b""))
    with contextlib.suppress(ConnectionError):  # it may have answered before it had read all
        await writer.drain()
    answer: _Answer | None = None
    body, interim = bytearray(), 0
    shown = request.target.shown
    try:
        while True:
            event = machine.next_event()
            if event is h11.NEED_DATA:
                machine.receive_data(await reader.read(CHUNK))
            elif isinstance(event, h11.InformationalResponse):
                interim += 1
                if interim > INTERIM_MOST:
                    raise FetchFailed(FetchKind.PROTOCOL, f"{shown} keeps saying that it will answer")
            elif isinstance(event, h11.Response):
                answer = _Answer(event.status_code, _texts(event.headers.raw_items()), address)
                declared = answer.header("content-length")
                _insist_on_size(int(declared) if declared.isdecimal() else 0, limits, shown)
            elif isinstance(event, h11.Data):
                body += event.data
                _insist_on_size(len(body), limits, shown)
            else:
                break
    except h11.RemoteProtocolError as failure:
        if failure.error_status_hint == 431:
            raise FetchFailed(FetchKind.SIZE, f"the header of {shown} is too large") from None
        raise FetchFailed(
            FetchKind.PROTOCOL, f"{shown} speaks no proper HTTP ({printable(str(failure), 100)})"
        ) from None
    if answer is None or not isinstance(event, h11.EndOfMessage):
        raise FetchFailed(FetchKind.PROTOCOL, f"{shown} ended the connection without an answer")
    answer.body = bytes(body)
    return answer


def _fields(request: _Request) -> list[Header]:
    given = {name.lower() for name, _ in request.headers}
    fields = [("Host", request.target.authority), *request.headers, ("Connection", "close")]
    fields += [
        (name, value)
        for name, value in (("User-Agent", AGENT), ("Accept", "*/*"), ("Accept-Encoding", "identity"))
        if name.lower() not in given
    ]
    if request.body or request.method == "POST":
        fields.append(("Content-Length", str(len(request.body))))
    return fields


def _texts(raw: list[tuple[bytes, bytes]]) -> tuple[Header, ...]:
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)


def _insist_on_size(octets: int, limits: FetchLimits, shown: str) -> None:
    if octets > limits.octets:
        raise FetchFailed(FetchKind.SIZE, f"{shown} answers with more than {limits.octets} octets")


def _settled(answer: _Answer, url: str, at: float) -> Fetched:
    if not 200 <= answer.status < 300:
        raise _failed(FetchKind.STATUS, f"{_target(url).shown} answered {answer.status}", answer)
    return Fetched(
        url=url, status=answer.status, headers=answer.headers, body=answer.body, address=answer.address, at=at
    )


def _failed(kind: FetchKind, text: str, answer: _Answer) -> FetchFailed:
    return FetchFailed(kind, text, status=answer.status, body=answer.body)


def _shown(url: str) -> str:
    """For people: without a query, which may hold secrets."""
    return printable(url.partition("?")[0], 200)


def _reason(failure: Exception) -> str:
    reason = getattr(failure, "reason", None) or getattr(failure, "strerror", None)
    return printable(str(reason or str(failure) or type(failure).__name__), 120)


def _context(trust_anchors: str) -> ssl.SSLContext:
    """Raises FetchFailed when the file cannot be used."""
    try:
        changed = Path(trust_anchors).stat().st_mtime_ns if trust_anchors else 0
        return _context_of(trust_anchors, changed)
    except OSError as failure:
        problem = f"the trust anchors {trust_anchors} cannot be used ({_reason(failure)})"
        raise FetchFailed(FetchKind.TLS, problem) from None


@lru_cache(maxsize=8)
def _context_of(trust_anchors: str, _changed: int) -> ssl.SSLContext:
    """Certificate and name are checked, TLS 1.2 at least; made once, since reading the system's anchors takes a while."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 8461 §3.3: by its SAN alone
    if trust_anchors:
        context.load_verify_locations(trust_anchors)
    return context

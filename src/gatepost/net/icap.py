"""A further virus scanner over ICAP (RFC 3507): RESPMOD with a preview, one connection a scan. Implements `tools.Scanner`.

The octets go as the body of a made-up HTTP response. 204 is clean, a 200 that replaces it means something was found.
Names of findings are in headers by custom only: X-Infection-Found, X-Virus-ID, X-Virus-Name, X-Violations-Found.
TLS, REQMOD and OPTIONS are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gatepost.mail.address import printable
from gatepost.net.clamd import Address, Endpoint
from gatepost.tools import Unavailable, Unscannable

CHUNK = 128 * 1024
MAX_HEADER = 16 * 1024
_STATUS = re.compile(rb"ICAP/1\.[0-9] ([0-9]{3})(?: ([^\r\n]*))?\r\n")
_THREAT = re.compile(r"Threat=([^;]+)")
_NAMES = ("x-infection-found", "x-virus-id", "x-virus-name", "x-violations-found")


class _Broken(Exception):
    """No answer, or none that is ICAP."""


@dataclass(slots=True, eq=False)
class Icap:
    """One service of one server."""

    url: str
    """``icap://127.0.0.1:1344/avscan``."""
    preview: int = 1024
    """Octets sent before the server says that it wants the rest; 0 sends all at once."""
    connections: int = 8
    largest_octets: int = 100 * 1024 * 1024
    connect_s: float = 3.0
    scan_s: float = 15.0
    _free: asyncio.Semaphore | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.endpoint, self.host = endpoint_of(self.url)

    endpoint: Endpoint = field(init=False)
    host: str = field(init=False)

    async def scan(self, octets: bytes) -> str | None:
        """The malware's name, None when it is clean. Raises Unavailable and Unscannable."""
        if len(octets) > self.largest_octets:
            raise Unscannable(f"{len(octets)} octets are more than the virus scanner is given")
        if self._free is None:
            self._free = asyncio.Semaphore(self.connections)
        async with self._free:
            try:
                status, header = await self._ask(octets)
            except (OSError, _Broken) as why:
                reason = (why.strerror if isinstance(why, OSError) else None) or "no answer that is ICAP"
                raise Unavailable(f"the virus scanner at {self.url} did not answer ({reason})") from None
        if status == 204:
            return None
        if status in (200, 201, 403):
            return _name(header)
        if status in (413, 418):
            raise Unscannable(f"the virus scanner at {self.url} will not take it ({status})")
        raise Unavailable(f"the virus scanner at {self.url} said {status}")

    async def _ask(self, octets: bytes) -> tuple[int, dict[str, str]]:
        try:
            async with asyncio.timeout(self.connect_s):
                reader, writer = await self.endpoint.connect()
        except TimeoutError:
            raise _Broken from None
        try:
            async with asyncio.timeout(self.scan_s):
                return await self._converse(reader, writer, octets)
        except TimeoutError:
            raise _Broken from None
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, octets: bytes
    ) -> tuple[int, dict[str, str]]:
        """RFC 3507 §4.5: the preview, and the rest after 100 Continue."""
        head = octets[: self.preview] if self.preview else octets
        whole = len(head) == len(octets)
        request = b"GET http://mail.invalid/attachment HTTP/1.1\r\nHost: mail.invalid\r\n\r\n"
        response = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n"
            % len(octets)
        )
        writer.write(
            f"RESPMOD {self.url} ICAP/1.0\r\nHost: {self.host}\r\nAllow: 204\r\nConnection: close\r\n".encode()
            + (b"Preview: %d\r\n" % len(head) if self.preview else b"")
            + b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d\r\n\r\n"
            % (len(request), len(request) + len(response))
            + request
            + response
        )
        try:
            await _chunks(writer, head)
            writer.write(b"0; ieof\r\n\r\n" if self.preview and whole else b"0\r\n\r\n")
            await writer.drain()
            status, header = await _answer(reader)
            if status == 100:
                await _chunks(writer, memoryview(octets)[len(head) :])
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                status, header = await _answer(reader)
        except (ConnectionResetError, BrokenPipeError):
            status, header = await _answer(reader)
        return status, header


def endpoint_of(url: str) -> tuple[Endpoint, str]:
    """Where an ``icap://`` address leads, and its Host. Raises Address."""
    try:
        parts = urlsplit(url)
        port = parts.port or 1344
    except ValueError:
        raise Address(f'"{url}" is no icap:// address') from None
    if parts.scheme != "icap" or not parts.hostname or not re.fullmatch(r"[!-~]+", url):
        raise Address(f'"{url}" is no icap:// address, such as icap://127.0.0.1:1344/avscan')
    return Endpoint(host=parts.hostname, port=port), parts.netloc


async def _chunks(writer: asyncio.StreamWriter, octets: bytes | memoryview) -> None:
    for at in range(0, len(octets), CHUNK):
        chunk = octets[at : at + CHUNK]
        writer.write(b"%x\r\n" % len(chunk))
        writer.write(chunk)
        writer.write(b"\r\n")
        await writer.drain()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and header of an answer. Raises _Broken."""
    try:
        header = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        raise _Broken from None
    status = _STATUS.match(header)
    if status is None or len(header) > MAX_HEADER:
        raise _Broken
    fields = {}
    for line in header.decode("latin-1").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    return int(status[1]), fields


def _name(header: dict[str, str]) -> str:
    for field_name in _NAMES:
        value = header.get(field_name)
        if value:
            threat = _THREAT.search(value)
            return printable(threat[1].strip() if threat else value, 100)
    return "something the virus scanner does not name"

"""ClamAV's daemon, asked over its socket: INSTREAM, one connection a scan (clamd(8)). Implements `tools.Scanner`.

With a connection for each scan there is nothing to mend when clamd is restarted between two. Answers are bounded; whatever is no clear answer is Unavailable.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import Protocol

from gatepost.mail.address import printable
from gatepost.tools import Unavailable, Unscannable

CHUNK = 128 * 1024
MAX_REPLY = 4096
_UNSCANNABLE = re.compile(r"Heuristics\.(?:Limits|Encrypted)\b")
"""What clamd reports as found, when told to, though it only could not look."""


class Address(ValueError):
    """What is wrong with an address in the configuration."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a daemon listens: a Unix socket, or a host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """``unix:/run/clamav/clamd.ctl`` or ``tcp:127.0.0.1:3310``. Raises Address."""
        kind, _, rest = text.partition(":")
        if kind == "unix" and rest.startswith("/"):
            return cls(path=rest)
        host, _, port = rest.rpartition(":")
        if kind == "tcp" and host and port.isdecimal() and 0 < int(port) < 65536:
            return cls(host=host.strip("[]"), port=int(port))
        raise Address(f'"{text}" is neither unix:/path nor tcp:host:port')

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection. Raises OSError."""
        if self.path:
            return await asyncio.open_unix_connection(self.path, limit=MAX_REPLY)
        return await asyncio.open_connection(self.host, self.port, limit=MAX_REPLY)

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"tcp:{self.host}:{self.port}"


class _Broken(Exception):
    """The connection ended before the answer: a restart, perhaps."""


@dataclass(slots=True, eq=False)
class Clamd:
    """One daemon."""

    endpoint: Endpoint
    connections: int = 8
    """Scans at once; clamd's own MaxThreads is 10."""
    largest_octets: int = 100 * 1024 * 1024
    """More is not sent: clamd's StreamMaxLength."""
    connect_s: float = 3.0
    scan_s: float = 15.0
    _free: asyncio.Semaphore | None = field(default=None, init=False)

    async def scan(self, octets: bytes) -> str | None:
        """The malware's name, None when it is clean. Raises Unavailable, and Unscannable when it is too much for clamd."""
        if len(octets) > self.largest_octets:
            raise Unscannable(f"{len(octets)} octets are more than the virus scanner is given")
        if self._free is None:
            self._free = asyncio.Semaphore(self.connections)
        async with self._free:
            try:
                try:
                    reply = await self._stream(octets)
                except _Broken:
                    reply = await self._stream(octets)  # it was restarted under our hands
            except (_Broken, OSError) as why:
                raise Unavailable(
                    f"the virus scanner at {self.endpoint} did not answer ({_reason(why)})"
                ) from None
            except TimeoutError:
                raise Unavailable(f"the virus scanner at {self.endpoint} did not answer in time") from None
        return self._meaning(reply)

    async def _stream(self, octets: bytes) -> str:
        async with asyncio.timeout(self.connect_s):
            reader, writer = await self.endpoint.connect()
        try:
            async with asyncio.timeout(self.scan_s):
                return await _instream(reader, writer, octets)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _meaning(self, reply: str) -> str | None:
        said = reply.removeprefix("stream: ")
        if said == "OK":
            return None
        if said.endswith(" FOUND"):
            name = printable(said.removesuffix(" FOUND"), 100)
            if _UNSCANNABLE.match(name):
                raise Unscannable(f"the virus scanner could not look at all of it ({name})")
            return name
        if "size limit exceeded" in said:
            raise Unscannable("it is larger than the virus scanner takes (StreamMaxLength of clamd)")
        raise Unavailable(f"the virus scanner at {self.endpoint} said: {printable(said, 100)}")


async def _instream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, octets: bytes) -> str:
    """The conversation. An answer that comes early, such as "too large", ends it."""
    # Listening from the start: what it says before it hangs up on too long a stream must not be lost.
    listening = asyncio.create_task(reader.readuntil(b"\0"))
    try:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            writer.write(b"zINSTREAM\0")
            view = memoryview(octets)
            for at in range(0, len(view), CHUNK):
                chunk = view[at : at + CHUNK]
                writer.write(len(chunk).to_bytes(4, "big"))
                writer.write(chunk)
                await writer.drain()
                await asyncio.sleep(0)  # other mail, and an early answer, have their turn
                if listening.done():
                    break
            else:
                writer.write(bytes(4))
                await writer.drain()
        reply = await listening
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        raise _Broken from None
    finally:
        listening.cancel()
    return reply.rstrip(b"\0").decode("utf-8", "replace").strip()


def _reason(why: Exception) -> str:
    return (why.strerror if isinstance(why, OSError) else None) or "it hung up"


class Engine(Protocol):
    """Anything that scans; the same as `tools.Scanner`."""

    async def scan(self, octets: bytes) -> str | None:
        """See `tools.Scanner`."""
        ...


@dataclass(frozen=True, slots=True)
class Engines:
    """Several scanners as one: what any of them finds is found, and what one cannot say nobody calls clean."""

    engines: tuple[Engine, ...]

    async def scan(self, octets: bytes) -> str | None:
        """See `tools.Scanner`."""
        answers = await asyncio.gather(*(one.scan(octets) for one in self.engines), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, str):
                return answer
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return None

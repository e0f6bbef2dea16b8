"""A mail server that does as it is told: for tests of everything that hands mail out."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

Answer = str | None
"""A reply, ``"die"`` to close without one, ``"silent"`` to say nothing, None for the usual one."""


@dataclass
class Peer:
    """Its script, and what it saw."""

    lmtp: bool = False
    keywords: tuple[str, ...] = (
        "PIPELINING",
        "8BITMIME",
        "SIZE 1000000",
        "SMTPUTF8",
        "DSN",
        "ENHANCEDSTATUSCODES",
    )
    answer: Callable[[str, str], Answer] = lambda verb, line: None
    """Verb: greeting, EHLO, HELO, LHLO, STARTTLS, MAIL, RCPT, DATA, message, RSET, QUIT; and the line."""
    tls: ssl.SSLContext | None = None
    tls_first: bool = False
    """TLS begins with the connection (RFC 8314), not by STARTTLS."""
    split: bool = False
    """Write each octet by itself."""
    die_in_body_after: int | None = None
    lines: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    """Where to listen; 0 takes a free one."""
    address: str = "127.0.0.1"

    @contextlib.asynccontextmanager
    async def serve(self, path: str | None = None) -> AsyncIterator[Peer]:
        tasks: set[asyncio.Task[None]] = set()

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.current_task())  # type: ignore[arg-type]
            self.connections += 1
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, Died, asyncio.CancelledError
            ):
                await self._talk(reader, writer)
            with contextlib.suppress(Exception):
                writer.close()
                await writer.wait_closed()

        if path:
            server = await asyncio.start_unix_server(meet, path, limit=1 << 22)
        else:
            first = self.tls if self.tls_first else None
            server = await asyncio.start_server(meet, self.address, self.port, limit=1 << 22, ssl=first)
            self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _say(self, writer: asyncio.StreamWriter, verb: str, line: str, usual: str) -> str:
        reply = self.answer(verb, line)
        reply = usual if reply is None else reply
        if reply == "die":
            raise Died
        if reply == "silent":
            await asyncio.Event().wait()
        octets = reply.replace("\n", "\r\n").encode() + b"\r\n"
        for part in [octets[at : at + 1] for at in range(len(octets))] if self.split else [octets]:
            writer.write(part)
            await writer.drain()
            if self.split:
                await asyncio.sleep(0)
        return reply

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, "greeting", "", "220 peer.test ESMTP")
        accepted = 0
        while True:
            line = (await reader.readuntil(b"\r\n")).decode().removesuffix("\r\n")
            self.lines.append(line)
            verb = line.split(" ")[0].upper()
            if verb in ("EHLO", "LHLO"):
                offered = [
                    *self.keywords,
                    *(["STARTTLS"] if self.tls and not writer.get_extra_info("ssl_object") else []),
                ]
                said = ["peer.test", *offered]
                usual = "\n".join(f"250{'-' if word is not said[-1] else ' '}{word}" for word in said)
                await self._say(writer, verb, line, usual)
            elif verb == "STARTTLS":
                if (await self._say(writer, verb, line, "220 2.0.0 go")).startswith("220") and self.tls:
                    await writer.start_tls(self.tls)
            elif verb == "MAIL":
                accepted = 0
                await self._say(writer, verb, line, "250 2.1.0 ok")
            elif verb == "RCPT":
                accepted += (await self._say(writer, verb, line, "250 2.1.5 ok")).startswith("2")
            elif verb == "DATA":
                usual = "354 go" if accepted else "503 5.5.1 no recipients"
                if (await self._say(writer, verb, line, usual)).startswith("354"):
                    await self._take_message(reader, writer, accepted)
            elif verb == "QUIT":
                await self._say(writer, verb, line, "221 2.0.0 bye")
                return
            else:
                await self._say(writer, verb, line, "250 2.0.0 ok")

    async def _take_message(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, accepted: int
    ) -> None:
        if self.die_in_body_after is not None:
            await reader.readexactly(self.die_in_body_after)
            writer.transport.abort()
            raise Died
        lines: list[bytes] = []
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        got = b"".join(lines)
        for _ in range(accepted if self.lmtp else 1):
            await self._say(writer, "message", "", "250 2.0.0 taken")
        self.messages.append(got)


class Died(Exception):
    """The script says: close now."""

"""Targets: what the servers that we ask may answer, and what strangers ask of our small web server."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import cast
from unittest.mock import patch

from gatepost.dns.answer import Answer, Status
from gatepost.mail.address import printable
from gatepost.net.clamd import MAX_REPLY, Clamd, Endpoint
from gatepost.net.directoryservice import PeopleSourceSettings, _person
from gatepost.net.directorysettings import GroupRoles
from gatepost.net.fetch import Fetched, FetchFailed, FetchLimits, fetch
from gatepost.net.icap import Icap
from gatepost.net.policyhost import PolicyHost, Proofs
from gatepost.tools import Scanner, Unavailable

NOW = 1_700_000_000.0


class Deaf:
    """A writer whose octets are only kept. Stands for asyncio.StreamWriter."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.transport = self

    def write(self, octets: bytes) -> None:
        self.written += octets

    async def drain(self) -> None:
        pass

    def close(self) -> None:
        pass

    abort = close

    async def wait_closed(self) -> None:
        pass


def line_with(octets: bytes, limit: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Deaf]:
    """A connection whose other side says this, whatever it hears, and hangs up. In a running loop."""
    reader, writer = asyncio.StreamReader(limit=limit), Deaf()
    reader.feed_data(octets)
    reader.feed_eof()
    return reader, cast("asyncio.StreamWriter", writer), writer


class Talker(Endpoint):
    """Every connection to it is such a line."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(path="/run/scanner")
        object.__setattr__(self, "octets", octets)

    __slots__ = ("octets",)
    octets: bytes

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return line_with(self.octets, MAX_REPLY)[:2]


def virus_scanners(octets: bytes) -> None:
    """What clamd or an ICAP server answers is a name that can be shown, nothing, or that it could not say."""
    icap = Icap("icap://127.0.0.1/avscan")
    icap.endpoint = Talker(octets)

    async def ask(scanner: Scanner) -> str | None:
        return await scanner.scan(b"x" * 2000)

    for scanner in (icap, Clamd(Talker(octets))):
        with suppress(Unavailable):
            found = asyncio.run(ask(scanner))
            assert found is None or found == printable(found, 100)


class Somewhere:
    """Every name has one address."""

    async def lookup(self, name: str, kind: str) -> Answer:
        return Answer(Status.FOUND, ("192.0.2.1",) if kind == "A" else ("2001:db8::1",))


def web_server(octets: bytes) -> None:
    """Whatever a web server answers, redirects among it: within the limits, or a failure in one sentence."""

    async def connect(*_: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return line_with(octets, 1 << 16)[:2]

    async def ask(redirects: int) -> Fetched:
        return await fetch(
            "https://mta-sts.example.org/.well-known/mta-sts.txt", resolver=Somewhere(), allow_private=True,
            limits=FetchLimits(octets=1000, header_octets=2000, redirects=redirects), clock=lambda: NOW,
        )  # fmt: skip

    with patch("gatepost.net.fetch._connect", connect):
        for redirects in (0, 2):
            with suppress(FetchFailed):
                got = asyncio.run(ask(redirects))
                assert len(got.body) <= 1000
                assert 200 <= got.status < 300


STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")


def policy_request(octets: bytes) -> None:
    """Whatever a stranger asks of the host of our policies: a few kinds of answer, and the policy of no other name."""
    proofs, asked = Proofs(), list[str]()
    proofs.file("token", "proof")

    def policy(domain: str) -> str | None:
        asked.append(domain)
        return "version: STSv1\n" if domain == "example.net" else None

    async def talk() -> bytes:
        host = PolicyHost(cast("socket.socket", None), proofs=proofs, policy=policy, tls=lambda: None)
        reader, writer, heard = line_with(octets, 1 << 16)
        await host._talk(reader, writer)
        return bytes(heard.written)

    said = asyncio.run(talk())
    assert said == b"" or STATUS.match(said)
    assert all(code in (b"200", b"400", b"404", b"405") for code in STATUS.findall(said))
    assert b"version: STSv1" not in said or "example.net" in asked


GROUP = "cn=mail admins,dc=example,dc=net"
DIRECTORY = PeopleSourceSettings(groups=(GroupRoles(group=GROUP, roles=()),))


def directory_entry(octets: bytes) -> None:
    """Whatever stands in a directory's entry: nobody, or somebody with an address and a key."""
    names = ("entryUUID", "mail", "displayName", "cn", "proxyAddresses", "memberOf", "uid", "userAccountControl",
             "accountExpires", "nsAccountLock", "pwdAccountLockedTime")  # fmt: skip
    attributes = {
        name.lower(): values.split(b"\n")
        for name, values in zip(names, octets.split(b"\0"), strict=False)
        if values
    }
    found = _person("uid=x,dc=example,dc=net", attributes, DIRECTORY, {GROUP: frozenset()})
    if found is not None:
        assert found.key
        assert "@" in found.login
        assert found.login in found.addresses
        assert found.name.isprintable()
        assert all(one.isprintable() for one in found.also)


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (virus_scanners, web_server, policy_request, directory_entry)
}
SEEDS: dict[str, tuple[bytes, ...]] = {
    "virus_scanners": (
        b"stream: Eicar-Test-Signature FOUND\0",
        b"stream: OK\0",
        b"INSTREAM size limit exceeded. ERROR\0",
        b"stream: Heuristics.Limits.Exceeded FOUND\0",
        b"ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n\r\n",
        b"ICAP/1.0 100 Continue\r\n\r\nICAP/1.0 204 No Content\r\nISTag: x\r\n\r\n",
    ),
    "web_server": (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 302 Found\r\nLocation: https://[::1]:8443/a?b#c\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: //example.com/%0d\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n",
    ),
    "policy_request": (
        b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.net:443\r\n\r\n",
        b"HEAD /.well-known/acme-challenge/token?x HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        b"GET http://mta-sts.example.net./.well-known/mta-sts.txt HTTP/1.0\r\n\r\n",
    ),
    "directory_entry": (
        b"1b4e28ba\0ana@example.net\0Ana\nAnna\0\0smtp:a@example.net\nx500:/o\0cn=mail admins, dc=example,dc=net\0ana\x00514\x00131000000000000000\0TRUE\x00000001010000Z",
        bytes(range(240, 256)) + b"\0SMTP:ana@b\xc3\xbccher.example\0\x1b[2J\0\0\0\0\0-2\0" + b"9" * 40,
    ),
}

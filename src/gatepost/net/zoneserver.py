"""A DNS server that serves a `Zone` on UDP and TCP: the demo brings its own answers, and tests ask over real sockets.

It plays a validating resolver: AD for what is ``$SECURE``, SERVFAIL for what is ``$BOGUS`` unless the question has CD
set, silence for ``$TIMEOUT``. Aliases are followed. Left out: everything else an authoritative server has.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from gatepost.dns.answer import Security
from gatepost.dns.names import is_subdomain
from gatepost.dns.zone import MAX_ALIASES, Zone

_MEMO_ENTRIES = 20_000
_IDLE_S = 10.0


class ZoneServer:
    """``async with ZoneServer(zone) as server: ... server.address``; never on anything but loopback."""

    def __init__(self, zone: Zone, *, port: int = 0) -> None:
        self.zone = zone
        self.port = port
        self.asked: deque[tuple[str, str]] = deque(maxlen=10_000)
        """The questions that came over UDP or TCP: name and type."""
        self.over_tcp = 0
        """How many of them came over TCP."""
        self._memo: dict[bytes, tuple[str, str, bytes | None]] = {}
        self._memo_of = -1
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """``127.0.0.1:port``, as `DnsSettings.servers` takes it."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> ZoneServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; with port 0 on a free one."""
        stream, datagrams = _bind(self.port)
        self.port = stream.getsockname()[1]
        self._tcp = await asyncio.start_server(self._connection, sock=stream)
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)

    async def stop(self) -> None:
        """Close everything."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
            await self._tcp.wait_closed()

    def respond(self, wire: bytes, *, over_tcp: bool = False) -> bytes | None:
        """The response to one message; None for silence."""
        if self._memo_of != self.zone.changes or len(self._memo) > _MEMO_ENTRIES:
            self._memo.clear()
            self._memo_of = self.zone.changes
        key = b"T" + wire[2:] if over_tcp else b"U" + wire[2:]
        if key not in self._memo:
            try:
                query = dns.message.from_wire(wire)
                asked = query.question[0]
            except (dns.exception.DNSException, ValueError, IndexError):
                return None
            response = self._response(query)
            limit = 65535 if over_tcp else max(512, min(query.payload if query.edns >= 0 else 512, 4096))
            packed = _pack(query, response, limit) if response is not None else None
            self._memo[key] = (_host(asked.name), dns.rdatatype.to_text(asked.rdtype), packed)
        name, kind, packed = self._memo[key]
        self.asked.append((name, kind))
        return wire[:2] + packed[2:] if packed is not None else None

    def _response(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        response = dns.message.make_response(query, recursion_available=True)
        kind = dns.rdatatype.to_text(question.rdtype)
        unchecked = bool(query.flags & dns.flags.CD)
        owner = question.name
        security = Security.SECURE
        for _ in range(MAX_ALIASES + 1):
            name = _host(owner)
            security = min(security, self.zone.security(name))
            problem = self.zone.problem(name, kind)
            if problem == "timeout":
                return None
            if problem or (security is Security.BOGUS and not unchecked):
                failure = dns.message.make_response(query, recursion_available=True)
                failure.set_rcode(dns.rcode.SERVFAIL)
                return failure
            records, ttl_s = self.zone.records(name, kind)
            if records:
                response.answer.append(_rrset(owner, kind, records, ttl_s))
                break
            records, ttl_s = self.zone.records(name, "CNAME")
            if not records:
                if self.zone.owner(name) is None:
                    response.set_rcode(dns.rcode.NXDOMAIN)
                response.authority.append(_soa(name, self.zone))
                break
            response.answer.append(_rrset(owner, "CNAME", records, ttl_s))
            owner = dns.name.from_text(records[0] + ".")
        else:
            response.set_rcode(dns.rcode.SERVFAIL)
        if security is Security.SECURE and not unchecked:
            response.flags |= dns.flags.AD
        return response

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                while True:
                    async with asyncio.timeout(_IDLE_S):
                        size = int.from_bytes(await reader.readexactly(2), "big")
                        wire = await reader.readexactly(size)
                    answer = self.respond(wire, over_tcp=True)
                    if answer is None:
                        continue
                    self.over_tcp += 1
                    writer.write(len(answer).to_bytes(2, "big") + answer)
                    await writer.drain()
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: ZoneServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.respond(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)


def _bind(port: int) -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on the same loopback port."""
    for _ in range(20):
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            stream.bind(("127.0.0.1", port))
            datagrams.bind(stream.getsockname())
        except OSError:
            stream.close()
            datagrams.close()
            if port:
                raise
            continue
        return stream, datagrams
    raise OSError("no port is free for both UDP and TCP")


def _host(name: dns.name.Name) -> str:
    return b".".join(name.labels[:-1]).lower().decode("latin-1")


def _pack(query: dns.message.Message, response: dns.message.Message, limit: int) -> bytes:
    try:
        return response.to_wire(max_size=limit, want_shuffle=False)
    except dns.exception.TooBig:
        short = dns.message.make_response(query)
        short.flags = response.flags | dns.flags.TC
        return short.to_wire()


def _rrset(owner: dns.name.Name, kind: str, records: tuple[str, ...], ttl_s: int) -> dns.rrset.RRset:
    number = dns.rdatatype.from_text(kind)
    rrset = dns.rrset.RRset(owner, dns.rdataclass.IN, number)
    for record in records:
        rrset.add(_rdata(number, record), ttl_s)
    return rrset


def _rdata(kind: dns.rdatatype.RdataType, record: str) -> dns.rdata.Rdata:
    """A record in the form of `Answer.records` as an rdata of dnspython."""
    if kind in (dns.rdatatype.TXT, dns.rdatatype.SPF):
        octets = record.encode("latin-1")
        parts = [octets[start : start + 255] for start in range(0, len(octets), 255)] or [b""]
        wire = b"".join(bytes((len(part),)) + part for part in parts)
        return dns.rdata.from_wire(dns.rdataclass.IN, kind, wire, 0, len(wire))
    if kind is dns.rdatatype.TLSA:
        usage, selector, matching, hexadecimal = record.split(" ")
        wire = bytes((int(usage), int(selector), int(matching))) + bytes.fromhex(hexadecimal)
        return dns.rdata.GenericRdata(dns.rdataclass.IN, kind, wire)
    if kind is dns.rdatatype.MX and record.endswith(" "):
        record += "."
    return dns.rdata.from_text(dns.rdataclass.IN, kind, record or ".", origin=dns.name.root, relativize=False)


def _soa(name: str, zone: Zone) -> dns.rrset.RRset:
    """The zone's own SOA, or one made up for the top: how long nothing lasts."""
    apex = name
    while apex and not zone.records(apex, "SOA")[0]:
        apex = apex.partition(".")[2]
    records, ttl_s = zone.records(apex, "SOA")
    if not records or not is_subdomain(name, apex):
        ttl_s = zone.negative_ttl(name)
        records = (f"zone. zone. 1 1 1 1 {ttl_s}",)
        apex = ""
    return _rrset(dns.name.from_text(apex + "."), "SOA", records, ttl_s)

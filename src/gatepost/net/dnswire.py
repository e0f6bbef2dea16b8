"""DNS messages as octets: what a stub resolver sends and understands (RFC 1035 §4, EDNS by RFC 6891).

Lean on purpose: decoding is what a lookup costs. Only records that answer the question are looked at;
rare types go through dnspython. Nothing here raises on what a network may send. Left out: zone transfer,
updates, signatures (a validating resolver checks those for us).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from socket import AF_INET6, inet_ntop

from gatepost.dns.answer import Answer, Security, Status
from gatepost.dns.names import is_subdomain, valid_query_name, visible

KINDS = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "MX": 15,
    "TXT": 16,
    "AAAA": 28,
    "SRV": 33,
    "DS": 43,
    "DNSKEY": 48,
    "TLSA": 52,
    "CAA": 257,
}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
MAX_ALIASES = 16
MAX_POINTERS = 32
"""Compression pointers followed in one name; a chain of them is only an attempt to waste our time."""
PAYLOAD_OCTETS = 1232
"""The UDP size that crosses any path unfragmented (DNS flag day 2020)."""

_RD, _AD, _CD = 0x0100, 0x0020, 0x0010
_QR, _TC = 0x8000, 0x0200
_OPT = struct.pack("!BHHIH", 0, 41, PAYLOAD_OCTETS, 0, 0)
_BOGUS_CODES = range(6, 13)
"""Extended errors that say validation failed: DNSSEC Bogus to NSEC Missing (RFC 8914 §4.7 to §4.13)."""
_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")


def question(name: str, kind: str) -> bytes | None:
    """The question section for a name in normal form; None when it cannot be asked."""
    number = KINDS.get(kind)
    if number is None or name.endswith(".") or not valid_query_name(name):
        return None
    labels = name.encode().split(b".") if name else []
    return b"".join([bytes((len(label),)) + label for label in labels]) + struct.pack("!BHH", 0, number, 1)


def query(identifier: int, asked: bytes, *, unchecked: bool = False, plain: bool = False) -> bytes:
    """A query for one question section. The AD bit asks to be told whether the answer was validated without
    asking for the signatures (RFC 6840 §5.7); `unchecked` sets CD; `plain` leaves EDNS out."""
    flags = _RD | _AD | _CD if unchecked else _RD | _AD
    return _HEADER.pack(identifier, flags, 1, 0, 0, 0 if plain else 1) + asked + (b"" if plain else _OPT)


@dataclass(slots=True)
class Response:
    """What one message says about the question."""

    rcode: int
    truncated: bool = False
    authentic: bool = False
    """The AD bit: worth what the server and the way to it are worth."""
    records: tuple[str, ...] = ()
    """In the form of `Answer.records`, the end of the chain of aliases only."""
    ttl_s: int = 0
    """The shortest of the chain; for a negative answer as RFC 2308 §5 says, 0 when the server does not say."""
    bogus: bool = False
    """An extended error says that validation failed."""
    alias: str = ""
    """Where the aliases lead to, when the message does not say what is there; `ttl_s` is then that of the aliases."""
    loop: bool = False

    def answer(self, trusted: bool) -> Answer:
        """As an answer; `trusted` when server and path may vouch for DNSSEC."""
        if self.rcode not in (NOERROR, NXDOMAIN):
            problems = {FORMERR: "formerr", SERVFAIL: "servfail", NOTIMP: "notimp", REFUSED: "refused"}
            problem = "bogus" if self.bogus else problems.get(self.rcode, f"rcode {self.rcode}")
            return failed(problem)
        if self.loop:
            return failed("cname loop")
        security = Security.INDETERMINATE
        if trusted:
            security = Security.SECURE if self.authentic else Security.INSECURE
        if self.records:
            return Answer(Status.FOUND, self.records, security, self.ttl_s)
        status = Status.NODATA if self.rcode == NOERROR else Status.NXDOMAIN
        return Answer(status, (), security, self.ttl_s)


def failed(problem: str) -> Answer:
    """No answer to be had."""
    return Answer(
        Status.FAILED, (), Security.BOGUS if problem == "bogus" else Security.INDETERMINATE, 0, problem
    )


def answers_question(wire: bytes, asked: bytes) -> bool:
    """Is this a response to exactly this question? (RFC 5452 §9.1; the identifier is the caller's to check.)"""
    if len(wire) < 12 + len(asked) or not wire[2] & 0x80 or wire[4:6] != b"\0\1":
        return False
    echoed = wire[12 : 12 + len(asked)]
    return echoed == asked or (echoed[-4:] == asked[-4:] and echoed.lower() == asked.lower())


def read(wire: bytes, asked: bytes) -> Response | None:
    """A message for which `answers_question` holds; None when it is malformed."""
    try:
        return _read(wire, asked)
    except (IndexError, struct.error, ValueError):
        return None


def _read(wire: bytes, asked: bytes) -> Response:
    _, flags, _, answers, authorities, additionals = _HEADER.unpack_from(wire)
    response = Response(flags & 15, bool(flags & _TC), bool(flags & _AD))
    if response.truncated:
        return response
    kind = int.from_bytes(asked[-4:-2], "big")
    name, position = _name(wire, 12)
    position += 4
    found: dict[str, list[tuple[int, int, int]]] = {}
    aliases: dict[str, tuple[str, int]] = {}
    asked_name = name
    for _ in range(answers):
        if wire[position] == 0xC0 and wire[position + 1] == 12:  # nearly always: the name asked for
            owner, position = asked_name, position + 2
        else:
            owner, position = _name(wire, position)
        number, in_class, ttl, length = _RECORD.unpack_from(wire, position)
        position += 10
        end = position + length
        if in_class == 1:
            if number == kind:
                found.setdefault(owner, []).append((_ttl(ttl), position, end))
            elif number == 5:
                aliases.setdefault(owner, (_host(wire, position, end), _ttl(ttl)))
        position = end
    if position > len(wire):
        raise ValueError("a record beyond the end")
    ttl = 0x7FFFFFFF
    hops = 0
    while name not in found and name in aliases:
        name, alias_ttl = aliases[name]
        ttl = min(ttl, alias_ttl)
        hops += 1
        if hops > MAX_ALIASES:
            response.loop = True
            return response
    if response.rcode == NOERROR and name in found:
        decode = _DECODERS.get(kind) or _other(kind)
        response.records = tuple([decode(wire, start, end) for _, start, end in found[name]])
        response.ttl_s = min(ttl, *(seconds for seconds, _, _ in found[name]))
        return response
    nothing = _read_rest(wire, position, authorities + additionals, name=name, response=response)
    if hops and nothing is None and response.rcode == NOERROR:
        response.alias, response.ttl_s = name, ttl
    else:
        response.ttl_s = min(ttl, nothing or 0)
    return response


def _read_rest(wire: bytes, position: int, count: int, *, name: str, response: Response) -> int | None:
    """The authority and additional sections: why something failed, and how long nothing lasts (None: not said)."""
    nothing = None
    for _ in range(count):
        owner, position = _name(wire, position)
        number, size, seconds, length = _RECORD.unpack_from(wire, position)
        position += 10
        end = position + length
        if end > len(wire):
            raise ValueError("a record beyond the end")
        if number == 6 and size == 1 and is_subdomain(name, owner) and length >= 22:
            minimum = int.from_bytes(wire[end - 4 : end], "big")
            nothing = min(_ttl(seconds), _ttl(minimum))
        elif number == 41:
            response.rcode |= seconds >> 24 << 4
            response.bogus = response.rcode == SERVFAIL and _says_bogus(wire[position:end])
        position = end
    return nothing


def _says_bogus(options: bytes) -> bool:
    """Does an extended error option (RFC 8914) say that validation failed?"""
    position = 0
    while position + 4 <= len(options):
        code, length = struct.unpack_from("!HH", options, position)
        if code == 15 and length >= 2 and position + 6 <= len(options):
            info = int.from_bytes(options[position + 4 : position + 6], "big")
            if info in _BOGUS_CODES:
                return True
        position += 4 + length
    return False


def _ttl(seconds: int) -> int:
    """RFC 2181 §8: with the top bit set it counts as zero."""
    return seconds if seconds < 0x80000000 else 0


def _name(wire: bytes, position: int) -> tuple[str, int]:
    """The name at a position, lower case, and where the next field starts (RFC 1035 §4.1.4)."""
    labels = []
    octets = pointers = after = 0
    while length := wire[position]:
        if length < 64:
            label = wire[position + 1 : position + 1 + length]
            position += 1 + length
            octets += 1 + length
            if octets > 254 or len(label) < length:
                raise ValueError("name too long")
            # A dot inside a label must not look like one between labels.
            labels.append(label.replace(b".", b"\\.") if b"." in label else label)
        elif length >= 192:
            target = (length & 63) << 8 | wire[position + 1]
            after = after or position + 2
            pointers += 1
            if target >= position or pointers > MAX_POINTERS:
                raise ValueError("a pointer that does not lead back")
            position = target
        else:
            raise ValueError("unknown label type")
    return visible(b".".join(labels).lower().decode("latin-1")), after or position + 1


def _host(wire: bytes, start: int, end: int) -> str:
    name, after = _name(wire, start)
    if after != end:
        raise ValueError("a name that does not fill its record")
    return name


def _a(wire: bytes, start: int, end: int) -> str:
    if end - start != 4:
        raise ValueError("an A record of the wrong length")
    return "%d.%d.%d.%d" % (wire[start], wire[start + 1], wire[start + 2], wire[start + 3])  # noqa: UP031 - faster


def _aaaa(wire: bytes, start: int, end: int) -> str:
    return inet_ntop(AF_INET6, wire[start:end])


def _mx(wire: bytes, start: int, end: int) -> str:
    return f"{wire[start] << 8 | wire[start + 1]} {_host(wire, start + 2, end)}"


def _txt(wire: bytes, start: int, end: int) -> str:
    parts = []
    while start < end:
        following = start + 1 + wire[start]
        parts.append(wire[start + 1 : following])
        start = following
    if start != end:
        raise ValueError("a string beyond its record")
    return b"".join(parts).decode("latin-1")


def _soa(wire: bytes, start: int, end: int) -> str:
    source, start = _name(wire, start)
    mailbox, start = _name(wire, start)
    if end - start != 20:
        raise ValueError("a SOA record of the wrong length")
    return " ".join([source, mailbox, *map(str, struct.unpack_from("!5I", wire, start))])


def _tlsa(wire: bytes, start: int, end: int) -> str:
    if end - start < 3:
        raise ValueError("a TLSA record of the wrong length")
    return f"{wire[start]} {wire[start + 1]} {wire[start + 2]} {wire[start + 3 : end].hex()}"


_DECODERS: dict[int, Callable[[bytes, int, int], str]] = {
    1: _a,
    2: _host,
    5: _host,
    6: _soa,
    12: _host,
    15: _mx,
    16: _txt,
    28: _aaaa,
    52: _tlsa,
}


def _other(kind: int) -> Callable[[bytes, int, int], str]:
    import dns.exception
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    from gatepost.dns.zone import record_text

    def decode(wire: bytes, start: int, end: int) -> str:
        try:
            return record_text(
                dns.rdata.from_wire(
                    dns.rdataclass.IN, dns.rdatatype.RdataType.make(kind), wire, start, end - start
                )
            )
        except dns.exception.DNSException as error:
            raise ValueError(str(error)) from None

    return decode

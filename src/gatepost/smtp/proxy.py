"""The PROXY protocol header, versions 1 and 2: a front tells whose connection it passes on.

After the specification that HAProxy publishes (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
Only TCP over IPv4 and IPv6 names a client; UNKNOWN, LOCAL, UDP and Unix sockets mean "the front itself".
The extra fields of version 2 (TLVs, with their checksum) are skipped: nothing here depends on them.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from gatepost.mail.client import IpAddress

LONGEST_V1 = 107
"""Octets of the longest version 1 header, CRLF included (§2.1)."""
LONGEST_V2 = 16 + 8192
"""The most we read of version 2; the length field would allow 64 KiB, and nobody needs it."""
SIGNATURE_V2 = b"\r\n\r\n\x00\r\nQUIT\n"

_V1_START = b"PROXY "
_PORT = r"(0|[1-9][0-9]{0,4})"
_V1 = re.compile(
    rf"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]{{2,39}}) ([0-9A-Fa-f.:]{{2,39}}) {_PORT} {_PORT}\r\n".encode()
)
_V2_FIXED = struct.Struct("!12sBBH")


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A whole header. The client's own octets start at `length`."""

    length: int
    ip: IpAddress | None
    """The client it names; None when the front speaks for itself (LOCAL, UNKNOWN)."""
    port: int = 0


@dataclass(frozen=True, slots=True)
class NotProxy:
    """These octets are no PROXY header, nor the beginning of one."""

    reason: str


class Incomplete:
    """A good beginning; more octets are needed."""


INCOMPLETE = Incomplete()


def parse_proxy(octets: bytes) -> ProxyHeader | NotProxy | Incomplete:
    """Read the header at the start of `octets`; never raises, never looks further than `LONGEST_V2`.

    Whatever comes before the final CRLF (version 1) or within the announced length (version 2) belongs to the
    header, so a reader may consume all octets of an `INCOMPLETE` answer.
    """
    if octets[:12] == SIGNATURE_V2:
        return _parse_v2(octets)
    if octets[:6] == _V1_START:
        return _parse_v1(octets)
    if SIGNATURE_V2.startswith(octets) or _V1_START.startswith(octets):
        return INCOMPLETE
    return NotProxy("no PROXY header")


def _parse_v1(octets: bytes) -> ProxyHeader | NotProxy | Incomplete:
    end = octets.find(b"\r\n", 0, LONGEST_V1)
    if end < 0:
        return INCOMPLETE if len(octets) < LONGEST_V1 else NotProxy("version 1 header without an end")
    line = octets[: end + 2]
    if line[6:14] in {b"UNKNOWN\r", b"UNKNOWN "}:
        return ProxyHeader(len(line), None)
    match = _V1.fullmatch(line)
    if match is None:
        return NotProxy("malformed version 1 header")
    family: type[IPv4Address | IPv6Address] = IPv4Address if match[1] == b"TCP4" else IPv6Address
    port = int(match[4])
    try:
        source = family(match[2].decode())
        family(match[3].decode())
    except ValueError:
        return NotProxy("malformed address in a version 1 header")
    if port > 65535 or int(match[5]) > 65535:
        return NotProxy("malformed port in a version 1 header")
    return ProxyHeader(len(line), unmapped(source), port)


def _parse_v2(octets: bytes) -> ProxyHeader | NotProxy | Incomplete:
    if len(octets) < 16:
        return INCOMPLETE
    _, version_command, family, size = _V2_FIXED.unpack_from(octets)
    if version_command not in {0x20, 0x21}:
        return NotProxy("unknown version or command")
    if 16 + size > LONGEST_V2:
        return NotProxy("version 2 header longer than we read")
    if len(octets) < 16 + size:
        return INCOMPLETE
    if version_command == 0x20:
        return ProxyHeader(16 + size, None)
    if family == 0x11:
        if size < 12:
            return NotProxy("version 2 header too short for IPv4")
        return ProxyHeader(16 + size, IPv4Address(octets[16:20]), int.from_bytes(octets[24:26], "big"))
    if family == 0x21:
        if size < 36:
            return NotProxy("version 2 header too short for IPv6")
        return ProxyHeader(
            16 + size, unmapped(IPv6Address(octets[16:32])), int.from_bytes(octets[48:50], "big")
        )
    return ProxyHeader(16 + size, None)


def unmapped(ip: IpAddress) -> IpAddress:
    """An IPv4 address that was dressed as IPv6 (``::ffff:192.0.2.1``) is the IPv4 address."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip

"""What is in a TNEF container, Outlook's winmail.dat: bodies and attachments (MS-OXTNEF, MS-OXRTFCP).

Bounded, and without errors: what cannot be read ends the reading. Calendar and contact properties are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

TNEF_TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
SIGNATURE = b"\x78\x9f\x3e\x22"
MAX_FOUND = 200
MAX_ATTRIBUTES = 5000
MAX_PROPERTIES = 2000
MAX_DEPTH = 5
MAX_RTF = 2_000_000

ATTRIBUTE = Struct("<BII")  # level, name and type, length
U16, U32 = Struct("<H"), Struct("<I")

# MS-OXTNEF §2.1.3.1: attributes by name and type.
ATTACH_BEGINS, ATTACH_TITLE, ATTACH_DATA, ATTACH_PROPS = 0x00069002, 0x00018010, 0x0006800F, 0x00069005
MESSAGE_PROPS, MESSAGE_BODY = 0x00069003, 0x0002800C
# MS-OXPROPS: properties by number.
BODY, RTF, HTML = 0x1000, 0x1009, 0x1013
DISPLAY_NAME, ATTACHED, SHORT_NAME, LONG_NAME, MIME_TAG = 0x3001, 0x3701, 0x3704, 0x3707, 0x370E
# MS-OXCDATA §2.11.1: sizes of property types, padded to four octets.
FIXED = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
VARIABLE = frozenset({0x0D, 0x1E, 0x1F, 0x102})
OBJECT, UNICODE = 0x0D, 0x1F

# MS-OXRTFCP §2.1.2.1: what the dictionary holds at first.
PRELOADED = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbol"
    rb"ArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


class Found(NamedTuple):
    """A body (without a name) or an attachment."""

    name: str
    content_type: str
    octets: bytes


def read_tnef(octets: bytes) -> list[Found]:
    """Everything in the container, embedded messages included, at most MAX_FOUND; never raises."""
    found: list[Found] = []
    _read(octets, found, 0)
    return found


def _read(octets: bytes, found: list[Found], depth: int) -> None:
    name, data = "", b""
    open_attachment = False
    for attribute, value in _attributes(octets):
        if len(found) >= MAX_FOUND:
            return
        if attribute == ATTACH_BEGINS:
            if open_attachment and data:
                found.append(Found(name or "unnamed", "application/octet-stream", data))
            name, data, open_attachment = "", b"", True
        elif attribute == ATTACH_TITLE:
            name = name or _text(value, 0x1E)
        elif attribute == ATTACH_DATA:
            data = value
        elif attribute == ATTACH_PROPS:
            long_name, attached = _attached(value, found, depth)
            name, data = long_name or name, attached or data
        elif attribute == MESSAGE_BODY:
            found.append(Found("", "text/plain", value.rstrip(b"\0")))
        elif attribute == MESSAGE_PROPS:
            found += _bodies(value)
    if open_attachment and data:
        found.append(Found(name or "unnamed", "application/octet-stream", data))


def _attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = octets.find(SIGNATURE, 0, 64) + 6
    if at < 6:
        return
    for _ in range(MAX_ATTRIBUTES):
        if at + ATTRIBUTE.size > len(octets):
            return
        _, attribute, length = ATTRIBUTE.unpack_from(octets, at)
        at += ATTRIBUTE.size
        yield attribute, octets[at : at + length]
        at += length + 2


def _attached(props: bytes, found: list[Found], depth: int) -> tuple[str, bytes]:
    """Name and octets of an attachment; an embedded message is read itself."""
    names: dict[int, str] = {}
    data = b""
    for number, kind, value in _properties(props):
        if number in (LONG_NAME, SHORT_NAME, DISPLAY_NAME):
            names[number] = _text(value, kind)
        elif number == ATTACHED:
            data = value[16:] if kind == OBJECT else value
    if SIGNATURE in data[:64] and depth < MAX_DEPTH:
        _read(data, found, depth + 1)
        data = b""
    return names.get(LONG_NAME) or names.get(SHORT_NAME) or names.get(DISPLAY_NAME) or "", data


def _bodies(props: bytes) -> list[Found]:
    found = []
    for number, kind, value in _properties(props):
        if number == BODY:
            octets = _text(value, kind).encode() if kind == UNICODE else value.rstrip(b"\0")
            found.append(Found("", "text/plain", octets))
        elif number == HTML:
            octets = _text(value, kind).encode() if kind == UNICODE else value
            found.append(Found("", "text/html", octets))
        elif number == RTF:
            found.append(Found("", "text/rtf", decompress_rtf(value)))
    return [one for one in found if one.octets]


def _properties(props: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, type and first value of each property."""
    if len(props) < 4:
        return
    at = 4
    for _ in range(min(U32.unpack_from(props)[0], MAX_PROPERTIES)):
        if at + 4 > len(props):
            return
        kind, number = U16.unpack_from(props, at)[0], U16.unpack_from(props, at + 2)[0]
        at += 4
        if number >= 0x8000:
            at = _behind_name(props, at)
        if kind in FIXED:
            at += FIXED[kind]
            continue
        if kind & 0xFFF in FIXED and kind & 0x1000:
            count = _u32(props, at)
            at += 4 + count * FIXED[kind & 0xFFF]
            continue
        if kind & 0xFFF not in VARIABLE:
            return
        count = _u32(props, at)
        at += 4
        for place in range(min(count, MAX_PROPERTIES)):
            length = _u32(props, at)
            at += 4
            if place == 0:
                yield number, kind & 0xFFF, props[at : at + length]
            at += length + -length % 4
            if at > len(props):
                return


def _behind_name(props: bytes, at: int) -> int:
    """A named property has its name before its value: a set, and a number or a text."""
    if _u32(props, at + 16) == 0:
        return at + 24
    length = _u32(props, at + 20)
    return at + 24 + length + -length % 4


def _u32(octets: bytes, at: int) -> int:
    value: int = U32.unpack_from(octets, at)[0] if at + 4 <= len(octets) else 0
    return value


def _text(value: bytes, kind: int) -> str:
    text = value.decode("utf-16-le" if kind == UNICODE else "cp1252", "replace")
    return text.partition("\0")[0].strip()


def decompress_rtf(octets: bytes) -> bytes:
    """Compressed RTF (MS-OXRTFCP §2.2), at most MAX_RTF octets of it; never raises."""
    if len(octets) < 16:
        return b""
    if octets[8:12] == b"MELA":
        return octets[16 : 16 + MAX_RTF]
    if octets[8:12] != b"LZFu":
        return b""
    # The dictionary is a ring of 4096 octets; all output behind what is preloaded serves as well.
    out = bytearray(PRELOADED)
    size = min(_u32(octets, 4), MAX_RTF) + len(PRELOADED)
    at = 16
    while at < len(octets) and len(out) < size:
        flags = octets[at]
        at += 1
        for bit in range(8):
            if flags >> bit & 1:
                if at + 1 >= len(octets):
                    return bytes(out[len(PRELOADED) : size])
                token = octets[at] << 8 | octets[at + 1]
                at += 2
                distance = (len(out) - (token >> 4)) % 4096 or 4096
                if token >> 4 == len(out) % 4096 or distance > len(out):
                    return bytes(out[len(PRELOADED) : size])  # its mark of the end
                for _ in range((token & 15) + 2):
                    out.append(out[-distance])
            elif at < len(octets):
                out.append(octets[at])
                at += 1
    return bytes(out[len(PRELOADED) : size])

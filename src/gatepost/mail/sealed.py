"""What is in an envelope of cryptography: signed, packed and locked messages and files.

CMS, the format of S/MIME and of signed documents (RFC 5652, RFC 3274, RFC 8551): a signature hides nothing, and clients
show what is within. Of an OpenPGP message (RFC 9580) only is known that it is one. No signature is verified here.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import NamedTuple

CMS_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime", "application/cms"})
CMS_ENDINGS = (".p7m", ".p7z")
"""RFC 8551 §3.2.1: where the type says nothing, the ending does."""
PGP_BEGINS = b"-----BEGIN PGP MESSAGE"
PGP_ENDINGS = (".pgp", ".gpg")
MAX_ELEMENTS = 200_000
ELEMENTS_FOR_OCTETS = 50
"""Programs write pieces of hundreds of octets at least; whoever writes smaller ones wants our time."""
LEAST_ELEMENTS = 200
MAX_DEPTH = 24
MOST_UNPACKED = 64 << 20

# RFC 5652 §5.1, §6.1, §8, RFC 5083 §2.1, RFC 3274 §1.1: what is in a ContentInfo, as its identifier is encoded.
_CMS = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07"
_SMIME = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01"
_SIGNED = _CMS + b"\2"
_LOCKED = frozenset({_CMS + b"\3", _CMS + b"\6", _SMIME + b"\x17"})
_PACKED = _SMIME + b"\x09"
_IDENTIFIER, _SEQUENCE, _EXPLICIT = 0x06, 0x30, 0xA0
_CONSTRUCTED = 0x20


class Opened(NamedTuple):
    """An envelope, and what is in it."""

    how: str
    """``signed``, ``packed``, ``locked``, or ``unknown`` for what is no such envelope or a broken one."""
    octets: bytes = b""
    """What was signed or packed: a whole MIME entity, or a file; empty for a signature that stands apart from it."""
    cut: bool = False
    """There is more in it than is unpacked."""


def open_cms(octets: bytes) -> Opened:
    """One layer of CMS opened; bounded, and never raises."""
    reader = _Reader(octets, min(MAX_ELEMENTS, len(octets) // ELEMENTS_FOR_OCTETS + LEAST_ELEMENTS))
    try:
        kind, content = reader.tagged(reader.element(0, len(octets), 0))
        if kind in _LOCKED:
            return Opened("locked")
        if kind not in (_SIGNED, _PACKED) or content is None:
            return Opened("unknown")
        for one in reader.children(content):
            # A version and algorithms first; the first sequence that names a type holds the content.
            if one.tag == _SEQUENCE and not (kind == _PACKED and reader.is_algorithm(one)):
                held = reader.tagged(one)[1]
                inside = b"" if held is None else reader.string(held)
                return Opened("signed", inside) if kind == _SIGNED else _unpacked(inside)
    except _Broken:
        pass
    return Opened("unknown")


def is_pgp_message(head: bytes, name: str) -> bool:
    """By its first octets, or, where it is not armoured, by its name."""
    start = head.lstrip()
    if start.startswith(PGP_BEGINS):
        return True
    return name.lower().endswith(PGP_ENDINGS) and not start.startswith(b"-----BEGIN")


def inner_name(name: str) -> str:
    """What a signed file is called once it is taken out: ``offer.pdf`` of ``offer.pdf.p7m``."""
    return re.sub(r"\.p7[mz]\Z", "", name, flags=re.IGNORECASE) if "." in name[:-4] else ""


def _unpacked(octets: bytes) -> Opened:
    engine = zlib.decompressobj()
    try:
        return Opened("packed", engine.decompress(octets, MOST_UNPACKED), not engine.eof)
    except zlib.error:
        return Opened("unknown")


class _Broken(ValueError):
    """Not as X.690 says, or longer than anybody writes."""


class _Element(NamedTuple):
    tag: int
    start: int
    end: int
    after: int
    depth: int


@dataclass(slots=True)
class _Reader:
    """Elements of BER (X.690 §8.1), lengths left open among them, which mail programs write."""

    octets: bytes
    left: int

    def element(self, at: int, end: int, depth: int) -> _Element:
        """The one that begins at `at`."""
        self.left -= 1
        if at + 2 > end or self.left < 0 or depth > MAX_DEPTH:
            raise _Broken
        tag, length = self.octets[at], self.octets[at + 1]
        at += 2
        if length == 0x80:
            stop = at
            while self.octets[stop : stop + 2] != b"\0\0":
                stop = self.element(stop, end, depth + 1).after
            return _Element(tag, at, stop, stop + 2, depth)
        if length > 0x80:
            count = length & 0x7F
            length = int.from_bytes(self.octets[at : at + count], "big")
            at += count
        # What is cut short is read as far as it goes.
        stop = min(at + length, end)
        if at > end:
            raise _Broken
        return _Element(tag, at, stop, stop, depth)

    def children(self, above: _Element) -> list[_Element]:
        """Those within, in order."""
        found, at = [], above.start
        while at < above.end:
            found.append(self.element(at, above.end, above.depth + 1))
            at = found[-1].after
        return found

    def tagged(self, sequence: _Element) -> tuple[bytes, _Element | None]:
        """A sequence of an identifier and what it explains, in a tag of its own: a ContentInfo (RFC 5652 §3)."""
        inside = self.children(sequence)
        if sequence.tag != _SEQUENCE or not inside or inside[0].tag != _IDENTIFIER:
            raise _Broken
        kind = self.octets[inside[0].start : inside[0].end]
        held = self.children(inside[1]) if len(inside) > 1 and inside[1].tag == _EXPLICIT else []
        return kind, held[0] if held else None

    def is_algorithm(self, sequence: _Element) -> bool:
        """An AlgorithmIdentifier: an identifier with parameters, or alone."""
        inside = self.children(sequence)
        return not any(one.tag == _EXPLICIT for one in inside)

    def string(self, element: _Element) -> bytes:
        """The octets of a string in one piece or in many."""
        if not element.tag & _CONSTRUCTED:
            return self.octets[element.start : element.end]
        return b"".join(map(self.string, self.children(element)))

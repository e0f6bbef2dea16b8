"""Deflate64, zip's method 9 (APPNOTE §4.4.5): deflate (RFC 1951) with a window of 64 KB, longer matches and two more distances.

No library here unpacks it, and Windows makes it of large files. Plain Python, a megabyte or two a second: callers bound
what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence

_LENGTHS = (
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    13,
    15,
    17,
    19,
    23,
    27,
    31,
    35,
    43,
    51,
    59,
    67,
    83,
    99,
    115,
    131,
    163,
    195,
    227,
    3,
)
_LENGTH_BITS = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 16)
_DISTANCES = (
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193,
    12289, 16385, 24577, 32769, 49153,
)  # fmt: skip
_DISTANCE_BITS = tuple(max(0, (place >> 1) - 1) for place in range(32))
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
"""In which the lengths of the code for lengths are written (RFC 1951 §3.2.7)."""
_LONGEST = 15
_Code = dict[int, int]
"""A code word with a one in front of it, so that its length shows, to what it stands for."""


class Damaged(ValueError):
    """These octets were not made by deflate64."""


def inflate64(packed: bytes | memoryview, room: int) -> tuple[bytes, int, bool]:
    """At most about `room` octets, how many packed ones that took, and whether there are more. Raises Damaged."""
    bits = _Bits(bytes(packed))
    out = bytearray()
    last = False
    while not last and len(out) < room:
        last = bool(bits.take(1))
        kind = bits.take(2)
        if kind == 0:
            out += bits.stored()
        elif kind == 1:
            _block(bits, out, _FIXED, _FIXED_DISTANCES, room)
        elif kind == 2:
            _block(bits, out, *_codes(bits), room)
        else:
            raise Damaged("a block of no known kind")
    return bytes(out[:room]), bits.at, not last or len(out) > room


class _Bits:
    """The bits of the octets, the lowest first."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.at = 0
        self.held = 0
        self.count = 0

    def take(self, count: int) -> int:
        """So many as a number."""
        while self.count < count:
            if self.at >= len(self.octets):
                raise Damaged("it ends early")
            self.held |= self.octets[self.at] << self.count
            self.at += 1
            self.count += 8
        value = self.held & (1 << count) - 1
        self.held >>= count
        self.count -= count
        return value

    def word(self, code: _Code) -> int:
        """What the next code word stands for."""
        word = 1
        for _ in range(_LONGEST):
            word = word << 1 | self.take(1)
            if word in code:
                return code[word]
        raise Damaged("a code that stands for nothing")

    def stored(self) -> bytes:
        """A block that is not packed (RFC 1951 §3.2.4)."""
        self.take(self.count & 7)
        length, check = self.take(16), self.take(16)
        if length != check ^ 0xFFFF:
            raise Damaged("a stored block whose length is wrong")
        self.at -= self.count >> 3
        self.held = self.count = 0
        octets = self.octets[self.at : self.at + length]
        if len(octets) < length:
            raise Damaged("it ends early")
        self.at += length
        return octets


def _code(lengths: Sequence[int]) -> _Code:
    """Code words in their order, from their lengths (RFC 1951 §3.2.2)."""
    code: _Code = {}
    word = 0
    for length in range(1, _LONGEST + 1):
        word <<= 1
        for value, each in enumerate(lengths):
            if each == length:
                code[1 << length | word] = value
                word += 1
        if word > 1 << length:
            raise Damaged("more codes than there can be")
    return code


_FIXED = _code([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8)
_FIXED_DISTANCES = _code([5] * 32)


def _codes(bits: _Bits) -> tuple[_Code, _Code]:
    """Those of a block that brings its own (RFC 1951 §3.2.7)."""
    literals, distances, count = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    lengths = [0] * 19
    for place in _ORDER[:count]:
        lengths[place] = bits.take(3)
    code = _code(lengths)
    found: list[int] = []
    while len(found) < literals + distances:
        value = bits.word(code)
        if value < 16:
            found.append(value)
        elif value == 16:
            if not found:
                raise Damaged("a length is to be repeated, and there is none")
            found += [found[-1]] * (3 + bits.take(2))
        else:
            found += [0] * (3 + bits.take(3) if value == 17 else 11 + bits.take(7))
    return _code(found[:literals]), _code(found[literals : literals + distances])


def _block(bits: _Bits, out: bytearray, literals: _Code, distances: _Code, room: int) -> None:
    """One block; it may go beyond `room` by one match."""
    while len(out) <= room:
        value = bits.word(literals)
        if value < 256:
            out.append(value)
            continue
        if value == 256:
            return
        if value > 285:
            raise Damaged("a length that there is not")
        length = _LENGTHS[value - 257] + bits.take(_LENGTH_BITS[value - 257])
        place = bits.word(distances)
        distance = _DISTANCES[place] + bits.take(_DISTANCE_BITS[place])
        if distance > len(out):
            raise Damaged("it repeats what was never there")
        start = len(out) - distance
        if distance >= length:
            out += out[start : start + length]
        else:
            piece = bytes(out[start:])
            out += (piece * (length // distance + 1))[:length]

"""Canonical forms of header fields and bodies, and the body's hash (RFC 6376 §3.4).

Everything here is linear in the message, whatever stands in it: no pattern ever looks at a run of
blanks twice. Bodies are hashed in pieces that end at a line's end, so that no large copy is made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

from gatepost.mail.message import HeaderField, Message

PIECE = 262_144
"""Octets of a body that are canonicalised at once."""
BLANKS = re.compile(rb"[ \t]+")
# Read backwards: what the two algorithms ignore at the end of a body.
EMPTY_LINES = re.compile(rb"(?:\n\r)*+")
BLANK_LINES = re.compile(rb"(?:[ \t]++|\n\r)*+")


class Canonical:
    """One message in its canonical forms; body hashes are computed once and shared by all signatures."""

    __slots__ = ("_hashes", "_plain", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        octets, header_end = message.octets, message.body_start
        self._plain = (
            "bare-cr" not in message.defects
            and "bare-lf" not in message.defects
            and octets.find(b"\x0b", 0, header_end) < 0
            and octets.find(b"\x0c", 0, header_end) < 0
        )
        """Is every octet that bytes.split() parts words at a blank to DKIM too?"""
        self._hashes: dict[tuple[bool, str, int | None], tuple[bytes, int]] = {}

    def field(self, header_field: HeaderField, *, relaxed: bool) -> bytes:
        """A header field in its canonical form with its CRLF (RFC 6376 §3.4.1, §3.4.2)."""
        if not relaxed:
            raw = self.message.raw(header_field)
            return raw if raw.endswith(b"\r\n") else raw + b"\r\n"
        value = self.message.octets[header_field.colon + 1 : header_field.end]
        return b"%b:%b\r\n" % (header_field.name, self._relaxed_value(value))

    def unsigned_field(self, header_field: HeaderField, *, relaxed: bool) -> bytes:
        """A signature's own field as it was signed: without the value of b= and the last CRLF (RFC 6376 §3.7)."""
        value = self.message.octets[header_field.colon + 1 : header_field.end]
        value = without_signature(value.removesuffix(b"\r\n"))
        if relaxed:
            return b"%b:%b" % (header_field.name, self._relaxed_value(value))
        return self.message.octets[header_field.start : header_field.colon + 1] + value

    def signed_fields(
        self, names: Sequence[bytes], own: HeaderField | None = None, *, relaxed: bool
    ) -> list[bytes]:
        """The fields that h= names, in its order; repeated names go from the bottom up (RFC 6376 §5.4.2).

        A name without a field left stands for nothing. `own` is the signature's field, never signed here.
        """
        left: dict[bytes, list[HeaderField]] = {}
        signed = []
        for name in names:
            unused = left.get(name)
            if unused is None:
                unused = left[name] = [each for each in self.message.named(name) if each is not own]
            if unused:
                signed.append(self.field(unused.pop(), relaxed=relaxed))
        return signed

    def body_hash(self, *, relaxed: bool, algorithm: str, length: int | None = None) -> tuple[bytes, int]:
        """The digest of the body's first `length` canonical octets (None: of all), and how many there are in all."""
        key = (relaxed, algorithm, length)
        if key not in self._hashes:
            digest = hashlib.new(algorithm, usedforsecurity=False)
            total = 0
            for piece in canonical_body(self.message.octets, self.message.body_start, relaxed=relaxed):
                if length is None:
                    digest.update(piece)
                elif length > total:
                    digest.update(piece[: length - total])
                total += len(piece)
            self._hashes[key] = digest.digest(), total
        return self._hashes[key]

    def _relaxed_value(self, value: bytes) -> bytes:
        if self._plain:
            return b" ".join(value.split())
        return BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def canonical_body(octets: bytes, start: int, *, relaxed: bool) -> Iterator[bytes | memoryview]:
    """The canonical form of the body at `start`, in pieces (RFC 6376 §3.4.3, §3.4.4)."""
    end = _end_of_content(octets, start, BLANK_LINES if relaxed else EMPTY_LINES)
    if not relaxed:
        yield memoryview(octets)[start:end]
        yield b"\r\n"
    elif end > start:
        yield from _relaxed_pieces(octets, start, end)
        yield b"\r\n"


def without_signature(value: bytes) -> bytes:
    """A tag list with the value of its b= removed, blanks and folds around it included."""
    specs = value.split(b";")
    for index, spec in enumerate(specs):
        equals = spec.find(b"=")
        if spec[:equals].strip(b" \t\r\n") == b"b":
            specs[index] = spec[: equals + 1]
    return b";".join(specs)


def _end_of_content(octets: bytes, start: int, ignored: re.Pattern[bytes]) -> int:
    """Where the empty lines at the end of a body begin (before the last line's own CRLF)."""
    low = len(octets)
    size = 64
    while low > start:
        bottom = max(start, low - size)
        kept = octets[bottom:low].rstrip(b" \t\r\n")
        low = bottom + len(kept)
        if kept:
            break
        size = min(4 * size, PIECE)
    tail = octets[low:][::-1]
    found = ignored.match(tail)
    return len(octets) - (found.end() if found else 0)


def _relaxed_pieces(octets: bytes, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        cut = end
        if end - start > PIECE:
            # A piece ends behind a LF, where neither a run of blanks nor a blank before CRLF can be cut in two.
            cut = octets.rfind(b"\n", start, start + PIECE) + 1
            cut = cut or octets.find(b"\n", start + PIECE, end) + 1 or end
        yield _relaxed_lines(octets[start:cut])
        start = cut


def _relaxed_lines(lines: bytes) -> bytes:
    """Each run of blanks one space, none before a CRLF.

    Each pass halves the runs; the usual body needs one or two, and the long runs of a hostile one shrink first.
    """
    lines = lines.replace(b"\t", b" ")
    shorter = lines.replace(b"  ", b" ")
    if len(shorter) < len(lines):
        lines = shorter.replace(b"  ", b" ")
        if len(lines) < len(shorter):
            lines = lines.replace(b" " * 64, b" ").replace(b" " * 8, b" ")
            while b"  " in lines:
                lines = lines.replace(b"  ", b" ")
    return lines.replace(b" \r\n", b"\r\n")

"""Transfer encodings undone, as leniently as the most lenient client (RFC 2045 §6, RFC 1741; uuencode and yEnc by custom)."""

from __future__ import annotations

import binascii
import re

PADDING = re.compile(rb"=[=\s]*+")
SOFT_BREAK_WITH_BLANKS = re.compile(rb"=[ \t]++(?=\r?\n|\Z)")
YENC_ESCAPED = re.compile(rb"=(.)", re.DOTALL)
# yEnc adds 42 to every octet, and 64 more to an escaped one.
YENC_BACK = bytes((octet - 42) % 256 for octet in range(256))
YENC_ESCAPE_BACK = {bytes([octet]): bytes([(octet - 64) % 256]) for octet in range(256)}
MOST_SEGMENTS = 10_000
"""Pieces of base64, each with its own padding, that are told apart."""
LOOKED_AT = 100_000
"""Octets in which strange ones are looked for."""
BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
NOT_BASE64 = bytes(octet for octet in range(256) if octet not in BASE64_ALPHABET)


ENCODINGS = frozenset(
    {"base64", "quoted-printable", "base64;padding-skipped", "x-uuencode", "x-yenc", "x-binhex"}
)
"""Those that `decode_transfer` undoes."""


def decode_transfer(raw: bytes, encoding: str) -> bytes:
    """`raw` decoded; as it stands where the encoding is none or unknown. Never raises."""
    if encoding == "base64":
        return decode_base64(raw)
    if encoding == "quoted-printable":
        if b"= " in raw or b"=\t" in raw:
            raw = SOFT_BREAK_WITH_BLANKS.sub(b"=", raw)
        return binascii.a2b_qp(raw)
    if encoding == "base64;padding-skipped":
        return _segment(raw)
    if encoding == "x-uuencode":
        return decode_uu(raw)
    if encoding == "x-yenc":
        return decode_yenc(raw)
    if encoding == "x-binhex":
        return decode_binhex(raw)
    return raw


def decode_base64(raw: bytes) -> bytes:
    """Stray octets are skipped, wrong padding is forgiven, and what follows padding is decoded too."""
    if inner_padding(raw) < 0:
        try:
            return binascii.a2b_base64(raw)
        except binascii.Error:
            pass
    return b"".join(map(_segment, PADDING.split(raw, MOST_SEGMENTS)))


def inner_padding(raw: bytes) -> int:
    """Where padding ends that has more base64 behind it; -1 when there is none."""
    at = raw.find(b"=")
    if at < 0:
        return -1
    padding = PADDING.match(raw, at)
    end = padding.end() if padding is not None else at
    return end if raw[end : end + LOOKED_AT].translate(None, NOT_BASE64) else -1


def strange_in_base64(raw: bytes) -> int:
    """How many of the first octets are no base64 (RFC 2045 §6.8)."""
    return len(raw[:LOOKED_AT].translate(None, BASE64_ALPHABET + b"= \t\r\n"))


def _segment(raw: bytes) -> bytes:
    kept = raw.translate(None, NOT_BASE64)
    if len(kept) % 4 == 1:
        kept = kept[:-1]
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def decode_uu(raw: bytes) -> bytes:
    """Lines of uuencode, with or without their ``begin`` and ``end``; lines that are none are skipped."""
    decoded: list[bytes] = []
    for line in raw.splitlines():
        if not line or line == b"end" or line.startswith(b"begin "):
            continue
        try:
            decoded.append(binascii.a2b_uu(line))
        except binascii.Error:
            # Too long a line, as some encoders write: what its first octet promises is read.
            promised = (((line[0] - 32) & 63) * 4 + 5) // 3
            try:
                decoded.append(binascii.a2b_uu(line[:promised]))
            except binascii.Error:
                continue
    return b"".join(decoded)


def decode_yenc(raw: bytes) -> bytes:
    """yEnc data lines (yenc.org, 1.3); control lines are skipped."""
    lines = [line for line in raw.split(b"\n") if not line.startswith((b"=ybegin ", b"=ypart ", b"=yend"))]
    kept = b"".join(lines).replace(b"\r", b"")
    return YENC_ESCAPED.sub(lambda escape: YENC_ESCAPE_BACK[escape[1]], kept).translate(YENC_BACK)


# RFC 1741, Appendix A: the 64 characters in the order of what they stand for.
BINHEX_ALPHABET = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
BINHEX_TO_BASE64 = bytes.maketrans(BINHEX_ALPHABET, BASE64_ALPHABET)
NOT_BINHEX = bytes(octet for octet in range(256) if octet not in BINHEX_ALPHABET)
REPEATS = 0x90
MOST_BINHEX = 64 << 20
"""Octets that repetitions may come to."""


def decode_binhex(raw: bytes) -> bytes:
    """The data fork of a BinHex 4.0 file, without its header and checksums; what can be read where it is cut or damaged."""
    start = raw.find(b"\n:")
    body = raw[start + 2 :] if start >= 0 else raw.partition(b":")[2]
    packed = body.partition(b":")[0].translate(BINHEX_TO_BASE64, NOT_BINHEX)
    packed = packed[: len(packed) - len(packed) % 4] if len(packed) % 4 == 1 else packed
    whole = _repeated(binascii.a2b_base64(packed + b"=" * (-len(packed) % 4)))
    # One octet with the name's length, the name, 1 of version, 4 + 4 of type and creator, 2 of flags, 4 + 4 lengths, 2 checksum.
    data = (whole[0] if whole else 0) + 22
    return whole[data : data + int.from_bytes(whole[data - 10 : data - 6], "big")]


def _repeated(octets: bytes) -> bytes:
    """Runs written out: 0x90 and a count repeat what stands before, 0x90 and 0 are 0x90 itself."""
    out = bytearray()
    at = 0
    while len(out) < MOST_BINHEX:
        mark = octets.find(REPEATS, at)
        if mark < 0 or mark + 1 >= len(octets):
            out += octets[at:] if mark < 0 else octets[at:mark]
            break
        out += octets[at:mark]
        count = octets[mark + 1]
        out += bytes([REPEATS]) if count == 0 else out[-1:] * (count - 1)
        at = mark + 2
    return bytes(out)

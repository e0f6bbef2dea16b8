"""Transfer encodings undone, as leniently as the most lenient client (RFC 2045 §6; uuencode, yEnc by custom)."""

from __future__ import annotations

import binascii
import re

NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
PADDING = re.compile(rb"=[=\s]*")
MOST_SEGMENTS = 10_000


def decode_transfer(raw: bytes, encoding: str) -> bytes:
    """`raw` decoded; as it stands where the encoding is none or unknown. Never raises."""
    if encoding == "base64":
        return decode_base64(raw)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    return raw


def decode_base64(raw: bytes) -> bytes:
    """Stray octets are skipped, wrong padding is forgiven, and what follows padding is decoded too."""
    padding = raw.find(b"=")
    if padding < 0 or not raw[padding:].strip(b"= \t\r\n"):
        try:
            return binascii.a2b_base64(raw)
        except binascii.Error:
            pass
    segments = PADDING.split(raw, MOST_SEGMENTS)
    return b"".join(map(_segment, segments))


def _segment(raw: bytes) -> bytes:
    kept = NOT_BASE64.sub(b"", raw)
    if len(kept) % 4 == 1:
        kept = kept[:-1]
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))

"""Files written into plain text: uuencode (POSIX uuencode), yEnc (yenc.org), BinHex (RFC 1741).

Older clients show them as attachments, so they are parts. A file in BinHex has its name within.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_FOUND = 50
MAX_TRIED = 500

BEGIN = re.compile(
    rb"^begin(-base64)?[ \t]+[0-7]{3,4}[ \t]+([^\r\n]{1,500})\r?\n(?=(.))", re.MULTILINE | re.DOTALL
)
UU_END = re.compile(rb"^(?:end|====)[ \t]*\r?$", re.MULTILINE)
YENC_BEGIN = re.compile(rb"^=ybegin [^\r\n]{0,300}?name=([^\r\n]{1,500})\r?\n", re.MULTILINE)
YENC_END = re.compile(rb"^=yend", re.MULTILINE)
BINHEX = b"(This file must be converted with BinHex"


class Embedded(NamedTuple):
    """One file inside a text."""

    how: str
    """``uuencode``, ``yenc`` or ``binhex``."""
    name: str
    encoding: str
    start: int
    end: int


def embedded_in(text: bytes, start: int, end: int) -> list[Embedded]:
    """The files in ``text[start:end]``, in order, at most MAX_FOUND, by offsets into `text`."""
    found: list[Embedded] = []
    if text.startswith(b"begin", start, end) or text.find(b"\nbegin", start, end) >= 0:
        _blocks(text, start, end, found)
    at = text.find(b"=ybegin ", start, end)
    if at >= 0:
        while len(found) < MAX_FOUND and (match := YENC_BEGIN.search(text, at, end)) is not None:
            at = _end(YENC_END, text, match.end(), end)
            found.append(Embedded("yenc", _name(match[1]), "x-yenc", match.end(), at))
    at = text.find(BINHEX, start, end)
    if at >= 0:
        found.append(Embedded("binhex", "", "x-binhex", at, end))
    return found


def _blocks(text: bytes, at: int, last: int, found: list[Embedded]) -> None:
    for _ in range(MAX_TRIED):
        match = BEGIN.search(text, at, last)
        if match is None or len(found) >= MAX_FOUND:
            break
        at = match.end()
        # A line of uuencode begins with its length, 45 in all but the last: a sentence does not.
        if match[1] or _is_uu(text[at : min(at + 100, last)].partition(b"\n")[0].rstrip(b"\r")):
            at = _end(UU_END, text, match.end(), last)
            encoding = "base64" if match[1] else "x-uuencode"
            found.append(Embedded("uuencode", _name(match[2]), encoding, match.end(), at))


def _is_uu(line: bytes) -> bool:
    octets = (line[0] - 32) & 63 if line else 0
    return 32 < max(line, default=0) < 97 and octets > 0 and -2 <= len(line) - 1 - (octets * 4 + 2) // 3 <= 4


def _end(pattern: re.Pattern[bytes], text: bytes, start: int, last: int) -> int:
    match = pattern.search(text, start, last)
    return match.start() if match is not None else last


def _name(octets: bytes) -> str:
    return octets.decode("utf-8", "replace").strip().strip('"')

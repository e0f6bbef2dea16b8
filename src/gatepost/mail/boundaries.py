"""Boundaries of multiparts (RFC 2046 §5.1.1): which one a reader may take, and where its delimiter lines stand."""

from __future__ import annotations

import re
from typing import NamedTuple

from gatepost.mail.parameters import Structured

MAX_CANDIDATES = 6
LONGEST = 512
"""RFC 2046 allows 70 octets, clients allow more."""

IN_VALUE = re.compile(rb"""boundary(?:\*0?\*?)?\s*=\s*("[^"]*"?|[^;]*)""", re.IGNORECASE)
# A line like a delimiter with a header below it.
LIKE_DELIMITER = re.compile(
    rb"--([^\r\n]{1,200})\r?\n(?=content-(?:type|transfer-encoding|disposition)[ \t]*:)", re.IGNORECASE
)
MAX_TRIED = 2000
MISSES_FOR_A_HIT = 50


class Delimiter(NamedTuple):
    """One delimiter line."""

    start: int
    """Of its first hyphen."""
    end: int
    """Just behind its line end."""
    closes: bool
    exact: bool
    """Nothing but blanks behind the boundary; else the line only begins with it, which some readers accept."""


def candidates(kind: Structured, value: bytes) -> list[bytes]:
    """Every boundary a reader may take from a Content-Type, the usual one first."""
    said = [one.encode("utf-8", "replace") for one in kind.all_of("boundary")]
    found = dict.fromkeys(one.rstrip() for one in said)
    simple = len(said) == 1 and re.fullmatch(rb"[!-~]{1,70}", said[0])
    if not simple or value.lower().count(b"boundary") > 1 or b"\\" in value:
        for match in IN_VALUE.finditer(value[:16384]):
            raw = match[1].strip()
            inner = raw.strip(b'"')
            first_word, up_to_comma = inner.split(None, 1)[:1], re.split(rb"[,(]", inner)[:1]
            for one in (inner, raw, b"".join(inner.split()), *first_word, *up_to_comma):
                found[one.rstrip()] = None
    found.pop(b"", None)
    return [one for one in found if len(one) <= LONGEST][:MAX_CANDIDATES]


def guessed(source: bytes, start: int, end: int) -> bytes | None:
    """The boundary that the first delimiter-like line of the body shows; None when there is no such line."""
    at = start
    for _ in range(MAX_TRIED):
        found = LIKE_DELIMITER.match(source, at, end)
        if found is not None:
            return found[1].rstrip()
        at = source.find(b"\n--", at, end) + 1
        if not at:
            break
    return None


def delimiters(source: bytes, start: int, end: int, boundary: bytes, limit: int) -> list[Delimiter]:
    """The lines of ``source[start:end]`` that begin with the delimiter, at most `limit`, in order."""
    mark = b"--" + boundary
    places: list[int] = []
    at = source.find(mark, start, end)
    for _ in range(MISSES_FOR_A_HIT * limit):
        if at < 0 or len(places) >= limit:
            break
        if at == start or source[at - 1] in b"\r\n":
            places.append(at)
        at = source.find(mark, at + len(mark), end)
    lines = []
    for place in places:
        after = place + len(mark)
        line_end = source.find(b"\n", after, end)
        stop = end if line_end < 0 else line_end + 1
        # A long line is not copied: a delimiter's has blanks behind the boundary or nothing.
        rest = source[after : min(stop, after + 500)].rstrip(b" \t\r\n")
        lines.append(Delimiter(place, stop, rest[:2] == b"--", rest in (b"", b"--")))
    return lines


def before(source: bytes, start: int, at: int) -> int:
    """Where a part that begins at `start` ends whose delimiter stands at `at`: the line end before it is the delimiter's."""
    if at > start and source[at - 1] == 10:
        at -= 1
    if at > start and source[at - 1] == 13:
        at -= 1
    return max(start, at)

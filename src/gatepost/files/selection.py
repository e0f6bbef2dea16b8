"""Which parts of a message are worth a look in the sandboxed child: all but what can plainly do no harm.

A body text, a small plain text file, a picture too small to hold a code: those never cost a round trip. In doubt
the child looks. Pure.
"""

from __future__ import annotations

import re

from gatepost.files.kind import extension_of, kind_by_name, kind_of
from gatepost.files.kinds import KINDS, RISKY
from gatepost.mail.content import Content
from gatepost.mail.part import Part

HEAD = 8192
"""Octets by which a kind is told."""
SMALLEST_CODE = 21
"""Modules on a side of the smallest QR code (ISO/IEC 18004)."""
SMALL_PICTURE = 2048
_MESSAGES = ("message/rfc822", "message/global", "message/news")
_QUIET = frozenset({"text", "ics", "vcf", ""})
_SIGNATURES = frozenset({"pgp", "pkcs7"})
_BODIES = frozenset(
    {"text/plain", "text/html", "text/enriched", "text/richtext", "text/calendar", "text/x-amp-html"}
)
_FOLD = re.compile(rb"\r?\n[ \t]")
_HOLDS_FILES = re.compile(rb"base64|:data:", re.IGNORECASE)
"""An invitation with a file in it, which calendars show as attached (RFC 5545 §3.8.1.1)."""


def worth_a_look(content: Content) -> tuple[Part, ...]:
    """The parts, in their order; what is read in several ways but is the same file counts once."""
    parents = {part.parent for part in content.parts}
    wanted: dict[tuple[object, ...], Part] = {}
    for part in content.parts:
        if part.is_multipart or part.size == 0 or (part.content_type in _MESSAGES and part.index in parents):
            continue
        if not _harmless(part):
            key = (id(part.source), part.start, part.end, part.encoding, part.filenames)
            wanted.setdefault(key, part)
    return (*wanted.values(), *content.within_text)


def riskiest_name(part: Part) -> str:
    """Of the names that clients may give it, the one that would run; else the usual one."""
    for name in part.filenames:
        kind = kind_by_name(name)
        if kind and KINDS[kind].family in RISKY:
            return name
    return part.filename


def _harmless(part: Part) -> bool:
    body = not part.filename and part.disposition != "attachment"
    if part.content_type == "text/html" and not body:
        return False
    head = part.head(HEAD)
    kind = kind_of(head, "")
    if part.content_type == "text/calendar" and _HOLDS_FILES.search(_FOLD.sub(b"", part.octets)):
        return False
    if body:
        return (part.content_type in _BODIES or part.content_type.startswith("message/")) and (
            kind in _QUIET or kind == "html"
        )
    name = riskiest_name(part)
    plain_name = name.isascii() and name.isprintable()
    promised = kind_by_name(name)
    if kind in _QUIET:
        return plain_name and extension_of(name) in KINDS["text"].extensions and b"\0" not in head
    if kind in _SIGNATURES:
        return plain_name and (not promised or KINDS[promised].family == "data")
    if kind in ("png", "gif"):
        small = part.size <= SMALL_PICTURE and min(_sides(head, kind)) < SMALLEST_CODE
        return small and plain_name and (not promised or KINDS[promised].family == "picture")
    return False


def _sides(head: bytes, kind: str) -> tuple[int, int]:
    """Width and height in pixels."""
    if kind == "png":
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")

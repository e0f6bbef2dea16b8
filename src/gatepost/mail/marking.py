"""What is done to a copy at delivery: a tag in the subject, a banner above the text, attachments replaced by a note.

Octets in, octets out; everything else stays as it was, so a part that is not touched keeps its encoding. A banner goes
in front in the part's own encoding and character set; where that cannot say it, in English. It leaves out whether
a signature is broken by it: policy has decided that before.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from gatepost.mail.author import subject_text
from gatepost.mail.content import content_of
from gatepost.mail.encoded_words import ALIASES, CHARSETS
from gatepost.mail.message import Message
from gatepost.mail.mime import Part
from gatepost.mail.verdict import Change

Edit = tuple[int, int, bytes]
"""Start and end in the message, and what stands there afterwards."""

DOCTYPE = re.compile(rb"\s{0,100}<!doctype[^>]{0,500}>", re.IGNORECASE)
PLAIN_ENCODINGS = frozenset({"", "7bit", "8bit", "binary"})
LINE = 57
"""Octets that make one line of base64 (RFC 2045 §6.8)."""
STYLE = (
    "display:block!important;border:2px solid #b00020!important;background:#fff4e5!important;color:#1a1a1a!important;"
    "padding:8px 12px!important;margin:0 0 12px!important;font:14px/1.4 sans-serif!important"
)
MOST_BANNERS = 20


class CannotChange(ValueError):
    """A part could not be taken out: the copy must not be delivered so."""


def changed(octets: bytes, changes: Sequence[Change]) -> bytes:
    """The message with `changes` made. Raises CannotChange when a part that is to be taken out is still there."""
    message = Message.parse(octets)
    edits: list[Edit] = []
    for change in changes:
        if change.kind == "tag":
            edits += tagged(message, change.text)
        elif change.kind == "banner":
            edits += bannered(message, change.text)
        elif change.kind == "strip":
            edits += stripped(message, change)
    edits = apart(edits)
    done = spliced(octets, edits)
    for change in changes:
        if change.kind == "strip":
            insist_that_it_is_gone(message, Message.parse(done), change)
    return done


def tagged(message: Message, tag: str) -> Iterator[Edit]:
    """The tag in front of every Subject, unless it is there already."""
    if subject_text(message).startswith(tag):
        return
    word = tag.encode("ascii") if tag.isascii() else b"=?utf-8?B?" + b64encode(tag.encode()) + b"?="
    fields = message.named(b"subject")
    for one in fields:
        yield one.colon + 1, one.colon + 1, b" " + word
    if not fields:
        yield 0, 0, b"Subject: " + word + b"\r\n"


def bannered(message: Message, text: str) -> Iterator[Edit]:
    """The text above whatever a client may show first: each alternative of the first part that is text."""
    told = text.split("\n")
    english = told[-1]
    for part in first_texts(content_of(message).parts):
        if part.source is not message.octets:
            continue
        own, start = told[0], part.start
        if part.content_type == "text/html":
            if not speaks_ascii(part.charset):
                continue
            front = message.octets[part.start : min(part.end, part.start + 700)]
            doctype = DOCTYPE.match(front) if part.encoding != "base64" else None
            start += doctype.end() if doctype else 0
            words = f'<div role="alert" style="{STYLE}">{escape(own)}</div>'
            shown = words.encode("ascii", "xmlcharrefreplace")
        else:
            found = said(own, part) or said(english, part)
            if found is None:
                continue
            shown = b"*** " + found + b" ***\r\n\r\n"
        yield start, start, encoded(shown, part)


def first_texts(parts: Sequence[Part]) -> list[Part]:
    """The body: down the first child of each multipart, all children of an alternative; nothing inside a signature."""
    usual = [one for one in parts if not one.reading]
    children: dict[int, list[Part]] = {}
    for one in usual:
        children.setdefault(one.parent, []).append(one)
    found: list[Part] = []
    waiting = children.get(-1, [])[:1]
    while waiting and len(found) < MOST_BANNERS:
        part = waiting.pop(0)
        below = children.get(part.index, [])
        if part.content_type in ("text/plain", "text/html"):
            if part.disposition != "attachment" and (
                part.encoding in PLAIN_ENCODINGS or part.encoding in ENCODED
            ):
                found.append(part)
        elif part.content_type == "multipart/alternative":
            waiting += below
        elif part.is_multipart and part.content_type not in ("multipart/signed", "multipart/encrypted"):
            waiting += below[:1]
    return found


ENCODED = frozenset({"base64", "quoted-printable"})


def said(text: str, part: Part) -> bytes | None:
    """The text in the part's character set; None where that cannot say it, or the transfer encoding cannot carry it."""
    charset = ALIASES.get(part.charset, part.charset) or "us-ascii"
    name = charset.replace("-", "_").lower().replace("us_ascii", "ascii").replace("iso_8859", "iso8859")
    name = name.replace("iso_2022", "iso2022")
    if not CHARSETS.match(name) or not speaks_ascii(part.charset):
        return None
    try:
        octets = text.encode(name)
    except (LookupError, UnicodeError):
        return None
    return None if part.encoding in ("", "7bit") and not octets.isascii() else octets


def speaks_ascii(charset: str) -> bool:
    """Do ASCII letters look in it as they do in ASCII?"""
    return not charset.startswith(("utf-16", "utf16", "utf-32", "utf32", "utf-7", "utf7", "ucs"))


def encoded(octets: bytes, part: Part) -> bytes:
    """So that it may stand in front of the part's body as that is."""
    if part.encoding == "quoted-printable":
        # Soft line ends around it: whatever line it stands in stays short enough.
        return (
            b"=\r\n"
            + binascii.b2a_qp(octets, istext=True).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            + b"=\r\n"
        )
    if part.encoding == "base64":
        # Filled up with blanks to whole groups, so that the rest needs no decoding.
        padded = octets[:-2] + b" " * (-len(octets) % 3) + octets[-2:]
        lines = [b64encode(padded[at : at + LINE]) for at in range(0, len(padded), LINE)]
        return b"\r\n".join(lines) + b"\r\n"
    return octets


def stripped(message: Message, change: Change) -> Iterator[Edit]:
    """Each part, header and all, with a note in its place."""
    parts = content_of(message).parts
    note = b64encode((change.text + "\r\n").encode())
    lines = b"\r\n".join(note[at : at + 76] for at in range(0, len(note), 76))
    entity = (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: inline; filename="removed.txt"\r\n\r\n' + lines
    )
    for number in change.parts:
        part = parts[number] if number < len(parts) else None
        around = parts[part.parent] if part is not None and part.parent >= 0 else None
        if part is None or around is None or part.source is not message.octets or not around.is_multipart:
            raise CannotChange(f"part {number} cannot be taken out of this message")
        boundary = around.parameters.get("boundary", "").encode("utf-8", "surrogateescape")
        line = message.octets.rfind(b"--" + boundary, around.start, part.start) if boundary else -1
        header = message.octets.find(b"\n", line, part.start) + 1 if line >= 0 else 0
        if header <= 0:
            raise CannotChange(f"where part {number} begins is not certain")
        yield header, part.end, entity


def insist_that_it_is_gone(before: Message, after: Message, change: Change) -> None:
    """Read again what was made: nothing of what was taken out may be in it, however it is read."""
    parts = content_of(before).parts
    gone = {parts[number].octets for number in change.parts}
    tree = content_of(after).tree
    if tree.truncated or any(one.octets in gone for one in tree.parts if not one.is_multipart):
        raise CannotChange("what was to be taken out is still there")


def apart(edits: Sequence[Edit]) -> list[Edit]:
    """In order; one that touches another, because a stripped part lies in a stripped part, is left out."""
    kept: list[Edit] = []
    for edit in sorted(edits, key=lambda one: (one[0], -one[1])):
        if not kept or edit[0] >= kept[-1][1]:
            kept.append(edit)
    return kept


def spliced(octets: bytes, edits: Sequence[Edit]) -> bytes:
    """The octets with the edits made."""
    pieces: list[bytes] = []
    at = 0
    for start, end, instead in edits:
        pieces += (octets[at:start], instead)
        at = end
    pieces.append(octets[at:])
    return b"".join(pieces)

"""What only the text holds and a person sees as a picture: pictures in ``data:`` addresses (RFC 2397), codes drawn with
block characters. As parts, so that whoever looks into files looks into these too. Bounded; never raises.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from html import unescape
from urllib.parse import unquote_to_bytes

from gatepost.mail.charsets import decode_text
from gatepost.mail.part import Part
from gatepost.mail.text import HTML, Text

DRAWN_WITH = "█▀▄▌▐■◼⬛▓"
FEWEST = 60
"""Characters of the smallest code drawn with half blocks; a line across a letter has fewer."""
MOST_TEXT = 400_000
"""Octets of one text that are laid out."""
MOST_PICTURES = 20
DATA = re.compile(
    rb"data:((?:image|application)/[\w.+-]{1,80}+)(?:;[^,;\"'<>\s]{0,60}+){0,3};base64,([A-Za-z0-9+/=\s%]++)",
    re.IGNORECASE,
)
UNSEEN = tuple(
    (re.compile(start, re.IGNORECASE), re.compile(end, re.IGNORECASE))
    for start, end in (
        (r"<!--", r"-->"),
        *((rf"<{name}\b", rf"</{name}\s*+>") for name in ("style", "script", "head", "title")),
    )
)
LINE_END = re.compile(r"<(?:br|/p|/div|/tr|/li|/pre|/h[1-6])\b[^<>]{0,200}>", re.IGNORECASE)
TAG = re.compile(r"<[^<>]{0,2000}>")
AS_WRITTEN = re.compile(r"<pre\b|white-space\s*+:\s*+(?:pre|break-spaces)", re.IGNORECASE)


def parts_in_text(parts: Sequence[Part], texts: Sequence[Text]) -> tuple[Part, ...]:
    """Behind those of `parts` that are `texts`; each has the index of the text it stands in."""
    return tuple(
        one
        for text in texts
        for one in (*_pictures(parts[text.part], text), *_drawings(parts[text.part], text))
    )


def data_octets(url: str) -> bytes:
    """What a ``data:`` address holds, as leniently as browsers read it."""
    head, comma, data = url.partition(",")
    if not comma:
        return b""
    octets = unquote_to_bytes(data)
    return _base64(octets) if head.lower().endswith(";base64") else octets


def _pictures(part: Part, text: Text) -> Iterator[Part]:
    if not any(link.scheme == "data" for link in text.links):
        return
    for count, found in enumerate(DATA.finditer(part.octets)):
        if count >= MOST_PICTURES:
            return
        if octets := _base64(unquote_to_bytes(found[2])):
            yield _part(part, found[1].decode("ascii").lower(), octets)


def _drawings(part: Part, text: Text) -> Iterator[Part]:
    shown = text.visible
    if not shown.isascii() and sum(map(shown.count, DRAWN_WITH)) >= FEWEST:
        yield _part(part, "text/plain", laid_out(part, text.charset).encode())


def laid_out(part: Part, charset: str) -> str:
    """The text with its blanks and line ends where a person sees them."""
    text = decode_text(part.head(MOST_TEXT), charset).text
    if part.content_type not in HTML:
        return text
    for start, end in UNSEEN:
        text = _without(text, start, end)
    if not AS_WRITTEN.search(text):
        text = "".join(line.strip() for line in text.split("\n"))
    return unescape(TAG.sub("", LINE_END.sub("\n", text)))


def _without(text: str, start: re.Pattern[str], end: re.Pattern[str]) -> str:
    """Without what is between them; what never ends stays. Each octet is looked at once: one pattern for both would begin at every start anew."""
    kept, at = [], 0
    while (begun := start.search(text, at)) and (ended := end.search(text, begun.end())):
        kept.append(text[at : begun.start()])
        at = ended.end()
    return "".join((*kept, text[at:]))


def _part(around: Part, kind: str, octets: bytes) -> Part:
    return Part(
        index=around.index, parent=around.parent, depth=around.depth + 1, content_type=kind, source=octets, end=len(octets),
        reading=around.reading,
    )  # fmt: skip


def _base64(octets: bytes) -> bytes:
    kept = re.sub(rb"[^A-Za-z0-9+/]", b"", octets)
    kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))

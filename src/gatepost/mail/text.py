"""What a person reads: the visible text of a part, and what was hidden from them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gatepost.mail.charsets import Decoded, decode_text
from gatepost.mail.part import Part
from gatepost.mail.urls import Link, links_in_text

MAX_OCTETS = 2_000_000
"""Octets of one part that are read as text."""
MAX_VISIBLE = 200_000
"""Characters of one part's text that are kept, visible and hidden each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text part as a reader sees it."""

    part: int
    visible: str
    """Blanks folded, bounded."""
    hidden: str = ""
    """Text that is there and cannot be seen: hidden, zero-sized, coloured like its ground, zero-width; bounded."""
    is_html: bool = False
    charset: str = ""
    """The one it was decoded by."""
    charset_lie: str = ""
    """``undeclared``, ``not-as-declared`` or ``utf-7``; empty when the declared one is the one it is in."""
    links: tuple[Link, ...] = ()
    forms: int = 0
    """HTML forms that ask for something."""
    password_fields: int = 0
    scripts: int = 0
    images: int = 0
    hidden_how: tuple[str, ...] = ()
    """``display-none``, ``zero-size``, ``invisible-colour``, ``zero-width``, ``off-screen``, ``comment``."""
    coarse: bool = False
    """HTML too deep or too large to be read with care: nothing is known about what is hidden in it."""


# What clients show as text; other text types are files, unless they stand in the message itself.
SHOWN = frozenset(
    {
        "text/plain",
        "text/html",
        "text/calendar",
        "text/rtf",
        "text/enriched",
        "text/richtext",
        "text/x-amp-html",
    }
)
HTML = frozenset({"text/html", "text/x-amp-html", "application/xhtml+xml"})
# Characters without a width, between letters they are there to deceive programs. Soft hyphens are honest.
WIDTHLESS = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2060-\u2064\u206a-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]+"
)
WITHIN_WORD = re.compile("[A-Za-z][\u034f\u061c\u180e\u200b-\u200f\u2060-\u2064\ufeff]+[A-Za-z]")


def text_of(part: Part) -> Text | None:
    """The text of a part a client shows as text; None for any other part. Never raises."""
    kind = part.content_type
    if kind not in SHOWN and kind not in HTML and (not kind.startswith("text/") or part.filename):
        return None
    if part.disposition == "attachment" and part.filename and kind != "text/calendar":
        return None
    decoded = decode_text(part.head(MAX_OCTETS), part.charset)
    if kind in HTML or (kind not in SHOWN and _is_html(decoded.text)):
        from gatepost.mail.html_text import read_html

        decoded = _by_meta(part, decoded)
        return read_html(decoded.text, part=part.index, charset=decoded.charset, charset_lie=decoded.lie)
    if kind == "text/calendar":
        from gatepost.mail.calendar import read_calendar

        return read_calendar(decoded.text, part=part.index, charset=decoded.charset)
    if kind == "text/rtf":
        from gatepost.mail.rtf import rtf_text

        decoded = decoded._replace(text=rtf_text(decoded.text))
    return plain_text(decoded, part.index)


def plain_text(decoded: Decoded, part: int) -> Text:
    """Text as it stands."""
    visible, zero_width = seen(folded(decoded.text))
    return Text(
        part=part, visible=visible, charset=decoded.charset, charset_lie=decoded.lie,
        links=tuple(links_in_text(visible, part=part)), hidden_how=("zero-width",) if zero_width else (),
    )  # fmt: skip


# What str.strip and str.split take for blanks, beside the blank itself and the end of a line.
BLANKS = "\t\x0b\x0c\r\x1c\x1d\x1e\x1f"
FAR_BLANKS = "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


def folded(text: str) -> str:
    """Blanks and empty lines folded, at most MAX_VISIBLE characters."""
    lines = text[: 2 * MAX_VISIBLE].split("\n")
    text = "\n".join(filter(None, map(str.strip, lines)))
    for blank in BLANKS if text.isascii() else (*BLANKS, *FAR_BLANKS):
        if blank in text:
            text = text.replace(blank, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text[:MAX_VISIBLE]


def seen(text: str) -> tuple[str, bool]:
    """`text` without characters that have no width, and whether such were put into words."""
    if text.isascii() or not _may_be_widthless(text):
        return text, False
    return WIDTHLESS.sub("", text), WITHIN_WORD.search(text) is not None


def _may_be_widthless(text: str) -> bool:
    try:
        return b"\xad" in text.encode("latin-1")
    except UnicodeEncodeError:
        return WIDTHLESS.search(text) is not None


META_CHARSET = re.compile(rb"""<meta[^<>]{0,200}?charset\s*=\s*["']?([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)


def _by_meta(part: Part, decoded: Decoded) -> Decoded:
    """An HTML part that declares its character set only inside."""
    if part.charset or decoded.charset in ("us-ascii", "utf-8"):
        return decoded
    found = META_CHARSET.search(part.head(4096))
    if found is None:
        return decoded
    return decode_text(part.head(MAX_OCTETS), found[1].decode("ascii"))


def _is_html(text: str) -> bool:
    return (
        text[:500].lstrip("\ufeff \t\r\n").lower().startswith(("<html", "<!doctype html", "<body", "<head"))
    )

"""What a person reads: the visible text of a part, and what was hidden from them."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.mail.charsets import decode_text
from gatepost.mail.part import Part
from gatepost.mail.urls import Link, links_in_text

MAX_OCTETS = 2_000_000
"""Octets of one part that are read as text."""


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
    links: tuple[Link, ...] = ()
    forms: int = 0
    """HTML forms that ask for something."""
    password_fields: int = 0
    scripts: int = 0
    images: int = 0
    hidden_how: tuple[str, ...] = ()
    """``display-none``, ``zero-size``, ``invisible-colour``, ``zero-width``, ``off-screen``."""


def text_of(part: Part) -> Text | None:
    """The text of a part a client shows as text; None for any other part. Never raises."""
    if not part.content_type.startswith("text/") or part.disposition == "attachment":
        return None
    octets = part.octets[:MAX_OCTETS]
    text, charset = decode_text(octets, part.charset)
    if part.content_type == "text/html":
        from gatepost.mail.html_text import read_html

        return read_html(text, part=part.index, charset=charset)
    return Text(
        part=part.index, visible=text, charset=charset, links=tuple(links_in_text(text, part=part.index))
    )

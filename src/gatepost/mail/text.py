"""What a person reads: the visible text of a part, and what was hidden from them."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.mail.urls import Link


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

"""Links: what they show, and where they go."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of a message."""

    url: str
    """As a client would open it: resolved against the base, entities and quoted-printable undone, without tabs and line ends."""
    scheme: str
    """Lower case: ``http``, ``https``, ``mailto``, ``tel``, ``data``, ``javascript``, …"""
    host: str
    """Lower-case A-labels, or an address literal in its normal form (decimal and octal tricks undone); empty when there is none."""
    shown: str = ""
    """The text a person clicks on; empty where the link shows itself or nothing."""
    where: str = "text"
    """``text``, ``html``, ``form``, ``image``, ``refresh``, ``css``, ``header``, ``calendar``, ``file``, ``qr``."""
    part: int = -1
    """The part it stands in."""
    user: str = ""
    """What stands before an @ in the authority."""
    path: str = ""
    """From the first slash on, with the query; without the fragment."""


def links_in_text(text: str, *, part: int = -1, limit: int = 500) -> list[Link]:
    """The links that a client would make clickable in plain text."""
    del text, part, limit
    return []


def link_of(url: str, *, shown: str = "", where: str = "text", part: int = -1) -> Link | None:
    """A link from a URL as written, None when no client would open it; never raises."""
    del url, shown, where, part
    return None

"""How the tables are written: names apart by blanks and line ends."""

from __future__ import annotations


def names(text: str) -> frozenset[str]:
    """The names in `text`."""
    return frozenset(text.split())

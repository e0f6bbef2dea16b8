"""Pages of long lists by key: where the last one ended stands in the URL, so that page ten thousand costs as little as one."""

from __future__ import annotations

import re

from gatepost.store.history import Cursor

KEY = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)-(\d{1,18})")


def written(cursor: Cursor | None) -> str:
    """As it stands in the URL; empty at the end of the list."""
    return f"{cursor.at!r}-{cursor.id}" if cursor is not None else ""


def read(text: str) -> Cursor | None:
    """Back from the URL; None for the beginning, and for what is no key."""
    found = KEY.fullmatch(text)
    return Cursor(float(found[1]), int(found[2])) if found else None

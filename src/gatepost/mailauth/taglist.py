"""The tag=value lists of DKIM, ARC and their key records (RFC 6376 §3.2), and of DMARC (RFC 9989 §4.7).

Syntax only: what a tag means, and which ones must be there, is the caller's business.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

MAX_LENGTH = 65_536
MAX_TAGS = 100
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# Each match starts behind a semicolon and ends before one, so that ill-formed parts are the ones not matched.
TAG = re.compile(r"(?:\A|;)[ \t]*+([A-Za-z][A-Za-z0-9_]*+)[ \t]*+=[ \t]*+([^;]*+)")


@dataclass(frozen=True, slots=True)
class TagError:
    """Why a list is none."""

    reason: str
    """One clause, free of the list's own text."""


def parse_tags(text: str, *, lenient: bool = False) -> dict[str, str] | TagError:
    """Tags in order of appearance, with the blanks around names and values removed.

    `text` is unfolded. Names are case-sensitive and unique. `lenient` passes over what is ill-formed
    and keeps the first of several tags with one name; only size can then be an error.
    """
    if len(text) > MAX_LENGTH:
        return TagError(f"the list is longer than {MAX_LENGTH} octets")
    parts = text.count(";") + 1
    if parts > MAX_TAGS:
        return TagError(f"there are more than {MAX_TAGS} tags")
    found: list[tuple[str, str]] = TAG.findall(text)
    if lenient:
        # Backwards, so that the first of one name stands.
        return {name: value.rstrip(" \t") for name, value in reversed(found) if not CONTROL.search(value)}
    if not text.replace("\t", " ").isprintable() and CONTROL.search(text):
        return TagError("there is a control character in the list")
    if parts > 1 and text.rstrip(" \t").endswith(";"):
        parts -= 1
    if len(found) != parts:
        return TagError("a part of the list is not tag=value")
    tags = {name: value.rstrip(" \t") for name, value in found}
    if len(tags) != parts:
        return TagError("a tag is there twice")
    return tags


def read_base64(text: str) -> bytes | None:
    """Decode strictly but for blanks and folds inside and missing padding (RFC 6376 §2.10); None when it is none."""
    compact = "".join(text.split())
    try:
        return binascii.a2b_base64(compact + "=" * (-len(compact) % 4), strict_mode=True)
    except ValueError:
        return None

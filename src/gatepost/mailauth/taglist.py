"""The tag=value lists of DKIM, ARC and their key records (RFC 6376 §3.2), and of DMARC (RFC 9989 §4.7).

Syntax only: what a tag means, and which ones must be there, is the caller's business.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

MAX_LENGTH = 65_536
MAX_TAGS = 100
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


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
    specs = text.split(";", MAX_TAGS)
    if len(specs) > MAX_TAGS:
        return TagError(f"there are more than {MAX_TAGS} tags")
    if not lenient and CONTROL.search(text):
        return TagError("there is a control character in the list")
    if not lenient and len(specs) > 1 and not specs[-1].strip(" \t"):
        specs.pop()
    tags: dict[str, str] = {}
    for spec in specs:
        name, equals, value = spec.partition("=")
        name = name.strip(" \t")
        if not equals or not NAME.fullmatch(name):
            if lenient:
                continue
            return TagError("a part of the list is not tag=value")
        if name in tags:
            if lenient:
                continue
            return TagError(f"the tag {name[:20]}= is there twice")
        if lenient and CONTROL.search(value):
            continue
        tags[name] = value.strip(" \t")
    return tags


def read_base64(text: str) -> bytes | None:
    """Decode strictly but for blanks and folds inside and missing padding (RFC 6376 §2.10); None when it is none."""
    compact = "".join(text.split())
    if not compact.isascii():
        return None
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except binascii.Error:
        return None

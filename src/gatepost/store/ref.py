"""The reference that stands as one word in replies, log lines and headers, and finds a message again.

Thirteen characters of Crockford's base 32 (no I, L, O, U): eight for the milliseconds since 2024, so that
references sort by time (until 2058), five of randomness. Two in the same millisecond collide once in
33 million; the store refuses the second.
"""

from __future__ import annotations

import re

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
EPOCH = 1_704_067_200
"""2024-01-01, in Unix seconds."""
SHAPE = re.compile(r"[A-Za-z0-9-]{1,40}")
CONFUSED = str.maketrans("ILO", "110")
_PAIRS = [one + other for one in ALPHABET for other in ALPHABET]
_SHIFTS = range(50, -1, -10)


def new_ref(now: float, randomness: bytes) -> str:
    """A reference for something that happens at `now` (Unix seconds), from at least four random octets."""
    milliseconds = max(0, int((now - EPOCH) * 1000)) & 0xFF_FFFF_FFFF
    number = milliseconds << 25 | int.from_bytes(randomness[:4].rjust(4, b"\0"), "big") & 0x1FF_FFFF
    pairs = [_PAIRS[number >> shift & 1023] for shift in _SHIFTS]
    return ALPHABET[number >> 60 & 31] + "".join(pairs)


def made_at(ref: str) -> float | None:
    """When it was made, Unix seconds; None when it is not a whole reference."""
    if len(ref) != 13 or not all(one in ALPHABET for one in ref):
        return None
    number = 0
    for one in ref:
        number = number << 5 | ALPHABET.index(one)
    return EPOCH + (number >> 25) / 1000


def as_typed(text: str) -> str:
    """A reference, or the start of one, as a person typed it: upper case, with look-alikes put right."""
    return text.strip().upper().translate(CONFUSED)


def well_formed(ref: str) -> bool:
    """May it name a file? Letters, digits and hyphens only."""
    return SHAPE.fullmatch(ref) is not None

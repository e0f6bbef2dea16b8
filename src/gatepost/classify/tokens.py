"""Words and 4-grams of text as hashed tokens, all at once in numpy.

A word is a run of letters and digits; where no blanks part words (Chinese, Japanese, Thai …) every pair of
neighbouring characters is one. A 4-gram is any four characters in a row, digits as one, so that ``V1agra`` and
``Viagra`` share most of theirs. Each text stands in a place (subject, body, …), and the same word in another place
is another token. Hashes are 32 bits and stay the same from one process and release to the next: models keep them.

A word's hash is read off a running sum of ``code * BASE**position`` (modulo 2**64) at its two ends, so the work is a
dozen passes over one array however many words there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint32]
_Codes = NDArray[np.uint64]

LONGEST = 40_000
"""Characters that are read, over all sections."""
GRAM_LENGTH = 4
LONGEST_WORD = 40
"""Characters; longer runs are encoded data, not words."""

_BASE = 0x9E3779B97F4A7C15
_MIX = 0xD6E8FEB86659FD93
_BLANK, _LETTER, _DIGIT, _IDEOGRAPH = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Section:
    """One text to cut into tokens."""

    place: int
    """A small number; part of the hash."""
    text: str
    grams: bool = False
    """Are its 4-grams wanted, too?"""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What was cut out: hashes as they come, with repeats, and where each word stands."""

    text: str
    words: Hashes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    places: NDArray[np.int64]
    grams: Hashes


def cut(sections: Sequence[Section]) -> Tokens:
    """Words and 4-grams of `sections`, lower case; what is beyond LONGEST characters is left out."""
    texts, places, ends, gram_ends, used = [], [], [], [], 0
    for section in sections:
        text = section.text[: LONGEST - used].lower()[: LONGEST - used]
        texts.append(text)
        used += len(text) + 1
        places.append(section.place)
        ends.append(used)
        gram_ends.append(used if section.grams else 0)
        if used >= LONGEST:
            break
    whole = "\n".join(texts) + "\n" if texts else ""
    codes, kinds = _codes_of(whole)
    section_place = np.array(places, np.int64)
    section_end = np.array(ends, np.int64)
    prefix = _running_sum(codes)
    starts, stops = _words(kinds)
    place = section_place[np.searchsorted(section_end, starts, "right")] if len(starts) else starts
    words = _hash(prefix, starts, stops, place)
    grams = _grams(codes, kinds, section_place, section_end, np.array(gram_ends, np.int64))
    return Tokens(whole, words, starts, stops, place, grams)


def hash_name(place: int, name: str) -> int:
    """The hash of a token that is not cut from text, such as a host or a fact of structure."""
    value = 0
    for position, code in enumerate(name[:200].encode("utf-32-le")[::4]):
        value = (value + (code + 1) * _POWERS_LIST[position]) & _ALL
    return _finish_one(value ^ _SEEDS_LIST[place & 63])


def _table() -> NDArray[np.uint8]:
    """The kind of each code point below 256."""
    kinds = np.zeros(256, np.uint8)
    for code in range(256):
        character = chr(code)
        kinds[code] = _DIGIT if "0" <= character <= "9" else _LETTER if character.isalpha() else _BLANK
    return kinds


_ALL = (1 << 64) - 1
_KINDS = _table()


def _powers(base: int, count: int) -> _Codes:
    with np.errstate(over="ignore"):
        steps = np.full(count, base, np.uint64)
        steps[0] = 1
        return np.cumprod(steps, dtype=np.uint64)


_POWERS = _powers(_BASE, LONGEST + 2)
_INVERSES = _powers(pow(_BASE, -1, 1 << 64), LONGEST + 2)
_SEEDS = _powers(0xA0761D6478BD642F, 65)[1:]
_POWERS_LIST = [int(one) for one in _POWERS[:256]]
_SEEDS_LIST = [int(one) for one in _SEEDS]


def _codes_of(text: str) -> tuple[_Codes, NDArray[np.uint8]]:
    """Code points, and the kind of each."""
    if text.isascii():
        narrow = np.frombuffer(text.encode("ascii"), np.uint8)
        return narrow.astype(np.uint64), _KINDS[narrow]
    wide = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = _KINDS[np.minimum(wide, 255)]
    far = np.flatnonzero(wide > 255)
    kinds[far] = _far_kinds(wide[far])
    return wide.astype(np.uint64), kinds


# Blocks beyond Latin-1 that hold no letters, and those whose words stand without blanks between them.
_NO_LETTERS = (
    (0x2000, 0x2BFF),
    (0x3000, 0x3004),
    (0x3008, 0x3020),
    (0xFE10, 0xFE6F),
    (0xFF01, 0xFF0F),
    (0xE000, 0xF8FF),
)
_NO_BLANKS = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3021, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),
    (0x20000, 0x3FFFF),
)


def _far_kinds(wide: NDArray[np.uint32]) -> NDArray[np.uint8]:
    kinds = np.full(len(wide), _LETTER, np.uint8)
    for blocks, kind in ((_NO_LETTERS, _BLANK), (_NO_BLANKS, _IDEOGRAPH)):
        for first, last in blocks:
            kinds[(wide >= first) & (wide <= last)] = kind
    return kinds


def _running_sum(codes: _Codes) -> _Codes:
    prefix = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum((codes + np.uint64(1)) * _POWERS[: len(codes)], out=prefix[1:])
    return prefix


def _hash(
    prefix: _Codes, starts: NDArray[np.int64], ends: NDArray[np.int64], places: NDArray[np.int64]
) -> Hashes:
    return _finish(((prefix[ends] - prefix[starts]) * _INVERSES[starts]) ^ _SEEDS[places & 63])


def _finish(values: _Codes) -> Hashes:
    """Spread the bits and keep 32."""
    values = values ^ (values >> np.uint64(32))
    values = values * np.uint64(_MIX)
    return (values >> np.uint64(32)).astype(np.uint32)


def _finish_one(value: int) -> int:
    value ^= value >> 32
    return ((value * _MIX) & _ALL) >> 32


def _words(kinds: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where words start and end: runs of letters and digits of 2 to LONGEST_WORD, and pairs of ideographs."""
    inside = (kinds == _LETTER) | (kinds == _DIGIT)
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    if len(inside) and inside[0]:
        edges = np.concatenate((np.zeros(1, np.int64), edges))
    edges = edges[: len(edges) // 2 * 2]
    starts, ends = edges[0::2], edges[1::2]
    length = ends - starts
    kept = (length > 1) & (length <= LONGEST_WORD)
    starts, ends = starts[kept], ends[kept]
    ideographs = kinds == _IDEOGRAPH
    if ideographs.any():
        pairs = np.flatnonzero(ideographs[:-1] & ideographs[1:])
        starts = np.concatenate((starts, pairs))
        ends = np.concatenate((ends, pairs + 2))
    return starts, ends


def _grams(
    codes: _Codes,
    kinds: NDArray[np.uint8],
    places: NDArray[np.int64],
    section_ends: NDArray[np.int64],
    gram_ends: NDArray[np.int64],
) -> Hashes:
    """Hashes of all 4-grams that lie in one section."""
    found = []
    folded = np.where(kinds == _DIGIT, np.uint64(48), codes)
    start = 0
    for place, end, wanted in zip(places, section_ends, gram_ends, strict=True):
        if wanted and end - 1 - start >= GRAM_LENGTH:
            # The section is enclosed in blanks, so that a word's beginning and end show in its grams.
            part = np.concatenate(([np.uint64(32)], folded[start : end - 1], [np.uint64(32)]))
            mixed = part[:-3] * np.uint64(_BASE) ^ _SEEDS[place & 63]
            for step in (part[1:-2], part[2:-1], part[3:]):
                mixed = (mixed ^ step) * np.uint64(_MIX)
            found.append((mixed >> np.uint64(32)).astype(np.uint32))
        start = int(end)
    return np.concatenate(found) if found else np.zeros(0, np.uint32)

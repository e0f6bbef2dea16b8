"""Words and 4-grams of text as hashed tokens, all at once in numpy.

A word is a run of letters and digits; where no blanks part words (Chinese, Japanese, Thai …) every pair of
neighbouring characters is one. In texts meant to be read, a chunk between blanks that holds signs besides (``free!!``,
``$99``) is a token too, and so is a word shouted in capitals. A 4-gram is any four characters in a row, digits as one, so that ``V1agra`` and
``Viagra`` share most of theirs. Each text stands in a place (subject, body, …), and the same word in another place
is another token. Hashes are 32 bits and stay the same from one process and release to the next: models keep them.

A word's hash is read off a running sum of ``code * BASE**position`` (modulo 2**32) at its two ends, so the work is a
dozen passes over one array however many words there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint32]
_Codes = NDArray[np.uint32]

LONGEST = 40_000
"""Characters that are read, over all sections."""
GRAM_LENGTH = 4
LONGEST_WORD = 40
"""Characters; longer runs are encoded data, not words."""
LONGEST_CHUNK = 20
SHOUTED, CHUNK = 16, 32
"""Added to the place of a shouted word, and of a chunk."""
_READ = 64

_BASE = 0x9E3779B1
_BLANK, _LETTER, _DIGIT, _IDEOGRAPH = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Section:
    """One text to cut into tokens."""

    place: int
    """A small number; part of the hash."""
    text: str
    read: bool = False
    """Is it meant to be read? Then its 4-grams, chunks and shouted words are wanted, too."""
    apart: bool = False
    """Its tokens are to be told from the others'. Such sections come last."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What was cut out: hashes as they come, with repeats, and where each word stands."""

    text: str
    words: Hashes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    places: NDArray[np.uint8]
    grams: Hashes
    apart: int = LONGEST + 1
    """Where in `text` the sections begin that are apart; beyond its end when there are none."""
    grams_apart: int = 0
    """How many of `grams`, the last ones, are theirs."""


def cut(sections: Sequence[Section]) -> Tokens:
    """Words and 4-grams of `sections`, lower case; what is beyond LONGEST characters is left out."""
    written = _written(sections)
    if not written.lengths:
        return _NOTHING
    codes, kinds, lengths = written.codes, written.kinds, written.lengths
    sections = sections[: len(lengths)]
    # Of each character the place of its section, and whether that is read.
    marks = np.array([one.place | (_READ if one.read else 0) for one in sections], np.uint8).repeat(lengths)
    starts, stops = _words(kinds)
    places = marks[starts]
    loud = _loud(written.shouted, starts, stops, places >= _READ)
    chunk_starts, chunk_stops = _chunks(codes, kinds)
    chunk_places = marks[chunk_starts]
    kept = (chunk_places >= _READ).nonzero()[0]
    starts, stops, places = (
        np.concatenate(three)
        for three in (
            (starts, starts[loud], chunk_starts[kept]),
            (stops, stops[loud], chunk_stops[kept]),
            (places, places[loud] + np.uint8(SHOUTED), chunk_places[kept] + np.uint8(CHUNK)),
        )
    )
    places &= np.uint8(_READ - 1)
    words = _hash(_running_sum(codes), starts, stops, places)
    spans, apart, end = [], LONGEST + 1, 0
    for one, length in zip(sections, lengths, strict=True):
        begin, end = end, end + length
        if one.apart:
            apart = min(apart, begin)
        if one.read and length > 2:
            spans.append((one, begin, end))
    grams = _grams(codes, kinds, spans)
    grams_apart = sum(end - begin - 2 for one, begin, end in spans if one.apart)
    return Tokens(written.text, words, starts, stops, places, grams, apart, grams_apart)


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


_ALL = (1 << 32) - 1
_KINDS = _table()


def _powers(base: int, count: int) -> _Codes:
    with np.errstate(over="ignore"):
        steps = np.full(count, base, np.uint32)
        steps[0] = 1
        return np.cumprod(steps, dtype=np.uint32)


_POWERS = _powers(_BASE, LONGEST + 2)
_INVERSES = _powers(pow(_BASE, -1, 1 << 32), LONGEST + 2)
_SEEDS = _powers(0x78BD642F, 65)[1:]
_POWERS_LIST = [int(one) for one in _POWERS[:256]]
_SEEDS_LIST = [int(one) for one in _SEEDS]


_LOWER = bytes(ord(chr(code).lower()) for code in range(256))
_LOWER_CODES = np.frombuffer(_LOWER, np.uint8)


class _Written(NamedTuple):
    """All sections, one line end behind each."""

    text: str
    """Lower case."""
    codes: _Codes
    """Its code points."""
    kinds: NDArray[np.uint8]
    shouted: NDArray[np.bool_]
    """Where a capital stood."""
    lengths: list[int]
    """Of each section that is read, its line end included."""


def _written(sections: Sequence[Section]) -> _Written:
    texts, used = [], 0
    for section in sections:
        if used >= LONGEST:
            break
        texts.append(section.text[: LONGEST - used])
        used += len(texts[-1]) + 1
    whole = "\n".join([*texts, ""])
    try:
        octets = whole.encode("latin-1")
    except UnicodeEncodeError:
        return _written_wide(texts)
    written = np.frombuffer(octets, np.uint8)
    narrow = _LOWER_CODES[written]
    text = whole.lower() if whole.isascii() else octets.translate(_LOWER).decode("latin-1")
    return _Written(
        text, narrow.astype(np.uint32), _KINDS[narrow], narrow != written, [len(one) + 1 for one in texts]
    )


def _written_wide(texts: Sequence[str]) -> _Written:
    """The same for characters beyond Latin-1."""
    written, folded, lengths, used = [], [], [], 0
    for text in texts:
        if used >= LONGEST:
            break
        low = text.lower()[: LONGEST - used]
        # Where lower case is longer (some capitals are two letters then), nothing is known to be shouted.
        written.append(text if len(low) == len(text) else low)
        folded.append(low)
        lengths.append(len(low) + 1)
        used += len(low) + 1
    whole = "\n".join([*folded, ""])
    wide, before = (
        np.frombuffer(one.encode("utf-32-le", "surrogatepass"), np.uint32)
        for one in (whole, "\n".join([*written, ""]))
    )
    kinds = _KINDS[np.minimum(wide, 255)]
    far = np.flatnonzero(wide > 255)
    kinds[far] = _far_kinds(wide[far])
    return _Written(whole, wide, kinds, wide != before, lengths)


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


def _blocks() -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Where each block begins and the one behind it, and the kind from there on."""
    edges = sorted(
        (first, last, kind)
        for blocks, kind in ((_NO_LETTERS, _BLANK), (_NO_BLANKS, _IDEOGRAPH))
        for first, last in blocks
    )
    begins, kinds = [0], [_LETTER]
    for first, last, kind in edges:
        if begins[-1] == first:
            kinds[-1] = kind
        else:
            begins.append(first)
            kinds.append(kind)
        begins.append(last + 1)
        kinds.append(_LETTER)
    return np.array(begins, np.uint32), np.array(kinds, np.uint8)


_BEGINS, _KIND_FROM = _blocks()


def _far_kinds(wide: NDArray[np.uint32]) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = _KIND_FROM[np.searchsorted(_BEGINS, wide, "right") - 1]
    return found


def _running_sum(codes: _Codes) -> _Codes:
    prefix = np.empty(len(codes) + 1, np.uint32)
    prefix[0] = 0
    values = codes + np.uint32(1)
    values *= _POWERS[: len(codes)]
    values.cumsum(dtype=np.uint32, out=prefix[1:])
    return prefix


def _hash(
    prefix: _Codes, starts: NDArray[np.int64], ends: NDArray[np.int64], places: NDArray[np.uint8]
) -> Hashes:
    return _finish(((prefix[ends] - prefix[starts]) * _INVERSES[starts]) ^ _SEEDS[places])


def _finish(values: _Codes) -> Hashes:
    """Spread the bits (the last step of MurmurHash3)."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return np.asarray(values ^ (values >> np.uint32(16)), np.uint32)


def _finish_one(value: int) -> int:
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & _ALL
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & _ALL
    return value ^ (value >> 16)


def _words(kinds: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where words start and end: runs of letters and digits of 2 to LONGEST_WORD, and pairs of ideographs."""
    inside = (kinds - np.uint8(_LETTER)) < 2  # letters and digits; blanks wrap around
    edges = (inside[1:] != inside[:-1]).nonzero()[0] + 1
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


def _loud(
    shouted: NDArray[np.bool_], starts: NDArray[np.int64], ends: NDArray[np.int64], read: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Which words of what is read are shouted: three capitals and more, and nothing else."""
    found: NDArray[np.int64] = (read & shouted[starts] & (ends - starts > 2)).nonzero()[0]
    found = found[shouted[ends[found] - 1]]
    if not len(found):
        return found
    total = np.empty(len(shouted) + 1, np.uint8)  # modulo 256: no word is as long
    total[0] = 0
    shouted.cumsum(dtype=np.uint8, out=total[1:])
    start, end = starts[found], ends[found]
    every: NDArray[np.int64] = found[total[end] - total[start] == (end - start).astype(np.uint8)]
    return every


def _chunks(codes: _Codes, kinds: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Runs of anything but blanks that are more than a word with one stop behind it."""
    dark = codes > 32
    edges = (dark[1:] != dark[:-1]).nonzero()[0] + 1
    if dark[0]:
        edges = np.concatenate((np.zeros(1, np.int64), edges))
    edges = edges[: len(edges) // 2 * 2]
    starts, ends = edges[0::2], edges[1::2]
    ends = ends - _STOPS[np.minimum(codes[ends - 1], 127)]
    length = ends - starts
    # Counted modulo 256: no chunk that is kept is as long.
    signs = np.empty(len(kinds) + 1, np.uint8)
    signs[0] = 0
    (kinds == _BLANK).cumsum(dtype=np.uint8, out=signs[1:])
    kept = (length > 1) & (length <= LONGEST_CHUNK) & (signs[ends] != signs[starts])
    return starts[kept], ends[kept]


def _grams(codes: _Codes, kinds: NDArray[np.uint8], spans: Sequence[tuple[Section, int, int]]) -> Hashes:
    """Hashes of all 4-grams of some sections, digits as one; `end` of a span is behind the line end that follows it."""
    if not spans:
        return _NOTHING.grams
    # Each is enclosed in blanks, so that a word's beginning and end show in its grams. One pass for all, as a pass costs
    # more than a short section; grams that reach from one section into the next are cut out at the end.
    size = sum(end - begin + 1 for _, begin, end in spans)
    part, mixed_place, kept = np.full(size, 32, np.uint32), np.empty(size - 3, np.uint32), []
    at = 0
    for one, begin, end in spans:
        length = end - 1 - begin
        inside = part[at + 1 : at + 1 + length]
        inside[:] = codes[begin : end - 1]
        inside[kinds[begin : end - 1] == _DIGIT] = 48
        mixed_place[at : at + length + 2] = one.place * 0x9E3779B1 & _ALL
        kept.append(slice(at, at + length - 1))
        at += length + 2
    mixed = part[:-3] * _GRAM_MIX[0]
    mixed ^= part[1:-2] * _GRAM_MIX[1]
    mixed += part[2:-1] * _GRAM_MIX[2]
    mixed_place += part[3:] * _GRAM_MIX[3]
    mixed ^= mixed_place
    mixed ^= mixed >> np.uint32(15)
    mixed *= _GRAM_MIX[0]
    mixed ^= mixed >> np.uint32(16)
    return mixed if len(kept) == 1 else np.concatenate([mixed[one] for one in kept])


_GRAM_MIX = np.array((0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F, 0x165667B1), np.uint32)
_STOPS = np.array([chr(code) in ".,;:" for code in range(128)], np.int64)
_NONE = np.zeros(0, np.int64)
_NOTHING = Tokens("", np.zeros(0, np.uint32), _NONE, _NONE, np.zeros(0, np.uint8), np.zeros(0, np.uint32))

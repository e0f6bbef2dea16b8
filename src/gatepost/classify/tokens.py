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
from itertools import accumulate, pairwise
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
_BLANK, _SIGN, _IDEOGRAPH, _IN_WORD, _CAPITAL = range(5)
"""Classes of characters, in an order that makes one comparison of each question. Capitals stand in words, too."""


class Section(NamedTuple):
    """One text to cut into tokens."""

    place: int
    """A small number; part of the hash."""
    text: str
    read: bool = False
    """Is it meant to be read? Then its 4-grams, chunks and shouted words are wanted, too."""
    apart: bool = False
    """Its tokens are to be told from the others'. Such sections come last."""


class Tokens(NamedTuple):
    """What was cut out: hashes as they come, with repeats, and where each word stands."""

    text: str
    words: Hashes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    places: NDArray[np.int64]
    grams: Hashes
    apart: int = LONGEST + 1
    """Where in `text` the sections begin that are apart; beyond its end when there are none."""
    grams_apart: int = 0
    """How many of `grams`, the last ones, are theirs."""


def cut(sections: Sequence[Section]) -> Tokens:
    """Words and 4-grams of `sections`, lower case; what is beyond LONGEST characters is left out."""
    written = _written(sections)
    if not written.ends:
        return _NOTHING
    codes, classes, section_ends = written.codes, written.classes, np.array(written.ends)
    sections = sections[: len(written.ends)]
    starts, stops = _words(classes)
    if not written.narrow:
        starts, stops = _with_pairs(classes, starts, stops)
    # Of each section its place, and whether it is read; of each word then that of its section.
    marks = np.array([one.place | _READ * one.read for one in sections])
    first = starts.searchsorted(section_ends).tolist()
    places = marks.repeat([after - before for before, after in pairwise((0, *first))])
    loud = _loud(classes, starts, stops)
    loud = loud[places[loud] >= _READ]
    chunk_starts, chunk_stops = _chunks(codes, classes)
    chunk_places = marks[section_ends.searchsorted(chunk_starts, "right")]
    kept = (chunk_places >= _READ).nonzero()[0]
    if len(loud) or len(kept):
        places = np.concatenate((places, places[loud] + SHOUTED, chunk_places[kept] + CHUNK))
        starts = np.concatenate((starts, starts[loud], chunk_starts[kept]))
        stops = np.concatenate((stops, stops[loud], chunk_stops[kept]))
    places &= _READ - 1
    words = _hash(_running_sum(codes), starts, stops, places)
    spans, apart, begin = [], LONGEST + 1, 0
    for one, end in zip(sections, written.ends, strict=True):
        if one.apart:
            apart = min(apart, begin)
        if one.read and end - begin > 2:
            spans.append((one, begin, end - 1))
        begin = end
    grams = _grams(written.text, spans)
    grams_apart = sum(end - begin - 1 for one, begin, end in spans if one.apart)
    return Tokens(written.text, words, starts, stops, places, grams, apart, grams_apart)


def hash_name(place: int, name: str) -> int:
    """The hash of a token that is not cut from text, such as a host or a fact of structure."""
    value = 0
    for position, code in enumerate(name[:200].encode("utf-32-le")[::4]):
        value = (value + (code + 1) * _POWERS_LIST[position]) & _ALL
    return _finish_one(value ^ _SEEDS_LIST[place & 63])


_ALL = (1 << 32) - 1
_LOWER = bytes(ord(chr(code).lower()) for code in range(256))
_CLASSES = bytes(
    _BLANK if code <= 32
    else _CAPITAL if _LOWER[code] != code
    else _IN_WORD if chr(code).isalpha() or chr(code) in "0123456789"
    else _SIGN
    for code in range(256)
)  # fmt: skip
"""Of each character of Latin-1."""
_CLASS_OF = np.frombuffer(_CLASSES, np.uint8)
_ONE_DIGIT = bytes(48 if 48 <= code <= 57 else code for code in range(256))
"""Latin-1 with every digit as 0."""


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


class _Written(NamedTuple):
    """All sections, one line end behind each."""

    text: str
    """Lower case."""
    codes: _Codes
    """Its code points."""
    classes: NDArray[np.uint8]
    """Theirs, as they were written."""
    ends: list[int]
    """Of each section that is read, behind its line end."""
    narrow: bool
    """Nothing beyond Latin-1."""


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
    low = octets.translate(_LOWER)
    codes = np.frombuffer(low, np.uint8).astype(np.uint32)
    classes = np.frombuffer(octets.translate(_CLASSES), np.uint8)
    return _Written(low.decode("latin-1"), codes, classes, _ends(texts), narrow=True)


def _ends(texts: Sequence[str]) -> list[int]:
    return list(accumulate(len(one) + 1 for one in texts))


def _written_wide(texts: Sequence[str]) -> _Written:
    """The same for characters beyond Latin-1."""
    written, folded, used = [], [], 0
    for text in texts:
        if used >= LONGEST:
            break
        low = text.lower()[: LONGEST - used]
        # Where lower case is longer (some capitals are two letters then), nothing is known to be shouted.
        written.append(text if len(low) == len(text) else low)
        folded.append(low)
        used += len(low) + 1
    whole = "\n".join([*folded, ""])
    wide, before = (
        np.frombuffer(one.encode("utf-32-le", "surrogatepass"), np.uint32)
        for one in (whole, "\n".join([*written, ""]))
    )
    classes = _CLASS_OF[np.minimum(wide, 255)]
    far = (wide > 255).nonzero()[0]
    classes[far] = _far_classes(wide[far])
    classes[(classes == _IN_WORD) & (wide != before)] = _CAPITAL
    return _Written(whole, wide, classes, _ends(folded), narrow=False)


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
    """Where each block begins and the one behind it, and the class from there on."""
    edges = sorted(
        (first, last, a_class)
        for blocks, a_class in ((_NO_LETTERS, _SIGN), (_NO_BLANKS, _IDEOGRAPH))
        for first, last in blocks
    )
    begins, classes = [0], [_IN_WORD]
    for first, last, a_class in edges:
        if begins[-1] == first:
            classes[-1] = a_class
        else:
            begins.append(first)
            classes.append(a_class)
        begins.append(last + 1)
        classes.append(_IN_WORD)
    return np.array(begins, np.uint32), np.array(classes, np.uint8)


_BEGINS, _CLASS_FROM = _blocks()


def _far_classes(wide: NDArray[np.uint32]) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = _CLASS_FROM[np.searchsorted(_BEGINS, wide, "right") - 1]
    return found


def _running_sum(codes: _Codes) -> _Codes:
    prefix = np.empty(len(codes) + 1, np.uint32)
    prefix[0] = 0
    values = codes + _ONE
    values *= _POWERS[: len(codes)]
    np.add.accumulate(values, out=prefix[1:])
    return prefix


def _hash(
    prefix: _Codes, starts: NDArray[np.int64], ends: NDArray[np.int64], places: NDArray[np.int64]
) -> Hashes:
    values = prefix[ends]
    values -= prefix[starts]
    values *= _INVERSES[starts]
    values ^= _SEEDS[places]
    return _finish(values)


# Constants as arrays: what numpy makes of a Python number at every use costs as much as the work on a hundred words.
_ONE, _13, _15, _16, _MIX_1, _MIX_2 = (
    np.array(one, np.uint32) for one in (1, 13, 15, 16, 0x85EBCA6B, 0xC2B2AE35)
)


def _finish(values: _Codes) -> Hashes:
    """Spread the bits, in place (the last step of MurmurHash3)."""
    values ^= values >> _16
    values *= _MIX_1
    values ^= values >> _13
    values *= _MIX_2
    values ^= values >> _16
    return values


def _finish_one(value: int) -> int:
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & _ALL
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & _ALL
    return value ^ (value >> 16)


def _words(classes: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where words start and end: runs of letters and digits of 2 to LONGEST_WORD."""
    inside = classes >= _IN_WORD
    edges = (inside[1:] != inside[:-1]).nonzero()[0]
    edges += 1
    if inside[0]:
        edges = np.concatenate((_FIRST, edges))
    starts, ends = edges[0::2], edges[1::2]
    kept = _as_long(starts, ends, LONGEST_WORD)
    return starts[kept], ends[kept]


def _with_pairs(
    classes: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Words, and pairs of ideographs between them."""
    ideographs = classes == _IDEOGRAPH
    pairs = (ideographs[:-1] & ideographs[1:]).nonzero()[0]
    starts = np.concatenate((starts, pairs))
    ends = np.concatenate((ends, pairs + 2))
    order = starts.argsort(kind="stable")
    return starts[order], ends[order]


def _as_long(starts: NDArray[np.int64], ends: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
    """Which are of 2 to `longest` characters."""
    length = (ends - starts).view(np.uint64)
    length -= _TWO  # less is very much then
    return (length <= longest - 2).nonzero()[0]


def _loud(
    classes: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Which words are shouted: three capitals and more, and nothing else."""
    found: NDArray[np.int64] = (classes[starts] == _CAPITAL).nonzero()[0]
    found = found[classes[ends[found] - 1] == _CAPITAL]
    if len(found):
        start, end = starts[found], ends[found]
        capitals = (classes == _CAPITAL).nonzero()[0]
        count = capitals.searchsorted(end) - capitals.searchsorted(start)
        found = found[(count == end - start) & (count > 2)]
    return found


def _chunks(codes: _Codes, classes: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Runs of anything but blanks that are more than a word with one stop behind it. Sought from their signs, which are few."""
    signs = (classes == _SIGN).nonzero()[0]
    if not len(signs):
        return _NONE, _NONE
    blanks = (classes == _BLANK).nonzero()[0]
    behind = blanks.searchsorted(signs)
    firsts = np.concatenate((_FIRST, (behind[1:] != behind[:-1]).nonzero()[0] + 1, [len(signs)]))
    count = firsts[1:] - firsts[:-1]
    behind = behind[firsts[:-1]]
    starts, ends = blanks[behind - 1] + 1, blanks[behind]
    if not behind[0]:
        starts[0] = 0
    stops = _STOPS[np.minimum(codes[ends - 1], 127)]
    ends -= stops
    kept = _as_long(starts, ends, LONGEST_CHUNK)
    kept = kept[count[kept] > stops[kept]]
    return starts[kept], ends[kept]


def _grams(text: str, spans: Sequence[tuple[Section, int, int]]) -> Hashes:
    """Hashes of all 4-grams of some sections of `text`, digits as one."""
    if not spans:
        return _NOTHING.grams
    # Each is enclosed in blanks, so that a word's beginning and end show in its grams. One pass for all, as a pass costs
    # more than a short section; grams that reach from one section into the next are cut out at the end.
    part = _one_digit(" " + "  ".join([text[begin:end] for _, begin, end in spans]) + " ")
    mixed = part[:-3] * _GRAM_MIX[0]
    other = part[1:-2] * _GRAM_MIX[1]
    mixed ^= other
    np.multiply(part[2:-1], _GRAM_MIX[2], out=other)
    mixed += other
    np.multiply(part[3:], _GRAM_MIX[3], out=other)
    lengths = [end - begin + 2 for _, begin, end in spans]
    places = np.array([one.place * _BASE & _ALL for one, _, _ in spans], np.uint32).repeat(lengths)
    other += places[:-3]
    mixed ^= other
    mixed ^= np.right_shift(mixed, _15, out=other)
    mixed *= _GRAM_MIX[0]
    mixed ^= np.right_shift(mixed, _16, out=other)
    if len(spans) == 1:
        return mixed
    return np.concatenate(
        [mixed[end - length : end - 3] for length, end in zip(lengths, accumulate(lengths), strict=True)]
    )


def _one_digit(text: str) -> _Codes:
    """Its code points, every digit as 0."""
    try:
        return np.frombuffer(text.encode("latin-1").translate(_ONE_DIGIT), np.uint8).astype(np.uint32)
    except UnicodeEncodeError:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).copy()
        codes[codes - np.uint32(48) < 10] = 48
        return codes


_GRAM_MIX = [np.array(one, np.uint32) for one in (0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F, 0x165667B1)]
_STOPS = np.array([chr(code) in ".,;:" for code in range(128)], np.int64)
_NONE = np.zeros(0, np.int64)
_FIRST = np.zeros(1, np.int64)
_TWO = np.array(2, np.uint64)
_NOTHING = Tokens("", np.zeros(0, np.uint32), _NONE, _NONE, _NONE, np.zeros(0, np.uint32))

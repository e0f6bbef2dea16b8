"""Text as rules compare it: what a person reads, without the disguises.

Case folded, full-width and mathematical letters made plain (NFKC), accents taken off Latin letters, invisible
characters removed, look-alike letters in otherwise Latin words made Latin, blanks and line ends folded into one
blank. Not a confusables engine (UTS 39): only letters that are hard to tell from Latin ones by eye.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Seen by nobody: soft hyphen, joiners, zero-width, directional marks, word joiner, variation selectors, fillers, tags.
UNSEEN = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e01ef]+"
)
# Between two Japanese or Chinese characters a blank separates nothing.
BLANK_BETWEEN = re.compile(r"(?<=[\u3040-\u30ff\u3400-\u9fff]) (?=[\u3040-\u30ff\u3400-\u9fff])")
OTHER_SCRIPT = re.compile(r"[\u0370-\u052f]")
LATIN = re.compile(r"[a-z]")
WORD = re.compile(r"[a-z\u0370-\u052f]++")
MATHEMATICAL = re.compile(
    r"[\U0001d400-\U0001d7ff\uff21-\uff3a\uff41-\uff5a\u24b6-\u24e9\U0001f130-\U0001f189]"
)

LOOK_ALIKES = str.maketrans(
    {
        "а": "a", "в": "b", "с": "c", "ԁ": "d", "е": "e", "һ": "h", "і": "i", "ј": "j", "к": "k", "ӏ": "l", "м": "m",
        "н": "h", "о": "o", "р": "p", "ԛ": "q", "ѕ": "s", "т": "t", "у": "y", "ѵ": "v", "ԝ": "w", "х": "x", "ү": "y",
        "α": "a", "β": "b", "ε": "e", "η": "n", "ι": "i", "κ": "k", "ν": "v", "ο": "o", "ρ": "p", "τ": "t", "υ": "u",
        "χ": "x", "γ": "y", "ω": "w", "г": "r", "п": "n", "и": "u", "з": "3", "ѡ": "w", "ё": "e", "ї": "i",
    }
)  # fmt: skip


def _without_accents() -> dict[int, str]:
    """Every Latin letter with a mark, and its bare letter."""
    plain = {
        ord("ß"): "ss",
        ord("ø"): "o",
        ord("đ"): "d",
        ord("ł"): "l",
        ord("ı"): "i",
        ord("æ"): "ae",
        ord("œ"): "oe",
    }
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        base = unicodedata.normalize("NFD", chr(code))[0]
        if base.isascii() and base.isalpha():
            plain.setdefault(code, base.lower())
    return plain


WITHOUT_ACCENTS = _without_accents()


ACCENTED = re.compile(r"[\u00c0-\u024f\u1e00-\u1eff]+")


def folded(text: str) -> str:
    """`text` as rules compare it; never raises, linear."""
    try:
        octets = text.encode("latin-1")
    except UnicodeEncodeError:
        return _folded(text)
    # Of Latin-1 every character is folded by itself: a table does it, but for those few that become several.
    if b"\xad" in octets:
        octets = octets.replace(b"\xad", b"")  # apart: a table that also deletes takes twice as long
    octets = octets.translate(LATIN_1)
    if not octets.isascii():
        for octet, become in LATIN_1_SEVERAL:
            if octet in octets:
                if become is None:
                    return _folded(text)
                octets = octets.replace(octet, become)
    while b"  " in octets:
        octets = octets.replace(b"  ", b" ")
    return octets.strip(b" ").decode("latin-1")


def _folded(text: str) -> str:
    """The same for any text."""
    text = UNSEEN.sub("", unicodedata.normalize("NFKC", text).casefold())
    text = " ".join(ACCENTED.sub(_bare, text).split())
    if OTHER_SCRIPT.search(text):
        text = WORD.sub(_undisguised, text)
    return BLANK_BETWEEN.sub("", text)


@lru_cache(maxsize=4096)
def _bare_run(run: str) -> str:
    return run.translate(WITHOUT_ACCENTS)


def _bare(match: re.Match[str]) -> str:
    return _bare_run(match[0][:40]) + match[0][40:].translate(WITHOUT_ACCENTS)


def _latin_1() -> tuple[bytes, tuple[tuple[bytes, bytes | None], ...]]:
    """Each octet folded, where that is one octet again; and those that become several, or None: that leave Latin-1."""
    table = bytearray(range(256))
    several: list[tuple[bytes, bytes | None]] = []
    for code in set(range(256)) - {0xAD}:
        character = unicodedata.normalize("NFKC", chr(code)).casefold().translate(WITHOUT_ACCENTS)
        if character.isspace():
            character = " "
        try:
            become = character.encode("latin-1")
        except UnicodeEncodeError:
            several.append((bytes([code]), None))
            continue
        if len(become) == 1:
            table[code] = become[0]
        else:
            several.append((bytes([code]), become))
    return bytes(table), tuple(several)


LATIN_1, LATIN_1_SEVERAL = _latin_1()


def disguised_words(text: str) -> int:
    """How many words mix look-alike letters of other scripts into Latin ones, or are written in mathematical letters."""
    if text.isascii():
        return 0
    lower = UNSEEN.sub("", text).casefold()
    mixed = sum(map(_mixed, WORD.findall(lower))) if OTHER_SCRIPT.search(lower) else 0
    return mixed + len(MATHEMATICAL.findall(text)) // 4


def _undisguised(match: re.Match[str]) -> str:
    return match[0].translate(LOOK_ALIKES) if _mixed(match[0]) else match[0]


def _mixed(word: str) -> bool:
    return LATIN.search(word) is not None and OTHER_SCRIPT.search(word) is not None

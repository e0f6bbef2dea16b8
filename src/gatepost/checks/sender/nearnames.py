"""Does a host look like a domain that people trust? An index made once, asked in microseconds.

Four ways to look alike: letters that look the same (``paypa1``, ``rnicrosoft``, Cyrillic), one slip of the finger
(``micosoft``), a known name beside other words (``paypal-login``), the name under another ending, and the whole domain
in front of another (``paypal.com.evil.example``). Slips are found through the set of all names with one letter left out,
so that the number of names does not matter; each host is judged once and remembered.
Left out: two slips at once, and what a name means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gatepost.dns.names import public_suffix
from gatepost.mail.known.brands import Brand
from gatepost.mail.known.lures import LURES, REAL_WORDS

REMEMBERED = 20_000
SHORTEST = 5
"""A name shorter than this is compared only whole: too many words are one slip away from it."""
LONG = 8
"""From this length on any slip counts; below, only likely ones."""
LONGEST = 63


@dataclass(frozen=True, slots=True)
class Known:
    """A name that is worth imitating."""

    owner: str
    """For a person: ``PayPal``, or the domain itself."""
    domain: str
    """What is imitated."""
    whose: str
    """``own``, ``partner`` or ``brand``."""
    everyday: bool = False
    """The name is also a word, so it counts only beside a word of the trade."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A host that looks like a known one."""

    known: Known
    how: str
    """``glyphs``, ``slip``, ``combined``, ``ending`` or ``inside``."""


class NearNames:
    """The index. `own` and `partners` are domains; what belongs to anybody known is never a likeness."""

    def __init__(
        self,
        own: Iterable[str] = (),
        partners: Iterable[str] = (),
        brands: Iterable[Brand] = (),
        more: Iterable[str] = (),
        harmless: Iterable[str] = (),
    ) -> None:
        self._domains: dict[str, Known] = {}
        self._words: dict[str, Known] = {}
        self._skeletons: dict[str, str] = {}
        self._shortened: dict[str, list[str]] = {}
        self._harmless = frozenset(harmless)
        self._asked: dict[str, Likeness | None] = {}
        for domain in own:
            self._add_domain(domain, "own")
        for domain in (*more, *partners):
            self._add_domain(domain, "brand" if domain in more else "partner")
        for brand in brands:
            self._add_brand(brand)
        for word, known in self._words.items():
            self._skeletons.setdefault(skeleton(word), word)
            if len(word) >= SHORTEST and not known.everyday:
                for short in {word, *_one_left_out(word)}:
                    self._shortened.setdefault(short, []).append(word)

    def _add_domain(self, domain: str, whose: str) -> None:
        domain = domain.lower().lstrip(".")
        known = Known(domain, domain, whose)
        self._domains.setdefault(domain, known)
        label, _ = split(domain)
        if len(label) >= 4 and label not in REAL_WORDS:
            self._words.setdefault(label, known)

    def _add_brand(self, brand: Brand) -> None:
        for domain in brand.domains:
            self._domains.setdefault(domain, Known(brand.name, domain, "brand"))
        first = brand.domains[0]
        for word in brand.words:
            self._words.setdefault(word, Known(brand.name, first, "brand"))
        for word in brand.everyday:
            self._words.setdefault(word, Known(brand.name, first, "brand", everyday=True))

    def known(self, host: str) -> Known | None:
        """Whom a host belongs to, None for a stranger's."""
        while host:
            known = self._domains.get(host)
            if known is not None:
                return known
            host = host.partition(".")[2]
        return None

    def called(self, word: str) -> Known | None:
        """Who goes by a name, as it would stand in a domain."""
        return self._words.get(word)

    def look(self, host: str) -> Likeness | None:
        """Whom a host (lower-case A-labels) looks like without being theirs."""
        try:
            return self._asked[host]
        except KeyError:
            pass
        if len(self._asked) >= REMEMBERED:
            self._asked.clear()
        found = self._asked[host] = self._look(host[:253])
        return found

    def _look(self, host: str) -> Likeness | None:
        if "." not in host or host[-1].isdigit() or host[:1] == "[":
            return None
        if self.known(host) is not None or not self._harmless.isdisjoint(_above(host)):
            return None
        label, before = split(host)
        return self._inside(before) or self._like(label[:LONGEST]) or self._in_front(before)

    def _inside(self, before: Sequence[str]) -> Likeness | None:
        """A known domain among the labels in front of the registered one, with dots or dashes."""
        labels = before[-6:]
        dashed = [piece for label in labels for piece in label.split("-")][:12]
        for pieces in (labels, dashed) if len(dashed) > len(labels) else (labels,):
            for start in range(len(pieces) - 1):
                for end in (start + 2, start + 3):
                    known = self._domains.get(".".join(pieces[start:end])) if end <= len(pieces) else None
                    if known is not None:
                        return Likeness(known, "inside")
        return None

    def _in_front(self, before: Sequence[str]) -> Likeness | None:
        """A known name beside a word of the trade, in a label in front of the registered one."""
        for label in before[-6:]:
            if "-" in label and len(label) < LONGEST:
                pieces = label.split("-")
                word = next((piece for piece in pieces if piece in self._words), "")
                if word and any(piece in LURES for piece in pieces if piece != word):
                    return Likeness(self._words[word], "combined")
        return None

    def _like(self, label: str) -> Likeness | None:
        if label.startswith("xn--"):
            label = _unicode(label)
        known = self._words.get(label)
        if known is not None:
            return None if known.everyday else Likeness(known, "ending")
        word = self._skeletons.get(skeleton(label))
        if word is not None and len(word) >= 4:
            known = self._words[word]
            if label.isascii() and (known.everyday or label in REAL_WORDS):
                return None
            return Likeness(known, "glyphs")
        return self._combined(label) or self._slip(label)

    def _combined(self, label: str) -> Likeness | None:
        """A known name among the words of a label, or before or behind a word of the trade."""
        pieces = [piece for piece in re.split(r"[-_]", label) if piece]
        if len(pieces) > 1:
            joined = ["".join(pieces), *(a + b for a, b in pairwise(pieces))]
            for piece in (*pieces, *joined):
                word = piece if piece in self._words else self._skeletons.get(skeleton(piece), "")
                if word and self._beside(word, [one for one in pieces if one not in piece]):
                    return Likeness(self._words[word], "combined")
        for place in range(3, len(label) - 1):
            front, back = label[:place], label[place:]
            known = (
                self._words.get(front) if back in LURES else self._words.get(back) if front in LURES else None
            )
            if known is not None and not known.everyday:
                return Likeness(known, "combined")
        return None

    def _beside(self, word: str, others: Sequence[str]) -> bool:
        """Does the name count beside these words? Short and everyday ones, and a partner's, only beside one of the trade."""
        known = self._words[word]
        if not known.everyday and len(word) > 3 and (known.whose != "partner" or len(word) >= LONG):
            return True
        return any(one.strip("0123456789") in LURES for one in others)

    def _slip(self, label: str) -> Likeness | None:
        if len(label) < SHORTEST or label in REAL_WORDS or not label.isascii():
            return None
        for short in (label, *_one_left_out(label)):
            for word in self._shortened.get(short, ()):
                if likely_slip(label, word):
                    return Likeness(self._words[word], "slip")
        return None


def split(host: str) -> tuple[str, list[str]]:
    """The label that was registered, and the labels in front of it; the first is empty for a public suffix."""
    suffix = public_suffix(host)
    if suffix is None or suffix == host:
        return "", host.split(".")
    *before, label = host[: -len(suffix) - 1].split(".")
    return label, before


def _above(host: str) -> Iterable[str]:
    while host:
        yield host
        host = host.partition(".")[2]


def _one_left_out(word: str) -> list[str]:
    return [word[:place] + word[place + 1 :] for place in range(len(word))]


_FOLD = str.maketrans("0134578i", "oleastbl")


def skeleton(label: str) -> str:
    """The label with letters that look alike made one: by UTS 39 beyond ASCII, by our own eyes within."""
    if not label.isascii():
        import disarm

        label = disarm.normalize_confusables(label).lower()
        label = disarm.strip_accents(label)
    return label.replace("rn", "m").replace("vv", "w").replace("cl", "d").translate(_FOLD)


def _unicode(label: str) -> str:
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return label


_ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEAR = frozenset(
    frozenset((one, other))
    for upper, row in enumerate(_ROWS)
    for place, one in enumerate(row)
    for other in (
        *row[place + 1 : place + 2],
        *(_ROWS[upper + 1][max(0, place - 1) : place + 1] if upper + 1 < len(_ROWS) else ""),
    )
) | {
    frozenset(pair)
    for pair in ("zy", "qa", "zw", "uv", "ao", "gq", "ij", "nm", "ce", "hn", "ft", "il", "ck", "sz")
}
"""Neighbours on a keyboard (QWERTY; where QWERTZ and AZERTY differ), and letters of one shape."""


def likely_slip(written: str, word: str) -> bool:
    """Is `written` one slip from `word`, and in a short word a likely one?"""
    start = 0
    shorter = min(len(written), len(word))
    while start < shorter and written[start] == word[start]:
        start += 1
    end = 0
    while end < shorter - start and written[-1 - end] == word[-1 - end]:
        end += 1
    ours, theirs = written[start : len(written) - end], word[start : len(word) - end]
    if len(ours) == len(theirs) == 2 and ours == theirs[::-1]:
        return True
    if len(ours) == len(theirs) == 1:
        if ours.isdigit() != theirs.isdigit():
            return len(word) >= LONG
        return len(word) >= LONG or frozenset((ours, theirs)) in _NEAR
    if len(ours) + len(theirs) != 1:
        return False
    letter, at = (ours or theirs), start
    if letter.isdigit() or letter == "-":
        return len(word) >= LONG
    doubled = letter in (word[at - 1 : at], word[at : at + 1])
    return doubled or len(word) >= LONG or (not ours and len(word) >= LONG - 1)

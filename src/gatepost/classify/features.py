"""What the learners see of a message: hashed words by place, 4-grams of the text, and facts of its structure.

A footer (what stands below a line of dashes at the end: of a mailing list, a signature, a disclaimer) is kept apart. It is
the same in all mail that comes one way, so it would outweigh the text above it: its words are counted, the regression does
not learn them, and it may speak against a message, never for it.

Left out on purpose, and measured: hidden text and markup (a filter that learns them takes every newsletter for spam).
Left out on principle: dates, the mere presence of any header, mail programs' and mailing lists' marks, recipients'
addresses, and all that receiving hosts wrote. A learner given those tells decades and collections apart, not spam.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gatepost.classify.manner import manner_of
from gatepost.classify.shape import facts_of, files_of, hosts_of, in_words
from gatepost.classify.tokens import CHUNK, SHOUTED, Hashes, Section, Tokens, cut, hash_name
from gatepost.mail.address import printable
from gatepost.mail.author import authors
from gatepost.mail.content import Content
from gatepost.mail.message import Message

HEAD, TAIL = 8_000, 2_000
"""Characters of the visible text that are read, from its beginning and from its end."""
GRAMS = 2_000
"""Characters of it whose 4-grams are taken."""
FOOTER = 1_500
"""Characters at the end in which a footer may begin."""
MOST_SEARCHED = 20_000
"""Characters of the text in which the hosts of a footer are sought."""
RULE = re.compile(r"\n(?:--$|[-_=*~#+]{8})", re.MULTILINE)
"""The end before the line above a footer: that of signatures (RFC 3676 §4.3), or one drawn."""
TAG = re.compile(r"\A((?:\s*(?:re|fw|fwd|aw)\s*:)*+\s*+)\[[^\]]{1,40}+\]\s*", re.IGNORECASE)
"""What a list writes before every subject."""


COUNTS = struct.Struct("<5I")
NOTHING = np.zeros(0, np.uint32)
Named = tuple[int, int, str]
"""Hash, place and name of a token that was not cut from text."""


class Place(IntEnum):
    """Where a token stands. Numbers are part of every hash: never change one."""

    BODY = 1
    SUBJECT = 2
    AUTHOR = 3
    """The name shown as the author, and the local part."""
    DOMAIN = 4
    """The author's."""
    HOST = 5
    """Where links go: the last two labels, one token for each, so that no list's footer outweighs the text."""
    FILE = 8
    """Words of file names, and file types."""
    SHAPE = 9
    """Facts of structure."""


AUTHOR, DOMAIN, HOST, SHAPE = (
    int(one) for one in (Place.AUTHOR, Place.DOMAIN, Place.HOST, Place.SHAPE)
)  # plain: members of an enumeration are slow to look up
PREFIXES = {int(one): "" if one is Place.BODY else f"{one.name.lower()}: " for one in Place}


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Distinct tokens of one message, sorted. Small enough to keep (`to_bytes`), and without names once kept."""

    words: Hashes
    grams: Hashes
    footer_words: Hashes = field(default_factory=lambda: NOTHING)
    """What the footer adds to `words`."""
    footer_grams: Hashes = field(default_factory=lambda: NOTHING)
    manner: Hashes = field(default_factory=lambda: NOTHING)
    """Those of `words` that say how the message is written."""
    tokens: Tokens | None = field(default=None, kw_only=True)
    exact: tuple[Named, ...] = field(default=(), kw_only=True)

    @property
    def views(self) -> tuple[Hashes, Hashes, Hashes]:
        """What the regression weighs, each apart: words, 4-grams, manner."""
        return self.words, self.grams, self.manner

    @property
    def footer(self) -> tuple[Hashes, Hashes]:
        """What the footer adds to words and 4-grams."""
        return self.footer_words, self.footer_grams

    @property
    def all_words(self) -> Hashes:
        """Those of the footer behind the others."""
        if not len(self.footer_words):
            return self.words
        return np.concatenate((self.words, self.footer_words))

    def names(self, words: Hashes) -> list[str]:
        """Tokens as a person reads them, printable; empty for one that is not known any more."""
        wanted = words.tolist()
        asked = set(wanted)
        exact = {value: _shown(place, name) for value, place, name in self.exact if value in asked}
        names = [exact.get(word, "") for word in wanted]
        cut = self.tokens
        if cut is None or not len(cut.words):
            return names
        first = (cut.words == words[:, None]).argmax(axis=1)
        found = (cut.words[first] == words).tolist()
        places, starts, ends = (one[first].tolist() for one in (cut.places, cut.starts, cut.ends))
        return [
            _shown(place, cut.text[start:end]) if here else name
            for name, here, place, start, end in zip(names, found, places, starts, ends, strict=True)
        ]

    def to_bytes(self) -> bytes:
        """The hashes alone, four octets each, behind their counts."""
        parts = (self.words, self.grams, self.footer_words, self.footer_grams, self.manner)
        return b"".join((COUNTS.pack(*map(len, parts)), *(one.tobytes() for one in parts)))

    @classmethod
    def from_bytes(cls, octets: bytes) -> Features | None:
        """What `to_bytes` made, or earlier releases did; None when it is anything else.

        Those had one count in front (of the words), then four (no manner).
        """
        if len(octets) % 4 or len(octets) < 4:
            return None
        numbers = np.frombuffer(octets, "<u4").astype(np.uint32)
        for size in (5, 4):
            counts = [int(one) for one in numbers[:size]]
            if len(counts) == size and size + sum(counts) == len(numbers):
                break
        else:
            if int(numbers[0]) >= len(numbers):
                return None
            counts = [int(numbers[0]), len(numbers) - 1 - int(numbers[0])]
        ends = np.cumsum([1 if len(counts) == 2 else len(counts), *counts]).tolist()
        return cls(*(distinct(numbers[start:end]) for start, end in pairwise(ends)))


def features(content: Content, message: Message) -> Features:
    """The features of one message; bounded in size and time, never raises."""
    text, footer = parted(content)
    manner = list(map(_fact, manner_of(content, message, text)))
    named, beside = _named(content, message, text, footer)
    named += manner
    tokens = cut(tuple(_sections(content, message, text, footer)))
    words, grams = tokens.words, tokens.grams
    exact = (*named, *beside)
    seen = np.array(sorted({one[0] for one in manner}), np.uint32)
    if not footer:
        return Features(_joined(words, named), distinct(grams), manner=seen, tokens=tokens, exact=exact)
    above = tokens.starts < tokens.apart
    own, own_grams = _joined(words.compress(above), named), distinct(grams[: len(grams) - tokens.grams_apart])
    return Features(
        own, own_grams,
        _without(_joined(words.compress(~above), beside), own),
        _without(distinct(grams[len(grams) - tokens.grams_apart :]), own_grams),
        seen, tokens=tokens, exact=exact,
    )  # fmt: skip


def parted(content: Content) -> tuple[str, str]:
    """The visible text of all parts without their footers, and the footers."""
    texts, footers = [], []
    for text in content.shown:
        end = footer_at(text)
        texts.append(text[:end])
        if end < len(text):
            footers.append(text[end:])
    if not footers:
        return content.text, ""
    return "\n\n".join(texts), "\n\n".join(footers)


def footer_at(text: str) -> int:
    """Where the footer of a text begins; its end when it has none."""
    start = max(0, len(text) - FOOTER)
    if start:
        start = text.find("\n", start)
        if start < 0:
            return len(text)
    elif RULE.match("\n" + text[:10]):
        return 0
    found = RULE.search(text, start)
    return len(text) if found is None else found.start() + 1


def distinct(values: NDArray[np.uint32]) -> Hashes:
    """Sorted, each once; faster than np.unique on arrays of this size."""
    if len(values) < 2:
        return values
    ordered = np.sort(values)
    kept = np.empty(len(ordered), bool)
    kept[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=kept[1:])
    return ordered.compress(kept)  # a third of what `ordered[kept]` takes


def _joined(words: Hashes, named: Iterable[Named]) -> Hashes:
    return distinct(np.concatenate((words, np.array([one[0] for one in named], np.uint32))))


def _without(some: Hashes, others: Hashes) -> Hashes:
    """Those of `some` that are not among `others`; both sorted."""
    if not len(some) or not len(others):
        return some
    at = np.minimum(np.searchsorted(others, some), len(others) - 1)
    return some.compress(others[at] != some)


def _sections(content: Content, message: Message, text: str, footer: str) -> Iterator[Section]:
    """The texts that are cut into words; the footer is the last."""
    subject = content.subject
    yield Section(Place.SUBJECT, TAG.sub(r"\1", subject) if "[" in subject else subject, read=True)
    found = authors(message)
    yield Section(
        Place.AUTHOR,
        " ".join((*found.display_names[:5], *(one.local for one in found.addresses[:5]))),
        read=True,
    )
    for name in files_of(content):
        yield Section(Place.FILE, name)
    yield Section(Place.BODY, text[:GRAMS], read=True)
    if len(text) > GRAMS:
        yield Section(Place.BODY, text[GRAMS:HEAD])
        yield Section(Place.BODY, text[max(HEAD, len(text) - TAIL) :])
    if footer:
        yield Section(Place.BODY, footer[: 2 * FOOTER], read=True, apart=True)


def _named(content: Content, message: Message, text: str, footer: str) -> tuple[list[Named], list[Named]]:
    """Tokens with a name of their own: domains, hosts and facts of structure; and hosts that only the footer names."""
    above, below = text[:MOST_SEARCHED].lower() if footer else "", footer.lower()
    named: list[Named] = []
    beside: list[Named] = []
    for place, name in _exact(content, message):
        one = _named_token(place, name) if place != SHAPE else _fact(name)
        only_below = place == HOST and name in below and name not in above
        (beside if only_below else named).append(one)
    return named, beside


def _exact(content: Content, message: Message) -> Iterator[tuple[int, str]]:
    for address in authors(message).addresses[:3]:
        yield AUTHOR, str(address).lower()
        for name in _domains(address.domain):
            yield DOMAIN, name
    for domain in dict.fromkeys(".".join(host.split(".")[-2:]) for host in hosts_of(content)):
        yield HOST, domain[:100]
    for fact in facts_of(content, message):
        yield SHAPE, fact


@lru_cache(maxsize=4096)
def _domains(host: str) -> tuple[str, ...]:
    """The host and the domains above it, down to the last label."""
    labels = host[:253].split(".")[-5:]
    return tuple(".".join(labels[start:]) for start in range(len(labels)))


@lru_cache(maxsize=16_384)
def _named_token(place: int, name: str) -> Named:
    return hash_name(place, name), place, name


@lru_cache(maxsize=16_384)
def _fact(name: str) -> Named:
    """A fact of structure or manner."""
    return hash_name(SHAPE, name), SHAPE, name


@lru_cache(maxsize=16_384)
def _shown(place: int, name: str) -> str:
    """A token with its place, as `subject: invoice`."""
    if place >= CHUNK:
        place -= CHUNK
    elif place >= SHOUTED:
        place, name = place - SHOUTED, name.upper()
    elif place == SHAPE:
        name = in_words(name)
    if not (name.isascii() and name.isalnum()):
        name = printable(name, 60)
    return PREFIXES[place] + name

"""What the learners see of a message: hashed words by place, 4-grams of the text, and facts of its structure.

Left out on purpose, and measured: hidden text and markup (a filter that learns them takes every newsletter for spam).
Left out on principle: dates, the mere presence of any header, mail programs' and mailing lists' marks, recipients'
addresses, and all that receiving hosts wrote. A learner given those tells decades and collections apart, not spam.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gatepost.classify.shape import facts_of, files_of, hosts_of
from gatepost.classify.tokens import CHUNK, SHOUTED, Hashes, Section, Tokens, cut, hash_name
from gatepost.mail.address import printable
from gatepost.mail.author import authors
from gatepost.mail.content import Content
from gatepost.mail.message import Message

HEAD, TAIL = 16_000, 4_000
"""Characters of the visible text that are read, from its beginning and from its end."""
GRAMS = 6_000
"""Characters of it whose 4-grams are taken."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Distinct tokens of one message, sorted. Small enough to keep (`to_bytes`), and without names once kept."""

    words: Hashes
    grams: Hashes
    tokens: Tokens | None = None
    exact: tuple[tuple[int, int, str], ...] = ()
    """Hash, place and name of the tokens that were not cut from text."""

    def name(self, word: int) -> str:
        """The token as a person reads it, printable; empty when it is not known any more."""
        for value, place, name in self.exact:
            if value == word:
                return _shown(place, name)
        if self.tokens is not None:
            found = np.flatnonzero(self.tokens.words == np.uint32(word))
            if len(found):
                at = int(found[0])
                text = self.tokens.text[self.tokens.starts[at] : self.tokens.ends[at]]
                return _shown(int(self.tokens.places[at]), text)
        return ""

    def to_bytes(self) -> bytes:
        """The hashes alone, four octets each, behind the count of words."""
        return len(self.words).to_bytes(4, "little") + self.words.tobytes() + self.grams.tobytes()

    @classmethod
    def from_bytes(cls, octets: bytes) -> Features | None:
        """What `to_bytes` made; None when it is anything else."""
        if len(octets) % 4 or len(octets) < 4:
            return None
        hashes = np.frombuffer(octets, "<u4", offset=4).astype(np.uint32)
        count = int.from_bytes(octets[:4], "little")
        if count > len(hashes):
            return None
        return cls(distinct(hashes[:count]), distinct(hashes[count:]))


def features(content: Content, message: Message) -> Features:
    """The features of one message; bounded in size and time, never raises."""
    exact = tuple((_hash(place, name), place, name) for place, name in _exact(content, message))
    tokens = cut(tuple(_sections(content, message)))
    named = np.fromiter((value for value, _, _ in exact), np.uint32, len(exact))
    words = distinct(np.concatenate((tokens.words, named)))
    return Features(words, distinct(tokens.grams), tokens, exact)


def distinct(values: NDArray[np.uint32]) -> Hashes:
    """Sorted, each once; faster than np.unique on arrays of this size."""
    if len(values) < 2:
        return values
    ordered = np.sort(values)
    kept = np.empty(len(ordered), bool)
    kept[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=kept[1:])
    return ordered[kept]


def _sections(content: Content, message: Message) -> Iterator[Section]:
    """The texts that are cut into words."""
    yield Section(Place.SUBJECT, content.subject, read=True)
    found = authors(message)
    yield Section(
        Place.AUTHOR,
        " ".join((*found.display_names[:5], *(one.local for one in found.addresses[:5]))),
        read=True,
    )
    for name in files_of(content):
        yield Section(Place.FILE, name)
    text = content.text
    yield Section(Place.BODY, text[:GRAMS], read=True)
    if len(text) > GRAMS:
        yield Section(Place.BODY, text[GRAMS:HEAD])
        yield Section(Place.BODY, text[max(HEAD, len(text) - TAIL) :])


def _exact(content: Content, message: Message) -> Iterator[tuple[int, str]]:
    """Tokens with a name of their own: domains, hosts and facts of structure."""
    for address in authors(message).addresses[:3]:
        yield Place.AUTHOR, str(address).lower()
        for name in _domains(address.domain):
            yield Place.DOMAIN, name
    for domain in dict.fromkeys(".".join(host.split(".")[-2:]) for host in hosts_of(content)):
        yield Place.HOST, domain[:100]
    for fact in facts_of(content, message):
        yield Place.SHAPE, fact


@lru_cache(maxsize=4096)
def _domains(host: str) -> tuple[str, ...]:
    """The host and the domains above it, down to the last label."""
    labels = host[:253].split(".")[-5:]
    return tuple(".".join(labels[start:]) for start in range(len(labels)))


@lru_cache(maxsize=16_384)
def _hash(place: int, name: str) -> int:
    return hash_name(place, name)


def _shown(place: int, name: str) -> str:
    """A token with its place, as `subject: invoice`."""
    if place >= CHUNK:
        place -= CHUNK
    elif place >= SHOUTED:
        place, name = place - SHOUTED, name.upper()
    if not (name.isascii() and name.isalnum()):
        name = printable(name, 60)
    return name if place == Place.BODY else f"{Place(place).name.lower()}: {name}"

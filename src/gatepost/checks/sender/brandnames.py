"""Which brand a display name says the author is: ``PayPal Service``, ``Ｎetflix``, ``Mícrosoft 365``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from gatepost.checks.sender.personnames import plain
from gatepost.dns.names import registrable_domain
from gatepost.mail.known.brands import Brand
from gatepost.mail.known.lures import LURES, REAL_WORDS

LONGEST = 120
MOST_WORDS = 8
_BROKERED = re.compile(
    r"\b(?:via|through|on behalf of|par|über|from|at|@|bei|chez|for|fans|users?|group|news)\b|[@|•·]"
)
"""Words that say the name beside them is not the author's own."""


class BrandNames:
    """Brands by the words of their names and by their domains."""

    def __init__(self, brands: Iterable[Brand]) -> None:
        self._names: dict[str, str] = {}
        self._everyday: dict[str, str] = {}
        self._domains: dict[str, str] = {}
        for brand in brands:
            for domain in brand.domains:
                self._domains.setdefault(domain, brand.name)
            whole = "".join(_words(brand.name))
            for word in (*brand.words, whole):
                if word in brand.everyday or word in REAL_WORDS:
                    self._everyday.setdefault(word, brand.name)
                elif len(word) >= 3:
                    self._names.setdefault(word.replace("-", ""), brand.name)
            for word in brand.everyday:
                self._names.pop(word, None)
                self._everyday.setdefault(word, brand.name)

    @lru_cache(maxsize=4096)  # noqa: B019 - one object for the whole program
    def owner_of(self, domain: str) -> str | None:
        """Whose domain it is, itself or one above it."""
        above = registrable_domain(domain) or domain
        while len(domain) >= len(above):
            if domain in self._domains:
                return self._domains[domain]
            domain = domain.partition(".")[2]
        return None

    def named_in(self, name: str) -> str | None:
        """The brand a display name claims to be; None for a person's name, or one that only mentions a brand."""
        text = plain(name[:LONGEST]).lower()
        if _BROKERED.search(text):
            return None
        words = _words(text)[:MOST_WORDS]
        for length in (1, 2, 3):
            for start in range(len(words) - length + 1):
                word = "".join(words[start : start + length])
                brand = self._names.get(word)
                if brand is not None and (start == 0 or self._trade(words, word)):
                    return brand
                brand = self._everyday.get(word)
                if brand is not None and self._trade(words, word):
                    return brand
        return None

    def _trade(self, words: list[str], brand: str) -> bool:
        """Is there nothing but the brand, or words of the trade beside it?"""
        return any(word in LURES for word in words if word not in brand)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", re.sub(r"['’.&+-]", "", text.lower()))

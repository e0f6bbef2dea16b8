"""Brands whose name is worth stealing, and the domains they really write from.

A brand is claimed where its name stands and the author's organisation is not one of its own. That alone proves
nothing (shops name their carriers, banks their card networks): rules ask for more beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import re2

from gatepost.dns.names import registrable_domain
from gatepost.rules.patterns import Patterns, phrases_of
from gatepost.rules.wording import folded

HOST_NAME_LENGTH = 6
"""A brand's name in a host name counts from this length on: short ones stand in other words."""

SOLD_TO_ANYBODY = frozenset({"cc", "cf", "co", "ga", "gq", "io", "me", "ml", "pw", "tk", "to", "tv", "ws"})
"""Endings of two letters that say nothing about a country."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """One brand."""

    name: str
    """Folded, as rules compare it."""
    names: tuple[str, ...] = ()
    """How it is written in display names and subjects; folded phrases, whole words."""
    domains: tuple[str, ...] = ()
    """Registered domains it writes from."""
    any_country: bool = True
    """``amazon.co.jp`` is Amazon's because ``amazon.com`` is: the same label under a country's top-level domain."""


class Brands:
    """All of them; one pass over a text finds those that are named."""

    def __init__(self, brands: Iterable[Brand]) -> None:
        self.brands = tuple(brands)
        self._patterns = Patterns()
        for number, one in enumerate(self.brands):
            added = self._patterns.add("text", phrases_of(one.names))
            assert added == number, f"two brands have the same names: {one.name}"
        self._labels = {
            label: one
            for one in self.brands
            for label in _labels(one) & {name.replace(" ", "") for name in one.names}
            if len(label) >= HOST_NAME_LENGTH
        }
        self._patterns.ready()
        self._in_host: re2.Set | None = None
        if self._labels:
            options = re2.Options()
            options.log_errors = False
            self._in_host = re2.Set.SearchSet(options)
            for label in self._labels:
                self._in_host.Add(re2.escape(label))
            self._in_host.Compile()
        self._host_labels = list(self._labels.values())

    def claimed(self, text: str, organisation: str, domain: str) -> str:
        """The first brand that `text` names and whose own `organisation` is not; empty when there is none."""
        found = sorted(self._patterns.hits("text", text))
        brands = [self.brands[number] for number in found]
        if not brands or any(_owns(one, organisation, domain) for one in brands):
            return ""
        return brands[0].name

    def in_host(self, host: str, organisation: str) -> str:
        """The brand whose name is part of `host`, which is not the brand's; empty when there is none."""
        if self._in_host is None or not host:
            return ""
        theirs = registrable_domain(host) or host
        for number in sorted(self._in_host.Match(host) or ()):
            brand = self._host_labels[number]
            if not _owns(brand, theirs, host) and not _owns(brand, organisation, organisation):
                return str(brand.name)
        return ""


def _owns(brand: Brand, organisation: str, domain: str) -> bool:
    if organisation in brand.domains:
        return True
    label, _, ending = organisation.partition(".")
    country = ending.rpartition(".")[2]
    if brand.any_country and len(country) == 2 and country not in SOLD_TO_ANYBODY:
        return any(one.partition(".")[0] == label for one in brand.domains)
    # A brand's own top-level domain, such as .google or .bnpparibas
    return domain.rpartition(".")[2] in _labels(brand)


def _labels(brand: Brand) -> set[str]:
    return {one.partition(".")[0] for one in brand.domains}


def brands_of(table: Mapping[str, Mapping[str, object]]) -> Brands:
    """From a table read from TOML: name -> ``names``, ``domains``, ``any_country``."""
    found = []
    for name, one in table.items():
        names, domains = one.get("names", [name]), one.get("domains", [])
        assert isinstance(names, list)
        assert isinstance(domains, list)
        found.append(
            Brand(
                name=folded(name),
                names=tuple(map(str, names)),
                domains=tuple(map(str, domains)),
                any_country=bool(one.get("any_country", True)),
            )
        )
    return Brands(found)

"""All phrases and patterns of all rules, by the text they look at: a pass over a text answers all phrases, another all patterns.

Phrases are found by one automaton (Aho-Corasick), patterns by RE2, which runs in time linear in the text whatever
the pattern (no backtracking): neither a clumsy rule nor hostile mail can hang the gate. Each is numbered within its
text; `hits` gives the numbers of those found.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import re2
from ahocorasick_rs import BytesAhoCorasick, Implementation

from gatepost.rules.language import RuleError
from gatepost.rules.wording import folded

LONGEST_PATTERN = 4_000
"""Characters."""
MOST_PHRASES = 2_000
"""In one list."""
MEMORY_OCTETS = 64 << 20
"""What one set of patterns may use at most, program and states; real sets stay far below."""
ONE_PATTERN_OCTETS = 1 << 20
"""What one pattern may use: a repetition of a repetition is refused when the rule is read."""

NOTHING: frozenset[int] = frozenset()
LETTERS = frozenset(string.ascii_letters + string.digits + "_")
"""Of which words are made: letters beyond ASCII have been folded, and those of other scripts know no blanks."""
_OCTETS = frozenset(map(ord, LETTERS))


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words to be found as they stand."""

    words: str
    """Folded."""
    whole_before: bool
    """A word must begin where it begins."""
    whole_after: bool
    """A word must end where it ends."""


Sought = str | tuple[Phrase, ...]
"""An RE2 pattern, or any of some phrases."""
Find = Callable[[bytes], Iterable[int]]
"""In a text as UTF-8, where no character looks like the end of another."""


class Patterns:
    """A book of patterns and phrases; add all, then ask."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[Sought, int]] = {}
        self._finders: dict[str, tuple[Find, ...]] = {}

    def add(self, target: str, sought: Sought, at: int = -1) -> int:
        """The number of `sought` among what is looked for in `target`; raises RuleError for what is no pattern."""
        numbers = self._numbers.setdefault(target, {})
        if sought not in numbers:
            if isinstance(sought, str):
                _proved(sought, at)
            self._finders.pop(target, None)
            numbers[sought] = len(numbers)
        return numbers[sought]

    def ready(self) -> None:
        """Compile everything now, rather than for the first message."""
        for target in self._numbers:
            self._finders[target] = self._compiled(target)

    def hits(self, target: str, text: str) -> frozenset[int]:
        """Numbers of what is looked for in `target` and stands somewhere in `text`, which is folded."""
        if not text or target not in self._numbers:
            return NOTHING
        finders = self._finders.get(target)
        if finders is None:
            finders = self._finders[target] = self._compiled(target)
        try:
            octets = text.encode()
        except UnicodeEncodeError:  # half a surrogate pair
            octets = text.encode("utf-8", "replace")
        return frozenset(number for find in finders for number in find(octets))

    def _compiled(self, target: str) -> tuple[Find, ...]:
        numbers = self._numbers[target]
        patterns = {one: number for one, number in numbers.items() if isinstance(one, str)}
        phrases = {one: number for one, number in numbers.items() if not isinstance(one, str)}
        finders: list[Find] = []
        if patterns:
            finders.append(_pattern_finder(patterns))
        if phrases:
            finders.append(_phrase_finder(phrases))
        return tuple(finders)


def _pattern_finder(patterns: Mapping[str, int]) -> Find:
    """All patterns in one pass (RE2's Set)."""
    together = re2.Set.SearchSet(_options(MEMORY_OCTETS))
    for pattern in patterns:
        together.Add(pattern)
    together.Compile()
    numbers = tuple(patterns.values())

    def find(octets: bytes) -> Iterable[int]:
        found = together.Match(octets)
        return [numbers[place] for place in found] if found else ()

    return find


def _phrase_finder(lists: Mapping[tuple[Phrase, ...], int]) -> Find:
    """All phrases of all lists in one pass (Aho-Corasick): its cost does not depend on how many there are."""
    owners: dict[str, list[tuple[int, bool, bool]]] = {}
    for phrases, number in lists.items():
        for one in phrases:
            owners.setdefault(one.words, []).append((number, one.whole_before, one.whole_after))
    # A table of all states (DFA) is quicker by itself; but it is 12 MiB instead of 0.7, and no cache holds that beside the rest.
    words = [one.encode("utf-8", "replace") for one in owners]
    automaton = BytesAhoCorasick(words, implementation=Implementation.ContiguousNFA)
    by_place = tuple(tuple(one) for one in owners.values())
    all_of = tuple({number for number, _, _ in one} for one in by_place)
    search = automaton.find_matches_as_indexes

    def find(octets: bytes) -> Iterable[int]:
        found: set[int] = set()
        done: set[int] = set()
        last = len(octets)
        for place, start, end in search(octets, overlapping=True):
            if place in done:
                continue
            goes_on_before = start > 0 and octets[start - 1] in _OCTETS
            goes_on_after = end < last and octets[end] in _OCTETS
            if not goes_on_before and not goes_on_after:
                done.add(place)
                found |= all_of[place]
                continue
            for number, whole_before, whole_after in by_place[place]:
                if not (whole_before and goes_on_before) and not (whole_after and goes_on_after):
                    found.add(number)
        return found

    return find


def phrases_of(phrases: Iterable[str], at: int = -1) -> tuple[Phrase, ...]:
    """Phrases to be found as whole words; a final ``*`` lets the word go on, a leading one begin earlier."""
    found: dict[Phrase, None] = {}
    for phrase in phrases:
        words = folded(phrase.strip("*"))
        if not words:
            raise RuleError("an empty phrase would match everything", at)
        before = words[0] in LETTERS and not phrase.startswith("*")
        after = words[-1] in LETTERS and not phrase.endswith("*")
        found[Phrase(words, before, after)] = None
    if not found:
        raise RuleError("an empty list matches nothing", at)
    if len(found) > MOST_PHRASES:
        raise RuleError(f"a list may hold {MOST_PHRASES:,} phrases", at)
    return tuple(found)


def folded_pattern(pattern: str) -> str:
    """The pattern with its letters beyond ASCII folded like the text it will meet."""
    if pattern.isascii():
        return pattern
    return "".join(one if one.isascii() or not (plain := folded(one)).isalnum() else plain for one in pattern)


@cache
def _options(memory_octets: int) -> re2.Options:
    options = re2.Options()
    options.max_mem = memory_octets
    options.log_errors = False
    options.case_sensitive = False
    options.never_capture = True
    options.dot_nl = True
    return options


def _proved(pattern: str, at: int) -> None:
    try:
        compiled = re2.compile(
            pattern, _options(ONE_PATTERN_OCTETS if len(pattern) <= LONGEST_PATTERN else MEMORY_OCTETS)
        )
    except re2.error as fault:
        why = fault.args[0] if fault.args else fault
        why = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise RuleError(f"this pattern cannot be used: {why}", at) from None
    if compiled.search("") is not None:
        raise RuleError("this pattern matches the empty text, so it says nothing", at)

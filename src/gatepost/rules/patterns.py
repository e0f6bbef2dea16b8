"""All patterns of all rules, by the text they look at: one pass over a text answers every one of them.

RE2 runs in time linear in the text whatever the pattern (no backtracking), so neither a clumsy rule nor hostile mail
can hang the gate. Each pattern is numbered within its text; `hits` gives the numbers that match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import re2

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


class Patterns:
    """A book of patterns; add all, then ask."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = {}
        self._sets: dict[str, Callable[[str], Iterable[int] | None]] = {}

    def add(self, target: str, pattern: str, at: int = -1) -> int:
        """The number of `pattern` among those over `target`; raises RuleError for what is no pattern."""
        numbers = self._numbers.setdefault(target, {})
        if pattern not in numbers:
            _proved(pattern, at)
            self._sets.pop(target, None)
            numbers[pattern] = len(numbers)
        return numbers[pattern]

    def ready(self) -> None:
        """Compile every set now, rather than for the first message."""
        for target in self._numbers:
            self._sets[target] = self._compiled(target)

    def hits(self, target: str, text: str) -> frozenset[int]:
        """Numbers of the patterns over `target` that match somewhere in `text`, which is folded."""
        match = self._sets.get(target)
        if match is None:
            if target not in self._numbers:
                return NOTHING
            match = self._sets[target] = self._compiled(target)
        try:
            return frozenset(match(text) or ())
        except UnicodeEncodeError:  # half a surrogate pair
            return frozenset(match(text.encode("utf-8", "replace").decode()) or ())

    def count(self) -> int:
        """How many patterns there are."""
        return sum(map(len, self._numbers.values()))

    def _compiled(self, target: str) -> Callable[[str], Iterable[int] | None]:
        patterns = re2.Set.SearchSet(_options(MEMORY_OCTETS))
        for pattern in self._numbers[target]:
            patterns.Add(pattern)
        patterns.Compile()
        match: Callable[[str], Iterable[int] | None] = patterns.Match
        return match


def phrases_pattern(phrases: Iterable[str], at: int = -1) -> str:
    """One pattern for any of some phrases, as whole words; a final ``*`` lets the word go on, a leading one begin earlier."""
    alternatives: dict[str, None] = {}
    for phrase in phrases:
        words = folded(phrase.strip("*"))
        if not words:
            raise RuleError("an empty phrase would match everything", at)
        before = r"\b" if _is_letter(words[0]) and not phrase.startswith("*") else ""
        after = r"\b" if _is_letter(words[-1]) and not phrase.endswith("*") else ""
        alternatives[f"{before}{re2.escape(words)}{after}"] = None
    if not alternatives:
        raise RuleError("an empty list matches nothing", at)
    if len(alternatives) > MOST_PHRASES:
        raise RuleError(f"a list may hold {MOST_PHRASES:,} phrases", at)
    return "|".join(alternatives)


def folded_pattern(pattern: str) -> str:
    """The pattern with its letters beyond ASCII folded like the text it will meet."""
    if pattern.isascii():
        return pattern
    return "".join(one if one.isascii() or not (plain := folded(one)).isalnum() else plain for one in pattern)


def _is_letter(character: str) -> bool:
    """One of those that RE2's ``\\b`` knows."""
    return character.isascii() and (character.isalnum() or character == "_")


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

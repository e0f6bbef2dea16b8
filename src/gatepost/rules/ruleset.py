"""All rules of an installation, compiled together: those shipped, and the operator's own folders.

A folder of rules holds a folder for each attack, and may hold ``shared.toml``: lists and conditions that its rules
share, and ``brands.toml``. An own rule takes the place of a shipped one of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.resources import files
from pathlib import Path

from gatepost.mail.finding import Mode
from gatepost.rules.brands import Brands, brands_of
from gatepost.rules.compiling import Condition, Guard, Scope, compile_condition
from gatepost.rules.facts import Facts, TooMuch, Unknown
from gatepost.rules.language import Node, RuleError, parse, place
from gatepost.rules.patterns import Patterns
from gatepost.rules.rulefile import Rule, lists_of, read_rule, read_toml

SHARED = "shared.toml"
BRANDS = "brands.toml"
MOST_RULES = 2_000
DATA_LOSS = "data-loss"
"""The folder of rules that look at mail on its way out, and at no other."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule that cannot be used."""

    path: Path
    text: str
    """A sentence; behind it the place, where it is in the condition."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rules say of one message."""

    matched: tuple[Rule, ...] = ()
    unknown: tuple[Rule, ...] = ()
    """Those that something not known here could still make match."""
    why_unknown: frozenset[str] = frozenset()
    """The facts that were wanted and not known."""
    stopped: bool = False
    """The message took more steps than rules may take."""


@dataclass(frozen=True, slots=True)
class _Ready:
    rule: Rule
    condition: Condition
    gate: frozenset[int] | None
    guard: Guard | None


@dataclass(frozen=True)
class RuleSet:
    """Compiled rules."""

    rules: tuple[Rule, ...]
    """By attack and name."""
    patterns: Patterns
    brands: Brands
    problems: tuple[Problem, ...] = ()
    _ready: tuple[_Ready, ...] = ()
    _gated: Mapping[int, tuple[_Ready, ...]] = field(default_factory=dict)
    _guarded: tuple[tuple[Guard, tuple[_Ready, ...]], ...] = ()
    _always: tuple[_Ready, ...] = ()

    def judge(self, facts: Facts, only: Iterable[str] | None = None) -> Outcome:
        """Which rules match; with `only`, of those named."""
        matched: list[Rule] = []
        unknown: list[Rule] = []
        why: set[str] = set()
        for one in self._candidates(facts, only):
            try:
                if one.condition(facts):
                    matched.append(one.rule)
            except Unknown as fault:
                unknown.append(one.rule)
                why.add(str(fault))
            except TooMuch:
                return Outcome(tuple(matched), tuple(unknown), frozenset(why), stopped=True)
        return Outcome(tuple(matched), tuple(unknown), frozenset(why))

    def _candidates(self, facts: Facts, only: Iterable[str] | None) -> Sequence[_Ready]:
        """Rules that can match: without a gate, or with a pattern that does."""
        if only is not None:
            wanted = frozenset(only)
            return [one for one in self._ready if one.rule.name in wanted]
        try:
            hits = facts.hits("wording")
        except Unknown:
            return self._ready
        gated = self._gated
        found = {id(one): one for number in hits for one in gated.get(number, ())}
        candidates = [*self._always, *found.values()]
        for guard, rules in self._guarded:
            try:
                if not guard.holds(facts):
                    continue
            except (Unknown, TooMuch):
                pass
            candidates += rules
        return candidates

    def named(self, name: str) -> Rule | None:
        """The rule of that name."""
        return next((one for one in self.rules if one.name == name), None)


def shipped_folder() -> Path:
    """Where the rules lie that come with Gatepost."""
    return Path(str(files("gatepost.rules"))) / "shipped"


def load_rules(
    folders: Sequence[Path] = (), *, shipped: bool = True, data_loss: bool | None = None
) -> RuleSet:
    """Read and compile everything; never raises: what cannot be used is among `problems`, and the rest works.

    `data_loss`: only rules that look at what goes out, or with False only the others; None: all of them.
    """
    places = ([shipped_folder()] if shipped else []) + list(folders)
    problems: list[Problem] = []
    found: dict[str, Rule] = {}
    lists: dict[str, tuple[str, ...]] = {}
    conditions: dict[str, Node] = {}
    brands: dict[str, Mapping[str, object]] = {}
    for folder in places:
        for name, read in _shared_readers(lists, conditions, brands).items():
            path = folder / name
            if path.is_file():
                _trying(path, read, problems)
        here: dict[str, Rule] = {}
        add = partial(_add, here)
        for path in _rule_files(folder, problems):
            if data_loss is None or data_loss is (path.parent.name == DATA_LOSS):
                _trying(path, add, problems)
        found |= here
    rules = tuple(sorted(found.values(), key=lambda one: (one.attack, one.name)))
    return _compiled(rules, Scope(Patterns(), lists, conditions), brands_of(brands), problems)


@cache
def shipped_rules() -> RuleSet:
    """The shipped set alone, without the rules on data loss; compiled once in a process."""
    return load_rules(data_loss=False)


@cache
def shipped_listing(*, data_loss: bool = False) -> tuple[Rule, ...]:
    """The shipped rules as written, not compiled: for commands that judge nothing. With `data_loss` those alone."""
    found: dict[str, Rule] = {}
    for path in _rule_files(shipped_folder(), []):
        if data_loss is (path.parent.name == DATA_LOSS):
            _add(found, path)
    return tuple(sorted(found.values(), key=lambda one: (one.attack, one.name)))


def _shared_readers(
    lists: dict[str, tuple[str, ...]], conditions: dict[str, Node], brands: dict[str, Mapping[str, object]]
) -> dict[str, Callable[[Path], None]]:
    def shared(path: Path) -> None:
        table = read_toml(path)
        lists.update(lists_of(table.get("lists", {})))
        named = table.get("conditions", {})
        if not isinstance(named, dict):
            raise RuleError("conditions is a table: name = 'condition'")
        for name, text in named.items():
            try:
                conditions[name] = parse(str(text))
            except RuleError as fault:
                raise RuleError(f"condition {name}: {fault}\n  {place(str(text), fault.at)}") from None

    def branded(path: Path) -> None:
        table = read_toml(path)
        for name, one in table.items():
            if not isinstance(one, dict) or not all(
                isinstance(one.get(key, []), list) for key in ("names", "domains")
            ):
                raise RuleError(f"brand {name} is a table with names and domains")
            brands[name] = one

    return {SHARED: shared, BRANDS: branded}


def _rule_files(folder: Path, problems: list[Problem]) -> list[Path]:
    if not folder.is_dir():
        problems.append(Problem(folder, "there is no such folder"))
        return []
    paths = sorted(
        one for one in (*folder.glob("*.toml"), *folder.glob("*/*.toml")) if one.name not in (SHARED, BRANDS)
    )
    if len(paths) > MOST_RULES:
        problems.append(Problem(folder, f"holds more than {MOST_RULES:,} rules; the rest is left out"))
    return paths[:MOST_RULES]


def _add(rules: dict[str, Rule], path: Path) -> None:
    rule = read_rule(path)
    if rule.name in rules:
        raise RuleError(f"another rule has this name: {rules[rule.name].path}")
    rules[rule.name] = rule


def _trying(path: Path, read: Callable[[Path], None], problems: list[Problem]) -> None:
    try:
        read(path)
    except RuleError as fault:
        problems.append(Problem(path, str(fault)))


def _compiled(rules: Sequence[Rule], scope: Scope, brands: Brands, problems: list[Problem]) -> RuleSet:
    ready: list[_Ready] = []
    for rule in rules:
        own = replace(scope, lists={**scope.lists, **rule.lists})
        try:
            compiled = compile_condition(rule.condition, own)
        except RuleError as fault:
            where = f"\n  {place(rule.condition, fault.at)}" if fault.at >= 0 else ""
            problems.append(Problem(rule.path, f"{fault}{where}"))
        else:
            if rule.mode is not Mode.OFF:
                gate = compiled.gate[1] if compiled.gate else None
                ready.append(_Ready(rule, compiled.condition, gate, compiled.guard))
    scope.patterns.ready()
    gated: dict[int, list[_Ready]] = {}
    for one in ready:
        for number in one.gate or ():
            gated.setdefault(number, []).append(one)
    guarded: dict[str, tuple[Guard, list[_Ready]]] = {}
    for one in ready:
        if one.gate is None and one.guard is not None:
            guarded.setdefault(one.guard.name, (one.guard, []))[1].append(one)
    return RuleSet(
        rules=tuple(rules),
        patterns=scope.patterns,
        brands=brands,
        problems=tuple(problems),
        _ready=tuple(ready),
        _gated={number: tuple(some) for number, some in gated.items()},
        _guarded=tuple((guard, tuple(some)) for guard, some in guarded.values()),
        _always=tuple(one for one in ready if one.gate is None and one.guard is None),
    )

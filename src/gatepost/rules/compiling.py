"""From a condition's tree to a typed closure: every name, type and pattern is proved before the first message.

A closure takes the facts, and the link, attachment or file at hand where there is one. `and` and `or` go on over what
cannot be known: a rule is certain when the rest decides it, and Unknown when it does not.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any as Value

from gatepost.rules import language
from gatepost.rules.facts import FACTS, Facts, Type, Unknown
from gatepost.rules.items import Attachment, File, Item, ItemField, LinkSeen
from gatepost.rules.language import RuleError, nearest
from gatepost.rules.patterns import Patterns, Sought, folded_pattern, phrases_of
from gatepost.rules.wording import folded

Run = Callable[[Facts, "Item | None"], Value]
Condition = Callable[[Facts], bool]

COLLECTIONS: Mapping[Type, tuple[str, Mapping[str, ItemField]]] = {
    Type.LINKS: ("links", LinkSeen.fields),
    Type.ATTACHMENTS: ("attachments", Attachment.fields),
    Type.FILES: ("files", File.fields),
}
ITEM_TYPES = {"text": Type.TEXT, "truth": Type.TRUTH, "number": Type.NUMBER, "texts": Type.TEXTS}
TEXT_METHODS = ("matches", "has", "contains", "starts_with", "ends_with", "length")
ITEM_METHODS = ("any", "all", "count")
HEADER_METHODS = ("get", "has", "count")
COSTS = {
    "claims": 6,
    "addressee": 40,
    "to_oneself": 40,
    "disguised_words": 10,
    "hidden": 6,
    "reply_to": 12,
    "author": 2,
    "data": 200,
}
"""Facts that are dear to work out, by name or by what stands before the dot."""
A_LIST = 30
A_HEADER = 3
A_LONG_TEXT = 10
LONG_TEXTS = frozenset({"wording", "text", "hidden", "data.text"})
SHARED_BY = 5
OPERATORS: Mapping[str, Callable[[Value, Value], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guard:
    """A fact that is yes or no, or a list that must hold something."""

    name: str
    holds: Callable[[Facts], bool]


@dataclass(frozen=True, slots=True)
class Ready:
    """A condition, ready to be asked."""

    condition: Condition
    gate: tuple[str, frozenset[int]] | None
    """A text and its patterns: unless one of them matches, the condition is false."""
    guard: Guard | None


@dataclass(frozen=True, slots=True)
class Scope:
    """The words a condition may use beside the facts."""

    patterns: Patterns
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    conditions: Mapping[str, language.Node] = field(default_factory=dict)
    """Conditions with a name, which rules share."""
    within: tuple[str, ...] = ()
    """Named conditions being compiled: none may use itself."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A part of a condition, ready to run."""

    type: Type
    run: Run
    at: int
    constant: object = None
    """The value, where the rule itself gives it."""
    target: str = ""
    """For a text: which patterns look at it."""
    of_item: bool = False
    """A text of the link, attachment or file at hand."""
    gate: tuple[str, frozenset[int]] | None = None
    """Unless one of these patterns matches, it cannot be true."""
    guard: Guard | None = None
    """Something rules share, without which it cannot be true: asked once for all of them."""
    cost: int = 1
    """How dear it is to ask, roughly in microseconds: the cheap parts of a condition are asked first."""


def compile_condition(text: str, scope: Scope) -> Ready:
    """The condition as a function of the facts, and what must hold for it to be true; raises RuleError."""
    compiled = _Compiler(scope).truth(language.parse(text))
    run = compiled.run
    return Ready(lambda facts: bool(run(facts, None)), compiled.gate, compiled.guard)


class _Compiler:
    def __init__(self, scope: Scope, item: tuple[str, Mapping[str, ItemField]] | None = None) -> None:
        self.scope = scope
        self.item = item

    def truth(self, node: language.Node) -> Compiled:
        """Something that is true or false."""
        compiled = self.value(node)
        if compiled.type is not Type.TRUTH:
            hint = " (compare it, or ask whether it matches)" if compiled.type is Type.TEXT else ""
            raise RuleError(
                f"something true or false is wanted here, and this is {compiled.type}{hint}", node.at
            )
        return compiled

    def value(self, node: language.Node) -> Compiled:
        """Whatever stands there."""
        match node:
            case language.Text(at, text):
                plain = folded(text)
                return Compiled(Type.TEXT, lambda _f, _i: plain, at, plain)
            case language.Number(at, number):
                return Compiled(Type.NUMBER, lambda _f, _i: number, at, number)
            case language.Truth(at, truth):
                return Compiled(Type.TRUTH, lambda _f, _i: truth, at, truth)
            case language.Texts(at, texts):
                return _texts(texts, at)
            case language.Name(at, name):
                return self.name(name, at)
            case language.Call():
                return self.call(node)
            case language.Compare():
                return self.compare(node)
            case language.Not(at, what):
                return _negation(self.truth(what), at)
            case language.All(at, parts):
                return _conjunction([self.truth(one) for one in parts], at)
            case language.Any(at, parts):
                return _disjunction([self.truth(one) for one in parts], at)
            case _:
                raise RuleError("this means nothing here", node.at)

    def name(self, name: str, at: int) -> Compiled:
        if self.item is not None and name in self.item[1]:
            one = self.item[1][name]
            return Compiled(
                ITEM_TYPES[one.type], lambda _f, i: i.value(name), at,  # type: ignore[union-attr]
                target=f"{self.item[0]}.{name}", of_item=True,
            )  # fmt: skip
        if name in FACTS:
            cost = COSTS.get(name) or COSTS.get(name.partition(".")[0], 1)
            guard = Guard(name, lambda f: bool(f.value(name))) if FACTS[name].type is Type.TRUTH else None
            return Compiled(
                FACTS[name].type, lambda f, _i: f.value(name), at, target=name, cost=cost, guard=guard
            )
        if name in self.scope.lists:
            return _texts(self.scope.lists[name], at)
        if name in self.scope.conditions:
            return self.named_condition(name, at)
        known = [*FACTS, *self.scope.lists, *self.scope.conditions, *(self.item[1] if self.item else ())]
        elsewhere = [
            f"{where} (within {where}.any)" for where, fields in COLLECTIONS.values() if name in fields
        ]
        hint = nearest(name, known) or (f"; it is asked of {elsewhere[0]}" if elsewhere else "")
        raise RuleError(f"there is no fact called {name}{hint}", at)

    def named_condition(self, name: str, at: int) -> Compiled:
        scope = self.scope
        if name in scope.within:
            raise RuleError(f"the condition {name} uses itself", at)
        inner = Scope(scope.patterns, scope.lists, scope.conditions, (*scope.within, name))
        compiled = _Compiler(inner).truth(scope.conditions[name])
        key, run = f"condition {name}", compiled.run

        def once(facts: Facts, _item: Item | None) -> bool:
            values = facts.values
            if key not in values:
                values[key] = run(facts, None)
            return bool(values[key])

        guard = Guard(key, lambda f: once(f, None))
        # Worked out once for all rules that use it.
        cost = 1 + compiled.cost // SHARED_BY
        return Compiled(Type.TRUTH, once, at, gate=compiled.gate, cost=cost, guard=guard)

    def call(self, node: language.Call) -> Compiled:
        of = self.value(node.of)
        if of.type is Type.TEXT:
            return self.text_method(of, node)
        if of.type in COLLECTIONS:
            return self.item_method(of, node)
        if of.type is Type.HEADER:
            return self.header_method(node)
        raise RuleError(
            f"{_spelt(node.of)} is {of.type}; nothing can be asked of it with {node.method}(…)", node.at
        )

    def text_method(self, of: Compiled, node: language.Call) -> Compiled:
        _known(node, TEXT_METHODS)
        run = of.run
        if node.method == "length":
            _arguments(node, 0)
            return Compiled(Type.NUMBER, lambda f, i: len(run(f, i)), node.at, cost=of.cost)
        argument = self.value(_arguments(node, 1)[0])
        texts = _constant_texts(argument, node)
        if node.method in ("starts_with", "ends_with"):
            edges = tuple(map(folded, texts))
            method = str.startswith if node.method == "starts_with" else str.endswith
            return Compiled(Type.TRUTH, lambda f, i: method(run(f, i), edges), node.at, cost=of.cost)
        if node.method == "matches":
            written = node.arguments[0]
            if not isinstance(written, language.Text):
                raise RuleError(
                    "matches wants one pattern in quotes; has and contains take lists", argument.at
                )
            return self.searched(of, folded_pattern(written.value), argument.at)
        if node.method == "has":
            sought: Sought = phrases_of(texts, argument.at)
        else:
            sought = phrases_of([f"*{one}*" for one in texts], argument.at)
        return self.sought(of, sought, argument.at)

    def sought(self, of: Compiled, sought: Sought, at: int) -> Compiled:
        if not of.target:
            raise RuleError("only a fact can be searched", of.at)
        target = of.target
        number = self.scope.patterns.add(target, sought, at)
        if of.of_item:
            name = target.partition(".")[2]
            return Compiled(Type.TRUTH, lambda _f, i: number in i.hits(name), of.at)  # type: ignore[union-attr]
        if target.startswith("header "):
            field_name = target.partition(" ")[2]
            return Compiled(
                Type.TRUTH, lambda f, _i: number in f.header_hits(field_name), of.at, cost=A_HEADER
            )
        gate = (target, frozenset({number})) if target == "wording" else None
        cost = of.cost if target == "wording" else of.cost + 2
        return Compiled(Type.TRUTH, lambda f, _i: number in f.hits(target), of.at, gate=gate, cost=cost)

    def searched(self, of: Compiled, pattern: str, at: int) -> Compiled:
        """A pattern over a text. Few rules have one, so the text is searched when the first of them asks, not for every message."""
        if not of.target or of.of_item or of.target.startswith("header "):
            return self.sought(of, pattern, at)
        target = of.target
        number = self.scope.patterns.add(f"pattern {target}", pattern, at)
        cost = of.cost + (A_LONG_TEXT if target in LONG_TEXTS else 2)
        return Compiled(Type.TRUTH, lambda f, _i: number in f.pattern_hits(target), of.at, cost=cost)

    def item_method(self, of: Compiled, node: language.Call) -> Compiled:
        _known(node, ITEM_METHODS)
        if self.item is not None:
            raise RuleError("a list inside a list cannot be asked about", node.at)
        name = _spelt(node.of)
        if node.method == "count" and not node.arguments:
            return Compiled(Type.NUMBER, lambda f, _i: len(f.value(name)), node.at)  # type: ignore[arg-type]
        inner = _Compiler(self.scope, COLLECTIONS[of.type]).truth(_arguments(node, 1)[0]).run

        def each(facts: Facts) -> Value:
            for one in facts.value(name):  # type: ignore[attr-defined]
                facts.step()
                yield inner(facts, one)

        if node.method == "count":
            return Compiled(Type.NUMBER, lambda f, _i: sum(map(bool, each(f))), node.at, cost=A_LIST)
        decide = any if node.method == "any" else all
        guard = Guard(name, lambda f: bool(f.value(name))) if decide is any else None
        return Compiled(Type.TRUTH, lambda f, _i: decide(each(f)), node.at, cost=A_LIST, guard=guard)

    def header_method(self, node: language.Call) -> Compiled:
        _known(node, HEADER_METHODS)
        written = _arguments(node, 1)[0]
        if not isinstance(written, language.Text):
            raise RuleError("the name of a header field is wanted, in quotes", written.at)
        name = written.value.lower()
        octets = name.encode("ascii", "replace")
        if node.method == "has":
            return Compiled(Type.TRUTH, lambda f, _i: f.whole.count(octets) > 0, node.at, cost=A_HEADER)
        if node.method == "count":
            return Compiled(Type.NUMBER, lambda f, _i: f.whole.count(octets), node.at, cost=A_HEADER)
        return Compiled(
            Type.TEXT, lambda f, _i: f.header(name), node.at, target=f"header {name}", cost=A_HEADER
        )

    def compare(self, node: language.Compare) -> Compiled:
        left, right = self.value(node.left), self.value(node.right)
        one, other = left.run, right.run
        cost = left.cost + right.cost - 1
        if node.operator == "in":
            if (left.type, right.type) != (Type.TEXT, Type.TEXTS):
                raise RuleError(
                    f"`in` asks for a text in a list, and here is {left.type} in {right.type}", node.at
                )
            if right.constant is not None:
                members = frozenset(map(folded, right.constant))  # type: ignore[call-overload]
                return Compiled(Type.TRUTH, lambda f, i: one(f, i) in members, node.at, cost=cost)
            return Compiled(Type.TRUTH, lambda f, i: one(f, i) in other(f, i), node.at, cost=cost)
        if left.type is not right.type or left.type not in (Type.TEXT, Type.NUMBER, Type.TRUTH):
            raise RuleError(f"{left.type} cannot be compared with {right.type}", node.at)
        if node.operator not in ("==", "!=") and left.type is not Type.NUMBER:
            raise RuleError(f"{node.operator} compares numbers, and this is {left.type}", node.at)
        compare = OPERATORS[node.operator]
        return Compiled(Type.TRUTH, lambda f, i: compare(one(f, i), other(f, i)), node.at, cost=cost)


def _negation(what: Compiled, at: int) -> Compiled:
    run = what.run
    return Compiled(Type.TRUTH, lambda f, i: not run(f, i), at, cost=what.cost)


def _conjunction(parts: list[Compiled], at: int) -> Compiled:
    """False as soon as one part is; Unknown only when no part is false."""
    parts = sorted(parts, key=lambda one: one.cost)
    runs = tuple(one.run for one in parts)

    def run(facts: Facts, item: Item | None) -> bool:
        unknown: Unknown | None = None
        for one in runs:
            try:
                if not one(facts, item):
                    return False
            except Unknown as why:
                unknown = why
        if unknown is not None:
            raise unknown
        return True

    gates = [one.gate for one in parts if one.gate is not None]
    gate = min(gates, key=lambda gate: len(gate[1]), default=None)
    # Plain facts first; of conditions the dearest that is not too dear says most, and is asked once for many rules.
    guards = [one.guard for one in parts if one.guard is not None and one.cost <= A_LIST]
    guard = next((one for one in guards if one.name in FACTS), guards[-1] if guards else None)
    return Compiled(Type.TRUTH, run, at, gate=gate, cost=parts[0].cost + 1, guard=guard)


def _disjunction(parts: list[Compiled], at: int) -> Compiled:
    """True as soon as one part is; Unknown only when no part is true."""
    parts = sorted(parts, key=lambda one: one.cost)
    runs = tuple(one.run for one in parts)

    def run(facts: Facts, item: Item | None) -> bool:
        unknown: Unknown | None = None
        for one in runs:
            try:
                if one(facts, item):
                    return True
            except Unknown as why:
                unknown = why
        if unknown is not None:
            raise unknown
        return False

    gate = None
    gates = [one.gate for one in parts]
    if all(one is not None and one[0] == "wording" for one in gates):
        gate = ("wording", frozenset(number for one in gates if one for number in one[1]))
    return Compiled(Type.TRUTH, run, at, gate=gate, cost=sum(one.cost for one in parts))


def _texts(texts: tuple[str, ...], at: int) -> Compiled:
    return Compiled(Type.TEXTS, lambda _f, _i: texts, at, texts)


def _spelt(node: language.Node) -> str:
    """A fact's name, for sentences."""
    if isinstance(node, language.Call):
        return f"{_spelt(node.of)}.{node.method}(…)"
    return node.value if isinstance(node, language.Name) else "this"


def _known(node: language.Call, methods: tuple[str, ...]) -> None:
    if node.method not in methods:
        hint = nearest(node.method, methods) or f"; it knows {', '.join(methods)}"
        raise RuleError(f"{_spelt(node.of)} has no {node.method}(…){hint}", node.at)


def _arguments(node: language.Call, wanted: int) -> tuple[language.Node, ...]:
    if len(node.arguments) != wanted:
        count = ("no argument", "one argument")[wanted]
        raise RuleError(f"{node.method} takes {count}, and here are {len(node.arguments)}", node.at)
    return node.arguments


def _constant_texts(argument: Compiled, node: language.Call) -> tuple[str, ...]:
    """The texts of an argument that the rule itself gives."""
    if isinstance(argument.constant, str):
        return (argument.constant,)
    if isinstance(argument.constant, tuple):
        return argument.constant
    raise RuleError(
        f"{node.method} wants a text in quotes or a list, and this is {argument.type}", argument.at
    )

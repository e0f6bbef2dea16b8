"""The condition language: from text to a tree, with the place of every mistake.

    condition  = or
    or         = and *("or" and)
    and        = not *("and" not)
    not        = "not" not / comparison
    comparison = value [("==" / "!=" / "<" / "<=" / ">" / ">=" / "in" / "not" "in") value]
    value      = name / call / text / number / "true" / "false" / list / "(" or ")"
    name       = word *("." word)
    call       = (name / call) "." word "(" [or *("," or)] ")"
    list       = "[" [text *("," text)] "]"

Text stands in single or double quotes with nothing to escape but the quote itself, so that patterns read as they
are. A `#` starts a remark to the end of the line. Types are `vocabulary`'s and `compiling`'s business.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

LONGEST = 8_000
"""Characters of one condition."""
DEEPEST = 30
"""Parentheses, calls and `not` inside each other."""
MOST_NODES = 400
"""Parts of one condition."""


class RuleError(ValueError):
    """A rule that cannot be used; `str()` is one sentence. `at` is the place in the condition, -1 when elsewhere."""

    def __init__(self, what: str, at: int = -1) -> None:
        super().__init__(what)
        self.at = at


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a condition; `at` is where it starts."""

    at: int


@dataclass(frozen=True, slots=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True)
class Number(Node):
    value: float


@dataclass(frozen=True, slots=True)
class Truth(Node):
    value: bool


@dataclass(frozen=True, slots=True)
class Texts(Node):
    """A list of texts, as written."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Name(Node):
    """``author.domain``."""

    value: str


@dataclass(frozen=True, slots=True)
class Call(Node):
    """``links.any(…)``: what stands before the last dot, the last word, and the arguments."""

    of: Node
    method: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Compare(Node):
    left: Node
    operator: str
    right: Node


@dataclass(frozen=True, slots=True)
class Not(Node):
    what: Node


@dataclass(frozen=True, slots=True)
class All(Node):
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any(Node):
    parts: tuple[Node, ...]


TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+|\#[^\n]*)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    |(?P<method>\.[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>==|!=|<=|>=|[<>()\[\],])""",
    re.VERBOSE | re.DOTALL,
)
WORDS = frozenset({"and", "or", "not", "in", "true", "false"})
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
SLIPS = {"=": "==", "&": "and", "|": "or", "!": "not", "&&": "and", "||": "or"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    at: int


def parse(text: str) -> Node:
    """The tree of a condition; raises RuleError with the place."""
    if len(text) > LONGEST:
        raise RuleError(f"the condition is longer than {LONGEST:,} characters", LONGEST)
    reader = _Reader(_tokens(text))
    tree = reader.read_or()
    left_over = reader.here
    if left_over.kind != "end":
        raise RuleError(
            f"{_shown(left_over)} is not expected here; is an `and` or `or` missing?", left_over.at
        )
    return tree


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean …?``, or nothing when no known word is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def place(text: str, at: int) -> str:
    """Line and column of an offset, and the line with a mark below it, for an error to show."""
    at = min(at, len(text))
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[start : end if end >= 0 else len(text)].expandtabs(1)
    column = at - start
    if column > 60:
        line, column = "…" + line[column - 40 :], 41
    return (
        f"line {text.count(chr(10), 0, at) + 1}, column {at - start + 1}\n  {line[:100]}\n  {' ' * column}^"
    )


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text, at)
        kind = match.lastgroup or ""
        if kind != "blank":
            word = match[0]
            tokens.append(Token(word if kind == "sign" or word in WORDS else kind, word, at))
        at = match.end()
    tokens.append(Token("end", "", at))
    return tokens


def _unreadable(text: str, at: int) -> RuleError:
    if text[at] in "'\"":
        return RuleError("this text has no closing quote", at)
    slip = SLIPS.get(text[at : at + 2]) or SLIPS.get(text[at])
    return RuleError(f"{text[at]!r} means nothing here" + (f"; did you mean {slip}?" if slip else ""), at)


class _Reader:
    """Recursive descent over the tokens, with bounds."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.nodes = 0

    @property
    def here(self) -> Token:
        return self.tokens[self.position]

    def take(self, kind: str) -> Token | None:
        token = self.here
        if token.kind != kind:
            return None
        self.position += 1
        return token

    def want(self, kind: str, why: str) -> Token:
        token = self.take(kind)
        if token is None:
            raise RuleError(f"{why}, but here is {_shown(self.here)}", self.here.at)
        return token

    def count(self, at: int) -> None:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise RuleError(f"the condition has more than {MOST_NODES} parts", at)

    def deeper(self, at: int) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise RuleError(f"this is nested more than {DEEPEST} deep", at)

    def read_or(self) -> Node:
        parts = [self.read_and()]
        while self.take("or"):
            parts.append(self.read_and())
        return parts[0] if len(parts) == 1 else Any(parts[0].at, tuple(parts))

    def read_and(self) -> Node:
        parts = [self.read_not()]
        while self.take("and"):
            parts.append(self.read_not())
        return parts[0] if len(parts) == 1 else All(parts[0].at, tuple(parts))

    def read_not(self) -> Node:
        token = self.take("not")
        if token is None:
            return self.read_comparison()
        self.deeper(token.at)
        negated = Not(token.at, self.read_not())
        self.depth -= 1
        return negated

    def read_comparison(self) -> Node:
        left = self.read_value()
        token = self.here
        if token.kind in COMPARISONS:
            self.position += 1
            return Compare(left.at, left, token.kind, self.read_value())
        if token.kind == "not" and self.tokens[self.position + 1].kind == "in":
            self.position += 2
            return Not(left.at, Compare(left.at, left, "in", self.read_value()))
        return left

    def read_value(self) -> Node:
        token = self.here
        self.count(token.at)
        self.position += 1
        if token.kind == "text":
            return Text(token.at, _unquoted(token.text))
        if token.kind == "number":
            return Number(token.at, float(token.text))
        if token.kind in ("true", "false"):
            return Truth(token.at, token.kind == "true")
        if token.kind == "name":
            return self.read_name(token)
        if token.kind == "[":
            return self.read_texts(token)
        if token.kind == "(":
            self.deeper(token.at)
            inner = self.read_or()
            self.want(")", "a closing parenthesis is wanted")
            self.depth -= 1
            return inner
        self.position -= 1
        raise RuleError(f"a fact, a text or a number is wanted, but here is {_shown(token)}", token.at)

    def read_name(self, token: Token) -> Node:
        if self.here.kind != "(":
            return Name(token.at, token.text)
        of, _, method = token.text.rpartition(".")
        if not of:
            raise RuleError(f"{method} can only be asked of something, as in subject.{method}(…)", token.at)
        called: Node = Call(token.at, Name(token.at, of), method, self.read_arguments(token))
        while then := self.take("method"):
            called = Call(token.at, called, then.text[1:], self.read_arguments(then))
            self.count(then.at)
        return called

    def read_arguments(self, token: Token) -> tuple[Node, ...]:
        self.want("(", "an opening parenthesis is wanted")
        self.deeper(token.at)
        arguments: list[Node] = []
        if not self.take(")"):
            arguments.append(self.read_or())
            while self.take(","):
                arguments.append(self.read_or())
            self.want(")", "a comma or a closing parenthesis is wanted")
        self.depth -= 1
        return tuple(arguments)

    def read_texts(self, token: Token) -> Node:
        values: list[str] = []
        while not self.take("]"):
            if values:
                self.want(",", "a comma or ] is wanted")
                if self.take("]"):
                    break
            values.append(_unquoted(self.want("text", "a text in quotes is wanted").text))
            self.count(token.at)
        return Texts(token.at, tuple(values))


def _unquoted(written: str) -> str:
    quote = written[0]
    return written[1:-1].replace("\\" + quote, quote)


def _shown(token: Token) -> str:
    return "the end" if token.kind == "end" else f"`{token.text[:30]}`"

"""Content-Type and Content-Disposition values: a word and its parameters (RFC 2045 §5.1, RFC 2183, RFC 2231).

Real mail breaks every rule of that grammar, so this reads what any client might read: all values of a repeated
parameter are kept, quoting may be missing or unbalanced, and encoded words count although RFC 2047 §5 forbids them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from gatepost.mail.encoded_words import decode_octets, decode_words

MAX_VALUE = 16_384
"""Octets of a value that are read."""
MAX_PARAMETERS = 200

# name [*section] [*] = value, the value quoted or up to the next semicolon
PARAMETER = re.compile(
    r"""[;\s]*+([^=;\s"]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)"?|([^;]*+))""",
    re.DOTALL,
)
SECTION = re.compile(r"([^*]+)(?:\*(\d{1,9}))?(\*)?\Z")
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Structured(NamedTuple):
    """A header value with parameters."""

    word: str
    """What stands before the first semicolon, lower case, without comments."""
    parameters: dict[str, str]
    """The value most clients take of each; names lower case."""
    others: tuple[tuple[str, str], ...] = ()
    """Values other clients would take: repeated parameters, the plain one beside an extended one."""


def read_structured(value: bytes) -> Structured:
    """Read one unfolded header value; never raises."""
    if len(value) < 200:
        return _remembered(value)
    return _read(value[:MAX_VALUE])


def _read(value: bytes) -> Structured:
    text = value.decode("ascii" if value.isascii() else "utf-8", "replace")
    word, semicolon, rest = text.partition(";")
    word = word.strip().lower()
    if not semicolon:
        return Structured(word, {})
    plain: dict[str, list[str]] = {}
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for count, match in enumerate(PARAMETER.finditer(rest)):
        if count >= MAX_PARAMETERS:
            break
        name, quoted, bare = match.groups()
        said = ESCAPED.sub(r"\1", quoted) if quoted is not None else bare.strip()
        section = SECTION.match(name.lower())
        if section is None:
            continue
        stem, number, extended = section.groups()
        if number is None and not extended:
            plain.setdefault(stem, []).append(said)
        else:
            pieces.setdefault(stem, []).append((int(number or 0), bool(extended), said))
    parameters: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    for stem, found in pieces.items():
        parameters[stem] = _joined(found)
    for stem, values in plain.items():
        for said in values:
            shown = decode_words(said)
            if parameters.setdefault(stem, shown) != shown:
                others.append((stem, shown))
    return Structured(word, parameters, tuple(others))


_remembered = lru_cache(maxsize=1024)(_read)


def _joined(pieces: list[tuple[int, bool, str]]) -> str:
    """Continuations in order of their numbers, percent-encoding undone (RFC 2231 §3, §4)."""
    charset = ""
    octets: list[bytes] = []
    for place, (_, extended, said) in enumerate(sorted(pieces, key=lambda one: one[0])):
        if extended:
            if place == 0 and said.count("'") >= 2:
                charset, _, said = said.split("'", 2)
            octets.append(unquote_to_bytes(said))
        else:
            octets.append(said.encode("utf-8", "replace"))
    return decode_octets(b"".join(octets), charset or "utf-8")

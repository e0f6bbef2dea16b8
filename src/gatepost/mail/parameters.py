"""Content-Type and Content-Disposition values: a word and its parameters (RFC 2045 §5.1, RFC 2183, RFC 2231).

Real mail breaks every rule of that grammar, so this reads what any client might read: all values of a repeated
parameter are kept, quoting may be missing or unbalanced, and encoded words count although RFC 2047 §5 forbids them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from gatepost.mail.charsets import decode_text
from gatepost.mail.encoded_words import decode_octets, decode_words

MAX_VALUE = 16_384
"""Octets of a value that are read."""
MAX_PARAMETERS = 200

# The word, with or without quotes: a type and its subtype around a slash, or one token.
WORD = re.compile(r'[\s"\']*+([^\s;,/()"\'=]*+)(?:\s*+/\s*+([^\s;,()"\']*+))?["\']?+')
COMMENT = re.compile(r"\([^()]{0,200}\)")
NAME = re.compile(r'[;,\s]*+([^=;\s"]*+)\s*+')
QUOTED = re.compile(r'=\s*+"((?:[^"\\]++|\\.)*+)"?+', re.DOTALL)
BARE = re.compile(r"=\s*+([^;]*+)")
# The next parameter, where the semicolon before it was forgotten.
NEXT = re.compile(r"[\s,](?=[A-Za-z-]{3,20}[0-9*]{0,6}=)")
SECTION = re.compile(r"([^*]+)(?:\*(\d{1,9}))?(\*)?\Z")
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
BLANKS = re.compile(r"[\t\r\n ]+")


class Structured(NamedTuple):
    """A header value with parameters."""

    word: str
    """What stands before the parameters, lower case, without comments, quotes and blanks."""
    parameters: dict[str, str]
    """The value most clients take of each; names lower case."""
    others: tuple[tuple[str, str], ...] = ()
    """Values other clients would take: repeated parameters, the plain one beside an extended one."""

    def all_of(self, name: str) -> list[str]:
        """Every value some client takes for the parameter `name`, the usual one first."""
        usual = [self.parameters[name]] if name in self.parameters else []
        return usual + [said for other, said in self.others if other == name]


def read_structured(value: bytes) -> Structured:
    """Read one unfolded header value; never raises."""
    if len(value) < 200:
        return _remembered(value)
    return _read(value[:MAX_VALUE])


def _read(value: bytes) -> Structured:
    text = value.decode("ascii") if value.isascii() else decode_text(value, "").text
    if text.startswith("=?"):
        text = decode_words(text)
    if "(" in text and '"' not in text:
        text = COMMENT.sub(" ", text)
    first = WORD.match(text)
    assert first is not None  # every piece of it may be empty
    word = (f"{first[1]}/{first[2]}" if first[2] else first[1]).lower()
    if first.end() == len(text):
        return Structured(word, {})
    found = _pairs(text, first.end())
    return _resolved(word, found) if found else Structured(word, {})


_remembered = lru_cache(maxsize=1024)(_read)


def _pairs(text: str, at: int) -> list[tuple[str, str]]:
    """Names, lower case, and values as written, in order."""
    found: list[tuple[str, str]] = []
    while at < len(text) and len(found) < MAX_PARAMETERS:
        name = NAME.match(text, at)
        assert name is not None  # every piece of it may be empty
        at = name.end()
        quoted = QUOTED.match(text, at)
        if quoted is not None:
            at = quoted.end()
            said = ESCAPED.sub(r"\1", quoted[1]) if "\\" in quoted[1] else quoted[1]
        else:
            bare = BARE.match(text, at)
            if bare is None:
                at = text.find(";", at) + 1
                if not at:
                    break
                continue
            at = bare.end()
            said = bare[1]
            following = NEXT.search(said)
            if following is not None:
                at = bare.start(1) + following.end()
                said = said[: following.start()]
            said = said.strip().strip("\"'")
        if name[1]:
            found.append((name[1].lower(), said))
    return found


def _resolved(word: str, pairs: list[tuple[str, str]]) -> Structured:
    """One value for each name, and the others."""
    parameters: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    split: dict[str, list[tuple[int, bool, str]]] = {}
    plain: list[tuple[str, str]] = []
    for name, said in pairs:
        section = SECTION.match(name) if "*" in name else None
        if section is None:
            plain.append((name, _tidy(said)))
        elif section[2] is None:
            # Extended parameters go before plain ones: clients that know them prefer them (RFC 6266 §4.3).
            _add(section[1], _joined([(0, True, said)]), parameters, others)
        else:
            split.setdefault(section[1], []).append((int(section[2]), section[3] is not None, said))
    for name, pieces in split.items():
        _add(name, _joined(pieces), parameters, others)
        if len({number for number, _, _ in pieces}) != len(pieces):
            once = {number: piece for number, *piece in reversed(pieces)}
            joined = _joined([(number, bool(piece[0]), str(piece[1])) for number, piece in once.items()])
            _add(name, joined, parameters, others)
    for name, said in plain:
        _add(name, said, parameters, others)
    return Structured(word, parameters, tuple(others))


def _add(name: str, said: str, parameters: dict[str, str], others: list[tuple[str, str]]) -> None:
    if parameters.setdefault(name, said) != said:
        others.append((name, said))


def _tidy(said: str) -> str:
    return decode_words(said) if "=?" in said else said


def _joined(pieces: list[tuple[int, bool, str]]) -> str:
    """Continuations in order of their numbers, percent-encoding undone (RFC 2231 §3, §4)."""
    charset = ""
    octets: list[bytes] = []
    for place, (_, extended, said) in enumerate(sorted(pieces, key=lambda one: one[0])):
        value = said
        if extended:
            if place == 0 and value.count("'") >= 2:
                charset, _, value = value.split("'", 2)
            octets.append(unquote_to_bytes(value))
        else:
            octets.append(value.encode("utf-8", "replace"))
    return _tidy(decode_octets(b"".join(octets), charset or "utf-8"))

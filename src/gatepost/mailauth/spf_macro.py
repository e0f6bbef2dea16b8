"""SPF macros: compiled once per record, expanded per message (RFC 7208 §7, RFC 8616 §4).

The validated name of ``%{p}`` needs lookups, so whoever expands finds it first and hands it in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

IN_DOMAIN = frozenset("slodiphv")
IN_EXPLANATION = IN_DOMAIN | frozenset("crt")
UNRESERVED = "-._~"  # RFC 3986 §2.3, with letters and digits


@dataclass(frozen=True, slots=True)
class Expansion:
    """One ``%{…}``."""

    letter: str
    escape: bool
    """Written upper case: the value is URL-escaped."""
    keep: int
    """How many right-hand parts stay; 0 for all."""
    reverse: bool
    delimiters: str


MacroString = tuple["str | Expansion", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroValues:
    """What the letters stand for (RFC 7208 §7.2)."""

    ip: IPv4Address | IPv6Address
    sender_local: str
    sender_domain: str
    domain: str
    hello: str
    validated_name: str = "unknown"
    receiver: str = "unknown"
    now: float = 0.0
    """Unix seconds, for ``%{t}``."""


# RFC 7208 §7.1:  macro-expand = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
#                 macro-literal = %x21-24 / %x26-7E   (explanations may hold blanks as well)
PIECE = re.compile(r"%\{([A-Za-z])([0-9]*)([rR]?)([-.+,/_=]*)\}|%([%_-])|([\x20-\x24\x26-\x7e]+)")
ESCAPES = {"%": "%", "_": " ", "-": "%20"}

# RFC 7208 §7.1:  domain-end = ( "." toplabel [ "." ] ) / macro-expand
#                 toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
DOMAIN_END = re.compile(r"\.([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])\.?\Z")


def compile_macros(text: str, letters: frozenset[str] = IN_DOMAIN) -> MacroString | None:
    """The pieces of a macro-string, or None when it is malformed or uses a letter not in `letters`."""
    pieces: list[str | Expansion] = []
    at = 0
    while at < len(text):
        match = PIECE.match(text, at)
        if match is None:
            return None
        at = match.end()
        letter, digits, reverse, delimiters, escape, literal = match.groups()
        if letter is None:
            pieces.append(literal if literal is not None else ESCAPES[escape])
            continue
        keep = int(digits[:4]) if digits else 0
        if letter.lower() not in letters or (digits and keep == 0):
            return None
        pieces.append(Expansion(letter.lower(), letter.isupper(), keep, bool(reverse), delimiters or "."))
    return tuple(pieces)


def compile_domain(text: str) -> MacroString | None:
    """The pieces of a domain-spec, or None when malformed (RFC 7208 §7.1)."""
    if not text or " " in text:
        return None
    if not text.endswith(("}", "%%", "%_", "%-")):
        end = DOMAIN_END.search(text)
        if end is None or end[1].isdigit():
            return None
    return compile_macros(text)


def uses(pieces: MacroString, letter: str) -> bool:
    """Does any piece expand `letter`?"""
    return any(isinstance(piece, Expansion) and piece.letter == letter for piece in pieces)


def expand(pieces: MacroString, values: MacroValues) -> str | None:
    """The text, or None when it would hold a non-ASCII local part: such a term never matches (RFC 8616 §4)."""
    if len(pieces) == 1 and isinstance(pieces[0], str):
        return pieces[0]
    text = "".join(piece if isinstance(piece, str) else expand_one(piece, values) for piece in pieces)
    return text if text.isascii() else None


def expand_domain(pieces: MacroString, values: MacroValues) -> str | None:
    """A name to ask for: in lower case, without a final dot, shortened from the left to 253 octets (RFC 7208 §7.3)."""
    name = expand(pieces, values)
    if name is None:
        return None
    name = name.removesuffix(".").lower()
    if len(name) > 253:
        cut = name.find(".", len(name) - 254)
        name = name[cut + 1 :] if cut >= 0 else ""
    return name


def expand_one(piece: Expansion, values: MacroValues) -> str:
    value = value_of(piece.letter, values)
    if piece.keep or piece.reverse or piece.delimiters != ".":
        parts = re.split(f"[{re.escape(piece.delimiters)}]", value)
        if piece.reverse:
            parts.reverse()
        value = ".".join(parts[-piece.keep :] if piece.keep else parts)
    return quote(value, safe=UNRESERVED, errors="replace") if piece.escape else value


def value_of(letter: str, values: MacroValues) -> str:
    match letter:
        case "s":
            return f"{values.sender_local}@{values.sender_domain}"
        case "l":
            return values.sender_local
        case "o":
            return values.sender_domain
        case "d":
            return values.domain
        case "i":
            return str(values.ip) if values.ip.version == 4 else ".".join(f"{int(values.ip):032X}")
        case "p":
            return values.validated_name
        case "v":
            return "in-addr" if values.ip.version == 4 else "ip6"
        case "h":
            return values.hello
        case "c":
            return str(values.ip)
        case "r":
            return values.receiver
        case _:
            return str(int(values.now))

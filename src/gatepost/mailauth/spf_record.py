"""An SPF record as parsed directives (RFC 7208 §4.5, §4.6, §5, §6, §12).

Parsing is all or nothing, as the RFC wants: one malformed term anywhere makes the record a
permanent error. Records are remembered by their text, because the same few are met all day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from gatepost.dns.names import valid_query_name
from gatepost.mailauth.spf_macro import MacroString, compile_domain, compile_macros

RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
LONGEST = 8192
"""Octets of record text looked at; what is longer than this helps nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """A mechanism with its qualifier."""

    written: str
    """As it stands in the record."""
    name: str
    """all, include, a, mx, ptr, ip4, ip6 or exists."""
    result: str
    """What a match means."""
    domain: MacroString | None = None
    """None means the current domain."""
    fixed: str | None = None
    """`domain` in normal form where it holds no macro and can be asked for."""
    prefix4: int = 32
    prefix6: int = 128
    version: int = 0
    """4 for ip4, 6 for ip6, 0 for the others."""
    network: int = 0
    """ip4 and ip6: the network's number, host bits cleared."""
    mask: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A well-formed record."""

    directives: tuple[Directive, ...]
    redirect: MacroString | None = None
    explanation: MacroString | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why a record is a permanent error."""

    problem: str


# RFC 7208 §12:  directive = [ qualifier ] mechanism ;  modifier = name "=" macro-string
MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)\Z")
MECHANISM = re.compile(r"([-+?~]?)([A-Za-z][A-Za-z0-9_.-]*)([:/].*)?\Z")
# RFC 7208 §5.6:  ip4-cidr-length = "/" ("0" / %x31-39 0*1DIGIT), dual-cidr-length = [ip4] [ "/" ip6 ]
DUAL_CIDR = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?\Z")
SINGLE_CIDR = re.compile(r"([^/]+)(?:/(0|[1-9][0-9]{0,2}))?\Z")
# RFC 7208 §5.6: dotted quad without leading zeros, as IPv4Address reads it


def is_spf(text: str) -> bool:
    """Is this TXT record meant for us (RFC 7208 §4.5)?"""
    return text[:7] == "v=spf1 " or text[:7].lower() in ("v=spf1 ", "v=spf1")


@lru_cache(maxsize=4096)
def parse_record(text: str) -> Record | Malformed:
    """`text` is a TXT record for which `is_spf` holds, character-strings joined, octets as latin-1."""
    if len(text) > LONGEST:
        return Malformed("the record is too long")
    if not text.isascii():
        return Malformed("the record holds octets beyond ASCII")
    directives: list[Directive] = []
    modifiers: dict[str, MacroString] = {}
    for term in text[6:].split(" "):
        if not term:
            continue
        modifier = MODIFIER.match(term)
        problem = (
            add_modifier(modifier[1].lower(), modifier[2], modifiers)
            if modifier is not None
            else add_directive(term, directives)
        )
        if problem:
            return Malformed(f"{problem}: {term[:80]}")
    return Record(
        directives=tuple(directives), redirect=modifiers.get("redirect"), explanation=modifiers.get("exp")
    )


def add_modifier(name: str, value: str, modifiers: dict[str, MacroString]) -> str | None:
    """Note redirect= or exp=, or pass over another; a problem in words, or None."""
    if name not in ("redirect", "exp"):
        return None if compile_macros(value) is not None and " " not in value else "malformed macro"
    if name in modifiers:
        return f"{name} stands twice"
    domain = compile_domain(value)
    if domain is None:
        return "malformed domain"
    modifiers[name] = domain
    return None


def add_directive(term: str, directives: list[Directive]) -> str | None:
    """Note a directive; a problem in words, or None."""
    match = MECHANISM.match(term)
    if match is None:
        return "malformed term"
    name, rest = match[2].lower(), match[3] or ""
    result = RESULTS[match[1] or "+"]
    match name:
        case "all":
            if rest:
                return "all takes nothing"
            directives.append(Directive(written=term, name=name, result=result))
            return None
        case "ip4" | "ip6":
            directive = network_directive(term, name, result, rest)
        case "a" | "mx":
            directive = host_directive(term, name, result, rest)
        case "include" | "exists" | "ptr":
            directive = domain_directive(term, name, result, rest)
        case _:
            return "unknown mechanism"
    if directive is None:
        return "malformed mechanism"
    directives.append(directive)
    return None


def network_directive(term: str, name: str, result: str, rest: str) -> Directive | None:
    match = SINGLE_CIDR.match(rest[1:]) if rest.startswith(":") else None
    if match is None:
        return None
    bits = 32 if name == "ip4" else 128
    length = int(match[2]) if match[2] is not None else bits
    if length > bits or "%" in match[1]:
        return None
    try:
        address = IPv4Address(match[1]) if name == "ip4" else IPv6Address(match[1])
    except AddressValueError:
        return None
    mask = ((1 << length) - 1) << (bits - length)
    return Directive(
        written=term,
        name=name,
        result=result,
        version=address.version,
        network=int(address) & mask,
        mask=mask,
    )


def host_directive(term: str, name: str, result: str, rest: str) -> Directive | None:
    cidr = DUAL_CIDR.search(rest)
    if cidr is None:  # pragma: no cover  (the pattern matches the empty end)
        return None
    prefix4 = int(cidr[1]) if cidr[1] is not None else 32
    prefix6 = int(cidr[2]) if cidr[2] is not None else 128
    if prefix4 > 32 or prefix6 > 128:
        return None
    target = rest[: cidr.start()]
    domain = None
    if target:
        domain = compile_domain(target[1:]) if target[0] == ":" else None
        if domain is None:
            return None
    return Directive(
        written=term,
        name=name,
        result=result,
        domain=domain,
        fixed=fixed_name(domain),
        prefix4=prefix4,
        prefix6=prefix6,
    )


def domain_directive(term: str, name: str, result: str, rest: str) -> Directive | None:
    if not rest and name == "ptr":
        return Directive(written=term, name=name, result=result)
    domain = compile_domain(rest[1:]) if rest.startswith(":") else None
    if domain is None:
        return None
    return Directive(written=term, name=name, result=result, domain=domain, fixed=fixed_name(domain))


def fixed_name(pieces: MacroString | None) -> str | None:
    """The name that `pieces` spell when there is no macro among them and DNS can carry it."""
    if pieces is None or len(pieces) != 1 or not isinstance(pieces[0], str):
        return None
    name = pieces[0].removesuffix(".").lower()
    return name if valid_query_name(name) else None

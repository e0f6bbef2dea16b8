"""What a DKIM-Signature and an ARC-Message-Signature have in common: their tags (RFC 6376 §3.5).

Reads and checks the syntax of each tag by itself. Left out: v= and i=, which mean different things
in the two, and everything that needs the message, the clock or the DNS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import idna

from gatepost.dns.names import valid_query_name
from gatepost.mailauth.taglist import read_base64

ALGORITHMS = {
    "rsa-sha256": ("rsa", "sha256"),
    "ed25519-sha256": ("ed25519", "sha256"),
    "rsa-sha1": ("rsa", "sha1"),
}
CANONICAL = {"simple": False, "relaxed": True}
MAX_SIGNED_NAMES = 1000
# RFC 6376 §3.5 takes sub-domain of RFC 5321; underscores are in use, in selectors above all.
LABELS = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*+(?<!-))?+(?:\.[a-z0-9_](?:[a-z0-9_-]*+(?<!-))?+)*+")
DIGITS = re.compile(r"[0-9]{1,12}")
LENGTH = re.compile(r"[0-9]{1,76}")
FIELD_NAME = re.compile(rb"[!-9<-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed, how, and the signature itself; all of an ARC-Seal that counts."""

    algorithm: str
    """a=."""
    kind: str
    """The key's: ``rsa`` or ``ed25519``."""
    hash_name: str
    """``sha256`` or ``sha1``."""
    signature: bytes
    domain: str
    """d=, A-labels in lower case."""
    selector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The tags, each well-formed."""

    signer: Signer
    body_hash: bytes
    relaxed_header: bool
    relaxed_body: bool
    names: tuple[bytes, ...]
    """h=, in lower case."""
    length: int | None
    """l=."""
    timestamp: int | None
    expires: int | None


def read_signature(tags: dict[str, str]) -> Signature | str:
    """The tags of a DKIM-Signature or ARC-Message-Signature, or what is wrong with them."""
    signer = read_signer(tags)
    if isinstance(signer, str):
        return signer
    if "bh" not in tags or "h" not in tags:
        return "there is no bh= or no h="
    canonical = _read_canonical(tags.get("c", "simple/simple"))
    if canonical is None:
        return "c= names an unknown canonicalization"
    names = _read_names(tags["h"]) if len(tags["h"]) < 1000 else _read_names.__wrapped__(tags["h"])
    if names is None:
        return "h= is not a list of field names"
    body_hash = read_base64(tags["bh"])
    if not body_hash:
        return "bh= is not base64"
    for name, pattern in (("l", LENGTH), ("t", DIGITS), ("x", DIGITS)):
        if name in tags and not pattern.fullmatch(tags[name]):
            return f"{name}= is not a number"
    methods = tags.get("q", "dns/txt").lower().split(":")
    if not any(method.strip(" \t") == "dns/txt" for method in methods):
        return "q= names no known way to the key"
    length, timestamp, expires = (int(tags[name]) if name in tags else None for name in ("l", "t", "x"))
    if timestamp is not None and expires is not None and expires <= timestamp:
        return "x= is not later than t="
    return Signature(
        signer=signer,
        body_hash=body_hash,
        relaxed_header=canonical[0],
        relaxed_body=canonical[1],
        names=names,
        length=length,
        timestamp=timestamp,
        expires=expires,
    )


def read_signer(tags: dict[str, str]) -> Signer | str:
    """a=, b=, d= and s=, or what is wrong with them."""
    for name in ("a", "b", "d", "s"):
        if name not in tags:
            return f"there is no {name}="
    algorithm = tags["a"].lower()
    if algorithm not in ALGORITHMS:
        return "a= names an unknown algorithm"
    domain = read_domain(tags["d"])
    if domain is None or "." not in domain:
        return "d= is not a domain name"
    selector = read_domain(tags["s"])
    if selector is None or not valid_query_name(f"{selector}._domainkey.{domain}"):
        return "s= is not a selector"
    signature = read_base64(tags["b"])
    if not signature:
        return "b= is not base64"
    kind, hash_name = ALGORITHMS[algorithm]
    return Signer(
        algorithm=algorithm,
        kind=kind,
        hash_name=hash_name,
        signature=signature,
        domain=domain,
        selector=selector,
    )


@lru_cache(maxsize=4096)
def read_domain(text: str) -> str | None:
    """A domain name as lower-case A-labels (RFC 8616 §4); None when it is none. A final dot makes it none."""
    if len(text) > 1024:
        return None
    name = text.lower()
    if not name.isascii():
        try:
            name = idna.encode(name).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    return name if LABELS.fullmatch(name) and valid_query_name(name) else None


def _read_canonical(text: str) -> tuple[bool, bool] | None:
    header, _, body = text.lower().partition("/")
    try:
        return CANONICAL[header.strip(" \t")], CANONICAL[body.strip(" \t") or "simple"]
    except KeyError:
        return None


@lru_cache(maxsize=1024)
def _read_names(text: str) -> tuple[bytes, ...] | None:
    parts = text.lower().encode("utf-8", "surrogateescape").split(b":")
    names = tuple(name for part in parts if (name := part.strip(b" \t")))
    if not names or len(names) > MAX_SIGNED_NAMES or not all(map(FIELD_NAME.fullmatch, names)):
        return None
    return names

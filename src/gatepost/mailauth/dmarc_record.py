"""A DMARC policy record (RFC 9989 §4.7, §4.8).

Unlike an SPF record it is read leniently: unknown tags are passed over, a wrong value counts as if it
were not there. Only the version decides whether the record is one at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from gatepost.mailauth.taglist import TagError, parse_tags

POLICIES = ("none", "quarantine", "reject")
# RFC 9989 §4.8:  dmarc-version = "v" equals %s"DMARC1", and nothing may stand before it
VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
# RFC 3986 §3, with the commas and exclamation points that RFC 9989 §4.8 wants encoded left out
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@$&'()*+;=%-]+\Z")
SIZE_SUFFIX = re.compile(r"![0-9]+[kmgtKMGT]?\Z")
LONGEST = 8192
MOST_URIS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRecord:
    """A record whose version is right. Policies are what the domain owner wrote, before t= and inheritance."""

    text: str
    p: str | None
    """None when absent or not a policy."""
    sp: str | None = None
    np: str | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    psd: str = "u"
    testing: bool = False
    rua: tuple[str, ...] = ()
    """Where aggregate reports go: well-formed URIs, without the obsolete size limit."""
    ruf: tuple[str, ...] = ()
    fo: str = "0"
    problems: tuple[str, ...] = ()
    """What was passed over, in words, for whoever audits the domain."""
    usable: bool = True
    """False when a policy is missing or wrong and no rua= saves it: then DMARC does not apply (RFC 9989 §4.10.1)."""

    def policy_for(self, *, below: bool, exists: bool) -> str:
        """The published policy for the record's own domain, or for one `below` it that does or does not exist."""
        own = self.p or "none"
        if not below:
            return own
        if not exists and self.np is not None:
            return self.np
        return self.sp if self.sp is not None else own


def softened(policy: str) -> str:
    """One level below `policy`: what t=y asks for (RFC 9989 §4.7)."""
    return POLICIES[max(0, POLICIES.index(policy) - 1)]


def is_policy_record(text: str) -> bool:
    """Does the TXT record start with the version of a DMARC record?"""
    return VERSION.match(text) is not None


@lru_cache(maxsize=4096)
def parse_policy_record(text: str) -> PolicyRecord | None:
    """Read a TXT record, character-strings joined; None when it is no DMARC policy record."""
    if not is_policy_record(text) or len(text) > LONGEST:
        return None
    found = parse_tags(text, lenient=True)
    if isinstance(found, TagError):
        return None
    tags: dict[str, str] = {}
    for name, value in found.items():
        tags.setdefault(name.lower(), value)
    problems: list[str] = []
    policies = {name: policy(tags, name, problems) for name in ("p", "sp", "np")}
    rua, ruf = uris(tags, "rua", problems), uris(tags, "ruf", problems)
    broken = policies["p"] is None or any(name in tags and policies[name] is None for name in ("sp", "np"))
    if broken and rua:
        # As if "p=none" had been found, and nothing else (RFC 9989 §4.10.1).
        policies = {"p": "none", "sp": None, "np": None}
    return PolicyRecord(
        text=text,
        **policies,
        strict_dkim=choice(tags, "adkim", ("r", "s"), problems) == "s",
        strict_spf=choice(tags, "aspf", ("r", "s"), problems) == "s",
        psd=choice(tags, "psd", ("u", "y", "n"), problems),
        testing=choice(tags, "t", ("n", "y"), problems) == "y",
        rua=rua,
        ruf=ruf,
        fo=tags.get("fo", "0"),
        problems=tuple(problems),
        usable=not broken or bool(rua),
    )


def policy(tags: dict[str, str], name: str, problems: list[str]) -> str | None:
    value = tags.get(name)
    if value is None:
        if name == "p":
            problems.append("p= is missing")
        return None
    if value.lower() in POLICIES:
        return value.lower()
    problems.append(f"{name}= is not a policy")
    return None


def choice(tags: dict[str, str], name: str, allowed: tuple[str, ...], problems: list[str]) -> str:
    """One of `allowed`, whose first is the default."""
    value = tags.get(name, allowed[0]).lower()
    if value in allowed:
        return value
    problems.append(f"{name}= is none of {', '.join(allowed)}")
    return allowed[0]


def uris(tags: dict[str, str], name: str, problems: list[str]) -> tuple[str, ...]:
    found = []
    for written in tags.get(name, "").split(",", MOST_URIS)[:MOST_URIS] if name in tags else ():
        uri = SIZE_SUFFIX.sub("", written.strip(" \t"))
        if URI.match(uri):
            found.append(uri)
        else:
            problems.append(f"{name}= holds what is no URI")
    return tuple(found)

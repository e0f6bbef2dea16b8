"""Where to read more about the rule that decided: the reference of every fact, and of the rules that are no check's."""

from __future__ import annotations

from functools import cache

MANUAL = "operating guide, “Reading a score”"
OTHERS = {
    "loop.hops": "RFC 5321 §6.3",
    "store": "RFC 3463 §3.4",
    "session": "operating guide, “Limits worth knowing”",
    "score": MANUAL,
    "default": MANUAL,
}
"""By the rule's name, or by what stands before its dot."""


def reference_of(name: str) -> str:
    """``RFC 9989 §5.3.6`` for ``dmarc.reject``; a part of the manual where no standard has an opinion; empty if unknown.

    `name` is a fact or a rule, with or without its source (``dnsbl.listed:zen.example``).
    """
    known = _of_checks()
    if name in known:
        return known[name]
    plain = name.partition(":")[0]
    if plain.endswith(".unavailable"):
        return MANUAL
    return known.get(plain) or OTHERS.get(plain) or OTHERS.get(plain.partition(".")[0], "")


@cache
def _of_checks() -> dict[str, str]:
    from gatepost.checks.registry import ALL_CHECKS  # all of them: only for who asks

    return {fact.name: fact.reference for check in ALL_CHECKS for fact in check.emits}


def about(name: str) -> str:
    """What a fact means, one line for everybody; empty for what no check reports. `name` may have a source."""
    known = _meanings()
    return known.get(name) or known.get(name.partition(":")[0], "")


@cache
def _meanings() -> dict[str, str]:
    from gatepost.checks.registry import ALL_CHECKS

    return {fact.name: fact.about for check in ALL_CHECKS for fact in check.emits}

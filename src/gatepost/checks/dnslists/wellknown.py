"""What the owners of some DNS lists published about them: their answers, and a name that is always listed.

Whoever names such a zone need not copy its table, and an answer that is no reproach (SURBL marks plain click
trackers, for one) does not count as one. Left out: which lists to use, for that is a contract with their owners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class WellKnown:
    """One list."""

    codes: Mapping[str, str] = field(default_factory=dict)
    errors: frozenset[str] = frozenset()
    test_name: str = ""


_SURBL = {"&8": "phishing", "&16": "malware", "&64": "spam and abuse", "&128": "broken into"}
_DBL = {
    "127.0.1.2": "a domain of bad repute",
    "127.0.1.4": "phishing",
    "127.0.1.5": "malware",
    "127.0.1.6": "control of a botnet",
    "127.0.1.102": "a sound domain abused for spam",
    "127.0.1.103": "a redirector abused for spam",
    "127.0.1.104": "a sound domain abused for phishing",
    "127.0.1.105": "a sound domain abused for malware",
    "127.0.1.106": "a sound domain abused to control a botnet",
}
_ZEN = {
    "127.0.0.2": "a source of spam",
    "127.0.0.3": "a source of spam, found by machine",
    "127.0.0.4": "a machine broken into",
    "127.0.0.9": "a network of criminals",
    "127.0.0.10": "an address that should not send mail",
    "127.0.0.11": "an address that should not send mail",
    "127.0.0.30": "control of a botnet",
}
_ADDRESS_ASKED = frozenset({"127.0.1.255"})  # DBL: "you asked about an address, and we list names"

_LISTS = {
    "multi.surbl.org": WellKnown(codes=_SURBL, test_name="test.surbl.org"),
    "multi.uribl.com": WellKnown(
        codes={"&2": "in spam", "&4": "in unwelcome mail", "&8": "found by machine"},
        test_name="test.uribl.com",
    ),
    "dbl.spamhaus.org": WellKnown(codes=_DBL, errors=_ADDRESS_ASKED, test_name="dbltest.com"),
    "dbl.dq.spamhaus.net": WellKnown(codes=_DBL, errors=_ADDRESS_ASKED, test_name="dbltest.com"),
    "zen.spamhaus.org": WellKnown(codes=_ZEN),
    "zen.dq.spamhaus.net": WellKnown(codes=_ZEN),
}


@lru_cache(maxsize=256)
def well_known(zone: str) -> WellKnown | None:
    """What is known of the list at `zone`, which may have a key in front; None for most."""
    zone = zone.lower().rstrip(".")
    for known, one in _LISTS.items():
        if zone == known or zone.endswith(f".{known}"):
            return one
    return None

"""Domain names as text: limits, order, the DMARC tree walk and the public suffix list.

Names are A-labels joined by dots (no escapes: every other octet stands for itself); all functions take
a final dot and upper case, and give lower case without the dot. Left out: IDNA (mail/address.py).
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

MAX_NAME = 253
"""Characters of a name without the final dot: 255 octets on the wire (RFC 1035 §2.3.4)."""
MAX_LABEL = 63
TREE_WALK_LABELS = 7
"""RFC 9989 §4.10: a longer name is cut to this many labels after the first query, which makes eight in all."""

_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_LABELS = re.compile(r"(?:[^.]{1,63}\.)*[^.]{1,63}")


def normal(name: str) -> str:
    """Lower case, without the final dot. Only ASCII letters have a case here (RFC 4343 §3): a Kelvin sign is no k."""
    return (name.lower() if name.isascii() else name.translate(_ASCII_LOWER)).removesuffix(".")


def valid_query_name(name: str) -> bool:
    """Can this be asked of the DNS? ASCII, labels of 1 to 63, 253 in all (RFC 1035 §2.3.4); the root can."""
    name = name.removesuffix(".")
    return len(name) <= MAX_NAME and name.isascii() and (not name or _LABELS.fullmatch(name) is not None)


def parent(domain: str) -> str:
    """The name with its first label removed; "" (the root) for a single label."""
    return normal(domain).partition(".")[2]


def is_subdomain(child: str, above: str) -> bool:
    """Is `child` the same as `above` or below it? Everything is below the root ("")."""
    child, above = normal(child), normal(above)
    return not above or child == above or child.endswith("." + above)


def tree_walk(domain: str) -> list[str]:
    """The domains to ask in turn, the first itself, at most eight (RFC 9989 §4.10); empty for the root."""
    labels = normal(domain).split(".")
    if not all(labels):
        return []
    first = max(1, len(labels) - TREE_WALK_LABELS)
    return [".".join(labels), *(".".join(labels[cut:]) for cut in range(first, len(labels)))]


def reversed_name(ip: str | IPv4Address | IPv6Address) -> str:
    """The address as a name below a DNS block list: ``2.0.0.127``, nibbles for IPv6 (RFC 5782 §2.1, §2.4).

    An IPv4-mapped address is the IPv4 address. Raises ValueError for a text that is no address.
    """
    address = ip_address(ip) if isinstance(ip, str) else ip
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return ".".join(reversed(address.packed.hex()))
        address = address.ipv4_mapped
    return ".".join(reversed(str(address).split(".")))


def ptr_name(ip: str | IPv4Address | IPv6Address) -> str:
    """Where the PTR records of the address are (RFC 1035 §3.5, RFC 3596 §2.5)."""
    name = reversed_name(ip)
    return name + (".ip6.arpa" if len(name) == MAX_LABEL else ".in-addr.arpa")


@lru_cache(maxsize=20_000)
def public_suffix(domain: str) -> str | None:
    """The public suffix of the domain, private section included; an unlisted top level is one. None for no name."""
    domain = domain.lower().removesuffix(".")
    if not domain or domain.startswith(".") or ".." in domain:
        return None
    return _public_suffix()(domain)


def registrable_domain(domain: str) -> str | None:
    """The public suffix and one label more; None when there is no label more."""
    domain = domain.lower().removesuffix(".")
    suffix = public_suffix(domain)
    if suffix is None or suffix == domain:
        return None
    return f"{domain[: -len(suffix) - 1].rpartition('.')[2]}.{suffix}"


@cache
def _public_suffix() -> Callable[[str], str | None]:
    # Reading the list takes a quarter of a second; most commands never ask.
    from publicsuffixlist import PublicSuffixList

    method: Callable[[str], str | None] = PublicSuffixList().publicsuffix
    return method


def visible(name: str) -> str:
    """A name as it stands in a record, with octets that would not be seen written as numbers (RFC 1035 §5.1)."""
    return (
        name
        if name.isprintable()
        else "".join(one if one.isprintable() else f"\\{ord(one):03d}" for one in name)
    )

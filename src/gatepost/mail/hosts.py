"""A URL's host as browsers read it (WHATWG URL §3): names in A-labels, addresses in their normal form.

Left out: opaque hosts, and the difference between a host that is wrong and one that is absent.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote

import idna

LONGEST = 2000

# The usual host: letters, digits, hyphens, underscores; the last label has a letter first.
PLAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
FORBIDDEN = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|%\x7f]")
DOTS = re.compile("[\u3002\uff0e\uff61]")
IPV4_PIECE = re.compile(r"0x[0-9a-f]*|[0-9]+")
# Ignored in names by every browser (UTS 46): soft hyphen, zero-width characters, variation selectors.
IGNORED = re.compile("[\u00ad\u034f\u200b\u2060\ufeff\ufe00-\ufe0f]")


@lru_cache(maxsize=4096)
def normal_host(written: str) -> str:
    """The host in its normal form, IPv6 in brackets; empty when no browser would go there."""
    host = written.lower()
    if len(host) < 254 and "xn--" not in host and PLAIN.fullmatch(host):
        return host
    if len(host) > LONGEST:
        return ""
    if host.startswith("["):
        return _ipv6(host)
    host = unquote(host, errors="replace").lower()
    if not host.isascii() or "xn--" in host:
        host = _ascii(host)
    host = host.rstrip(".")
    if not host or FORBIDDEN.search(host):
        return ""
    last = host.rpartition(".")[2]
    if IPV4_PIECE.fullmatch(last):
        return _ipv4(host)
    return host


def _ascii(host: str) -> str:
    """Labels beyond ASCII as A-labels (UTS 46, not transitional); what cannot be one stays readable."""
    host = DOTS.sub(".", IGNORED.sub("", host))
    try:
        return idna.encode(host, uts46=True, std3_rules=False, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError, IndexError):
        pass
    labels = []
    for label in host.split("."):
        try:
            mapped = idna.uts46_remap(label, std3_rules=False)
            labels.append(mapped if mapped.isascii() else "xn--" + mapped.encode("punycode").decode("ascii"))
        except (idna.IDNAError, UnicodeError):
            labels.append(
                label if label.isascii() else "xn--" + label.encode("punycode", "ignore").decode("ascii")
            )
    return ".".join(labels).lower()


def _ipv6(host: str) -> str:
    address, bracket, rest = host[1:].partition("]")
    if not bracket or rest:
        return ""
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except (AddressValueError, ValueError):
        return ""
    mapped = parsed.ipv4_mapped
    if mapped is not None:  # as URLs have it (WHATWG URL §3.5); Python 3.13 writes these with dots
        return f"[::ffff:{int(mapped) >> 16:x}:{int(mapped) & 0xFFFF:x}]"
    return f"[{parsed.compressed}]"


def _ipv4(host: str) -> str:
    """Decimal, octal and hexadecimal numbers, one to four of them (WHATWG URL §3.5)."""
    pieces = host.split(".")
    if len(pieces) > 4:
        return ""
    numbers = []
    for piece in pieces:
        if not IPV4_PIECE.fullmatch(piece) or len(piece) > 40:
            return ""
        try:
            if piece.startswith("0x"):
                numbers.append(int(piece[2:] or "0", 16))
            else:
                numbers.append(int(piece, 8 if len(piece) > 1 and piece[0] == "0" else 10))
        except ValueError:
            return ""
    if any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        return ""
    value = numbers[-1] + sum(number << 8 * (3 - place) for place, number in enumerate(numbers[:-1]))
    return str(IPv4Address(value))

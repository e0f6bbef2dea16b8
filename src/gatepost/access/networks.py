"""The network somebody comes from: what is kept of an address, and what an app password may be limited to."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

IpAddress = IPv4Address | IPv6Address


def prefix(ip: IpAddress | None) -> str:
    """The /24 or /48 that an address is in, such as ``192.0.2.0/24``; empty when it is unknown.

    Enough to recognise a place by, and not the person's address.
    """
    if ip is None:
        return ""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ip_network((int(ip), 24) if ip.version == 4 else (int(ip), 48), strict=False))


def normal(text: str) -> str | None:
    """An address or network in its normal form; None when it is none."""
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        return None


def within(ip: IpAddress | None, among: Sequence[str]) -> bool:
    """Is the address in one of these networks (in normal form)? Everything is in none."""
    if not among:
        return True
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip is not None and any(ip in ip_network(one) for one in among)

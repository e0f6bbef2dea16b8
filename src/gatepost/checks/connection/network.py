"""Under which name a client is counted: its account, or its network, one customer's share of the address space."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network

from gatepost.mail.client import Client, IpAddress

_DOCUMENTATION = tuple(
    ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)

UNKNOWN_WINDOW_S = 600.0
"""How long a client's unknown recipients are counted together."""


@lru_cache(maxsize=4096)
def network_of(ip: IpAddress, *, ipv4_bits: int = 32, ipv6_bits: int = 64) -> str:
    """The address itself for IPv4, the /64 for IPv6 (RFC 6177: a site gets at least that), unless told otherwise."""
    bits = ipv4_bits if ip.version == 4 else ipv6_bits
    return str(ip) if bits == ip.max_prefixlen else str(ip_network((ip, bits), strict=False))


def counted_as(client: Client) -> str | None:
    """The account or the network; None for the own machine and where there is neither."""
    if client.user is not None:
        return client.user
    return None if client.ip is None or client.ip.is_loopback else network_of(client.ip)


def unknown_key(who: str) -> str:
    """Where memory counts the unknown recipients a client asked for: `recipients` adds, `rates` reads."""
    return f"rates:unknown:{who}"


@lru_cache(maxsize=4096)
def is_public(ip: IpAddress) -> bool:
    """May the world's lists and reverse names know this address? Not those of private networks (RFC 1918).

    Documentation addresses count as public (RFC 5737, RFC 3849): only examples use them, and should work.
    """
    return ip.is_global or any(ip.version == network.version and ip in network for network in _DOCUMENTATION)

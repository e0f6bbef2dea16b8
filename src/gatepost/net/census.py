"""Who is here: connections counted by client and in all, how fast they come, and who waited politely before.

No sockets and no clock: `now` is any clock that does not go back. A client is an IPv4 address or an IPv6 /64,
because whoever has one address of a /64 has them all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from gatepost.mail.client import IpAddress
from gatepost.net.limits import ConnectionLimits
from gatepost.smtp.proxy import unmapped

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection comes from, as far as limits care."""

    ip: IpAddress
    key: str
    """The client it counts for."""
    local: bool
    """Loopback or private."""
    unlimited: bool
    """Limits per client do not apply."""


class Census:
    """Counts of what is open, and the memory of rates and politeness; both are bounded."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.total = 0
        self._open: dict[str, int] = {}
        self._rates: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._polite: OrderedDict[str, float] = OrderedDict()
        self._places: OrderedDict[str, Place] = OrderedDict()
        self._unlimited = networks(limits.unlimited_clients)

    def place(self, host: str) -> Place:
        """The place of an address as `accept` gives it (a zone index such as ``%eth0`` is dropped)."""
        place = self._places.get(host)
        if place is None:
            if len(self._places) >= 4096:
                self._places.popitem(last=False)
            ip = unmapped(ip_address(host.partition("%")[0]))
            key = str(IPv6Network((int(ip) >> 64 << 64, 64))) if isinstance(ip, IPv6Address) else str(ip)
            place = self._places[host] = Place(ip, key, within(ip, _LOCAL), within(ip, self._unlimited))
        return place

    def arrive(self, place: Place, now: float) -> str | None:
        """Count a connection, or say in a word why it may not come in (then it is not counted)."""
        limits, key = self.limits, place.key
        if self.total >= limits.connections:
            return "too-many-connections"
        if not place.unlimited or self.total * 4 >= limits.connections * 3:
            if self._open.get(key, 0) >= limits.per_client:
                return "too-many-from-client"
            if not self._within_rate(key, now):
                return "too-fast"
        self.put_back(place)
        return None

    def put_back(self, place: Place) -> None:
        """Count a connection without asking."""
        self.total += 1
        self._open[place.key] = self._open.get(place.key, 0) + 1

    def leave(self, place: Place) -> None:
        """A counted connection has ended."""
        self.total -= 1
        left = self._open[place.key] - 1
        if left:
            self._open[place.key] = left
        else:
            del self._open[place.key]

    def open_for(self, place: Place) -> int:
        """Connections this client has open."""
        return self._open.get(place.key, 0)

    def greeting_delay_s(self, place: Place, now: float) -> float:
        """How long this client waits for our greeting."""
        limits = self.limits
        if place.local:
            return limits.greeting_delay_local_s
        return 0.0 if self._polite.get(place.key, now) > now else limits.greeting_delay_s

    def was_polite(self, place: Place, now: float) -> None:
        """This client waited for our greeting; next time it need not."""
        self._polite[place.key] = now + self.limits.known_client_s
        self._polite.move_to_end(place.key)
        if len(self._polite) > self.limits.known_clients:
            self._polite.popitem(last=False)

    def _within_rate(self, key: str, now: float) -> bool:
        """A bucket of a minute's connections that drains evenly."""
        a_minute = self.limits.per_client_a_minute
        level, then = self._rates.get(key, (0.0, now))
        level = max(0.0, level - (now - then) * a_minute / 60.0)
        allowed = level + 1.0 <= a_minute
        self._rates[key] = (level + 1.0 if allowed else level, now)
        self._rates.move_to_end(key)
        if len(self._rates) > self.limits.known_clients:
            self._rates.popitem(last=False)
        return allowed


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks as networks; raises ValueError, which names the text."""
    return tuple(ip_network(text, strict=False) for text in texts)


# Not `is_private`, which also means networks kept for documentation and benchmarks.
_LOCAL = networks(
    (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1",
        "fe80::/10",
        "fc00::/7",
    )
)


def within(ip: IpAddress, among: Iterable[Network]) -> bool:
    """Is this address in one of the networks?"""
    return any(ip in network for network in among)

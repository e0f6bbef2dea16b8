"""Which hosts take a domain's mail, where they are, and what DNSSEC says of that (RFC 5321 §5, RFC 7505, RFC 7672 §2).

Left out: what follows for TLS (`tlspolicy.requirement`), and talking to them (`net.outbound`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from itertools import chain, zip_longest

from gatepost.dns.answer import Answer, Resolver, Security, Status
from gatepost.net.fetch import is_public
from gatepost.smtp.sending import Outcome, deferred, failed

ALIASES_MOST = 8
HOSTS_MOST = 50
"""Of one domain, the preferred first; the rest is left out."""
ADDRESSES_MOST = 40


@dataclass(frozen=True, slots=True)
class Found:
    """The mail hosts of a domain, the preferred first."""

    hosts: tuple[str, ...]
    security: Security
    ttl_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a host is."""

    host: str
    addresses: tuple[str, ...] = ()
    security: Security = Security.INDETERMINATE
    """The weakest of the answers that gave an address."""
    tlsa: Answer | None = None
    """None: not asked, because DANE does not apply."""
    tlsa_base: str = ""
    trouble: Outcome | None = None
    """Why there is no address."""
    ttl_s: int = 0


@dataclass(slots=True, kw_only=True)
class MailHosts:
    """Asks the DNS; remembers nothing that the resolver does not."""

    resolver: Resolver
    ours: frozenset[str]
    """Our host names, lower case: an MX that names one is ourselves."""
    shuffle: Callable[[list[str]], None] = field(default=lambda _: None)
    """Random order among equal preferences (RFC 5321 §5.1)."""

    async def find(self, domain: str) -> Found | Outcome:
        """The hosts, or why there are none."""
        if domain.startswith("["):
            text = domain.strip("[]").removeprefix("IPv6:").removeprefix("ipv6:")
            with contextlib.suppress(ValueError):
                return Found((str(ip_address(text)),), Security.INSECURE)
            return failed("5.1.2", f"{domain} is not an address that mail can go to.")
        answer = await self.resolver.lookup(domain, "MX")
        if answer.status is Status.FAILED:
            return deferred("4.4.3", f"The mail hosts of {domain} could not be looked up ({answer.problem}).")
        if answer.status is Status.NXDOMAIN:
            return failed("5.1.2", f"The domain {domain} does not exist.")
        if not answer.records:
            return Found((domain,), answer.security, answer.ttl_s)  # RFC 5321 §5.1: the implicit MX
        pairs: list[tuple[int, str]] = []
        for record in answer.records:
            preference, _, host = record.partition(" ")
            if preference.isdecimal():
                pairs.append((int(preference), host.strip().rstrip(".").lower()))
        if pairs and all(not host for _, host in pairs):  # RFC 7505 §3
            return failed("5.1.10", f"The domain {domain} says that it takes no mail (null MX).")
        if not pairs:
            return failed("5.4.4", f"The MX records of {domain} cannot be read.")
        cut = min((preference for preference, host in pairs if host in self.ours), default=None)
        ordered = self._in_order(pair for pair in pairs if pair[1] and (cut is None or pair[0] < cut))
        if not ordered:
            return failed(
                "5.4.6", f"Mail for {domain} would come back to this host: its best MX is ourselves."
            )
        return Found(tuple(ordered[:HOSTS_MOST]), answer.security, answer.ttl_s)

    async def place(self, host: str, *, tlsa_port: int = 0) -> Place:
        """Where the host is; with a port, also its TLSA records if its addresses can have any."""
        with contextlib.suppress(ValueError):
            return Place(host=host, addresses=(str(ip_address(host)),), security=Security.INSECURE)
        if host == "localhost":  # RFC 6761 §6.3: never asked of a server
            return Place(host=host, addresses=("127.0.0.1", "::1"), security=Security.INSECURE)
        v6, v4 = await asyncio.gather(self.resolver.lookup(host, "AAAA"), self.resolver.lookup(host, "A"))
        told = [one for one in (v6, v4) if one.status is Status.FOUND and one.records]
        if not told:
            unsure = [one for one in (v6, v4) if one.status is Status.FAILED]
            bogus = any(one.security is Security.BOGUS for one in unsure)
            return Place(
                host=host,
                security=Security.BOGUS if bogus else Security.INDETERMINATE,
                trouble=deferred(
                    "4.4.3", f"The address of {host} could not be looked up ({unsure[0].problem})."
                )
                if unsure
                else failed("5.4.4", f"The host {host} has no address."),
            )
        security = min(one.security for one in told)
        # By turns, so that many of one family that cannot be reached keep nobody from the other (RFC 8305 §4).
        by_turns = chain.from_iterable(zip_longest(*(one.records for one in told)))
        addresses = tuple(one for one in by_turns if one)[:ADDRESSES_MOST]
        base, tlsa = await self._tlsa(host, security, tlsa_port) if tlsa_port else ("", None)
        ttl_s = min(one.ttl_s for one in (*told, *([tlsa] if tlsa else [])))
        return Place(
            host=host, addresses=addresses, security=security, tlsa=tlsa, tlsa_base=base, ttl_s=ttl_s
        )

    async def _tlsa(self, host: str, security: Security, port: int) -> tuple[str, Answer | None]:
        """RFC 7672 §2.2.2, §2.2.3: at the end of secure aliases first, then at the host's own name.

        Where the addresses are not secure nobody is asked for TLSA: many servers of unsigned zones answer such a
        question badly. An alias that is itself secure may have records at its own name all the same.
        """
        end, alias_secure = await self._end_of_aliases(host)
        bases = [end] if security is Security.SECURE else []
        if end != host and alias_secure:
            bases.append(host)
        answer: Answer | None = None
        for base in bases:
            answer = await self.resolver.lookup(f"_{port}._tcp.{base}", "TLSA")
            usable = answer.status is Status.FOUND and answer.security is Security.SECURE
            if usable or answer.status is Status.FAILED:
                return base, answer
        return (bases[-1] if bases else ""), answer

    async def _end_of_aliases(self, host: str) -> tuple[str, bool]:
        """The name that the aliases lead to, and whether the first alias is secure."""
        name, first_secure = host, False
        for step in range(ALIASES_MOST):
            alias = await self.resolver.lookup(name, "CNAME")
            if alias.status is not Status.FOUND or not alias.records:
                break
            if step == 0:
                first_secure = alias.security is Security.SECURE
            name = alias.records[0]
        return name, first_secure

    def _in_order(self, pairs: Iterable[tuple[int, str]]) -> list[str]:
        by_preference: dict[int, list[str]] = {}
        for preference, host in pairs:
            by_preference.setdefault(preference, []).append(host)
        ordered: list[str] = []
        for preference in sorted(by_preference):
            self.shuffle(by_preference[preference])
            ordered += by_preference[preference]
        return list(dict.fromkeys(ordered))


def public_part(place: Place) -> Place:
    """The place with the addresses that are public: what others write into their DNS must not reach into our own network."""
    public = tuple(one for one in place.addresses if is_public(ip_address(one)))
    if len(public) == len(place.addresses):
        return place
    if public:
        return replace(place, addresses=public)
    words = (
        f"{place.host} is {place.addresses[0]}, which is no address of the public network: mail goes there only if"
        " [outbound] private_addresses allows it, or a destination's via names the way."
    )
    return replace(place, addresses=(), trouble=failed("5.4.4", words))

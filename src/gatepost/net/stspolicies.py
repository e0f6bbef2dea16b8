"""MTA-STS policies of other domains: found, fetched, remembered across restarts, refreshed in time (RFC 8461 §3, §4).

A policy that is remembered holds until its own end, whatever the DNS or the web server says meanwhile: that is what makes
taking either away useless to an attacker. A policy host may be anywhere, also in a private network: until it has proved its
name by a certificate nothing is sent to it, and only one fixed path is ever asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from gatepost.dns.answer import Resolver, Security, Status
from gatepost.net.fetch import FetchFailed, FetchKind, FetchLimits, fetch
from gatepost.tlspolicy.mta_sts import POLICY_MOST, Malformed, StsKnown, policy_id, read_policy
from gatepost.tlspolicy.tlsrpt import Trouble

LIMITS = FetchLimits(total_s=60.0, octets=POLICY_MOST)
AGAIN_AFTER_S = 300.0
"""How soon a policy that could not be had is asked for again."""
REFRESH_S = 86_400.0
"""A policy is fetched again after this long, or after half its life (RFC 8461 §3.3)."""
FETCHES_AT_ONCE = 16
REMEMBERED = 20_000


class Kept(Protocol):
    """Where policies outlive a restart: `store.wire.StoredPolicies`."""

    def load(self, domain: str) -> StsKnown | None:
        """What was kept of a domain; never raises."""
        ...

    def keep(self, domain: str, known: StsKnown) -> None:
        """Keep it soon."""
        ...

    async def used(self, domains: Sequence[str]) -> None:
        """Mail went there."""
        ...

    def due(self, before: float, limit: int) -> Iterable[str]:
        """Domains in use whose policy was fetched before then."""
        ...


class Nothing:
    """Keeps nothing."""

    def load(self, domain: str) -> StsKnown | None:  # noqa: ARG002
        """Nothing."""
        return None

    def keep(self, domain: str, known: StsKnown) -> None:
        """Does not."""

    async def used(self, domains: Sequence[str]) -> None:
        """Does not."""

    def due(self, before: float, limit: int) -> Iterable[str]:  # noqa: ARG002
        """None."""
        return ()


@dataclass(slots=True, kw_only=True)
class StsPolicies:
    """The policies of all domains we send to."""

    resolver: Resolver
    clock: Callable[[], float]
    """Unix seconds."""
    kept: Kept = field(default_factory=Nothing)
    trust_anchors: str = ""
    port: int = 443
    limits: FetchLimits = LIMITS
    _known: dict[str, StsKnown] = field(default_factory=dict)
    _not_before: dict[str, tuple[float, StsKnown]] = field(default_factory=dict)
    """Until when a domain is not asked again, and what is known of it."""
    _flights: dict[str, asyncio.Task[StsKnown]] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FETCHES_AT_ONCE))

    async def of(self, domain: str) -> StsKnown:
        """What holds for a domain now. Never raises."""
        now = self.clock()
        known = self._remembered(domain, now)
        answer = await self.resolver.lookup(f"_mta-sts.{domain}", "TXT")
        if known is None and answer.status is Status.FAILED and answer.security is Security.BOGUS:
            return StsKnown(bogus=True)
        if known is not None and len(self._used) < REMEMBERED:
            self._used.add(domain)
        found = policy_id(answer.records) if answer.status is Status.FOUND else None
        if found is None or (known is not None and known.policy_id == found and not self._stale(known, now)):
            return known or StsKnown()
        if known is not None and known.policy_id == found:
            self._fly(domain, found)  # good for a while yet: nobody waits for the refreshed one
            return known
        waits = self._not_before.get(domain)
        if waits and waits[0] > now:
            return known or waits[1]
        return await asyncio.shield(self._fly(domain, found))

    async def refresh(self, limit: int = 100) -> None:
        """Fetch again what was fetched a while ago and is in use; for the clock."""
        await self.tell_used()
        for domain in list(self.kept.due(self.clock() - REFRESH_S, limit)):
            await self.of(domain)
        self._used.clear()  # asking for ourselves is no use
        if self._flights:
            await asyncio.wait(list(self._flights.values()))

    async def tell_used(self) -> None:
        """Which policies this process used, so that one process refreshes them for all; for the clock."""
        used, self._used = self._used, set()
        if used:
            await self.kept.used(sorted(used))

    async def close(self) -> None:
        """Give up what is on its way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _remembered(self, domain: str, now: float) -> StsKnown | None:
        known = self._known.get(domain)
        if known is None or self._stale(known, now):  # another process may have fetched it since
            kept = self.kept.load(domain)
            if kept is not None and (known is None or kept.fetched_at > known.fetched_at):
                known = kept
                self._remember(domain, known)
        return known if known is not None and known.expires_at > now else None

    def _stale(self, known: StsKnown, now: float) -> bool:
        return now >= known.fetched_at + min(REFRESH_S, known.life_s / 2)

    def _remember(self, domain: str, known: StsKnown) -> None:
        if len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[domain] = known

    def _fly(self, domain: str, found: str) -> asyncio.Task[StsKnown]:
        """One fetch for all who wait for it."""
        flight = self._flights.get(domain)
        if flight is None:
            flight = self._flights[domain] = asyncio.create_task(self._fetched(domain, found))
            flight.add_done_callback(lambda _: self._flights.pop(domain, None))
        return flight

    async def _fetched(self, domain: str, found: str) -> StsKnown:
        waits = self._not_before.get(domain)
        if waits and waits[0] > self.clock():
            return self._remembered(domain, self.clock()) or waits[1]
        async with self._room:
            known = await self._ask(domain)
        now = self.clock()
        if known.policy is None:
            if len(self._not_before) >= REMEMBERED:
                self._not_before.clear()
            self._not_before[domain] = (now + AGAIN_AFTER_S, known)
            return self._remembered(domain, now) or known
        known = replace(known, policy_id=found, fetched_at=now)
        self._not_before.pop(domain, None)
        self._remember(domain, known)
        self.kept.keep(domain, known)
        return known

    async def _ask(self, domain: str) -> StsKnown:
        port = "" if self.port == 443 else f":{self.port}"
        try:
            got = await fetch(
                f"https://mta-sts.{domain}{port}/.well-known/mta-sts.txt",
                resolver=self.resolver,
                limits=self.limits,
                trust_anchors=self.trust_anchors,
                allow_private=True,
                clock=self.clock,
            )
        except FetchFailed as failure:
            trouble = Trouble.STS_WEBPKI if failure.kind is FetchKind.CERTIFICATE else Trouble.STS_FETCH
            return StsKnown(trouble=trouble.value, words=str(failure))
        if got.status != 200:
            return StsKnown(trouble=Trouble.STS_FETCH.value, words=f"the policy host answered {got.status}")
        if got.content_type != "text/plain":
            words = f"the policy is {got.content_type[:60] or 'of no media type'} instead of text/plain"
            return StsKnown(trouble=Trouble.STS_INVALID.value, words=words)
        policy = read_policy(got.body)
        if isinstance(policy, Malformed):
            return StsKnown(trouble=Trouble.STS_INVALID.value, words=policy.words)
        return StsKnown(policy=policy)

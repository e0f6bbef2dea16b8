"""Hand mail to other servers: drive `SmtpClient` over real connections, use them again, hold to what the wire must be.

RFC 5321 §5, RFC 3207 (STARTTLS), RFC 2033 (LMTP over TCP or a Unix socket). Which hosts is `net.mailhosts`, what must hold
of TLS is `tlspolicy.requirement`. Opportunistic TLS tries to verify once and then remembers for an hour that a host cannot,
so that what is recorded about the certificate is true without a second connection each time.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Any

from gatepost.dns.answer import Resolver, Security
from gatepost.net.destinations import Destinations, OutboundSettings, read_login
from gatepost.net.keptlinks import KeptLink, KeptLinks
from gatepost.net.link import Broken, Handshake, Link
from gatepost.net.mailhosts import Found, MailHosts, Place, public_part
from gatepost.net.sent import Sent, beside, came_of, kept_back, nowhere, put_off, unfit, unreached
from gatepost.net.stspolicies import StsPolicies
from gatepost.smtp.client import Patience, SmtpClient
from gatepost.smtp.sending import (
    Fault,
    Hop,
    Outcome,
    Outgoing,
    Protocol,
    Result,
    TlsUse,
    failed,
)
from gatepost.tlspolicy import dane
from gatepost.tlspolicy.mta_sts import StsKnown
from gatepost.tlspolicy.requirement import Proof, Requirement, Situation, Wish, requirement
from gatepost.tlspolicy.tlsrpt import Failure, Policy, PolicyKind, Session, Trouble

__all__ = ["Outbound", "OutboundSettings", "Sent"]

REMEMBERED_S = 3600.0
"""That a host's certificate does not verify, or that its TLS does not work."""
PLANNED_S = 15.0
"""How long the hosts of a domain are used without asking the resolver anew."""
DEAD_S = 60.0
"""An address that could not be connected to is tried after the others for so long."""
REMEMBERED = 10_000
PUT_OFF_MOST = 2
"""Hosts of a domain that may say "not now" before the message waits (RFC 5321 §5.1: at least two are tried)."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A domain's mail hosts and where they are, for as long as DNS lets them be remembered."""

    found: Found
    places: dict[str, Place]
    until: float


@dataclass(slots=True)
class Outbound:
    """Connections to other servers, kept for a while. `close` when done."""

    hello: str
    resolver: Resolver
    settings: OutboundSettings = field(default_factory=OutboundSettings)
    patience: Patience = field(default_factory=Patience)
    own_names: frozenset[str] = frozenset()
    """Our host names besides `hello`, lower case: an MX that names one is ourselves."""
    own_addresses: Container[str] = frozenset()
    public_only: bool = False
    """Of a domain's own mail hosts only public addresses are asked: see `OutboundSettings.private_addresses`."""
    shuffle: Callable[[list[str]], None] = random.shuffle
    """Random order among equal preferences (RFC 5321 §5.1), unless a test chooses."""
    smtp_port: int = 25
    sts: StsPolicies | None = None
    """None: no MTA-STS."""
    tally: Callable[[Session], None] = lambda _: None
    """Told of every session with a domain's own mail hosts."""
    takes: Callable[[Hop, int], Awaitable[None]] | None = None
    """Told at each fresh session how many octets the host says it takes (SIZE, RFC 1870 §3); 0: it names no limit."""
    clock: Callable[[], float] = time.time
    """Unix seconds, for certificates."""
    hosts: MailHosts = field(init=False)
    destinations: Destinations = field(init=False)
    _kept: KeptLinks = field(init=False)
    _unverifiable: dict[tuple[object, ...], tuple[float, Failure]] = field(default_factory=dict)
    _no_tls: dict[tuple[object, ...], tuple[float, Failure]] = field(default_factory=dict)
    _dead: dict[tuple[str, int], float] = field(default_factory=dict)
    _plans: dict[str, _Plan] = field(default_factory=dict)
    _contexts: dict[tuple[bool, bool], ssl.SSLContext] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ours = self.own_names | {self.hello.lower()}
        self.hosts = MailHosts(resolver=self.resolver, ours=ours, shuffle=self.shuffle)
        self.destinations = Destinations.of(self.settings)
        self._kept = KeptLinks(self.settings.idle_s, self.settings.messages_per_connection)

    async def send(self, hop: Hop, message: Outgoing) -> Sent:
        """Hand `message` to one configured host."""
        if message.require_tls and hop.protocol is Protocol.LMTP:
            # RFC 8689 is about relaying; a mailbox's own server is asked nothing.
            message = replace(message, require_tls=False)
        return await self._to_host(hop, None, _need_of(hop, message.require_tls), message)

    async def send_to_domain(self, domain: str, message: Outgoing) -> Sent:
        """Hand `message` to the mail hosts of `domain` (RFC 5321 §5.1), or to what is configured in their place."""
        special = self.destinations.find(domain)
        if special.via is not None:
            return await self._by_way_of(special.via, special.wish, special.names, message)
        plan = await self._plan(domain)
        if isinstance(plan, Outcome):
            return nowhere(domain, message, plan)
        asks = self.sts is not None and self.settings.mta_sts and special.wish in (Wish.AUTO, Wish.REQUIRED)
        sts = await self.sts.of(domain) if self.sts and asks and not domain.startswith("[") else StsKnown()
        tried: list[Sent] = []
        for host in plan.found.hosts[: self.settings.addresses_per_message]:
            place = plan.places.get(host)
            if place is None:
                port = self.smtp_port if self._wants_tlsa(plan.found.security, special.wish) else 0
                place = plan.places[host] = await self.where(host, tlsa_port=port)
            need = requirement(
                Situation(
                    domain=domain, host=host, mx=plan.found.security, address=place.security, tlsa=place.tlsa,
                    tlsa_base=place.tlsa_base, sts=sts, wish=special.wish, names=special.names,
                    require_tls=message.require_tls, waived=message.tls_waived,
                )
            )  # fmt: skip
            sent = await self._to_host(Hop(host=host, port=self.smtp_port), place, need, message)
            if not sent.unreachable and not unfit(sent) and not put_off(sent):
                return beside(sent, tried)
            if sent.unreachable:
                self._forget(domain, host, place)
            tried.append(sent)
            if sum(map(put_off, tried)) >= PUT_OFF_MOST:
                break
        # Nobody took it. As long as one of them may, the message waits, with the words of one that answered.
        waits = [one for one in tried if one.outcomes[0].result is Result.DEFERRED]
        told = next((one for one in waits if not one.unreachable), (waits or tried[-1:])[0])
        return beside(told, [one for one in tried if one is not told])

    async def where(self, host: str, *, tlsa_port: int = 0) -> Place:
        """Where a domain's own mail host is, as far as mail may go there."""
        place = await self.hosts.place(host, tlsa_port=tlsa_port)
        return public_part(place) if self.public_only else place

    async def close(self) -> None:
        """Say QUIT on what is idle and close it."""
        await self._kept.close(self.patience.quit_s)
        if self.sts is not None:
            await self.sts.close()
        await asyncio.sleep(0)

    # Which hosts.

    async def _plan(self, domain: str) -> _Plan | Outcome:
        now = time.monotonic()
        plan = self._plans.get(domain)
        if plan is not None and plan.until > now:
            return plan
        found = await self.hosts.find(domain)
        if isinstance(found, Outcome):
            return found
        if len(self._plans) >= REMEMBERED:
            self._plans.clear()
        plan = self._plans[domain] = _Plan(found, {}, now + min(PLANNED_S, found.ttl_s))
        return plan

    def _forget(self, domain: str, host: str, place: Place) -> None:
        """What led nowhere is looked up anew next time."""
        plan = self._plans.get(domain)
        if plan is not None and plan.places.get(host) is place:
            del self._plans[domain]

    def _wants_tlsa(self, mx: Security, wish: Wish) -> bool:
        return self.settings.dane and mx is Security.SECURE and wish not in (Wish.NONE, Wish.OPPORTUNISTIC)

    async def _by_way_of(self, hop: Hop, wish: Wish, names: tuple[str, ...], message: Outgoing) -> Sent:
        """To a host that the operator named: its name needs no proof, its certificate does when we sign in, or begin with TLS."""
        if (hop.sign_in is not None or hop.tls_first) and wish not in (Wish.REQUIRED, Wish.DANE):
            wish = Wish.REQUIRED
        place = await self.hosts.place(
            hop.host, tlsa_port=hop.port if self._wants_tlsa(Security.SECURE, wish) else 0
        )
        # RFC 8461 §3.4: the policy is the relay's own, never the recipients' domain's.
        asks = (
            self.sts is not None and self.settings.mta_sts and wish is Wish.AUTO and not _is_address(hop.host)
        )
        sts = await self.sts.of(hop.host) if self.sts and asks else StsKnown()
        need = requirement(
            Situation(
                domain=hop.host, host=hop.host, mx=Security.SECURE, address=place.security, tlsa=place.tlsa,
                tlsa_base=place.tlsa_base, sts=sts, wish=wish, names=names, require_tls=message.require_tls,
                waived=message.tls_waived,
            )
        )  # fmt: skip
        return await self._to_host(hop, place, replace(need, reported=(), amiss=()), message)

    # One host.

    async def _to_host(self, hop: Hop, place: Place | None, need: Requirement, message: Outgoing) -> Sent:
        """Hand over to one host, on a connection that is there or a fresh one."""
        if need.obstacle is not None:
            for policy in need.reported:
                self.tally(Session(policy=policy, host=hop.host, failure=need.obstacle))
            return kept_back(hop, need, message)
        kept = self._kept.take((hop, need.session))
        if kept:
            sent = await self._on_link(kept, hop, need, message)
            if sent is not None:
                self._count_session(hop, kept, need)
                return sent
        if hop.path:
            return await self._session(hop, hop.path, need, message)
        return await self._fresh(hop, place or await self.hosts.place(hop.host), need, message)

    async def _fresh(self, hop: Hop, place: Place, need: Requirement, message: Outgoing) -> Sent:
        if place.trouble is not None:
            return nowhere(hop.host, message, place.trouble)
        now = time.monotonic()
        addresses = sorted(place.addresses, key=lambda one: self._dead.get((one, hop.port), 0.0) > now)
        sent: Sent | None = None
        for address in addresses[: self.settings.addresses_per_message]:
            if address in self.own_addresses and hop.port == self.smtp_port:
                outcome = failed(
                    "5.4.6", f"{hop.host} is {address}, which is this host: the mail would come back."
                )
                return nowhere(hop.host, message, outcome)
            sent = await self._session(hop, address, need, message)
            if not sent.unreachable:
                return sent
        assert sent is not None
        return sent

    async def _session(self, hop: Hop, address: str, need: Requirement, message: Outgoing) -> Sent:
        """Connect, greet, send. A TLS handshake that fails is made good by a second, lesser session if that is allowed."""
        broken = Broken(Fault(words="no TLS session came about", stage="tls"))
        for _ in range(3):
            proof, tried = self._tls_now(hop, need)
            try:
                link = await self._open(hop, address, need, proof=proof, tried=tried)
            except Broken as failure:
                broken = failure
                if self._may_lessen(hop, need, broken, proof=proof):
                    continue
                break
            if self.takes is not None:
                offered = link.machine.keywords.get("SIZE", "")
                await self.takes(hop, int(offered) if offered.isdecimal() and len(offered) <= 20 else 0)
            fresh = KeptLink(link, (hop, need.session))
            self._count_session(hop, fresh, need)
            sent = await self._on_link(fresh, hop, need, message)
            if sent is not None:
                return sent
        if broken.fault.stage == "connect":
            self._remember(self._dead, (address, hop.port), time.monotonic() + DEAD_S)
        if broken.failure is not None:
            for policy in need.reported:
                self.tally(
                    Session(
                        policy=policy, host=hop.host, address=address, hello=broken.hello, sending=broken.sending,
                        failure=broken.failure,
                    )
                )  # fmt: skip
        return unreached(hop, address, need, message, broken)

    def _tls_now(self, hop: Hop, need: Requirement) -> tuple[Proof, bool]:
        """What proof to ask for, and whether to begin TLS at all."""
        key, now = (hop.host or hop.path, hop.port), time.monotonic()
        if need.encrypted or not need.tried:
            return need.proof, need.tried
        if self._no_tls.get(key, _LONG_AGO)[0] > now:
            return Proof.NONE, False
        known = self._unverifiable.get(key, _LONG_AGO)[0] > now
        return (Proof.NONE if known else Proof.PKIX), True

    def _may_lessen(self, hop: Hop, need: Requirement, broken: Broken, *, proof: Proof) -> bool:
        if need.encrypted or not need.tried or not broken.in_handshake or broken.failure is None:
            return False
        known = self._unverifiable if proof is Proof.PKIX else self._no_tls
        until = time.monotonic() + REMEMBERED_S
        self._remember(known, (hop.host or hop.path, hop.port), (until, broken.failure))
        return True

    def _remember(self, where: dict[Any, Any], key: object, value: object) -> None:
        if len(where) >= REMEMBERED:
            where.clear()
        where[key] = value

    async def _open(self, hop: Hop, address: str, need: Requirement, *, proof: Proof, tried: bool) -> Link:
        login = None
        if hop.sign_in is not None:
            try:
                login = read_login(hop.sign_in)
            except ValueError as fault:
                raise Broken(Fault(words=f"signing in at {hop}: {fault}", stage="auth")) from None
        use = TlsUse.REQUIRED if need.encrypted else TlsUse.OPPORTUNISTIC if tried else TlsUse.NONE
        machine = SmtpClient(
            hello=self.hello,
            protocol=hop.protocol,
            tls=use,
            patience=self.patience,
            eight_bit_anyway=self.settings.eight_bit_anyway,
            login=login,
            tls_first=hop.tls_first,
        )
        link = await Link.connect(machine, hop, address, timeout_s=self.settings.connect_timeout_s)
        try:
            await link.until_ready(self._handshake(need, proof) if tried else None)
        except BaseException as failure:
            link.abort()
            if isinstance(failure, Broken):
                failure.sending, failure.hello = link.sending, machine.peer_name
            raise
        if not link.tls_verified:
            known = self._unverifiable if link.tls_version else self._no_tls
            link.unverified = known.get((hop.host or hop.path, hop.port), (0.0, None))[1]
        return link

    def _handshake(self, need: Requirement, proof: Proof) -> Handshake:
        name = need.server_name or "localhost"
        judge = None
        if proof is Proof.DANE:
            judge = partial(self._fits_tlsa, need)
        elif proof is Proof.PKIX and need.names not in ((), (name,)):
            judge = partial(_fits_names, need.names)
        context = self._context(proof, by_name=judge is None)
        return Handshake(context=context, server_name=name, verified=proof is not Proof.NONE, judge=judge)

    def _fits_tlsa(self, need: Requirement, chain: Sequence[bytes]) -> Failure | None:
        return dane.judge(chain, need.tlsa, names=need.names, now=self.clock())

    def _context(self, proof: Proof, *, by_name: bool) -> ssl.SSLContext:
        key = (proof is Proof.PKIX, by_name)
        context = self._contexts.get(key)
        if context is None:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            # Python 3.13 asks for extensions that many mail servers' authorities leave out.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.check_hostname = by_name and proof is Proof.PKIX
            # RFC 8461 §4.2: a certificate's names stand in its SAN; a common name is none.
            context.hostname_checks_common_name = False
            if proof is not Proof.PKIX:
                context.verify_mode = ssl.CERT_NONE
            elif self.settings.trust_anchors:
                context.load_verify_locations(self.settings.trust_anchors)
            self._contexts[key] = context
        return context

    async def _on_link(self, kept: KeptLink, hop: Hop, need: Requirement, message: Outgoing) -> Sent | None:
        """Send on a session; None when a kept connection turned out to be dead before anything was said."""
        link = kept.link
        try:
            await link.until_ready()
            done = await link.transact(message)
        except Broken as broken:
            return None if kept.used else unreached(hop, link.address, need, message, broken)
        except asyncio.CancelledError:
            link.abort()
            raise
        if kept.used and link.died_unheard:
            return None
        self._kept.keep(kept)
        return came_of(hop, link, need, done)

    # What is counted for reports.

    def _count_session(self, hop: Hop, kept: KeptLink, need: Requirement) -> None:
        """Once for each domain that shares it: each has reports of its own."""
        link, counted = kept.link, kept.counted
        found: list[tuple[Policy, Failure | None]] = [
            one for one in need.amiss if one[0].domain not in counted
        ]
        for policy in need.reported:
            if policy.domain in counted:
                continue
            failure = None
            if link.tls_version is None:
                failure = link.unverified or Failure(Trouble.NO_STARTTLS, "STARTTLS is not offered")
            elif policy.kind is PolicyKind.STS and not link.tls_verified:
                failure = link.unverified or Failure(Trouble.FAILED, "the certificate does not verify")
            found.append((policy, failure))
        for policy, failure in found:
            counted.add(policy.domain)
            self.tally(
                Session(
                    policy=policy, host=hop.host, address=link.address, hello=link.machine.peer_name,
                    sending=link.sending, failure=failure,
                )
            )  # fmt: skip


@lru_cache(maxsize=1024)
def _need_of(hop: Hop, require_tls: bool) -> Requirement:
    """What must hold of a host that the operator configured."""
    return requirement(
        Situation(
            domain=hop.host or "this machine", host=hop.host or "localhost", wish=Wish(hop.tls.value),
            require_tls=require_tls,
        )
    )  # fmt: skip


def _is_address(host: str) -> bool:
    """Is it no name at all?"""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


_LONG_AGO = (0.0, Failure(Trouble.FAILED, ""))


def _fits_names(names: Sequence[str], chain: Sequence[bytes]) -> Failure | None:
    """Is the certificate, whose chain was checked already, for one of these names?"""
    known = dane.names_in(chain[0]) if chain else []
    for name in names:
        if any(one.endswith(name) if name.startswith(".") else dane.name_fits(one, name) for one in known):
            return None
    return Failure(Trouble.WRONG_HOST, f"the certificate is not for {' or '.join(names)}")

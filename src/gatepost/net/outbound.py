"""Hand mail to other servers: drive `SmtpClient` over real connections, use them again, find hosts by MX.

RFC 5321 §5 (which host), RFC 7505 (null MX), RFC 3207 (STARTTLS), RFC 2033 (LMTP over TCP or a Unix socket).
Opportunistic TLS tries to verify once and then remembers for an hour that a host cannot, so that what is
recorded about the certificate is true without a second connection each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from gatepost.dns.answer import Resolver, Status
from gatepost.net.link import Broken, Link
from gatepost.smtp.client import Finished, Patience, SmtpClient
from gatepost.smtp.sending import Fault, Hop, Outcome, Outgoing, Result, TlsUse, deferred, failed, outcome_of


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundSettings:
    """How mail goes out."""

    connect_timeout_s: float = 30.0
    """Opening a connection to one address."""
    idle_s: float = 20.0
    """How long a connection is kept for the next message."""
    messages_per_connection: int = 100
    """After so many a fresh connection is made."""
    addresses_per_message: int = 6
    """How many addresses of a destination are tried before the message waits."""
    trust_anchors: str = ""
    """A PEM file of certificates trusted besides the system's."""
    retry_first_s: float = 60.0
    """From the first failed try of a message to the second; each later wait is twice as long."""
    eight_bit_anyway: bool = False
    """Send 8-bit content even to hosts that do not offer 8BITMIME."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of one try."""

    host: str
    address: str
    outcomes: tuple[Outcome, ...]
    """One for each recipient, in their order."""
    dsn_offered: bool = False
    tls_version: str | None = None
    tls_policy: str = "none"
    """required, opportunistic or none."""
    tls_verified: bool = False
    unreachable: bool = False
    """No session came about: the destination, not the message, is the trouble."""
    committed: bool = False


TlsPolicy = Callable[[str, str], Awaitable[TlsUse]]
"""How much TLS the host (second) must give for mail to a domain (first)."""


async def opportunistic(_domain: str, _host: str) -> TlsUse:
    """The policy of the public network."""
    return TlsUse.OPPORTUNISTIC


@dataclass(slots=True)
class _Idle:
    link: Link
    used: int = 0
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class Outbound:
    """Connections to other servers, kept for a while. `close` when done."""

    hello: str
    resolver: Resolver
    settings: OutboundSettings = field(default_factory=OutboundSettings)
    patience: Patience = field(default_factory=Patience)
    tls_policy: TlsPolicy = opportunistic
    own_names: frozenset[str] = frozenset()
    """Our host names besides `hello`, lower case: an MX that names one is ourselves."""
    own_addresses: frozenset[str] = frozenset()
    shuffle: Callable[[list[str]], None] = random.shuffle
    """Random order among equal preferences (RFC 5321 §5.1), unless a test chooses."""
    smtp_port: int = 25
    _idle: dict[Hop, list[_Idle]] = field(default_factory=dict)
    _unverifiable: dict[tuple[str, int], float] = field(default_factory=dict)
    _no_tls: dict[tuple[str, int], float] = field(default_factory=dict)
    _contexts: dict[bool, ssl.SSLContext] = field(default_factory=dict)

    async def send(self, hop: Hop, message: Outgoing) -> Sent:
        """Hand `message` to one configured host."""
        kept = self._take_idle(hop)
        if kept:
            sent = await self._on_link(kept, hop, message)
            if sent is not None:
                return sent
        return await self._fresh(hop, message)

    async def send_to_domain(self, domain: str, message: Outgoing) -> Sent:
        """Hand `message` to the mail hosts of `domain` (RFC 5321 §5.1)."""
        hosts = await self._mail_hosts(domain)
        if isinstance(hosts, Outcome):
            return _nowhere(domain, message, hosts)
        tried: list[Sent] = []
        for host in hosts[: self.settings.addresses_per_message]:
            use = await self.tls_policy(domain, host)
            sent = await self.send(Hop(host=host, port=self.smtp_port, tls=use), message)
            if not sent.unreachable:
                return sent
            tried.append(sent)
        # Nobody was there. As long as one of them may come back, the message waits.
        return next((one for one in tried if one.outcomes[0].result is Result.DEFERRED), tried[-1])

    async def close(self) -> None:
        """Say QUIT on what is idle and close it."""
        for kept in [one for links in self._idle.values() for one in links]:
            if kept.timer:
                kept.timer.cancel()
            kept.link.leave()
        self._idle.clear()
        await asyncio.sleep(0)

    # Which hosts.

    async def _mail_hosts(self, domain: str) -> list[str] | Outcome:
        if domain.startswith("["):
            text = domain.strip("[]").removeprefix("IPv6:").removeprefix("ipv6:")
            with contextlib.suppress(ValueError):
                return [str(ip_address(text))]
            return failed("5.1.2", f"{domain} is not an address that mail can go to.")
        answer = await self.resolver.lookup(domain, "MX")
        if answer.status is Status.FAILED:
            return deferred("4.4.3", f"The mail hosts of {domain} could not be looked up ({answer.problem}).")
        if answer.status is Status.NXDOMAIN:
            return failed("5.1.2", f"The domain {domain} does not exist.")
        if not answer.records:
            return [domain]  # RFC 5321 §5.1: the implicit MX
        pairs: list[tuple[int, str]] = []
        for record in answer.records:
            preference, _, host = record.partition(" ")
            if preference.isdecimal():
                pairs.append((int(preference), host.strip().rstrip(".").lower()))
        if pairs and all(not host for _, host in pairs):  # RFC 7505 §3
            return failed("5.1.10", f"The domain {domain} says that it takes no mail (null MX).")
        ours = self.own_names | {self.hello.lower()}
        cut = min((preference for preference, host in pairs if host in ours), default=None)
        ordered = self._in_order(pair for pair in pairs if pair[1] and (cut is None or pair[0] < cut))
        if not ordered:
            return failed(
                "5.4.6", f"Mail for {domain} would come back to this host: its best MX is ourselves."
            )
        return ordered

    def _in_order(self, pairs: Iterable[tuple[int, str]]) -> list[str]:
        by_preference: dict[int, list[str]] = {}
        for preference, host in pairs:
            by_preference.setdefault(preference, []).append(host)
        ordered: list[str] = []
        for preference in sorted(by_preference):
            self.shuffle(by_preference[preference])
            ordered += by_preference[preference]
        return list(dict.fromkeys(ordered))

    async def _addresses(self, host: str) -> Sequence[str] | Outcome:
        with contextlib.suppress(ValueError):
            return [str(ip_address(host))]
        if host == "localhost":  # RFC 6761 §6.3: never asked of a server
            return ["127.0.0.1", "::1"]
        v6, v4 = await asyncio.gather(self.resolver.lookup(host, "AAAA"), self.resolver.lookup(host, "A"))
        found = [*v6.records, *v4.records] if v6.status is Status.FOUND else list(v4.records)
        if found:
            return found
        if Status.FAILED in (v4.status, v6.status):
            return deferred("4.4.3", f"The address of {host} could not be looked up.")
        return failed("5.4.4", f"The host {host} has no address.")

    # One session.

    async def _fresh(self, hop: Hop, message: Outgoing) -> Sent:
        if hop.path:
            return await self._session(hop, hop.path, message)
        addresses = await self._addresses(hop.host)
        if isinstance(addresses, Outcome):
            return _nowhere(hop.host, message, addresses)
        sent: Sent | None = None
        for address in addresses[: self.settings.addresses_per_message]:
            if address in self.own_addresses and hop.port == self.smtp_port:
                outcome = failed(
                    "5.4.6", f"{hop.host} is {address}, which is this host: the mail would come back."
                )
                return _nowhere(hop.host, message, outcome)
            sent = await self._session(hop, address, message)
            if not sent.unreachable:
                return sent
        assert sent is not None
        return sent

    async def _session(self, hop: Hop, address: str, message: Outgoing) -> Sent:
        """Connect, greet, send. A TLS handshake that fails is made good by a second, lesser session if that is allowed."""
        for _ in range(3):
            use, verify = self._tls_now(hop)
            try:
                link = await self._open(hop, address, use=use, verify=verify)
            except Broken as broken:
                if not self._may_lessen(hop, broken, verify=verify):
                    return _unreached(hop, address, message, broken)
                continue
            sent = await self._on_link(_Idle(link), hop, message)
            if sent is not None:
                return sent
        return _unreached(
            hop, address, message, Broken(Fault(words="no TLS session came about", stage="tls"))
        )

    def _tls_now(self, hop: Hop) -> tuple[TlsUse, bool]:
        key, now = (hop.host or hop.path, hop.port), time.monotonic()
        if hop.tls is not TlsUse.OPPORTUNISTIC:
            return hop.tls, True
        if self._no_tls.get(key, 0.0) > now:
            return TlsUse.NONE, False
        return hop.tls, self._unverifiable.get(key, 0.0) <= now

    def _may_lessen(self, hop: Hop, broken: Broken, *, verify: bool) -> bool:
        if hop.tls is not TlsUse.OPPORTUNISTIC or not broken.in_handshake:
            return False
        key = (hop.host or hop.path, hop.port)
        known = self._unverifiable if verify else self._no_tls
        if len(known) > 10_000:
            known.clear()
        known[key] = time.monotonic() + 3600.0
        return True

    async def _open(self, hop: Hop, address: str, *, use: TlsUse, verify: bool) -> Link:
        machine = SmtpClient(
            hello=self.hello,
            protocol=hop.protocol,
            tls=use,
            patience=self.patience,
            eight_bit_anyway=self.settings.eight_bit_anyway,
        )
        link = await Link.connect(machine, hop, address, timeout_s=self.settings.connect_timeout_s)
        try:
            await link.until_ready(self._context(verify=verify), hop.host or "localhost", verify=verify)
        except BaseException:
            link.abort()
            raise
        return link

    def _context(self, *, verify: bool) -> ssl.SSLContext:
        context = self._contexts.get(verify)
        if context is None:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif self.settings.trust_anchors:
                context.load_verify_locations(self.settings.trust_anchors)
            self._contexts[verify] = context
        return context

    async def _on_link(self, kept: _Idle, hop: Hop, message: Outgoing) -> Sent | None:
        """Send on a session; None when a kept connection turned out to be dead before anything was said."""
        link = kept.link
        try:
            await link.until_ready(None, "", verify=False)
            done = await link.transact(message)
        except Broken as broken:
            return None if kept.used else _unreached(hop, link.address, message, broken)
        except asyncio.CancelledError:
            link.abort()
            raise
        if kept.used and link.died_unheard:
            return None
        self._keep(kept, hop)
        return _sent(hop, link, done)

    # Connections kept.

    def _take_idle(self, hop: Hop) -> _Idle | None:
        links = self._idle.get(hop)
        while links:
            kept = links.pop()
            if kept.timer:
                kept.timer.cancel()
            if kept.link.alive:
                return kept
        return None

    def _keep(self, kept: _Idle, hop: Hop) -> None:
        kept.used += 1
        if not kept.link.alive or kept.used >= self.settings.messages_per_connection:
            kept.link.leave()
            return
        self._idle.setdefault(hop, []).append(kept)
        kept.timer = asyncio.get_running_loop().call_later(self.settings.idle_s, self._drop, kept, hop)

    def _drop(self, kept: _Idle, hop: Hop) -> None:
        links = self._idle.get(hop, [])
        if kept in links:
            links.remove(kept)
        if not links:
            self._idle.pop(hop, None)
        kept.link.leave()


def _sent(hop: Hop, link: Link, done: Finished) -> Sent:
    return Sent(
        host=hop.host or hop.path,
        address=link.address,
        outcomes=done.outcomes,
        dsn_offered=done.dsn_offered,
        tls_version=link.tls_version,
        tls_policy=hop.tls.value,
        tls_verified=link.tls_verified,
        committed=done.committed,
    )


def _unreached(hop: Hop, address: str, message: Outgoing, broken: Broken) -> Sent:
    fault = broken.fault
    if fault.permanent:
        outcome = failed("5.3.2", f"{hop.host} says that it takes no mail: {fault.words}")
    elif fault.reply is not None and fault.reply.code // 100 == 4:
        outcome = outcome_of(fault.reply)
    elif fault.stage == "tls":
        outcome = deferred("4.7.5", fault.words)
    else:
        outcome = deferred("4.4.1" if fault.stage == "connect" else "4.4.2", fault.words)
    return Sent(
        host=hop.host or hop.path,
        address=address,
        outcomes=(outcome,) * len(message.recipients),
        tls_policy=hop.tls.value,
        unreachable=True,
    )


def _nowhere(host: str, message: Outgoing, outcome: Outcome) -> Sent:
    return Sent(host=host, address="", outcomes=(outcome,) * len(message.recipients), unreachable=True)

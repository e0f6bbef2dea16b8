"""The resolver of a running gate: a stub that caches, merges and asks a validating server (RFC 1034 §5.3.1).

DNSSEC is validated by the server; its AD bit counts only from a loopback address we were told to trust.
Left out: iteration, validation of our own, DNS over TLS.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gatepost.dns.answer import Answer, Status
from gatepost.dns.names import normal
from gatepost.net import dnswire
from gatepost.net.dnscache import AnswerCache, Key
from gatepost.net.dnsserver import Exchange, Server

MAX_FOLLOWED = 8
"""Aliases we ask for ourselves, when the server does not follow them."""
_RESOLV_CONF = Path("/etc/resolv.conf")


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsSettings:
    """`[dns]`"""

    servers: tuple[str, ...] = ()
    """Resolvers to ask, as `address` or `address:port`; none: those of /etc/resolv.conf. Best: a validating one on loopback."""
    trust_ad: bool = False
    """Believe a resolver on a loopback address when it says that an answer is DNSSEC secure."""
    patience_s: float = 5.0
    """After this long without an answer a lookup has failed."""
    try_s: float = 1.0
    """Wait this long for the first try; each further round of tries waits twice as long."""
    rounds: int = 3
    """How often each resolver is asked before a lookup has failed."""
    max_in_flight: int = 256
    """Questions on their way at a time; the rest wait."""
    max_waiting: int = 5000
    """Questions on their way or waiting; any more fail at once."""
    cache_entries: int = 100_000
    """Answers remembered; one is about half a kilobyte."""
    min_ttl_s: float = 5.0
    """Answers are remembered at least this long."""
    max_ttl_s: float = 86400.0
    """Answers are remembered at most this long."""
    max_negative_ttl_s: float = 900.0
    """That something does not exist is remembered at most this long."""
    failure_ttl_s: float = 5.0
    """A failure is remembered this long, so that a dead zone is not asked again for each message."""


class CachingResolver:
    """Implements `Resolver` over the network. Use within one event loop; `close` it at the end."""

    def __init__(
        self, settings: DnsSettings | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises ValueError with a clear sentence for a server that is not an address."""
        self.settings = settings or DnsSettings()
        self.servers = servers_of(self.settings)
        self._clock = clock
        self._cache = AnswerCache(entries=self.settings.cache_entries, clock=clock)
        self._flights: dict[Key, asyncio.Task[Answer]] = {}
        self._room = asyncio.Semaphore(self.settings.max_in_flight)
        self._closing = False
        self.remembered = 0
        """Questions answered from memory, since the start."""
        self.asked = 0
        """Questions that were not remembered, since the start."""
        self.failed = 0
        """How many of them came to nothing."""

    async def lookup(self, name: str, kind: str) -> Answer:
        """See `Resolver.lookup`. Does not suspend when the answer is remembered; `ttl_s` is as it was received."""
        key = (name, kind)
        answer = self._cache.get(key)
        if answer is not None:
            self.remembered += 1
            return answer
        key = (normal(name), kind.upper())
        answer = self._cache.get(key)
        if answer is not None:
            self.remembered += 1
            return answer
        flight = self._flights.get(key)
        if flight is None:
            asked = dnswire.question(*key)
            if asked is None:
                return dnswire.failed("bad name" if key[1] in dnswire.KINDS else "bad type")
            if self._closing or len(self._flights) >= self.settings.max_waiting:
                return dnswire.failed("overloaded")
            flight = self._flights[key] = asyncio.create_task(self._fly(key, asked))
        # Whoever gives up must not take the others' answer along.
        return await asyncio.shield(flight)

    async def close(self) -> None:
        """Give up what is on its way (those who wait get FAILED) and close all sockets."""
        self._closing = True
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        for server in self.servers:
            server.close()

    def forget(self) -> None:
        """Empty the cache."""
        self._cache.clear()

    async def ask(self, server: Server, name: str, kind: str) -> dnswire.Response | None:
        """Ask one server once, past the cache; None when it does not answer. For those who look at servers."""
        asked = dnswire.question(normal(name), kind)
        if asked is None:
            return None
        try:
            async with asyncio.timeout(self.settings.patience_s):
                return await self._ask_once(server, asked, wait_s=self.settings.patience_s)
        except TimeoutError:
            return None

    async def _fly(self, key: Key, asked: bytes) -> Answer:
        """One question from the network into the cache, for all who wait for it."""
        self.asked += 1
        try:
            async with asyncio.timeout(self.settings.patience_s), self._room:
                answer = await self._follow(asked, key[1])
            self._remember(key, answer)
        except TimeoutError:
            answer = dnswire.failed("timeout")
            self._remember(key, answer)
        except asyncio.CancelledError:
            if not self._closing:
                raise
            return dnswire.failed("closed")
        finally:
            del self._flights[key]
        return answer

    def _remember(self, key: Key, answer: Answer) -> None:
        settings = self.settings
        if answer.status is Status.FAILED:
            self.failed += 1
            ttl_s = settings.failure_ttl_s
        else:
            most = settings.max_ttl_s if answer.status is Status.FOUND else settings.max_negative_ttl_s
            ttl_s = min(max(float(answer.ttl_s), settings.min_ttl_s), most)
        self._cache.put(key, answer, ttl_s=ttl_s)

    async def _follow(self, asked: bytes, kind: str) -> Answer:
        """Ask, and ask on for the end of a chain of aliases that the server left unfollowed."""
        chain: list[Answer] = []
        for _ in range(MAX_FOLLOWED):
            answer, alias = await self._ask(asked)
            if chain and answer.status is not Status.FAILED:
                security = min(answer.security, *(link.security for link in chain))
                ttl_s = min(answer.ttl_s, *(link.ttl_s for link in chain))
                answer = Answer(answer.status, answer.records, security, ttl_s)
            if not alias:
                return answer
            chain.append(answer)
            following = dnswire.question(alias, kind)
            if following is None:
                return dnswire.failed("bad name")
            asked = following
        return dnswire.failed("cname loop")

    async def _ask(self, asked: bytes) -> tuple[Answer, str]:
        """Ask one server after the other until one knows: the answer, and the alias that it leads to, if any."""
        loop = asyncio.get_running_loop()
        exchange = Exchange(asked, loop)
        failures: dict[Server, Answer] = {}
        problem = "timeout"
        try:
            for server, wait_s in self._turns():
                if server in failures:
                    continue
                arrived = await exchange.next(wait_s) if server.send(exchange) else (server, None)
                if arrived is None:
                    server.missed(self._clock())
                    problem = "timeout"
                    continue
                server, wire = arrived
                if wire is None:
                    server.missed(self._clock())
                    problem = "unreachable"
                    await asyncio.sleep(wait_s / 4)
                    continue
                server.answered()
                response = await self._whole(server, wire, asked)
                answer = response.answer(server.trusted) if response else dnswire.failed("garbage")
                if response and answer.status is Status.FAILED:
                    answer = await self._explain_failure(server, asked, answer)
                if response and (
                    answer.status is not Status.FAILED or answer.problem in ("bogus", "cname loop")
                ):
                    return answer, response.alias
                failures[server] = answer
                if len(failures) == len(self.servers):
                    break
        finally:
            exchange.close()
        return next(iter(failures.values()), dnswire.failed(problem)), ""

    def _turns(self) -> Iterator[tuple[Server, float]]:
        """Whom to ask next, and how long to wait; servers that rest come last."""
        now = self._clock()
        servers = self.servers
        if len(servers) > 1:
            servers = sorted(servers, key=lambda server: server.rests_until > now)
        for turn in range(self.settings.rounds):
            for server in servers:
                yield server, self.settings.try_s * 2**turn

    async def _whole(self, server: Server, wire: bytes, asked: bytes) -> dnswire.Response | None:
        """The response, fetched over TCP when it did not fit into a datagram."""
        response = dnswire.read(wire, asked)
        if response is not None and response.truncated:
            stream = await server.ask_over_tcp(asked)
            response = dnswire.read(stream, asked) if stream is not None else None
        return response

    async def _ask_once(
        self, server: Server, asked: bytes, *, wait_s: float, unchecked: bool = False
    ) -> dnswire.Response | None:
        exchange = Exchange(asked, asyncio.get_running_loop())
        try:
            if not server.send(exchange, unchecked=unchecked):
                return None
            arrived = await exchange.next(wait_s)
        finally:
            exchange.close()
        if arrived is None or arrived[1] is None:
            return None
        return await self._whole(server, arrived[1], asked)

    async def _explain_failure(self, server: Server, asked: bytes, answer: Answer) -> Answer:
        """Tell a forgery from a failure: a validating server has the data when told not to check (RFC 4035 §3.2.2)."""
        if answer.problem in ("formerr", "notimp") and not server.plain:
            server.plain = True  # perhaps no EDNS there (RFC 6891 §7); if so, from now on neither with us
            response = await self._ask_once(server, asked, wait_s=self.settings.try_s)
            server.plain = response is not None and response.rcode in (dnswire.NOERROR, dnswire.NXDOMAIN)
            return response.answer(server.trusted) if response else answer
        if answer.problem != "servfail" or not server.trusted:
            return answer
        response = await self._ask_once(server, asked, wait_s=self.settings.try_s, unchecked=True)
        if response is not None and response.rcode in (dnswire.NOERROR, dnswire.NXDOMAIN):
            return dnswire.failed("bogus")
        return answer


def servers_of(settings: DnsSettings) -> list[Server]:
    """The configured servers, else the system's, else the one on this machine. Raises ValueError."""
    if settings.servers:
        return [Server(*parse_server(text), trust_ad=settings.trust_ad) for text in settings.servers]
    try:
        text = _RESOLV_CONF.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    hosts, trusts = read_resolv_conf(text)
    trust_ad = settings.trust_ad or trusts
    return [Server(host, 53, trust_ad=trust_ad) for host in hosts or ["127.0.0.1"]]


def parse_server(text: str) -> tuple[str, int]:
    """``127.0.0.1``, ``127.0.0.1:53``, ``::1`` or ``[::1]:53`` as address and port. Raises ValueError."""
    host, port = text.strip(), "53"
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            host = ""
        port = rest[1:] or port
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        address = ""
    if not address or not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        raise ValueError(
            f"{text!r} is no DNS server: give an address and a port, such as 127.0.0.1:53 or [::1]:53"
        )
    return address, int(port)


def read_resolv_conf(text: str) -> tuple[list[str], bool]:
    """Name servers (three at most) and whether ``options trust-ad`` is set, as resolv.conf(5) has it."""
    hosts: list[str] = []
    trusts = False
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if words[:1] == ["nameserver"] and len(words) > 1:
            try:
                hosts.append(str(ipaddress.ip_address(words[1])))
            except ValueError:
                continue
        elif words[:1] == ["options"]:
            trusts = trusts or "trust-ad" in words
    return hosts[:3], trusts


@dataclass(frozen=True, slots=True)
class Validation:
    """What one configured server does about DNSSEC."""

    server: str
    trusted: bool
    """Would we believe its AD bit?"""
    answers: bool
    says_secure: bool | None
    """AD for a name that is signed; None when it did not answer."""
    refuses_bogus: bool | None
    """SERVFAIL for a name whose signatures are wrong; None when that could not be tried."""

    @property
    def validates(self) -> bool | None:
        """True, False, or None when it cannot be told."""
        if self.says_secure is None:
            return None
        return self.says_secure and self.refuses_bogus is not False

    @property
    def text(self) -> str:
        """One sentence."""
        if not self.answers:
            return f"The resolver {self.server} does not answer."
        if self.refuses_bogus is False:
            return f"The resolver {self.server} passes on answers whose DNSSEC signatures are wrong."
        if not self.says_secure:
            return f"The resolver {self.server} does not validate DNSSEC (no AD bit for a signed name)."
        if not self.trusted:
            return f"The resolver {self.server} validates DNSSEC, but its word is not taken: it must be on a loopback address, with trust_ad set."
        return f"The resolver {self.server} validates DNSSEC, and its word is taken."


async def validates(
    resolver: CachingResolver, *, signed: tuple[str, str] = (".", "SOA"), broken: str = "dnssec-failed.org"
) -> list[Validation]:
    """Ask every server for a name that is signed and one whose signatures are wrong on purpose."""
    results = []
    for server in resolver.servers:
        good = await resolver.ask(server, *signed)
        bad = await resolver.ask(server, broken, "SOA") if good is not None else None
        known = good is not None and good.rcode == dnswire.NOERROR
        refuses = None
        if known and bad is not None and bad.rcode in (dnswire.NOERROR, dnswire.SERVFAIL):
            refuses = bad.rcode == dnswire.SERVFAIL
        results.append(
            Validation(
                server=str(server),
                trusted=server.trusted,
                answers=good is not None,
                says_secure=good.authentic if good is not None and known else None,
                refuses_bogus=refuses,
            )
        )
    return results

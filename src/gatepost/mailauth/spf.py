"""SPF: is this client allowed to use that domain?  RFC 7208 (and RFC 8616 §4 for local parts beyond ASCII).

Awaits nothing but the resolver. The overall time limit is the caller's, who wraps the resolver.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple

from gatepost.dns.answer import Answer, Resolver, Security, Status
from gatepost.dns.names import valid_query_name
from gatepost.mail.address import normal_domain
from gatepost.mail.authresults import SpfResult
from gatepost.mail.client import Client, Envelope, IpAddress
from gatepost.mailauth.spf_macro import (
    IN_EXPLANATION,
    MacroString,
    MacroValues,
    compile_macros,
    expand,
    expand_domain,
    uses,
)
from gatepost.mailauth.spf_record import Directive, Malformed, Record, is_spf, parse_record


@dataclass(frozen=True, slots=True, kw_only=True)
class SpfLimits:
    """What one check may cost (RFC 7208 §4.6.4, §11.1)."""

    terms: int = 10
    """Terms that ask DNS; one more is a permanent error."""
    void_lookups: int = 2
    """Terms whose name has no such records; one more is a permanent error."""
    mx_hosts: int = 10
    """Hosts of one mx mechanism; one more is a permanent error."""
    ptr_names: int = 10
    """Names of the client looked at; the rest is passed over."""
    explanation_octets: int = 400
    """How much of a domain owner's explanation is kept."""


class SpfQuestion(NamedTuple):
    """The arguments of check_host (RFC 7208 §4.1) and what macros may mention. A tuple, because it is made twice a message."""

    ip: IpAddress | None
    domain: str
    sender: str
    """``local@domain``; without a local part postmaster is assumed."""
    hello: str = ""
    identity: str = "mail_from"
    """``hello`` or ``mail_from``."""
    receiver: str = "unknown"
    """Our host name, for ``%{r}``."""
    now: float = 0.0
    """Unix seconds, for ``%{t}``."""


DEFAULT_LIMITS = SpfLimits()


async def check_both_identities(
    client: Client,
    envelope: Envelope,
    resolver: Resolver,
    *,
    receiver: str,
    now: float = 0.0,
    limits: SpfLimits = DEFAULT_LIMITS,
) -> tuple[SpfResult, SpfResult]:
    """The results for HELO and for MAIL FROM (RFC 7208 §2.3, §2.4).

    A null sender is ``postmaster@`` the HELO name, reported under mail_from.
    """
    hello = await check_host(
        SpfQuestion(
            ip=client.ip,
            domain=client.hello,
            sender=f"postmaster@{client.hello}",
            hello=client.hello,
            identity="hello",
            receiver=receiver,
            now=now,
        ),
        resolver,
        limits,
    )
    sender = envelope.sender
    if sender is None:
        return hello, replace(hello, identity="mail_from")
    question = SpfQuestion(
        ip=client.ip,
        domain=sender.domain,
        sender=f"{sender.local}@{sender.domain}",
        hello=client.hello,
        identity="mail_from",
        receiver=receiver,
        now=now,
    )
    return hello, await check_host(question, resolver, limits)


async def check_host(
    question: SpfQuestion, resolver: Resolver, limits: SpfLimits = DEFAULT_LIMITS
) -> SpfResult:
    """RFC 7208 §4: one identity of one client, with every limit of §4.6.4. Never raises."""
    if question.ip is None:
        return SpfResult(
            result="none",
            identity=question.identity,
            domain=normal_domain(question.domain) or "",
            problem="no client address to go on",
        )
    domain = checkable(question.domain)
    if domain is None:
        return SpfResult(
            result="none", identity=question.identity, problem="the identity is not a domain name"
        )
    check = Check(question, resolver, limits, question.ip)
    outcome = await check.outcome(domain)
    return SpfResult(
        result=outcome.result,
        identity=question.identity,
        domain=domain,
        mechanism=outcome.mechanism,
        explanation=await check.explanation(outcome) if outcome.result == "fail" else None,
        problem=outcome.problem,
        security=check.security,
        lookups=check.terms,
    )


@lru_cache(maxsize=4096)
def checkable(domain: str) -> str | None:
    """The normal form of a domain with at least two labels (RFC 7208 §4.3), or None."""
    normal = normal_domain(domain)
    return normal if normal is not None and "." in normal else None


def askable(name: str) -> bool:
    """May it be looked up? Not only host names: exists: asks for quite other things (RFC 7208 §5.7)."""
    return bool(name) and valid_query_name(name)


class Outcome(NamedTuple):
    """What evaluating one record came to."""

    result: str
    mechanism: str | None = None
    problem: str | None = None
    record: Record | None = None
    """The record whose directive matched, for its exp=."""
    domain: str = ""


class Undecided(Exception):
    """A temporary or permanent error: it ends the whole check, however deep (RFC 7208 §2.6.6, §2.6.7)."""

    def __init__(self, result: str, problem: str) -> None:
        super().__init__(problem)
        self.result = result
        self.problem = problem


class Check:
    """One check_host with its counters. Includes and redirects share them."""

    __slots__ = (
        "_names",
        "ip",
        "limits",
        "number",
        "question",
        "resolver",
        "security",
        "sender_domain",
        "sender_local",
        "terms",
        "version",
        "voids",
    )

    def __init__(self, question: SpfQuestion, resolver: Resolver, limits: SpfLimits, ip: IpAddress) -> None:
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        self.question = question
        self.resolver = resolver
        self.limits = limits
        self.ip = ip
        self.version = ip.version
        self.number = int(ip)
        local, _, domain = question.sender.rpartition("@")
        self.sender_local = local or "postmaster"
        self.sender_domain = domain or question.domain
        self.terms = 0
        self.voids = 0
        self.security = Security.SECURE
        self._names: tuple[str, ...] | None = None

    async def outcome(self, domain: str) -> Outcome:
        """Evaluate `domain`, errors included."""
        try:
            return await self.evaluate(domain)
        except Undecided as undecided:
            return Outcome(undecided.result, problem=undecided.problem)

    async def evaluate(self, domain: str) -> Outcome:
        """RFC 7208 §4.4 to §4.7, without the outer domain's own validity."""
        record = await self.record(domain)
        if record is None:
            return Outcome("none", problem=f"{domain} publishes no SPF record")
        for directive in record.directives:
            if directive.version:
                matched = (
                    directive.version == self.version and self.number & directive.mask == directive.network
                )
            else:
                matched = directive.name == "all" or await self.matches(directive, domain)
            if matched:
                return Outcome(directive.result, directive.written, None, record, domain)
        if record.redirect is None:
            return Outcome("neutral", problem="no mechanism matched")
        self.count_term("redirect")
        target = await self.target(record.redirect, domain)
        outcome = await self.evaluate(target) if checked(target) else Outcome("none")
        if outcome.result == "none":
            raise Undecided("permerror", f"redirect to {target}, which has no SPF record")
        return outcome

    async def record(self, domain: str) -> Record | None:
        """The one record of `domain` (RFC 7208 §4.4, §4.5)."""
        answer = await self.resolver.lookup(domain, "TXT")
        self.security = min(self.security, answer.security)
        if answer.status is Status.FAILED:
            raise Undecided(
                "temperror", f"the SPF record of {domain} could not be fetched ({answer.problem})"
            )
        texts = [text for text in answer.records if is_spf(text)]
        if not texts:
            return None
        if len(texts) > 1:
            raise Undecided("permerror", f"{domain} publishes {len(texts)} SPF records")
        record = parse_record(texts[0])
        if isinstance(record, Malformed):
            raise Undecided("permerror", f"the SPF record of {domain} is malformed: {record.problem}")
        return record

    async def matches(self, directive: Directive, domain: str) -> bool:
        """Does a mechanism that asks DNS match (RFC 7208 §5)?"""
        self.count_term(directive.written)
        if directive.domain is None:
            target = domain
        else:
            target = directive.fixed or await self.target(directive.domain, domain)
        if directive.name == "include":
            return await self.includes(target)
        if directive.name == "ptr":
            return await self.is_named(target)
        if directive.fixed is None and directive.domain is not None and not askable(target):
            return False
        if directive.name == "mx":
            return await self.is_mail_host(target, directive)
        if directive.name == "exists":
            answer = await self.ask_counted(target, "A")
            return answer.status is Status.FOUND
        return await self.has_address(target, directive)

    async def includes(self, target: str) -> bool:
        """RFC 7208 §5.2: only a pass matches, no record is an error."""
        outcome = await self.evaluate(target) if checked(target) else Outcome("none")
        if outcome.result == "none":
            raise Undecided("permerror", f"include of {target}, which has no SPF record")
        return outcome.result == "pass"

    async def has_address(self, name: str, directive: Directive) -> bool:
        """RFC 7208 §5.3."""
        answer = await self.ask_counted(name, "A" if self.version == 4 else "AAAA")
        return self.within(answer.records, directive)

    async def is_mail_host(self, name: str, directive: Directive) -> bool:
        """RFC 7208 §5.4. Hosts without address are no void lookups of their own: the term counts once."""
        answer = await self.ask_counted(name, "MX")
        hosts = [record.partition(" ")[2] for record in answer.records]
        if len(hosts) > self.limits.mx_hosts:
            raise Undecided("permerror", f"{name} has {len(hosts)} MX records")
        for host in hosts:
            if not askable(host):  # the null MX among them
                continue
            addresses = await self.ask(host, "A" if self.version == 4 else "AAAA")
            if addresses.status is Status.FAILED:
                raise Undecided(
                    "temperror", f"the addresses of {host} could not be fetched ({addresses.problem})"
                )
            if self.within(addresses.records, directive):
                return True
        return False

    def within(self, records: tuple[str, ...], directive: Directive) -> bool:
        """Is the client in the network of any of these addresses?"""
        if str(self.ip) in records:
            return True
        if self.version == 4 and directive.prefix4 == 32:
            return False
        shift = 32 - directive.prefix4 if self.version == 4 else 128 - directive.prefix6
        wanted = self.number >> shift
        kind = type(self.ip)
        return any(int(kind(record)) >> shift == wanted for record in records)

    async def is_named(self, target: str) -> bool:
        """RFC 7208 §5.5: a validated name of the client is `target` or below it."""
        return any(under(name, target) for name in await self.validated_names())

    async def validated_names(self) -> tuple[str, ...]:
        """The client's names whose addresses lead back to it; errors are passed over (RFC 7208 §5.5)."""
        if self._names is None:
            answer = await self.ask(f"{self.ip.reverse_pointer}", "PTR")
            self._names = ()
            if answer.status in (Status.NODATA, Status.NXDOMAIN):
                self.count_void(self.ip.reverse_pointer)
            names = []
            for name in answer.records[: self.limits.ptr_names]:
                if askable(name):
                    addresses = await self.ask(name, "A" if self.version == 4 else "AAAA")
                    if any(int(type(self.ip)(record)) == self.number for record in addresses.records):
                        names.append(name.lower())
            self._names = tuple(names)
        return self._names

    async def target(self, pieces: MacroString, domain: str) -> str:
        """An expanded domain-spec; empty when it cannot be expanded, which nothing matches."""
        return expand_domain(pieces, await self.values(pieces, domain)) or ""

    async def values(self, pieces: MacroString, domain: str) -> MacroValues:
        """RFC 7208 §7.2 and §7.3."""
        name = "unknown"
        if uses(pieces, "p"):
            names = await self.validated_names()
            below = [each for each in names if under(each, domain)]
            name = domain if domain in names else (below or names or ("unknown",))[0]
        return MacroValues(
            ip=self.ip,
            sender_local=self.sender_local,
            sender_domain=self.sender_domain,
            domain=domain,
            hello=self.question.hello,
            validated_name=name,
            receiver=self.question.receiver,
            now=self.question.now,
        )

    async def explanation(self, outcome: Outcome) -> str | None:
        """The domain owner's words for a fail, bounded and printable, or None (RFC 7208 §6.2)."""
        if outcome.record is None or outcome.record.explanation is None:
            return None
        try:
            name = await self.target(outcome.record.explanation, outcome.domain)
            if not askable(name):
                return None
            answer = await self.resolver.lookup(name, "TXT")
            if answer.status is not Status.FOUND or len(answer.records) != 1:
                return None
            pieces = compile_macros(answer.records[0], IN_EXPLANATION)
            text = expand(pieces, await self.values(pieces, outcome.domain)) if pieces is not None else None
        except Undecided:
            return None
        if text is None:
            return None
        return "".join(c if " " <= c <= "~" else "?" for c in text[: self.limits.explanation_octets])

    async def ask_counted(self, name: str, kind: str) -> Answer:
        """The main lookup of a term: a failure ends the check, nothing found counts as void."""
        answer = await self.resolver.lookup(name, kind)
        self.security = min(self.security, answer.security)
        if answer.status is Status.FAILED:
            raise Undecided("temperror", f"{name} {kind} could not be fetched ({answer.problem})")
        if answer.status is not Status.FOUND:
            self.count_void(name)
        return answer

    async def ask(self, name: str, kind: str) -> Answer:
        answer = await self.resolver.lookup(name, kind)
        self.security = min(self.security, answer.security)
        return answer

    def count_term(self, term: str) -> None:
        self.terms += 1
        if self.terms > self.limits.terms:
            raise Undecided("permerror", f"more than {self.limits.terms} terms that ask DNS, at {term}")

    def count_void(self, name: str) -> None:
        self.voids += 1
        if self.voids > self.limits.void_lookups:
            raise Undecided(
                "permerror", f"more than {self.limits.void_lookups} lookups that found nothing, at {name}"
            )


def checked(target: str) -> bool:
    """May an include or redirect go there? Otherwise check_host would say none (RFC 7208 §4.3)."""
    return askable(target) and "." in target


def under(name: str, domain: str) -> bool:
    """Is `name` the same as `domain` or below it?"""
    return name == domain or name.endswith("." + domain)

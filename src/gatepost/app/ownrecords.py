"""What one of our domains must publish for this installation, and whether it does: for `gatepost dns`.

Each line is judged the way others use it: SPF by asking whether our address passes, a DKIM record by whether it is this very
key, DMARC and the rest by their own parsers. What stands elsewhere for other senders is left alone.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from gatepost.config.schema import Loaded
from gatepost.delivery.signing import SigningSettings
from gatepost.dns.answer import Answer, Resolver, Security, Status
from gatepost.dns.names import normal, ptr_name
from gatepost.jobs.keys import delegations, records_of
from gatepost.jobs.ownpolicy import report_record, txt_record
from gatepost.jobs.tlsaguard import tlsa_name
from gatepost.mailauth.dmarc_record import is_policy_record, parse_policy_record
from gatepost.mailauth.keylife import KeyFacts, KeyState
from gatepost.mailauth.keyrecord import mismatch, zone_line
from gatepost.mailauth.spf import SpfQuestion, check_host
from gatepost.store.ownpolicies import OwnPolicy
from gatepost.tlspolicy.dane import read_tlsa
from gatepost.tlspolicy.mta_sts import policy_id
from gatepost.tlspolicy.tlsrpt import wanted

ADDRESSES_MOST = 8


class State(StrEnum):
    """How a record is."""

    OK = "ok"
    MISSING = "missing"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    """The DNS does not answer."""
    OPTIONAL = "optional"
    """Not there, and mail works without; better with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One record: what it should be, what it is, and one sentence about the difference."""

    name: str
    kind: str
    expected: str
    """As a zone file has it; empty where only you know the value."""
    published: tuple[str, ...]
    state: State
    text: str

    @property
    def zone(self) -> str:
        """The line for the zone file."""
        if not self.expected:
            return f"; {self.name}. {self.kind}: {self.text}"
        return zone_line(self.name, self.kind, self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFacts:
    """What this installation knows of itself."""

    keys: tuple[KeyFacts, ...] = ()
    """Of the domain."""
    policy: OwnPolicy | None = None
    tlsa: tuple[str, ...] = ()
    """Of the current and the next key of our host, ``3 1 1 …``."""


class Patient:
    """A resolver whose answers are waited for until one moment, the same for all: what has not come then has failed.

    Use as an async context; what is still on its way at the end is given up. Implements `Resolver`.
    """

    def __init__(self, resolver: Resolver, patience_s: float) -> None:
        self._resolver = resolver
        self._patience_s = patience_s
        self._asked: dict[tuple[str, str], asyncio.Future[Answer]] = {}

    async def __aenter__(self) -> Patient:
        """The time begins."""
        self._ends = asyncio.get_running_loop().time() + self._patience_s
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in self._asked.values():
            one.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def lookup(self, name: str, kind: str) -> Answer:
        """See `Resolver.lookup`; each question is asked once."""
        asked = self._asked.get((name, kind))
        if asked is None:
            asked = self._asked[name, kind] = asyncio.ensure_future(self._resolver.lookup(name, kind))
        try:
            async with asyncio.timeout_at(self._ends):
                return await asyncio.shield(asked)
        except TimeoutError:
            return Answer(Status.FAILED, problem="timeout")


async def own_records(domain: str, loaded: Loaded, facts: OwnFacts, resolver: Resolver) -> list[Wanted]:
    """Everything, in the order in which mail meets it; asked at the same time, and each by itself when the DNS fails."""
    host, config = loaded.config.hostname, loaded.config
    addresses, mx = await asyncio.gather(addresses_of(host, resolver), resolver.lookup(domain, "MX"))
    parts = [
        listed(host_records(host, addresses, resolver)),
        alone(judge_mx(domain, host, mx)),
        listed(sender_records(domain, host, addresses, resolver)),
        listed(key_records(domain, facts.keys, config.signing, resolver)),
        listed(policy_records_of(domain, loaded, facts, resolver)),
        listed(tlsa_records(host, facts.tlsa, mx, resolver)),
    ]
    return [one for part in await asyncio.gather(*parts) for one in part]


async def listed(records: AsyncIterator[Wanted]) -> list[Wanted]:
    """All of them."""
    return [one async for one in records]


async def alone(record: Wanted) -> list[Wanted]:
    """One that is judged already."""
    return [record]


async def sender_records(
    domain: str, host: str, addresses: list[str], resolver: Resolver
) -> AsyncIterator[Wanted]:
    """SPF of the domain, and of our own name, which bounces come from."""
    yield await judge_spf(domain, "v=spf1 mx -all", addresses, resolver)
    if host != domain:
        yield await judge_spf(host, "v=spf1 a -all", addresses, resolver)


async def policy_records_of(
    domain: str, loaded: Loaded, facts: OwnFacts, resolver: Resolver
) -> AsyncIterator[Wanted]:
    """What the domain asks of others: DMARC, MTA-STS, and reports about TLS."""
    yield await judge_dmarc(domain, resolver)
    if loaded.config.mta_sts.address:
        async for one in policy_records(domain, loaded.config.hostname, facts.policy, resolver):
            yield one
    name, kind, value = report_record(domain, loaded.config.mta_sts)
    answer = await resolver.lookup(name, kind)
    readers = wanted(answer.records)
    yield judged(name, kind, value, answer, fits=bool(readers.mail or readers.post), optional=True,
                 about="reports about the TLS of connections to us (RFC 8460)")  # fmt: skip


def judged(
    name: str, kind: str, expected: str, answer: Answer, *, fits: bool, about: str, optional: bool = False
) -> Wanted:
    """One record by its answer."""
    if answer.status is Status.FAILED:
        state, text = State.UNKNOWN, f"could not be looked up ({answer.problem}): {about}"
    elif fits:
        state, text = State.OK, about
    elif answer.records:
        state, text = State.DIFFERS, about
    else:
        state, text = State.OPTIONAL if optional else State.MISSING, about
    return Wanted(name=name, kind=kind, expected=expected, published=answer.records, state=state, text=text)


async def addresses_of(host: str, resolver: Resolver) -> list[str]:
    """Of our own name."""
    answers = await asyncio.gather(*(resolver.lookup(host, kind) for kind in ("A", "AAAA")))
    return [address for answer in answers for address in answer.records][:ADDRESSES_MOST]


async def host_records(host: str, addresses: list[str], resolver: Resolver) -> AsyncIterator[Wanted]:
    """Name, address and reverse name."""
    if not addresses:
        answer = await resolver.lookup(host, "A")
        yield judged(host, "A", "", answer, fits=False, about="publish this machine's public address")
    for address in addresses:
        kind = "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
        yield Wanted(
            name=host, kind=kind, expected=address, published=(address,), state=State.OK,
            text="the address of our host name",
        )  # fmt: skip
        name = ptr_name(address)
        answer = await resolver.lookup(name, "PTR")
        fits = normal(host) in [normal(one) for one in answer.records]
        yield judged(name, "PTR", host + ".", answer, fits=fits, about="set by whoever gave you the address")


def judge_mx(domain: str, host: str, answer: Answer) -> Wanted:
    """Does its mail come here?"""
    hosts = [normal(record.partition(" ")[2]) for record in answer.records]
    others = [one for one in hosts if one != normal(host)]
    about = "mail for the domain comes to us"
    if others:
        about = f"{', '.join(others[:4])} take{'s' if len(others) == 1 else ''} its mail" + (
            " as well" if normal(host) in hosts else ", and we do not"
        )
    return judged(domain, "MX", f"10 {host}.", answer, fits=normal(host) in hosts, about=about)


async def judge_spf(name: str, suggestion: str, addresses: list[str], resolver: Resolver) -> Wanted:
    """Does our mail pass?"""
    answer = await resolver.lookup(name, "TXT")
    records = tuple(one for one in answer.records if one.lower().startswith("v=spf1"))
    failed = []
    for address in addresses:
        question = SpfQuestion(ipaddress.ip_address(address), name, f"postmaster@{name}", name)
        result = await check_host(question, resolver)
        if result.result != "pass":
            failed.append(f"{address} is {result.result}")
    if answer.status is not Status.FAILED:
        answer = Answer(answer.status, records, answer.security, answer.ttl_s)
    fits = bool(records) and bool(addresses) and not failed
    about = f"SPF of {name}: " + (
        "; ".join(failed) if records and failed else "it lets our addresses send for it"
    )
    return judged(name, "TXT", suggestion, answer, fits=fits, about=about)


async def key_records(
    domain: str, keys: tuple[KeyFacts, ...], settings: SigningSettings, resolver: Resolver
) -> AsyncIterator[Wanted]:
    """Our signatures."""
    if not keys:
        yield Wanted(
            name=f"*._domainkey.{domain}", kind="TXT", expected="", published=(), state=State.MISSING,
            text=f"there is no key yet: gatepost key create {domain}",
        )  # fmt: skip
        return
    for name, kind, value in delegations(domain, settings):
        answer = await resolver.lookup(name, kind)
        fits = [normal(one) for one in answer.records] == [normal(value)]
        yield judged(
            name, kind, value, answer, fits=fits, about="leads to our zone of keys, once and for all"
        )
    for key in keys:
        if key.state is KeyState.REMOVED:
            continue
        for name, kind, value in records_of(key, settings):
            answer = await resolver.lookup(name, kind)
            problem = mismatch(answer.records, value)
            about = f"DKIM, {key.algorithm}, {key.state.value}" + (
                f": {problem}" if problem and answer.records else ""
            )
            yield judged(name, kind, value, answer, fits=not problem, about=about)


async def judge_dmarc(domain: str, resolver: Resolver) -> Wanted:
    """Any policy of the owner's is right; that there is none is not."""
    name = f"_dmarc.{domain}"
    answer = await resolver.lookup(name, "TXT")
    records = tuple(one for one in answer.records if is_policy_record(one))
    policy = parse_policy_record(records[0]) if len(records) == 1 else None
    if answer.status is not Status.FAILED:
        answer = Answer(answer.status, records, answer.security, answer.ttl_s)
    about = "what others do with mail that only claims to be ours (RFC 9989)"
    if policy is not None and policy.p == "none":
        about = "p=none asks others to do nothing: go on to quarantine and reject when the reports are good"
    elif records and policy is None:
        about = "it cannot be read, or there are several"
    suggestion = f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"
    return judged(name, "TXT", suggestion, answer, fits=policy is not None, about=about)


async def policy_records(
    domain: str, host: str, policy: OwnPolicy | None, resolver: Resolver
) -> AsyncIterator[Wanted]:
    """MTA-STS."""
    name = f"mta-sts.{domain}"
    ours = await addresses_of(host, resolver)
    theirs = await addresses_of(name, resolver)
    answer = await resolver.lookup(name, "A")
    about = "where others fetch the policy from"
    if theirs and set(theirs) != set(ours):
        about += f"; it has other addresses than {host}, which is right only if they lead here"
    found = judged(name, "CNAME", f"{host}.", answer, fits=bool(theirs), about=about)
    yield found
    if policy is None:
        yield Wanted(
            name=f"_mta-sts.{domain}", kind="TXT", expected="", published=(), state=State.MISSING,
            text="the running gate makes the policy within the hour; then this tells its id",
        )  # fmt: skip
        return
    name, kind, value = txt_record(policy)
    answer = await resolver.lookup(name, kind)
    fits = policy_id(answer.records) == policy.policy_id
    yield judged(name, kind, value, answer, fits=fits, about=f"MTA-STS, mode {policy.mode} (RFC 8461)")


async def tlsa_records(
    host: str, wanted_records: tuple[str, ...], mx: Answer, resolver: Resolver
) -> AsyncIterator[Wanted]:
    """DANE: only of use where the zones are signed."""
    name = tlsa_name(host)
    answer = await resolver.lookup(name, "TLSA")
    there = {str(one) for one in read_tlsa(answer.records)}
    signed = mx.security is Security.SECURE
    about = "DANE (RFC 7672)" if signed else "DANE (RFC 7672); of use once the zone is signed with DNSSEC"
    for number, record in enumerate(wanted_records):
        which = (
            "for the key in use"
            if number == 0
            else "for the next key: publish it before the certificate changes"
        )
        fits = record in there
        optional = not (there or signed)
        found = judged(name, "TLSA", record, answer, fits=fits, optional=optional, about=f"{about}, {which}")
        yield found

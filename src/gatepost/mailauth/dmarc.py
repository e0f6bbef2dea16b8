"""DMARC: was the author domain's use authorised?  RFC 9989.

Discovery and the tree walks ask the resolver; `evaluate` needs no DNS at all. Walks for alignment
are made only where a result hangs on them: the organizational domain of two names is a common
ancestor of both, so names that share nothing, or are equal, need none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from gatepost.dns.answer import Resolver, Security, Status
from gatepost.dns.names import is_subdomain, tree_walk
from gatepost.mail.author import Authors
from gatepost.mail.authresults import DkimResult, DmarcResult, SpfResult
from gatepost.mailauth.dmarc_record import PolicyRecord, parse_policy_record, softened


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """The policy record that applies to an author domain (RFC 9989 §4.10.1)."""

    domain: str
    record: PolicyRecord | None = None
    policy_domain: str | None = None
    """Where the record was found."""
    exists: bool = True
    """False when the author domain is NXDOMAIN; asked only when the record tells the two apart."""
    failure: str | None = None
    """Why a decisive lookup gave no answer, in words: then nothing can be concluded."""
    security: Security = Security.INDETERMINATE
    """The weakest of the lookups made."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What a tree walk found."""

    organizational: str | None
    """The organizational domain; None when a lookup failed."""
    policy_domain: str | None = None
    record: PolicyRecord | None = None
    """The record of the organizational domain, else of the public suffix domain above it."""
    failure: str | None = None
    security: Security = Security.SECURE


async def evaluate_from(
    authors: Authors, spf: SpfResult, dkim: Iterable[DkimResult], resolver: Resolver
) -> DmarcResult:
    """The DMARC result of a message. `spf` is the result for MAIL FROM: HELO does not count (RFC 9989 §4.4.2)."""
    domain = authors.domain
    if domain is None:
        why = "; ".join(authors.problems[:3]) or "no author"
        return DmarcResult(result="permerror", reason=f"there is not exactly one author domain: {why}")
    discovery = await discover(domain, resolver)
    dkim = tuple(dkim)
    organizational: Mapping[str, str | None] = {}
    if discovery.record is not None and discovery.record.usable and discovery.failure is None:
        organizational = await organizational_domains(discovery, spf, dkim, resolver)
    return evaluate(discovery, spf, dkim, organizational)


async def discover(domain: str, resolver: Resolver) -> Discovery:
    """Find the policy record for an author domain, lower-case A-labels; at most eight queries for it."""
    own = await fetch(domain, resolver)
    if own.failure is not None:
        return Discovery(domain=domain, failure=own.failure, security=own.security)
    if own.record is not None:
        return Discovery(domain=domain, record=own.record, policy_domain=domain, security=own.security)
    walk = await tree(domain, resolver, own)
    discovery = Discovery(
        domain=domain,
        record=walk.record,
        policy_domain=walk.policy_domain,
        failure=walk.failure,
        security=min(own.security, walk.security),
    )
    record = walk.record
    if record is None or record.np is None or record.np == (record.sp or record.p):
        return discovery
    answer = await resolver.lookup(domain, "A")
    if answer.status is Status.FAILED:
        failure = f"whether {domain} exists could not be found out ({answer.problem})"
        return replace(discovery, failure=failure, security=answer.security)
    return replace(
        discovery,
        exists=answer.status is not Status.NXDOMAIN,
        security=min(discovery.security, answer.security),
    )


class Fetched(NamedTuple):
    """What one name publishes."""

    record: PolicyRecord | None
    failure: str | None
    security: Security


async def fetch(domain: str, resolver: Resolver) -> Fetched:
    """The one policy record at a domain; several are none (RFC 9989 §4.10 step 2)."""
    name = f"_dmarc.{domain}"
    if len(name) > 253:
        return Fetched(None, None, Security.SECURE)
    answer = await resolver.lookup(name, "TXT")
    if answer.status is Status.FAILED:
        return Fetched(None, f"{name} could not be looked up ({answer.problem})", answer.security)
    records = [record for text in answer.records if (record := parse_policy_record(text)) is not None]
    return Fetched(records[0] if len(records) == 1 else None, None, answer.security)


async def tree(domain: str, resolver: Resolver, own: Fetched | None = None) -> Walk:
    """Walk up from `domain`, itself included, and choose (RFC 9989 §4.10, §4.10.2).

    `own` is what `domain` itself publishes, where that is known already.
    """
    found: list[tuple[str, PolicyRecord]] = []
    security = Security.SECURE
    for name in tree_walk(domain):
        fetched = own if own is not None and name == domain else await fetch(name, resolver)
        security = min(security, fetched.security)
        if fetched.failure is not None:
            return Walk(None, failure=fetched.failure, security=security)
        if fetched.record is not None:
            found.append((name, fetched.record))
            if fetched.record.psd != "u":
                break
    if not found:
        return Walk(domain, security=security)
    top, record = found[-1]
    if record.psd != "y" or top == domain:
        return Walk(top, top, record, security=security)
    # A public suffix domain: the organizational domain is one label below it, with or without a record.
    labels = domain.split(".")
    below = ".".join(labels[-top.count(".") - 2 :])
    theirs = next((each for name, each in found if name == below), None)
    if theirs is not None:
        return Walk(below, below, theirs, security=security)
    return Walk(below, top, record, security=security)


async def organizational_domains(
    discovery: Discovery, spf: SpfResult, dkim: tuple[DkimResult, ...], resolver: Resolver
) -> dict[str, str | None]:
    """The organizational domains that alignment needs to know, None where a lookup failed."""
    known: dict[str, str | None] = {}
    record, author = discovery.record, discovery.domain
    if record is None:
        return known
    wanted: list[str] = []
    if not record.strict_dkim and not any(proves(each, author) for each in dkim):
        wanted += [each.domain for each in dkim if counts(each)]
    if not record.strict_spf and counts(spf):
        wanted.append(spf.domain)
    # Equal names are aligned, and names under different top levels never are.
    top = author.rpartition(".")[2]
    wanted = [name for name in dict.fromkeys(wanted) if name != author and name.rpartition(".")[2] == top]
    if not wanted:
        return known
    known[author] = ceiling = (await tree(author, resolver)).organizational
    for name in wanted:
        if ceiling is not None and is_subdomain(name, ceiling):
            known[name] = (await tree(name, resolver)).organizational
    return known


def evaluate(
    discovery: Discovery,
    spf: SpfResult,
    dkim: Iterable[DkimResult],
    organizational: Mapping[str, str | None],
) -> DmarcResult:
    """Alignment, result and policy (RFC 9989 §4.4, §5.3). Pure.

    A name that `organizational` does not hold aligns only with itself; None in it means that a
    lookup failed, so that nothing can be said.
    """
    if discovery.failure is not None:
        return undecided(discovery, "temperror", discovery.failure)
    record = discovery.record
    if record is None:
        return undecided(discovery, "none", f"{discovery.domain} publishes no DMARC policy")
    if not record.usable:
        return undecided(discovery, "none", "the policy record holds no valid policy")
    identities: list[tuple[str, SpfResult | DkimResult, bool]] = [
        ("dkim", each, record.strict_dkim) for each in dkim
    ]
    identities.append(("spf", spf, record.strict_spf))
    aligned: list[str] = []
    unsure: str | None = None
    for method, identity, strict in identities:
        if not counts(identity):
            continue
        name = identity.domain
        same = is_aligned(name, discovery.domain, strict=strict, organizational=organizational)
        if same is None:
            unsure = f"the organizational domains of {discovery.domain} and {name} could not be compared"
        elif same and identity.result != "pass":
            unsure = f"{method} for {name} gave a temporary error"
        elif same and method not in aligned:
            aligned.append(method)
    result, reason = "fail", "nothing that passed is aligned with the author domain"
    if unsure is not None:
        result, reason = "temperror", f"undecided because {unsure}"
    published = record.policy_for(below=discovery.policy_domain != discovery.domain, exists=discovery.exists)
    return DmarcResult(
        result="pass" if aligned else result,
        author_domain=discovery.domain,
        policy_domain=discovery.policy_domain,
        policy=softened(published) if record.testing else published,
        published_policy=published,
        aligned_by=tuple(aligned),
        testing=record.testing,
        record=record.text,
        reason=None if aligned else reason,
        security=discovery.security,
    )


def undecided(discovery: Discovery, result: str, reason: str) -> DmarcResult:
    """A result without a policy."""
    return DmarcResult(
        result=result,
        author_domain=discovery.domain,
        policy_domain=discovery.policy_domain,
        record=discovery.record.text if discovery.record is not None else None,
        reason=reason,
        security=discovery.security,
    )


def counts(identity: SpfResult | DkimResult) -> bool:
    """May it carry DMARC, or might it have, but for a temporary error? Not a signature with an unsigned rest."""
    if isinstance(identity, DkimResult) and not identity.covers_all:
        return False
    return identity.result in ("pass", "temperror") and bool(identity.domain)


def proves(signature: DkimResult, author: str) -> bool:
    """Does it pass for the author domain itself?"""
    return signature.result == "pass" and signature.domain == author and signature.covers_all


def is_aligned(
    name: str, author: str, *, strict: bool, organizational: Mapping[str, str | None]
) -> bool | None:
    """RFC 9989 §3.2.10; None when a lookup failed that decides it."""
    if name == author:
        return True
    if strict or author not in organizational:
        return False
    ours, theirs = organizational[author], organizational.get(name, "")
    if ours is None or theirs is None:
        return None if name.rpartition(".")[2] == author.rpartition(".")[2] else False
    return ours == theirs

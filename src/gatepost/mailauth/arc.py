"""ARC: validate the chain that forwarders sealed (RFC 8617).

A chain says who handled the mail and what they saw, nothing more: whose word counts is the policy's
business. Left out: sealing (`arc_seal`), and oldest-pass (§5.2 step 8), which nothing here would use.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from gatepost.dns.answer import Resolver, Security
from gatepost.mail.authresults import ArcResult
from gatepost.mail.message import HeaderField, Message
from gatepost.mailauth.canonical import Canonical
from gatepost.mailauth.dkim import body_hash, signed_digest
from gatepost.mailauth.keys import check_signer
from gatepost.mailauth.signature import read_domain, read_signature, read_signer
from gatepost.mailauth.taglist import TagError, parse_tags

SEAL = b"arc-seal"
SIGNATURE = b"arc-message-signature"
RESULTS = b"arc-authentication-results"
MAX_INSTANCE = 50
"""RFC 8617 §4.2.1."""
MAX_PAYLOAD = 16_384
"""Characters kept of what a sealer saw."""
POSITION = re.compile(r"[0-9]{1,2}")
INSTANCE = re.compile(r"i[ \t]*=[ \t]*([0-9]{1,2})[ \t]*(?:;|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcLimits:
    """How long a chain is looked at."""

    max_sets: int = MAX_INSTANCE
    """ARC sets, each of which costs a key lookup; a longer chain fails. RFC 8617 allows 50."""


async def validate_chain(
    message: Message,
    resolver: Resolver,
    now: float,
    limits: ArcLimits | None = None,
    *,
    canonical: Canonical | None = None,
) -> ArcResult:
    """The chain's status (RFC 8617 §5.2): none without ARC fields, else pass, fail or temperror."""
    limits = limits or ArcLimits()
    if not any(message.count(name) for name in (SEAL, SIGNATURE, RESULTS)):
        return ArcResult()
    sets = collect(message, min(limits.max_sets, MAX_INSTANCE))
    if isinstance(sets, str):
        return ArcResult(result="fail", reason=sets)
    canonical = canonical or Canonical(message)
    problem = _check_statuses(sets) or await _check_signature(canonical, sets[-1], resolver, now)
    security = Security.INDETERMINATE
    if problem is None:
        problem, security = await _check_seals(canonical, sets, resolver)
    result, reason = problem or ("pass", None)
    return ArcResult(
        result=result,
        sealers=tuple(read_domain(each.seal_tags.get("d", "")) or "" for each in sets),
        reason=reason,
        authentication_results=tuple(each.payload for each in sets),
        security=security,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcSet:
    """One instance's three fields (RFC 8617 §4.2)."""

    seal: HeaderField
    seal_tags: dict[str, str]
    signature: HeaderField
    signature_tags: dict[str, str]
    results: HeaderField
    payload: str
    """The Authentication-Results without the instance."""


def collect(message: Message, most: int) -> list[ArcSet] | str:
    """The sets in order, or why they are no chain (RFC 8617 §5.2 steps 1 and 3)."""
    if "too-many-fields" in message.defects:
        return "the header has more fields than are looked at"
    count = message.count(SEAL)
    if message.count(SIGNATURE) != count or message.count(RESULTS) != count:
        return "an ARC set is not complete"
    if count > most:
        return "there are too many ARC sets"
    seals, signatures = tagged(message, SEAL), tagged(message, SIGNATURE)
    results = _payloads(message)
    wanted = set(range(1, count + 1))
    if not set(seals) == set(signatures) == set(results) == wanted:
        return "an ARC field is ill-formed, or the sets are not numbered from 1 without gaps"
    return [
        ArcSet(
            seal=seals[number][0],
            seal_tags=seals[number][1],
            signature=signatures[number][0],
            signature_tags=signatures[number][1],
            results=results[number][0],
            payload=results[number][1],
        )
        for number in range(1, count + 1)
    ]


def tagged(message: Message, name: bytes) -> dict[int, tuple[HeaderField, dict[str, str]]]:
    """The fields by instance; one that is ill-formed is number 0."""
    found = {}
    for each in message.named(name):
        tags = parse_tags(message.value(each).decode("utf-8", "surrogateescape"))
        if isinstance(tags, TagError) or not POSITION.fullmatch(tags.get("i", "")):
            tags = {"i": "0"}
        found[int(tags["i"])] = each, tags
    return found


def _payloads(message: Message) -> dict[int, tuple[HeaderField, str]]:
    found = {}
    for each in message.named(RESULTS):
        text = message.value(each).decode("utf-8", "replace")
        instance = INSTANCE.match(text)
        if instance is None:
            found[0] = each, ""
        else:
            found[int(instance[1])] = each, text[instance.end() :].strip()[:MAX_PAYLOAD]
    return found


def _check_statuses(sets: list[ArcSet]) -> tuple[str, str] | None:
    """cv= of each seal: none for the first, pass for all others (RFC 8617 §5.2 steps 2 and 3)."""
    for number, each in enumerate(sets, 1):
        status = each.seal_tags.get("cv", "").lower()
        if status == "fail" and number == len(sets):
            return "fail", "the newest seal says that the chain was broken before"
        if status != ("none" if number == 1 else "pass"):
            return "fail", f"the seal of set {number} has the wrong cv="
        if "h" in each.seal_tags:
            return "fail", f"the seal of set {number} has an h= (RFC 8617 §4.1.3)"
    return None


async def _check_signature(
    canonical: Canonical, newest: ArcSet, resolver: Resolver, now: float
) -> tuple[str, str] | None:
    """The newest ARC-Message-Signature: is the message as its sealer left it (RFC 8617 §5.2 step 4)?"""
    signature = read_signature(newest.signature_tags)
    if isinstance(signature, str):
        return "fail", f"the newest message signature is ill-formed: {signature}"
    if SEAL in signature.names:
        return "fail", "the newest message signature covers seals (RFC 8617 §4.1.2)"
    covered = signature.names.count(b"from")
    if not covered or covered < canonical.message.count(b"from"):
        return "fail", "the newest message signature does not cover From"
    if signature.expires is not None and signature.expires < now:
        return "fail", "the newest message signature has expired"
    hashed, total = body_hash(canonical, signature)
    if hashed != signature.body_hash or signature.length not in (None, total):
        return "fail", "the body is not what the newest message signature covers"
    digest = signed_digest(canonical, newest.signature, signature)
    outcome = await check_signer(signature.signer, digest, resolver)
    return _as_problem(outcome.result, f"the newest message signature: {outcome.reason}")


async def _check_seals(
    canonical: Canonical, sets: list[ArcSet], resolver: Resolver
) -> tuple[tuple[str, str] | None, Security]:
    """Each seal covers all sets before it and its own (RFC 8617 §5.1.1, §5.2 step 6); hashed in one pass."""
    security = Security.SECURE
    before = hashlib.sha256()
    for number, each in enumerate(sets, 1):
        signer = read_signer(each.seal_tags)
        if isinstance(signer, str):
            return ("fail", f"the seal of set {number} is ill-formed: {signer}"), security
        before.update(canonical.field(each.results, relaxed=True))
        before.update(canonical.field(each.signature, relaxed=True))
        digest = before.copy()
        digest.update(canonical.unsigned_field(each.seal, relaxed=True))
        outcome = await check_signer(signer, digest.digest(), resolver)
        security = min(security, outcome.security)
        problem = _as_problem(outcome.result, f"the seal of set {number}: {outcome.reason}")
        if problem is not None:
            return problem, security
        before.update(canonical.field(each.seal, relaxed=True))
    return None, security


def _as_problem(result: str, reason: str) -> tuple[str, str] | None:
    """A chain fails for anything but a pass, unless the DNS may yet answer."""
    if result == "pass":
        return None
    return "temperror" if result == "temperror" else "fail", reason

"""ARC: validate the chain that forwarders sealed, and seal one's own link (RFC 8617).

A chain says who handled the mail and what they saw, nothing more: whose word counts is the policy's
business. Left out: oldest-pass (§5.2 step 8), which nothing here would use.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.dns.answer import Resolver, Security
from gatepost.mail.authresults import ArcResult
from gatepost.mail.message import HeaderField, Message
from gatepost.mailauth.canonical import Canonical
from gatepost.mailauth.dkim import (
    PrivateKey,
    algorithm_of,
    body_hash,
    default_names,
    signed_digest,
    write_signature,
)
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
    sets = _collect(message, min(limits.max_sets, MAX_INSTANCE))
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


def seal(
    message: Message,
    *,
    chain: ArcResult,
    results: str,
    domain: str,
    selector: str,
    key: PrivateKey,
    now: float,
    headers: Sequence[str] | None = None,
) -> bytes:
    """The three fields of a new ARC set, to be put in front of the message (RFC 8617 §5.1).

    `chain` is what `validate_chain` said of this message, `results` an Authentication-Results value with the
    authserv-id in front. Empty where nothing may be added: the chain is known to be broken, is full, or
    could not be validated for want of a key, which a later hop may fetch.
    """
    if chain.result == "temperror":
        return b""
    if message.count(SEAL) >= MAX_INSTANCE or _says_broken(message):
        return b""
    instance = max([0, *_tagged(message, SEAL)]) + 1
    canonical = Canonical(message)
    hashed, _ = canonical.body_hash(relaxed=True, algorithm="sha256")
    names = [name.lower() for name in headers] if headers is not None else default_names(message)
    signed = canonical.signed_fields([name.encode() for name in names], relaxed=True)
    who = [("d", domain), ("i", str(instance)), ("s", selector), ("t", str(int(now)))]
    start = [("a", algorithm_of(key)), ("b", "")]
    body = [("bh", base64.b64encode(hashed).decode()), ("c", "relaxed/relaxed")]
    named = [who[0], ("h", ":".join(names)), *who[1:]]
    signature = write_signature("ARC-Message-Signature", [*start, *body, *named], signed, key, relaxed=True)
    payload = f"ARC-Authentication-Results: i={instance}; {results}\r\n".encode()
    status = {"none": "none", "pass": "pass"}.get(chain.result, "fail")
    own = Canonical(Message.parse(payload + signature + b"\r\n"))
    covered = [own.field(each, relaxed=True) for each in own.message.fields]
    if status == "pass":
        covered = _covered(canonical) + covered
    tags = [*start, ("cv", status), *who]
    return write_signature("ARC-Seal", tags, covered, key, relaxed=True) + signature + payload


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    """One instance's three fields (RFC 8617 §4.2)."""

    seal: HeaderField
    seal_tags: dict[str, str]
    signature: HeaderField
    signature_tags: dict[str, str]
    results: HeaderField
    payload: str
    """The Authentication-Results without the instance."""


def _says_broken(message: Message) -> bool:
    """Does the newest seal say cv=fail? Then there is nothing to add (RFC 8617 §5.1 step 1)."""
    seals = _tagged(message, SEAL)
    return bool(seals) and seals[max(seals)][1].get("cv", "").lower() == "fail"


def _covered(canonical: Canonical) -> list[bytes]:
    """All sets of a chain that passed, in the order in which seals cover them (RFC 8617 §5.1.1)."""
    sets = _collect(canonical.message, MAX_INSTANCE)
    assert not isinstance(sets, str)
    found = [field for each in sets for field in (each.results, each.signature, each.seal)]
    return [canonical.field(each, relaxed=True) for each in found]


def _collect(message: Message, most: int) -> list[_Set] | str:
    """The sets in order, or why they are no chain (RFC 8617 §5.2 steps 1 and 3)."""
    if "too-many-fields" in message.defects:
        return "the header has more fields than are looked at"
    count = message.count(SEAL)
    if message.count(SIGNATURE) != count or message.count(RESULTS) != count:
        return "an ARC set is not complete"
    if count > most:
        return "there are too many ARC sets"
    seals, signatures = _tagged(message, SEAL), _tagged(message, SIGNATURE)
    results = _payloads(message)
    wanted = set(range(1, count + 1))
    if not set(seals) == set(signatures) == set(results) == wanted:
        return "an ARC field is ill-formed, or the sets are not numbered from 1 without gaps"
    return [
        _Set(
            seal=seals[number][0],
            seal_tags=seals[number][1],
            signature=signatures[number][0],
            signature_tags=signatures[number][1],
            results=results[number][0],
            payload=results[number][1],
        )
        for number in range(1, count + 1)
    ]


def _tagged(message: Message, name: bytes) -> dict[int, tuple[HeaderField, dict[str, str]]]:
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


def _check_statuses(sets: list[_Set]) -> tuple[str, str] | None:
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
    canonical: Canonical, newest: _Set, resolver: Resolver, now: float
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
    canonical: Canonical, sets: list[_Set], resolver: Resolver
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

"""DKIM: verify the signatures of a message (RFC 6376, RFC 8301, RFC 8463, RFC 8616).

Results, in RFC 8601's words: ``neutral`` when the signature field itself cannot be used (syntax,
unknown algorithm), ``permerror`` when no key or no permitted use of it can be found or the signature
leaves out what it must cover, ``fail`` when body or header fields are not what was signed, or the
signature expired, ``policy`` when it is valid but weaker than RFC 8301 allows or dated in the future,
``temperror`` when the key could not be looked up. Stricter than RFC 6376 in one thing: each From field
must be signed (§8.15). Left out: signing (`dkim_sign`), DomainKeys, ADSP, reporting (RFC 6651).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from gatepost.dns.answer import Resolver
from gatepost.mail.authresults import DkimResult
from gatepost.mail.message import HeaderField, Message
from gatepost.mailauth.canonical import Canonical
from gatepost.mailauth.keys import Outcome, check_signer
from gatepost.mailauth.signature import Signature, read_domain, read_signature
from gatepost.mailauth.taglist import TagError, parse_tags

SHOWN = re.compile(r"[A-Za-z0-9+/=]{1,8}")
FIELD = b"dkim-signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class DkimLimits:
    """How much of a message's DKIM is looked at."""

    max_signatures: int = 10
    """Signatures verified, from the top; the rest is counted."""
    clock_skew_s: float = 3600.0
    """How far in the future a signature may be dated before it does not count."""


async def verify_signatures(
    message: Message,
    resolver: Resolver,
    now: float,
    limits: DkimLimits | None = None,
    *,
    canonical: Canonical | None = None,
) -> tuple[tuple[DkimResult, ...], int]:
    """Each DKIM-Signature's result, the topmost first, and how many more there were.

    Pass one `canonical` to this and to `arc.validate_chain`, so that the body is hashed once.
    """
    limits = limits or DkimLimits()
    canonical = canonical or Canonical(message)
    found = message.named(FIELD)
    looked_at = found[: limits.max_signatures]
    results = [await _verify(canonical, each, resolver, now, limits) for each in looked_at]
    return tuple(results), len(found) - len(looked_at)


async def _verify(
    canonical: Canonical, header_field: HeaderField, resolver: Resolver, now: float, limits: DkimLimits
) -> DkimResult:
    """RFC 6376 §6.1."""
    tags = parse_tags(canonical.message.value(header_field).decode("utf-8", "surrogateescape"))
    if isinstance(tags, TagError):
        return DkimResult(result="neutral", reason=f"the signature is ill-formed: {tags.reason}")
    if tags.get("v") != "1":
        return _unusable(tags, "neutral", "the signature has no v=1")
    signature = read_signature(tags)
    if isinstance(signature, str):
        return _unusable(tags, "neutral", f"the signature is ill-formed: {signature}")
    identity = _read_identity(tags.get("i", ""), signature.signer.domain)
    if identity is None:
        return _unusable(tags, "permerror", "i= is not an address in d=")
    outcome = _check_claims(canonical, signature, now)
    if outcome is None:
        digest = signed_digest(canonical, header_field, signature)
        outcome = await check_signer(signature.signer, digest, resolver, identity_domain=identity[1])
        if outcome.key is not None and outcome.result != "permerror":
            outcome = _check_body(canonical, signature, outcome)
    result, reason, key, security = outcome
    if result == "pass" and signature.timestamp and signature.timestamp > now + limits.clock_skew_s:
        result, reason = "policy", "the signature is valid but dated in the future"
    return DkimResult(
        result=result,
        domain=signature.signer.domain,
        selector=signature.signer.selector,
        identity=identity[0],
        algorithm=signature.signer.algorithm,
        reason=reason,
        bits=key.bits if key else None,
        testing=key.testing if key else False,
        covers_all=_covers_all(canonical, signature),
        signature=_shown(tags),
        security=security,
    )


def _unusable(tags: dict[str, str], result: str, reason: str) -> DkimResult:
    domain, selector = (read_domain(tags.get(name, "")) or "" for name in ("d", "s"))
    return DkimResult(result=result, domain=domain, selector=selector, signature=_shown(tags), reason=reason)


def _shown(tags: dict[str, str]) -> str:
    """What RFC 6008 wants of b=: its first eight characters; nothing when they are not base64."""
    found = SHOWN.match("".join(tags.get("b", "")[:100].split()))
    return found[0] if found else ""


def _check_claims(canonical: Canonical, signature: Signature, now: float) -> Outcome | None:
    """What forbids a pass without asking for a hash or a key."""
    message = canonical.message
    if "too-many-fields" in message.defects:
        return Outcome("permerror", "the header has more fields than are looked at")
    covered = signature.names.count(b"from")
    if not covered:
        return Outcome("permerror", "From is not signed")
    if covered < message.count(b"from"):
        return Outcome("permerror", "there are more From fields than were signed")
    if signature.expires is not None and signature.expires < now:
        return Outcome("fail", "the signature has expired")
    return None


def _check_body(canonical: Canonical, signature: Signature, outcome: Outcome) -> Outcome:
    """After the key, as RFC 6376 §6.1.3 has it: without a key there is nothing to say of the body."""
    hashed, total = body_hash(canonical, signature)
    if signature.length is not None and signature.length > total:
        return outcome._replace(result="permerror", reason="l= is larger than the body")
    if hashed != signature.body_hash:
        return outcome._replace(result="fail", reason="the body is not what was signed")
    return outcome


def _covers_all(canonical: Canonical, signature: Signature) -> bool:
    return signature.length is None or signature.length >= body_hash(canonical, signature)[1]


def body_hash(canonical: Canonical, signature: Signature) -> tuple[bytes, int]:
    """The body's digest as a signature wants it, and the body's canonical length."""
    return canonical.body_hash(
        relaxed=signature.relaxed_body, algorithm=signature.signer.hash_name, length=signature.length
    )


def signed_digest(canonical: Canonical, header_field: HeaderField, signature: Signature) -> bytes:
    """The hash of the header fields a signature names, and of its own (RFC 6376 §3.7)."""
    relaxed = signature.relaxed_header
    signed = canonical.signed_fields(signature.names, header_field, relaxed=relaxed)
    signed.append(canonical.unsigned_field(header_field, relaxed=relaxed))
    return hashlib.new(signature.signer.hash_name, b"".join(signed), usedforsecurity=False).digest()


def _read_identity(text: str, domain: str) -> tuple[str, str] | None:
    """i= and its domain, which is d= or below it; None when it is not (RFC 6376 §3.5)."""
    if not text:
        return f"@{domain}", domain
    local, at, after = "".join(text.split()).rpartition("@")
    identity_domain = read_domain(after)
    if not at or identity_domain is None:
        return None
    if identity_domain != domain and not identity_domain.endswith("." + domain):
        return None
    if not local.isprintable():  # octets that are not UTF-8 came as lone surrogates
        return None
    return f"{local}@{identity_domain}", identity_domain

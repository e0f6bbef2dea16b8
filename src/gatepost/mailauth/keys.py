"""Key records of DKIM and ARC: find, read, verify with (RFC 6376 §3.6, §6.1.2, RFC 8301, RFC 8463).

Results are RFC 8601's words. Left out: g= (dropped by RFC 6376) and any source of keys but the DNS.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gatepost.dns.answer import Resolver, Security, Status
from gatepost.mailauth.signature import Signer
from gatepost.mailauth.taglist import TagError, parse_tags, read_base64

MIN_RSA_BITS = 1_024
"""RFC 8301 §3.2."""
ORDER = ("pass", "policy", "fail", "permerror")
"""Which key's result counts when a selector has several."""
MAX_RECORD = 8_192
"""Characters of a key record; an RSA key of 4096 bits needs 800."""
MAX_RECORDS = 4
"""Records tried where one name has several, which RFC 6376 §3.6.2.2 leaves undefined."""
MAX_RSA_BITS = 8_192
MAX_EXPONENT_BITS = 33
"""Large exponents make verifying slow; 65537 is what is used."""
_PKCS1 = padding.PKCS1v15()
_PREHASHED = {"sha256": utils.Prehashed(hashes.SHA256()), "sha1": utils.Prehashed(hashes.SHA1())}  # noqa: S303


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A usable key record."""

    public: RSAPublicKey | Ed25519PublicKey
    kind: str
    """``rsa`` or ``ed25519``."""
    bits: int | None = None
    """RSA modulus length."""
    hashes: tuple[str, ...] = ()
    """h=: the hashes it may be used with; empty for all."""
    testing: bool = False
    """t=y."""
    same_domain: bool = False
    """t=s: i= must be in d= itself."""

    def verify(self, signature: bytes, digest: bytes, hash_name: str) -> bool:
        """Does `signature` fit the digest of the signed octets?"""
        try:
            if isinstance(self.public, RSAPublicKey):
                self.public.verify(signature, digest, _PKCS1, _PREHASHED[hash_name])
            else:
                self.public.verify(signature, digest)  # RFC 8463 §3: the hash is what is signed
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            return False
        return True


class Outcome(NamedTuple):
    """A result, why it is no pass, and the key it comes from."""

    result: str
    reason: str | None
    key: Key | None = None
    security: Security = Security.INDETERMINATE


async def check_signer(
    signer: Signer, digest: bytes, resolver: Resolver, *, identity_domain: str = ""
) -> Outcome:
    """Does the signature fit the digest, by the best of the keys at its selector?

    `identity_domain` is the domain of i= where it matters (DKIM), else empty.
    """
    answer = await resolver.lookup(f"{signer.selector}._domainkey.{signer.domain}", "TXT")
    if answer.status is Status.FAILED:
        return Outcome("temperror", "the key could not be looked up", None, answer.security)
    if answer.status is not Status.FOUND or not answer.records:
        return Outcome("permerror", "there is no key in the DNS", None, answer.security)
    best: Outcome | None = None
    for record in answer.records[:MAX_RECORDS]:
        key = read_key(record) if len(record) <= MAX_RECORD else "the key record is too long"
        if isinstance(key, str):
            outcome = Outcome("permerror", key, None, answer.security)
        else:
            outcome = Outcome(*_judge(key, signer, digest, identity_domain), key, answer.security)
        if best is None or ORDER.index(outcome.result) < ORDER.index(best.result):
            best = outcome
    assert best is not None
    return best


@lru_cache(maxsize=2048)
def read_key(record: str) -> Key | str:
    """A key record's text as a key, or why it is none (RFC 6376 §3.6.1)."""
    tags = parse_tags(record)
    if isinstance(tags, TagError):
        return f"the key record is ill-formed: {tags.reason}"
    if "v" in tags and (tags["v"] != "DKIM1" or next(iter(tags)) != "v"):
        return "the key record is of another version"
    if "p" not in tags:
        return "the key record has no p="
    if not {"*", "email"}.intersection(_words(tags.get("s", "*").lower())):
        return "the key is not meant for mail"
    octets = read_base64(tags["p"])
    if octets == b"":
        return "the key was revoked"
    if octets is None:
        return "the key's p= is not base64"
    kind = tags.get("k", "rsa").lower()
    public = _read_public(kind, octets)
    if isinstance(public, str):
        return public
    flags = _words(tags.get("t", ""))
    return Key(
        public=public,
        kind=kind,
        bits=public.key_size if isinstance(public, RSAPublicKey) else None,
        hashes=_words(tags["h"].lower()) if "h" in tags else (),
        testing="y" in flags,
        same_domain="s" in flags,
    )


def _judge(key: Key, signer: Signer, digest: bytes, identity_domain: str) -> tuple[str, str | None]:
    if key.kind != signer.kind:
        return "permerror", "the key is of another kind than the signature"
    if key.hashes and signer.hash_name not in key.hashes:
        return "permerror", "the key may not be used with this hash"
    if key.same_domain and identity_domain not in ("", signer.domain):
        return "permerror", "the key is for d= only and i= is below it"
    if not key.verify(signer.signature, digest, signer.hash_name):
        return "fail", "the signature does not fit the header fields and the key"
    if signer.hash_name == "sha1":
        return "policy", "the signature is valid but made with SHA-1, which proves nothing (RFC 8301 §3.1)"
    if key.bits is not None and key.bits < MIN_RSA_BITS:
        return "policy", f"the signature is valid but its key has only {key.bits} bits (RFC 8301 §3.2)"
    return "pass", None


def _read_public(kind: str, octets: bytes) -> RSAPublicKey | Ed25519PublicKey | str:
    if kind not in ("rsa", "ed25519"):
        return "the key is of an unknown kind"
    try:
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(octets)
        public = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        return f"the key's p= is no {kind} key"
    if not isinstance(public, RSAPublicKey):
        return "the key's p= is no rsa key"
    if public.key_size > MAX_RSA_BITS or public.public_numbers().e.bit_length() > MAX_EXPONENT_BITS:
        return "the key is too large"
    return public


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip(" \t") for word in text.split(":"))

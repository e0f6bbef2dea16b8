"""Key records to publish: their text, and how a zone file has them (RFC 6376 §3.6.1, RFC 8463 §4)."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatepost.mailauth.keys import read_key

PublicKey = RSAPublicKey | Ed25519PublicKey
STRING_MOST = 255
"""Octets of one character-string of a TXT record (RFC 1035 §3.3)."""


def key_record(public: PublicKey) -> str:
    """The text of the TXT record under ``<selector>._domainkey.<domain>``."""
    if isinstance(public, RSAPublicKey):
        octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; h=sha256; p={base64.b64encode(octets).decode()}"
    octets = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={base64.b64encode(octets).decode()}"


def key_name(domain: str, selector: str) -> str:
    """Where a key's record stands."""
    return f"{selector}._domainkey.{domain}"


def character_strings(text: str) -> list[str]:
    """A TXT record's text in strings of at most 255 octets; ASCII is expected."""
    return [text[at : at + STRING_MOST] for at in range(0, len(text), STRING_MOST)] or [""]


def zone_line(name: str, kind: str, value: str, *, ttl_s: int = 3600) -> str:
    """One record as a zone file has it; TXT is quoted and split."""
    if kind == "TXT":
        strings = [f'"{_escaped(part)}"' for part in character_strings(value)]
        value = strings[0] if len(strings) == 1 else "( " + "\n    ".join(strings) + " )"
    return f"{name}. {ttl_s} IN {kind} {value}"


def mismatch(records: tuple[str, ...], expected: str) -> str:
    """Why what is published is not `expected`, in one clause; empty when verifiers find this very key."""
    if not records:
        return "there is no such record"
    if len(records) > 1:
        return f"there are {len(records)} TXT records where one must be (RFC 6376 §3.6.2.2)"
    found, wanted = read_key(records[0]), read_key(expected)
    assert not isinstance(wanted, str)
    if isinstance(found, str):
        return found
    if found.kind != wanted.kind or _octets(found.public) != _octets(wanted.public):
        return "another key is published there"
    if found.hashes and "sha256" not in found.hashes:
        return "its h= does not allow sha256"
    if found.testing:
        return "it says t=y, a test: verifiers may treat signatures as absent"
    return ""


def _octets(public: PublicKey) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')

"""DANE for SMTP (RFC 7672, RFC 7671): TLSA records, which of them can be used, and whether a certificate fits one.

DANE-EE(3) looks at the server's own certificate alone, its name and dates do not matter; DANE-TA(2) wants a chain to
the named authority, and one of the names. An authority given in full, certificate or bare key, need not be sent by the
server; of one that is given by its digest the server must send the certificate (RFC 7671 §5.2).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from gatepost.tlspolicy.tlsrpt import Failure, Trouble

USED_MOST = 100
"""Records that are compared with a certificate; who publishes more that can be used leaves it to chance which count."""
CHAIN_MOST = 10
DANE_TA, DANE_EE = 2, 3
WHOLE, KEY = 0, 1
FULL, SHA_256, SHA_512 = 0, 1, 2
_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_DIGESTS = {SHA_256: hashlib.sha256, SHA_512: hashlib.sha512}


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One record."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def usable(self) -> bool:
        """Does SMTP know what to do with it (RFC 7672 §3.1)? Usages 0 and 1 are not for SMTP."""
        if self.usage not in (DANE_TA, DANE_EE) or self.selector not in (WHOLE, KEY) or not self.data:
            return False
        if self.matching in _DIGESTS:
            return len(self.data) == _DIGESTS[self.matching]().digest_size
        return self.matching == FULL and _well_formed(self)

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


def _well_formed(record: Tlsa) -> bool:
    """A certificate or key in full must be one."""
    if record.selector == KEY:
        return record.data[:1] == b"\x30"
    return _certificate(record.data) is not None


def read_tlsa(records: Iterable[str]) -> tuple[Tlsa, ...]:
    """``3 1 1 hex`` as records; what is malformed becomes one that cannot be used. Never raises."""
    return tuple(_read(text) for text in records)


def _read(text: str) -> Tlsa:
    words = text.split()
    numbers = [
        int(word) if word.isascii() and word.isdecimal() and len(word) < 4 else 256 for word in words[:3]
    ]
    data = "".join(words[3:]).lower()
    if len(numbers) < 3 or max(numbers) > 255 or not _HEX.fullmatch(data):
        return Tlsa(255, 255, 255, b"")
    return Tlsa(numbers[0], numbers[1], numbers[2], bytes.fromhex(data))


def in_use(records: Sequence[Tlsa]) -> tuple[Tlsa, ...]:
    """The usable ones; of two digests of the same kind of thing only the stronger (RFC 7671 §9)."""
    usable = [one for one in records if one.usable][:USED_MOST]
    strongest = {
        (one.usage, one.selector): max(
            each.matching for each in usable if (each.usage, each.selector) == (one.usage, one.selector)
        )
        for one in usable
    }
    return tuple(
        dict.fromkeys(
            one
            for one in usable
            if one.matching == FULL or one.matching == strongest[one.usage, one.selector]
        )
    )


def judge(
    chain: Sequence[bytes], records: Sequence[Tlsa], *, names: Sequence[str], now: float
) -> Failure | None:
    """Does the chain a server sent (DER, its own certificate first) fit one of the records? None: it does.

    `names` are those that count for DANE-TA (RFC 7672 §3.2.2). The failure is the one that came closest to fitting.
    """
    own = _certificate(chain[0]) if chain else None
    if own is None:
        return Failure(Trouble.FAILED, "the server's certificate cannot be read")
    if any(one.usage == DANE_EE and _fits(one, own) for one in records):
        return None
    above = [found for der in chain[1:CHAIN_MOST] if (found := _certificate(der)) is not None]
    nearest: Failure | None = None
    for anchor, links in _anchored(own, above, records):
        fault = _chain_fault(links, anchor, names=names, now=now)
        if fault is None:
            return None
        nearest = nearest or fault
    return nearest or Failure(Trouble.TLSA_INVALID, "the certificate fits none of the TLSA records")


Anchor = x509.Certificate | CertificatePublicKeyTypes
"""An authority: its certificate, or all that is known of it is its key."""


def _anchored(
    own: x509.Certificate, others: Sequence[x509.Certificate], records: Sequence[Tlsa]
) -> Iterable[tuple[Anchor, list[x509.Certificate]]]:
    """Each authority that a DANE-TA record names, with the way from the server's certificate to below it."""
    for record in records:
        if record.usage != DANE_TA:
            continue
        anchors: list[Anchor] = [one for one in others if _fits(record, one)]
        if record.matching == FULL:
            given = _certificate(record.data) if record.selector == WHOLE else _key(record.data)
            anchors += [given] if given is not None else []
        for anchor in anchors:
            links = _way(own, anchor, others)
            if links is not None:
                yield anchor, links


def _way(
    own: x509.Certificate, anchor: Anchor, others: Sequence[x509.Certificate]
) -> list[x509.Certificate] | None:
    """From the server's certificate up to what the anchor issued; None when no chain of signatures leads there."""
    links, left = [own], list(others)
    while len(links) <= CHAIN_MOST:
        if _issued(anchor, links[-1]):
            return links
        issuer = next((one for one in left if _issued(one, links[-1])), None)
        if issuer is None:
            return None
        left.remove(issuer)
        links.append(issuer)
    return None


def _issued(issuer: Anchor, subject: x509.Certificate) -> bool:
    try:
        if isinstance(issuer, x509.Certificate):
            subject.verify_directly_issued_by(issuer)
        else:
            _verify_signature(issuer, subject)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _verify_signature(key: CertificatePublicKeyTypes, subject: x509.Certificate) -> None:
    """A bare key has no name that could be compared: that it made the signature is all there is. Raises InvalidSignature."""
    signature, signed, how = (
        subject.signature,
        subject.tbs_certificate_bytes,
        subject.signature_algorithm_parameters,
    )
    digest = subject.signature_hash_algorithm
    if isinstance(key, rsa.RSAPublicKey) and isinstance(how, padding.PKCS1v15 | padding.PSS) and digest:
        key.verify(signature, signed, how, digest)
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(how, ec.ECDSA):
        key.verify(signature, signed, how)
    elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) and how is None:
        key.verify(signature, signed)
    else:
        raise InvalidSignature("another kind of key")


def _chain_fault(
    links: Sequence[x509.Certificate], anchor: Anchor, *, names: Sequence[str], now: float
) -> Failure | None:
    """Dates, the right to issue, and the name (RFC 7671 §5.2); a bare key has neither dates nor bounds."""
    moment = datetime.fromtimestamp(now, UTC)
    above = [anchor] if isinstance(anchor, x509.Certificate) else []
    for one in (*links, *above):
        if not one.not_valid_before_utc <= moment <= one.not_valid_after_utc:
            return Failure(
                Trouble.EXPIRED,
                f"a certificate of the chain is valid until {one.not_valid_after_utc:%Y-%m-%d} only",
            )
    try:
        for depth, one in enumerate((*links[1:], *above)):
            if not _may_issue(one, depth):
                return Failure(Trouble.NOT_TRUSTED, "a certificate of the chain may not issue others")
        if not _for_servers(links[0]):
            return Failure(Trouble.NOT_TRUSTED, "the certificate is not for servers")
        known = certificate_names(links[0])
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return Failure(Trouble.FAILED, "an extension of the chain cannot be read")
    if not any(name_fits(pattern, name) for pattern in known for name in names):
        return Failure(Trouble.WRONG_HOST, f"the certificate is not for {' or '.join(names)}")
    return None


def _may_issue(certificate: x509.Certificate, below: int) -> bool:
    """Is it an authority, for `below` authorities between it and the end?"""
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            return False
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1 and certificate.subject == certificate.issuer
    if not basic.ca or (basic.path_length is not None and basic.path_length < below):
        return False
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage.key_cert_sign


def _for_servers(certificate: x509.Certificate) -> bool:
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            return False
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}.isdisjoint(
        purposes
    )


_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
"""Critical ones that are honoured here or say nothing about trust; any other makes the certificate unusable."""


def certificate_names(certificate: x509.Certificate) -> list[str]:
    """The DNS names of a certificate; its common name only where there is none (RFC 7672 §3.2.3). May raise ValueError."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        found = []
    if not found:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        found = [str(one.value) for one in common]
    return [one.lower().rstrip(".") for one in found]


def names_in(der: bytes) -> list[str]:
    """The same of a certificate in DER; none when it cannot be read."""
    certificate = _certificate(der)
    try:
        return certificate_names(certificate) if certificate is not None else []
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return []


def name_fits(pattern: str, name: str) -> bool:
    """A certificate's name, which may begin with ``*.`` for one label (RFC 6125 §6.4.3)."""
    name = name.lower().rstrip(".")
    if pattern == name:
        return True
    first, _, parent = name.partition(".")
    return bool(first) and "." in parent and pattern == f"*.{parent}"


def _fits(record: Tlsa, certificate: x509.Certificate) -> bool:
    try:
        selected = (
            certificate.public_bytes(Encoding.DER)
            if record.selector == WHOLE
            else key_info(certificate.tbs_certificate_bytes)
        )
    except (ValueError, TypeError, IndexError):
        return False
    digest = _DIGESTS.get(record.matching)
    return record.data == (digest(selected).digest() if digest else selected)


def key_info(signed: bytes) -> bytes:
    """The SubjectPublicKeyInfo in a certificate's signed part (RFC 5280 §4.1), octet for octet: whatever kind of key it is.

    Raises IndexError when it is cut short.
    """
    at, _ = _element(signed, 0)
    for _ in range(5 + (signed[at] == 0xA0)):  # version, serial number, signature, issuer, validity, subject
        start, length = _element(signed, at)
        at = start + length
    start, length = _element(signed, at)
    return signed[at : start + length]


def _element(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the DER element at `at` starts, and how long it is."""
    length = der[at + 1]
    if length < 0x80:
        return at + 2, length
    octets = length & 0x7F
    return at + 2 + octets, int.from_bytes(der[at + 2 : at + 2 + octets], "big")


def _key(der: bytes) -> CertificatePublicKeyTypes | None:
    """A SubjectPublicKeyInfo; None when it is none, or of a kind that nobody can verify with here."""
    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    kinds = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
    return key if isinstance(key, kinds) else None


def _certificate(der: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError):
        return None

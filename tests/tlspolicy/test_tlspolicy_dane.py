"""TLSA records and certificates: which can be used, which is in use, what fits, what nearly does (RFC 7671, RFC 7672)."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gatepost.tlspolicy.dane import Tlsa, in_use, judge, key_info, name_fits, names_in, read_tlsa
from gatepost.tlspolicy.tlsrpt import Trouble

sys.path.append(str(Path(__file__).parent.parent / "lab"))
from lab_servers import make

NOW = time.time()
AUTHORITY = make("Authority", authority=True)
MIDDLE = make("Middle", AUTHORITY, authority=True)
LEAF = make("mx.example.org", MIDDLE)
CHAIN = [LEAF.der, MIDDLE.der, AUTHORITY.der]
NAMES = ("mx.example.org",)


def sha(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def verdict(*records: str, chain: list[bytes] | None = None, names: tuple[str, ...] = NAMES) -> str:
    found = judge(chain or CHAIN, in_use(read_tlsa(records)), names=names, now=NOW)
    return "" if found is None else found.trouble.value


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        (f"3 1 1 {'ab' * 32}", True),
        (f"2 0 2 {'AB' * 64}", True),
        (f"3 1 1 {'ab' * 16} {'ab' * 16}", True),
        (f"3 1 1 {'ab' * 31}", False),
        (f"0 1 1 {'ab' * 32}", False),
        (f"1 1 1 {'ab' * 32}", False),
        (f"3 2 1 {'ab' * 32}", False),
        (f"3 1 3 {'ab' * 32}", False),
        ("3 0 0 abcd", False),
        ("3 1 1", False),
        ("3 1 1 xyz", False),
        ("999 1 1 ab", False),
        ("", False),
        ("a b c d", False),
    ],
)
def test_which_records_can_be_used(text: str, *, usable: bool) -> None:
    [record] = read_tlsa([text])
    assert record.usable is usable


def test_of_two_digests_the_stronger_is_used_and_full_ones_always() -> None:
    full = f"3 0 0 {LEAF.der.hex()}"
    weak, strong, other = f"3 1 1 {'00' * 32}", f"3 1 2 {'11' * 64}", f"3 0 1 {'22' * 32}"
    assert {str(one) for one in in_use(read_tlsa([weak, strong, other, full]))} == {strong, other, full}


def test_a_record_that_can_be_used_is_found_among_very_many() -> None:
    """An answer may hold hundreds: what cannot be used never hides what can, or DANE would end without a word."""
    good = f"3 1 1 {sha(LEAF.spki)}"
    crowd = [f"3 1 1 {at:04x}" for at in range(500)]
    assert in_use(read_tlsa([*crowd, good])) == read_tlsa([good])
    strangers = [f"3 1 1 {at:064x}" for at in range(500)]
    assert verdict(*strangers) == "tlsa-invalid"
    assert verdict(good, *strangers) == ""


def test_what_fits() -> None:
    assert verdict(f"3 1 1 {sha(LEAF.spki)}") == ""
    assert verdict(f"3 0 1 {sha(LEAF.der)}") == ""
    assert verdict(f"3 1 0 {LEAF.spki.hex()}") == ""
    assert verdict(f"3 1 2 {hashlib.sha512(LEAF.spki).hexdigest()}") == ""
    assert verdict(f"2 1 1 {sha(AUTHORITY.spki)}") == ""
    assert verdict(f"2 0 1 {sha(MIDDLE.der)}") == "", "an authority in the middle may be the anchor"
    assert verdict(f"2 0 0 {AUTHORITY.der.hex()}", chain=CHAIN[:2]) == ""
    assert verdict(f"3 1 1 {'00' * 32}", f"2 1 1 {sha(AUTHORITY.spki)}") == ""


def test_an_authority_given_by_its_bare_key_need_not_be_sent() -> None:
    whole = f"2 1 0 {AUTHORITY.spki.hex()}"
    assert verdict(whole) == "", "sent"
    assert verdict(whole, chain=CHAIN[:2]) == "", "not sent"
    assert verdict(f"2 1 0 {MIDDLE.spki.hex()}", chain=[LEAF.der]) == ""
    assert verdict(whole, chain=[LEAF.der]) == "tlsa-invalid", "a gap in the chain"
    assert verdict(whole, chain=CHAIN[:2], names=("other.test",)) == "certificate-host-mismatch"
    assert verdict(f"2 1 1 {sha(AUTHORITY.spki)}", chain=CHAIN[:2]) == "tlsa-invalid", "a digest is no key"
    forged = make("Authority", authority=True)
    assert verdict(f"2 1 0 {forged.spki.hex()}", chain=CHAIN[:2]) == "tlsa-invalid", (
        "the same name, another key"
    )
    impostor = make("Impostor", AUTHORITY)
    assert (
        verdict(whole, chain=[make("mx.example.org", impostor).der, impostor.der])
        == "certificate-not-trusted"
    )
    assert verdict("2 1 0 3000", chain=CHAIN[:2]) == "tlsa-invalid", "no key at all"


def test_a_bare_key_of_every_kind_is_an_authority() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    wrapped = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    kinds = [
        (rsa.generate_private_key(65537, 2048), hashes.SHA256(), None),
        (rsa.generate_private_key(65537, 2048), hashes.SHA256(), wrapped),
        (ed25519.Ed25519PrivateKey.generate(), None, None),
    ]
    for key, digest, how in kinds:
        made = (
            x509.CertificateBuilder()
            .subject_name(LEAF.certificate.subject)
            .issuer_name(x509.Name([]))
            .public_key(LEAF.certificate.public_key())
            .serial_number(1)
            .not_valid_before(LEAF.certificate.not_valid_before_utc)
            .not_valid_after(LEAF.certificate.not_valid_after_utc)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAMES[0])]), critical=False)
            .sign(key, digest, rsa_padding=how)
        )
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        chain = [made.public_bytes(Encoding.DER)]
        assert verdict(f"2 1 0 {spki.hex()}", chain=chain) == ""
        for other, _, _ in kinds:
            if other is not key:
                spki = other.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                assert verdict(f"2 1 0 {spki.hex()}", chain=chain) == "tlsa-invalid"


def test_what_does_not() -> None:
    assert verdict(f"3 1 1 {sha(MIDDLE.spki)}") == "tlsa-invalid", "DANE-EE is the server's own"
    assert verdict(f"2 1 1 {sha(LEAF.spki)}") == "tlsa-invalid", "DANE-TA is an authority's"
    assert verdict(f"2 1 1 {sha(AUTHORITY.spki)}", chain=[LEAF.der, AUTHORITY.der]) == "tlsa-invalid", (
        "a gap in the chain"
    )
    assert verdict(f"2 1 1 {sha(AUTHORITY.spki)}", names=("other.test",)) == "certificate-host-mismatch"
    assert judge([], read_tlsa([f"3 1 1 {sha(LEAF.spki)}"]), names=NAMES, now=NOW) is not None
    assert verdict(f"3 1 1 {sha(LEAF.spki)}", chain=[b"nonsense"]) == "validation-failure"


def test_a_certificate_above_that_cannot_be_read_spoils_nothing() -> None:
    """RFC 7671 §5.1: with DANE-EE nobody looks at what else the server sent."""
    odd = [LEAF.der, b"\x30\x03\x02\x01\x00", MIDDLE.der, AUTHORITY.der]
    assert verdict(f"3 1 1 {sha(LEAF.spki)}", chain=odd) == ""
    assert verdict(f"2 1 1 {sha(AUTHORITY.spki)}", chain=odd) == ""
    assert verdict(f"3 1 1 {sha(LEAF.spki)}", chain=odd[1:]) == "validation-failure"


def test_an_authority_must_be_one_and_in_time() -> None:
    impostor = make("Impostor", AUTHORITY)
    leaf = make("mx.example.org", impostor)
    chain = [leaf.der, impostor.der, AUTHORITY.der]
    assert verdict(f"2 1 1 {sha(AUTHORITY.spki)}", chain=chain) == "certificate-not-trusted"
    old = make("mx.example.org", MIDDLE, expired=True)
    assert verdict(f"2 1 1 {sha(MIDDLE.spki)}", chain=[old.der, MIDDLE.der]) == "certificate-expired"
    assert verdict(f"3 1 1 {sha(old.spki)}", chain=[old.der]) == "", "DANE-EE looks at no dates"


def test_a_forged_authority_of_the_same_name_signs_nothing() -> None:
    forged = make("Authority", authority=True)
    assert verdict(f"2 1 1 {sha(forged.spki)}", chain=[*CHAIN[:2], forged.der]) == "tlsa-invalid"


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("mx.example.org", "MX.example.org.", True),
        ("*.example.org", "mx.example.org", True),
        ("*.example.org", "a.mx.example.org", False),
        ("*.example.org", "example.org", False),
        ("*.org", "example.org", False),
        ("m*.example.org", "mx.example.org", False),
    ],
)
def test_names(pattern: str, name: str, *, fits: bool) -> None:
    assert name_fits(pattern, name) is fits


def test_the_key_is_cut_out_whatever_kind_it_is() -> None:
    assert key_info(LEAF.certificate.tbs_certificate_bytes) == LEAF.spki
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    for key, digest in (
        (rsa.generate_private_key(65537, 2048), hashes.SHA256()),
        (ed25519.Ed25519PrivateKey.generate(), None),
    ):
        made = (
            x509.CertificateBuilder()
            .subject_name(LEAF.certificate.subject)
            .issuer_name(LEAF.certificate.subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(LEAF.certificate.not_valid_before_utc)
            .not_valid_after(LEAF.certificate.not_valid_after_utc)
            .sign(key, digest)
        )
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert key_info(made.tbs_certificate_bytes) == spki
        assert verdict(f"3 1 1 {sha(spki)}", chain=[made.public_bytes(Encoding.DER)]) == ""


@given(st.lists(st.text("0123456789abcdefxyz ", max_size=90), max_size=5))
def test_whatever_a_zone_says_is_read(texts: list[str]) -> None:
    for one in in_use(read_tlsa(texts)):
        assert one.usable
    assert len(read_tlsa(texts)) == len(texts)


@given(st.binary(max_size=40), st.integers(0, len(LEAF.der) - 1), st.integers(0, 3))
def test_a_damaged_chain_is_judged_without_raising(junk: bytes, at: int, which: int) -> None:
    damaged = LEAF.der[:at] + junk + LEAF.der[at + len(junk) :]
    records = [
        Tlsa(3, 1, 1, hashlib.sha256(LEAF.spki).digest()),
        Tlsa(2, 1, 1, hashlib.sha256(AUTHORITY.spki).digest()),
        Tlsa(2, 1, 0, AUTHORITY.spki),
    ]
    chains: list[list[bytes]] = [
        [damaged],
        [damaged, *CHAIN[1:]],
        [LEAF.der, damaged, *CHAIN[1:]],
        [junk, LEAF.der],
    ]
    found = judge(chains[which], records, names=NAMES, now=NOW)
    assert found is None or isinstance(found.trouble, Trouble)
    names_in(damaged)

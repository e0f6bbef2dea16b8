"""Envelopes of cryptography: what is in them, whatever they are made of."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.sealed import MAX_ELEMENTS, inner_name, is_pgp_message, open_cms

CMS = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07"
SMIME = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10"


def der(tag: int, *inside: bytes) -> bytes:
    octets = b"".join(inside)
    return bytes([tag, 0x83]) + len(octets).to_bytes(3, "big") + octets


def held(octets: bytes) -> bytes:
    return der(0x30, der(6, CMS + b"\1"), der(0xA0, der(4, octets)))


def signed(*within: bytes) -> bytes:
    return der(0x30, der(6, CMS + b"\2"), der(0xA0, der(0x30, der(2, b"\1"), der(0x31), *within, der(0x31))))


def packed(octets: bytes) -> bytes:
    how = der(0x30, der(6, SMIME + b"\3\x08"))
    inside = der(0x30, der(2, b"\0"), how, held(zlib.compress(octets)))
    return der(0x30, der(6, SMIME + b"\1\x09"), der(0xA0, inside))


@pytest.mark.parametrize(
    ("octets", "how", "within"),
    [
        (signed(held(b"Subject: x\r\n")), "signed", b"Subject: x\r\n"),
        (signed(held(b"cut in the middle"))[:-16], "signed", b"cut in"),
        (signed(der(0x30, der(6, CMS + b"\1"))), "signed", b""),
        (packed(b"hello" * 100), "packed", b"hello" * 100),
        (der(0x30, der(6, CMS + b"\3"), der(0xA0, der(0x30))), "locked", b""),
        (der(0x30, der(6, CMS + b"\6"), der(0xA0, der(0x30))), "locked", b""),
        (der(0x30, der(6, SMIME + b"\1\x17"), der(0xA0, der(0x30))), "locked", b""),
        (der(0x30, der(6, CMS + b"\1"), der(0xA0, der(4, b"data"))), "unknown", b""),
        (b"no envelope", "unknown", b""),
        (b"", "unknown", b""),
    ],
)
def test_what_is_in_it(octets: bytes, how: str, within: bytes) -> None:
    assert open_cms(octets)[:2] == (how, within)


def test_what_unpacks_without_end_is_cut() -> None:
    opened = open_cms(packed(bytes(65 << 20)))
    assert (len(opened.octets), opened.cut) == (64 << 20, True)


@pytest.mark.parametrize(
    "octets", [b"\x30\x80" * MAX_ELEMENTS, b"\x30\x80" + b"\5\0" * MAX_ELEMENTS, b"\x24\x80\x24\x80" * 50]
)
def test_elements_without_end_are_left(octets: bytes) -> None:
    assert open_cms(octets).how == "unknown"


@given(st.binary(max_size=300), st.integers(0, 120), st.binary(max_size=4))
def test_it_never_raises(noise: bytes, at: int, change: bytes) -> None:
    whole = signed(held(b"Subject: x"))
    for octets in (noise, whole[:at] + change + whole[at + len(change) :], b"\x30\x80" + noise):
        assert open_cms(octets).how in ("signed", "packed", "locked", "unknown")


def test_names() -> None:
    assert inner_name("offer.pdf.p7m") == "offer.pdf"
    assert inner_name("smime.p7m") == ""
    assert inner_name("") == ""


def test_keys_and_signatures_are_no_messages() -> None:
    assert is_pgp_message(b"\r\n-----BEGIN PGP MESSAGE-----\r\n", "")
    assert is_pgp_message(b"\x85\x01", "a.PGP")
    assert not is_pgp_message(b"-----BEGIN PGP SIGNATURE-----", "a.gpg")
    assert not is_pgp_message(b"-----BEGIN PGP PUBLIC KEY BLOCK-----", "key.asc")

"""Outside cases of address syntax, read as a From field (RFC 5322 §3.4)."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from conftest import outside_data
from gatepost.mail.author import authors
from gatepost.mail.message import Message

# About what may stand around an address on its own; in a header these line ends belong to the field.
FRAMING = ("ISEMAIL_ERR_FWS_CRLF_END", "ISEMAIL_ERR_FWS_CRLF_X2")
# A quoted pair beyond ASCII, which RFC 6532 §3.2 has allowed since the cases were written.
SINCE_ALLOWED = ('"test\\©"@iana.org',)


def control(character: str) -> str:
    return chr(ord(character) - 0x2400) if 0x2400 <= ord(character) <= 0x2421 else character


def cases() -> list[tuple[str, str, str]]:
    root = ET.parse(outside_data("address-syntax") / "tests.xml").getroot()
    return [
        (
            "".join(map(control, test.findtext("address") or "")),
            test.findtext("category") or "",
            test.findtext("diagnosis") or "",
        )
        for test in root.iter("test")
    ]


@pytest.mark.parametrize(("address", "category", "diagnosis"), cases())
def test_address_in_from(address: str, category: str, diagnosis: str) -> None:
    found = authors(Message.parse(b"From: " + address.encode() + b"\r\n\r\n"))
    if category == "ISEMAIL_ERR" and diagnosis not in FRAMING and address not in SINCE_ALLOWED:
        assert found.addresses == ()
        assert found.domain is None
    elif category in ("ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321", "ISEMAIL_CFWS"):
        assert len(found.addresses) == 1

"""Addresses as an envelope path may hold them, held against other people's cases and our own."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conftest import outside_data
from gatepost.mail.address import Address, normal_domain, parse_address, printable


def test_isemail_cases_are_judged_as_envelope_paths():
    tree = ElementTree.parse(outside_data("address-syntax") / "tests.xml")
    wrong, seen = [], 0
    for case in tree.getroot().iter("test"):
        written = case.findtext("address") or ""
        text = re.sub("[\u2400-\u241f]", lambda match: chr(ord(match[0]) - 0x2400), written)
        category = case.findtext("category", "").removeprefix("ISEMAIL_").removesuffix("_CATEGORY")
        good = category in {"VALID", "RFC5321", "DNSWARN"}
        seen += 1
        if (parse_address(text) is not None) != good:
            wrong.append((case.get("id"), case.findtext("diagnosis"), text))
    assert seen == 164
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("Ana@Example.NET", "Ana", "example.net"),
        ('"a b"@example.net', "a b", "example.net"),
        ('"a\\"\\\\b"@example.net', 'a"\\b', "example.net"),
        ('"ana"@example.net', "ana", "example.net"),
        ("ana@[192.0.2.1]", "ana", "[192.0.2.1]"),
        ("ana@[ipv6:2001:DB8:0:0::1]", "ana", "[IPv6:2001:db8::1]"),
        ("x@_dmarc_host.example.net", "x", "_dmarc_host.example.net"),
        ('"a@b"@example.net', "a@b", "example.net"),
    ],
)
def test_normal_form(text, local, domain):
    assert parse_address(text) == Address(local, domain)


@pytest.mark.parametrize(
    "text",
    [
        "ana@example.net(comment)",
        "<ana@example.net>",
        "ana@example.net ",
        "a@b@example.net",
        "ana@[IPv6:fe80::1%eth0]",
        "ana@[192.0.2.01]",
        "ana@[x400:y]",
        "ana@[\u0661.2.3.4]",
        "@relay.example:ana@example.net",
        "ana@exam\u0130ple.net",
        "ana\x00@example.net",
        "ana@example.net\n",
        "postmaster",
    ],
)
def test_refused_in_a_path(text):
    assert parse_address(text) is None


def test_code_points_beyond_ascii_need_smtputf8():
    assert parse_address("jörg@bücher.example") is None
    assert parse_address("jörg@bücher.example", smtputf8=True) == Address("jörg", "xn--bcher-kva.example")
    assert parse_address("x@straße.example", smtputf8=True) == Address("x", "xn--strae-oqa.example")
    assert parse_address('"jö rg"@bücher.example', smtputf8=True) == Address("jö rg", "xn--bcher-kva.example")
    assert parse_address("ana@ＥＸＡＭＰＬＥ．net", smtputf8=True) == Address("ana", "example.net")


@pytest.mark.parametrize(
    "text",
    [
        "a\u202eb@example.net",
        "a\x85b@example.net",
        "a\udc80b@example.net",
        "a\u2028b@example.net",
        "ö" * 33 + "@example.net",
    ],
)
def test_smtputf8_local_parts_that_deceive_or_overflow(text):
    assert parse_address(text, smtputf8=True) is None


def test_the_domain_length_counts_after_idna():
    assert parse_address("a@" + ".".join(["ü" * 20] * 10), smtputf8=True) is None


def test_key_is_the_same_mailbox_however_written():
    one = parse_address("JÖRG@Bücher.Example", smtputf8=True)
    two = parse_address("jo\u0308rg@xn--bcher-kva.example", smtputf8=True)
    assert one is not None
    assert two is not None
    assert one.key == two.key
    assert Address("Ana", "example.net").key == "ana@example.net"


def test_postmaster_has_no_domain():
    assert str(Address("postmaster", "")) == "postmaster"


def test_str_never_breaks_a_line():
    assert str(Address("a\r\nRCPT TO:<b", "example.net")).isprintable()


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20))
def test_str_reads_back(local):
    address = Address(local, "example.net")
    assert parse_address(str(address)) == address


@given(st.text(max_size=300), st.booleans())
@example("@" * 300, True)
def test_anything_gives_an_address_that_reads_back_or_none(text, smtputf8):
    address = parse_address(text, smtputf8=smtputf8)
    if address is not None:
        again = parse_address(str(address), smtputf8=smtputf8)
        assert again == address


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Example.NET.", "example.net"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("example。net", "example.net"),
        ("", None),
        (".", None),
        ("a..b", None),
        ("-a.example", None),
        ("a\u2100b.example", None),
        ("a b.example", None),
        ("x" * 64 + ".example", None),
        ("ex\u00adample.net", None),
    ],
)
def test_normal_domain(text, normal):
    assert normal_domain(text) == normal


@given(st.text(max_size=300))
def test_normal_domain_is_its_own_normal_form(text):
    normal = normal_domain(text)
    if normal is not None:
        assert normal_domain(normal) == normal


def test_printable_shows_what_hides():
    assert printable("a\r\nb\x1b[2J") == "a\\x0d\\x0ab\\x1b[2J"
    assert printable("fd\u202ecod.exe") == "fd\\u202ecod.exe"
    assert printable("a\u200bb\u3164c\U000e0041") == "a\\u200bb\\u3164c\\U000e0041"
    assert printable("Grüße 日本") == "Grüße 日本"
    assert printable("x" * 300) == "x" * 197 + "..."
    assert printable("xyz", 2) == ".."


@given(st.text(st.characters(), max_size=400), st.integers(0, 250))
def test_printable_is_bounded_and_printable(text, limit):
    safe = printable(text, limit)
    assert len(safe) <= limit
    assert safe.isprintable()

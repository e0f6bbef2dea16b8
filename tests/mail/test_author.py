"""Who a message says wrote it: never an author other than the one a reader sees."""

from __future__ import annotations

import time
from email import message_from_string
from email.header import decode_header, make_header
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.address import Address, normal_domain
from gatepost.mail.author import authors, displayed_author, message_id, subject_text
from gatepost.mail.message import Message


def of(*lines: bytes | str) -> Message:
    octets = b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines)
    return Message.parse(octets + b"\r\nbody\r\n")


ONE_AUTHOR = {
    "ana@example.com": ("ana", "example.com", ""),
    "<ana@example.com>": ("ana", "example.com", ""),
    "Ana <ana@Example.COM>": ("ana", "example.com", "Ana"),
    "Ana B. Example <ana@example.com>": ("ana", "example.com", "Ana B. Example"),
    '"Example, Ana" <ana@example.com>': ("ana", "example.com", "Example, Ana"),
    "ana@example.com (Ana)": ("ana", "example.com", "Ana"),
    "(a (nested) comment) ana@example.com": ("ana", "example.com", "a (nested) comment"),
    "=?utf-8?q?J=C3=B6rg?= <j@example.com>": ("j", "example.com", "Jörg"),
    "=?utf-8?b?SsO2?= =?utf-8?b?cmc=?= <j@example.com>": ("j", "example.com", "Jörg"),
    "=?iso-8859-1?q?J=F6rg?= Meier <j@example.com>": ("j", "example.com", "Jörg Meier"),
    "Jörg <jörg@bücher.example>": ("jörg", "xn--bcher-kva.example", "Jörg"),
    '"john doe"@example.com': ("john doe", "example.com", ""),
    "ana@example.com <ana@example.com>": ("ana", "example.com", "ana@example.com"),
    ", ,ana@example.com,": ("ana", "example.com", ""),
    '"bob@other.example via List" <list@example.com>': ("list", "example.com", "bob@other.example via List"),
    "Ana\r\n\t<ana@example.com>": ("ana", "example.com", "Ana"),
    "=?utf-8?q?Ana_=28ana=40example=2Ecom=29?= <ana@example.com>": ("ana", "example.com", "Ana (ana@example.com)"),
}  # fmt: skip


@pytest.mark.parametrize("value", ONE_AUTHOR)
def test_one_author(value: str) -> None:
    local, domain, name = ONE_AUTHOR[value]
    found = authors(of(f"From: {value}"))
    assert found.problems == ()
    assert found.domain == domain
    assert found.addresses == (Address(local, domain),)
    assert found.display_names == (name,)


def test_several_addresses_of_one_domain_are_judged_by_it() -> None:
    found = authors(of("From: Ana <ana@example.com>, ben@EXAMPLE.com"))
    assert found.domain == "example.com"
    assert [address.local for address in found.addresses] == ["ana", "ben"]


NO_ONE_AUTHOR: dict[str, tuple[bytes | str, ...]] = {
    "no From at all": ("To: x@example.com",),
    "two fields": ("From: a@victim.example", "From: b@attacker.example"),
    "two fields of one domain": ("From: a@attacker.example", "From: b@attacker.example"),
    "two fields in two cases": ("From: b@attacker.example", "FROM: a@victim.example"),
    "two domains": ("From: a@victim.example, b@attacker.example",),
    "no address": ("From: victim",),
    "nothing": ("From:",),
    "only a name with an address": ('From: "ceo@victim.example"',),
    "address in an encoded word only": ("From: =?utf-8?q?ceo=40victim=2Eexample?=",),
    "hidden in an encoded word": (
        "From: =?utf-8?q?ceo=40victim=2Eexample?= <x@attacker.example>",
    ),
    "hidden in a split encoded word": (
        "From: =?utf-8?q?ceo=40victim?=\r\n =?utf-8?q?=2Eexample=2C?= <x@attacker.example>",
    ),
    "angle brackets in an encoded word": (
        "From: =?utf-8?b?PGNlb0B2aWN0aW0uZXhhbXBsZT4=?= <x@attacker.example>",
    ),
    "NUL in an encoded word": ("From: =?utf-8?q?ceo=00?= <x@attacker.example>",),
    "line end in an encoded word": ("From: =?utf-8?q?ceo=0D=0AFrom:?= <x@attacker.example>",),
    "encoded word as local part": (
        "From: =?utf-8?b?Y2VvQHZpY3RpbS5leGFtcGxlAA==?=@attacker.example",
    ),
    "blank before the colon": ("From : a@victim.example",),
    "a second From with a blank": ("From: b@attacker.example", "From : a@victim.example"),
    "a tab before the colon": ("From\t: a@victim.example",),
    "leading continuation": (" From: a@victim.example", "From: b@attacker.example"),
    "From behind a control character": ("\x0bFrom: a@victim.example", "From: b@attacker.example"),
    "From behind a zero-width space": ("\u200bFrom: a@victim.example", "From: b@attacker.example"),
    "bare CR in another field": (b"Subject: x\rFrom: a@victim.example", b"From: b@attacker.example"),
    "bare LF in another field": (b"Subject: x\nFrom: a@victim.example", b"From: b@attacker.example"),
    "bare CR in From": (b"From: a@victim.example\r <b@attacker.example>",),
    "NUL in From": (b"From: a@victim.example\0 <b@attacker.example>",),
    "NUL in a field's name": (b"From\0: a@victim.example", b"From: b@attacker.example"),
    "route": ("From: <@victim.example:b@attacker.example>",),
    "group": ("From: ceo@victim.example:b@attacker.example;",),
    "named group": ("From: Friends: b@attacker.example;",),
    "empty group": ("From: undisclosed:;",),
    "unquoted address before the brackets": ("From: ceo@victim.example <b@attacker.example>",),
    "address behind the brackets": ("From: <b@attacker.example> ceo@victim.example",),
    "two pairs of brackets": ("From: <ceo@victim.example> <b@attacker.example>",),
    "nested brackets": ("From: <<ceo@victim.example>b@attacker.example>",),
    "open bracket": ("From: <ceo@victim.example",),
    "brackets in a quoted name": ('From: "<ceo@victim.example>" <b@attacker.example>',),
    "brackets in a comment": ("From: (<ceo@victim.example>) b@attacker.example",),
    "open quote": ('From: "ceo@victim.example <b@attacker.example>',),
    "open comment": ("From: b@attacker.example (ceo@victim.example",),
    "comment inside the domain": ("From: b@victim.example(.)attacker.example",),
    "blank inside the domain": ("From: b@victim.example .attacker.example",),
    "at sign in a quoted local part": ('From: "ceo@victim.example"@attacker.example',),
    "bracket in a quoted local part": ('From: "ceo@victim.example>"@attacker.example',),
    "full-width at sign": ("From: ceo\uff20victim.example@attacker.example",),
    "override in the local part": ("From: \u202eceo@attacker.example",),
    "two at signs": ("From: ceo@victim.example@attacker.example",),
    "address literal": ("From: a@[192.0.2.1]",),
    "dot at the end": ("From: a@victim.example.",),
    "octets that are not UTF-8 in the domain": (b"From: a@victim\xff.example",),
    "too many fields": (*(f"X-{n}: y" for n in range(2001)), "From: b@attacker.example"),
}  # fmt: skip


@pytest.mark.parametrize("trick", NO_ONE_AUTHOR)
def test_not_exactly_one_author(trick: str) -> None:
    found = authors(of(*NO_ONE_AUTHOR[trick]))
    assert found.domain is None
    assert found.problems


def test_another_address_in_a_plain_name_is_remarked_upon() -> None:
    found = authors(of('From: "ceo@victim.example" <x@attacker.example>'))
    assert found.domain == "attacker.example"
    assert found.remarks == ("another address in the display name",)


def test_what_is_displayed() -> None:
    message = of(
        "From: =?utf-8?q?J=C3=B6rg?= <j@example.com>",
        "Subject: =?utf-8?b?R3LDvMOfZQ==?= =?utf-8?q?_aus?= Wien",
        "Message-ID:  <1@example.com> ",
    )
    assert displayed_author(message) == "Jörg <j@example.com>"
    assert subject_text(message) == "Grüße aus Wien"
    assert message_id(message) == "<1@example.com>"
    assert displayed_author(of("To: x")) == subject_text(of("To: x")) == message_id(of("To: x")) == ""


def test_displayed_text_is_printable_and_bounded() -> None:
    shown = displayed_author(of("From: =?utf-8?q?=1B[31m=E2=80=AEevil?= " + "x" * 5000))
    assert shown.isprintable()
    assert len(shown) == 300


@pytest.mark.parametrize(
    "charset", ["rot13", "zlib", "unicode_escape", "idna", "punycode", "hex", "nonesuch"]
)
def test_only_character_sets_decode(charset: str) -> None:
    assert subject_text(of(f"Subject: =?{charset}?q?abc\\x41?=")) == "abc\\x41"


BOMBS = {
    "a megabyte": b"a" * 1_000_000,
    "commas": b"," * 10_000 + b"a@example.com",
    "nested comments": b"(" * 32_000 + b")" * 32_000 + b"a@example.com",
    "open comments": b"(" * 65_000,
    "open quotes": b'"a' * 32_000,
    "brackets": b"<" * 65_000,
    "backslashes": b"\\" * 65_000,
    "at signs": b"@" * 65_000,
    "dots": b"a." * 32_000 + b"@example.com",
    "encoded words": b"=?utf-8?q?=40a=2Eb?= " * 3_000 + b"<a@example.com>",
    "broken encoded words": b"=?utf-8?q?" * 6_000,
    "addresses": b"<a@example.com>," * 4_000,
    "brackets in encoded words": b"<a@" * 20_000,
    "blanks": b"a" + b" " * 60_000 + b"b",
    "literals": b"[" * 65_000,
    "words": b"a " * 32_000,
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_take_little_time(bomb: str) -> None:
    message = of(b"From: " + BOMBS[bomb])
    start = time.process_time()
    found = authors(message)
    displayed_author(message)
    assert time.process_time() - start < 1.0  # measured: 0.1 s at most; quadratic would be minutes
    assert len(found.addresses) <= 100


PIECES = st.sampled_from(
    ["victim.example", "attacker.example", "a", "@", "<", ">", ",", ":", ";", '"', "(", ")", "\\", " ", ".",
     "=?utf-8?q?", "?=", "=40", "[", "]", "\x00", "\r", "\n", "\r\n ", "\u202e", "é", "\uff20"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30))
def test_never_raises_and_never_names_a_domain_the_field_does_not_show(pieces: list[str]) -> None:
    found = authors(of("From: " + "".join(pieces)))
    if found.domain is not None:
        assert all(address.domain == found.domain for address in found.addresses)
        assert found.domain in "".join(pieces).replace("\r\n ", "")
        assert found.field_count == 1


MAILBOXES = st.sampled_from(
    ["x@attacker.example", "<x@attacker.example>", "ceo@victim.example", "<ceo@victim.example>", " ", " ", ",",
     '"ceo@victim.example"', "=?utf-8?q?ceo=40victim.example?=", "=?utf-8?q?=3C?=", "Ceo", "(ceo@victim.example)", '"']
)  # fmt: skip
AROUND = st.lists(MAILBOXES | PIECES, max_size=2).map("".join)
VALUES = st.tuples(AROUND, st.sampled_from(["x@attacker.example", "<x@attacker.example>"]), AROUND).map(
    "".join
)
LINES = st.lists(VALUES, min_size=1, max_size=2)


@given(LINES, st.sampled_from(["From: ", "from:", "From : ", "X: ", " From: ", "\x0bFrom: "]))
def test_another_reader_finds_no_other_author(values: list[str], odd: str) -> None:
    """Python's own parser stands for the mail programs of the world."""
    lines = [("From: " if number % 2 else odd) + value for number, value in enumerate(values)]
    octets = ("\r\n".join(lines) + "\r\n\r\n").encode()
    found = authors(Message.parse(octets))
    if found.domain is None:
        return
    seen = [
        str(make_header(decode_header(value)))
        for value in message_from_string(octets.decode()).get_all("from", [])
    ]
    for _, address in getaddresses(seen):
        domain = address.rpartition("@")[2]
        assert not domain or "@" not in address or normal_domain(domain) == found.domain


@given(st.binary(max_size=300))
def test_any_octets(octets: bytes) -> None:
    message = Message.parse(b"From: " + octets + b"\r\nSubject: " + octets + b"\r\n\r\n")
    authors(message)
    assert displayed_author(message).isprintable()
    assert subject_text(message).isprintable()

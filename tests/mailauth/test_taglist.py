"""RFC 6376 §3.2: tag=value lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.taglist import TagError, parse_tags


def test_blanks_and_the_last_semicolon() -> None:
    assert parse_tags(" v = DKIM1 ;k=rsa; p= a b\t c ; n=;") == {
        "v": "DKIM1",
        "k": "rsa",
        "p": "a b\t c",
        "n": "",
    }


def test_values_may_hold_equals_signs_and_names_are_case_sensitive() -> None:
    assert parse_tags("p=aa==;P=b;x_1=c") == {"p": "aa==", "P": "b", "x_1": "c"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "a=1;;b=2",
        "a",
        "a=1;b",
        "=1",
        "1a=1",
        "a b=1",
        "a=1;a=2",
        "a=\0",
        "a=1\r\nb=2",
        "é=1",
        "a=1; ; ",
    ],
)
def test_ill_formed(text: str) -> None:
    assert isinstance(parse_tags(text), TagError)


def test_lenient_keeps_what_is_well_formed() -> None:
    assert parse_tags("v=DMARC1;; p=none; junk; rua=\0; p=reject; =x", lenient=True) == {
        "v": "DMARC1",
        "p": "none",
    }


def test_bounds() -> None:
    assert isinstance(parse_tags(";" * 1_000_000), TagError)
    assert isinstance(parse_tags(";" * 1_000, lenient=True), TagError)
    assert isinstance(parse_tags("a=" + "b" * 70_000, lenient=True), TagError)
    assert isinstance(parse_tags("a=" + "b" * 60_000), dict)


@given(st.text(alphabet="ab=; \t\r\n\0é_", max_size=60), st.booleans())
def test_never_raises(text: str, lenient: bool) -> None:
    tags = parse_tags(text, lenient=lenient)
    if isinstance(tags, dict):
        assert all(name and value == value.strip(" \t") for name, value in tags.items())

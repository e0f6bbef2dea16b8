"""Links that do one thing: forged, changed, ended and misused ones lead nowhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.access.links import LONGEST, Link, base64url, read, unbase64url, written

KEY = b"k" * 32
NOW = 1_750_000_000.0
LINK = Link(purpose="release", whose="ana@example.net", about=7, stamp=NOW - 5, ends_at=NOW + 60)


def test_a_link_says_what_it_was_made_for() -> None:
    token = written(LINK, KEY)
    assert read(token, KEY, now=NOW) == LINK
    assert all(one.isascii() and (one.isalnum() or one in "-_.") for one in token)


def test_it_ends() -> None:
    assert read(written(LINK, KEY), KEY, now=NOW + 59.9) == LINK
    assert read(written(LINK, KEY), KEY, now=NOW + 60) is None


def test_another_key_or_another_octet_is_no_link() -> None:
    token = written(LINK, KEY)
    assert read(token, b"K" * 32, now=NOW) is None
    for index in range(len(token)):
        other = "A" if token[index] != "A" else "B"
        assert read(token[:index] + other + token[index + 1 :], KEY, now=NOW) is None, index


def test_the_seal_of_one_link_fits_no_other() -> None:
    token = written(LINK, KEY)
    seal = token.partition(".")[2]
    for other in (
        replace(LINK, purpose="delete"),
        replace(LINK, about=8),
        replace(LINK, whose="ben@example.net"),
    ):
        told = written(other, KEY).partition(".")[0]
        assert read(f"{told}.{seal}", KEY, now=NOW) is None


@given(st.text(max_size=LONGEST + 10))
def test_no_text_is_a_link_or_raises(text: str) -> None:
    assert read(text, KEY, now=NOW) is None


@pytest.mark.parametrize("text", ["QQ==", "QR", "Q", "Q Q", "é"])
def test_one_spelling_only(text: str) -> None:
    with pytest.raises(ValueError):
        unbase64url(text)
    assert unbase64url(base64url(b"A")) == b"A"

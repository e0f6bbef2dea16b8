"""Folding: disguises come off, honest text of other scripts stays as it is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.rules.wording import WITHOUT_ACCENTS, disguised_words, folded


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("  Your\r\n Password\t", "your password"),
        ("Überweisung an Große", "uberweisung an grosse"),
        ("ＡＭＡＺＯＮ", "amazon"),
        ("𝐏𝐚𝐲𝐏𝐚𝐥", "paypal"),
        ("p\u200bay\u00adp\u2060al", "paypal"),
        ("раypal", "paypal"),  # Cyrillic р and а
        ("Пароль", "пароль"),  # a whole word of another script is that script
        ("お 支 払 い", "お支払い"),
        ("ガード", "ガード"),
    ],
)
def test_text_is_compared_as_a_person_reads_it(written: str, compared: str) -> None:
    assert folded(written) == compared


def test_disguised_words_are_counted_and_honest_ones_are_not() -> None:
    assert disguised_words("Your аccоunt is lосkеd") == 2
    assert disguised_words("Привет, Ana! Καλημέρα") == 0
    assert disguised_words("plain") == 0


@given(st.text(max_size=300))
def test_folding_is_stable_and_never_raises(text: str) -> None:
    once = folded(text)
    assert folded(once) == folded(folded(once))


def test_western_letters_are_folded_alike_whether_others_stand_beside_them() -> None:
    for code in range(256):
        alone = f"a{chr(code)}b"
        plain = unicodedata.normalize("NFKC", alone).casefold().translate(WITHOUT_ACCENTS).replace("\xad", "")
        assert folded(alone) == " ".join(plain.split()), hex(code)
        # A letter beyond Latin-1 in another word takes the other way through.
        assert folded(alone + " \u017e") == folded(f"{folded(alone)} z"), hex(code)

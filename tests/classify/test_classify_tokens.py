"""Words, chunks and 4-grams: where they begin and end, in scripts with and without blanks, and that hashes never change."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.classify.tokens import CHUNK, LONGEST, SHOUTED, Section, cut, hash_name


def words(*sections: Section) -> set[tuple[int, str]]:
    found = cut(sections)
    return {
        (int(place), found.text[start:end])
        for start, end, place in zip(found.starts, found.ends, found.places, strict=True)
    }


def test_words_are_lower_case_and_known_by_their_place() -> None:
    assert words(Section(1, "Hello World"), Section(2, "hello")) == {(1, "hello"), (1, "world"), (2, "hello")}
    found = cut([Section(1, "hello"), Section(2, "hello"), Section(1, "HELLO")])
    assert found.words[0] == found.words[2] != found.words[1]


def test_shouting_and_signs_are_told_apart_in_what_is_read() -> None:
    found = words(Section(1, "FREE money!! for $99, now.", read=True))
    assert {(1 + SHOUTED, "free"), (1 + CHUNK, "money!!"), (1 + CHUNK, "$99")} <= found
    assert (1 + CHUNK, "now") not in found
    assert (1 + SHOUTED, "money") not in found
    assert words(Section(1, "FREE money!!")) == {(1, "free"), (1, "money")}


def test_where_no_blanks_part_words_pairs_are_words() -> None:
    assert words(Section(1, "請求書。")) == {(1, "請求"), (1, "求書")}
    assert (1, "счет") in words(Section(1, "Счет на оплату"))


def test_digits_are_one_in_grams_and_themselves_in_words() -> None:
    one, other = (cut([Section(1, text, read=True)]) for text in ("code 123456", "code 987654"))
    assert np.array_equal(one.grams, other.grams)
    assert one.words[-1] != other.words[-1]


def test_hashes_stay_what_they_are() -> None:
    """Models and lessons keep them: a change here makes every model useless."""
    assert hash_name(1, "hello") == int(cut([Section(1, "hello")]).words[0]) == 0xBEC4DC3C
    assert cut([Section(1, "hello", read=True)]).grams.tolist() == GRAMS


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.text(), st.booleans()), max_size=6))
def test_any_text_is_cut(parts: list[tuple[int, str, bool]]) -> None:
    found = cut([Section(place, text, read=read) for place, text, read in parts])
    assert len(found.words) == len(found.starts) == len(found.ends) == len(found.places)
    assert (found.ends > found.starts).all()


def test_long_text_is_bounded() -> None:
    found = cut([Section(1, "abcdefg " * LONGEST, read=True), Section(2, "never")])
    assert len(found.text) <= LONGEST + 1
    assert 2 not in found.places


GRAMS = [3365353759, 2329914708, 1125096877, 3061346276]


def test_letters_that_grow_in_lower_case_do_not_outgrow_the_bound() -> None:
    found = cut([Section(1, "İstanbul " * LONGEST, read=True)])
    assert len(found.text) <= LONGEST + 1


@given(st.text(alphabet=st.characters(max_codepoint=255)), st.booleans())
def test_western_text_is_cut_alike_beside_any_other(text: str, read: bool) -> None:
    alone, beside = cut([Section(1, text, read=read)]), cut([Section(1, text, read=read), Section(2, "字")])
    assert np.array_equal(alone.words, beside.words)
    assert np.array_equal(alone.grams, beside.grams)
    assert alone.text == beside.text[: len(alone.text)]

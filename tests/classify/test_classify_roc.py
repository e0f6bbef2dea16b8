"""Figures of a classifier: checked by hand on few messages, and against the definition on many."""

from __future__ import annotations

from itertools import product
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.classify.roc import Scored, drawn, figures

SCORES = st.lists(st.floats(-12, 12), min_size=1, max_size=12)


def scored(ham: list[float], spam: list[float]) -> list[Scored]:
    return [
        Scored(spam=kind, score=score, probability=0.9 if score > 0 else 0.1)
        for kind, scores in ((False, ham), (True, spam))
        for score in scores
    ]


def test_by_hand() -> None:
    found = figures(scored([-3.0, -2.0, 1.0, -1.0], [2.0, 3.0, 0.5, 4.0]))
    assert found.auc == 15 / 16
    assert found.one_minus_roca == pytest.approx(100 / 16)
    strict = found.at[0]
    assert (strict.threshold, strict.missed) == (1.0, 0.25)
    assert strict.low <= strict.missed <= strict.high
    assert [(one.number, one.was) for one in found.calibration] == [(3, 0.0), (5, 0.8)]
    assert found.brier == pytest.approx((3 * 0.01 + 4 * 0.01 + 0.81) / 8)


def test_where_more_may_be_lost_less_is_missed() -> None:
    ham = [number / 100 for number in range(1000)]
    spam = [5 + number / 100 for number in range(1000)]
    at = figures(scored(ham, spam)).at
    assert [one.missed for one in at] == sorted((one.missed for one in at), reverse=True)
    for one in at:
        assert sum(score > one.threshold for score in ham) / len(ham) <= one.lost


@settings(max_examples=25, deadline=None)
@given(SCORES, SCORES)
def test_the_area_is_the_chance_that_spam_scores_higher(ham: list[float], spam: list[float]) -> None:
    wins = sum((bad > good) + (bad == good) / 2 for good, bad in product(ham, spam))
    assert figures(scored(ham, spam)).auc == pytest.approx(wins / (len(ham) * len(spam)))


def test_one_kind_alone_says_nothing() -> None:
    with pytest.raises(ValueError, match="both"):
        figures(scored([1.0], []))


def test_the_curve_is_a_picture_with_its_title_as_text() -> None:
    root = ElementTree.fromstring(drawn(scored([-3.0, -2.0, 1.0], [2.0, 3.0, 0.5]), 'a "fresh" <model>'))
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert 'a "fresh" <model>' in texts
    (line,) = root.iter("{http://www.w3.org/2000/svg}polyline")
    assert len(line.attrib["points"].split()) == 6

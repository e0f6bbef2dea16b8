"""The model: what it learns, that it can forget, that snapshots hold and garbage is told, that nobody turns it alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.classify.calibration import JUNK_AT, Calibration, calibrated
from gatepost.classify.features import Features, features
from gatepost.classify.model import Lesson, SiteModel, Unreadable, UserLayer, train
from gatepost.mail.content import content_of
from gatepost.mail.message import Message

GOOD = [
    "meeting",
    "budget",
    "report",
    "thanks",
    "regards",
    "review",
    "draft",
    "schedule",
    "agenda",
    "minutes",
    "project",
    "team",
    "lunch",
    "colleague",
]
BAD = [
    "winner",
    "prize",
    "claim",
    "lottery",
    "pills",
    "casino",
    "bonus",
    "unlimited",
    "guaranteed",
    "cash",
    "offer",
    "urgent",
    "wire",
    "transfer",
]
BOTH = ["the", "and", "you", "for", "with", "this", "that", "have", "from", "please", "our", "will"]


def of(subject: str, text: str, *more: bytes) -> Features:
    lines = [b"From: Ana <ana@example.org>", b"To: ben@example.net", b"Subject: " + subject.encode(), *more]
    message = Message.parse(b"\r\n".join([*lines, b"", text.encode(), b""]))
    return features(content_of(message), message)


def lesson(number: int, *, spam: bool) -> Lesson:
    chance = np.random.default_rng((number, spam))
    own, other = (BAD, GOOD) if spam else (GOOD, BAD)
    some = [*chance.choice(own, 6), *chance.choice(other, 1), *chance.choice(BOTH, 12)]
    return of(str(chance.choice(own)), " ".join(map(str, some))), spam


LESSONS = [lesson(number, spam=spam) for number in range(120) for spam in (False, True)]
UNSEEN = [lesson(number, spam=spam) for number in range(1000, 1100) for spam in (False, True)]


@pytest.fixture(scope="module")
def model() -> SiteModel:
    return train(LESSONS)


def test_it_tells_what_it_was_taught(model: SiteModel) -> None:
    for found, spam in UNSEEN:
        opinion = model.opinion(found)
        assert opinion.ready
        assert (opinion.probability > 0.5) == (opinion.log_odds > 0) == spam


def test_the_words_that_decided_are_shown(model: SiteModel) -> None:
    said = dict(model.opinion(of("lottery", "claim your prize")).words)
    assert said["prize"] > 1
    assert said["subject: lottery"] > 1


def test_the_same_lessons_make_the_same_model(model: SiteModel) -> None:
    assert train(LESSONS).to_bytes() == model.to_bytes()


def test_one_kind_alone_or_nothing_is_no_opinion_that_counts() -> None:
    assert not SiteModel().opinion(LESSONS[0][0]).ready
    only = train([one for one in LESSONS if one[1]])
    assert not only.opinion(LESSONS[0][0]).ready


def test_a_snapshot_is_the_model(model: SiteModel) -> None:
    again = SiteModel.from_bytes(model.to_bytes())
    assert isinstance(again, SiteModel)
    for found, _ in UNSEEN[:10]:
        assert again.opinion(found) == model.opinion(found)


@settings(deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_garbage_is_told_as_such(octets: bytes, marked: bool) -> None:
    assert isinstance(SiteModel.from_bytes((b"GPM4" if marked else b"") + octets), Unreadable)
    found = UserLayer.from_bytes(octets)
    assert isinstance(found, Unreadable) == bool(len(octets) % 8)


def test_a_damaged_snapshot_is_told_as_such(model: SiteModel) -> None:
    octets = model.to_bytes()
    assert isinstance(SiteModel.from_bytes(octets[:-20]), Unreadable)
    assert isinstance(SiteModel.from_bytes(octets[:20] + b"\xff" * 8 + octets[28:]), Unreadable)


def test_features_can_be_kept() -> None:
    found = of("hello", "some words here")
    again = Features.from_bytes(found.to_bytes())
    assert again is not None
    assert np.array_equal(again.words, found.words)
    assert np.array_equal(again.grams, found.grams)
    assert Features.from_bytes(b"abc") is None
    assert Features.from_bytes(b"\xff\xff\xff\xff") is None


def test_a_lesson_taken_back_counts_no_more() -> None:
    fresh = train(LESSONS)
    before = fresh.opinion(UNSEEN[0][0])
    strange = of("zebra", "zebra quagga okapi")
    fresh.learn(strange, True)
    assert fresh.opinion(strange).log_odds > 0
    fresh.unlearn(strange, True)
    assert fresh.learnt == [120, 120]
    assert fresh.opinion(UNSEEN[0][0]).log_odds == pytest.approx(before.log_odds, abs=0.5)


def test_one_lesson_however_strong_turns_nothing() -> None:
    fresh = train(LESSONS)
    fresh.learn(UNSEEN[0][0], True, 1e9)
    wrong = sum((fresh.opinion(found).log_odds > 0) != spam for found, spam in UNSEEN)
    assert wrong <= 4


def wrong(model: SiteModel) -> int:
    return sum((model.opinion(found).log_odds > 0) != spam for found, spam in UNSEEN)


@pytest.mark.parametrize("lie", [False, True])
def test_lessons_of_less_weight_do_not_outweigh_those_before_them(lie: bool) -> None:
    lies = [(found, lie) for found, spam in UNSEEN if spam is not lie][:60]
    weights = [1.0] * len(LESSONS) + [0.4] * len(lies)
    assert wrong(train([*LESSONS, *lies], weights=weights)) == 0
    fresh = train(LESSONS)
    for found, spam in lies:
        fresh.learn(found, spam, 0.4)
    assert wrong(fresh) == 0


def test_where_nobody_says_more_lessons_of_less_weight_make_a_calibrated_model(model: SiteModel) -> None:
    weak = train(LESSONS, weights=[0.3] * len(LESSONS))
    assert weak.calibration != Calibration()
    assert wrong(weak) == wrong(model) == 0


@pytest.mark.parametrize("few", [False, True])
def test_much_of_one_kind_and_little_of_the_other_does_not_lean_to_one_side(few: bool) -> None:
    some = [one for one in LESSONS if one[1] is not few] + [one for one in LESSONS if one[1] is few][:6]
    assert wrong(train(some)) <= len(UNSEEN) // 20


def test_dates_and_headers_of_the_time_are_no_features() -> None:
    plain = of("hello", "some words")
    marks = (
        b"Date: Mon, 1 Jan 2024 00:00:00 +0000", b"DKIM-Signature: v=1; d=example.org", b"List-Id: <x.example.org>",
        b"X-Mailer: Something 3", b"Received: from a by b", b"Precedence: bulk", b"ARC-Seal: i=1",
    )  # fmt: skip
    assert np.array_equal(of("hello", "some words", *marks).words, plain.words)


def test_a_person_sees_their_own_lessons_a_little(model: SiteModel) -> None:
    layer = UserLayer()
    found = of("zebra", "zebra quagga okapi")
    before = model.opinion(found).log_odds
    for _ in range(1000):
        layer.learn(found, True)
    after = model.opinion(found, layer).log_odds
    assert before < after
    assert layer.shift(found) <= UserLayer.LIMIT
    again = UserLayer.from_bytes(layer.to_bytes())
    assert isinstance(again, UserLayer)
    assert again.shift(found) == pytest.approx(layer.shift(found), rel=1e-4)


def test_one_ham_in_a_thousand_reaches_junk() -> None:
    chance = np.random.default_rng(3)
    spam = np.arange(20_000) % 2 == 0
    bayes, logistic = (np.where(spam, 3.0, -3.0) + chance.normal(0, 1.8, len(spam)) for _ in range(2))
    learnt = calibrated(bayes[:8000], logistic[:8000], spam[:8000])
    evidence = [
        learnt.evidence(learnt.log_odds(learnt.joint(one, other)))
        for one, other in zip(bayes[8000:], logistic[8000:], strict=True)
    ]
    lost = np.mean(np.array(evidence)[~spam[8000:]] >= JUNK_AT)
    assert 0.0001 <= lost <= 0.003


FOOTER = "_" * 40 + "\r\n" + " ".join(GOOD) + " http://list.example.net/info\r\n"


def test_a_footer_does_not_excuse_the_text_above_it(model: SiteModel) -> None:
    text = " ".join([*BAD[:6], *BOTH])
    alone, below = of("claim", text), of("claim", f"{text}\r\n{FOOTER}")
    assert len(below.footer_words) > len(GOOD)
    assert not set(below.words.tolist()) & set(below.footer_words.tolist())
    assert model.opinion(below).log_odds == pytest.approx(model.opinion(alone).log_odds, abs=0.5)
    assert model.opinion(below).log_odds > 0


def test_a_footer_can_speak_against_it(model: SiteModel) -> None:
    text = " ".join(BOTH)
    alone, below = of("hello", text), of("hello", f"{text}\r\n-- \r\n{' '.join(BAD * 3)}")
    assert model.opinion(below).log_odds > model.opinion(alone).log_odds
    assert any(odds > 0 for _, odds in model.opinion(below).words)


def test_a_line_in_the_middle_of_a_long_text_begins_no_footer() -> None:
    text = "meeting\r\n" + "-" * 40 + "\r\n" + "budget report thanks\r\n" * 200
    assert not len(of("hello", text).footer_words)


def test_lessons_kept_before_footers_were_told_apart_are_still_read() -> None:
    found = of("hello", "budget report")
    kept = len(found.words).to_bytes(4, "little") + found.words.tobytes() + found.grams.tobytes()
    read = Features.from_bytes(kept)
    assert read is not None
    assert np.array_equal(read.words, found.words)
    assert np.array_equal(read.grams, found.grams)
    assert not len(read.footer_words)


def test_lessons_kept_before_the_manner_was_told_apart_are_still_read() -> None:
    found = of("hello", f"budget report\r\n{FOOTER}")
    parts = (found.words, found.grams, found.footer_words, found.footer_grams)
    kept = b"".join(len(one).to_bytes(4, "little") for one in parts) + b"".join(
        one.tobytes() for one in parts
    )
    read = Features.from_bytes(kept)
    assert read is not None
    assert np.array_equal(read.footer_words, found.footer_words)
    assert np.array_equal(read.grams, found.grams)
    assert not len(read.manner)


def test_what_is_kept_of_a_message_is_read_back_whole() -> None:
    found = of("hello", f"budget report\r\n{FOOTER}")
    read = Features.from_bytes(found.to_bytes())
    assert read is not None
    for name in ("words", "grams", "footer_words", "footer_grams", "manner"):
        assert np.array_equal(getattr(read, name), getattr(found, name)), name


def test_how_much_wanted_mail_may_be_called_junk_is_the_sites_choice() -> None:
    chance = np.random.default_rng(5)
    spam = np.arange(4000) % 2 == 1
    bayes, logistic = chance.normal(spam * 5.0 - 2.5, 2.0), chance.normal(spam * 4.0 - 2.0, 2.0)
    caught = []
    for lost in (0.0005, 0.001, 0.01):
        made = calibrated(bayes, logistic, spam, lost)
        evidence = np.array(
            [made.evidence(made.log_odds(made.joint(*one))) for one in zip(bayes, logistic, strict=True)]
        )
        junk = evidence >= JUNK_AT
        assert junk[~spam].mean() <= 3 * lost
        caught.append(junk[spam].mean())
    assert caught[0] < caught[1] < caught[2]

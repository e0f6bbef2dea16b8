"""The classifier's opinion as a fact: measured, bounded, and silent until it has learnt enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from drive import drive
from gatepost.checks.content.spam import SPAM, SpamSettings, judged, share
from gatepost.checks.run import Configured
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide
from gatepost.tools import Opinion
from judging import mail


@dataclass
class Thinks:
    """Tools with a model of one opinion."""

    said: Opinion | None

    @property
    def model(self) -> Thinks:
        return self

    def opinion(self, mail: Mail) -> Opinion | None:
        return self.said


def opinion(log_odds: float, *, ready: bool = True, words: tuple[tuple[str, float], ...] = ()) -> Opinion:
    probability = 1 / (1 + 2.718281828 ** (-log_odds))
    return Opinion(probability=probability, log_odds=log_odds, learnt=(400, 300), ready=ready, words=words)


def found(said: Opinion | None) -> Finding:
    found: Sequence[Finding] = drive(judged(mail(), Thinks(said), SpamSettings()))  # type: ignore[arg-type]
    return found[0]


def action(finding: Finding) -> Action:
    policy = assemble(PolicySettings(), [Configured(SPAM, SpamSettings())]).default
    return decide([finding], policy).action


def test_mail_it_is_sure_of_goes_to_junk_and_never_further_by_itself() -> None:
    finding = found(opinion(11.9))
    assert finding.name == "spam.opinion"
    assert action(finding) is Action.JUNK
    assert finding.evidence["probability"] == pytest.approx(0.999993, abs=1e-6)
    assert "over 99.9 %" in finding.text
    assert (finding.evidence["wanted"], finding.evidence["unwanted"]) == (400, 300)


def test_what_it_finds_wanted_speaks_for_the_mail_within_bounds() -> None:
    finding = found(opinion(-11.9))
    assert finding.evidence["log_odds"] == -SpamSettings().in_favour_at_most
    assert "wanted mail" in finding.text


def test_an_undecided_opinion_says_so() -> None:
    assert "could be either (55 % unwanted)" in found(opinion(0.2)).text


def test_until_it_has_learnt_enough_it_weighs_nothing_and_says_what_it_has_learnt() -> None:
    finding = found(opinion(11.9, ready=False))
    assert finding.name == "spam.learning"
    assert "400 wanted and 300 unwanted" in finding.text
    assert action(finding) is Action.DELIVER
    assert found(None).name == "spam.learning"


def test_the_words_stand_in_the_evidence_printable_and_not_in_the_sentence_a_sender_may_read() -> None:
    many = tuple((f"word\x1b[31m{number}", 9.0 - number / 10) for number in range(30))
    finding = found(opinion(5.0, words=(*many, ("meeting", -3.0))))
    words = finding.evidence["words"]
    assert isinstance(words, list)
    assert len(words) == 9
    assert words[-1] == "meeting (-3.0)"
    assert "\x1b" not in "".join(words)
    assert "word" not in finding.text


@pytest.mark.parametrize(
    ("probability", "words"),
    [(1.0, "over 99.9 %"), (0.0, "under 0.1 %"), (0.5, "50 %"), (0.987, "98.7 %"), (0.012, "1.2 %")],
)
def test_nothing_is_ever_quite_certain(probability: float, words: str) -> None:
    assert share(probability) == words

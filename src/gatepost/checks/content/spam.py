"""How likely is it unwanted, by what this site has taught? The classifier's opinion, with the words that decided.

The classifier measures; what it measures joins the other facts as log-odds, so it leads where it is sure and is silent
where it is not. Until it has learnt enough it only says how much is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.checks.check import BOTH_WAYS, Check, Emits
from gatepost.mail.address import printable
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.tools import Opinion, Tools

MANUAL = "operating guide, “Teaching the classifier”"
OPINION = Emits(
    name="spam.opinion",
    about="How likely the message is unwanted by what this site has taught, and the words that decided.",
    reference=MANUAL,
    weight=1.0,
    measured=True,
    group="content",
)
LEARNING = Emits(
    name="spam.learning",
    about="The classifier has not learnt enough yet to have an opinion that counts.",
    reference=MANUAL,
)
WORDS = 8
"""Words that are told, of each side at most so many."""
LONGEST_WORD = 40
UNDECIDED = 0.5
"""Log-odds that are no opinion either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamSettings:
    """The classifier, and how much its opinion may weigh."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce; whatever it says, it only observes until it has learnt enough."""
    against_at_most: float = 6.0
    """No opinion weighs more than this against a message: alone it goes to Junk, and another fact must join to hold it."""
    in_favour_at_most: float = 2.5
    """Nor more than this for one: nobody's familiar words excuse a forged sender or a bad link."""


async def judged(mail: Mail, tools: Tools, settings: SpamSettings) -> Sequence[Finding]:
    """One finding: the opinion, or how much is missing for one."""
    opinion = tools.model.opinion(mail)
    if opinion is None:
        return (LEARNING.found("the classifier has learnt nothing yet", {"wanted": 0, "unwanted": 0}),)
    wanted, unwanted = opinion.learnt
    learnt = {"wanted": wanted, "unwanted": unwanted}
    if not opinion.ready:
        text = (
            f"the classifier has learnt only {wanted:,} wanted and {unwanted:,} unwanted messages, "
            f"too few to judge by; so far it would give it {share(opinion.probability)}"
        )
        return (LEARNING.found(text, {**learnt, "probability": round(opinion.probability, 4)}),)
    weight = max(-settings.in_favour_at_most, min(settings.against_at_most, opinion.log_odds))
    evidence: dict[str, str | int | float | bool | list[str] | None] = {
        "log_odds": round(weight, 3),
        "probability": round(opinion.probability, 6),
        "words": [f"{printable(word, LONGEST_WORD)} ({odds:+.1f})" for word, odds in deciding(opinion)],
        **learnt,
    }
    return (OPINION.found(sentence(opinion), evidence),)


def sentence(opinion: Opinion) -> str:
    """The opinion in words. Not by which words: the sentence may stand in a refusal, which a spammer reads."""
    if abs(opinion.log_odds) < UNDECIDED:
        return f"by what was learnt here it could be either ({share(opinion.probability)} unwanted)"
    against = opinion.log_odds > 0
    what = "unwanted" if against else "wanted"
    chance = opinion.probability if against else 1 - opinion.probability
    return f"by what was learnt here it is {what} mail ({share(chance)})"


def deciding(opinion: Opinion) -> list[tuple[str, float]]:
    """The words that decided: at most WORDS for and as many against, the strongest first."""
    against = [one for one in opinion.words if one[1] > 0][:WORDS]
    in_favour = [one for one in opinion.words if one[1] < 0][:WORDS]
    return sorted((*against, *in_favour), key=lambda one: -abs(one[1]))


def share(probability: float) -> str:
    """A probability as people say it; nothing is ever quite certain."""
    percent = 100 * probability
    if percent >= 99.95:
        return "over 99.9 %"
    if percent < 0.05:
        return "under 0.1 %"
    return f"{percent:.1f} %" if percent < 10 or percent > 90 else f"{percent:.0f} %"


SPAM = Check(
    name="spam",
    subject=Mail,
    settings=SpamSettings,
    run=judged,
    ways=BOTH_WAYS,
    emits=(OPINION, LEARNING),
    asks=False,
)

"""History entries as JSON: the same when they come back, and small whoever the mail is for."""

from __future__ import annotations

from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action, Verdict, Weighed
from gatepost.store.json import decode_entry, encode
from gatepost.store.records import HistoryEntry, Judged
from store_samples import acceptance

SEEN = tuple(
    Weighed(Finding(f"check.fact{n}", f"sentence {n}", {"list": ["a", "b"]}), 1.0, Mode.ENFORCE, None)
    for n in range(20)
)
OTHERS = SEEN[:3]


def entry(*weighed: tuple[Weighed, ...]) -> HistoryEntry:
    from dataclasses import replace

    recipients = tuple(f"r{n}@example.net" for n in range(len(weighed)))
    plain = acceptance("R", at=1.0, recipients=recipients).entry
    judged = tuple(
        Judged(recipient=one, verdict=verdict(seen))
        for one, seen in zip(plain.envelope.recipients, weighed, strict=True)
    )
    return replace(plain, judged=judged)


def verdict(seen: tuple[Weighed, ...]) -> Verdict:
    return Verdict(
        action=Action.REFUSE, would_action=Action.REFUSE, rule="x", reason="y", score=1.0, weighed=tuple(seen)
    )


def test_whatever_was_weighed_for_each_comes_back() -> None:
    for weighed in ((), (SEEN,), (SEEN, SEEN), (SEEN, OTHERS, OTHERS, SEEN, (), (), SEEN), ((), SEEN)):
        one = entry(*weighed)
        assert decode_entry(encode(one)) == one


def test_a_thousand_recipients_do_not_cost_a_thousand_times_the_findings() -> None:
    assert len(encode(entry(*[SEEN] * 1000))) < 400 * 1000

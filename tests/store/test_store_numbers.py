"""What is counted by the hour, beside what a person would count in history."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action, Verdict, Weighed
from gatepost.store import history, numbers
from gatepost.store.records import HistoryEntry, Judged
from gatepost.store.store import Store
from store_samples import acceptance

HOUR = 3600.0
START = 500_000 * HOUR


def entry(
    number: int, action: Action, *findings: Finding, at: float, score: float = 0.0, ms: float = 10.0
) -> HistoryEntry:
    base = acceptance(f"{number:013d}", at=at).entry
    weighed = tuple(Weighed(one, 0.0, Mode.ENFORCE) for one in findings)
    verdict = Verdict(
        action=action,
        would_action=action,
        rule=f"because.{action.value}",
        reason="x",
        score=score,
        weighed=weighed,
    )
    judged = tuple(Judged(recipient=one, verdict=verdict) for one in base.envelope.recipients)
    return replace(base, judged=judged, milliseconds={"total": ms})


@pytest.fixture
def store(tmp_path: Path):
    return Store.open(tmp_path)


def keep(store: Store, *entries: HistoryEntry) -> None:
    async def work() -> None:
        for one in entries:
            await store.record(one)

    asyncio.run(work())


def test_hours_agree_with_history(store):
    actions = [Action.DELIVER, Action.JUNK, Action.REFUSE, Action.DELIVER]
    keep(store, *(entry(n, actions[n % 4], at=START + n * 977.0) for n in range(40)))
    counted = store.database.read(lambda c: numbers.by_hour(c, since=START, until=START + 11 * HOUR))
    looked = store.database.read(
        lambda c: history.counts(c, since=START, until=START + 11 * HOUR, step_s=HOUR)
    )
    assert counted == {(int(at // HOUR), kind, action): n for (at, kind, action), n in looked.items()}
    assert sum(counted.values()) == 40


def test_an_entry_that_was_not_kept_is_not_counted(store):
    keep(store, entry(1, Action.DELIVER, at=START))
    with pytest.raises(Exception):  # noqa: B017 - the reference is taken
        keep(store, entry(1, Action.DELIVER, at=START))
    assert store.database.read(lambda c: numbers.totals(c, "verdict", since=START, until=START + HOUR)) == {
        "message|deliver": 1
    }


def test_messages_that_share_a_commit_are_counted_one_by_one(store):
    many = [acceptance(f"{number:013d}", at=START + number) for number in range(30)]
    many[20] = replace(many[20], entry=replace(many[20].entry, ref=many[3].entry.ref))

    async def take() -> list[object]:
        return await asyncio.gather(*map(store.carry_out, many), return_exceptions=True)

    refused = [number for number, told in enumerate(asyncio.run(take())) if told is not None]
    assert refused == [20]
    assert store.database.read(lambda c: numbers.totals(c, "verdict", since=START, until=START + HOUR)) == {
        "message|deliver": 29
    }


def test_rules_scores_and_lists(store):
    asked = Finding("dnsbl.asked", "", {"lists": ["a.example", "b.example"]})
    listed = Finding("dnsbl.listed", "", {}, "a.example")
    friend = Finding("dmarc.pass", "", {}), Finding("correspondents.known", "", {})
    keep(
        store,
        entry(1, Action.JUNK, asked, listed, at=START, score=4.2),
        entry(2, Action.DELIVER, asked, listed, *friend, at=START, score=-99.0),
        entry(
            3, Action.DELIVER, asked, Finding("spam.opinion", "", {"log_odds": 1.75}), at=START, score=99.0
        ),
    )
    read = store.database.read
    window = {"since": START, "until": START + HOUR}
    assert read(lambda c: numbers.top_rules(c, **window, actions=[Action.JUNK])) == [("because.junk", 1)]
    assert read(lambda c: numbers.totals(c, "score", **window)) == {"4": 1, "-15": 1, "14.5": 1}
    assert read(lambda c: numbers.totals(c, "classifier", **window)) == {"1.5": 1}
    first, second = read(lambda c: numbers.lists(c, **window))
    assert (first.name, first.asked, first.hit, first.contradicted) == ("a.example", 3, 2, 1)
    assert (second.name, second.asked, second.hit) == ("b.example", 3, 0)


def test_the_classifiers_own_opinion_is_counted_and_not_what_the_settings_let_it_weigh(store):
    sure = Finding("spam.opinion", "", {"log_odds": 6.0, "probability": 0.9999})
    certain = Finding("spam.opinion", "", {"log_odds": -2.5, "probability": 0.0})
    young = Finding("spam.learning", "", {"probability": 0.9})
    keep(store, *(entry(n, Action.DELIVER, one, at=START) for n, one in enumerate((sure, certain, young))))
    counted = store.database.read(lambda c: numbers.totals(c, "classifier", since=START, until=START + HOUR))
    assert counted == {"9": 1, "-14": 1}


def test_percentiles_of_the_time_a_decision_took(store):
    keep(store, *(entry(n, Action.DELIVER, at=START, ms=8.0 if n < 95 else 900.0) for n in range(100)))
    (parts,) = store.database.read(lambda c: numbers.latency(c, since=START, until=START + HOUR)).values()
    assert parts == (10.0, 10.0, 1000.0)


def test_old_counters_go(store):
    keep(store, entry(1, Action.DELIVER, at=START), entry(2, Action.DELIVER, at=START + 5 * HOUR))
    asyncio.run(store.database.commit(lambda c: numbers.expire(c, before=START + HOUR, limit=100)))
    assert store.database.read(lambda c: numbers.totals(c, "verdict", since=0, until=START + 9 * HOUR)) == {
        "message|deliver": 1
    }


def test_history_from_before_is_counted_when_the_table_comes(store):
    keep(store, entry(1, Action.DELIVER, at=START), entry(2, Action.REFUSE, at=START))
    script = (Path(numbers.__file__).parent / "schema/0010_numbers.sql").read_text()

    def again(connection):
        before = connection.execute(
            "SELECT * FROM numbers WHERE what IN ('verdict', 'rule') ORDER BY 1, 2, 3"
        ).fetchall()
        connection.execute("DROP TABLE numbers")
        for statement in script.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        return before, connection.execute("SELECT * FROM numbers ORDER BY 1, 2, 3").fetchall()

    before, after = asyncio.run(store.database.commit(again))
    assert before == after

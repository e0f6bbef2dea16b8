"""What is found in history is what a person would find who reads all of it; and no look reads all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from gatepost.mail.finding import Finding
from gatepost.mail.verdict import Action, Verdict
from gatepost.store import history, searching
from gatepost.store.history import Cursor, Search
from gatepost.store.records import HistoryEntry, Judged
from gatepost.store.searching import find
from gatepost.store.store import Store
from store_samples import acceptance

NOW = 1_750_000_000.0
ACTIONS = (Action.DELIVER, Action.JUNK, Action.REFUSE)
SUBJECTS = (
    "Invoice 31",
    "RE: INVOICE",
    "Grüße aus KÖLN",
    "会議のお知らせ",
    "ＦＵＬＬ ｗｉｄｔｈ",
    "100%_",
    "",
)
SENDERS = ("sam@many.example", "eve@many.example", "ben@rare.example", "")


def entries() -> Iterator[HistoryEntry]:
    """Of every kind, several in the same moment."""
    for number in range(90):
        base = acceptance(
            f"{number:013d}", at=NOW + number // 2, sender=SENDERS[number % 3 if number % 29 else 3],
            recipients=("ana@example.net", "ben@example.net") if number % 4 else ("ann@example.org",),
            message_id=f"<{number % 40}@x>", client_ip=ip_address(f"192.0.2.{number % 5}"),
        ).entry  # fmt: skip
        verdict = Verdict(
            action=ACTIONS[number % 3], would_action=ACTIONS[number % 3], rule=f"rule.{number % 3}", reason="x",
            score=0.0, weighed=(),
        )  # fmt: skip
        judged = tuple(Judged(recipient=one, verdict=verdict) for one in base.envelope.recipients)
        account = "printer" if number % 10 == 0 else ""
        one = replace(
            base, judged=judged, subject=SUBJECTS[number % len(SUBJECTS)], client=replace(base.client, user=account or None)
        )  # fmt: skip
        if number % 11 == 0:
            one = replace(
                one, kind="attempt", judged=(), reply="550 no", findings=(Finding("hello.bad", "x", {}),)
            )
        yield one


CONDITIONS: dict[str, Any] = {
    "sender": "sam@many.example",
    "recipient": "ana@example.net",
    "client_ip": "192.0.2.3",
    "message_id": "<7@x>",
    "action": Action.REFUSE,
    "kind": "attempt",
    "rule": "rule.1",
    "subject": "invoice",
    "since": NOW + 20,
    "until": NOW + 30,
    "outgoing": True,
    "account": "Printer",
}
MORE = (
    {"sender": "@many.example"}, {"sender": "<>"}, {"recipient": "@example.net"}, {"recipient": "@EXAMPLE.ORG"},
    {"sender": "@rare.example", "action": Action.REFUSE}, {"sender": "@many.example", "recipient": "@example.org"},
    {"rule": "hello"}, {"rule": "ule"}, {"subject": "köln"}, {"subject": "お知"}, {"subject": "full width"}, {"subject": "0%_"},
    {"subject": "nothing"}, {"ref": "000000000001"}, {"ref": "000000000001", "action": Action.JUNK},
    {"recipient": "ana@example.net", "sender": "@many.example", "subject": "invoice", "until": NOW + 40},
)  # fmt: skip


def asked() -> list[dict[str, Any]]:
    """Nothing, each condition, and every two of them."""
    pairs = [dict(pair) for pair in combinations(CONDITIONS.items(), 2)]
    return [{}, *({name: value} for name, value in CONDITIONS.items()), *pairs, *MORE]


def fits(one: HistoryEntry, wanted: dict[str, Any]) -> bool:
    """As a person would read it."""
    sender, to = str(one.envelope.sender or ""), [str(each.address) for each in one.envelope.recipients]
    rules = {each.verdict.rule for each in one.judged} or {one.findings[0].name}
    subject = one.subject.replace("ＦＵＬＬ ｗｉｄｔｈ", "full width").lower()

    def address(text: str, typed: str) -> bool:
        return text.endswith(typed.lower()) if typed.startswith("@") else text == typed.strip("<>")

    tests = {
        "ref": one.ref.startswith,
        "sender": lambda value: address(sender, value),
        "recipient": lambda value: any(address(each, value) for each in to),
        "client_ip": lambda value: str(one.client.ip) == value,
        "message_id": lambda value: one.message_id == value,
        "action": lambda value: history.action_of(one) == value.value,
        "kind": lambda value: one.kind == value,
        "rule": lambda value: any(each.startswith(value) for each in rules),
        "subject": lambda value: value in subject,
        "since": lambda value: one.at >= value,
        "until": lambda value: one.at < value,
        "outgoing": lambda _: one.client.account != "",
        "account": lambda value: one.client.account == value.lower(),
    }
    return all(tests[name](value) for name, value in wanted.items())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """With all of them in it, and a few that came late."""
    store = Store.open(tmp_path_factory.mktemp("history"))

    async def fill() -> None:
        made = list(entries())
        for one in made[5:] + made[:5]:
            await store.record(one)

    asyncio.run(fill())
    yield store
    asyncio.run(store.close())


@pytest.mark.parametrize(("many", "at_once"), [(5000, searching.AT_ONCE), (5000, 10), (3, 10), (1, 1000)])
def test_pages_hold_all_that_fits_newest_first(
    store: Store, monkeypatch: pytest.MonkeyPatch, many: int, at_once: int
) -> None:
    monkeypatch.setattr(searching, "MANY", many)
    monkeypatch.setattr(searching, "STRETCHES", (2, 3))
    everything = sorted(entries(), key=lambda one: (-one.at, (int(one.ref) + 85) % 90 * -1))
    for wanted in asked():
        found: list[str] = []
        after: Cursor | None = None
        for _ in range(100):
            page = store.database.read(
                lambda c, w=wanted, a=after: find(c, Search(**w), limit=4, after=a, at_once=at_once)
            )
            found += [one.ref for one in page.entries]
            after = page.next
            if after is None:
                break
        assert after is None, wanted
        assert found == [one.ref for one in everything if fits(one, wanted)], wanted


def test_a_look_reads_so_many_and_says_how_far_it_got(store: Store) -> None:
    page = store.database.read(lambda c: find(c, Search(subject="nothing like it"), at_once=10))
    assert page.entries == ()
    assert page.until is not None
    assert page.next is not None
    assert page.until == page.next.at == NOW + 40, "ten of ninety, two in each second"
    whole = store.database.read(lambda c: find(c, Search(subject="nothing like it")))
    assert (whole.entries, whole.next, whole.until) == ((), None, None)


@pytest.mark.parametrize(
    "wanted", [one for one in asked() if one.keys() != {"ref"}], ids=lambda one: " ".join(one) or "nothing"
)
@pytest.mark.parametrize("many", [5000, 1])
def test_no_search_reads_a_table_from_end_to_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any], many: int
) -> None:
    monkeypatch.setattr(searching, "MANY", many)
    asked_of_sqlite: list[str] = []

    def look(connection: Any) -> list[str]:
        connection.set_trace_callback(asked_of_sqlite.append)
        find(connection, Search(**wanted), limit=5, after=Cursor(NOW + 40, 80), at_once=20)
        connection.set_trace_callback(None)
        plans = []
        for statement in asked_of_sqlite:
            plans += [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement)]
        return plans

    plans = store.database.read(look)
    walked = [one for one in plans if one.startswith("SCAN")]
    assert set(walked) <= {"SCAN (subquery-1)", "SCAN s", "SCAN g"}, plans
    assert "USE TEMP B-TREE FOR ORDER BY" not in plans or any(
        "SCAN" in one or "CO-ROUTINE" in one for one in plans
    )


def test_what_was_kept_before_is_searched_as_what_comes(store: Store) -> None:
    def again(connection: Any) -> tuple[list[Any], list[Any]]:
        before = connection.execute("SELECT * FROM history_gist ORDER BY at, id").fetchall()
        script = (Path(searching.__file__).parent / "schema/0013_gist.sql").read_text()
        connection.execute("DROP TABLE history_gist")
        connection.execute("CREATE INDEX history_at ON history (at)")
        for statement in script.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        return before, connection.execute("SELECT * FROM history_gist ORDER BY at, id").fetchall()

    before, after = asyncio.run(store.database.commit(again))
    assert before == after
    assert len(before) == 90

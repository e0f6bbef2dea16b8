"""Nobody holds the console: a read that takes too long is stopped and says so, and each person has one at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from desk_samples import Console, opened
from visiting import NOW, ORIGIN, RUNNER, csrf

from gatepost.access.rights import Right
from gatepost.office import apitokens, longreads
from gatepost.store import patience, quarantine
from gatepost.web.api.serving import Api
from gatepost.web.pages import messages as messages_page
from gatepost.web.pages import queue as queue_page

ENDLESS = (
    "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted) SELECT max(n) FROM counted"
)


def endless(connection: Any, *_: Any, **__: Any) -> Any:
    """As a query would be that reads a table without end."""
    return connection.execute(ENDLESS).fetchone()


@pytest.fixture
def console(tmp_path) -> Iterator[Console]:
    found = opened(tmp_path)
    yield found
    RUNNER.run(found.office.store.close())


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits a twentieth of a second only."""
    monkeypatch.setattr(patience.Patience, "__init__", lambda self, **_: short(self))


def short(self: Any) -> None:
    object.__setattr__(self, "quick_s", 0.05)
    object.__setattr__(self, "long_s", 0.05)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("path", ["/messages?subject=x", "/messages?q=sam%40example.org", "/messages"])
def test_a_search_without_end_is_stopped_and_says_what_to_do(console, monkeypatch, path):
    monkeypatch.setattr("gatepost.office.looking.find", endless)
    answer = console.browser("owner").get(path)
    assert answer.status_code == 503
    assert "That took too long" in answer.text
    assert "a shorter time" in answer.text
    monkeypatch.undo()
    assert console.browser("owner").get("/messages?subject=watches").status_code == 200


@pytest.mark.usefixtures("hurried")
def test_it_is_said_in_japanese(console, monkeypatch):
    monkeypatch.setattr("gatepost.office.looking.find", endless)
    browser = console.browser("owner")
    browser.cookies.set("gatepost-language", "ja")
    page = browser.get("/messages").text
    assert "時間がかかりすぎました" in page
    assert "条件を絞ってください" in page


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(("path", "where", "name"), [
    ("/quarantine?sender=a", quarantine, "search"), ("/quarantine", quarantine, "tally"), ("/queue", queue_page.queue, "listed"),
    ("/queue", queue_page.queue, "by_domain"), ("/privacy/journal?who=x", messages_page.journal, "read"),
])  # fmt: skip
def test_every_list_is_bounded(console, monkeypatch, path, where, name):
    monkeypatch.setattr(where, name, endless)
    assert "That took too long" in console.browser("owner").get(path).text


@pytest.mark.usefixtures("hurried")
def test_a_program_is_told_as_a_problem(console, monkeypatch):
    made = RUNNER.run(
        apitokens.make(console.office, console.actor("owner"), name="t", scopes=[Right.MESSAGES], expires_at=NOW + 9e4)
    )  # fmt: skip
    monkeypatch.setattr("gatepost.office.looking.find", endless)
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=Api(console.premises)), base_url=ORIGIN,
        headers={"authorization": f"Bearer {made.token}"},
    )  # fmt: skip
    answer = RUNNER.run(client.get("/v1/messages?sender=@example.org"))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"
    assert "Ask for less" in answer.json()["detail"]


def test_two_searches_of_one_person_come_one_after_the_other_and_another_person_does_not_wait(
    console, monkeypatch
):
    running, most, first, go_on = [0], [0], threading.Event(), threading.Event()
    find = messages_page.looking.find

    def counting(connection: Any, search: Any, **more: Any) -> Any:
        if search.sender != "@slow.example":
            return find(connection, search, **more)
        running[0] += 1
        most[0] = max(most[0], running[0])
        first.set()
        assert go_on.wait(20)
        running[0] -= 1
        return find(connection, search, **more)

    monkeypatch.setattr("gatepost.office.looking.find", counting)

    async def story() -> None:
        owner, pia = console.browser("owner")._client, console.browser("postmaster")._client
        slow = [asyncio.create_task(owner.get("/messages?sender=slow.example&after=1.0-1")) for _ in range(3)]
        await asyncio.to_thread(first.wait, 20)
        assert (await pia.get("/messages?subject=x")).status_code == 200
        go_on.set()
        assert [one.status_code for one in await asyncio.gather(*slow)] == [200, 200, 200]

    RUNNER.run(story())
    assert most == [1]


def test_who_waits_too_long_is_told_that_another_search_runs(console, monkeypatch):
    first, go_on = threading.Event(), threading.Event()
    find = messages_page.looking.find

    def slow(connection: Any, search: Any, **more: Any) -> Any:
        if search.subject == "slow":
            first.set()
            assert go_on.wait(20)
        return find(connection, search, **more)

    monkeypatch.setattr("gatepost.office.looking.find", slow)
    console.office.long_reads.wait_s = 0.01

    async def story() -> None:
        owner = console.browser("owner")._client
        begun = asyncio.create_task(owner.get("/messages?subject=slow"))
        await asyncio.to_thread(first.wait, 20)
        refused = await owner.get("/messages?subject=other")
        assert refused.status_code == 429
        assert "Another search runs" in refused.text
        go_on.set()
        assert (await begun).status_code == 200
        console.office.long_reads.wait_s = longreads.WAIT_S
        assert (await owner.get("/messages?subject=other")).status_code == 200

    RUNNER.run(story())


def test_a_second_export_waits_for_the_first(console):
    browser = console.browser("owner")
    form = {"csrf": csrf(browser.get("/messages").text), "since": ""}
    actor = console.actor("owner")
    with console.office.long_reads.exporting(actor):
        refused = browser.post("/messages/export", data=form, headers={"origin": ORIGIN})
        assert refused.status_code == 429
        assert "Another file is being made for you" in refused.text
    for _ in range(2):
        assert browser.post("/messages/export", data=form, headers={"origin": ORIGIN}).status_code == 200


def test_mail_reads_as_long_as_it_takes(console, monkeypatch):
    monkeypatch.setattr(patience, "STEPS", 1)
    steps = f"{ENDLESS.partition(') SELECT')[0]} LIMIT 1000000) SELECT count(*) FROM counted"
    monkeypatch.setattr(patience.Patience, "__init__", lambda self, **_: short(self))
    read = console.office.store.database.read
    assert read(lambda c: c.execute(steps).fetchone()) == (1_000_000,)

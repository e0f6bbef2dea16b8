"""The page that draws up a breach notice, as the data protection officer meets it; and the command."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from desk_samples import Console, opened
from visiting import NOW, ORIGIN, RUNNER, csrf

OFFICER = "data-protection-officer"


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Iterator[Console]:
    found = opened(tmp_path_factory.mktemp("breach"))
    yield found
    RUNNER.run(found.office.store.close())


def field(at: float) -> str:
    """As the browser's field gives it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_it_is_drawn_up_read_and_taken_along(desk, language):
    browser = desk.browser(OFFICER)
    browser.cookies.set("gatepost-language", language)
    page = browser.get("/privacy/breach")
    assert page.status_code == 200
    form = {
        "csrf": csrf(page.text),
        "incident": "account",
        "whose": "ana@example.net",
        "since": field(NOW - 7200),
    }
    queued = len(desk.office.store.queued())
    drawn = browser.post("/privacy/breach/draft", data=form, headers={"origin": ORIGIN})
    assert drawn.status_code == 200
    due = (datetime.fromtimestamp(NOW, UTC) + timedelta(hours=72)).strftime("%Y-%m-%d %H:%M UTC")
    assert due in drawn.text
    assert ("(Article 33(3)(a))" if language == "en" else "第33条第3項 (a)") in drawn.text
    assert "<li>ana@example.net</li>" in drawn.text
    file = browser.post("/privacy/breach/draft", data={**form, "as": "file"}, headers={"origin": ORIGIN})
    assert file.headers["content-disposition"] == 'attachment; filename="gatepost-breach-draft.md"'
    assert file.text.startswith("# ")
    assert "72" in file.text
    assert len(desk.office.store.queued()) == queued, "nothing is sent"
    assert desk.office.store.journal()[0].what == "breach draft account"


def test_what_is_missing_is_told_in_words(desk):
    browser = desk.browser(OFFICER)
    token = csrf(browser.get("/privacy/breach").text)
    for form, words in (({"incident": "account"}, "since when"), ({"incident": "account", "since": field(NOW - 60)}, "Name the account"),
                        ({"incident": "x", "since": field(NOW)}, "Say what happened"), ({"incident": "other", "since": "never"}, "is no date")):  # fmt: skip
        told = browser.post("/privacy/breach/draft", data={"csrf": token, **form}, headers={"origin": ORIGIN})
        assert told.status_code == 400
        assert words in told.text


def test_it_is_the_officers_alone(desk):
    for who in ("owner", "postmaster", "auditor", "ana"):
        assert desk.browser(who).get("/privacy/breach").status_code == 404

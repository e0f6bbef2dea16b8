"""Overview, Messages and the message page as answers of HTTP: rights, hostile words, exports, links out."""

from __future__ import annotations

import csv
import io

import pytest

from gatepost.mail.verdict import Action
from gatepost.web.pages.messages import csv_line
from web.desk_samples import Console, opened
from web.serving import letters
from web.visiting import RUNNER, Browser, csrf


@pytest.fixture(scope="module")
def console(tmp_path_factory) -> Console:
    found = opened(tmp_path_factory.mktemp("messages"))

    async def fill() -> None:
        for number, action in enumerate(Action):
            async for one in letters(f"{action.value.upper()}7", action, found.office.clock() - 60 * number):
                await found.office.store.carry_out(one)

    RUNNER.run(fill())
    return found


def test_the_headline_is_the_deciding_reason(console):
    page = console.browser("owner").get("/messages/REFUSE7").text
    assert page.index("Refused") < page.index("Deciding rule")
    assert "<code>dmarc.fail</code>" in page


@pytest.mark.parametrize("path", ["/messages", "/messages/DELIVER7", "/messages/QUARANTINE7", "/overview"])
def test_hostile_words_are_only_words(console, path):
    page = console.browser("owner").get(path).text
    assert "<script>window" not in page
    assert "<img src=x" not in page
    assert "49" not in page.partition("</title>")[0]


def test_the_help_desk_sees_no_subject(console):
    browser = console.browser("help-desk")
    listed, story = browser.get("/messages"), browser.get("/messages/DELIVER7")
    assert listed.status_code == story.status_code == 200
    assert "(not shown)" in listed.text
    assert (
        "window.hacked"
        not in listed.text.partition("Newest first")[2].replace("from", "").partition("(not shown)")[0]
    )
    assert browser.get("/messages?subject=hacked").text.count("(not shown)") == listed.text.count(
        "(not shown)"
    )


def test_wrong_filters_are_told(console):
    browser = console.browser("owner")
    assert "no IP address" in browser.get("/messages?client=nonsense").text
    assert "no date" in browser.get("/messages?since=yesterday").text
    for odd in (
        "/messages?after=1e9-1",
        "/messages?action=explode&kind=odd&hours=-5",
        "/messages?hours=99999999999",
        "/messages?q=" + "x" * 400,
    ):
        assert browser.get(odd).status_code == 200


def test_exports_take_the_right_and_are_on_record(console):
    browser = console.browser("owner")
    token = csrf(browser.get("/messages").text)
    answer = browser.post("/messages/export", data={"csrf": token, "action": "refuse"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0][0] == "time"
    assert [row[3] for row in rows[1:]] == ["refuse"]
    entry = console.office.store.journal(limit=1)[0]
    assert (entry.what, entry.why) == ("history export", "action refuse")
    assert console.browser("postmaster").get("/messages").text.count("Export as CSV") == 0


def test_an_old_proof_does_not_export(console):
    stale = Browser(console.app, console.tokens["owner"])
    token = csrf(stale.get("/messages").text)
    before = console.office.clock
    object.__setattr__(console.office, "clock", lambda: before() + 1200)
    try:
        answer = stale.post("/messages/export", data={"csrf": token, "back": "/messages"})
    finally:
        object.__setattr__(console.office, "clock", before)
    assert answer.headers["location"] == "/sign-in/again?next=/messages"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_cells_are_no_formulas(cell):
    assert csv_line([cell]).lstrip(b'"').startswith(b"'")


def test_a_line_holds_its_cells():
    assert list(csv.reader(io.StringIO(csv_line(['a"b', "c,d", "e\r\nf"]).decode(), newline=""))) == [
        ['a"b', "c,d", "e\r\nf"]
    ]


def test_the_safe_frame_has_a_policy_of_its_own(console):
    browser = console.browser("quarantine-manager")
    answer = browser.get("/messages/QUARANTINE7/preview/safe")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "evil.example/pixel" not in answer.text
    assert browser.get("/messages/DELIVER7/preview").status_code == 404
    for who in ("owner", "postmaster", "help-desk", "auditor"):
        assert console.browser(who).get("/messages/QUARANTINE7/preview/safe").status_code == 404, who


def test_a_look_is_on_record_for_its_owner(console):
    assert console.browser("quarantine-manager").get("/messages/QUARANTINE7/preview").status_code == 200
    entries = console.office.store.journal(subject="QUARANTINE7")
    assert "quarantine-manager@example.net" in {
        one.who for one in entries if one.what.startswith("quarantine read")
    }


def test_the_original_comes_as_a_file_only(console):
    browser = console.browser("quarantine-manager")
    token = csrf(browser.get("/messages/QUARANTINE7/preview").text)
    answer = browser.post("/messages/QUARANTINE7/original", data={"csrf": token})
    assert answer.headers["content-disposition"] == 'attachment; filename="QUARANTINE7.eml"'
    assert answer.headers["content-type"] == "application/octet-stream"
    assert b"evil@example.org" in answer.content


def test_a_person_sees_their_own_message_and_no_list(console):
    browser = console.browser("ana")
    assert browser.get("/messages/QUARANTINE7").status_code == 200
    assert browser.get("/messages").status_code == 404
    assert browser.get("/messages/BENSPAM").status_code == 404


@pytest.mark.parametrize("ref", ["..%2F..%2Fetc", "a%0d%0aSet-Cookie:x=1", "x" * 500, "%00"])
def test_odd_references_are_not_there(console, ref):
    answer = console.browser("owner").get(f"/messages/{ref}")
    assert answer.status_code == 404
    assert "x=1" not in str(answer.headers)


def test_the_language_is_kept_with_the_account(console):
    browser = console.browser("auditor")
    token = csrf(browser.get("/overview").text)
    browser.post("/language", data={"csrf": token, "language": "ja"})
    assert (
        '<html lang="ja">' in console.browser("auditor").get("/overview").text
    )  # another browser, without the cookie

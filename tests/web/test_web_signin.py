"""The door over HTTP: password and code, recovery, enrolment by link, replays; passkeys are tried in a browser."""

from __future__ import annotations

import re

import pyotp
import pytest

from gatepost.access.rights import on_this_machine
from gatepost.office import people, wayin
from web.desk_samples import Console, opened
from web.visiting import RUNNER, Browser, csrf

PASSWORD = "seven quiet herons by the lock"


@pytest.fixture(scope="module")
def console(tmp_path_factory) -> Console:
    return opened(tmp_path_factory.mktemp("signin"))


def invited(console: Console, login: str) -> str:
    async def work() -> str:
        await people.add(console.office, on_this_machine("root"), login)
        return await wayin.invite(console.office, on_this_machine("root"), login)

    return RUNNER.run(work())


def enrolled(console: Console, login: str) -> tuple[Browser, str, list[str]]:
    """A person who has just enrolled: their browser, the seed of their codes, their recovery codes."""
    link = invited(console, login)
    browser = Browser(console.app)
    page = browser.get(f"/enrol/{link}")
    assert login in page.text
    answer = browser.post(f"/enrol/{link}", data={"csrf": csrf(page.text)})
    assert answer.headers["location"] == "/enrol"
    token = csrf(browser.get("/enrol").text)
    differing = browser.post("/enrol/codes", data={"csrf": token, "password": PASSWORD, "repeated": "x"})
    assert "differ" in differing.text
    offered = browser.post(
        "/enrol/codes", data={"csrf": token, "password": PASSWORD, "repeated": PASSWORD}
    ).text
    assert "<svg" in offered
    secret = re.search(r"<p><code>([A-Z2-7 ]+)</code></p>", offered)[1].replace(" ", "")
    flow = re.search(r'name="flow" value="([^"]+)"', offered)[1]
    code = pyotp.TOTP(secret).at(console.office.clock())
    assert "set up" in browser.post("/enrol/confirm", data={"csrf": token, "flow": flow, "code": code}).text
    done = browser.post("/enrol/finish", data={"csrf": token}).text
    codes = re.findall(r"<li><code>([^<]+)</code></li>", done)
    assert len(codes) == 10
    return browser, secret, codes


def test_a_link_enrols_once_and_looking_at_it_uses_nothing_up(console):
    link = invited(console, "once@example.net")
    for _ in range(3):  # scanners follow links
        assert Browser(console.app).get(f"/enrol/{link}").status_code == 200
    first, second = Browser(console.app), Browser(console.app)
    assert (
        first.post(f"/enrol/{link}", data={"csrf": csrf(first.get(f"/enrol/{link}").text)}).status_code == 303
    )
    token = csrf(second.get("/sign-in").text)
    assert second.post(f"/enrol/{link}", data={"csrf": token}).status_code == 410
    assert second.get(f"/enrol/{link}").status_code == 410
    # The session for enrolment opens nothing else.
    assert first.get("/me").headers["location"].startswith("/sign-in")
    assert second.get("/enrol").status_code == 403


def test_a_person_enrols_signs_out_and_cannot_use_a_code_twice(console):
    browser, secret, _ = enrolled(console, "kai@example.net")
    page = browser.get("/me")
    assert page.status_code == 200
    before = browser.cookies["__Host-gatepost"]
    browser.post("/sign-out", data={"csrf": csrf(page.text)})
    assert browser.get("/me").status_code == 303
    stolen = Browser(console.app, before)
    assert stolen.get("/me").status_code == 303  # the session is over, not only forgotten
    token = csrf(browser.get("/sign-in").text)
    used = pyotp.TOTP(secret).at(console.office.clock())
    form = {"csrf": token, "login": "kai@example.net", "password": PASSWORD, "code": used}
    assert browser.post("/sign-in/password", data=form).status_code == 403


@pytest.mark.parametrize(
    "login", ["kai@example.net", "nobody@example.net", "' OR 1=1 --", "x" * 5000, "\r\nSet-Cookie: a=b"]
)
def test_wrong_passwords_all_hear_the_same(console, login):
    browser = Browser(console.app)
    token = csrf(browser.get("/sign-in").text)
    answer = browser.post(
        "/sign-in/password", data={"csrf": token, "login": login, "password": "x", "code": "000000"}
    )
    assert answer.status_code == 403
    assert "do not fit together" in answer.text
    assert "__Host-gatepost" not in {one.partition("=")[0] for one in answer.headers.get_list("set-cookie")}


def test_a_recovery_code_leads_to_enrolment_only(console):
    _, _, codes = enrolled(console, "lin@example.net")
    browser = Browser(console.app)
    token = csrf(browser.get("/sign-in/recover").text)
    form = {"csrf": token, "login": "lin@example.net", "password": PASSWORD, "code": codes[0]}
    assert browser.post("/sign-in/recovery", data=form).headers["location"] == "/enrol"
    assert browser.get("/me").status_code == 303
    again = Browser(console.app)
    form["csrf"] = csrf(again.get("/sign-in/recover").text)
    assert again.post("/sign-in/recovery", data=form).status_code == 403


@pytest.mark.parametrize(
    "path", ["//evil.example/", "https://evil.example/", "/\\evil.example", "/%0d%0aX:1"]
)
def test_the_way_back_is_ours(console, path):
    page = Browser(console.app).get("/sign-in", params={"next": path}).text
    assert 'name="next" value="/"' in page or 'name="next" value="/%0d%0aX:1"' in page
    signed_in = console.browser("owner").get("/sign-in", params={"next": path})
    assert not signed_in.headers["location"].startswith(("//", "http", "/\\"))


def test_forged_answers_prove_nothing(console):
    browser = Browser(console.app)
    token = csrf(browser.get("/sign-in").text)
    asked = browser.post("/sign-in/passkey/options", data={"csrf": token}).json()
    for answer in ("", "{}", "[]", "x" * 50_000, '{"rawId": 1, "response": null}'):
        refused = browser.post(
            "/sign-in/passkey", data={"csrf": token, "flow": asked["flow"], "answer": answer}
        )
        assert refused.status_code == 403
        assert refused.json()["problem"]

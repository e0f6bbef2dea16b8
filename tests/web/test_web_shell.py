"""The shell: sessions, forged forms, headers, languages, and every role at every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from starlette.responses import Response
from visiting import LOOKS, ORIGIN, Browser, ByName, console, csrf, office

from gatepost.access.rights import Right, Role, rights_of
from gatepost.checks.registry import ALL_CHECKS
from gatepost.web.looks import words_of
from gatepost.web.page import open_page, page
from gatepost.web.pages import ALL_PAGES, live
from gatepost.web.site import site
from gatepost.web.visit import Premises, Visit, own_path

WEB = Path(__file__).resolve().parents[2] / "src/gatepost/web"


async def hello(visit: Visit) -> Response:
    return visit.page("told.html", title="Hello", text=f"{visit.field('word')} of {visit.me.login}")


PROBE = (*ALL_PAGES, page("/probe", hello, Right.POLICY, methods=("GET", "POST")))


@pytest.fixture
def app(tmp_path):
    return console(office(tmp_path), pages=PROBE)


def test_who_is_not_signed_in_is_led_to_the_door_and_comes_back(app):
    browser = Browser(app)
    answer = browser.get("/probe?a=1")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/probe%3Fa%3D1"


@pytest.mark.parametrize("path", ["/probe", "/nowhere", "/static/../site.py", "/static/no.css"])
def test_not_there_and_not_yours_look_the_same(app, path):
    browser = Browser(app, "auditor")
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "does not exist, or it is not one of yours" in answer.text


def test_every_answer_carries_the_headers(app):
    browser = Browser(app, "postmaster")
    answers = [browser.get(path) for path in ("/probe", "/nowhere", "/static/site.css")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_a_form_needs_the_token_of_its_session(app):
    browser = Browser(app, "postmaster")
    other = Browser(app, "owner")
    token = csrf((browser.get("/probe")).text)
    foreign = csrf((other.get("/probe")).text)
    good = browser.post("/probe", data={"csrf": token, "word": "bread"})
    refused = [browser.post("/probe", data={"csrf": one, "word": "bread"}) for one in ("", "x", foreign)]
    assert "bread of ana@example.net" in good.text
    assert [one.status_code for one in refused] == [403] * 3


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_a_form_of_another_site_is_refused_even_with_the_token(app, headers):
    browser = Browser(app, "postmaster")
    token = csrf((browser.get("/probe")).text)
    answer = browser.post("/probe", data={"csrf": token}, headers=headers)
    assert answer.status_code == 403


def test_a_form_that_is_too_long_is_not_read(app):
    browser = Browser(app, "postmaster")
    token = csrf((browser.get("/probe")).text)
    told = browser.post("/probe", data={"csrf": token, "word": "x" * 300_000})

    async def chunks():
        for _ in range(10):
            yield b"x" * 65_536

    kind = {"content-type": "application/x-www-form-urlencoded"}
    untold = browser.post("/probe", content=chunks(), headers=kind)
    assert (told.status_code, untold.status_code) == (413, 413)


def test_the_door_cookie_binds_forms_before_there_is_a_session(app):
    browser = Browser(app)
    stranger = Browser(app)
    page_ = browser.get("/language")
    assert page_.status_code in (303, 405)
    drawn = browser.post("/language", data={"language": "ja"})
    assert drawn.status_code == 403  # no token yet; this answer set the cookie
    assert "__Host-gatepost-door" in browser.cookies
    token = csrf(drawn.text)
    chosen = browser.post("/language", data={"csrf": token, "language": "ja", "back": "/probe"})
    assert chosen.headers["location"] == "/probe"
    assert browser.cookies["gatepost-language"] == "ja"
    assert (stranger.post("/language", data={"csrf": token, "language": "ja"})).status_code == 403


def test_cookies_are_kept_from_scripts_and_other_sites(app):
    browser = Browser(app)
    answer = browser.post("/language")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-gatepost-door=")
    for word in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert word.lower() in cookie.lower()


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "\\\\evil",
        "/a\r\nX: y",
        "javascript:alert(1)",
        "/\t/evil",
    ],
)
def test_the_way_back_never_leads_elsewhere(path):
    assert own_path(path) == "/"


def test_own_paths_stay_as_they_are():
    assert own_path("/messages?q=a%20b") == "/messages?q=a%20b"


def test_languages(app):
    browser = Browser(app, "postmaster")
    japanese = browser.get("/nowhere", headers={"accept-language": "fr;q=0.9, ja"})
    assert 'lang="en"' in japanese.text  # the account's own language goes before the browser's
    browser.cookies.set("gatepost-language", "ja")
    japanese = browser.get("/nowhere")
    assert '<html lang="ja">' in japanese.text
    assert "ここには何もありません" in japanese.text


def test_every_role_at_every_page(tmp_path, monkeypatch):
    """Nothing is reached by its URL that is not granted; what is granted never looks like what is not there."""
    monkeypatch.setattr(live, "EVERY_S", 0.001)  # a stream of figures ends at once
    monkeypatch.setattr(live, "LASTS_S", 0.001)
    app = console(office(tmp_path))
    for role in Role:
        held = rights_of(frozenset({role}))
        browser = Browser(app, role.value)
        for one in ALL_PAGES:
            path = re.sub(r"\{[^}]*\}", "x", one.path)
            for method in one.methods:
                answer = browser.request(method, path)
                if not one.open and one.rights.isdisjoint(held):
                    assert answer.status_code == 404, (role, method, path)
                    assert "does not exist, or it is not one of yours" in answer.text
                elif method == "POST":
                    assert answer.status_code == 403, (role, method, path)  # no token
                else:
                    assert answer.status_code < 500, (role, method, path)


def test_nobody_signed_in_reaches_only_open_pages(tmp_path):
    app = console(office(tmp_path))
    browser = Browser(app)
    for one in ALL_PAGES:
        if one.open:
            continue
        for method in one.methods:
            answer = browser.request(method, re.sub(r"\{[^}]*\}", "x", one.path))
            assert answer.status_code == (303 if method == "GET" else 403), one.path


def test_every_text_is_translated():
    found = {
        message
        for _, _, message, _, _ in extract_from_dir(
            WEB,
            method_map=[("templates/**.html", "jinja2"), ("**.py", "python")],
            keywords={"_": None, "N_": None},
        )
        if isinstance(message, str)
    }
    assert len(found) > 20
    assert found - set(words_of("ja")) == set()


def test_translations_fill_in_the_same_values():
    for english, japanese in words_of("ja").items():
        assert sorted(re.findall(r"%\(\w+\)s", english)) == sorted(re.findall(r"%\(\w+\)s", japanese)), (
            english
        )


def test_addresses_behind_proxies(tmp_path):
    from ipaddress import ip_network

    seen = []

    async def where(visit: Visit) -> Response:
        seen.append(visit.address)
        return Response("")

    pages = (page("/where", where, Right.OWN),)
    trusting = console(office(tmp_path), pages=pages, trusted_proxies=(ip_network("127.0.0.0/8"),))
    browser = Browser(trusting, "owner", x_forwarded_for="6.6.6.6, 192.0.2.9")
    browser.get("/where")
    browser = Browser(console(office(tmp_path), pages=pages), "owner", x_forwarded_for="6.6.6.6")
    browser.get("/where")
    assert seen == ["192.0.2.9", "127.0.0.1"]
    assert ORIGIN.startswith("https:")


def test_every_fact_can_be_told_in_japanese():
    facts = {fact.about for check in ALL_CHECKS for fact in check.emits}
    assert facts - set(words_of("ja")) == set()


def test_under_another_name_there_is_nothing_but_the_way_home(app):
    """DNS rebinding: a page of evil.example whose name suddenly leads to us."""
    browser = Browser(app, "postmaster", host="evil.example")
    there = browser.get("/probe?a=1")
    assert (there.status_code, there.headers["location"]) == (307, f"{ORIGIN}/probe")
    assert browser.post("/probe", data={"csrf": "x"}).status_code == 421
    assert "ana@example.net" not in there.text


def test_figures_that_come_by_themselves_keep_no_session_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "EVERY_S", 0.001)
    monkeypatch.setattr(live, "LASTS_S", 0.001)
    asked = []

    class Watched(ByName):
        async def actor(self, token, *, address, quietly=False):
            asked.append(quietly)
            return await super().actor(token, address=address)

    desk = office(tmp_path)
    premises = Premises(office=desk, sessions=Watched(), origin=ORIGIN, looks=LOOKS)
    Browser(site(desk, premises.sessions, origin=ORIGIN, premises=premises), "owner").get("/live")
    assert asked
    assert all(asked)


def test_a_link_from_elsewhere_asks_once_more_from_here(app):
    browser = Browser(app)
    first = browser.get("/probe?a=1&b=2", headers={"sec-fetch-site": "cross-site"})
    assert first.status_code == 200
    assert 'content="0; url=/probe?a=1&amp;b=2"' in first.text
    assert browser.get("/probe", headers={"sec-fetch-site": "same-origin"}).status_code == 303


def test_a_page_that_breaks_leaves_no_link_in_the_log(tmp_path, caplog):
    async def broken(_: Visit) -> Response:
        raise RuntimeError("broken")

    app = console(office(tmp_path), pages=(*ALL_PAGES, open_page("/once/{word}", broken)))
    answer = Browser(app).get("/once/secret-word%0A%1b[2J")
    assert answer.status_code == 500
    (told,) = [one for one in caplog.records if "a page failed" in one.getMessage()]
    assert "/once/{word}" in told.getMessage()
    assert "secret-word" not in told.getMessage()

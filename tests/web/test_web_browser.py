"""The console in a real Chromium: every page in both languages, light and dark, wide and narrow; passkeys; hostile mail."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import outside_data, real_program
from gatepost.office.preview import preview_of
from gatepost.web.pages import ALL_PAGES
from web.serving import HOSTILE, Served, Thread

pytestmark = pytest.mark.browser
REF = "QUARANTINE7"
LOOKS = {
    "en-light-wide": ("en", "light", 1280),
    "en-dark-narrow": ("en", "dark", 390),
    "ja-light-narrow": ("ja", "light", 390),
    "ja-dark-wide": ("ja", "dark", 1280),
}
"""Language, colours and width: any two of them meet."""
KNOWN = {"ref": REF, "login": "ana@example.net", "domain": "example.net", "name": "html-page", "number": "1"}


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    thread = Thread(tmp_path_factory.mktemp("console"))
    yield thread.start()
    thread.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = real_program("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Window:
    """A page of a fresh profile that writes down everything that went wrong."""

    def __init__(self, browser: Any, served: Served, who: str | None, **context: Any) -> None:
        self.served = served
        language = context.pop("language", "en")
        self.context = browser.new_context(**context)
        cookies = [{"name": "gatepost-language", "value": language, "url": served.origin}]
        if who:
            cookies.append(
                {
                    "name": served.cookie,
                    "value": served.tokens[who],
                    "url": served.origin,
                    "httpOnly": True,
                    "sameSite": "Strict",
                }
            )
        self.context.add_cookies(cookies)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on(
            "console", lambda one: self.wrong.append(one.text) if one.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda one: self.wrong.append(str(one)))
        self.page.on("dialog", lambda one: (self.wrong.append("dialog"), one.dismiss()))
        self.page.on("request", lambda one: self.asked.append(one.url))

    def go(self, path: str) -> Any:
        answer = self.page.goto(self.served.origin + path)
        self.page.wait_for_load_state("load")
        return answer

    @property
    def foreign(self) -> list[str]:
        """Requests to anybody else."""
        return [url for url in self.asked if not url.startswith((self.served.origin + "/", "about:"))]

    def hacked(self) -> bool:
        return bool(self.page.evaluate("window.hacked"))

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def window(chromium, served):
    opened: list[Window] = []

    def open_one(who: str | None, **context: Any) -> Window:
        opened.append(Window(chromium, served, who, **context))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def paths() -> list[tuple[str, str]]:
    """Every page a browser opens, with who may see it."""
    found = []
    for one in ALL_PAGES:
        if (
            "GET" not in one.methods
            or one.path.startswith(("/static", "/live", "/demo", "/sign-in/", "/enrol/{"))
            or "{" in re.sub(r"\{(" + "|".join(KNOWN) + r")\}", "", one.path)
        ):
            continue
        path = re.sub(r"\{(\w+)[^}]*\}", lambda name: KNOWN[name[1]], one.path)
        path = path.replace("/domains/html-page", "/domains/example.net")
        who = "" if one.open else "owner"
        if not one.open and "privacy" in {right.value for right in one.rights}:
            who = "data-protection-officer"
        elif not one.open and "content" in {right.value for right in one.rights}:
            who = "quarantine-manager"
        if path != "/" and not path.endswith(("/safe", "/file", "/zone")):
            found.append((path, who))
    return found


class Looks:
    """Pages in one look, by many people, with everything that is wrong with them."""

    def __init__(self, browser: Any, served: Served, look: str) -> None:
        from axe_playwright_python.sync_playwright import Axe

        self._browser, self._served, self._look = browser, served, LOOKS[look]
        self._axe = Axe()
        self._windows: dict[str, Window] = {}
        self.problems: list[str] = []

    def window(self, who: str) -> Window:
        language, colours, width = self._look
        if who not in self._windows:
            viewport = {"width": width, "height": 900}
            self._windows[who] = Window(
                self._browser,
                self._served,
                who or None,
                language=language,
                color_scheme=colours,
                viewport=viewport,
            )
        return self._windows[who]

    def judge(self, who: str, name: str) -> None:
        """What is in that window now."""
        window = self.window(who)
        window.wrong, wrong = [], window.wrong
        if wrong or window.foreign or window.hacked():
            self.problems.append(f"{name}: {wrong} {window.foreign} {window.hacked()}")
        over = window.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if over > 0:
            self.problems.append(f"{name}: scrolls sideways by {over}")
        if window.page.evaluate("document.documentElement.lang") != self._look[0]:
            self.problems.append(f"{name}: another language")
        found = self._axe.run(window.page).response["violations"]
        self.problems += [f"{name}: {one['id']} {one['nodes'][0]['html'][:120]}" for one in found]

    def close(self) -> None:
        for window in self._windows.values():
            window.close()


@pytest.mark.parametrize("look", LOOKS)
def test_every_page(chromium, served, look):
    looks = Looks(chromium, served, look)
    for path, who in paths():
        answer = looks.window(who).go(path)
        downloads = "text/html" not in answer.headers.get("content-type", "text/html")
        if downloads or (answer.status == 403 and path == "/enrol"):
            looks.window(who).wrong = []
            continue
        if answer.status != 200:
            looks.problems.append(f"{path}: {answer.status}")
            continue
        looks.judge(who, path)
    looks.close()
    assert not looks.problems, "\n".join(looks.problems)


ACTS = (
    ("owner", "/tools", "form[method=get] button.main", {"#address": "ana@example.net"}),
    ("owner", "/privacy/journal", "form[action='/privacy/journal/verify'] button", {}),
    ("owner", "/policy", "form[action='/policy/plan'] button", {}),
    ("owner", "/policy/watched", "form:has(input[value=stage]) button", {}),
    ("owner", "/people/ana@example.net", "form:has(input[value=rename]) button", {}),
    ("owner", "/rules/html-page", "a.button.main", {}),
    ("data-protection-officer", "/privacy/breach", "main button.main", {}),
    ("data-protection-officer", "/privacy/requests/1", "main button", {}),
    ("quarantine-manager", f"/messages/{REF}", "#inside ~ p a.button", {}),
    ("owner", "/quarantine", "button[value=release]", {}),
)
"""Who does what where, and what is typed before: each leads to a page that no address leads to, or that says more then."""


@pytest.mark.parametrize("look", LOOKS)
def test_what_comes_of_an_act(chromium, served, look):
    looks = Looks(chromium, served, look)
    for who, path, press, typed in ACTS:
        window = looks.window(who)
        window.go(path)
        for field, text in typed.items():
            window.page.fill(field, text)
        window.page.click(press)
        window.page.wait_for_load_state("load")
        # Nothing was ticked or chosen, and the page says so: a refusal is a page, too.
        window.wrong = [one for one in window.wrong if "status of 400" not in one]
        looks.judge(who, f"{path} after {press}")
    looks.close()
    assert not looks.problems, "\n".join(looks.problems)


def test_hostile_words_are_shown_and_nothing_else(window):
    one = window("owner")
    for path in (
        "/messages",
        f"/messages/{REF}",
        "/messages/DELIVER7",
        "/messages?q=%3Cscript%3Ewindow.hacked%3D1%3C/script%3E",
    ):
        assert one.go(path).status == 200
        assert not one.hacked()
    one.go(f"/messages/{REF}")
    assert HOSTILE in one.page.locator("h1").inner_text()
    assert one.wrong == []
    assert one.foreign == []


def test_a_held_letter_is_looked_at_safely(window):
    one = window("quarantine-manager")
    one.go(f"/messages/{REF}/preview")
    frame = one.page.frame_locator("iframe")
    assert "Hello" in frame.locator("h1").inner_text()
    assert "http://evil.example/go" in frame.locator("body").inner_text()
    assert "A pixel" in frame.locator("body").inner_text()
    assert frame.locator("form, input, iframe, script, img, svg, a").count() == 0
    assert "It shows another address" in one.page.inner_text("main")
    assert not one.hacked()
    assert one.foreign == []
    assert one.wrong == []
    mine = window("ana")
    mine.go("/me/looks")
    assert "quarantine-manager@example.net" in mine.page.inner_text("main")


def test_the_preview_of_payloads_runs_nothing_and_asks_nobody(chromium):
    """cure53's collection, each payload in a page whose own policy forbids nothing: only the cleaning stands between."""
    cases = json.loads((outside_data("html-sanitizer") / "dompurify-half.json").read_text())
    context = chromium.new_context()
    page = context.new_page()
    asked: list[str] = []
    ran: list[str] = []
    page.route("**/*", lambda route: (asked.append(route.request.url), route.abort()))
    page.expose_function("alert", lambda *_: ran.append("alert"))
    page.on("dialog", lambda one: (ran.append("dialog"), one.dismiss()))
    for case in cases:
        octets = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + case["payload"].encode(
            "utf-8", "replace"
        )
        shown = preview_of(octets).html
        page.set_content(f"<!doctype html><body>{shown}", wait_until="load")
        left = page.evaluate(
            "[...document.body.querySelectorAll('*')].filter(e => ['SCRIPT','IFRAME','OBJECT','EMBED','FORM','INPUT','IMG','SVG','MATH',"
            "'STYLE','LINK','BASE','META','A'].includes(e.tagName.toUpperCase()) || [...e.attributes].some(a => a.name !== 'class')).length"
        )
        assert left == 0, case["title"]
    page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))")
    context.close()
    assert ran == []
    assert asked == []


def authenticator(one: Window) -> Any:
    """A virtual one that verifies its user."""
    session = one.context.new_cdp_session(one.page)
    session.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
               "automaticPresenceSimulation": True}  # fmt: skip
    number = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]
    return session, number


def test_an_administrator_enrols_and_signs_in_with_a_passkey(window, served):
    one = window(None)
    session, number = authenticator(one)
    one.go(f"/enrol/{served.invitations['owner']}")
    one.page.click("button.main")
    one.page.wait_for_url("**/enrol")
    one.page.click("text=Finish and sign in")
    assert "add one" in one.page.inner_text(".problem")
    one.page.fill("#passkey-name", HOSTILE[:50])
    one.page.click("text=Add a passkey")
    one.page.wait_for_selector("text=Add another passkey")
    one.page.click("text=Finish and sign in")
    assert one.page.locator(".codes li").count() == 10
    first = {each["name"]: each["value"] for each in one.context.cookies()}[served.cookie]
    one.page.click("text=I have kept them")
    one.page.wait_for_url(served.origin + "/overview")
    one.page.click("details.account summary")
    one.page.click("text=Sign out")
    one.page.wait_for_url("**/sign-in")
    one.go("/messages")
    one.page.wait_for_url("**/sign-in?next=**")
    session.send("WebAuthn.setUserVerified", {"authenticatorId": number, "isUserVerified": False})
    one.page.click("text=Sign in with a passkey")
    one.page.wait_for_selector("#passkey-problem:not([hidden])")
    session.send("WebAuthn.setUserVerified", {"authenticatorId": number, "isUserVerified": True})
    one.page.click("text=Sign in with a passkey")
    one.page.wait_for_url(served.origin + "/messages")
    second = {each["name"]: each["value"] for each in one.context.cookies()}[served.cookie]
    assert first != second
    one.go("/sign-in/again?next=/overview")
    one.page.click("text=With your passkey")
    one.page.wait_for_url(served.origin + "/overview")
    third = {each["name"]: each["value"] for each in one.context.cookies()}[served.cookie]
    assert third != second
    assert not one.hacked()
    assert [each for each in one.wrong if "status of 400" not in each] == []


def test_a_session_brought_along_does_not_become_mine(window, served):
    one = window(None)
    authenticator(one)
    one.context.add_cookies(
        [{"name": served.cookie, "value": "chosen-by-somebody-else", "url": served.origin}]
    )
    one.go("/sign-in")
    assert served.cookie not in {each["name"] for each in one.context.cookies()}


def test_a_link_in_somebodys_ticket_leads_to_the_page(window, served):
    one = window("owner")
    ticket = f'<a href="{served.origin}/messages/{REF}">the message</a>'
    one.context.route(
        "http://tickets.example/**", lambda route: route.fulfill(body=ticket, content_type="text/html")
    )
    one.page.goto("http://tickets.example/7")
    one.page.click("a")
    one.page.wait_for_url(f"{served.origin}/messages/{REF}")
    one.page.wait_for_selector("text=What the checks saw")


def test_everything_needed_works_without_scripts(window):
    one = window("owner", java_script_enabled=False)
    one.go("/messages")
    one.page.select_option("#f-action", "refuse")
    one.page.click("text=Find")
    assert "action=refuse" in one.page.url
    assert one.page.locator("tbody tr td .badge").all_inner_texts() == ["Refused"]
    one.page.click("details.account summary")
    one.page.click("text=日本語")
    assert one.page.get_attribute("html", "lang") == "ja"


def test_what_takes_a_script_is_not_shown_without(window):
    for scripts in (True, False):
        one = window("owner", java_script_enabled=scripts)
        one.go("/quarantine")
        assert one.page.locator("#all").is_visible() is scripts


def test_live_figures_come_in(window):
    one = window("owner")
    with one.page.expect_request("**/live"):
        one.go("/overview")
    one.page.wait_for_function("document.querySelector('[data-live=held]').textContent === '1'")
    assert one.wrong == []


def test_keyboard_alone_reaches_the_content(window):
    one = window("owner")
    one.go("/messages")
    one.page.keyboard.press("Tab")
    assert one.page.evaluate("document.activeElement.className") == "skip"
    one.page.keyboard.press("Enter")
    assert one.page.evaluate("document.activeElement.id") == "main"


def test_pictures_are_kept_where_asked(window, tmp_path):
    one = window("owner", viewport={"width": 1280, "height": 900})
    one.go("/overview")
    picture = tmp_path / "overview.png"
    one.page.screenshot(path=str(picture), full_page=True)
    assert Path(picture).stat().st_size > 20_000

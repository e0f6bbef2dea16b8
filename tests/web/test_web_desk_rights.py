"""Every role against every page and every act: nothing is reachable by URL that the rights table does not grant."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from desk_samples import Console, opened
from visiting import RUNNER, csrf

from gatepost.access.rights import Role, rights_of
from gatepost.web.page import Page
from gatepost.web.pages import ALL_PAGES

PARAMETERS = {
    "ref": "BENSPAM", "login": "ana@example.net", "name": "example.net", "token": "x.y", "link": "x", "anything": "x",
    "number": "1",
}  # fmt: skip
STREAMS = {"/live"}
"""Pages that do not end by themselves."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    console = opened(tmp_path_factory.mktemp("desk"))
    yield console
    RUNNER.run(console.office.store.close())


def path_of(page: Page) -> str:
    name = {"/rules/{name}": "gift-cards"}.get(page.path, PARAMETERS["name"])
    return re.sub(
        r"\{(\w+)(?::\w+)?\}", lambda found: name if found[1] == "name" else PARAMETERS[found[1]], page.path
    )


PAGES = [one for one in ALL_PAGES if one.path not in STREAMS]


@pytest.mark.parametrize("role", list(Role), ids=lambda one: one.value)
def test_a_page_opens_for_the_rights_it_names_and_for_no_others(desk: Console, role: Role) -> None:
    browser = desk.browser(role.value)
    token = csrf(browser.get("/sign-in/again").text)
    rights = rights_of(frozenset({role}))
    for page in PAGES:
        if page.open:
            continue
        for method in page.methods:
            answer = browser.request(
                method, path_of(page), **({"data": {"csrf": token}} if method == "POST" else {})
            )
            assert answer.status_code < 500, (method, page.path, answer.text[-600:])
            if page.rights.isdisjoint(rights):
                assert answer.status_code == 404, (method, page.path)
                assert "BENSPAM" not in answer.text
                assert "Secret of ben" not in answer.text


def test_nobody_gets_anything_but_the_door(desk: Console) -> None:
    browser = desk.browser(None)
    token = csrf(browser.get("/sign-in").text)
    for page in PAGES:
        if page.open:
            continue
        for method in page.methods:
            answer = browser.request(
                method, path_of(page), **({"data": {"csrf": token}} if method == "POST" else {})
            )
            if method == "GET":
                assert (answer.status_code, answer.headers["location"][:13]) == (303, "/sign-in?next"), (
                    page.path
                )
            else:
                assert answer.status_code == 403, page.path


@pytest.mark.parametrize("role", list(Role), ids=lambda one: one.value)
def test_no_act_is_taken_without_the_forms_token_or_from_elsewhere(desk: Console, role: Role) -> None:
    browser, before = desk.browser(role.value), held_states(desk)
    token = csrf(browser.get("/sign-in/again").text)
    numbers = [str(one.id) for one in desk.office.store.held(decided=True)]
    for page in PAGES:
        if (
            "POST" in page.methods
            and not page.open
            and not page.rights.isdisjoint(rights_of(frozenset({role})))
        ):
            form = {"copy": numbers, "do": "delete"}
            assert browser.post(path_of(page), data=form).status_code == 403, page.path
            elsewhere = browser.post(
                path_of(page), data=form | {"csrf": token}, headers={"Sec-Fetch-Site": "cross-site"}
            )
            assert elsewhere.status_code == 403, page.path
            assert (
                browser.get(path_of(page)).status_code in (404, 405) or "GET" in page.methods or shared(page)
            ), page.path
    assert held_states(desk) == before


def shared(page: Page) -> bool:
    """Is there another page at the same path that answers GET?"""
    return any("GET" in one.methods and path_of(one) == path_of(page) for one in ALL_PAGES)


def held_states(desk: Console) -> dict[str, str]:
    return {one.ref: one.state for one in desk.office.store.held(decided=True)}


@pytest.mark.parametrize("role", list(Role), ids=lambda one: one.value)
def test_what_is_not_granted_is_not_done_by_its_form_either(desk: Console, role: Role) -> None:
    """Somebody else's held mail by every verb, through every form that takes copies."""
    browser = desk.browser(role.value)
    token = csrf(browser.get("/sign-in/again").text)
    number = next(one.id for one in desk.office.store.held(decided=True) if one.ref == "BENSPAM")
    rights = rights_of(frozenset({role}))
    for path in ("/quarantine/act", "/me/quarantine/act"):
        for verb in ("request", "deny", "delete", "block", "release"):
            if "release" in {one.value for one in rights}:
                continue
            browser.post(path, data={"csrf": token, "copy": [str(number)], "do": verb, "reason": "x"})
            assert held_states(desk)["BENSPAM"] == "held", (path, verb)


def test_paths_lead_nowhere_else(desk: Console) -> None:
    browser = desk.browser("owner")
    for path in (
        "/rules/..%2f..%2f..%2fetc%2fpasswd", "/rules/../rules/gift-cards%00", "/domains/..%2f..", "/domains/example.org",
        "/messages/..%2f..%2fgatepost.db/original", "/messages/%2e%2e/preview", "/static/..%2f..%2fvisit.py",
        "/people/..%2f..", "/link/..%2f..",
    ):  # fmt: skip
        for method in ("GET", "POST"):
            answer = browser.request(method, path)
            assert answer.status_code in (403, 404, 405, 410, 303), (method, path, answer.status_code)
            assert "root:" not in answer.text

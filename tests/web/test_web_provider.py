"""The sign-in page and the identity provider: there, back, and a code of ours in between where that is needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.applications import Starlette

from gatepost.access.oidc import ProviderSettings
from gatepost.dns.zone import Zone
from gatepost.office.provider import provider_of
from gatepost.web.pages.provider import Elsewhere
from gatepost.web.sessions import OfficeSessions
from gatepost.web.site import site
from gatepost.web.visit import Premises
from people_samples import Place, office_at
from provider_samples import CLIENT, TestProvider
from web.visiting import LOOKS, ORIGIN, RUNNER, Browser, csrf

FLOW = "__Host-gatepost-provider"
SESSION = "__Host-gatepost"


@dataclass
class Scene:
    place: Place
    provider: TestProvider
    app: Starlette


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with office_at(tmp_path / "state") as place, contextlib.ExitStack() as stack:
        other = TestProvider(tmp_path, place.clock)
        up = other.up()
        RUNNER.run(up.__aenter__())
        stack.callback(lambda: RUNNER.run(up.__aexit__(None, None, None)))
        ours = provider_of(
            ProviderSettings(
                issuer=other.issuer, client_id=CLIENT, client_secret_file="secret", trust_anchors="ca.pem",
                private_network=True, name="Example ID",
            ),
            folder=tmp_path, resolver=Zone.parse(""), clock=place.clock,
        )  # fmt: skip
        sessions = OfficeSessions(place.office)
        premises = Premises(
            office=place.office,
            sessions=sessions,
            origin=ORIGIN,
            looks=LOOKS,
            more={Elsewhere: Elsewhere(provider=ours)},
        )
        yield Scene(place, other, site(place.office, sessions, origin=ORIGIN, premises=premises))


def test_there_and_back(scene: Scene) -> None:
    RUNNER.run(scene.place.person())
    scene.provider.claims = {"amr": ["mfa"]}
    browser = Browser(scene.app)
    page = browser.get("/sign-in?next=/me")
    assert 'href="/sign-in/provider?next=/me"' in page.text
    assert "Sign in with Example ID" in page.text
    away = browser.get("/sign-in/provider?next=/me")
    assert away.status_code == 303
    assert "SameSite=lax" in away.headers["set-cookie"]
    query = scene.provider.authorize(away.headers["location"])
    back = browser.get("/sign-in/provider/back", params=query, headers={"Sec-Fetch-Site": "cross-site"})
    assert back.status_code == 200, "no redirect: the session's cookie would not be sent"
    assert back.headers["refresh"] == "0; url=/me"
    set_cookies = back.headers.get_list("set-cookie")
    assert any(one.startswith(f"{SESSION}=") and "SameSite=strict" in one for one in set_cookies)
    assert FLOW not in browser.cookies
    assert browser.get("/me").status_code == 200
    again = Browser(scene.app).get("/sign-in/provider/back", params=query)
    assert again.status_code == 403
    assert "begin again" in again.text


def test_whoever_signs_out_is_shown_the_way_out_of_the_provider_too(scene: Scene) -> None:
    RUNNER.run(scene.place.person())
    scene.provider.claims = {"amr": ["mfa"]}
    browser = Browser(scene.app)

    def in_and_out(onward: str) -> str:
        away = browser.get("/sign-in/provider?next=/me")
        browser.get("/sign-in/provider/back", params=scene.provider.authorize(away.headers["location"]))
        out = browser.post("/sign-out", data={"csrf": csrf(browser.get("/me").text)})
        assert out.headers["location"] == onward
        return browser.get("/sign-in?out=1").text

    assert "Sign out there, too" not in in_and_out("/sign-in"), "it offers none"
    scene.provider.metadata = {"end_session_endpoint": f"{scene.provider.issuer}/end?x=1"}
    scene.place.clock.forward(3601)
    shown = in_and_out("/sign-in?out=1")
    there = (
        f"{scene.provider.issuer}/end?x=1&amp;client_id={CLIENT}&amp;post_logout_redirect_uri=https%3A%2F%2F"
    )
    assert f'href="{there}' in shown
    assert "Sign out there, too" not in browser.get("/sign-in").text


def test_a_code_of_ours_besides(scene: Scene) -> None:
    codes, _, _ = RUNNER.run(scene.place.with_password())
    scene.place.clock.forward(60)
    browser = Browser(scene.app)
    away = browser.get("/sign-in/provider")
    page = browser.get("/sign-in/provider/back", params=scene.provider.authorize(away.headers["location"]))
    assert page.status_code == 200
    assert SESSION not in browser.cookies

    def pending(text: str) -> dict[str, str]:
        found = text.split('name="pending" value="')[1].partition('"')[0]
        return {"csrf": csrf(text), "pending": found, "next": "https://evil.example/"}

    wrong = browser.post("/sign-in/provider/code", data=pending(page.text) | {"code": "000000"})
    assert wrong.status_code == 403
    assert "wait for the next one" in wrong.text
    code = {"code": codes.at(int(scene.place.clock.now))}
    assert (
        browser.post("/sign-in/provider/code", data=pending(wrong.text) | code | {"csrf": "x"}).status_code
        == 403
    )
    came = browser.post("/sign-in/provider/code", data=pending(wrong.text) | code)
    assert came.headers["refresh"] == "0; url=/", "nobody is sent to another site"
    assert browser.get("/me").status_code == 200


def test_what_is_not_right_leads_back(scene: Scene) -> None:
    browser = Browser(scene.app)
    away = browser.get("/sign-in/provider")
    refused = browser.get("/sign-in/provider/back", params=scene.provider.authorize(away.headers["location"]))
    assert refused.status_code == 403
    assert "does not belong to one here" in refused.text
    assert 'href="/sign-in"' in refused.text
    other = browser.get("/sign-in/provider/back", params={"error": "<script>alert(1)</script>", "state": "x"})
    assert other.status_code == 403
    assert "<script>alert" not in other.text
    scene.provider.answers["/.well-known/openid-configuration"] = (500, b"")
    scene.place.clock.forward(90_000)
    down = browser.get("/sign-in/provider")
    assert down.status_code == 403
    assert "cannot be asked now" in down.text


def test_without_a_provider_the_door_is_as_it_was(tmp_path: Path) -> None:
    with office_at(tmp_path) as place:
        sessions = OfficeSessions(place.office)
        browser = Browser(site(place.office, sessions, origin=ORIGIN, premises=Premises(
            office=place.office, sessions=sessions, origin=ORIGIN, looks=LOOKS,
        )))  # fmt: skip
        assert "/sign-in/provider" not in browser.get("/sign-in").text
        for path in ("/sign-in/provider", "/sign-in/provider/back"):
            assert browser.get(path).headers["location"] == "/sign-in"

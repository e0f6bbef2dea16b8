"""Signing in by an identity provider on another site, in a real Chromium: cookies go where they must, and only there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from conftest import real_program
from gatepost.access.oidc import ProviderSettings
from gatepost.dns.zone import Zone
from gatepost.office.provider import provider_of
from gatepost.web.listening import listening
from gatepost.web.pages.provider import Elsewhere
from gatepost.web.server import serve
from gatepost.web.sessions import OfficeSessions
from gatepost.web.site import site
from gatepost.web.visit import Premises
from people_samples import Place, office_at
from provider_samples import CLIENT, TestProvider
from web.visiting import LOOKS

pytestmark = pytest.mark.browser


async def through(window: Any, origin: str) -> None:
    """As a person clicks."""
    await window.goto(f"{origin}/sign-in?next=/me/security")
    await window.get_by_role("link", name="Sign in with single sign-on").click()
    await window.locator("#agree").click()


async def story(place: Place, other: TestProvider, folder: Path, chromium: str) -> None:
    from playwright.async_api import async_playwright, expect

    codes, _, _ = await place.with_password()
    place.clock.forward(60)
    on = listening("127.0.0.1", 0)
    origin = f"http://127.0.0.1:{on.getsockname()[1]}"  # the provider is on https://localhost: another site
    ours = provider_of(
        ProviderSettings(
            issuer=other.issuer, client_id=CLIENT, client_secret_file="secret", trust_anchors="ca.pem", private_network=True
        ),
        folder=folder, resolver=Zone.parse(""), clock=place.clock,
    )  # fmt: skip
    sessions = OfficeSessions(place.office)
    premises = Premises(
        office=place.office,
        sessions=sessions,
        origin=origin,
        looks=LOOKS,
        more={Elsewhere: Elsewhere(provider=ours)},
    )
    stopping = asyncio.Event()
    serving = asyncio.create_task(
        serve(site(place.office, sessions, origin=origin, premises=premises), on, stopping)
    )
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            window = await browser.new_page(ignore_https_errors=True)
            said: list[str] = []
            window.on("console", lambda one: said.append(one.text))
            other.claims = {"amr": ["mfa"]}
            await through(window, origin)
            await window.wait_for_url(f"{origin}/me/security")
            await window.context.clear_cookies()
            other.claims = {}
            await through(window, origin)
            await window.get_by_label("Code of your authenticator app").fill(codes.at(int(place.clock.now)))
            await window.get_by_role("button", name="Sign in").click()
            await window.wait_for_url(f"{origin}/me/security")
            await expect(window.get_by_role("heading", level=1)).to_be_visible()
            assert [one for one in said if "Content Security Policy" in one] == []
            await browser.close()
    finally:
        stopping.set()
        await serving


def test_chromium_goes_there_and_comes_back_signed_in(tmp_path: Path) -> None:
    chromium = real_program("chromium")

    async def run() -> None:
        with office_at(tmp_path / "state") as place:
            async with TestProvider(tmp_path, place.clock).up() as other:
                await story(place, other, tmp_path, chromium)

    asyncio.run(run())

"""A first administrator: from `gatepost setup` to a signed-in console with a passkey, and why a mail was refused."""

from __future__ import annotations

import json
import smtplib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import real_program
from system.whole import Gate, run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gate, str]]:
    """A gate set up by the command, and the link it printed."""
    folder = tmp_path_factory.mktemp("firsthour")
    (folder / "zone").write_text("mail.example.com. A 192.0.2.7\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = json.loads(
        run("setup", "mail.example.com", "--folder", str(folder / "gate"), "--zone", str(folder / "zone"),
            "--owner", "ana@example.com", "--console-port", str(port), "--json", config=None)
    )  # fmt: skip
    # Only the port of the mail is another than in real life; nothing here may listen on 25.
    text = Path(told["configuration"]).read_text().replace('"*:25"', '"127.0.0.1:0"')
    gate = Gate(folder / "gate", text)
    gate.start()
    yield gate, told["link"]
    gate.stop()


@pytest.fixture
def page() -> Iterator[Any]:
    path = real_program("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser.new_context().new_page()
        browser.close()


def test_from_setup_to_the_reason_of_a_refusal(installed: tuple[Gate, str], page: Any) -> None:
    gate, link = installed
    with smtplib.SMTP("127.0.0.1", gate.port, timeout=20) as client:
        client.ehlo("client.example")
        client.mail("stranger@elsewhere.example")
        code, text = client.rcpt("victim@far.example")
    assert code == 550
    ref = text.decode().rpartition("[ref ")[2].rstrip("]")

    keys = page.context.new_cdp_session(page)
    keys.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
               "isUserVerified": True, "automaticPresenceSimulation": True}  # fmt: skip
    keys.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto(link)
    page.click("button.main")
    page.wait_for_url("**/enrol")
    page.fill("#passkey-name", "laptop")
    page.click("text=Add a passkey")
    page.wait_for_selector("text=Add another passkey")
    page.click("text=Finish and sign in")
    page.wait_for_selector(".codes li")
    assert page.locator(".codes li").count() == 10
    page.click("text=I have kept them")
    page.wait_for_url("**/overview")

    somebody = page.context.browser.new_context().new_page()
    somebody.goto(link)
    assert "used before" in somebody.inner_text("main"), "the link worked once"

    page.goto(link.partition("/enrol")[0] + "/messages")
    page.click(f"a[href*='{ref}']")
    assert page.locator("h1").inner_text().startswith("Refused")
    assert "far.example" in page.inner_text("main")

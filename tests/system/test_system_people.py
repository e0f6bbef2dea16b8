"""People and their console on a whole gate: a digest's link followed from the mailbox, and a policy saved over HTTP that decides
the next mail in another process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest
from whole import Gate, mail, running, until

from conftest import real_program
from gatepost.access.rights import Role, on_this_machine
from gatepost.access.standing import Strength
from gatepost.office import people, sessions
from gatepost.office.office import Office
from gatepost.store.store import Store

HELD = "\n[policy]\njunk_at = 1.0\nquarantine_at = 2.0\n"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def signed_in(gate: Gate, login: str, role: Role) -> str:
    """The token of somebody who just proved who they are, as if with a passkey."""

    async def work() -> str:
        store = Store.open(gate.folder / "var")
        office = Office(store=store, clock=time.time, random=os.urandom, hostname="mx.example.net")
        account = await people.add(office, on_this_machine("root"), login, roles=[role])
        token = await sessions.start(office, account, strength=Strength.PASSKEY, ip=None)
        await store.close()
        return token

    return asyncio.run(work())


class Window:
    """A browser without scripts."""

    def __init__(self, origin: str, token: str) -> None:
        cookie = {"cookie": f"gatepost-session={token}"}
        self.client = httpx.Client(base_url=origin, timeout=20, headers=cookie)
        self.origin = origin

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def post(self, page: str, path: str, **fields: str) -> httpx.Response:
        """Send a form of a page."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(page).text)
        assert found, page
        told = self.client.post(path, data={"csrf": found[1], **fields}, headers={"origin": self.origin})
        return self.get(told.headers["location"]) if told.status_code == 303 else told


@contextmanager
def gate_with_console(folder: Path, *, workers: str = "1", more: str = "") -> Iterator[tuple[Gate, str]]:
    port = free_port()
    console = f'\n[console]\naddress = "127.0.0.1:{port}"\nurl = "http://localhost:{port}"\n'
    with running(folder, workers=workers, more=console + HELD + more) as gate:
        yield gate, f"http://localhost:{port}"


def held(gate: Gate) -> list[dict[str, Any]]:
    return gate.rows("quarantine", "list")


def letters(gate: Gate, whose: str) -> list[EmailMessage]:
    found = [message_from_bytes(one, policy=default) for one in gate.boxes(whose)]
    return [one for one in found if isinstance(one, EmailMessage)]


def links_of(letter: EmailMessage) -> list[str]:
    text = letter.get_body(("plain",))
    assert text is not None
    return re.findall(r"http://localhost:\d+/link/\S+", text.get_content())


@pytest.mark.browser
def test_a_link_in_a_digest_is_followed_from_the_mailbox_and_releases_once(tmp_path: Path) -> None:
    chromium = real_program("chromium")
    from playwright.sync_api import expect, sync_playwright

    with gate_with_console(tmp_path, more="\n[digests]\nhour = 0\n") as (gate, origin):
        assert (
            gate.send(mail("wanted after all", author="sam@soft.example"), sender="sam@soft.example")[0]
            == 250
        )
        (copy,) = held(gate)
        gate.stop()
        gate.start()  # the clock looks for digests to send at once
        gate.wait_for("ana@example.net")
        (letter,) = letters(gate, "ana@example.net")
        assert letter["Subject"] == "1 message is held for you"
        go, block, *_ = links_of(letter)
        with httpx.Client() as scanner:  # as those that look into every link of a mail
            for link in links_of(letter):
                assert scanner.get(link).status_code == 200
                assert scanner.head(link).status_code in (200, 405)
                assert scanner.request("OPTIONS", link).status_code in (200, 204, 405)
                assert scanner.get(f"{link}/use").status_code in (303, 404, 405)
                assert scanner.post(f"{link}/use").status_code == 403, (
                    "a form of ours comes from a page of ours"
                )
        assert [one["state"] for one in held(gate)] == ["held"]
        with Window(origin, signed_in(gate, "ana@example.net", Role.PERSON)) as ana:
            assert ana.get(go).status_code == 200
        with Window(origin, signed_in(gate, "ben@example.net", Role.PERSON)) as ben:
            passed_on = ben.get(go)
        assert passed_on.status_code == 403
        assert "was sent to ana@example.net, and you are signed in as ben@example.net" in passed_on.text
        assert [one["state"] for one in held(gate)] == ["held"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            window = browser.new_page()
            said: list[str] = []
            window.on("console", lambda one: said.append(one.text))
            window.goto(go)
            expect(window.get_by_role("heading", level=1)).to_contain_text("this message?")
            expect(window.get_by_text("wanted after all")).to_be_visible()
            window.locator("form button.main").click()
            window.wait_for_url(f"{go}/use")
            expect(window.get_by_role("heading", level=1)).to_be_visible()
            gate.wait_for("ana@example.net", 2)
            assert window.goto(go).status == 410, "used up"
            assert [one for one in said if "Content Security Policy" in one] == []
            browser.close()
        released = [one["Subject"] for one in letters(gate, "ana@example.net")]
        assert sorted(released) == ["1 message is held for you", "wanted after all"]
        with httpx.Client() as replayed:
            assert replayed.get(block).status_code == 410, "and so are the others of the same letter"
        assert [one for one in gate.rows("journal", "list") if "release" in one["what"]]
        assert held(gate) == [] or held(gate)[0]["number"] != copy["number"]


def test_a_link_in_a_digest_ends(tmp_path: Path) -> None:
    with gate_with_console(tmp_path, more='\n[digests]\nhour = 0\nlink = "1s"\n') as (gate, _):
        assert gate.send(mail("held", author="sam@soft.example"), sender="sam@soft.example")[0] == 250
        gate.stop()
        gate.start()
        gate.wait_for("ana@example.net")
        go = links_of(letters(gate, "ana@example.net")[0])[0]
        until(lambda: httpx.get(go).status_code == 410, gate.log)
        forged = go[:-1] + ("A" if go[-1] != "A" else "B")
        assert httpx.get(forged).status_code == 410
        assert [one["state"] for one in held(gate)] == ["held"]


def test_a_policy_saved_in_the_console_decides_the_next_mail_in_a_worker_and_so_does_the_way_back(
    tmp_path: Path,
) -> None:
    with (
        gate_with_console(tmp_path, workers="2") as (gate, origin),
        Window(origin, signed_in(gate, "post@example.net", Role.POSTMASTER)) as window,
    ):

        def next_mail(count: list[int] = [0]) -> str:  # noqa: B006 - counts
            """What became of one more."""
            count[0] += 1
            code, said = gate.send(
                mail(f"no {count[0]}", author="sam@soft.example"), sender="sam@soft.example"
            )
            assert code == 250, said
            story = gate.story(said)
            return str(
                story["recipients"][0]["action"]
                if isinstance(story["recipients"][0], dict)
                else sorted(story)
            )

        assert next_mail() == "quarantine"
        text = 'mode = "observe"\n'
        window.post("/policy", "/policy/edit", do="text", text=text)
        window.post("/policy", "/policy/plan", days="7")
        saved = window.post("/policy", "/policy/save", reason="nobody is held any more")
        assert saved.url.path == "/policy/history", saved.text
        until(lambda: next_mail() == "deliver", gate.log)
        assert [next_mail() for _ in range(6)] == ["deliver"] * 6, "whichever worker has it"
        back = window.post("/policy/history", "/policy/back", number="0", reason="it was a mistake")
        assert back.url.path == "/policy/history"
        until(lambda: next_mail() == "quarantine", gate.log)
        assert [next_mail() for _ in range(6)] == ["quarantine"] * 6
        acts = [one["what"] for one in gate.rows("journal", "list")]
        assert {"policy save 1", "policy back 2 to 0"} <= set(acts)


def test_what_takes_a_restart_is_said_and_what_does_not_holds_after_a_reload(tmp_path: Path) -> None:
    with (
        gate_with_console(tmp_path) as (gate, origin),
        httpx.Client(base_url=origin) as door,
        Window(origin, signed_in(gate, "post@example.net", Role.POSTMASTER)) as window,
    ):
        assert "Changed in the configuration file" not in window.get("/system").text
        there = gate.path.read_text()
        provider = '\n[identity_provider]\nissuer = "https://login.example.net"\nclient_id = "gatepost"\nname = "Example ID"\n'
        gate.path.write_text(there + provider + '\n[mta_sts]\ntesting = "2d"\n')
        page = window.get("/system").text
        assert "not in use before a restart (systemctl restart gatepost): mta_sts" in page
        assert "not in use before a reload (systemctl reload gatepost): identity_provider" in page
        assert "Example ID" not in door.get("/sign-in").text
        assert gate.process is not None
        gate.process.send_signal(signal.SIGHUP)
        until(lambda: "Example ID" in door.get("/sign-in").text, gate.log)
        page = window.get("/system").text
        assert "restart gatepost): mta_sts" in page
        assert "reload gatepost)" not in page
        gate.path.write_text(there + "\nnonsense = ")
        assert "what is in use stays" in window.get("/system").text
        gate.path.write_text(there)
        gate.process.send_signal(signal.SIGHUP)
        until(lambda: "Example ID" not in door.get("/sign-in").text, gate.log)
        assert "Changed in the configuration file" not in window.get("/system").text

"""Roles and ways in take a second person, on the pages as people click through them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from desk_samples import Console, opened
from visiting import RUNNER, Browser, csrf

from gatepost.access.rights import Role
from gatepost.net.directoryservice import DirectoryPerson, PeopleSourceSettings
from gatepost.office import people
from gatepost.office.peoplesource import DirectoryNow, Step, synchronise
from gatepost.store import accounts
from people_samples import ROOT

WAITS = "This takes a second person: whoever may agree was told."


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Console]:
    """Where everybody with a role can sign in, and letters are written."""
    console = opened(tmp_path)
    object.__setattr__(console.office, "finals", lambda address: [address])

    def passkeys(connection: object) -> None:
        for one in accounts.administrators(connection):  # type: ignore[arg-type]
            accounts.add_passkey(
                connection, one.id, credential=one.login.encode(), public_key=b"k", uses=0, name="x", synced=False,  # type: ignore[arg-type]
                at=console.office.clock(), session=0,
            )  # fmt: skip

    RUNNER.run(console.office.store.database.commit(passkeys))
    yield console
    RUNNER.run(console.office.store.close())


def send(browser: Browser, page: str, path: str, **fields: str) -> httpx.Response:
    return browser.post(path, data={"csrf": csrf(browser.get(page).text), "back": page, **fields})


def agree(desk: Console, who: str, act: str) -> None:
    browser = desk.browser(who)
    page = browser.get("/glass").text
    assert act in page
    key = page.split('name="key" value="')[1].partition('"')[0]
    assert send(browser, "/glass", "/glass/second", do="agree", key=key).status_code == 303
    assert f"agreed to by {who}@example.net" in browser.get("/glass").text


def test_a_link_that_is_shown_waits_for_somebody_else_and_one_by_mail_does_not(desk: Console) -> None:
    postmaster, path = desk.browser("postmaster"), "/people/ana@example.net"
    refused = send(postmaster, path, f"{path}/act", do="invite", way="show", reason="new phone")
    assert WAITS in refused.text
    assert "/enrol/" not in refused.text
    assert "waits for a second person" in postmaster.get("/glass").text
    assert 'name="key"' not in postmaster.get("/glass").text, "nobody agrees with themselves"
    agree(desk, "owner", "invite ana@example.net")
    shown = send(postmaster, path, f"{path}/act", do="invite", way="show")
    assert shown.status_code == 200
    assert "/enrol/" in shown.text
    assert WAITS in send(postmaster, path, f"{path}/act", do="invite", way="show").text
    mailed = send(postmaster, path, f"{path}/act", do="recover", way="mail", reason="lost it")
    assert "The link goes to ana@example.net by mail" in mailed.text
    assert "/enrol/" not in mailed.text


def test_a_new_administrator_is_agreed_to_once_and_gets_the_link_by_hand(desk: Console) -> None:
    owner = desk.browser("owner")

    def add() -> httpx.Response:
        return send(owner, "/people", "/people/add", login="new@example.net", role="auditor", way="mail")

    assert WAITS in add().text
    agree(desk, "data-protection-officer", "add new@example.net: roles auditor")
    shown = add()
    assert "/enrol/" in shown.text, "no link to a role goes by mail"
    assert people.show(desk.office, ROOT, "new@example.net").account.roles == {Role.AUDITOR}


def test_the_directory_is_asked_at_once(desk: Console) -> None:
    postmaster, told = (
        desk.browser("postmaster"),
        [DirectoryPerson(key="7", login="ana@example.net", name="Ana")],
    )

    async def synchronise_now() -> list[Step]:
        return await synchronise(desk.office, PeopleSourceSettings(), told, ["example.net"])

    assert "Look now" not in postmaster.get("/people").text
    more = {**desk.premises.more, DirectoryNow: DirectoryNow(desk.office, synchronise_now)}
    object.__setattr__(desk.premises, "more", more)
    assert "Look now" in postmaster.get("/people").text
    told[0] = replace(told[0], addresses=("ana@example.net",))
    assert "is the directory&#39;s from now on" in send(postmaster, "/people", "/people/directory").text
    assert "Nothing has changed there." in send(postmaster, "/people", "/people/directory").text
    told.clear()
    assert "nobody was disabled" in send(postmaster, "/people", "/people/directory").text
    assert send(desk.browser("auditor"), "/journal", "/people/directory").status_code == 404


def test_a_new_person_gets_their_link_by_mail(desk: Console) -> None:
    told = send(desk.browser("postmaster"), "/people", "/people/add", login="new@example.net", way="mail")
    assert "The link goes to new@example.net by mail" in told.text
    store = desk.office.store
    (queued,) = [one for one in store.queued(limit=1000) if one.to == "new@example.net"]
    assert b"/enrol/" in store.octets_of(queued.ref)

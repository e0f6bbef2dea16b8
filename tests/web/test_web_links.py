"""A letter's link in the hands of somebody who is not signed in: what it does alone, what takes its owner, and what is told."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from desk_samples import Console, opened
from visiting import RUNNER, csrf

from gatepost.office import people
from gatepost.office.digests import Digests
from gatepost.office.settings import ByLink, DigestSettings
from gatepost.store import accounts


@pytest.fixture
def desk(tmp_path) -> Iterator[Console]:
    found = opened(tmp_path)
    set_(found, DigestSettings(hour=0))
    RUNNER.run(found.premises.more[Digests].send())
    yield found
    RUNNER.run(found.office.store.close())


def set_(desk: Console, settings: DigestSettings) -> None:
    object.__setattr__(desk.premises.more[Digests], "settings", lambda: settings)


def enrolled(desk: Console, login: str) -> None:
    """They have a passkey."""
    account = people.show(desk.office, desk.actor("owner"), login).account
    RUNNER.run(desk.office.store.database.commit(lambda c: accounts.add_passkey(
        c, account.id, credential=b"c", public_key=b"k", uses=0, name="", synced=False, at=1.0, session=0
    )))  # fmt: skip


def link(desk: Console, to: str, purpose: str) -> str:
    """The path of the first of its kind in their letter."""
    digests: Digests = desk.premises.more[Digests]
    letter = next(one for one in desk.office.store.queued() if one.ref.startswith("DIGEST") and one.to == to)
    text = desk.office.store.octets_of(letter.ref).decode().replace("=\r\n", "").replace("=3D", "=")
    found = dict.fromkeys(re.findall(r"/link/([\w.-]+)", text))
    return "/link/" + next(one for one in found if digests.open(one).link.purpose == purpose)


def states(desk: Console, to: str) -> set[str]:
    return {one.state for one in desk.office.store.held(to=to, decided=True)}


@pytest.mark.parametrize("purpose", list(ByLink))
def test_whoever_has_no_account_uses_every_link(desk, purpose):
    desk_of = desk.browser(None)
    path = link(desk, "ana@example.net", purpose.value)
    page = desk_of.get(path)
    assert "This link was sent to ana@example.net." in page.text
    assert "Sign in</a>" not in page.text
    assert desk_of.post(f"{path}/use", data={"csrf": csrf(page.text)}).status_code == 200


@pytest.mark.parametrize("purpose", [ByLink.RELEASE, ByLink.REQUEST])
def test_of_somebody_with_an_account_a_link_alone_lets_go(desk, purpose):
    enrolled(desk, "ana@example.net")
    browser, path = desk.browser(None), link(desk, "ana@example.net", purpose.value)
    page = browser.get(path).text
    assert browser.post(f"{path}/use", data={"csrf": csrf(page)}).status_code == 200
    entry = next(one for one in desk.office.store.journal() if one.what.startswith("quarantine"))
    assert (entry.who, entry.why) == (
        "ana@example.net",
        "by the link in the digest, not signed in, from 127.0.0.0/24",
    )


@pytest.mark.parametrize("purpose", [ByLink.DELETE, ByLink.BLOCK, ByLink.NEVER])
def test_and_for_the_rest_its_owner_signs_in(desk, purpose):
    enrolled(desk, "ana@example.net")
    browser, path = desk.browser(None), link(desk, "ana@example.net", purpose.value)
    before = states(desk, "ana@example.net")
    page = browser.get(path).text
    assert "Whoever reads this mailbox has an account here" in page
    assert f'href="/sign-in?next={path}"' in page
    assert f"{path}/use" not in page
    form = browser.get(link(desk, "ana@example.net", "release")).text
    refused = browser.post(f"{path}/use", data={"csrf": csrf(form)})
    assert refused.status_code == 403
    assert "This takes a sign-in" in refused.text
    assert states(desk, "ana@example.net") == before
    ana = desk.browser("ana")
    assert ana.post(f"{path}/use", data={"csrf": csrf(ana.get(path).text)}).status_code == 200
    entry = next(one for one in desk.office.store.journal() if one.what.startswith(("quarantine", "digest")))
    assert "not signed in" not in entry.why


def test_a_browser_that_keeps_the_cookie_back_is_sent_on_to_ask_again(desk):
    enrolled(desk, "ana@example.net")
    path = link(desk, "ana@example.net", "delete")
    from_a_mail = desk.browser(None).get(path, headers={"sec-fetch-site": "cross-site"})
    assert f'content="0; url={path}"' in from_a_mail.text


def test_what_a_link_does_alone_is_a_setting(desk):
    enrolled(desk, "ana@example.net")
    set_(desk, DigestSettings(hour=0, by_link=()))
    path = link(desk, "ana@example.net", "release")
    assert "Sign in</a>" in desk.browser(None).get(path).text
    set_(desk, DigestSettings(hour=0, by_link=tuple(ByLink)))
    path = link(desk, "ana@example.net", "delete")
    assert "Sign in</a>" not in desk.browser(None).get(path).text

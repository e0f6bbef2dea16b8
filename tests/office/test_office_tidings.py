"""People are told what is done to their account, wherever it is done from."""

from __future__ import annotations

import asyncio
import email
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from gatepost.access.rights import Role
from gatepost.mail.address import Address
from gatepost.office import apppasswords, people, signin, wayin
from gatepost.office.sessions import Visitor, actor_of
from people_samples import GOOD_PASSWORD, HERE, ROOT, THERE, Place, office_at


def in_office(folder: Path, story: Callable[[Place], Awaitable[None]]) -> None:
    def finals(address: Address) -> Sequence[Address]:
        return [Address("box", "inside.example"), address]

    async def told() -> None:
        with office_at(folder) as place:
            place.office = replace(place.office, finals=finals)
            await story(place)

    asyncio.run(told())


def letters(place: Place) -> list[EmailMessage]:
    """Those queued, oldest first, one of each."""
    store = place.office.store
    refs = [one.ref for one in store.queued() if one.to == "box@inside.example"]
    found = [email.message_from_bytes(store.octets_of(ref), policy=default) for ref in refs]
    return [one for one in found if isinstance(one, EmailMessage)]


def test_a_new_place_is_told_and_a_known_one_is_not(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, _, recovery = await place.with_password()
        assert letters(place) == [], "enrolment is nobody's surprise"
        place.clock.forward(60)
        await place.sign_in_by_password(codes)
        assert letters(place) == []
        place.clock.forward(60)
        hostile = Visitor(THERE.ip, "Mozilla\r\nBcc: x@y <https://evil.example/>")
        await place.sign_in_by_password(codes, visitor=hostile)
        (letter,) = letters(place)
        assert letter["To"] == "ana@example.net"
        assert letter["Subject"] == "New sign-in"
        assert letter["Bcc"] is None
        text = letter.get_content()
        assert "198.51.100.0/24" in text
        assert "198.51.100.4" not in text
        assert "https://" not in text, "no mail program makes a link of a stranger's words"
        assert [one.to for one in place.office.store.queued()] == ["box@inside.example", "ana@example.net"]
        place.clock.forward(60)
        await place.sign_in_by_password(codes, visitor=hostile)
        assert len(letters(place)) == 1
        await signin.by_recovery(place.office, "ana@example.net", GOOD_PASSWORD, recovery[0], visitor=HERE)
        assert letters(place)[-1]["Subject"] == "A recovery code was used"

    in_office(tmp_path, story)


@pytest.mark.parametrize(
    ("act", "subject"),
    [
        (lambda p: wayin.invite(p.office, ROOT, "ana@example.net"), "登録用リンクが作成されました"),
        (lambda p: wayin.recover(p.office, ROOT, "ana@example.net"), "サインイン方法が削除されました"),
        (
            lambda p: people.set_roles(p.office, ROOT, "ana@example.net", [Role.AUDITOR]),
            "役割が変更されました",
        ),
        (
            lambda p: apppasswords.make(p.office, ROOT, "ana@example.net", name="spy"),
            "アプリパスワードが作成されました",
        ),
    ],
)
def test_what_others_do_to_an_account_is_told_in_its_language(
    tmp_path: Path, act: Callable[[Place], Awaitable[object]], subject: str
) -> None:
    async def story(place: Place) -> None:
        await place.with_passkey()
        await people.rename(place.office, ROOT, "ana@example.net", language="ja")
        await act(place)
        (letter,) = letters(place)
        assert letter["Subject"] == subject
        assert "実行者: root" in letter.get_content()

    in_office(tmp_path, story)


def test_ones_own_new_passkey_is_told_and_a_device_that_nobody_enrols_gets_no_letters(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        _, admitted = await place.with_passkey()
        await place.add_passkey(admitted.token)
        assert [one["Subject"] for one in letters(place)] == ["A passkey was added"]
        assert await actor_of(place.office, admitted.token)
        await people.add(place.office, ROOT, "scan@example.net")
        await apppasswords.make(place.office, ROOT, "scan@example.net", name="scanner")
        await wayin.invite(place.office, ROOT, "scan@example.net")
        assert len(letters(place)) == 1

    in_office(tmp_path, story)

"""Signing in: who gets in with what, and who does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gatepost.access.rights import Right, Role
from gatepost.access.standing import Admission
from gatepost.office import signin
from gatepost.office.sessions import SignInRefused, actor_of, end, visit_of
from people_samples import GOOD_PASSWORD, HERE, office_at


def test_a_link_leads_to_a_passkey_and_that_signs_in(tmp_path: Path) -> None:
    async def story() -> None:
        with office_at(tmp_path) as place:
            office = place.office
            passkey, admitted = await place.with_passkey("ana@example.net", Role.OWNER)
            actor = await actor_of(office, admitted.token)
            assert actor is not None
            assert actor.login == "ana@example.net"
            assert actor.may(Right.ROLES)
            assert actor.addresses == ("ana@example.net",)
            await end(office, admitted.token)
            assert await actor_of(office, admitted.token) is None
            again = await place.sign_in_by_passkey(passkey)
            assert (await visit_of(office, again.token)) is not None
            assert place.journal()[-2:] == [
                "ana@example.net: sign-out",
                "ana@example.net: sign-in passkey (from 192.0.2.0/24)",
            ]

    asyncio.run(story())


def test_a_password_with_a_code_signs_a_person_in_and_neither_does_alone(tmp_path: Path) -> None:
    async def story() -> None:
        with office_at(tmp_path) as place:
            office = place.office
            codes, _, recovery = await place.with_password()
            assert len(set(recovery)) == 10
            place.clock.forward(60)
            admitted = await place.sign_in_by_password(codes)
            assert admitted.admission is Admission.ENTER
            place.clock.forward(60)
            for password, code in (
                (GOOD_PASSWORD, ""),
                (GOOD_PASSWORD, "000000"),
                ("wrong", codes.at(int(place.clock.now))),
            ):
                with pytest.raises(SignInRefused, match="do not fit together"):
                    await signin.by_password(office, "ana@example.net", password, code, visitor=HERE)

    asyncio.run(story())

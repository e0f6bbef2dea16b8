"""Held accounts in people's hands: who may, and what is on record of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.office.sending import Sending
from office_samples import ANA, HELP_DESK, NOW, POSTMASTER, telling
from store_samples import acceptance


def test_a_postmaster_holds_releases_and_drops(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        sending = Sending(office=office)
        await office.store.carry_out(replace(acceptance("M1", at=NOW), account="ana@example.net"))
        assert await sending.hold(POSTMASTER, "ana@example.net", "stolen laptop")
        assert not await sending.hold(POSTMASTER, "ana@example.net", "again")
        (held,) = sending.held(POSTMASTER)
        assert (held.account, held.reason, held.copies) == ("ana@example.net", "stolen laptop", 1)
        assert await sending.release(POSTMASTER, "ana@example.net", "found") == 1
        with pytest.raises(Impossible):
            await sending.release(POSTMASTER, "ana@example.net")
        await sending.hold(POSTMASTER, "ana@example.net", "stolen again")
        assert await sending.drop(POSTMASTER, "ana@example.net", "spam") == 1
        assert office.store.queued() == []
        told = [(one.who, one.what.partition(" <")[0]) for one in office.store.journal()]
        assert told[0] == ("pia@example.net", "account drop")
        assert ("pia@example.net", "account hold") in told

    telling(tmp_path, story)


@pytest.mark.parametrize("actor", [ANA, HELP_DESK])
def test_others_may_not(tmp_path: Path, actor: object) -> None:
    async def story(office: Office) -> None:
        sending = Sending(office=office)
        with pytest.raises(NotAllowed):
            sending.held(actor)  # type: ignore[arg-type]
        for act in (sending.hold, sending.release, sending.drop):
            with pytest.raises(NotAllowed):
                await act(actor, "ana@example.net", "x")  # type: ignore[operator]

    telling(tmp_path, story)

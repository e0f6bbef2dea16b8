"""Held accounts in people's hands: who may, and what is on record of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.mail.client import Client
from gatepost.office.holding import Holding
from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.office.sending import Sending
from gatepost.store.approvals import CATEGORY as APPROVAL
from gatepost.store.correspondents import StoredCorrespondents
from gatepost.store.records import Acceptance
from office_samples import ANA, HELP_DESK, NOW, POSTMASTER, held, telling
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


async def replied(office: Office, whom: str) -> bool:
    """Does memory say that our side wrote to them?"""
    found = await StoredCorrespondents(office.store.database, lambda: NOW).know(whom, "example.net")
    return found is not None and found.replied


def outgoing(ref: str, *to: str, user: str | None = "ana@example.net", **more: bool) -> Acceptance:
    made = acceptance(ref, at=NOW, sender="ana@example.net", recipients=to, **more)
    client = Client(ip=None, user=user, role="submission", device="" if user else "printer")
    deliveries = tuple(replace(one, category=APPROVAL if one.held else "") for one in made.deliveries)
    return replace(
        made, entry=replace(made.entry, client=client), account="ana@example.net", deliveries=deliveries
    )


def test_whoever_approved_mail_goes_to_is_no_stranger_from_then_on(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        await office.store.carry_out(outgoing("HELD", "bo@partner.example", "cy@gmail.com", held=True))
        await office.store.carry_out(outgoing("MACHINE", "dee@other.example", user=None, held=True))
        await office.store.carry_out(held("COMES", sender="sam@example.org"))
        assert not await replied(office, "partner.example")
        numbers = [one.id for one in office.store.held()]
        await Holding(office=office).release(POSTMASTER, numbers)
        assert await replied(office, "partner.example")
        assert await replied(office, "cy@gmail.com")
        assert not await replied(office, "gmail.com"), "its users are strangers to each other"
        assert not await replied(office, "other.example"), "a machine knows nobody"
        assert not await replied(office, "example.net"), "mail that comes in was not written by us"

    telling(tmp_path, story)


def test_deleted_it_makes_nobody_known(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        await office.store.carry_out(outgoing("HELD", "bo@partner.example", held=True))
        await Holding(office=office).delete(POSTMASTER, [one.id for one in office.store.held()])
        assert not await replied(office, "partner.example")

    telling(tmp_path, story)


def test_a_held_account_that_is_let_go_has_written_to_its_recipients(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        sending = Sending(office=office)
        await office.store.carry_out(outgoing("M1", "bo@partner.example"))
        await sending.hold(POSTMASTER, "ana@example.net", "stolen laptop")
        await sending.release(POSTMASTER, "ana@example.net")
        assert await replied(office, "partner.example")
        await office.store.carry_out(outgoing("M2", "cy@third.example"))
        await sending.hold(POSTMASTER, "ana@example.net", "stolen again")
        await sending.drop(POSTMASTER, "ana@example.net", "spam")
        await sending.release(POSTMASTER, "ana@example.net")
        assert not await replied(office, "third.example"), "what was dropped went to nobody"

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

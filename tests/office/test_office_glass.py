"""Reading somebody's held mail: who may, for how long, who agrees, who is told, and what stays on record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.access.rights import Right, Role
from gatepost.office.glass import Glass
from gatepost.office.office import Impossible, NotAllowed, Office, ProveAgain
from gatepost.store.glass import Breaking, Stand
from office_samples import (
    ANA,
    BEN,
    EVERYBODY,
    HELP_DESK,
    MANAGER,
    NOW,
    OFFICER,
    OWNER,
    POSTMASTER,
    Clock,
    held,
    person,
    telling,
)

WHY = "Ana is ill and a customer waits for an order"


def test_content_is_for_its_owner_and_who_has_the_right(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        await office.store.carry_out(held("ANAS"))
        glass = Glass(office=office)
        for actor in EVERYBODY:
            allowed = actor is ANA or actor.may(Right.CONTENT)
            assert glass.may_read(actor, "ANAS") is allowed, actor.login
            if allowed:
                assert b"Hello ANAS" in await glass.read(actor, "ANAS")
            else:
                with pytest.raises(NotAllowed):
                    await glass.read(actor, "ANAS")
        assert [(one.who, one.ref, one.how) for one in glass.looks_at_mine(ANA)] == [
            (MANAGER.login, "ANAS", "read")
        ]
        assert glass.looks_at_mine(BEN) == []
        (entry,) = office.store.journal(subject="ANAS")
        assert (entry.who, entry.what) == (MANAGER.login, "quarantine read <ana@example.net>")

    telling(tmp_path, story)


def test_two_people_open_it_the_owner_is_told_and_it_ends_by_itself(tmp_path: Path) -> None:
    clock = Clock()
    told: list[tuple[str, Breaking]] = []

    async def tell(address: str, breaking: Breaking) -> None:
        told.append((address, breaking))

    async def story(office: Office) -> None:
        await office.store.carry_out(held("ANAS"))
        await office.store.carry_out(held("BENS", to=("ben@example.net",)))
        glass = Glass(office=office, tell=tell)
        breaking = await glass.ask(POSTMASTER, "Ana@example.net", WHY, case_number="C-7", lasts_s=3600)
        assert breaking.stand(clock()) is Stand.ASKED
        assert told == []
        with pytest.raises(NotAllowed):
            await glass.read(POSTMASTER, "ANAS")
        with pytest.raises(NotAllowed):
            await glass.agree(POSTMASTER, breaking.id)
        opened = await glass.agree(OFFICER, breaking.id)
        assert opened.stand(clock()) is Stand.OPEN
        assert [(address, one.reason) for address, one in told] == [("ana@example.net", WHY)]

        assert b"Hello ANAS" in await glass.read(POSTMASTER, "ANAS")
        with pytest.raises(NotAllowed):
            await glass.read(POSTMASTER, "BENS")
        with pytest.raises(NotAllowed):
            await glass.read(OFFICER, "ANAS")
        (look,) = glass.looks_at_mine(ANA)
        assert (look.who, look.ref, look.reason, look.glass) == (POSTMASTER.login, "ANAS", WHY, breaking.id)

        clock.at = NOW + 3601
        with pytest.raises(NotAllowed):
            await glass.read(POSTMASTER, "ANAS")
        assert [one.what for one in reversed(office.store.journal())] == [
            f"glass ask {breaking.id} <ana@example.net>",
            f"glass agree {breaking.id} <ana@example.net>",
            "quarantine read <ana@example.net>",
        ]
        assert [one.views for one in glass.listed(OFFICER)] == [1]
        assert [one.id for one in glass.breakings_of_mine(ANA)] == [breaking.id]

    telling(tmp_path, story, clock)


def test_a_page_and_its_frame_are_one_look_and_later_ones_are_others(tmp_path: Path) -> None:
    clock = Clock()

    async def story(office: Office) -> None:
        await office.store.carry_out(held("ANAS"))
        glass = Glass(office=office)
        await glass.read(MANAGER, "ANAS")
        await glass.read(MANAGER, "ANAS")
        await glass.read(MANAGER, "ANAS", "downloaded")
        clock.at += 61
        await glass.read(MANAGER, "ANAS")
        assert [one.how for one in glass.looks_at_mine(ANA)] == ["read", "downloaded", "read"]

    telling(tmp_path, story, clock)


def test_the_same_person_never_agrees_to_their_own(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        glass = Glass(office=office)
        breaking = await glass.ask(OWNER, "ana@example.net", WHY)
        with pytest.raises(Impossible, match="another"):
            await glass.agree(OWNER, breaking.id)
        theirs = await glass.ask(OWNER, OFFICER.login, WHY)
        with pytest.raises(Impossible, match="own mail"):
            await glass.agree(OFFICER, theirs.id)
        await glass.refuse(OFFICER, breaking.id)
        with pytest.raises(Impossible):
            await glass.agree(OFFICER, breaking.id)

    telling(tmp_path, story)


def test_what_asking_takes(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        glass = Glass(office=office)
        for actor in EVERYBODY:
            if not actor.may(Right.BREAK_GLASS):
                with pytest.raises(NotAllowed):
                    await glass.ask(actor, "ana@example.net", WHY)
        with pytest.raises(ProveAgain):
            await glass.ask(replace(POSTMASTER, proved_at=NOW - 301), "ana@example.net", WHY)
        for owner, reason, lasts in (
            ("ana@example.net", "so", 60),
            ("ana@example.net", WHY, 4 * 3600 + 1),
            ("ana", WHY, 60),
        ):
            with pytest.raises(Impossible):
                await glass.ask(POSTMASTER, owner, reason, lasts_s=lasts)
        assert glass.listed(POSTMASTER) == []
        with pytest.raises(NotAllowed):
            glass.listed(HELP_DESK)

    telling(tmp_path, story)


def test_a_request_nobody_answered_for_a_day_is_over(tmp_path: Path) -> None:
    clock = Clock()

    async def story(office: Office) -> None:
        glass = Glass(office=office)
        breaking = await glass.ask(POSTMASTER, "ana@example.net", WHY)
        clock.at = NOW + 86_401
        late = person("olaf@example.net", Role.OWNER, proved_at=clock.at)
        with pytest.raises(Impossible):
            await glass.agree(late, breaking.id)

    telling(tmp_path, story, clock)


def test_one_person_is_enough_where_the_operator_says_so_and_may_close_early(tmp_path: Path) -> None:
    clock = Clock()

    async def story(office: Office) -> None:
        await office.store.carry_out(held("ANAS"))
        glass = Glass(office=office, two_people=False)
        breaking = await glass.ask(POSTMASTER, "ana@example.net", WHY)
        assert b"Hello" in await glass.read(POSTMASTER, "ANAS", "downloaded")
        with pytest.raises(NotAllowed):
            await glass.close(ANA, breaking.id)
        await glass.close(POSTMASTER, breaking.id)
        clock.at += 1
        with pytest.raises(NotAllowed):
            await glass.read(POSTMASTER, "ANAS")

    telling(tmp_path, story, clock)


def test_what_waits_for_approval_is_not_its_recipients_to_read(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        await office.store.carry_out(held("OUT", category="approval", sender="ben@example.net"))
        glass = Glass(office=office)
        assert not glass.may_read(ANA, "OUT")
        with pytest.raises(NotAllowed):
            await glass.read(ANA, "OUT")
        assert b"Hello OUT" in await glass.read(MANAGER, "OUT")

    telling(tmp_path, story)


def test_malware_leaves_as_a_file_only_with_whoever_may_release_it(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        await office.store.carry_out(held("EVIL", category="malware"))
        glass = Glass(office=office, two_people=False)
        await glass.ask(POSTMASTER, "ana@example.net", WHY)
        for actor in (ANA, POSTMASTER):
            assert b"Hello EVIL" in await glass.read(actor, "EVIL"), "its preview is harmless"
            with pytest.raises(NotAllowed):
                await glass.read(actor, "EVIL", "downloaded")
        assert b"Hello EVIL" in await glass.read(MANAGER, "EVIL", "downloaded")

    telling(tmp_path, story)

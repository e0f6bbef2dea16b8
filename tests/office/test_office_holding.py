"""Who sees, releases, asks for and deletes held mail, and what the journal says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.access.rights import Actor, Right
from gatepost.office.holding import Holding
from gatepost.office.office import Impossible, NotAllowed, Office, ProveAgain
from gatepost.office.senders import Senders
from gatepost.store.quarantine import Wanted
from office_samples import ANA, BEN, EVERYBODY, HELP_DESK, MANAGER, NOW, OWNER, POSTMASTER, held, telling


async def fill(office: Office) -> dict[str, int]:
    """Spam and phishing for ana, malware for ana, spam for ben; the number of each by reference."""
    await office.store.carry_out(held("SPAM"))
    await office.store.carry_out(held("PHISH", category="phishing"))
    await office.store.carry_out(held("EVIL", category="malware"))
    await office.store.carry_out(held("BENS", to=("ben@example.net",)))
    return {one.ref: one.id for one in office.store.held()}


def states(office: Office) -> dict[str, str]:
    return {one.ref: one.state for one in office.store.held(decided=True)}


def test_everybody_sees_their_own_and_who_may_sees_all(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        await fill(office)
        holding = Holding(office=office)
        for actor in EVERYBODY:
            seen = {one.ref for one in await holding.listed(actor, Wanted())}
            if actor.may(Right.RELEASE) or actor.may(Right.MESSAGES):
                assert seen == {"SPAM", "PHISH", "EVIL", "BENS"}, actor.login
            else:
                own = {one.ref for one in office.store.held() if actor.owns(one.to)}
                assert seen == own, actor.login
        with pytest.raises(NotAllowed) as theirs:
            holding.show(ANA, "BENS")
        with pytest.raises(NotAllowed) as nobodys:
            holding.show(ANA, "NOSUCH")
        assert str(theirs.value) == str(nobodys.value), "what exists is not told"
        nobody = replace(ANA, addresses=())
        assert await holding.listed(nobody, Wanted()) == []

    telling(tmp_path, story)


def test_people_release_what_may_be_released_ask_for_the_rest_and_leave_malware(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        number = await fill(office)
        holding = Holding(office=office)
        decided = await holding.release(
            ANA, [number["SPAM"], number["PHISH"], number["EVIL"], number["BENS"]], "mine"
        )
        assert [one.ref for one in decided.done] == ["SPAM"]
        assert [one.ref for one in decided.requested] == ["PHISH"]
        assert set(decided.left) == {number["EVIL"], number["BENS"]}
        assert states(office) == {"SPAM": "released", "PHISH": "requested", "EVIL": "held", "BENS": "held"}
        (waiting,) = office.store.queued()
        assert (waiting.ref, waiting.to, waiting.junk) == ("SPAM", "ana@example.net", False)
        told = [(one.who, one.what, one.why, one.subject) for one in office.store.journal()]
        assert ("ana@example.net", "quarantine release <ana@example.net>", "mine", "SPAM") in told
        assert ("ana@example.net", "quarantine request <ana@example.net>", "mine", "PHISH") in told

        again = await holding.release(ANA, [number["SPAM"], number["PHISH"]])
        assert again.done == again.requested == ()
        assert again.left[number["SPAM"]] == "It is released already."
        assert len(office.store.queued()) == 1

    telling(tmp_path, story)


@pytest.mark.parametrize("actor", EVERYBODY, ids=lambda one: one.login)
def test_only_who_has_the_right_decides_about_others(tmp_path: Path, actor: Actor) -> None:
    async def story(office: Office) -> None:
        await office.store.carry_out(held("THEIRS", to=("somebody@example.net",)))
        (copy,) = office.store.held()
        holding = Holding(office=office)
        for act in (holding.release, holding.request, holding.delete, holding.deny):
            try:
                decided = await act(actor, [copy.id], "why")
                done = bool(decided.done or decided.requested)
            except NotAllowed:
                done = False
            assert done is False or actor.may(Right.RELEASE), (act.__name__, actor.login)
        assert (states(office)["THEIRS"] == "held") is not actor.may(Right.RELEASE)

    telling(tmp_path, story)


def test_malware_takes_the_right_a_reason_and_a_fresh_proof(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        number = (await fill(office))["EVIL"]
        holding = Holding(office=office)
        assert (await holding.release(POSTMASTER, [number], "it is fine")).done == ()
        with pytest.raises(ProveAgain):
            await holding.release(replace(MANAGER, proved_at=NOW - 301), [number], "it is fine")
        without = await holding.release(MANAGER, [number])
        assert without.done == ()
        assert "reason" in without.left[number]
        assert [one.ref for one in (await holding.release(MANAGER, [number], "it is fine")).done] == ["EVIL"]

    telling(tmp_path, story)


def test_many_at_once_each_with_its_own_outcome(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        for index in range(60):
            await office.store.carry_out(held(f"MANY{index:02}"))
        numbers = [one.id for one in office.store.held()]
        holding = Holding(office=office)
        decided = await holding.release(POSTMASTER, [*numbers, 999_999], "sorted out")
        assert len(decided.done) == 60
        assert set(decided.left) == {999_999}
        with pytest.raises(Impossible):
            await holding.delete(POSTMASTER, list(range(501)))
        assert office.store.figures(NOW).held == 0

    telling(tmp_path, story)


def test_denied_is_held_again_and_can_be_asked_for_again(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        number = (await fill(office))["PHISH"]
        holding = Holding(office=office)
        await holding.release(ANA, [number])
        with pytest.raises(NotAllowed):
            await holding.deny(HELP_DESK, [number])
        denied = await holding.deny(POSTMASTER, [number], "a lure")
        assert [one.ref for one in denied.done] == ["PHISH"]
        (copy,) = holding.show(ANA, "PHISH")
        assert (copy.state, copy.changed_by, copy.changed_why) == ("held", POSTMASTER.login, "a lure")

    telling(tmp_path, story)


def test_pages_go_on_where_the_last_one_ended_and_filters_hold(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        for index in range(7):
            await office.store.carry_out(
                held(f"PAGE{index}", sender="100%@example.org" if index == 3 else "sam@example.org")
            )
        holding = Holding(office=office)
        first = await holding.listed(OWNER, Wanted(), limit=4)
        second = await holding.listed(OWNER, Wanted(), limit=4, before=first[-1].id)
        assert [one.ref for one in (*first, *second)] == [f"PAGE{index}" for index in reversed(range(7))]
        assert [one.ref for one in await holding.listed(OWNER, Wanted(sender="100%"))] == ["PAGE3"]
        assert await holding.listed(OWNER, Wanted(sender="_00%")) == []
        assert len(await holding.listed(OWNER, Wanted(to="@example.net", category="spam"))) == 7
        assert await holding.listed(OWNER, Wanted(category="malware")) == []

    telling(tmp_path, story)


def test_release_teaches_the_person_alone_or_the_site_by_right(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        number = await fill(office)
        holding = Holding(office=office)
        await holding.release(ANA, [number["SPAM"]])
        await holding.release(MANAGER, [number["BENS"]])
        owners = office.store.database.read(
            lambda c: c.execute("SELECT ref, owner, spam FROM lessons ORDER BY ref").fetchall()
        )
        assert owners == [("BENS", "", 0), ("SPAM", "ana@example.net", 0)]

    telling(tmp_path, story)


def test_people_block_for_themselves_only(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        senders = Senders(office=office)
        with pytest.raises(NotAllowed):
            await senders.add(ANA, "pest@example.org", allow=False, recipient="", reason="pest")
        with pytest.raises(NotAllowed):
            await senders.add(
                ANA, "pest@example.org", allow=False, recipient="ben@example.net", reason="pest"
            )
        await senders.add(ANA, "Pest@Example.org", allow=False, recipient="ana@example.net", reason="pest")
        await senders.add(POSTMASTER, "partner.example", allow=True, recipient="", reason="invoices")
        with pytest.raises(Impossible):
            await senders.add(POSTMASTER, "gmail.com", allow=True, recipient="", reason="everybody")
        assert [one.entry.identity for one in senders.listed(ANA)] == ["pest@example.org"]
        assert len(senders.listed(POSTMASTER)) == 2
        assert senders.listed(BEN) == []
        (partner,) = [one for one in senders.listed(POSTMASTER) if one.entry.allow]
        assert partner.entry.expires_at is not None, "an allowance ends"
        assert await senders.remove(ANA, "pest@example.org", allow=False, recipient="ana@example.net")

    telling(tmp_path, story)


def test_what_a_colleague_sends_and_is_held_for_approval_is_not_its_recipients_to_decide(
    tmp_path: Path,
) -> None:
    async def story(office: Office) -> None:
        number = await fill(office)
        await office.store.carry_out(held("OUT", category="approval", sender="ben@example.net"))
        (out,) = office.store.held(ref="OUT")
        holding = Holding(office=office, people_may_release=frozenset({"spam", "approval"}))
        assert "OUT" not in {one.ref for one in await holding.listed(ANA, Wanted())}
        with pytest.raises(NotAllowed):
            holding.show(ANA, "OUT")
        for act in (holding.release, holding.request, holding.delete):
            with pytest.raises(NotAllowed):
                await act(ANA, [out.id])
        decided = await holding.delete(ANA, [number["SPAM"], out.id])
        assert set(decided.left) == {out.id}
        assert states(office)["OUT"] == "held"
        (done,) = (await holding.release(POSTMASTER, [out.id])).done
        assert done.ref == "OUT"

    telling(tmp_path, story)


@pytest.mark.parametrize("to", [("ana@example.net", HELP_DESK.login), (HELP_DESK.login, "ana@example.net")])
def test_who_sees_all_and_may_not_teach_all_teaches_for_themselves_alone(
    tmp_path: Path, to: tuple[str, str]
) -> None:
    async def story(office: Office) -> None:
        await office.store.carry_out(held("BOTH", to=to))
        await Holding(office=office).teach(HELP_DESK, "BOTH", spam=False)
        owners = office.store.database.read(lambda c: c.execute("SELECT owner FROM lessons").fetchall())
        assert owners == [(HELP_DESK.login,)]

    telling(tmp_path, story)

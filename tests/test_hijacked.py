"""An account in strange hands: what it sends adds up, and from the line on everything of it is held, not only this message."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from gatepost.jobs.concerns import concerns
from gatepost.jobs.look import look
from gatepost.jobs.settings import AlertSettings
from gatepost.mail.address import Address
from gatepost.mail.client import Mail
from gatepost.scan.nothing import NOTHING
from gatepost.store import heldaccounts
from gatepost.store.journal import Why
from gatepost.store.memory import StoredMemory
from gatepost.store.postmaster import Postmaster
from gatepost.store.records import AccountHold, Notice, RetryAt
from gatepost.store.store import Store
from gatepost.tools import Opinion
from sending import ANA, NOW, Desk, desk, letter
from store_samples import acceptance

DAY = 86_400.0
THIEF = replace(ANA, ip=ip_address("203.0.113.77"))


class Model:
    """Thinks what it is told to."""

    def __init__(self, log_odds: float = -3.0) -> None:
        self.log_odds = log_odds

    def opinion(self, mail: Mail) -> Opinion:
        return Opinion(probability=0.5, log_odds=self.log_odds, learnt=(5000, 5000), ready=True)


def settled(model: Model, *, scanner: object = NOTHING, **tables: object) -> Desk:
    gate = desk(model=model, scanner=scanner, **tables)
    for _ in range(12):
        gate.send()
        gate.world.now += DAY
    return gate


def test_what_a_thief_does_adds_up_and_the_account_is_held() -> None:
    model = Model()
    gate = settled(model)
    model.log_odds = 4.0
    gate.world.now += DAY / 2
    reply = gate.send(letter("User-Agent: Bulk 1"), client=THIEF)
    assert reply.code == 250, "whoever has the account is not told"
    (hold,) = gate.store.holds
    assert gate.last.hold is hold
    assert (hold.account, hold.ref) == ("ana@example.net", gate.last.entry.ref)
    for words in ("may have been hijacked", "203.0.112.0/20", "unwanted mail"):
        assert words in hold.reason
    assert "account.held" in gate.findings()
    assert not gate.last.deliveries[0].held, (
        "it waits in the queue with the rest, to be let go or dropped together"
    )
    ((subject, text),) = gate.letters
    assert "Mail of ana@example.net is held" in subject
    assert "gatepost queue release-account ana@example.net" in text


def test_further_mail_of_it_is_held_and_teaches_nothing() -> None:
    gate = settled(Model())
    gate.contacts.clear()
    gate.store.held["ana@example.net"] = "seen before"
    facts = dict(gate.world.facts)
    assert gate.send(letter(), "new@example.com").code == 250
    assert "account.is_held" in gate.findings()
    assert gate.contacts == []
    assert not [key for key in gate.world.facts if key not in facts and ("habit" in key or "met" in key)]


@pytest.mark.parametrize("log_odds", [6.0, 0.0])
def test_neither_a_bad_text_nor_a_journey_alone_holds_anybody(log_odds: float) -> None:
    model = Model()
    gate = settled(model, submission={"policy": {"hold_at": 20.0, "refuse_at": 30.0}})
    model.log_odds = log_odds
    gate.send(client=ANA if log_odds else THIEF)
    assert gate.store.holds == []


def test_a_flood_from_a_new_place_holds() -> None:
    gate = settled(Model(), checks={"quota": {"device": {"strangers_hour": 0}}})
    gate.send(letter(), *[f"p{number}@example.org" for number in range(60)], client=THIEF)
    assert len(gate.store.holds) == 1


def test_a_gate_that_observes_holds_nobody_and_says_what_it_saw() -> None:
    model = Model()
    gate = settled(model, mode="observe")
    model.log_odds = 6.0
    gate.send(client=THIEF)
    assert gate.store.holds == []
    assert "habits.new_network" in gate.findings()


def test_the_line_can_be_moved_and_taken_away() -> None:
    for line, holds in ((1.0, 1), (0.0, 0)):
        gate = settled(Model(), submission={"policy": {"account_hold_at": line}})
        gate.send(client=THIEF)
        assert len(gate.store.holds) == holds


def test_an_attempt_to_send_malware_counts_though_it_is_refused() -> None:
    class Scanner:
        async def scan(self, octets: bytes) -> str | None:
            return "Eicar" if b"VIRUS" in octets else None

    gate = desk(model=Model(), scanner=Scanner(), checks={"antivirus": {"clamd": "tcp:127.0.0.1:1"}},
                submission={"policy": {"account_hold_at": 4.0}})  # fmt: skip
    for _ in range(12):
        gate.send()
        gate.world.now += DAY
    reply = gate.send(letter(body="VIRUS\r\n"), client=THIEF)
    assert reply.code == 550
    assert [hold.account for hold in gate.store.holds] == ["ana@example.net"]


# In the store: one commit, the whole queue.

Story = Callable[[Store], Awaitable[None]]
WHY = Why("ben", "it was her", NOW + 60)
LETTER = Notice(ref="N", recipient=Address("postmaster", "example.net"), octets=b"A: b\r\n\r\n", at=NOW)
HOLD = AccountHold(account="ana@example.net", at=NOW, reason="a flood", ref="M3", notices=(LETTER,))


@pytest.fixture
def tell(tmp_path: Path) -> Callable[[Story], None]:
    async def run(story: Story) -> None:
        store = Store.open(tmp_path)
        await story(store)
        await store.close()

    return lambda story: asyncio.run(run(story))


async def queued(store: Store) -> None:
    """Two messages of the account, one of somebody else, then the one that showed it."""
    for ref in ("M1", "M2"):
        await store.carry_out(
            replace(acceptance(ref, at=NOW, recipients=("x@example.org",)), account="ana@example.net")
        )
    await store.carry_out(acceptance("OTHER", at=NOW))
    await store.carry_out(replace(acceptance("M3", at=NOW), account="ana@example.net", hold=HOLD))


def test_everything_of_the_account_is_held_and_nothing_of_others(tell: Callable[[Story], None]) -> None:
    async def story(store: Store) -> None:
        await queued(store)
        await store.carry_out(replace(acceptance("M4", at=NOW), account="ana@example.net"))
        assert {one.ref for one in await store.claim(NOW + 1, 10, 60, "w")} == {"OTHER", "N"}
        held = {one.ref: one.held_because for one in store.queued() if one.held_because}
        assert held == dict.fromkeys(("M1", "M2", "M3", "M4"), "The account is held: a flood")
        seen = look(store, now=NOW, certificates=(), validations=(), lists=())
        assert "account:ana@example.net" in {one.key for one in concerns(seen, AlertSettings())}
        (one,) = store.database.read(heldaccounts.listed)
        assert (one.account, one.ref, one.copies) == ("ana@example.net", "M3", 4)

    tell(story)


def test_the_postmaster_is_told_once(tell: Callable[[Story], None]) -> None:
    async def story(store: Store) -> None:
        await queued(store)
        again = replace(HOLD, ref="M5", notices=(replace(LETTER, ref="N2"),))
        await store.carry_out(replace(acceptance("M5", at=NOW), account="ana@example.net", hold=again))
        assert [one.ref for one in store.queued() if one.to == "postmaster@example.net"] == ["N"]

    tell(story)


def test_what_was_claimed_before_does_not_go(tell: Callable[[Story], None]) -> None:
    async def story(store: Store) -> None:
        await store.carry_out(replace(acceptance("M1", at=NOW), account="ana@example.net"))
        (item,) = await store.claim(NOW, 10, 60, "w")
        assert item.account == "ana@example.net"
        assert store.may_go(item)
        await store.hold_account(HOLD)
        assert not store.may_go(item)
        await store.settle(item, None, RetryAt(NOW + 1))
        assert [one.ref for one in await store.claim(NOW + 100, 10, 60, "w")] == ["N"]

    tell(story)


def test_released_it_all_goes_out(tell: Callable[[Story], None]) -> None:
    async def story(store: Store) -> None:
        await queued(store)
        assert await store.database.commit(lambda c: heldaccounts.release(c, "ana@example.net", WHY)) == 3
        assert {one.ref for one in await store.claim(NOW + 61, 10, 60, "w")} == {
            "M1",
            "M2",
            "M3",
            "OTHER",
            "N",
        }
        assert store.held_because("ana@example.net") is None
        assert await store.database.commit(lambda c: heldaccounts.release(c, "ana@example.net", WHY)) is None
        assert "account release <ana@example.net>: 3 copies go out" in [one.what for one in store.journal()]

    tell(story)


def test_dropped_it_all_is_gone_and_the_account_stays_held(tell: Callable[[Story], None]) -> None:
    async def story(store: Store) -> None:
        await queued(store)
        dropped = await store.database.commit(lambda c: heldaccounts.drop(c, "ana@example.net", WHY))
        assert dropped is not None
        assert dropped[0] == 3
        assert {one.ref for one in store.queued()} == {"OTHER", "N"}
        assert store.held_because("ana@example.net") == "The account is held: a flood"

    tell(story)


def test_what_is_approved_of_a_held_account_waits_with_the_rest(tell: Callable[[Story], None]) -> None:
    async def story(store: Store) -> None:
        await store.carry_out(replace(acceptance("Q", at=NOW, held=True), account="ana@example.net"))
        await store.hold_account(replace(HOLD, notices=()))
        await Postmaster(store).release("Q", WHY)
        assert await store.claim(NOW + 100, 10, 60, "w") == []
        (copy,) = store.queued()
        assert copy.held_because == "The account is held: a flood"

    tell(story)


def test_reports_to_the_gate_may_hold_anything_and_say_nothing_of_who_sends_them() -> None:
    class Scanner:
        async def scan(self, octets: bytes) -> str | None:
            return "Eicar" if b"VIRUS" in octets else None

    model = Model()
    gate = settled(model, scanner=Scanner(), checks={"antivirus": {"clamd": "tcp:127.0.0.1:1"}},
                   learning={"report_spam": "spam@example.net"})  # fmt: skip
    model.log_odds = 6.0
    assert gate.send(letter(body="VIRUS\r\n"), "spam@example.net", client=THIEF).code == 250
    assert gate.store.holds == []
    assert not gate.last.deliveries[0].held


def test_malware_reported_and_sent_at_once_is_held_as_malware_for_the_others() -> None:
    class Scanner:
        async def scan(self, octets: bytes) -> str | None:
            return "Eicar" if b"VIRUS" in octets else None

    gate = desk(scanner=Scanner(), checks={"antivirus": {"clamd": "tcp:127.0.0.1:1"}},
                learning={"report_spam": "spam@example.net"})  # fmt: skip
    assert gate.send(letter(body="VIRUS\r\n"), "spam@example.net", "bo@example.org").code == 250
    assert [(one.to, one.held, one.category) for one in gate.last.deliveries] == [
        ("spam@example.net", False, ""),
        ("bo@example.org", True, "malware"),
    ]


def test_whom_a_postmaster_let_go_is_not_held_again_for_a_day() -> None:
    gate = settled(Model(), submission={"policy": {"account_hold_at": 1.0}})
    asyncio.run(gate.world.put(heldaccounts.VOUCHED + "ana@example.net", "pia", ttl_s=DAY))
    gate.send(client=THIEF)
    assert gate.store.holds == []
    assert "habits.new_network" in gate.findings()
    gate.world.now += 1.1 * DAY
    gate.send(client=replace(ANA, ip=ip_address("198.18.0.1")))
    assert len(gate.store.holds) == 1


def test_a_release_by_hand_vouches_in_the_memory_of_all_processes(tell: Callable[[Story], None]) -> None:
    async def story(store: Store) -> None:
        await queued(store)
        await store.database.commit(lambda c: heldaccounts.release(c, "ana@example.net", WHY))
        memory = StoredMemory(store.database, lambda: NOW + 61)
        assert await memory.get(heldaccounts.VOUCHED + "ana@example.net") == "ben"
        later = StoredMemory(store.database, lambda: NOW + 61 + DAY)
        assert await later.get(heldaccounts.VOUCHED + "ana@example.net") is None

    tell(story)


def test_a_hold_reaches_what_another_process_takes_in(tmp_path: Path) -> None:
    async def story() -> None:
        one, other = Store.open(tmp_path), Store.open(tmp_path)
        try:
            await asyncio.gather(
                one.carry_out(replace(acceptance("M1", at=NOW), account="ana@example.net", hold=replace(HOLD, notices=()))),
                *(other.carry_out(replace(acceptance(f"N{n}", at=NOW), account="ana@example.net")) for n in range(20)),
            )  # fmt: skip
            await other.carry_out(replace(acceptance("LATE", at=NOW), account="ana@example.net"))
            assert {copy.held_because for copy in other.queued()} == {"The account is held: a flood"}
            assert await other.claim(NOW + 1, 100, 60, "w") == []
        finally:
            await other.close()
            await one.close()

    asyncio.run(story())

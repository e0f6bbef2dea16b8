"""Mail that waits for approval: its sender and the postmaster are told, and nothing ends in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.jobs.approvals import POSTMASTER_AGAIN_S, Approvals
from gatepost.jobs.letter import Letters
from gatepost.mail.address import Address
from gatepost.store.journal import Why
from gatepost.store.postmaster import Postmaster
from gatepost.store.records import Acceptance
from gatepost.store.store import Store
from judging import World
from store_samples import acceptance

NOW = 1_750_000_000.0


class Setting:
    def __init__(self, store: Store) -> None:
        self.store, self.world = store, World(now=NOW)
        refs = iter(f"L{number}" for number in range(100))
        letters = Letters(
            store=store, hostname="mx.example.net", to=lambda: Address("pia", "example.net"),
            expand=lambda address: (str(address),), new_ref=lambda _: next(refs), clock=lambda: self.world.now,
        )  # fmt: skip
        self.round = Approvals(store=store, memory=self.world, letters=letters, clock=lambda: self.world.now)

    async def letters(self) -> list[tuple[str, str]]:
        """Those that were written since the last call: to whom, and the text."""
        await self.round.tell()
        items = await self.store.claim(self.world.now + 1, 100, 100_000, "w")
        return [(one.to, self.store.octets_of(one.ref).decode()) for one in items]


Story = Callable[[Setting], Awaitable[None]]


@pytest.fixture
def tell(tmp_path: Path) -> Callable[[Story], None]:
    async def run(story: Story) -> None:
        store = Store.open(tmp_path)
        await story(Setting(store))
        await store.close()

    return lambda story: asyncio.run(run(story))


def waiting(ref: str, *to: str, category: str = "approval") -> Acceptance:
    made = acceptance(ref, at=NOW, held=True, sender="ana@example.net", recipients=to or ("bo@example.org",))
    return replace(
        made,
        entry=replace(made.entry, subject="the figures"),
        deliveries=tuple(
            replace(one, category=category, reason="it holds card numbers") for one in made.deliveries
        ),
    )


def test_sender_and_postmaster_are_told_once(tell: Callable[[Story], None]) -> None:
    async def story(setting: Setting) -> None:
        await setting.store.carry_out(waiting("M1", "bo@example.org", "cy@example.org"))
        await setting.store.carry_out(waiting("SPAM", category="spam"))
        letters = dict(await setting.letters())
        assert set(letters) == {"ana@example.net", "pia@example.net"}
        for words in (
            "waits for approval [ref M1]",
            "the figures",
            "bo@example.org, cy@example.org",
            "card numbers",
        ):
            assert words in letters["ana@example.net"]
        assert "M1  ana@example.net -> bo@example.org, cy@example.org" in letters["pia@example.net"]
        assert "SPAM" not in letters["pia@example.net"]
        assert await setting.letters() == []

    tell(story)


def test_the_postmaster_gets_one_letter_in_a_while_about_all_of_it(tell: Callable[[Story], None]) -> None:
    async def story(setting: Setting) -> None:
        await setting.store.carry_out(waiting("M1"))
        await setting.letters()
        for number in range(2, 30):
            await setting.store.carry_out(waiting(f"M{number}"))
        setting.world.now += 60
        assert {to for to, _ in await setting.letters()} == {"ana@example.net"}
        setting.world.now += POSTMASTER_AGAIN_S
        ((to, text),) = await setting.letters()
        assert to == "pia@example.net"
        assert "… and 8 more" in text

    tell(story)


@pytest.mark.parametrize("state", ["deleted", "expired"])
def test_what_is_not_sent_after_all_comes_back_in_words(tell: Callable[[Story], None], state: str) -> None:
    async def story(setting: Setting) -> None:
        await setting.store.carry_out(waiting("M1"))
        await setting.letters()
        setting.world.now += 10
        if state == "deleted":
            await Postmaster(setting.store).delete("M1", Why("pia", "not to them", setting.world.now))
        else:
            from gatepost.store import quarantine

            await setting.store.database.commit(
                lambda c: quarantine.expire(c, before=NOW + 5, limit=9, at=setting.world.now)
            )
        ((to, text),) = await setting.letters()
        assert to == "ana@example.net"
        assert "was not sent [ref M1]" in text
        assert ("not to them" if state == "deleted" else "nobody decided in time") in text
        assert await setting.letters() == []

    tell(story)


def test_what_is_released_goes_out_and_needs_no_letter(tell: Callable[[Story], None]) -> None:
    async def story(setting: Setting) -> None:
        await setting.store.carry_out(waiting("M1"))
        await setting.letters()
        setting.world.now += 10
        await Postmaster(setting.store).release("M1", Why("pia", "", setting.world.now))
        ((to, _),) = await setting.letters()
        assert to == "bo@example.org"

    tell(story)

"""Legal holds: what they keep from retention and from people, for whom and of when, and what they leave alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gatepost.store import correspondents, entries, holds, journal, requests
from gatepost.store.holds import LegalHold
from gatepost.store.journal import Why
from gatepost.store.quarantine import State
from gatepost.store.retention import Retention, expire
from gatepost.store.store import Store
from gatepost.tools import Acquaintance, Entry
from store_samples import acceptance

NOW = 1_795_000_000.0
DAY = 86_400.0
OLD = NOW - 500 * DAY
WHY = Why("dpo@example.net", "case 7", OLD)


def story(tmp_path: Path, work: Any) -> None:
    async def go() -> None:
        store = Store.open(tmp_path)
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(go())


def on_ana(**more: Any) -> LegalHold:
    return LegalHold(domain="example.net", address="ana@example.net", reason="a lawsuit", **more)


async def fill(store: Store) -> None:
    for ref, sender, to in (
        ("TOANA", "x@example.org", "ana@example.net"), ("BYANA", "Ana@example.net", "y@example.org"),
        ("TOBEN", "x@example.org", "ben@example.net"),
    ):  # fmt: skip
        await store.carry_out(acceptance(ref, at=OLD, sender=sender, recipients=(to,)))
    for ref, to in (("HELDANA", "ana@example.net"), ("HELDBEN", "ben@example.net")):
        await store.carry_out(acceptance(ref, at=OLD, recipients=(to,), held=True))
    met = Acquaintance(OLD, OLD, 3, False)
    await store.database.commit(
        lambda c: correspondents.write(
            c, {("ana@example.net", "example.org"): met, ("z@example.org", "example.net"): met}
        )
    )
    for owner in ("ana@example.net", "ben@example.net"):
        entry = Entry(
            id=0,
            allow=True,
            identity="s@example.org",
            recipient=owner,
            owner=owner,
            reason="",
            expires_at=OLD,
        )
        await store.database.commit(lambda c, one=entry: entries.add(c, one, WHY))


def left(store: Store) -> dict[str, list[str]]:
    def read(sql: str) -> list[str]:
        return store.database.read(lambda c: [one for (one,) in c.execute(sql)])

    return {
        "messages": read("SELECT ref FROM history ORDER BY ref"),
        "held": read("SELECT ref FROM quarantine WHERE state = 'held' ORDER BY ref"),
        "met": read("SELECT identity FROM correspondents ORDER BY identity"),
        "senders": read("SELECT owner FROM entries ORDER BY owner"),
        "journal": read("SELECT number FROM journal ORDER BY number"),
    }


def test_without_a_hold_everything_old_goes(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await fill(store)
        deleted = await expire(store, NOW, Retention())
        assert (deleted["history"], deleted["held"], deleted["correspondents"]) == (5, 2, 2)
        kept = left(store)
        assert [kept[one] for one in ("messages", "held", "met", "senders")] == [[], [], [], []]
        (run,) = store.database.read(requests.runs)
        assert (run.deleted["history"], run.holds) == (5, 0)

    story(tmp_path, work)


def test_what_is_about_somebody_on_hold_stays_and_nothing_else(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await fill(store)
        number = await store.database.commit(lambda c: holds.add(c, on_ana(), WHY))
        await expire(store, NOW, Retention())
        kept = left(store)
        assert kept["messages"] == ["BYANA", "HELDANA", "TOANA"]
        assert kept["held"] == ["HELDANA"]
        assert kept["met"] == ["ana@example.net"]
        assert kept["senders"] == ["ana@example.net"]
        assert kept["journal"][0] == 1, "the chain has no gaps: it begins with the entry about her"
        assert await store.database.commit(lambda c: holds.release(c, number, WHY))
        assert not await store.database.commit(lambda c: holds.release(c, number, WHY))
        await expire(store, NOW, Retention())
        assert left(store)["messages"] == left(store)["held"] == []
        assert [one.what.partition(" <")[0] for one in store.journal(kind="quarantine expire", limit=1)]

    story(tmp_path, work)


def test_a_hold_over_a_domain_or_a_time_keeps_just_that(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await fill(store)
        domain = LegalHold(domain="example.org", reason="audit")
        later = on_ana(since=OLD + 1)
        earlier = on_ana(until=OLD)
        for one in (later, earlier):
            await store.database.commit(lambda c, hold=one: holds.add(c, hold, WHY))
        await expire(store, NOW, Retention())
        assert left(store)["messages"] == []
        await store.carry_out(
            acceptance("TOBEN2", at=OLD, sender="x@example.org", recipients=("ben@example.net",))
        )
        await store.carry_out(
            acceptance("INSIDE", at=OLD, sender="x@sub-example.org", recipients=("ben@example.net",))
        )
        await store.database.commit(lambda c: holds.add(c, domain, WHY))
        await expire(store, NOW, Retention())
        assert left(store)["messages"] == ["TOBEN2"]

    story(tmp_path, work)


def test_people_cannot_delete_what_is_on_hold_and_may_let_it_go(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        from gatepost.store import quarantine

        await fill(store)
        await store.database.commit(lambda c: holds.add(c, on_ana(), WHY))
        (copy,) = store.held(ref="HELDANA")
        assert await store.database.commit(lambda c: quarantine.move(c, copy.id, State.DELETED, WHY)) is None
        assert [one.state for one in store.held(ref="HELDANA")] == ["held"]
        assert store.database.read(lambda c: holds.copies_on_hold(c, [copy.id])) == {copy.id}
        assert (
            await store.database.commit(lambda c: quarantine.move(c, copy.id, State.RELEASED, WHY))
            is not None
        )

    story(tmp_path, work)


def test_a_hold_with_an_end_is_released_by_the_clock_and_the_journal_says_so(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await fill(store)
        await store.database.commit(lambda c: holds.add(c, on_ana(ends_at=NOW), WHY))
        await expire(store, NOW - 1, Retention())
        assert store.database.read(lambda c: holds.concerning(c, "ANA@example.net"))
        await expire(store, NOW, Retention())
        assert left(store)["messages"] == []
        (ended,) = store.database.read(lambda c: holds.listed(c, released=True))
        assert (ended.released_by, ended.released_at) == ("gatepost", NOW)
        assert store.database.read(journal.verify) is None
        assert store.journal(kind="hold release")[0].who == "gatepost"

    story(tmp_path, work)

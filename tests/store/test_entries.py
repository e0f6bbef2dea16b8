"""Senders allowed and blocked while the gate runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gatepost.store import entries, journal
from gatepost.store.entries import StoredEntries, keys_of
from gatepost.store.journal import Why
from gatepost.store.store import Store
from gatepost.tools import Entry
from store_samples import address

NOW = 1_750_000_000.0
WHY = Why("ana", "our bank", NOW)


def entry(identity: str, *, allow: bool = True, recipient: str = "", until: float | None = None) -> Entry:
    return Entry(
        id=0,
        allow=allow,
        identity=identity,
        recipient=recipient,
        owner="ana",
        reason="our bank",
        expires_at=until,
    )


def test_an_entry_is_known_a_second_later_and_gone_a_second_after_it_was_removed(tmp_path: Path) -> None:
    async def story() -> None:
        store, now = Store.open(tmp_path), [NOW]
        known = StoredEntries(store.database, lambda: now[0])
        to = [address("ben@example.net")]
        assert not known.some
        await store.database.commit(lambda c: entries.add(c, entry("bank.example"), WHY))
        assert await known.matching(["a@bank.example"], to) == ()
        now[0] += 1
        assert known.some
        for sender, found in (
            ("a@bank.example", 1),
            ("A@MAIL.bank.example", 1),
            ("a@notbank.example", 0),
            ("", 0),
        ):
            assert len(await known.matching([sender], to)) == found, sender
        (one,) = await known.matching(["a@bank.example", "b@bank.example"], to)
        known.count([one])
        known.count([one])
        await known.close()
        (kept,) = store.database.read(entries.listed)
        assert (kept.hits, kept.last_hit) == (2, now[0])
        assert await store.database.commit(
            lambda c: entries.remove(c, allow=True, identity="bank.example", recipient="", why=WHY)
        )
        assert not await store.database.commit(
            lambda c: entries.remove(c, allow=True, identity="bank.example", recipient="", why=WHY)
        )
        now[0] += 1
        assert not known.some
        assert [one.what for one in store.journal()] == [
            "lists allow remove bank.example",
            "lists allow add bank.example",
        ]
        assert store.database.read(journal.verify) is None
        await store.close()

    asyncio.run(story())


def test_an_entry_ends_and_may_be_for_one_recipient_or_domain(tmp_path: Path) -> None:
    async def story() -> None:
        store, now = Store.open(tmp_path), [NOW]
        known = StoredEntries(store.database, lambda: now[0])
        for one in (
            entry("x.example", recipient="ben@example.net", until=NOW + 10),
            entry("y.example", recipient="example.net"),
            entry("y.example", allow=False, recipient="other.example"),
        ):
            await store.database.commit(lambda c, one=one: entries.add(c, one, WHY))
        ben, chie, other = (
            address(text) for text in ("ben@example.net", "chie@example.net", "o@other.example")
        )
        assert len(await known.matching(["a@x.example"], [chie, ben])) == 1
        assert await known.matching(["a@x.example"], [chie]) == ()
        assert [one.allow for one in await known.matching(["a@y.example"], [chie])] == [True]
        assert [one.allow for one in await known.matching(["a@y.example"], [other])] == [False]
        now[0] = NOW + 10
        assert await known.matching(["a@x.example"], [ben]) == ()
        assert len(store.database.read(lambda c: entries.listed(c, allow=True))) == 2
        assert await store.database.commit(lambda c: entries.expire(c, before=NOW + 11, limit=10)) == 1
        await store.close()

    asyncio.run(story())


def test_a_domain_of_endless_labels_costs_a_bounded_number_of_looks() -> None:
    assert len(list(keys_of("a@" + "x." * 5000 + "example"))) <= 21

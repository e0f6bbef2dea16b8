"""Held mail is sealed before it is written: nothing of it is on the disk in plain, and without the key it stays shut."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.store.failures import StoreFailed
from gatepost.store.postmaster import Dangerous, Postmaster, Why
from gatepost.store.records import Done, NewDelivery
from gatepost.store.retention import DAY_S, Retention, expire
from gatepost.store.sealing import KeyMissing, Keyring, parsed
from gatepost.store.store import Store, StoreSettings
from gatepost.store.upkeep import damaged, key_problem, reseal, seal_held
from store_samples import acceptance

NOW = 1_750_000_000.0
WHY = Why("ana", "she expects it", NOW)
MARK = b"the-words-nobody-else-should-read"
SECRET = b"Subject: s\r\n\r\n" + MARK + b"\r\n"


def on_disk(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and MARK in path.read_bytes()]


@pytest.mark.parametrize("size", [0, 200_000], ids=["in the database", "in the spool"])
def test_nothing_held_is_on_the_disk_in_plain(tmp_path: Path, size: int) -> None:
    octets = SECRET + MARK * (size // len(MARK))

    async def story() -> None:
        store = Store.open(tmp_path)
        mail = acceptance("HELD", at=NOW, octets=octets, recipients=("a@example.net", "b@example.net"))
        first, second = mail.deliveries
        await store.carry_out(replace(mail, deliveries=(first, replace(second, held=True))))
        assert on_disk(tmp_path) == []
        (item,) = await store.claim(NOW, 10, 60, "w")
        assert store.delivered_copy("HELD") == octets, "the queued copy is opened for delivery"
        await store.settle(item, None, Done())
        await Postmaster(store).release("HELD", WHY)
        assert on_disk(tmp_path) == [], "released mail waits sealed"
        assert store.octets_of("HELD") == octets
        assert damaged(store) == []
        await store.close()
        assert on_disk(tmp_path) == []

    asyncio.run(story())


def test_delivered_mail_is_not_sealed_and_needs_no_key(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        await store.carry_out(acceptance("PLAIN", at=NOW))
        await store.close()

    asyncio.run(story())
    assert not (tmp_path / "keys").exists()


def test_the_key_file_is_made_once_and_only_we_can_read_it(tmp_path: Path) -> None:
    one, other = (Keyring(tmp_path / "keys" / "k", tmp_path / "keys" / "lock") for _ in range(2))
    seal, sealed = one.seal("A", b"hello")
    assert other.open("A", seal, sealed) == b"hello"
    assert other.seal("B", b"x")[0].key_id == seal.key_id
    assert (tmp_path / "keys" / "k").stat().st_mode & 0o777 == 0o600
    assert seal.wrapped_key.hex() not in repr(seal)


def test_octets_and_keys_cannot_be_moved_to_another_message(tmp_path: Path) -> None:
    keys = Keyring(tmp_path / "k", tmp_path / "lock")
    seal, sealed = keys.seal("A", b"hello")
    with pytest.raises(StoreFailed, match="altered"):
        keys.open("B", seal, sealed)
    for at in (0, 12, len(sealed) - 1):
        with pytest.raises(StoreFailed, match="altered"):
            keys.open("A", seal, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])
    with pytest.raises(StoreFailed, match="altered"):
        keys.open("A", seal, sealed[:5])


def test_a_lost_key_is_told_and_a_damaged_one_takes_no_mail(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "quarantine.key"

    async def story() -> None:
        store = Store.open(tmp_path)
        await store.carry_out(acceptance("HELD", at=NOW, held=True))
        assert key_problem(store) == ""
        kept = path.read_bytes()
        path.unlink()
        other = Store.open(tmp_path)
        assert "is not there" in key_problem(other)
        with pytest.raises(KeyMissing, match=r"quarantine\.key does not have"):
            other.octets_of("HELD")
        path.write_bytes(b"nonsense\n")
        with pytest.raises(StoreFailed, match="damaged"):
            await other.carry_out(acceptance("MORE", at=NOW, held=True))
        assert other.entry("MORE") is None
        path.write_bytes(kept)
        assert other.octets_of("HELD") == acceptance("HELD", at=NOW).octets
        for one in (store, other):
            await one.close()

    asyncio.run(story())


def test_keys_are_renewed_while_another_process_holds_mail(tmp_path: Path) -> None:
    async def story() -> None:
        store, other = Store.open(tmp_path), Store.open(tmp_path)
        await store.carry_out(acceptance("OLD", at=NOW, held=True, octets=b"old"))
        (first,) = store.keys.ids()
        second = store.keys.add_key()
        await other.carry_out(acceptance("NEW", at=NOW, held=True, octets=b"new"))
        assert await reseal(store) == 1, "the other process seals with the new key already"
        store.keys.forget([first, second])
        assert other.keys.ids() == (second,), "the one that seals is never forgotten"
        assert other.octets_of("OLD") == b"old"
        assert other.octets_of("NEW") == b"new"
        assert key_problem(store) == ""
        for one in (store, other):
            await one.close()

    asyncio.run(story())


@pytest.mark.parametrize("text", ["", "id short\n", "one two three\n", "a QUJD\n", "# only words\n"])
def test_what_is_no_key_file_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError) as told:
        parsed(text)
    assert "QUJD" not in str(told.value)


def test_malware_is_let_go_only_with_force_and_a_reason(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        mail = acceptance("BAD", at=NOW, held=True)
        (copy,) = mail.deliveries
        await store.carry_out(replace(mail, deliveries=(replace(copy, category="malware"),)))
        hands = Postmaster(store)
        for why, force in ((WHY, False), (Why("ana", " ", NOW), True)):
            with pytest.raises(Dangerous):
                await hands.release("BAD", why, force=force)
        assert [held.state for held in store.held()] == ["held"]
        assert len(await hands.release("BAD", WHY, force=True)) == 1
        await store.close()

    asyncio.run(story())


def test_the_row_tells_what_became_of_a_copy_and_the_journal_who_did_it(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        hands = Postmaster(store)
        await store.carry_out(acceptance("ONE", at=NOW, held=True, octets=SECRET))
        assert len(await hands.request("ONE", Why("ben", "mine", NOW + 1))) == 1
        assert store.figures(NOW + 2).requested == 1
        assert await hands.request("ONE", WHY) == [], "asked for already"
        assert len(await hands.deny("ONE", WHY)) == 1
        assert await hands.deny("ONE", WHY) == [], "nobody asks for it"
        assert len(await hands.delete("ONE", Why("ana", "a lure", NOW + 3))) == 1
        assert await hands.release("ONE", WHY) == []
        assert store.held() == []
        (row,) = store.held(decided=True)
        assert (row.state, row.changed_by, row.changed_why, row.changed_at) == (
            "deleted",
            "ana",
            "a lure",
            NOW + 3,
        )
        assert [one.what.split()[1] for one in store.journal(subject="ONE")] == ["delete", "deny", "request"]
        with pytest.raises(KeyError):
            store.octets_of("ONE")
        await store.carry_out(acceptance("TWO", at=NOW, held=True))
        gone = await expire(store, NOW + 31 * DAY_S, Retention())
        assert (gone["held"], gone["decided"]) == (1, 0)
        assert {one.ref: one.state for one in store.held(decided=True)} == {
            "ONE": "deleted",
            "TWO": "expired",
        }
        gone = await expire(store, NOW + 122 * DAY_S, Retention())
        assert gone["decided"] == 2
        assert store.held(decided=True) == []
        await store.close()

    asyncio.run(story())


def test_what_an_older_version_held_in_plain_is_sealed(tmp_path: Path) -> None:
    octets = SECRET + MARK * 100

    async def story() -> None:
        store = Store.open(tmp_path, StoreSettings(inline_octets=1000))
        for ref, kept in (("SMALL", SECRET), ("LARGE", octets)):
            mail = acceptance(ref, at=NOW, octets=kept)
            await store.carry_out(mail)
            await store.database.commit(
                lambda c, ref=ref: c.execute(
                    "INSERT INTO quarantine (message, ref, sender, size, recipient, to_address, junk, original, held_at,"
                    " reason, rule, category, state, changed_at, changed_by, changed_why) SELECT id, ref, '', size,"
                    " (SELECT recipient FROM queue LIMIT 1), 'x@example.net', 0, 0, 1, '', '', '', 'held', 1, '', ''"
                    " FROM messages WHERE ref = ?",
                    (ref,),
                )
            )
        assert await seal_held(store) == 2
        assert await seal_held(store) == 0
        assert store.octets_of("LARGE") == octets
        assert list(store.spool.files()) == []
        await store.close()

    asyncio.run(story())


def test_a_release_teaches_in_the_same_commit_or_not_at_all(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        await store.carry_out(acceptance("ONE", at=NOW, held=True))

        def broken(*_: object) -> None:
            raise ValueError("no lesson")

        with pytest.raises(ValueError, match="no lesson"):
            await Postmaster(store).release("ONE", WHY, on_release=broken)
        assert [one.state for one in store.held()] == ["held"]
        assert store.queued() == []
        assert store.journal() == []
        await store.close()

    asyncio.run(story())


def test_a_key_file_of_the_operators_is_used_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "quarantine.key"
    path.parent.mkdir()

    async def story() -> None:
        store = Store.open(tmp_path / "state", key_file=path)
        await store.carry_out(acceptance("ONE", at=NOW, held=True))
        await store.close()

    asyncio.run(story())
    assert path.exists()
    assert not (tmp_path / "state" / "keys" / "quarantine.key").exists()
    assert os.listdir(path.parent) == ["quarantine.key"]


def test_changes_of_a_copy_go_with_it_into_the_queue(tmp_path: Path) -> None:
    from gatepost.mail.verdict import Change

    async def story() -> None:
        store = Store.open(tmp_path)
        mail = acceptance("ONE", at=NOW)
        (copy,) = mail.deliveries
        change = Change(kind="strip", text="注意", parts=(1, 2))
        original = NewDelivery(recipient=copy.recipient, to=copy.to, held=True, original=True)
        await store.carry_out(replace(mail, deliveries=(replace(copy, changes=(change,)), original)))
        (item,) = await store.claim(NOW, 10, 60, "w")
        assert item.changes == (change,)
        assert [held.original for held in store.held()] == [True]
        await Postmaster(store).release("ONE", WHY)
        (released,) = await store.claim(NOW, 10, 60, "w")
        assert released.changes == (), "the original goes unchanged"
        await store.close()

    asyncio.run(story())

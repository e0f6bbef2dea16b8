"""The journal's chain, retention, the spool's order, references and the room on the disk."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.verdict import Action
from gatepost.store import journal
from gatepost.store.database import Connection, Database, DatabaseSettings
from gatepost.store.disk import Room, RoomSettings, judge
from gatepost.store.failures import StoreFailed
from gatepost.store.history import Search, counts, since
from gatepost.store.postmaster import Postmaster, Why
from gatepost.store.records import DeliveryAttempt, Done
from gatepost.store.ref import as_typed, made_at, new_ref, well_formed
from gatepost.store.retention import DAY_S, Retention, expire
from gatepost.store.store import Store
from gatepost.store.upkeep import damaged, sweep
from store_samples import acceptance

NOW = 1_750_000_000.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "UPDATE journal_fields SET value = 'other' WHERE number = 2 AND name = 'why'",
            "entry 2 was changed",
        ),
        ("UPDATE journal_fields SET salt = x'00' WHERE number = 2 AND name = 'why'", "entry 2 was changed"),
        ("INSERT INTO journal_fields VALUES (2, 'subject', 'R', x'00')", "entry 2 was changed"),
        ("UPDATE journal SET kind = 'rule remove' WHERE number = 2", "entry 2 was changed"),
        ("UPDATE journal SET at = at + 1 WHERE number = 2", "entry 2 was changed"),
        ("UPDATE journal SET digests = 'none' WHERE number = 2", "entry 2 was changed"),
        ("DELETE FROM journal_fields WHERE number = 2", None),
        ("DELETE FROM journal WHERE number = 2", "entry 2 is missing"),
        ("DELETE FROM journal WHERE number = 3", "entry 3 is known from earlier"),
        ("DELETE FROM journal WHERE number = 1", "entry 1 is missing"),
        ("SELECT 1", None),
    ],
)
def test_a_changed_journal_shows(change: str, told: str | None, tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        for number in range(3):
            await Postmaster(store).note("rule change", Why("ana", f"reason {number}", NOW))
        head = store.database.read(journal.head)
        await store.database.commit(lambda connection: connection.execute(change) and None)
        wrong = store.database.read(lambda connection: journal.verify(connection, head))
        assert wrong is None if told is None else told in (wrong or "")
        await store.close()

    asyncio.run(story())


def test_retention_deletes_what_is_old_and_nothing_else(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        for ref, age in (("OLD", 91), ("NEW", 89)):
            at = NOW - age * DAY_S
            await store.carry_out(acceptance(ref, at=at))
            (item,) = await store.claim(NOW, 10, 60, "w")
            attempt = DeliveryAttempt(
                at=at, to=item.to, host="h", address="", status="delivered", reply="250"
            )
            await store.settle(item, attempt, Done())
        for ref, age in (("HOLD31", 31), ("HOLD29", 29)):
            await store.carry_out(acceptance(ref, at=NOW - age * DAY_S, held=True, octets=b"x" * 100_000))
        for age in (401, 400.5, 1):
            await Postmaster(store).note("x", Why("ana", str(age), NOW - age * DAY_S))
        gone = await expire(store, NOW, Retention())
        assert gone == {
            "held": 1,
            "decided": 0,
            "gone": 0,
            "entries": 0,
            "history": 1,
            "attempts": 1,
            "journal": 2,
            "memory": 0,
            "numbers": 0,
            "correspondents": 0,
            "lessons": 0,
            "views": 0,
            "sign-ins": 0,
            "app passwords": 0,
            "tokens": 0,
            "requests": 0,
        }
        assert [store.entry(ref) is None for ref in ("OLD", "NEW", "HOLD31")] == [True, False, False]
        assert store.attempts_of("OLD") == []
        assert len(store.attempts_of("NEW")) == 1
        assert [held.ref for held in store.held()] == ["HOLD29"]
        assert [file.name for file in store.spool.files()] == ["HOLD29"]
        assert store.database.read(journal.verify) is None, "the chain begins after what was deleted"
        assert [
            entry.ref
            for entry in store.find(Search(recipient="ana@example.net", until=NOW - 60 * DAY_S)).entries
        ] == ["NEW"]
        await store.close()

    asyncio.run(story())


def test_pages_of_history_are_whole_and_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        mails = [acceptance(f"M{number:02}", at=NOW + number // 3) for number in range(25)]
        await asyncio.gather(*(store.carry_out(mail) for mail in mails))
        for search in (Search(), Search(recipient="ana@example.net"), Search(sender="@example.org")):
            found: list[str] = []
            page = store.find(search, limit=4)
            while True:
                found += [entry.ref for entry in page.entries]
                if page.next is None:
                    break
                page = store.find(search, limit=4, after=page.next)
            assert found == [f"M{number:02}" for number in reversed(range(25))]
        streamed = store.database.read(
            lambda connection: [entry.ref for entry in since(connection, NOW + 1, slice_rows=3)]
        )
        assert streamed == [f"M{number:02}" for number in range(3, 25)]
        in_steps = store.database.read(
            lambda connection: counts(connection, since=NOW, until=NOW + 4, step_s=2.0)
        )
        assert in_steps == {(NOW, "message", "deliver"): 6, (NOW + 2, "message", "deliver"): 6}
        assert store.find(Search(action=Action.REFUSE)).entries == ()
        await store.close()

    asyncio.run(story())


def test_a_common_domain_is_searched_as_well_as_a_rare_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.store.searching.MANY", 2)

    async def story() -> None:
        store = Store.open(tmp_path)
        for number in range(4):
            await store.carry_out(
                acceptance(f"A{number}", at=NOW + number, recipients=("a@many.example", "b@many.example"))
            )
        await store.carry_out(
            acceptance("RARE", at=NOW, sender="x@rare.example", recipients=("c@rare.example",))
        )
        for wanted, found in (("@many.example", ["A3", "A2", "A1", "A0"]), ("@rare.example", ["RARE"])):
            assert [entry.ref for entry in store.find(Search(recipient=wanted)).entries] == found
        assert [entry.ref for entry in store.find(Search(sender="@example.org")).entries] == [
            "A3",
            "A2",
            "A1",
            "A0",
        ]
        await store.close()

    asyncio.run(story())


def test_refusals_recorded_soon_are_there_after_close(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        for number in range(5):
            store.record_soon(acceptance(f"R{number}", at=NOW).entry)
        store.record_soon(acceptance("R0", at=NOW).entry)
        await store.close()
        store = Store.open(tmp_path)
        assert len(store.find(Search()).entries) == 5
        assert store.queued() == []
        await store.close()

    asyncio.run(story())


def test_one_failing_work_fails_alone(tmp_path: Path) -> None:
    async def story() -> None:
        database = Database.open(tmp_path / "db", DatabaseSettings(checkpointer=False))
        await database.commit(lambda connection: connection.execute("CREATE TABLE t (x UNIQUE)") and None)

        def insert(value: int) -> object:
            def work(connection: Connection) -> int:
                connection.execute("INSERT INTO t VALUES (?)", (value,))
                if value == 3:
                    raise ValueError(value)
                return value

            return work

        results = await asyncio.gather(
            *(database.commit(insert(value)) for value in (1, 2, 2, 3, 4)), return_exceptions=True
        )
        assert [type(result).__name__ for result in results] == [
            "int",
            "int",
            "IntegrityError",
            "ValueError",
            "int",
        ]
        rows = database.read(lambda connection: connection.execute("SELECT x FROM t ORDER BY x").fetchall())
        assert [value for (value,) in rows] == [1, 2, 4]
        await database.close()

    asyncio.run(story())


def test_a_newer_schema_is_refused_in_words(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        await store.database.commit(
            lambda connection: connection.execute("PRAGMA user_version = 99") and None
        )
        await store.close()
        with pytest.raises(StoreFailed, match="newer Gatepost"):
            Store.open(tmp_path)

    asyncio.run(story())


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path / "state")
        await store.carry_out(acceptance("LARGE", at=NOW, octets=b"x" * 100_000))
        for path in (tmp_path / "state").rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path
        assert (tmp_path / "state").stat().st_mode & 0o077 == 0
        await store.close()

    asyncio.run(story())


def test_a_message_without_its_file_is_reported_and_a_file_without_a_row_swept(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        for ref in ("ONE", "TWO"):
            await store.carry_out(acceptance(ref, at=NOW, octets=b"x" * 100_000))
        store.spool.write("STRAY", b"octets")
        store.spool.path_of("ONE").write_bytes(b"short")
        stray = store.spool.path_of("STRAY")
        os.utime(stray, (NOW, NOW))
        assert sweep(store, NOW + 3599) == 0, "it may belong to a commit that is on its way"
        os.utime(stray, (NOW, NOW))
        assert sweep(store, NOW + 3601) >= 1
        assert not stray.exists()
        assert damaged(store) == ["ONE"]
        with pytest.raises(StoreFailed, match="5 octets"):
            store.octets_of("ONE")
        await store.close()

    asyncio.run(story())


def test_a_second_large_message_of_the_same_name_leaves_the_first_alone(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        await store.carry_out(acceptance("SAME", at=NOW, octets=b"a" * 100_000))
        for octets in (b"b" * 100_000, b"small"):
            with pytest.raises(StoreFailed, match="taken"):
                await store.carry_out(acceptance("SAME", at=NOW, octets=octets))
        assert store.octets_of("SAME") == b"a" * 100_000
        with pytest.raises(ValueError, match="not a reference"):
            await store.carry_out(acceptance("../x", at=NOW))
        await store.close()

    asyncio.run(story())


@given(st.floats(1_704_067_200, 2_700_000_000), st.floats(0.002, 10**6), st.binary(min_size=4, max_size=8))
def test_references_sort_by_time_and_read_back(at: float, later: float, randomness: bytes) -> None:
    ref = new_ref(at, randomness)
    assert len(ref) == 13
    assert well_formed(ref)
    assert as_typed(ref.lower()) == ref
    when = made_at(ref)
    assert when is not None
    assert abs(when - at) < 0.002
    assert new_ref(at + later, b"\0\0\0\0") > ref
    assert new_ref(at, randomness[:3] + bytes([randomness[3] ^ 1])) != ref


@pytest.mark.parametrize(
    ("free", "total", "room"),
    [
        (300 * 2**20, 100 * 2**30, Room.LOW),
        (200 * 2**20, 100 * 2**30, Room.FULL),
        (10 * 2**30, 100 * 2**30, Room.OK),
        (300 * 2**20, 2 * 2**30, Room.OK),
        (150 * 2**20, 2 * 2**30, Room.LOW),
        (90 * 2**20, 2 * 2**30, Room.FULL),
    ],
)
def test_room_is_judged_by_octets_and_on_small_disks_by_share(free: int, total: int, room: Room) -> None:
    assert judge(free, total, RoomSettings()) is room


def test_a_disk_that_our_own_database_filled_takes_mail_again_once_room_was_made_in_it() -> None:
    settings, total = RoomSettings(), 2 * 2**30
    assert judge(20 * 2**20, total, settings, reusable=10 * 2**20) is Room.FULL
    assert judge(20 * 2**20, total, settings, reusable=500 * 2**20) is Room.LOW, "a person still hears of it"
    assert judge(300 * 2**20, total, settings, reusable=500 * 2**20) is Room.OK

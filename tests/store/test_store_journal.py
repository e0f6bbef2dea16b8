"""The journal: what shows, what can be erased, what goes elsewhere, and what an older gate wrote."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2

from gatepost.jobs.concerns import concerns
from gatepost.jobs.heads import HeadSending, JournalSettings, journal_problems
from gatepost.jobs.look import look
from gatepost.jobs.settings import AlertSettings
from gatepost.store import journal, migrations
from gatepost.store.database import Connection
from gatepost.store.journalhead import HeadKey, read_heads, trusted
from gatepost.store.json import encode
from gatepost.store.memory import StoredMemory
from gatepost.store.store import Store
from store_samples import acceptance

NOW = 1_750_000_000.0
ACTS = [
    ("ana@example.net", "quarantine release <ben@example.net>", "asked by ben@example.net", "2N515RPF08P1Z"),
    ("carol@example.net", "account add hana@example.net", "new here", "account 7"),
    ("ana@example.net", "sign-in passkey", "from 192.0.2.0/24", "account 3"),
    ("the clock", "rule change", "", ""),
]


def with_store(tmp_path: Path, work: Callable[[Store], Any]) -> Any:
    async def story() -> Any:
        store = Store.open(tmp_path / "state")
        try:
            found = work(store)
            return await found if asyncio.iscoroutine(found) else found
        finally:
            await store.close()

    return asyncio.run(story())


def write(connection: Connection, acts: list[tuple[str, str, str, str]] = ACTS) -> journal.Head:
    head = journal.head(connection)
    for number, (who, what, why, subject) in enumerate(acts):
        head = journal.append(connection, at=NOW + number, who=who, what=what, why=why, subject=subject)
    return head


def test_what_was_done_is_read_back_as_it_was_told(tmp_path: Path) -> None:
    async def go(store: Store) -> None:
        await store.database.commit(write)
        told = [(one.who, one.what, one.why, one.subject) for one in reversed(store.journal())]
        assert told == ACTS
        for found, numbers in (
            (store.journal(who="ana@example.net"), [3, 1]),
            (store.journal(kind="quarantine release"), [1]),
            (store.journal(subject="account 7"), [2]),
            (store.journal(subject=""), []),
            (store.journal(about="Ben@Example.net"), [1]),
            (store.journal(about="hana@example.net"), [2]),
            (store.journal(about="ana@example.net"), [3, 1]),
            (store.journal(about="nobody@example.net"), []),
            (store.journal(since=NOW + 1, until=NOW + 3), [3, 2]),
            (store.journal(before=3, limit=1), [2]),
        ):
            assert [one.number for one in found] == numbers
        assert store.database.read(lambda c: journal.subjects(c, "quarantine release")) == {"2N515RPF08P1Z"}

    with_store(tmp_path, go)


def test_what_was_done_about_messages_of_an_address_is_found_by_it(tmp_path: Path) -> None:
    async def go(store: Store) -> None:
        await store.carry_out(
            acceptance("HERS1", at=NOW, sender="x@example.org", recipients=("dora@example.net",))
        )
        await store.carry_out(
            acceptance("HIS22", at=NOW, sender="dora@example.net", recipients=("emil@example.org",))
        )
        acts = [
            ("root", "queue retry", "", "HERS1"),
            ("root", "queue drop", "", "HIS22"),
            ("root", "queue drop", "", "OTHER"),
        ]
        await store.database.commit(lambda c: write(c, acts))
        assert [one.subject for one in store.journal(about="Dora@example.net")] == ["HIS22", "HERS1"]
        assert [one.subject for one in store.journal(about="emil@example.org", kind="queue drop")] == [
            "HIS22"
        ]

    with_store(tmp_path, go)


def test_a_person_is_erased_and_the_chain_still_holds(tmp_path: Path) -> None:
    async def go(store: Store) -> None:
        head = await store.database.commit(write)
        assert await store.database.commit(lambda c: journal.erase(c, "Ana@example.net")) == 3
        assert await store.database.commit(lambda c: journal.erase(c, "ben@example.net")) == 2
        assert await store.database.commit(lambda c: journal.erase(c, "")) == 0
        first, second, third, _ = reversed(store.journal())
        assert (first.who, first.what, first.why) == ("(erased)", "quarantine release (erased)", "(erased)")
        assert first.erased == ("who", "detail", "why")
        assert second.what == "account add hana@example.net", "hana@ is not ana@"
        assert third.erased == ("who", "why"), "from where she came, too"
        assert store.journal(who="ana@example.net") == []
        assert store.database.read(lambda c: journal.verify(c, head)) is None
        assert store.database.read(journal.count_erased) == 5

    with_store(tmp_path, go)
    octets = b"".join(path.read_bytes() for path in (tmp_path / "state").glob("gatepost.db"))
    assert b"ben@example.net" not in octets
    assert b"hana@example.net" in octets


def test_entries_that_change_places_show(tmp_path: Path) -> None:
    def swap(connection: Connection) -> None:
        for old, new in ((2, -2), (3, 2), (-2, 3)):
            for table in ("journal", "journal_fields"):
                connection.execute(f"UPDATE {table} SET number = ? WHERE number = ?", (new, old))

    async def go(store: Store) -> None:
        await store.database.commit(write)
        await store.database.commit(swap)
        assert store.database.read(journal.verify) == "journal entry 2 was changed after it was written"

    with_store(tmp_path, go)


def test_a_journal_written_anew_shows_against_a_head_that_was_kept(tmp_path: Path) -> None:
    def anew(connection: Connection) -> None:
        connection.execute("DELETE FROM journal")
        connection.execute("DELETE FROM journal_fields")
        write(connection, [*ACTS[1:], *ACTS[1:]])

    async def go(store: Store) -> None:
        first = await store.database.commit(write)
        second = await store.database.commit(write)
        assert store.database.read(lambda c: journal.verify(c, first, second)) is None
        await store.database.commit(anew)
        assert store.database.read(journal.verify) is None, "by itself it is whole"
        told = store.database.read(lambda c: journal.verify(c, first))
        assert told == "journal entry 4 is another than the one known from earlier"
        assert "8 is known" in (store.database.read(lambda c: journal.verify(c, second)) or "")

    with_store(tmp_path, go)


def test_a_head_from_before_what_retention_deleted_still_fits(tmp_path: Path) -> None:
    async def go(store: Store) -> None:
        heads: list[journal.Head] = []
        await store.database.commit(lambda c: heads.extend(write(c, [one]) for one in ACTS))
        await store.database.commit(write)
        gone = await store.database.commit(lambda c: journal.expire(c, before=NOW + 0.5, limit=2))
        assert gone == 2
        assert store.database.read(lambda c: journal.verify(c, *heads)) is None
        assert store.database.read(
            lambda c: c.execute("SELECT min(number) FROM journal_fields").fetchone()
        ) == (3,)
        other = journal.Head(2, b"\1" * 32)
        assert "entry 2 is another" in (store.database.read(lambda c: journal.verify(c, other)) or "")

    with_store(tmp_path, go)


def unsalted(path: Path, acts: list[tuple[str, str, str, str]]) -> Connection:
    """A database as an older gate left it: schema 5, entries chained over their values."""
    connection = dbapi2.connect(str(path), isolation_level=None)
    for number, script in migrations.schema():
        if number < 6:
            migrations.apply(connection, number, script)
    chain = journal.START
    for number, (who, what, why, subject) in enumerate(acts, 1):
        entry = {"number": number, "at": NOW, "who": who, "what": what, "why": why, "subject": subject}
        chain = hashlib.sha256(chain + encode(entry)).digest()
        connection.execute(
            "INSERT INTO journal (number, at, who, what, why, subject, chain) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*entry.values(), chain),
        )
    return connection


def test_entries_of_an_older_gate_hold_and_can_be_erased(tmp_path: Path) -> None:
    acts = [
        *ACTS,
        ("x", "one two ", "", ""),
        ("x", "a  b", "y", ""),
        ("x", "ana@example.net did it", "", ""),
        ("", "", "", ""),
    ]
    with_older = unsalted(tmp_path / "old.db", acts)
    head = journal.head(with_older)
    assert journal.verify(with_older, head) is None, "as in a backup of before"
    migrations.migrate(with_older)
    told = [(one.who, one.what, one.why, one.subject) for one in reversed(journal.read(with_older))]
    assert told == acts
    assert journal.verify(with_older, head) is None
    write(with_older)
    assert journal.verify(with_older, head) is None
    assert [one.number for one in journal.read(with_older, subject="2N515RPF08P1Z")] == [9, 1]
    assert journal.erase(with_older, "ana@example.net") == 6
    assert journal.verify(with_older, head) is None
    with_older.execute("UPDATE journal_fields SET value = 'z' WHERE number = 6 AND name = 'why'")
    assert journal.verify(with_older) == "journal entry 6 was changed after it was written"
    with_older.close()


def test_a_signed_head_is_known_again_wherever_it_stands(tmp_path: Path) -> None:
    async def go(store: Store) -> None:
        head = await store.database.commit(write)
        key = HeadKey(store.folder)
        assert key.public() is None
        signed = key.sign("mx.example.net", head, NOW)
        assert key.path.stat().st_mode & 0o777 == 0o600
        wrapped = "From: x\r\n\r\n" + signed.line[:200] + "\r\n" + signed.line[200:] + "\r\nbye {}"
        assert read_heads(f"junk\n{signed.line}\n{wrapped}") == [signed, signed]
        assert trusted([signed], key.public()) == ([head], None)
        other = HeadKey(tmp_path / "other").sign("mx.example.net", head, NOW)
        assert "another key" in (trusted([other], key.public())[1] or "")
        assert "another key" in (trusted([other], None)[1] or "")
        (forged,) = read_heads(signed.line.replace('"number": 4', '"number": 3'))
        assert "altered" in (trusted([forged], key.public())[1] or "")
        assert read_heads('{"kind": "gatepost journal head 1", "number": "x"}') == []

    with_store(tmp_path, go)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_key_is_the_gates_own_though_root_made_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)
    key = HeadKey(state)
    key.sign("mx.example.net", journal.Head(1, b"x" * 32), NOW)
    for path in (key.path.parent, key.path):
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534), path


def sending(store: Store, settings: JournalSettings, folder: Path) -> HeadSending:
    return HeadSending(
        store=store, memory=StoredMemory(store.database, lambda: NOW), settings=lambda: settings, hostname="mx.example.net",
        folder=folder, expand=lambda address: (address.key,), new_ref=lambda now: "2N515RPF08P1Z", clock=lambda: NOW,
    )  # fmt: skip


def test_the_head_is_sent_away_when_there_is_something_new(tmp_path: Path) -> None:
    async def go(store: Store) -> None:
        settings = JournalSettings(
            send_head_to=("keeper@example.org", "./heads", "/nonexistent/folder/heads")
        )
        job = sending(store, settings, tmp_path)
        await job.work()
        assert not (tmp_path / "heads").exists(), "nothing is in the journal yet"
        head = await store.database.commit(write)
        await job.work()
        await job.work()
        (line,) = read_heads((tmp_path / "heads").read_text())
        (mail,) = store.queued()
        assert str(mail.to) == "keeper@example.org"
        (mailed,) = read_heads(store.octets_of(mail.ref).decode())
        assert line.head == mailed.head == head
        assert mailed.holds()
        await store.database.commit(lambda c: c.execute("DELETE FROM journal WHERE number = 4") and None)
        told = store.database.read(lambda c: journal.verify(c, mailed.head))
        assert told == "journal entry 4 is known from earlier and is missing"
        await job.memory.close()

    with_store(tmp_path, go)


def test_what_was_changed_is_an_alarm(tmp_path: Path) -> None:
    async def go(store: Store) -> None:
        job = sending(store, JournalSettings(send_head_to=("./heads", "keeper@example.org")), tmp_path)

        async def alarm() -> list[str]:
            await job.verify()
            await job.memory.close()
            facts = look(store, now=NOW, certificates=(), validations=(), lists=())
            return [one.text for one in concerns(facts, AlertSettings()) if one.key == "journal"]

        await store.database.commit(write)
        await job.work()
        assert await alarm() == []
        await store.database.commit(lambda c: c.execute("DELETE FROM journal WHERE number = 4") and None)
        assert await alarm() == [
            "The journal is not as it was written: journal entry 4 is known from earlier and is missing."
        ]
        (tmp_path / "heads").write_text(
            (tmp_path / "heads").read_text().replace("mx.example.net", "other.example")
        )
        (told,) = await alarm()
        assert "a signature that does not hold" in told
        (tmp_path / "heads").unlink()
        assert await alarm() == [], "by itself it is whole"

    with_store(tmp_path, go)


def test_the_export_can_be_verified_by_another_program(tmp_path: Path) -> None:
    async def go(store: Store) -> list[dict[str, Any]]:
        await store.database.commit(write)
        await store.database.commit(lambda c: journal.erase(c, "ana@example.net"))
        return store.database.read(lambda c: json.loads(json.dumps(list(journal.export(c)))))

    begin, *entries = with_store(tmp_path, go)
    chain = bytes.fromhex(begin["anchor"]["chain"])
    for one in entries:
        linked = json.dumps([one["number"], one["at"], one["kind"], one["digests"]], separators=(",", ":"))
        chain = hashlib.sha256(chain + linked.encode()).digest()
        assert one["chain"] == chain.hex()
        for name, field in one["fields"].items():
            salted = bytes.fromhex(field["salt"]) + field["value"].encode()
            assert json.loads(one["digests"])[name] == hashlib.sha256(salted).hexdigest()
    assert entries[0]["erased"] == ["who"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (JournalSettings(send_head_to=("heads.txt",)), "write ./heads.txt for a file"),
        (JournalSettings(head_every_s=1), "too often"),
        (JournalSettings(send_head_to=("a@example.org", "/var/heads")), None),
    ],
)
def test_what_cannot_be_meant_is_said(settings: JournalSettings, said: str | None) -> None:
    problems = journal_problems(settings)
    assert problems == [] if said is None else said in problems[0]

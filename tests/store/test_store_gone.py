"""What was erased and taken away does not come back by a restored backup, where anything still says what it was."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gatepost.access.rights import Role
from gatepost.jobs.look import look
from gatepost.office import legalholds, people, privacy
from gatepost.office.office import Office
from gatepost.store import accounts, gone, journal
from gatepost.store.backup import Restored, backup, restore
from gatepost.store.failures import StoreFailed
from gatepost.store.history import Search
from gatepost.store.store import Store
from people_samples import ROOT
from store_samples import acceptance

AT = 1_750_000_000.0
LARGE = b"Subject: x\r\n\r\n" + b"x" * 100_000
Act = Callable[[Office], Awaitable[None]]


async def everybody(office: Office) -> None:
    """Ana with mail and an account; Pia, who will lose a role and a passkey; Eve, who will be disabled; Tom, who leaves."""
    store = office.store
    await store.carry_out(
        acceptance("HELD1", at=AT, recipients=("ana@example.net",), held=True, octets=LARGE)
    )
    await store.carry_out(
        acceptance("FROMANA", at=AT, sender="ana@example.net", recipients=("x@example.org",), octets=LARGE)
    )
    await store.carry_out(
        acceptance("OTHERS", at=AT, sender="sam@example.org", recipients=("ben@example.net",))
    )
    for login, roles in (
        ("pia", (Role.POSTMASTER, Role.AUDITOR)),
        ("eve", ()),
        ("tom", ()),
        ("olga", (Role.OWNER,)),
    ):
        account = await people.add(office, ROOT, f"{login}@example.net", roles=roles)
        await store.database.commit(lambda c, a=account: accounts.add_passkey(
            c, a.id, credential=a.login.encode(), public_key=b"k", uses=0, name="", synced=False, at=1.0, session=0
        ))  # fmt: skip
    await people.link(office, ROOT, "pia@example.net", "sales@example.net")


async def much_is_gone(office: Office) -> None:
    """Everything that a backup of before would bring back."""
    one = await privacy.register(office, ROOT, kind="erasure", person="Ana", addresses="ana@example.net")
    await privacy.erase(office, ROOT, one)
    await people.remove(office, ROOT, "tom@example.net")
    await people.disable(office, ROOT, "eve@example.net", reason="left")
    await people.set_roles(office, ROOT, "pia@example.net", (Role.AUDITOR,))
    await people.unlink(office, ROOT, "pia@example.net", "sales@example.net")
    pia = people.show(office, ROOT, "pia@example.net")
    await office.store.database.commit(
        lambda c: accounts.remove_passkey(c, pia.account.id, pia.passkeys[0].id)
    )


def told(state: Path, *acts: Act) -> None:
    """In an office over this state."""

    async def run() -> None:
        store = Store.open(state)
        office = Office(
            store=store, clock=lambda: 1_750_000_100.0, random=os.urandom, hostname="mx.example.net"
        )
        try:
            for act in acts:
                await act(office)
        finally:
            await store.close()

    asyncio.run(run())


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The state in which much is gone, and the backup of before."""
    state, kept = tmp_path / "state", tmp_path / "backup"
    told(state, everybody)
    backup(state, kept, now=1_750_000_000.0)
    told(state, much_is_gone)
    return state, kept


def again(kept: Path, into: Path, since: Path | None) -> Restored:
    return restore(kept, into, hold_because=None, gone=gone.read(since) if since else None)


def is_gone(state: Path) -> None:
    """All of it."""

    async def look_at(office: Office) -> None:
        assert [one.ref for one in office.store.find(Search()).entries] == ["OTHERS"]
        assert office.store.held(decided=True) == []
        shown = {one.account.login: one for one in people.listed(office, ROOT)}
        assert set(shown) == {"eve@example.net", "olga@example.net", "pia@example.net"}
        assert not shown["eve@example.net"].account.usable
        pia = shown["pia@example.net"]
        assert (pia.account.roles, pia.passkeys) == ({Role.AUDITOR}, ())
        assert "sales@example.net" not in pia.addresses
        assert len(shown["olga@example.net"].passkeys) == 1
        assert office.store.database.read(journal.verify) is None

    told(state, look_at)


@pytest.mark.parametrize("where", ["the old state", "a newer backup", "a list"])
def test_what_is_gone_stays_gone(folders: tuple[Path, Path], where: str, tmp_path: Path) -> None:
    state, kept = folders
    since = state
    if where == "a newer backup":
        since = tmp_path / "newer"
        backup(state, since, now=1_750_000_500.0)
    if where == "a list":
        since = tmp_path / "list"

        async def write(office: Office) -> None:
            since.write_text(gone.written(office.store.database.read(gone.listed)))

        told(state, write)
    made = again(kept, tmp_path / "new", since)
    assert made.again is not None
    assert dict(made.again.done) == {
        "erased": 1, "account": 1, "disabled": 1, "roles": 1, "passkey": 1, "address": 1,
    } or dict(made.again.done) == {"erased": 1, "account": 1, "disabled": 1, "roles": 1, "passkey": 2, "address": 1}  # fmt: skip
    is_gone(tmp_path / "new")

    async def said(office: Office) -> None:
        entry = office.store.journal(kind="backup restore")[0]
        assert "again gone: 1 account, 1 address, 1 disabled, 1 erased" in entry.why
        facts = look(office.store, now=1_750_001_000.0, certificates={}, validations=(), lists=())
        assert bool(facts.restored_of) == (where != "the old state"), "the old state knew all of it"

    told(tmp_path / "new", said)
    names = {path.name for path in (tmp_path / "new" / "spool").glob("*/*")}
    assert names == {"FROMANA"}, "on its way when the backup was made; held mail of hers is gone"


def test_without_a_list_it_is_back_and_the_answer_says_that_nothing_was_known(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    made = again(folders[1], tmp_path / "new", None)
    assert made.again is None

    async def back(office: Office) -> None:
        assert {one.ref for one in office.store.find(Search()).entries} == {"HELD1", "FROMANA", "OTHERS"}

    told(tmp_path / "new", back)


def test_it_stays_gone_when_a_restored_gate_is_restored_once_more(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    state, kept = folders
    again(kept, tmp_path / "new", state)
    again(kept, tmp_path / "newest", tmp_path / "new")
    is_gone(tmp_path / "newest")


def test_what_came_after_an_erasure_and_before_the_backup_is_not_erased_again(tmp_path: Path) -> None:
    state, kept = tmp_path / "state", tmp_path / "backup"

    async def returns(office: Office) -> None:
        await office.store.carry_out(
            acceptance("ANEW", at=AT, sender="ana@example.net", recipients=("x@example.org",))
        )

    told(state, everybody, much_is_gone, returns)
    backup(state, kept, now=1_750_000_000.0)
    made = again(kept, tmp_path / "new", state)
    assert made.again is not None
    assert not made.again.done

    async def there(office: Office) -> None:
        assert {one.ref for one in office.store.find(Search()).entries} == {"ANEW", "OTHERS"}

    told(tmp_path / "new", there)


def test_a_hold_in_the_backup_outranks_and_is_told(tmp_path: Path) -> None:
    state, kept = tmp_path / "state", tmp_path / "backup"

    async def holds(office: Office) -> None:
        await legalholds.hold(office, ROOT, "ana@example.net", reason="a case")

    async def ends(office: Office) -> None:
        (one,) = legalholds.listed(office, ROOT)
        await legalholds.release(office, ROOT, one.id, reason="over")

    told(state, everybody, holds)
    backup(state, kept, now=1_750_000_000.0)
    told(state, ends, much_is_gone)
    made = again(kept, tmp_path / "new", state)
    assert made.again is not None
    assert made.again.kept > 0


@pytest.mark.parametrize("text", ["no JSON", '{"number": 1}', '{"number": "1", "at": 0, "kind": "erased", "whom": "x"}', "[1]", "\x00"])  # fmt: skip
def test_what_is_no_list_is_refused_before_anything_is_done(
    folders: tuple[Path, Path], text: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    bad.write_text(text)
    with pytest.raises(StoreFailed, match="is no list written by"):
        again(folders[1], tmp_path / "new", bad)
    for place in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(StoreFailed):
            again(folders[1], tmp_path / "new", place)
    assert not (tmp_path / "new").exists()


def test_unknown_kinds_of_a_list_do_nothing(folders: tuple[Path, Path], tmp_path: Path) -> None:
    since = tmp_path / "list"
    entry = {"number": 99, "at": 2e9, "kind": "no such", "whom": "ana@example.net", "what": ""}
    since.write_text(json.dumps(entry))
    made = again(folders[1], tmp_path / "new", since)
    assert made.again is not None
    assert not made.again.done

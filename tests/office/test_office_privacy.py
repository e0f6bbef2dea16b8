"""Requests of data subjects, what is kept about them, erasure and holds, and the record of processing."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file

from gatepost.access.rights import Role
from gatepost.app.processing import installation
from gatepost.config.schema import load
from gatepost.jobs.concerns import concerns
from gatepost.jobs.look import look
from gatepost.jobs.settings import AlertSettings
from gatepost.office import legalholds, privacy, processing
from gatepost.office.office import Impossible, NotAllowed, Office, ProveAgain
from gatepost.store import correspondents, entries, journal, personal
from gatepost.store.journal import Why
from gatepost.store.records import DeliveryAttempt, Done
from gatepost.tools import Acquaintance, Entry
from gatepost.web.looks import words_of
from store_samples import acceptance
from web.visiting import NOW, RUNNER, actor, office

CONFIG = """
hostname = "mx.example.net"
state = "."
[[domains]]
name = "example.net"
deliver = "maildir:m"
"""
DPO = actor(Role.DATA_PROTECTION_OFFICER, login="dpo@example.net")
OWNER = actor(Role.OWNER, login="owner@example.net")


@pytest.fixture
def desk(tmp_path: Path):
    here = office(tmp_path)
    RUNNER.run(fill(here))
    yield here
    RUNNER.run(here.store.close())


async def fill(here: Office) -> None:
    both = acceptance("BOTH1", at=NOW, recipients=("ana@example.net", "ben@example.net"))
    for one in (
        acceptance("HERS1", at=NOW, recipients=("Ana@example.net",)), both,
        acceptance("BYHER", at=NOW, sender="ana@example.net", recipients=("x@example.org",)),
        acceptance("HANA1", at=NOW, recipients=("hana@example.net",)),
        acceptance("HELD1", at=NOW, recipients=("ana@example.net",), held=True, octets=b"Subject: s\r\n\r\nsecret\r\n"),
        acceptance("FORBEN", at=NOW, sender="ana@example.net", recipients=("ben@example.net",), held=True),
    ):  # fmt: skip
        await here.store.carry_out(one)
    item = next(
        one
        for one in await here.store.claim(NOW, 9, 60.0, "test")
        if one.ref == "BOTH1" and one.to.startswith("ana")
    )
    attempt = DeliveryAttempt(
        at=NOW, to=item.to, host="h", address="192.0.2.1", status="delivered", reply="250 Ok"
    )
    await here.store.settle(item, attempt, Done())
    met, why = Acquaintance(NOW, NOW, 3, False), Why("ana@example.net", "", NOW)
    await here.store.database.commit(
        lambda c: correspondents.write(c, {("ana@example.net", "example.org"): met})
    )
    for identity, owner in (
        ("news@example.org", "ana@example.net"),
        ("ana@example.net", "postmaster@example.net"),
    ):
        entry = Entry(
            id=0, allow=True, identity=identity, recipient="", owner=owner, reason="", expires_at=None
        )
        await here.store.database.commit(lambda c, one=entry: entries.add(c, one, why))


def register(desk: Office, kind: str = "erasure", addresses: str = "ana@example.net") -> int:
    return RUNNER.run(privacy.register(desk, DPO, kind=kind, person="Ana", addresses=addresses))


def test_a_request_is_due_one_month_later_and_can_be_extended_once(desk: Office) -> None:
    came = datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp()
    number = RUNNER.run(
        privacy.register(
            desk, DPO, kind="access", person="Ana", addresses="ana@example.net", received_at=came
        )
    )
    due = datetime.fromtimestamp(privacy.show(desk, DPO, number).due_at, UTC)
    assert (due.year, due.month, due.day) == (2026, 2, 28)
    with pytest.raises(Impossible, match="reason"):
        RUNNER.run(privacy.extend(desk, DPO, number, reason=" "))
    longer = RUNNER.run(privacy.extend(desk, DPO, number, reason="many systems"))
    assert datetime.fromtimestamp(longer.due_at, UTC).strftime("%m-%d") == "04-30"
    with pytest.raises(Impossible, match="once"):
        RUNNER.run(privacy.extend(desk, DPO, number, reason="more"))
    done = RUNNER.run(privacy.close(desk, DPO, number, refused=False, outcome="handed out"))
    assert (done.status, done.closed_by) == ("done", "dpo@example.net")
    with pytest.raises(Impossible, match="closed"):
        RUNNER.run(privacy.note(desk, DPO, number, notes="late"))
    acts = [one.what for one in desk.store.journal(who="dpo@example.net")]
    assert acts == [
        f"request close {number}",
        f"request extend {number}",
        f"request register {number} access",
    ]


@pytest.mark.parametrize("wrong", ["", "ana", "ana@example.net nonsense", "@example.net"])
def test_only_whole_addresses_are_taken(desk: Office, wrong: str) -> None:
    with pytest.raises(Impossible, match="whole mail addresses"):
        register(desk, addresses=wrong)


def test_only_the_officer_acts_and_only_with_a_fresh_proof(desk: Office) -> None:
    number = register(desk)
    stale = actor(Role.DATA_PROTECTION_OFFICER, proved_at=NOW - 10_000)
    for act in (
        lambda who: privacy.erase(desk, who, number), lambda who: privacy.access_file(desk, who, number),
        lambda who: legalholds.release(desk, who, 1, reason="x"),
    ):  # fmt: skip
        with pytest.raises(NotAllowed):
            RUNNER.run(act(OWNER))
        with pytest.raises(ProveAgain):
            RUNNER.run(act(stale))
    with pytest.raises(NotAllowed):
        RUNNER.run(legalholds.hold(desk, OWNER, "ana@example.net", reason="x"))


def test_everything_about_an_address_is_handed_out_with_an_index(desk: Office) -> None:
    number = register(desk, "access")
    folder = zipfile.ZipFile(io.BytesIO(RUNNER.run(privacy.access_file(desk, DPO, number))))
    names = folder.namelist()
    assert not any(name.endswith(".eml") for name in names), "an officer hands out no content"
    index = json.loads(folder.read("index.json"))
    assert set(index["files"]) == set(names) - {"index.json", "index.md"}
    messages = json.loads(folder.read("ana@example.net/messages.json"))
    assert {one["ref"] for one in messages} == {"HERS1", "BOTH1", "BYHER", "HELD1", "FORBEN"}
    assert "ben@example.net" not in json.dumps([one for one in messages if one["ref"] == "BOTH1"])
    assert len(json.loads(folder.read("ana@example.net/senders.json"))) == 2
    assert "| Held mail from or to them (ana@example.net) | 2 |" in folder.read("index.md").decode()
    assert privacy.show(desk, DPO, number).proof["messages handed out"] == 5
    reader = actor(Role.DATA_PROTECTION_OFFICER, Role.QUARANTINE_MANAGER, login="both@example.net")
    more = zipfile.ZipFile(io.BytesIO(RUNNER.run(privacy.access_file(desk, reader, number))))
    assert more.read("ana@example.net/held/HELD1.eml").endswith(b"secret\r\n")


def test_others_are_served_while_the_file_is_packed(desk: Office) -> None:
    number, packing = register(desk, "access"), set()

    def say(text: str, **values: object) -> str:
        packing.add(threading.get_ident())
        return privacy.in_english(text, **values)

    RUNNER.run(privacy.access_file(desk, DPO, number, say))
    assert packing, "the index has words"
    assert threading.get_ident() not in packing, "the console's loop has no part in it"


def everything(desk: Office) -> dict[str, str]:
    """Every table as text."""

    def read(connection) -> dict[str, str]:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        return {name: str(connection.execute(f"SELECT * FROM {name}").fetchall()).lower() for name in names}

    return desk.store.database.read(read)


def test_an_erasure_does_what_was_planned_and_keeps_what_it_says(desk: Office) -> None:
    number = register(desk)
    planned = RUNNER.run(privacy.plan(desk, DPO, number))
    assert {name: (one.erased, one.changed) for name, one in planned.parts.items() if one.erased or one.changed} == {
        "journal": (3, 0), "attempts": (1, 0), "messages": (4, 1), "held": (1, 0), "correspondents": (1, 0), "senders": (1, 0),
    }  # fmt: skip
    assert planned.parts["held"].kept == {"recipient": 1}
    assert planned.parts["senders"].kept == {"others": 1}
    done = RUNNER.run(privacy.erase(desk, DPO, number))
    assert done.counts == planned.counts == dict(privacy.show(desk, DPO, number).proof)
    assert [one.ref for one in desk.store.find(everybody()).entries] == ["HANA1", "BOTH1"]
    both = desk.store.entry("BOTH1")
    assert [str(one.address) for one in both.envelope.recipients] == ["ben@example.net"]
    assert desk.store.held(ref="HELD1", decided=True) == []
    with pytest.raises(KeyError):
        desk.store.octets_of("HELD1")
    assert desk.store.database.read(journal.verify) is None
    tables = everything(desk)
    left = {
        name for name, text in tables.items() if "ana@example.net" in text.replace("hana@example.net", "")
    }
    assert left == {"entries", "data_requests", "gone", "queue", "quarantine"}, (
        "gone: or a backup would bring it back"
    )
    assert "example.net ana'" not in tables["history"] + tables["history_gist"] + tables["history_recipients"]
    again = RUNNER.run(privacy.plan(desk, DPO, number))
    assert sum(one.erased + one.changed for one in again.parts.values()) == 0


def everybody():
    from gatepost.store.history import Search

    return Search()


def test_a_hold_outranks_an_erasure(desk: Office) -> None:
    hold = RUNNER.run(
        legalholds.hold(desk, DPO, "ana@example.net", reason="a lawsuit", case_number="4 O 12/26")
    )
    number = register(desk)
    done = RUNNER.run(privacy.erase(desk, DPO, number))
    kept = {"messages", "held", "correspondents", "senders", "journal", "attempts"}
    assert {name for name, one in done.parts.items() if "hold" in one.kept} == kept
    assert [one.whom for one in done.holds] == ["ana@example.net"]
    assert len(desk.store.find(everybody()).entries) == 6
    with pytest.raises(Impossible, match="legal hold"):
        legalholds.insist_on_no_hold(desk, "ana@example.net")
    with pytest.raises(Impossible, match="reason"):
        RUNNER.run(legalholds.release(desk, DPO, hold, reason=""))
    RUNNER.run(legalholds.release(desk, DPO, hold, reason="settled"))
    assert RUNNER.run(privacy.erase(desk, DPO, number)).parts["messages"].erased == 4


def test_only_a_request_for_it_is_carried_out(desk: Office) -> None:
    number = register(desk, "access")
    with pytest.raises(Impossible, match="Only an open request for erasure"):
        RUNNER.run(privacy.erase(desk, DPO, number))


@pytest.mark.parametrize("whom", ["", "example", "a@b@c", "not an address"])
def test_a_hold_is_over_an_address_or_a_domain(desk: Office, whom: str) -> None:
    with pytest.raises(Impossible, match="address"):
        RUNNER.run(legalholds.hold(desk, DPO, whom, reason="x"))


def test_no_table_is_forgotten(desk: Office) -> None:
    """A new table is a part of what is kept about somebody, or says why it is not."""
    tables = desk.store.database.read(
        lambda c: {name for (name,) in c.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")}
    )  # fmt: skip
    told = {table for part in personal.PARTS for table in part.tables}
    assert tables - told - set(personal.NOBODYS) - set(personal.KEPT_APART) == set()


def test_the_record_of_processing_tells_what_is_configured_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.toml"

    def written(more: str = "") -> str:
        path.write_text(CONFIG + more)
        here = installation(load(path))
        return processing.markdown(
            processing.record(here),
            here,
            lambda text, **values: text % values if values else text,
            "2026-11-24",
        )

    plain = written()
    assert "The list" not in plain
    assert "Identity provider" not in plain
    assert "Facts about messages, refusals and deliveries: 90 days" in plain
    assert "Controller: not given yet" in plain
    told = written(
        '[retention]\nhistory = "30d"\n[privacy]\ncontroller = "Example KK, Tokyo"\n[alerts]\nto = ["admin@example.net"]\n'
        '[[checks.dnsbl.lists]]\nzone = "bl.example"\nmode = "enforce"\n[quarantine]\ntwo_people = false\n'
    )
    assert "Facts about messages, refusals and deliveries: 30 days" in told
    assert "Controller: Example KK, Tokyo" in told
    assert "The list bl.example" in told
    assert "Alerts to admin@example.net" in told
    assert "second person" in plain
    assert "second person" not in told


def test_the_officers_words_are_translated() -> None:
    folder = Path(privacy.__file__).parent
    found = {
        text
        for path in (
            folder / "privacy.py",
            folder / "legalholds.py",
            folder / "accessfile.py",
            folder / "processing.py",
            folder.parent / "app" / "processing.py",
        )
        for _, text, _, _ in extract_from_file(
            "python", path, {"Line": None, "Section": None, "Impossible": None, "say": None}
        )
        if isinstance(text, str)
    }
    assert len(found) > 60
    found |= (
        {part.about for part in personal.PARTS}
        | set(personal.WHY_KEPT.values())
        | set(processing.PERIODS.values())
    )
    assert found - set(words_of("ja")) == set()


def test_a_person_asks_about_their_own_addresses_and_not_without_end(desk: Office) -> None:
    ana = actor(Role.PERSON, login="ana@example.net")
    number = RUNNER.run(privacy.ask(desk, ana, kind="erasure", notes="all of it"))
    asked = privacy.show(desk, DPO, number)
    assert (asked.addresses, asked.registered_by, asked.notes) == (
        ("ana@example.net",),
        "ana@example.net",
        "all of it",
    )
    register(desk, "access")
    assert [one.id for one in privacy.mine(desk, ana)] == [number], (
        "what the officer wrote down is not shown to them"
    )
    RUNNER.run(privacy.ask(desk, ana, kind="access", notes=""))
    with pytest.raises(Impossible, match="not answered yet"):
        RUNNER.run(privacy.ask(desk, ana, kind="access", notes=""))
    with pytest.raises(NotAllowed):
        RUNNER.run(privacy.ask(desk, actor(Role.PERSON, via="api"), kind="access", notes=""))
    with pytest.raises(Impossible, match="no mail address"):
        RUNNER.run(privacy.ask(desk, actor(Role.PERSON, addresses=()), kind="access", notes=""))


def test_requests_that_are_late_or_nearly_want_attention(desk: Office) -> None:
    for days in (40, 25, 1):
        RUNNER.run(
            privacy.register(
                desk,
                DPO,
                kind="access",
                person="",
                addresses="x@example.org",
                received_at=NOW - days * 86_400,
            )
        )
    look_now = look(desk.store, now=NOW, certificates=(), validations=(), lists=())
    told = {
        one.key: one.text for one in concerns(look_now, AlertSettings()) if one.key.startswith("requests")
    }
    assert told == {
        "requests-late": "1 requests of data subjects are overdue.",
        "requests-due": "1 requests of data subjects are due within a week.",
    }

"""From lessons to a model: in any process, in order, once each; damaged snapshots are told and made again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gatepost.classify.calibration import JUNK_AT, Calibration
from gatepost.classify.model import SiteModel, train
from gatepost.demo.mailbag import unwanted, wanted
from gatepost.jobs.learning import Learning, catch_up
from gatepost.jobs.settings import LearningSettings
from gatepost.mail.message import Message
from gatepost.office.teaching import Teacher, as_it_came, digest, features_of, lesson, teach
from gatepost.store.memory import StoredMemory
from gatepost.store.postmaster import Why
from gatepost.store.snapshotfile import label_of, trouble
from gatepost.store.snapshots import Snapshots
from gatepost.store.store import Store
from gatepost.tools import Opinion

NOW = 1_700_000_000.0
HAM = list(wanted(150, now=NOW))
SPAM = list(unwanted(150, now=NOW))
MINE = LearningSettings()


def tell(
    state: Path, octets: list[bytes], *, spam: bool | None, owner: str = "", a_day: int = 0
) -> tuple[int, int, int]:
    """Write lessons down; how many were learnt, known, and over the bound."""

    async def story() -> tuple[int, int, int]:
        store = Store.open(state)
        teacher = Teacher(who=owner or "postmaster", how="command", owner=owner)
        given = [lesson(one, teacher, spam=spam) for one in octets]
        done = await teach(store, given, Why("postmaster", "", NOW), person_a_day=a_day)
        await store.close()
        return done.learnt, done.known, done.over

    return asyncio.run(story())


@pytest.fixture(scope="module")
def schooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state whose model has learnt; tests take a copy if they change it."""
    state = tmp_path_factory.mktemp("schooled")
    tell(state, HAM[:120], spam=False)
    tell(state, SPAM[:120], spam=True)
    assert catch_up(state, MINE).ready
    return state


@pytest.fixture
def state(schooled: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    import shutil

    shutil.copytree(schooled, tmp_path / "state")
    return tmp_path / "state"


def opinion(state: Path, octets: bytes, owner: str = "") -> Opinion:
    """Read from the disk, as a worker does."""
    snapshots = Snapshots(state, clock=lambda: 0.0)
    current = snapshots.current()
    assert current is not None
    layer = snapshots.layer(owner) if owner else None
    return current.model.opinion(features_of(Message.parse(octets)), layer)


def test_what_it_was_taught_it_knows_in_mail_it_never_saw(schooled: Path) -> None:
    assert all(opinion(schooled, one).probability < 0.5 for one in HAM[120:])
    assert all(opinion(schooled, one).probability > 0.5 for one in SPAM[120:])


def test_nothing_new_changes_nothing(state: Path) -> None:
    before = label_of(state)
    assert tell(state, HAM[:5], spam=False) == (0, 5, 0)
    assert catch_up(state, MINE).new == 0
    assert label_of(state) == before


def test_taught_the_other_way_it_changes_sides_and_forgotten_it_is_gone(state: Path) -> None:
    tell(state, HAM[:10], spam=True)
    done = catch_up(state, MINE)
    assert (done.ham, done.spam) == (110, 130)
    tell(state, HAM[:10], spam=None)
    done = catch_up(state, MINE)
    assert (done.ham, done.spam) == (110, 120)


def test_lessons_one_by_one_come_to_what_all_at_once_come_to(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.jobs.learning.ANEW_BELOW", 0)
    tell(state, HAM[120:130], spam=False)
    tell(state, SPAM[:4], spam=False)
    done = catch_up(state, MINE)
    assert not done.anew
    assert (done.ham, done.spam) == (134, 116)
    again = catch_up(state, MINE, again=True)
    assert again.anew
    assert (again.ham, again.spam) == (134, 116)


def test_one_person_weighs_little_and_has_a_layer_of_their_own(state: Path) -> None:
    newsletter = SPAM[125]
    tell(state, [newsletter], spam=False, owner="ana@example.net")
    tell(state, [newsletter], spam=True, owner="ben@example.net")
    done = catch_up(state, MINE)
    assert (done.ham, done.spam) == (120, 120)  # they disagree, so the model of all learns nothing of it
    ana, ben = (opinion(state, newsletter, one) for one in ("ana@example.net", "ben@example.net"))
    assert ana.log_odds <= ben.log_odds
    tell(state, [newsletter], spam=None, owner="ana@example.net")
    catch_up(state, MINE)
    assert Snapshots(state, clock=lambda: 0.0).layer("ana@example.net") is None


def test_the_postmasters_word_counts_over_everybodys(state: Path) -> None:
    for owner in ("ana", "ben", "chie", "dan"):
        tell(state, HAM[:3], spam=True, owner=f"{owner}@example.net")
    done = catch_up(state, MINE)
    assert (done.ham, done.spam) == (120, 120)


@pytest.mark.parametrize("anew", [True, False])
def test_one_person_who_lies_a_hundred_times_turns_nothing_for_the_others(
    state: Path, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    if not anew:
        monkeypatch.setattr("gatepost.jobs.learning.ANEW_BELOW", 0)
    tell(state, list(wanted(250, now=NOW))[150:], spam=True, owner="mallory@example.net")
    catch_up(state, MINE)
    assert all(opinion(state, one).log_odds < 0 for one in HAM[120:])
    assert all(opinion(state, one).log_odds > 0 for one in SPAM[120:])
    layer = opinion(state, HAM[121], "mallory@example.net")
    assert layer.log_odds > opinion(state, HAM[121]).log_odds  # it is their own mail that changes


def test_people_alone_can_teach_a_model_that_means_what_it_says(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for number, owner in enumerate(("ana", "ben", "chie")):
        tell(state, HAM[number:120:3], spam=False, owner=f"{owner}@example.net")
        tell(state, SPAM[number:120:3], spam=True, owner=f"{owner}@example.net")
    assert catch_up(state, MINE).ready
    found = Snapshots(state, clock=lambda: 0.0).current()
    assert found is not None
    assert found.model.calibration != Calibration()
    assert all(opinion(state, one).log_odds < 0 for one in HAM[120:])
    assert all(opinion(state, one).log_odds >= JUNK_AT for one in SPAM[120:])


def test_nobody_teaches_more_than_so_much_in_a_day(state: Path) -> None:
    assert tell(state, SPAM[120:130], spam=False, owner="ana@example.net", a_day=4) == (4, 0, 6)
    assert tell(state, SPAM[130:140], spam=False, owner="ana@example.net", a_day=4) == (0, 0, 10)
    assert tell(state, SPAM[120:122], spam=True, owner="ben@example.net", a_day=4) == (2, 0, 0)


@pytest.mark.parametrize("damage", ["cut", "bit", "head", "gone"])
def test_a_damaged_snapshot_is_told_the_one_before_stands_in_and_the_next_round_mends_it(
    state: Path, damage: str
) -> None:
    tell(state, HAM[120:122], spam=False)
    catch_up(state, MINE)
    site = state / "model" / "site"
    octets = site.read_bytes()
    middle = len(octets) // 2
    match damage:
        case "cut":
            site.write_bytes(octets[:middle])
        case "bit":
            site.write_bytes(octets[:middle] + bytes([octets[middle] ^ 1]) + octets[middle + 1 :])
        case "head":
            site.write_bytes(b"\0" + octets)
        case _:
            site.unlink()
    told = trouble(state)
    assert damage == "gone" or str(site) in told
    snapshots = Snapshots(state, clock=lambda: 0.0)
    current = snapshots.current()
    assert current is not None
    assert current.model.learnt == [120, 120]
    assert "the one before it is in use" in snapshots.problem
    tell(state, HAM[122:124], spam=False)
    done = catch_up(state, MINE)
    assert done.problem
    assert done.ham == 124
    assert trouble(state) == ""


def test_both_damaged_leaves_no_opinion_and_everything_is_made_anew(state: Path) -> None:
    catch_up(state, MINE, again=True)
    for name in ("site", "site.before"):
        (state / "model" / name).write_bytes(b"rubbish")
    snapshots = Snapshots(state, clock=lambda: 0.0)
    assert snapshots.current() is None
    assert "none before it" in snapshots.problem
    done = catch_up(state, MINE)
    assert (done.ham, done.spam, done.anew) == (120, 120, True)


def test_a_reader_sees_a_newer_snapshot_a_second_later_and_keeps_its_own_when_that_is_damaged(
    state: Path,
) -> None:
    now = [0.0]
    snapshots = Snapshots(state, clock=lambda: now[0])
    first = snapshots.current()
    assert first is not None
    tell(state, HAM[120:122], spam=False)
    catch_up(state, MINE)
    now[0] = 0.9
    assert snapshots.current() is first
    now[0] = 1.1
    second = snapshots.current()
    assert second is not None
    assert second.model.learnt == [122, 120]
    (state / "model" / "site").write_bytes(b"rubbish")
    now[0] = 2.2
    assert snapshots.current() is second
    assert snapshots.problem


def test_the_round_learns_in_a_process_of_its_own_and_only_when_there_is_something(state: Path) -> None:
    async def story() -> None:
        store = Store.open(state)
        memory = StoredMemory(store.database, lambda: NOW)
        learning = Learning(
            store=store, memory=memory, settings=lambda: LearningSettings(kept=50), routes=lambda: None,  # type: ignore[arg-type,return-value]
            clock=lambda: NOW,
        )  # fmt: skip
        before = label_of(state)
        await learning.learn()
        assert label_of(state) == before
        teacher = Teacher(who="postmaster", how="command")
        await teach(store, [lesson(HAM[130], teacher, spam=False)], Why("postmaster", "", NOW))
        await learning.learn()
        after = label_of(state)
        assert after is not None
        assert (after.wanted, after.applied) == (121, 241)
        kept = store.database.read(lambda c: c.execute("SELECT count(*) FROM lessons").fetchone()[0])
        assert kept == 100
        await memory.close()
        await store.close()

    asyncio.run(story())


def test_what_we_put_in_front_is_taken_off_so_that_every_copy_is_the_same_message() -> None:
    original = HAM[0]
    ours = (
        b"Return-Path: <a@b.example>\r\nDelivered-To: ana@example.net\r\n"
        b"Received: from x by mx.example.net; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
        b"X-Gatepost: ref=2N50XR3CZPCTX; score=1.0; rule=default.deliver\r\n"
    )
    message, ref = as_it_came((ours + original).replace(b"\r\n", b"\n"))
    assert ref == "2N50XR3CZPCTX"
    assert message.octets == original
    plain, none = as_it_came(original)
    assert none == ""
    assert digest(message) == digest(plain)
    assert digest(plain) != digest(Message.parse(SPAM[0]))


def test_the_share_of_wanted_mail_that_may_be_junk_is_the_sites(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def watched(lessons: object, lost: float, weights: object) -> SiteModel:
        asked.append(lost)
        return train(lessons, lost, weights)  # type: ignore[arg-type]

    monkeypatch.setattr("gatepost.jobs.learning.train", watched)
    for number, wanted_as_junk in enumerate((1.0, 5.0, 1000.0, -1.0)):
        tell(state, HAM[120 + number : 121 + number], spam=False)
        catch_up(state, LearningSettings(wanted_as_junk=wanted_as_junk))
    assert asked == [0.001, 0.005, 0.05, 0.0001]

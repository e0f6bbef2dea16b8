"""Processes that end by themselves again and again are told; one that ended once is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.jobs.concerns import Level
from gatepost.jobs.deaths import FILE, KEPT_S, Death, note_death, of_deaths, recent_deaths

NOW = 1_700_000_000.0


def told(*deaths: Death) -> dict[str, Level]:
    return {one.key: one.level for one in of_deaths(deaths)}


def times(name: str, count: int, exit_code: int = -9) -> list[Death]:
    return [Death(NOW - number, name, exit_code) for number in range(count)]


@pytest.mark.parametrize(
    ("count", "level"), [(1, None), (2, None), (3, Level.WARNING), (19, Level.WARNING), (20, Level.CRITICAL)]
)
def test_who_ends_again_and_again_is_told(count: int, level: Level | None) -> None:
    assert told(*times("delivery", count)).get("ended:delivery") == level


def test_processes_of_one_kind_count_together_and_others_apart() -> None:
    deaths = [*times("worker-1", 1), *times("worker-2", 2), *times("delivery-2", 2), *times("console", 2)]
    assert told(*deaths) == {"ended:worker": Level.WARNING}


@pytest.mark.parametrize(
    ("exit_code", "how", "advice"),
    [
        (-9, "the last with SIGKILL", "memory"),
        (-11, "the last with SIGSEGV", "journalctl -u gatepost"),
        (1, "the last with exit status 1", "journalctl -u gatepost"),
        (-99, "the last with signal 99", "journalctl -u gatepost"),
    ],
)
def test_how_the_last_one_ended_is_said(exit_code: int, how: str, advice: str) -> None:
    (one,) = of_deaths(times("delivery", 3, exit_code))
    assert "3 times within the last hour" in one.text
    assert how in one.text
    assert advice in one.remedy


def test_what_is_written_down_is_read_for_an_hour(tmp_path: Path) -> None:
    assert recent_deaths(tmp_path, NOW) == []
    for second in (0, 10):
        note_death(tmp_path, "worker-1", 3, NOW + second)
    assert recent_deaths(tmp_path, NOW + 11) == [
        Death(NOW, "worker-1", 3),
        Death(NOW + 10, "worker-1", 3),
    ]
    assert [one.at for one in recent_deaths(tmp_path, NOW + KEPT_S + 5)] == [NOW + 10]
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


def test_a_process_that_never_lives_fills_no_disk(tmp_path: Path) -> None:
    for number in range(500):
        note_death(tmp_path, "delivery", 1, NOW + number)
    assert (tmp_path / FILE).stat().st_size < 20_000
    (one,) = of_deaths(recent_deaths(tmp_path, NOW + 500))
    assert one.level is Level.CRITICAL


@pytest.mark.parametrize("octets", [b"", b"nonsense", b'{"a": 1}', b"[[1, 2, 3]]", b"\xff" * 1000])
def test_a_file_that_says_nothing_is_no_trouble(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / FILE).write_bytes(octets)
    assert recent_deaths(tmp_path, NOW) == []
    note_death(tmp_path, "console", 1, NOW)
    assert len(recent_deaths(tmp_path, NOW)) == 1


def test_where_nothing_can_be_written_the_gate_goes_on(tmp_path: Path) -> None:
    note_death(tmp_path / "not-there", "worker-1", 1, NOW)
    assert recent_deaths(tmp_path / "not-there", NOW) == []

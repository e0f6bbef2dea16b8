"""What is told to a person, and what is not worth telling."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatepost.jobs.concerns import Certificate, Disk, Facts, Level, age, concerns, worst
from gatepost.jobs.settings import AlertSettings
from gatepost.net.resolver import Validation
from gatepost.store.disk import Room
from gatepost.store.figures import Figures

NOW = 1_700_000_000.0
DAY = 86_400.0
EMPTY = Figures(
    queued=0, due=0, being_tried=0, stopped=0, oldest_queued_s=None, oldest_moving_s=None, longest_due_s=None,
    held=0, oldest_held_s=None, messages=0, octets=0,
)  # fmt: skip
SOUND = Validation("127.0.0.1:53", trusted=True, answers=True, says_secure=True, refuses_bogus=True)
SILENT = replace(SOUND, answers=False, says_secure=None, refuses_bogus=None)
WELL = Facts(
    now=NOW, figures=EMPTY, disk=Disk(free_octets=10**11, total_octets=10**12, room=Room.OK), validations=(SOUND,),
    certificates=(Certificate("a.pem", NOW + 60 * DAY),),
)  # fmt: skip


def found(facts: Facts) -> dict[str, Level]:
    return {one.key: one.level for one in concerns(facts, AlertSettings())}


def test_all_well_says_nothing() -> None:
    assert concerns(WELL, AlertSettings()) == []
    assert worst([]) is Level.WELL


@pytest.mark.parametrize(
    ("change", "key", "level"),
    [
        ({"disk": replace(WELL.disk, room=Room.LOW)}, "disk", Level.WARNING),
        ({"disk": replace(WELL.disk, room=Room.FULL)}, "disk", Level.CRITICAL),
        ({"figures": replace(EMPTY, queued=1, oldest_moving_s=4 * 3600 + 1)}, "queue-stuck", Level.WARNING),
        ({"figures": replace(EMPTY, queued=1, due=1, longest_due_s=901)}, "queue-idle", Level.CRITICAL),
        ({"figures": replace(EMPTY, queued=1, stopped=1)}, "queue-stopped", Level.WARNING),
        ({"validations": (SILENT,)}, "resolver:127.0.0.1:53", Level.CRITICAL),
        (
            {"validations": (replace(SOUND, says_secure=False),)},
            "resolver-dnssec:127.0.0.1:53",
            Level.WARNING,
        ),
        (
            {"validations": (replace(SOUND, refuses_bogus=False),)},
            "resolver-dnssec:127.0.0.1:53",
            Level.WARNING,
        ),
        ({"certificates": (Certificate("a.pem", NOW + 13 * DAY),)}, "certificate:a.pem", Level.WARNING),
        ({"certificates": (Certificate("a.pem", NOW - 1),)}, "certificate:a.pem", Level.CRITICAL),
        ({"certificates": (Certificate("a.pem", None, "no such file"),)}, "certificate:a.pem", Level.WARNING),
        ({"lists_out": {"bl.example": "it lists the world"}}, "list:bl.example", Level.WARNING),
        ({"dropped": 3}, "history-dropped", Level.WARNING),
        ({"bounced": "sam@x.example"}, "bounced-over", Level.WARNING),
    ],
)
def test_each_trouble_is_told(change: dict[str, object], key: str, level: Level) -> None:
    assert found(replace(WELL, **change)) == {key: level}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {
            "figures": replace(
                EMPTY, queued=3, oldest_queued_s=9 * DAY, oldest_moving_s=60.0, longest_due_s=5.0
            )
        },
        {"validations": (replace(SOUND, says_secure=None),)},
        {"lists_out": {"bl.example (IPv6)": "::FFFF:7F00:2 must be listed and is not"}},
        {"certificates": ()},
    ],
    ids=[
        "old mail is only what is held",
        "cannot be told",
        "many lists know no IPv6",
        "no TLS is doctor's affair",
    ],
)
def test_what_is_no_trouble(change: dict[str, object]) -> None:
    assert found(replace(WELL, **change)) == {}  # type: ignore[arg-type]


def test_one_silent_resolver_of_two_is_no_catastrophe() -> None:
    both = (replace(SILENT, server="192.0.2.1:53"), SOUND)
    assert found(replace(WELL, validations=both)) == {"resolver:192.0.2.1:53": Level.WARNING}


def test_the_worst_comes_first() -> None:
    facts = replace(WELL, lists_out={"a": "b"}, disk=replace(WELL.disk, room=Room.FULL))
    told = concerns(facts, AlertSettings())
    assert [one.level for one in told] == [Level.CRITICAL, Level.WARNING]
    assert worst(told) is Level.CRITICAL


def test_ages_as_people_say_them() -> None:
    assert [age(one) for one in (5, 119, 120, 7199, 7200, 3 * DAY)] == [
        "5 seconds", "119 seconds", "2 minutes", "120 minutes", "2 hours", "3 days",
    ]  # fmt: skip

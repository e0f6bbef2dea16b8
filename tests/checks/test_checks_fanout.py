"""An account that writes to many it never wrote to."""

from __future__ import annotations

from sending import Desk, desk, letter

FREE = {"quota": {"account": {"strangers_hour": 0}, "device": {"strangers_hour": 0}}}


def names(gate: Desk) -> list[str]:
    return [one for one in gate.findings() if one.startswith("fanout.")]


def people(first: int, count: int) -> list[str]:
    return [f"p{number}@example.org" for number in range(first, first + count)]


def test_few_are_nothing_many_are_noted_and_a_flood_weighs() -> None:
    gate = desk(checks=FREE)
    gate.send(letter(), *people(0, 19))
    assert names(gate) == []
    gate.send(letter(), *people(19, 1))
    assert names(gate) == ["fanout.many"]
    gate.send(letter(), *people(20, 40))
    assert names(gate) == ["fanout.flood"]


def test_those_it_has_written_to_do_not_count() -> None:
    gate = desk(checks=FREE)
    gate.send(letter(), *people(0, 30))
    gate.world.now += 86_400.0
    gate.send(letter(), *people(0, 30))
    assert names(gate) == []


def test_one_message_to_a_flood_of_people_is_seen_at_once() -> None:
    gate = desk(checks=FREE)
    gate.send(letter(), *people(0, 90))
    assert names(gate) == ["fanout.flood"]


def test_a_new_hour_does_not_wipe_it_out() -> None:
    gate = desk(checks=FREE)
    gate.world.now += 3600 - gate.world.now % 3600 - 10
    gate.send(letter(), *people(0, 30))
    gate.world.now += 60
    gate.send(letter(), "one@example.org")
    assert names(gate) == ["fanout.many"]

"""Shares by hour and day: what is counted, and when it ends."""

from __future__ import annotations

import asyncio

import pytest

from sending import ANA, NOW, PRINTER, desk, letter

HOUR = 3600.0
SMALL = {"checks": {"quota": {"account": {"messages_hour": 2, "recipients_hour": 3, "strangers_hour": 3}}}}


def test_messages_an_hour_and_a_word_on_when_it_ends() -> None:
    gate = desk(**SMALL)
    assert [gate.send().code for _ in range(3)] == [250, 250, 450]
    reply = gate.send()
    assert reply.enhanced == "4.7.1"
    assert "ana@example.net has used up its 2 messages an hour, until " in reply.text
    assert reply.text.split("until ")[1][:9] == "07:00 UTC"
    gate.world.now += HOUR
    assert gate.send().code == 250


def test_recipients_an_hour() -> None:
    gate = desk(**SMALL)
    to = [f"p{number}@example.org" for number in range(4)]
    reply = gate.send(letter(), *to)
    assert (reply.code, reply.enhanced) == (452, "4.5.3")
    assert "3 recipients an hour" in reply.text


def test_people_never_written_to_before() -> None:
    gate = desk(checks={"quota": {"account": {"strangers_hour": 2}, "device": {"strangers_hour": 0}}})
    assert gate.send(letter(), "a@example.org", "b@example.org").code == 250
    assert gate.send(letter(), "a@example.org", "b@example.org").code == 250, "they are no strangers any more"
    reply = gate.send(letter(), "c@example.org")
    assert (reply.code, reply.enhanced) == (450, "4.7.1")
    assert "2 new recipients an hour" in reply.text


def test_a_device_has_a_share_of_its_own() -> None:
    from dataclasses import replace

    gate = desk(checks={"quota": {"device": {"messages_hour": 1}}})
    assert [gate.send().code, gate.send().code] == [250, 450]
    assert gate.send(client=replace(ANA, device="phone")).code == 250


def test_a_machine_has_one_too() -> None:
    gate = desk(checks={"quota": {"machine": {"messages_day": 1}}})
    octets = letter(author="scanner@example.net")
    assert gate.send(octets, client=PRINTER, sender="scanner@example.net").code == 250
    reply = gate.send(octets, client=PRINTER, sender="scanner@example.net")
    assert (reply.code, reply.enhanced) == (450, "4.7.1")
    assert "the machine 10.0.0.9 has used up its 1 messages a day" in reply.text


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_shares_hold_while_the_gate_observes(mode: str) -> None:
    gate = desk(mode=mode, **SMALL)
    assert [gate.send().code for _ in range(3)] == [250, 250, 450]


def test_nought_is_no_limit() -> None:
    none = dict.fromkeys(
        ("messages_hour", "messages_day", "recipients_hour", "recipients_day", "strangers_hour"), 0
    )
    gate = desk(checks={"quota": {"account": none, "device": none}, "fanout": {"mode": "off"}})

    async def many() -> None:
        for number in range(700):
            assert (await gate.sent(letter(), f"p{number}@example.org")).code == 250

    asyncio.run(many())
    assert gate.world.now == NOW

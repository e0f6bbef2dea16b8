"""A habit is what was seen on an earlier day; what breaks it is said, each with its weight."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from test_checks_networks import write_networks

from gatepost.checks.outgoing.habits import network_of, program_of, script_of
from gatepost.checks.sender.networks import forget_networks
from gatepost.mail.client import Client
from gatepost.mail.message import Message
from sending import ANA, Desk, desk, letter

DAY = 86_400.0
ELSEWHERE = replace(ANA, ip=ip_address("203.0.113.77"))
OURS = letter("User-Agent: Mozilla Thunderbird 128.1", body="Shall we have lunch at noon?\r\n")


def settled(days: int = 12, *, client: Client = ANA, **tables: object) -> Desk:
    """An account that has sent a message a day, at the same hour, from the same place."""
    gate = desk(**tables)
    for _ in range(days):
        gate.send(OURS, client=client)
        gate.world.now += DAY
    return gate


def broken(gate: Desk, octets: bytes = OURS, client: Client = ANA) -> list[str]:
    gate.send(octets, client=client)
    return [one for one in gate.findings() if one.startswith("habits.")]


def test_the_usual_says_nothing() -> None:
    assert broken(settled()) == []


def test_an_account_without_habits_says_nothing() -> None:
    assert broken(settled(4), client=ELSEWHERE) == []


@pytest.mark.parametrize(
    ("octets", "client", "name"),
    [
        (OURS, ELSEWHERE, "habits.new_network"),
        (OURS.replace(b"Thunderbird", b"Mailer"), ANA, "habits.new_program"),
        (
            OURS.replace(b"Shall we have lunch at noon?", "Здравствуйте, как дела сегодня".encode()).replace(
                b"\r\n\r\n", b"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", 1
            ),
            ANA,
            "habits.new_script",
        ),
    ],
    ids=["network", "program", "script"],
)
def test_a_change_is_said(octets: bytes, client: Client, name: str) -> None:
    assert broken(settled(), octets, client) == [name]


def test_a_country_it_never_sent_from(tmp_path: Path) -> None:
    """A thief from abroad weighs more than another network at home; a country nobody knows says nothing."""
    forget_networks()
    file = tmp_path / "networks.mmdb"
    write_networks(file, {198: {"country": {"iso_code": "DE"}}, 203: {"country": {"iso_code": "BR"}}})
    home = replace(ANA, ip=ip_address("198.51.100.7"))
    gate = settled(client=home, checks={"habits": {"networks_file": str(file)}})
    assert broken(gate, client=home) == []
    assert broken(gate, client=replace(home, ip=ip_address("192.0.2.7"))) == ["habits.new_network"]
    assert broken(gate, client=ELSEWHERE) == ["habits.new_country", "habits.new_network"]
    (said,) = [one.text for one in gate.last.entry.findings if one.name == "habits.new_country"]
    assert said == "ana@example.net sends from BR for the first time"


def test_another_time_of_the_day() -> None:
    gate = settled()
    gate.world.now += DAY / 2
    assert broken(gate) == ["habits.odd_hour"]


def test_much_on_one_day_makes_no_habit_and_the_next_day_does() -> None:
    gate = settled()
    assert [broken(gate, client=ELSEWHERE) for _ in range(3)] == [["habits.new_network"]] * 3
    gate.world.now += DAY
    assert broken(gate, client=ELSEWHERE) == []


def test_machines_have_no_habits() -> None:
    gate = desk()
    machine = Client(ip=ip_address("10.0.0.9"), role="submission", excused=True)
    for _ in range(8):
        gate.send(OURS, client=machine, sender="ana@example.net")
        gate.world.now += DAY
    assert broken(gate, client=replace(machine, ip=ip_address("10.9.0.9"))) == []


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Shall we meet?", "Latin"), ("Привет, как дела", "Cyrillic"), ("明日の会議は十時からです", "Japanese"),
        ("我们明天十点开会好吗", "Chinese"), ("안녕하세요 회의는 열 시", "Korean"), ("123 456", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_script_most_letters_are_of(text: str, script: str) -> None:
    assert script_of(text) == script


def test_networks_and_programs() -> None:
    assert network_of(ip_address("192.0.2.55")) == "192.0.0.0/20"
    assert network_of(ip_address("2001:db8:1:2::3")) == "2001:db8::/40"
    assert program_of(Message.parse(b"X-Mailer: Outlook 16.0 (x)\r\n\r\n")) == "Outlook"
    assert program_of(Message.parse(b"\r\n")) == ""

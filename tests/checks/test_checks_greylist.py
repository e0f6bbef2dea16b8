"""A stranger's first mail waits; nobody else's does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drive import drive
from gatepost.checks.connection.greylist import GREYLIST, GreylistSettings
from gatepost.checks.registry import configure
from gatepost.mail.client import Attempt
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide_at_door
from gatepost.tools import Acquaintance
from judging import NOW, World, attempt, names

SETTINGS = GreylistSettings(mode=Mode.ENFORCE)
BEHIND = replace(attempt(), client=replace(attempt().client, port=0))
"""A client of a relay of ours."""


def test_off_by_default() -> None:
    assert GreylistSettings().mode is Mode.OFF


def test_wait_come_back_and_be_trusted_as_a_client() -> None:
    world = World()
    found = drive(GREYLIST.run(attempt(), world, SETTINGS))
    assert names(found) == ["greylist.wait"]
    assert "300 seconds" in found[0].text
    world.now += 299
    assert names(drive(GREYLIST.run(attempt(), world, SETTINGS))) == ["greylist.wait"]
    world.now += 2
    # Another machine of the same /24 retries, as big senders do.
    assert names(drive(GREYLIST.run(attempt("198.51.100.200"), world, SETTINGS))) == ["greylist.waited"]
    assert drive(GREYLIST.run(attempt(recipient="new@example.net"), world, SETTINGS)) == ()
    world.now += 37 * 86_400
    assert names(drive(GREYLIST.run(attempt(), world, SETTINGS))) == ["greylist.wait"]


def test_coming_back_too_late_starts_over() -> None:
    world = World()
    drive(GREYLIST.run(attempt(), world, SETTINGS))
    world.now += 3 * 86_400
    assert names(drive(GREYLIST.run(attempt(), world, SETTINGS))) == ["greylist.wait"]


@pytest.mark.parametrize("who", [attempt(user="ana"), attempt(ip=None), attempt("127.0.0.1"), BEHIND])
def test_not_for_users_and_clients_without_an_address(who: Attempt) -> None:
    assert drive(GREYLIST.run(who, World(), SETTINGS)) == ()


def test_not_for_senders_we_know_but_for_the_null_sender() -> None:
    friend = Acquaintance(first_seen=NOW - 1e6, last_seen=NOW, messages=5, replied=True)
    world = World(friends={("example.org", "example.net"): friend})
    assert drive(GREYLIST.run(attempt(), world, SETTINGS)) == ()
    assert names(drive(GREYLIST.run(attempt(sender=None), world, SETTINGS))) == ["greylist.wait"]


def test_it_defers_at_the_door_unless_a_list_welcomes_the_client_and_never_when_observed() -> None:
    wait = Finding("greylist.wait", "wait")
    welcome = Finding("dnsbl.welcome", "welcome")
    for settings, extra, action in (
        (SETTINGS, [], Action.DEFER),
        (SETTINGS, [welcome], Action.DELIVER),
        (GreylistSettings(mode=Mode.OBSERVE), [], Action.DELIVER),
    ):
        policy = assemble(PolicySettings(), configure({"greylist": settings})).default
        verdict = decide_at_door([wait, *extra], policy)
        assert verdict.action is action

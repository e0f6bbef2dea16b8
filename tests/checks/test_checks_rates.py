"""Too much in too short a time."""

from __future__ import annotations

from drive import drive
from gatepost.checks.connection.rates import RATES, VOLUME, RatesSettings, VolumeSettings
from gatepost.checks.registry import configure
from gatepost.mail.finding import Mode
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide, decide_at_door
from judging import World, attempt, mail, names


def test_recipients_are_counted_by_network_and_window() -> None:
    world, settings = World(), RatesSettings(recipients=2, window_s=60.0)
    for _ in range(2):
        assert drive(RATES.run(attempt("2001:db8::1"), world, settings)) == ()
    found = drive(RATES.run(attempt("2001:db8::ffff"), world, settings))
    assert names(found) == ["rates.exceeded"], "the same /64"
    assert drive(RATES.run(attempt("2001:db8:0:1::1"), world, settings)) == ()
    policy = assemble(PolicySettings(), configure({}), mode=Mode.OBSERVE).default
    assert decide_at_door(found, policy).action is Action.DEFER
    world.now += 61
    assert drive(RATES.run(attempt("2001:db8::1"), world, settings)) == ()


def test_accounts_are_counted_by_name_and_loopback_not_at_all() -> None:
    world, settings = World(), RatesSettings(recipients=1)
    for _ in range(3):
        assert drive(RATES.run(attempt("127.0.0.1"), world, settings)) == ()
    drive(RATES.run(attempt(user="ana"), world, settings))
    assert names(drive(RATES.run(attempt("192.0.2.1", user="ana"), world, settings))) == ["rates.exceeded"]
    assert drive(RATES.run(attempt("192.0.2.1"), world, settings)) == ()


def test_messages_beyond_the_limit_are_deferred() -> None:
    world, settings = World(), VolumeSettings(messages=1)
    assert drive(VOLUME.run(mail(), world, settings)) == ()
    found = drive(VOLUME.run(mail(), world, settings))
    assert names(found) == ["volume.exceeded"]
    assert decide(found, assemble(PolicySettings(), configure({})).default).action is Action.DEFER


def test_no_limit_counts_nothing() -> None:
    world = World()
    drive(RATES.run(attempt(), world, RatesSettings(recipients=0, unknown_recipients=0)))
    assert world.facts == {}

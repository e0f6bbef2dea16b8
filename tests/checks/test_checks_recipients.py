"""Whom we take mail for."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from drive import drive
from gatepost.checks.connection.rates import RATES, RatesSettings
from gatepost.checks.connection.recipients import BOUNCED_KEY, RECIPIENTS, RecipientsSettings, takes_key
from gatepost.checks.registry import configure
from gatepost.checks.run import Configured, run
from gatepost.mail.address import Address, parse_address
from gatepost.mail.client import Attempt
from gatepost.mail.finding import Mode
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide_at_door
from gatepost.tools import RecipientAnswer, Standing
from judging import World, attempt, names


@pytest.mark.parametrize(
    ("standing", "name", "action", "codes"),
    [
        (Standing.NOT_OURS, "recipients.not_ours", Action.REFUSE, (550, "5.7.1")),
        (Standing.UNKNOWN, "recipients.unknown", Action.REFUSE, (550, "5.1.1")),
        (Standing.UNSURE, "recipients.unsure", Action.DEFER, (450, "4.1.1")),
    ],
)
@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.OBSERVE])
def test_what_is_said_holds_in_an_observing_gate_too(
    standing: Standing, name: str, action: Action, codes: tuple[int, str], mode: Mode
) -> None:
    world = World(standings={"ben@example.net": standing})
    found = drive(RECIPIENTS.run(attempt(), world, RecipientsSettings()))
    assert names(found) == [name]
    policy = assemble(PolicySettings(), configure({}), mode=mode).default
    verdict = decide_at_door(found, policy)
    assert (verdict.action, verdict.rule) == (action, name)
    assert policy.reply_codes(verdict) == codes


def test_known_recipients_and_relaying_by_who_signed_in() -> None:
    assert drive(RECIPIENTS.run(attempt(), World(), RecipientsSettings())) == ()
    world = World(standings={"ben@example.net": Standing.NOT_OURS})
    assert drive(RECIPIENTS.run(attempt(user="carla"), world, RecipientsSettings())) == ()


def test_what_every_host_behind_is_known_to_find_too_big_is_refused() -> None:
    limit, size = 10_000_000, 20_000_000
    asked = attempt(size=size)

    def found(hops: tuple[str, ...], asked: Attempt = asked, **takes: int) -> list[str]:
        world = World(hops={"ben@example.net": hops})
        for name, octets in takes.items():
            drive(world.put(takes_key(name), str(octets), ttl_s=60.0))
        return names(drive(RECIPIENTS.run(asked, world, RecipientsSettings())))

    assert found(("one",), one=limit) == ["recipients.too_large"]
    assert found(("one", "two"), one=limit, two=limit) == ["recipients.too_large"]
    assert found(("one", "two"), one=limit, two=2 * size) == [], "it takes copies for each"
    assert found(("one", "two"), one=limit) == [], "of the other nothing is known"
    assert found(("one",), one=0) == [], "RFC 1870 §3: 0 is no limit"
    assert found((), one=limit) == [], "a mailbox of our own"
    assert found(("one",), one=size) == []
    assert found(("one",), attempt(), one=limit) == [], "the client does not say how big it is"
    assert found(("one",), attempt(size=50_000), one=1000) == [], "RFC 5321 §4.5.3.1.7: 64K are always taken"
    finding = next(one for one in RECIPIENTS.emits if one.name == "recipients.too_large").found("too big")
    for mode in (Mode.ENFORCE, Mode.OBSERVE):
        policy = assemble(PolicySettings(), configure({}), mode=mode).default
        verdict = decide_at_door([finding], policy)
        assert (verdict.action, policy.reply_codes(verdict)) == (Action.REFUSE, (552, "5.3.4"))


def test_a_directory_that_is_away_defers_whatever_the_gates_mode() -> None:
    class Away(World):
        async def find(self, address):
            raise ZeroDivisionError

    check = Configured(RECIPIENTS, RecipientsSettings())
    found = asyncio.run(run([check], attempt(), Away(), deadline_s=1.0, on_bug=lambda *_: None))
    for mode in (Mode.ENFORCE, Mode.OBSERVE):
        policy = assemble(PolicySettings(), configure({}), mode=mode).default
        assert decide_at_door(found, policy).action is Action.DEFER


def test_a_client_that_guesses_recipients_is_put_off_for_ten_minutes() -> None:
    world = World(standings={f"u{n}@example.net": Standing.UNKNOWN for n in range(3)})
    settings = RatesSettings(unknown_recipients=3)
    for n in range(3):
        assert drive(RATES.run(attempt(), world, settings)) == ()
        drive(RECIPIENTS.run(attempt(recipient=f"u{n}@example.net"), world, RecipientsSettings()))
    assert names(drive(RATES.run(attempt(), world, settings))) == ["rates.exceeded"]
    assert drive(RATES.run(attempt("198.51.100.8"), world, settings)) == ()
    world.now += 601
    assert drive(RATES.run(attempt(), world, settings)) == ()


def test_who_guesses_too_much_is_told_nothing_about_who_exists() -> None:
    """Else the guessing would go on: refused means unknown, put off means known."""
    findings = [
        RATES.emits[0].found("too many"),
        next(one for one in RECIPIENTS.emits if one.name == "recipients.unknown").found("there is nobody"),
    ]
    for mode in (Mode.ENFORCE, Mode.OBSERVE):
        policy = assemble(PolicySettings(), configure({}), mode=mode).default
        assert decide_at_door(findings, policy).action is Action.DEFER


def test_a_sender_that_we_rewrote_is_nobodys_way_to_write_to_them_again_and_again() -> None:
    class Forwarding(World):
        async def find(self, address: Address) -> RecipientAnswer:
            return RecipientAnswer(
                Standing.KNOWN, "stands for a sender", only_bounces="SRS" in address.local.upper()
            )

    world, settings = Forwarding(), RecipientsSettings(bounces_a_day=3)

    def asked(local: str, sender: str | None = None, domain: str = "example.net") -> list[str]:
        bounce = replace(
            attempt(recipient=f"{local}@{domain}"), sender=parse_address(sender) if sender else None
        )
        return names(drive(RECIPIENTS.run(bounce, world, settings)))

    assert asked("SRS0=A=BC=x.example=sam", "eve@x.example") == ["recipients.unknown"], (
        "it takes bounces alone"
    )
    assert [asked("SRS0=A=BC=x.example=sam") for _ in range(3)] == [[]] * 3
    assert asked("srs0=a=bc=x.example=sam") == ["recipients.bounces"], "in whatever case"
    assert asked("SRS0=E=BD=x.example=sam") == ["recipients.bounces"], "by an address of another day"
    assert asked("SRS0=A=BC=x.example=sam", domain="example.com") == ["recipients.bounces"], (
        "at another domain of ours"
    )
    assert drive(world.memory.get(BOUNCED_KEY)) == "sam@x.example", "the postmaster is told of it"
    assert asked("SRS0=D=BC=x.example=tom") == [], "another sender"
    assert [asked("ana") for _ in range(5)] == [[]] * 5, "mailboxes have no such bound"
    world.now += 86_400
    assert asked("SRS0=A=BC=x.example=sam") == []
    assert asked("SRS0=A=BC=x.example=sam") == []
    settings = RecipientsSettings(bounces_a_day=0)
    assert [asked("SRS0=A=BC=x.example=sam") for _ in range(9)] == [[]] * 9

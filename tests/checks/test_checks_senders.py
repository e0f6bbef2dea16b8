"""Senders let in or kept out by name."""

from __future__ import annotations

from dataclasses import replace

from drive import drive
from gatepost.checks.registry import configure
from gatepost.checks.sender.senders import SENDERS, SenderEntry, SendersSettings, problems
from gatepost.mail.authresults import AuthResults, DmarcResult
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide
from judging import NOW, World, mail, names

ENTRY = SenderEntry(sender="example.org", owner="carla", reason="our bank", expires="2023-11-14")
ALLOW = SendersSettings(allow=(ENTRY,))
PROVED = AuthResults(dmarc=DmarcResult(result="pass", author_domain="example.org"))
UNPROVED = AuthResults(dmarc=DmarcResult(result="fail", author_domain="example.org"))


def seen(one: Mail, settings: SendersSettings, now: float = NOW) -> list[str]:
    return names(drive(SENDERS.run(one, World(now=now), settings)))


def test_an_allow_entry_counts_for_a_proved_author_until_its_last_day_ends() -> None:
    midnight = 1_700_006_400.0  # 2023-11-15 00:00 UTC
    assert seen(mail(auth=PROVED), ALLOW, midnight - 1) == ["senders.allowed"]
    assert seen(mail(auth=PROVED), ALLOW, midnight) == ["senders.expired"]
    assert seen(mail(auth=UNPROVED), ALLOW) == []


def test_an_allowed_author_beside_another_gets_nobody_in() -> None:
    header = ("From: a@example.org, b@evil.example", "Date: x", "Message-ID: <1@x>")
    assert seen(mail(*header, auth=PROVED), ALLOW) == []


def test_an_address_is_meant_exactly_and_a_domain_with_all_below_it() -> None:
    for sender, expected in (
        ("ana@example.org", ["senders.allowed"]),
        ("ANA@example.org", ["senders.allowed"]),
        ("ben@example.org", []),
        ("ample.org", []),
        ("org", ["senders.allowed"]),
    ):
        settings = SendersSettings(allow=(replace(ENTRY, sender=sender),))
        assert seen(mail(auth=PROVED), settings) == expected


def test_an_allow_entry_without_expiry_is_refused_by_the_configuration_and_opens_nothing() -> None:
    lax = SendersSettings(allow=(SenderEntry(sender="example.org"),))
    assert problems(lax) == ["the allow entry for example.org lacks owner, reason, expires"]
    assert seen(mail(auth=PROVED), lax) == []
    assert "no date" in problems(SendersSettings(allow=(replace(ENTRY, expires="soon"),)))[0]
    for_ever = SendersSettings(allow=(replace(ENTRY, expires="9999-12-31"),))
    assert problems(for_ever) == []
    assert seen(mail(auth=PROVED), for_ever) == ["senders.allowed"]
    assert problems(ALLOW) == []


def test_a_blocked_name_needs_no_proof_and_envelope_or_author_is_enough() -> None:
    block = SendersSettings(block=(SenderEntry(sender="example.org", reason="pesters us"),))
    assert seen(mail(auth=UNPROVED), block) == ["senders.blocked"]
    header = ("From: x@else.example", "Date: x", "Message-ID: <1@x>")
    assert seen(mail(*header, sender="y@sub.example.org"), block) == ["senders.blocked"]
    assert seen(mail(*header, sender=None), block) == []


def test_allowing_overrides_a_failed_check_but_not_the_operators_own_block() -> None:
    policy = assemble(PolicySettings(), configure({"senders": ALLOW})).default
    allowed = Finding("senders.allowed", "allowed")
    assert decide([allowed, Finding("headers.too_many", "many")], policy).action is Action.DELIVER
    assert decide([allowed, Finding("senders.blocked", "blocked")], policy).action is Action.QUARANTINE

"""Rewritten senders: they lead back, nobody can make one, and they end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.address import Address
from gatepost.mailauth.srs import DAY_S, is_rewritten, restored, rewritten

NOW = 1_700_000_000.0
SECRET, OLD = b"s" * 32, b"o" * 32
SAM = Address("Sam.Ple", "example.org")


def sent_on(
    sender: Address = SAM, domain: str = "example.net", secret: bytes = SECRET, now: float = NOW
) -> Address:
    changed = rewritten(sender, domain=domain, secret=secret, now=now)
    assert changed is not None
    return changed


def back(address: Address, now: float = NOW) -> Address | None:
    return restored(address, secrets=(SECRET, OLD), now=now)


def test_a_bounce_leads_back_to_the_sender() -> None:
    address = sent_on()
    assert address.domain == "example.net"
    assert address.local.startswith("SRS0=")
    assert is_rewritten(address)
    assert not is_rewritten(SAM)
    assert back(address) == SAM


def test_a_secret_that_was_replaced_is_still_believed() -> None:
    assert back(sent_on(secret=OLD)) == SAM
    assert back(sent_on(secret=b"somebody else's")) is None


@pytest.mark.parametrize("fold", [str.lower, str.upper])
def test_a_host_that_folds_case_breaks_nothing(fold: object) -> None:
    address = sent_on()
    folded = back(Address(fold(address.local), address.domain))  # type: ignore[operator]
    assert folded is not None
    assert folded.key == SAM.key


def test_whatever_is_altered_leads_nowhere() -> None:
    local = sent_on().local
    for at in range(len("SRS0="), len(local)):
        changed = local[:at] + ("x" if local[at].lower() != "x" else "y") + local[at + 1 :]
        assert back(Address(changed, "example.net")) is None, changed
    assert back(Address(local.replace("example.org", "example.com"), "example.net")) is None
    for text in ("SRS0=", "SRS0==", "SRS0====", "SRS1=a=b", "SRS0=AAAAAA=AA=x=y", "SRS1=AAAAAA=x==y"):
        assert back(Address(text, "example.net")) is None


def test_what_only_looks_like_an_srs1_is_rewritten_like_any_name_and_leads_back() -> None:
    sender = Address("SRS1=ABle.org=sam", "second.example")
    made = rewritten(sender, domain="example.net", secret=b"s" * 32, now=NOW)
    assert made is not None
    assert made.local.startswith("SRS0=")
    assert restored(made, secrets=[b"s" * 32], now=NOW) == sender


@pytest.mark.parametrize(
    "sender", [SAM, Address("SRS0=ABCDEF=GH=example.org=sam", "first.example")], ids=["SRS0", "SRS1"]
)
def test_it_ends_when_no_bounce_can_come_any_more(sender: Address) -> None:
    address = sent_on(sender)
    assert back(address, NOW + 10 * DAY_S) == sender
    assert back(address, NOW + 11 * DAY_S) is None
    assert back(address, NOW - DAY_S) == sender
    assert back(address, NOW - 2 * DAY_S) is None
    assert restored(address, secrets=[SECRET], now=NOW + 2 * DAY_S, valid_days=1) is None
    assert restored(address, secrets=[SECRET], now=NOW + 30 * DAY_S, valid_days=30) == sender


def test_through_three_forwarders_the_bounce_goes_to_the_first() -> None:
    first = rewritten(SAM, domain="first.example", secret=b"another forwarder", now=NOW)
    assert first is not None
    second = sent_on(first, domain="second.example")
    assert second.local.startswith("SRS1=")
    third = rewritten(second, domain="third.example", secret=b"a third one", now=NOW)
    assert third is not None
    assert restored(third, secrets=[b"a third one"], now=NOW) == first
    assert back(second) == first
    assert restored(first, secrets=[b"another forwarder"], now=NOW) == SAM


def test_another_separator_of_the_first_forwarder_is_kept() -> None:
    first = Address("SRS0+abcd=AB=example.org=sam", "first.example")
    assert back(sent_on(first)) == first


def test_what_would_be_too_long_stays_as_it_is() -> None:
    assert rewritten(Address("x" * 60, "example.org"), domain="example.net", secret=SECRET, now=NOW) is None


@given(st.text(max_size=80))
def test_nothing_raises_and_nobody_guesses(local: str) -> None:
    assert back(Address("SRS0=" + local, "example.net")) is None
    assert back(Address("SRS1=" + local, "example.net")) is None
    back(Address(local, "example.net"))


def test_an_address_that_another_forwarder_is_said_to_have_made_vouches_for_no_sender() -> None:
    day = sent_on(now=NOW + 10 * DAY_S).local.split("=")[2]
    strange = Address(f"SRS1=x={day}=victim.example=pat", "evil.example")
    assert back(sent_on(strange)) == strange, "whoever wrote it has the bounce, and nobody else"
    made = sent_on(Address(f"SRS1=x={day}=-victim.example=pat", "evil.example"))
    assert made.local.startswith("SRS1=")
    turned = Address(made.local.replace("SRS1=", "SRS0=", 1), made.domain)
    assert back(turned, now=NOW + 10 * DAY_S) is None, "a hash holds for what it was made for"

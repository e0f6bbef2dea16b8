"""Guessing is slowed down; nobody is shut out by the guesses of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.access.lockout import Count, Strikes, Try, counts, struck, wait_s
from gatepost.access.settings import LockoutSettings

SETTINGS = LockoutSettings()


class Book:
    """What is counted, as the store would keep it."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Strikes] = {}

    def wait(self, one: Try, now: float) -> float:
        keys = counts(one)
        return max(wait_s(count, self.kept.get(key, Strikes()), SETTINGS, now) for count, key in keys.items())

    def fail(self, one: Try, now: float) -> None:
        keys = counts(one)
        after = struck({count: self.kept.get(key, Strikes()) for count, key in keys.items()}, SETTINGS, now)
        self.kept.update({keys[count]: strikes for count, strikes in after.items()})


def guesses(book: Book, one: Try, seconds: int, now: float = 0.0) -> int:
    """How many guesses somebody gets who tries every second for so long."""
    got = 0
    for second in range(seconds):
        if book.wait(one, now + second) == 0:
            book.fail(one, now + second)
            got += 1
    return got


def test_the_wait_grows_to_a_bound() -> None:
    book, one = Book(), Try("ana", "192.0.2.0/24")
    assert guesses(book, one, 3600) <= 16
    assert guesses(book, one, 86_400, now=3600) <= 86_400 / SETTINGS.longest_s + 1
    assert book.wait(one, 90_001) <= SETTINGS.longest_s


def test_failures_are_forgotten_after_a_quiet_day() -> None:
    book, one = Book(), Try("ana", "192.0.2.0/24")
    guesses(book, one, 3600)
    quiet = 3600 + SETTINGS.forgotten_s
    assert book.wait(one, quiet) == 0
    book.fail(one, quiet)
    assert book.wait(one, quiet + 1) == 0


@given(
    account=st.sampled_from(["ana", "ben"]), tries=st.integers(0, 400), seconds=st.integers(0, 3600),
)  # fmt: skip
def test_guesses_from_one_network_never_make_another_wait(account: str, tries: int, seconds: int) -> None:
    book, bad = Book(), Try(account, "198.51.100.0/24")
    for number in range(tries):
        book.fail(bad, number * seconds / 400)
    assert book.wait(Try("ana", "192.0.2.0/24"), seconds) == 0


@pytest.mark.parametrize(
    "known", [Try("ana", "192.0.2.0/24", known_network=True), Try("ana", "192.0.2.0/24", known_device="d")]
)
def test_who_is_known_does_not_wait_for_a_thousand_guessing_networks(known: Try) -> None:
    book = Book()
    for number in range(1000):
        for _ in range(SETTINGS.free + 1):
            book.fail(Try("ana", f"10.0.{number}.0/24"), float(number))
    assert book.wait(known, 1000) == 0
    stranger = Try("ana", "192.0.2.0/24")
    assert 0 < book.wait(stranger, 1000) <= SETTINGS.longest_s, "an unknown network waits, but never for good"
    assert book.wait(Try("ben", "192.0.2.0/24"), 1000) == 0, "and nobody but the account that is guessed at"


def test_one_network_that_guesses_at_everybody_waits() -> None:
    book = Book()
    for number in range(SETTINGS.network_free + 1):
        book.fail(Try(f"user{number}", "198.51.100.0/24"), 0.0)
    assert book.wait(Try("ana", "198.51.100.0/24"), 1.0) > 0
    assert book.wait(Try("ana", "198.51.100.0/24", known_network=True), 1.0) == 0


def test_no_name_is_kept() -> None:
    keys = counts(Try("ana@example.net", "192.0.2.0/24"))
    assert set(keys) == {Count.HERE, Count.NETWORK, Count.SPREAD}
    assert all(b"ana" not in key and len(key) == 16 for key in keys.values())
    assert len({*keys.values(), *counts(Try("ben@example.net", "192.0.2.0/24")).values()}) == 5

"""Numbers told from other numbers by their check digits: published test numbers, and the same with one digit wrong."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.rules.numbers import cards, ibans, luhn, my_numbers, private_keys
from gatepost.rules.ruleset import load_rules, shipped_rules
from gatepost.rules.trying import failures

# The networks' published test numbers.
CARDS = [
    "4111111111111111", "4012888888881881", "4222222222222", "5555555555554444", "5105105105105100", "2221000000000009",
    "2720999999999996", "378282246310005", "371449635398431", "30569309025904", "38520000023237", "6011111111111117",
    "6011000990139424", "3530111333300000", "3566002020360505", "6200000000000005",
]  # fmt: skip
# Examples of the IBAN registry.
IBANS = [
    "AD1200012030200359100100", "AT611904300234573201", "BE68539007547034", "CH9300762011623852957", "DE89370400440532013000",
    "ES9121000418450200051332", "FR1420041010050500013M02606", "GB29NWBK60161331926819", "IE29AIBK93115212345678",
    "IT60X0542811101000000123456", "LC55HEMM000100010012001200023015", "MT84MALT011000012345MTLCAST001S", "NL91ABNA0417164300",
    "NO9386011117947", "PL61109010140000071219812874", "SE4550000000058398257466", "TR330006100519786457841326",
]  # fmt: skip


@pytest.mark.parametrize("number", CARDS)
def test_cards_in_every_writing(number: str) -> None:
    assert cards(number) == {number}
    assert cards(f"pay with {number}, please") == {number}
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert cards(wrong) == frozenset()
    if len(number) == 16:
        fours = [number[at : at + 4] for at in range(0, 16, 4)]
        assert cards(" ".join(fours)) == cards("-".join(fours)) == {number}
        wide = number.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
        assert cards(f"カード番号{wide}です") == {number}


def test_cards_beside_each_other_are_several() -> None:
    assert len(cards("4111 1111 1111 1111 5555 5555 5555 4444")) == 2
    assert len(cards("4111111111111111;5555555555554444\t378282246310005\n378282246310005")) == 3


@pytest.mark.parametrize(
    "text",
    ["x4111111111111111", "+4111111111111111", "4111111111111111a", "1.4111111111111111", "https://x/4111111111111111", "0000000000000000", "9999999999999995", "41111111111111113"],
)  # fmt: skip
def test_what_only_looks_like_a_card(text: str) -> None:
    assert cards(text) == frozenset()


@pytest.mark.parametrize(
    "number", ["123456789018", "1234 5678 9018", "1234-5678-9018", "１２３４５６７８９０１８"]
)
def test_my_number(number: str) -> None:
    assert my_numbers(f"番号 {number}") == {"123456789018"}


def test_my_number_needs_its_check_digit() -> None:
    assert sum(bool(my_numbers(f"12345678901{digit}")) for digit in range(10)) == 1
    assert my_numbers("1234 5678 9018 1111") == frozenset(), "four groups are something else"


@pytest.mark.parametrize("iban", IBANS)
def test_ibans_in_every_writing(iban: str) -> None:
    fours = " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
    assert ibans(iban) == ibans(fours) == ibans(f"to {fours.lower()}, soon") == {iban}
    assert ibans(f"{fours} and {fours} then") == {iban}
    digits = iban[:4] + ("1" if iban[4] != "1" else "2") + iban[5:]
    assert ibans(digits) == frozenset()
    assert ibans(iban + "9") == frozenset()


def test_private_keys() -> None:
    begin = "-----BEGIN {}PRIVATE KEY{}-----"
    for kind, end in (("", ""), ("RSA ", ""), ("OPENSSH ", ""), ("ENCRYPTED ", ""), ("PGP ", " BLOCK")):
        assert private_keys(begin.format(kind, end)) == 1
    assert private_keys("-----BEGIN PUBLIC KEY-----\n-----BEGIN CERTIFICATE-----") == 0


@given(st.text(alphabet="0123456789 -4DEGB\n", max_size=400))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read(text: str) -> None:
    assert all(luhn(one) for one in cards(text))
    my_numbers(text)
    ibans(text)


def test_long_texts_are_read_in_good_time() -> None:
    digits = "".join(random.Random(1).choices("0123456789 -", k=400_000))
    began = time.process_time()
    for text in (digits, "4111 " * 80_000, "DE89 " * 80_000, "1234-5678-" * 40_000, "9" * 400_000):
        cards(text)
        my_numbers(text)
        ibans(text)
        private_keys(text)
    assert time.process_time() - began < 5


def test_the_shipped_rules_agree_with_their_examples_and_look_at_nothing_that_comes_in() -> None:
    rules = load_rules(data_loss=True)
    assert not rules.problems
    assert [f"{one.rule.name}: {one.text}" for one in failures(rules)] == []
    assert len(rules.rules) >= 6
    assert {one.attack for one in rules.rules} == {"data-loss"}
    assert "data-loss" not in {one.attack for one in shipped_rules().rules}
    for one in rules.rules:
        assert one.description
        assert one.references
        assert not one.finding.endswith(".")

"""The shipped rules: every one does what its examples say, is documented, and lets plain mail pass."""

from __future__ import annotations

import re

import pytest

from gatepost.rules.rulefile import Rule
from gatepost.rules.ruleset import load_rules, shipped_folder, shipped_rules
from gatepost.rules.trying import facts_of, failures

RESERVED = re.compile(rb"@[A-Za-z0-9.-]*?([A-Za-z0-9-]+)(?=[>\s,;/?\"&<]|$)")


def test_there_are_at_least_sixty_and_all_can_be_used() -> None:
    rules = shipped_rules()
    assert not rules.problems
    assert len(rules.rules) >= 60
    assert len({rule.name for rule in rules.rules}) == len(rules.rules)


def test_every_rule_agrees_with_its_examples() -> None:
    assert [f"{one.rule.name}: {one.text}" for one in failures(shipped_rules())] == []


@pytest.mark.parametrize("rule", shipped_rules().rules, ids=lambda rule: rule.name)
def test_every_rule_explains_itself(rule: Rule) -> None:
    assert rule.description
    assert rule.references
    assert not rule.finding.endswith(".")
    assert rule.finding[0].islower() or rule.finding[0].isdigit()
    assert 0 < rule.weight <= 4.5


def test_examples_use_reserved_names_only() -> None:
    for path in shipped_folder().rglob("*.eml"):
        for ending in RESERVED.findall(path.read_bytes()):
            assert ending in (b"example", b"com", b"net", b"org", b"we53208"), path
        for domain in re.findall(rb"@([A-Za-z0-9.-]+\.(?:com|net|org))", path.read_bytes()):
            last = domain.split(b".")[-2]
            assert last in (b"example", b"gmail", b"outlook", b"yahoo", b"yandex"), path


PLAIN = """From: Ana <ana@example.org>\r\nTo: ben@example.net\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"""


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (
            "Invoice 2024-17",
            "Please find our invoice attached. Payment is due in 30 days. https://example.org/",
        ),
        ("Lunch?", "At noon in the canteen? I have a gift for Maria."),
        ("Rechnung", "Anbei die Rechnung für April. Viele Grüße"),
        ("会議の件", "明日の会議は十時からです。よろしくお願いします。"),
        ("Meeting moved", "The meeting is on Tuesday now. Join at https://meet.example.org/xyz"),
        ("Password policy", "From May on passwords need 14 characters. See https://example.org/it"),
    ],
)
def test_plain_mail_matches_nothing(subject: str, text: str) -> None:
    rules = shipped_rules()
    octets = PLAIN.format(subject=subject, text=text).encode()
    assert rules.judge(facts_of(octets, rules, files_known=True)).matched == ()


def test_an_own_rule_takes_a_shipped_ones_place_and_a_broken_one_is_told(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path)) / "own"
    folder.mkdir()
    (folder / "gift-cards.toml").write_text("finding = 'mine'\ncondition = \"subject.has('mine')\"\n")
    (folder / "broken.toml").write_text("finding = 'x'\ncondition = 'subjekt == 1'\n")
    (folder / "odd.toml").write_text("finding = 'x'\ncondition = 'true'\nseverty = 'low'\n")
    rules = load_rules([folder.parent])
    mine = rules.named("gift-cards")
    assert mine is not None
    assert mine.finding == "mine"
    assert len(rules.rules) == len(load_rules().rules) + 1
    said = {problem.path.name: problem.text for problem in rules.problems}
    assert "did you mean subject?" in said["broken.toml"]
    assert "line 1, column 1" in said["broken.toml"]
    assert "did you mean severity?" in said["odd.toml"]

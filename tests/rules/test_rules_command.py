"""`gatepost rules`, and the check that asks the rules."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from drive import drive
from gatepost.checks.content.rules import RULES, RulesSettings, matched
from gatepost.checks.registry import configure
from gatepost.cli.root import gatepost
from gatepost.config.load import ConfigError
from gatepost.config.schema import settle
from gatepost.mail.authresults import AuthResults
from gatepost.mail.client import Client, Envelope, Mail
from gatepost.mail.filereport import FileReport
from gatepost.mail.finding import Mode
from gatepost.mail.message import Message
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide
from gatepost.rules.ruleset import load_rules
from gatepost.tools import Unavailable

LURE = (
    b"From: Director <director@gmail.com>\r\nSubject: Quick favour\r\n\r\n"
    b"I need you to purchase some gift cards. Scratch the back and send me the codes.\r\n"
)
ZIPPED = (
    b"From: Ana <ana@example.org>\r\nSubject: Table\r\nContent-Type: application/zip; name=a.zip\r\n"
    b"Content-Disposition: attachment; filename=a.zip\r\n\r\nPK\r\n"
)
OWN = "finding = 'a program in an archive'\nweight = 3.0\ncondition = \"files.any(kind == 'pe')\"\n"


def mail(octets: bytes) -> Mail:
    return Mail(
        client=Client(ip=None),
        envelope=Envelope(sender=None),
        message=Message.parse(octets),
        auth=AuthResults(),
    )


def test_a_match_is_a_finding_that_reaches_junk_with_the_weight_of_its_rule() -> None:
    found = drive(matched(mail(LURE), SimpleNamespace(), RulesSettings()))
    assert [one.key for one in found] == ["rules.matched:gift-cards"]
    assert found[0].text == "asks to buy gift cards (rule gift-cards)"
    verdict = decide(found, assemble(PolicySettings(), configure({})).default)
    assert verdict.action is Action.JUNK


@pytest.mark.parametrize("broken", ["a = " + "[" * 50_000, "a = " + "1" * 5_000, "a = ="])
def test_a_file_that_is_not_toml_is_told_and_the_other_rules_work(tmp_path: Path, broken: str) -> None:
    (tmp_path / "fraud").mkdir()
    (tmp_path / "fraud" / "broken.toml").write_text(broken)
    (tmp_path / "fraud" / "sound.toml").write_text(OWN)
    loaded = load_rules([tmp_path], shipped=False)
    assert [one.path.name for one in loaded.problems] == ["broken.toml"]
    assert "TOML" in loaded.problems[0].text
    assert [one.name for one in loaded.rules] == ["sound"]


def test_settings_turn_rules_down_and_off() -> None:
    weaker = RulesSettings(weights={"gift-cards": 1.0})
    sources = RULES.weights_of(weaker) if RULES.weights_of else {}
    assert sources["rules.matched:gift-cards"] == (1.0, Mode.ENFORCE)
    assert drive(matched(mail(LURE), SimpleNamespace(), RulesSettings(disabled=("gift-cards",)))) == []
    observing = configure({"rules": RulesSettings(modes={"gift-cards": Mode.OBSERVE})})
    found = drive(matched(mail(LURE), SimpleNamespace(), RulesSettings()))
    assert decide(found, assemble(PolicySettings(), observing).default).action is Action.DELIVER


def test_a_wrong_name_in_the_configuration_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean gift-cards"):
        settle(
            {"hostname": "a.example", "checks": {"rules": {"disabled": ["gift-card"]}}},
            file="x",
            path=None,
            folder=Path(),
        )


def test_files_are_looked_into_only_when_a_rule_hangs_on_them(tmp_path: Path) -> None:
    (tmp_path / "program.toml").write_text(OWN)
    settings = RulesSettings(shipped=False, rules_folder=str(tmp_path))
    asked: list[str] = []

    class Child:
        async def inspect(self, message: Message) -> list[FileReport]:
            asked.append("inspect")
            return [FileReport(path=("a.zip", "b.exe"), part=0, kind="pe")]

    tools = SimpleNamespace(unpacker=Child())
    found = drive(matched(mail(ZIPPED), tools, settings))
    assert [one.source for one in found] == ["program"]
    assert asked == ["inspect"]
    assert drive(matched(mail(LURE), tools, settings)) == []
    assert asked == ["inspect"]


def test_no_child_leaves_the_other_rules_their_say(tmp_path: Path) -> None:
    (tmp_path / "program.toml").write_text(OWN)
    (tmp_path / "table.toml").write_text("finding = 'a table'\ncondition = \"subject.has('table')\"\n")

    class NoChild:
        async def inspect(self, message: Message) -> list[FileReport]:
            raise Unavailable("no child")

    settings = RulesSettings(shipped=False, rules_folder=str(tmp_path))
    found = drive(matched(mail(ZIPPED), SimpleNamespace(unpacker=NoChild()), settings))
    assert [one.source for one in found] == ["table"]


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(gatepost, ["rules", *arguments])
    return result.exit_code, result.output


def test_a_new_rule_passes_its_own_test_and_a_spoilt_one_fails(tmp_path: Path) -> None:
    assert run("new", "false-landlord", "--folder", str(tmp_path))[0] == 0
    status, shown = run("test", str(tmp_path))
    assert status == 0, shown
    (tmp_path / "own" / "false-landlord.match.eml").write_text("From: a@example.org\nSubject: x\n\nnothing\n")
    status, shown = run("test", str(tmp_path))
    assert status == 1
    assert "false-landlord.match.eml is not matched, and must be" in shown


def test_a_rule_over_its_budget_is_refused(tmp_path: Path) -> None:
    rules, ham = tmp_path / "rules", tmp_path / "ham"
    for folder in (rules, ham):
        folder.mkdir()
    (rules / "lunch.toml").write_text(
        "finding = 'lunch'\nbudget = 0.1\ncondition = \"subject.has('lunch')\"\n"
    )
    (rules / "lunch.match.eml").write_text("From: a@example.org\nSubject: lunch\n\nx\n")
    (rules / "lunch.pass.eml").write_text("From: a@example.org\nSubject: dinner\n\nx\n")
    for number in range(10):
        subject = "lunch" if number < 2 else "minutes"
        (ham / f"{number}.eml").write_text(f"From: a@example.org\nSubject: {subject}\n\nx\n")
    status, shown = run("test", str(rules), "--ham", str(ham), "--json")
    result = json.loads(shown.splitlines()[0])
    assert status == 1
    assert result["hits"]["ham"]["matched"]["lunch"] == 2
    assert any("over its budget of 10.00%" in line for line in result["failed"])


def test_list_and_show_tell_of_rules_and_name_the_nearest() -> None:
    status, shown = run("list", "--json")
    assert status == 0
    assert {"name", "attack", "weight", "mode", "finding"} <= set(json.loads(shown.splitlines()[0]))
    status, shown = run("show", "gift-cards")
    assert status == 0
    assert "wording.has(cards)" in shown
    status, shown = run("show", "gift-card")
    assert status == 2
    assert "did you mean gift-cards" in shown
    assert "author.domain" in run("show", "--facts")[1]

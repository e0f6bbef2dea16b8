"""`gatepost learn` and `gatepost evaluate`, as a postmaster types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gatepost.cli.root import gatepost
from gatepost.demo.mailbag import unwanted, wanted, write_mailbags
from gatepost.store.store import Store

NOW = 1_700_000_000.0
CONFIG = """
hostname = "mx.example.net"
[[listeners]]
address = "127.0.0.1:0"
role = "mx"
[[domains]]
name = "example.net"
deliver = "maildir:mail"
"""


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two mailboxes, and two folders with other mail."""
    folder = tmp_path_factory.mktemp("bags")
    write_mailbags(folder, now=NOW)
    for name, bag in (("good", wanted(105, now=NOW)), ("bad", unwanted(105, now=NOW))):
        (folder / name).mkdir()
        for number, octets in enumerate(bag):
            (folder / name / f"{number:03}.eml").write_bytes(octets)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An installation that has been started once."""
    import asyncio

    path = tmp_path / "gatepost.toml"
    path.write_text(CONFIG)

    async def begin() -> None:
        await Store.open(tmp_path / "var").close()

    asyncio.run(begin())
    return path


def run(*words: object, config: Path | None = None) -> Result:
    told = ("--config", str(config)) if config else ()
    return CliRunner().invoke(gatepost, [str(word) for word in (*words, *told)])


def test_it_says_how_much_is_missing_and_then_judges(config: Path, bags: Path) -> None:
    said = run("learn", "ham", bags / "good", config=config)
    assert said.exit_code == 0, said.output
    assert "105 messages read: 105 learnt." in said.output
    assert "until then only observes" in said.output
    status = json.loads(run("status", "--json", config=config).output)
    assert (status["classifier"]["wanted"], status["classifier"]["ready"]) == (105, False)
    message = bags / "bad" / "000.eml"
    looked = json.loads(run("scan", "--no-dns", "--json", message, config=config).output)
    assert looked["probability"] is None
    assert "spam.learning" in {one["name"] for one in looked["findings"]}
    said = run("learn", "spam", bags / "bad", bags / "bad", config=config)
    assert "210 messages read: 105 learnt, 105 known already." in said.output
    assert "judges by them" in said.output
    looked = json.loads(run("scan", "--no-dns", "--json", message, config=config).output)
    assert looked["probability"] > 0.9
    assert looked["action"] != "deliver"
    assert "by the words" in run("scan", "--no-dns", message, config=config).output
    known = json.loads(run("learn", "forget", message, "--json", config=config).output)
    assert (known["learnt"], known["unwanted"]) == (1, 104)
    told = run("journal", "list", config=config).output
    assert "learn forget" in told
    assert "learn ham (105 messages)" in told


def test_what_is_no_message_is_named_and_nothing_at_all_is_a_failure(config: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    said = run("learn", "spam", tmp_path / "empty", config=config)
    assert said.exit_code == 1
    assert "empty: is empty" in said.output
    assert "no message to learn from" in said.output
    assert run("learn", "spam", tmp_path / "empty", "--for", "nobody", config=config).exit_code == 2


def test_a_persons_lessons_are_counted_to_the_person(config: Path, bags: Path) -> None:
    said = run("learn", "spam", bags / "bad" / "001.eml", "--for", "Ana@example.net", config=config)
    assert "1 learnt" in said.output
    assert "for <ana@example.net>" in run("journal", "list", config=config).output


def test_evaluated_with_an_installation_what_was_taught_is_left_out(
    config: Path, bags: Path, tmp_path: Path
) -> None:
    run("learn", "ham", bags / "good", config=config)
    run("learn", "spam", bags / "bad", config=config)
    curve = tmp_path / "curve.svg"
    said = run(
        "evaluate", "--ham", bags / "ham.mbox", "--ham", bags / "good", "--spam", bags / "spam.mbox",
        "--curves", curve, "--json", config=config,
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    found = json.loads(said.output)
    assert found["left_out"] == 105
    assert (found["ham"], found["spam"]) == (100, 100)
    assert found["auc"] > 0.9
    assert found["own_thresholds"]["lost"] <= 0.05
    assert curve.read_text().startswith("<svg")


def test_evaluated_without_one_a_fresh_model_is_cross_validated_or_runs_online(
    bags: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    words = ("evaluate", "--ham", bags / "ham.mbox", "--spam", bags / "spam.mbox")
    crossed = run(*words)
    assert crossed.exit_code == 0, crossed.output
    assert "100 wanted and 100 unwanted messages" in crossed.output
    assert "1-ROCA" in crossed.output
    assert "too few wanted messages to tell" in crossed.output
    assert "online" in run(*words, "--online").output


def test_an_installation_that_learnt_nothing_says_so(config: Path, bags: Path) -> None:
    said = run("evaluate", "--ham", bags / "ham.mbox", "--spam", bags / "spam.mbox", config=config)
    assert said.exit_code == 1
    assert "--fresh" in said.output

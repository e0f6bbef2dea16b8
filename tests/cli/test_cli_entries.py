"""`gatepost lists allow` and `block`: made, listed and taken out, with what is said of mistakes."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gatepost.cli.root import gatepost
from gatepost.store.store import Store

sys.path.append(str(Path(__file__).resolve().parent.parent / "system"))
from whole import config


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration with its store."""
    file = tmp_path / "gatepost.toml"
    file.write_text(config(dns_port=9))
    asyncio.run(Store.open(tmp_path / "var").close())
    return file


def run(path: Path, *words: str) -> Result:
    return CliRunner().invoke(gatepost, ["lists", *words, "--config", str(path)])


def test_an_allowance_is_made_listed_and_taken_out(path: Path) -> None:
    done = run(
        path,
        "allow",
        "add",
        "Partner.Example",
        "--reason",
        "invoices",
        "--until",
        "2099-06-30",
        "--for",
        "ana@example.net",
    )
    assert (
        done.output == "partner.example is allowed for ana@example.net until 2099-06-30, within a second.\n"
    )
    told = run(path, "allow", "list").output
    assert told.startswith("partner.example for ana@example.net until 2099-06-30  by ")
    assert told.endswith(": invoices  0 hits\n")
    (row,) = [json.loads(line) for line in run(path, "allow", "list", "--json").output.splitlines()]
    assert (row["identity"], row["allow"], row["reason"], row["hits"]) == (
        "partner.example",
        True,
        "invoices",
        0,
    )
    assert run(path, "allow", "remove", "partner.example").exit_code == 1, "that one is for ana alone"
    done = run(path, "allow", "remove", "partner.example", "--for", "ana@example.net", "--reason", "no more")
    assert done.output == "partner.example is not allowed any more for ana@example.net.\n"
    assert "Nobody is allowed here" in run(path, "allow", "list").output


def test_a_block_need_not_end(path: Path) -> None:
    assert run(path, "block", "add", "pest@example.org", "--reason", "asked by ana").exit_code == 0
    assert "pest@example.org  by " in run(path, "block", "list").output
    assert run(path, "allow", "list", "--json").output == ""
    gone = run(path, "block", "remove", "other@example.org")
    assert (gone.exit_code, gone.output) == (
        1, "other@example.org is not blocked. What is: gatepost lists block list\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("allow", "add", "partner.example", "--reason", "x"), "--until"),
        (
            ("allow", "add", "partner.example", "--reason", "x", "--until", "soon"),
            "give a day such as 2027-01-31",
        ),
        (("allow", "add", "gmail.com", "--reason", "x", "--until", "2099-01-01"), "gmail.com"),
        (("block", "add", "not an address", "--reason", "x"), "SENDER"),
        (("block", "add", "a@b.example", "--reason", "x", "--for", "?"), "--for"),
    ],
)
def test_mistakes_are_told(path: Path, words: tuple[str, ...], said: str) -> None:
    done = run(path, *words)
    assert done.exit_code == 2
    assert said in done.output

"""`gatepost token`: API tokens from the machine, on a store without a running gate."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gatepost.cli.root import gatepost
from gatepost.store.store import Store

CONFIG = """
hostname = "mx.example.net"
[[listeners]]
address = "127.0.0.1:0"
[[domains]]
name = "example.net"
recipients = "*"
deliver = "maildir:mail"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gatepost.toml"
    path.write_text(CONFIG)
    asyncio.run(Store.open(tmp_path / "var").close())
    return path


def run(config: Path, *words: str) -> Result:
    done = CliRunner().invoke(gatepost, words, env={"GATEPOST_CONFIG": str(config)})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_a_token_is_shown_once_listed_and_revoked(config: Path) -> None:
    run(config, "user", "add", "ana@example.net", "--role", "postmaster", "--no-link")
    made = run(
        config, "token", "create", "ana@example.net", "--name", "watch", "--scope", "overview", "--json"
    )
    told = json.loads(made.stdout)
    assert told["token"].startswith("gatepost_")
    (row,) = [
        json.loads(line)
        for line in run(config, "token", "list", "ana@example.net", "--json").stdout.splitlines()
    ]
    assert (row["id"], row["name"], row["scopes"], row["good"]) == (told["id"], "watch", ["overview"], True)
    assert told["token"].split("_")[2] not in json.dumps(row)
    assert "never used" in run(config, "token", "list", "ana@example.net").stdout
    assert run(config, "token", "revoke", "ana@example.net", str(told["id"])).exit_code == 0
    assert "revoked" in run(config, "token", "list", "ana@example.net").stdout
    for words, said in (
        (("revoke", "ana@example.net", "1"), "has no good token 1"),
        (
            ("create", "ana@example.net", "--name", "x", "--scope", "content"),
            "does not have the right content",
        ),
        (("list", "anna@example.net"), "Did you mean ana@example.net?"),
    ):
        refused = run(config, "token", *words)
        assert refused.exit_code == 1
        assert said in refused.output


def test_that_there_is_no_token_is_said(config: Path) -> None:
    assert run(config, "user", "add", "ana@example.net").exit_code == 0
    assert run(config, "token", "list", "ana@example.net").stdout == "ana@example.net has no tokens.\n"
    assert run(config, "token", "list", "ana@example.net", "--json").stdout == ""

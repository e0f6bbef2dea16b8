"""`gatepost user`: people and app passwords from the machine, on a store without a running gate."""

from __future__ import annotations

import asyncio
import json
import re
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
    done = CliRunner().invoke(gatepost, ["user", *words], env={"GATEPOST_CONFIG": str(config)})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_the_first_owner_is_added_and_gets_a_link(config: Path) -> None:
    done = run(config, "add", "ana@example.net", "--role", "owner", "--url", "https://mail.example.net/")
    assert done.exit_code == 0
    assert re.fullmatch(r"https://mail\.example\.net/enrol/[A-Za-z0-9_-]{43}\n", done.stdout)
    assert "once, within 48 hours" in done.stderr
    listed = run(config, "list")
    assert re.search(r"ana@example\.net  owner  invited until 20\d\d-", listed.stdout)
    again = run(config, "add", "Ana@example.net")
    assert again.exit_code == 1
    assert "already" in again.stderr


def test_without_a_console_address_it_says_so(config: Path) -> None:
    done = run(config, "add", "ana@example.net")
    assert done.stdout.startswith("/enrol/")
    assert "--url" in done.stderr


@pytest.mark.parametrize(
    ("console", "origin"),
    [
        ('address = "127.0.0.1:8080"', "http://localhost:8080"),
        ('address = "127.0.0.1:8080"\nurl = "https://console.example.net"', "https://console.example.net"),
    ],
)
def test_with_a_console_the_link_leads_there(config: Path, console: str, origin: str) -> None:
    config.write_text(CONFIG + f"[console]\n{console}\n")
    done = run(config, "add", "ana@example.net")
    assert done.stdout.startswith(f"{origin}/enrol/")


def test_roles_links_and_the_last_owner(config: Path) -> None:
    run(config, "add", "ana@example.net", "--role", "owner", "--no-link")
    run(config, "add", "ben@example.net", "--name", "Ben\x1b[2J", "--no-link")
    refused = run(config, "roles", "ana@example.net", "--remove", "owner")
    assert refused.exit_code == 1
    assert "last owner" in refused.stderr
    done = run(config, "roles", "ben@example.net", "--add", "auditor", "--why", "asked by ana")
    assert done.stdout == "ben@example.net: auditor, person\n"
    done = run(config, "link", "ben@example.net", "sales@example.net", "--delegated")
    assert done.stdout == "ben@example.net: ben@example.net; may write as sales@example.net\n"
    shown = json.loads(run(config, "show", "ben@example.net", "--json").stdout)
    assert shown["roles"] == ["auditor", "person"]
    assert shown["delegated"] == ["sales@example.net"]
    for text in (run(config, "list").stdout, run(config, "show", "ben@example.net").stdout):
        assert "\x1b" not in text
    missing = run(config, "disable", "bem@example.net")
    assert missing.exit_code == 1
    assert "Did you mean ben@example.net" in missing.stderr
    journal = CliRunner().invoke(gatepost, ["journal", "list"], env={"GATEPOST_CONFIG": str(config)}).stdout
    assert "account roles ben@example.net" in journal
    assert "asked by ana" in journal


def test_disable_recover_sign_out_remove(config: Path) -> None:
    run(config, "add", "ana@example.net", "--no-link")
    assert "disabled" in run(config, "disable", "ana@example.net", "--why", "left").stdout
    assert "disabled: left" in run(config, "list").stdout
    assert "enable it first" in run(config, "invite", "ana@example.net").stderr
    assert run(config, "enable", "ana@example.net").exit_code == 0
    assert run(config, "recover", "ana@example.net", "--why", "lost").stdout.startswith("/enrol/")
    assert run(config, "sign-out", "ana@example.net").stdout == "ana@example.net: 0 sessions ended.\n"
    assert run(config, "remove", "ana@example.net").exit_code == 0
    assert "nobody yet" in run(config, "list").stderr


def test_app_passwords_are_shown_once(config: Path) -> None:
    run(config, "add", "scan@example.net", "--no-link")
    made = run(
        config, "app-password", "add", "scan@example.net", "--name", "scanner", "--from", "192.0.2.40", "--until",
        "2099-12-31",
    )  # fmt: skip
    assert re.fullmatch(r"[0-9a-f]{8}(-[a-z2-7]{4}){6}\n", made.stdout)
    listed = run(config, "app-password", "list", "scan@example.net").stdout
    assert listed == f"{made.stdout[:8]}  scanner  smtp  from 192.0.2.40/32  until 2099-12-31  never used\n"
    assert run(config, "app-password", "revoke", made.stdout[:8]).stdout == f"{made.stdout[:8]} is revoked.\n"
    rows = run(config, "app-password", "list", "scan@example.net", "--json").stdout
    assert "hash" not in rows
    assert json.loads(rows)["revoked_at"] is not None
    wrong = run(config, "app-password", "add", "scan@example.net", "--name", "x", "--as", "ceo@example.net")
    assert wrong.exit_code == 1
    assert "may not write as ceo@example.net" in wrong.stderr

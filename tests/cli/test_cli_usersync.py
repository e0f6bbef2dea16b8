"""`gatepost user sync` against a real OpenLDAP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gatepost.cli.root import gatepost
from gatepost.store.store import Store
from slapd import BASE, READER, group, person, slapd

CONFIG = """
hostname = "mx.example.net"
[[listeners]]
address = "127.0.0.1:0"
[[domains]]
name = "example.net"
recipients = "*"
deliver = "maildir:mail"
"""
SOURCE = """
[people_source]
servers = ["{url}"]
bind_dn = "{reader}"
password_file = "password"
base = "ou=people,{base}"
trust_anchors = "ca.pem"
[[people_source.groups]]
group = "cn=postmasters,ou=groups,{base}"
roles = ["postmaster"]
protected = true
"""


def run(config: Path, *words: str) -> Result:
    done = CliRunner().invoke(gatepost, ["user", *words], env={"GATEPOST_CONFIG": str(config)})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.mark.peers
def test_accounts_follow_the_directory(tmp_path: Path) -> None:
    config = tmp_path / "gatepost.toml"
    asyncio.run(Store.open(tmp_path / "var").close())
    with slapd(
        tmp_path, person("ana", name="Ana Kovac"), person("ben"), group("postmasters", "ana")
    ) as server:
        config.write_text(CONFIG + SOURCE.format(url=server.tls, reader=READER, base=BASE))
        told = run(config, "sync", "--dry-run").stdout
        assert "add     ana@example.net: person, postmaster" in told
        assert "2 changes would be made." in told
        assert run(config, "sync").exit_code == 0
        assert "ana@example.net (Ana Kovac)  person, postmaster" in run(config, "list").stdout
        assert (
            (tmp_path / "var" / "people-directory.csv").read_text().splitlines()[1].startswith("Ana Kovac,")
        )
        server.change(f"dn: uid=ben,ou=people,{BASE}\nchangetype: delete\n")
        server.change(
            f"dn: uid=ana,ou=people,{BASE}\nchangetype: modify\nreplace: mail\nmail: ana.kovac@example.net\n"
        )
        steps = [json.loads(line) for line in run(config, "sync", "--json").stdout.splitlines()]
        assert [(one["kind"], one["login"]) for one in steps] == [
            ("change", "ana@example.net"),
            ("change", "ana.kovac@example.net"),
            ("disable", "ben@example.net"),
        ]
        assert run(config, "sync").stdout == "0 changes were made.\n"
    stopped = run(config, "sync")
    assert stopped.exit_code == 1
    assert "no directory can be reached" in stopped.output


def test_without_a_directory_it_says_what_is_missing(tmp_path: Path) -> None:
    config = tmp_path / "gatepost.toml"
    config.write_text(CONFIG)
    asyncio.run(Store.open(tmp_path / "var").close())
    assert "name its servers under [people_source]" in run(config, "sync").output


def test_who_somebody_is_at_the_identity_provider(tmp_path: Path) -> None:
    config = tmp_path / "gatepost.toml"
    config.write_text(CONFIG)
    asyncio.run(Store.open(tmp_path / "var").close())
    run(config, "add", "ana@example.net", "--no-link")
    assert "name its issuer" in run(config, "identity", "ana@example.net").output
    config.write_text(CONFIG + '[identity_provider]\nissuer = "https://id.example.net"\nclient_id = "x"\n')
    assert "is nobody at https://id.example.net" in run(config, "identity", "ana@example.net").output
    assert "is u-17 at" in run(config, "identity", "ana@example.net", "--subject", "u-17").output
    assert "is nobody at" in run(config, "identity", "ana@example.net", "--forget").output
    assert "Did you mean ana@example.net?" in run(config, "identity", "anna@example.net").output

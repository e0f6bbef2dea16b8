"""`gatepost privacy`, as a data protection officer types it on the machine."""

from __future__ import annotations

import asyncio
import json
import time
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatepost.cli.root import gatepost
from gatepost.store.store import Store
from store_samples import acceptance

CONFIG = """
hostname = "mx.example.net"
state = "."
[[domains]]
name = "example.net"
deliver = "maildir:mail"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gatepost.toml"
    path.write_text(CONFIG)

    async def fill() -> None:
        store = Store.open(tmp_path)
        await store.carry_out(acceptance("TOANA", at=time.time(), held=True))
        await store.close()

    asyncio.run(fill())
    return path


def told(config: Path, *words: str, status: int = 0) -> str:
    done = CliRunner().invoke(gatepost, ["privacy", *words, "--config", str(config)])
    assert done.exit_code == status, done.output
    return done.output


def test_a_request_from_its_coming_to_its_end(config: Path, tmp_path: Path) -> None:
    said = told(
        config, "register", "erasure", "Ana@example.net", "--person", "Ana Gil", "--received", "2026-01-15"
    )
    assert "due 2026-02-15, overdue  Ana Gil <ana@example.net>" in said
    assert "due 2026-04-15, extended" in told(config, "extend", "1", "--why", "many systems")
    told(config, "hold", "add", "@example.net", "--why", "audit", "--case", "7")
    plan = told(config, "erase", "1")
    assert "1 stay: a legal hold is in force" in plan
    assert "Nothing was changed" in plan
    assert "@example.net  audit (7)" in told(config, "hold", "list")
    told(config, "hold", "release", "1", "--why", "over")
    assert "No legal hold is in force." in told(config, "hold", "list")
    file = tmp_path / "out.zip"
    told(config, "export", "1", str(file), "--language", "ja")
    with zipfile.ZipFile(file) as folder:
        assert "ana@example.net/held/TOANA.eml" in folder.namelist()
        assert "ana@example.net について保存されているデータ" in folder.read("index.md").decode()
    assert file.stat().st_mode & 0o777 == 0o600
    done = json.loads(told(config, "erase", "1", "--really", "--json"))
    assert (done["done"], done["counts"]["messages"], done["counts"]["held"]) == (True, 1, 1)
    assert "done" in told(config, "close", "1", "--outcome", "told them by letter")
    assert "closed" in told(config, "close", "1", "--outcome", "again", status=1)
    assert json.loads(told(config, "requests", "--json"))["outcome"] == "told them by letter"


def test_the_record_and_the_proofs(config: Path) -> None:
    assert "Facts about messages, refusals and deliveries: 90 days" in told(config, "record")
    assert (
        json.loads(told(config, "record", "--json", "--language", "ja"))["retention_seconds"]["held_s"]
        == 30 * 86_400
    )
    assert "has not run yet" in told(config, "retention")


def test_the_draft_of_a_breach_notice(config: Path) -> None:
    text = told(config, "breach", "--incident", "account", "--whose", "ana@example.net", "--since", "2d")
    assert text.startswith("# Draft of a notice of a personal data breach")
    assert "72" in text or "71" in text
    facts = json.loads(told(config, "breach", "--incident", "other", "--since", "2d", "--json"))
    assert facts["due_at"] == facts["asked"]["known_at"] + 72 * 3600
    assert "監督機関" in told(config, "breach", "--incident", "release", "--since", "2d", "--language", "ja")
    told(config, "breach", "--incident", "account", "--since", "2d", status=1)

"""A gate that cannot run says why in one sentence, and starts nothing."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from gatepost.store.migrations import APPLICATION_ID
from system.whole import PROGRAM


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        base.execute("PRAGMA user_version = 99")


def strange(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE theirs (a)")
        base.execute("PRAGMA application_id = 7")


def broken(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (newer, "written by a newer Gatepost; upgrade, or restore a backup made before"),
        (strange, "belongs to another program"),
        (broken, "file is not a database"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_in_a_sentence(
    tmp_path: Path, made: object, said: str
) -> None:
    (tmp_path / "var").mkdir(mode=0o700)
    assert callable(made)
    made(tmp_path / "var" / "gatepost.db")
    before = (tmp_path / "var" / "gatepost.db").read_bytes()
    (tmp_path / "gatepost.toml").write_text(
        'hostname = "mx.example.net"\n[[listeners]]\naddress = "127.0.0.1:0"\nrole = "mx"\n'
        '[[domains]]\nname = "example.net"\ndeliver = "maildir:mail"\n'
    )
    done = subprocess.run(
        [*PROGRAM, "serve", "--config", str(tmp_path / "gatepost.toml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("gatepost: ")
    assert said in line
    assert (tmp_path / "var" / "gatepost.db").read_bytes() == before

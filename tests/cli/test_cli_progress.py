"""How far long work has come: told on a terminal, and nowhere else."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost.cli import progress
from gatepost.cli.progress import CLEAR, Progress
from gatepost.config.schema import Loaded, load
from gatepost.store.store import Store


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def screened(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Standard error is a terminal, and nothing is held back."""
    found = Screen()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setattr(progress, "SOON_S", 0.0)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    return found


def test_on_a_terminal_it_is_one_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screened(monkeypatch)
    with Progress() as tell:
        assert list(tell.through("Files", iter("abc"), 3)) == ["a", "b", "c"]
        tell("Octets", 1_234_567)
    assert screen.getvalue() == (
        f"{CLEAR}Files: 1 of 3 (33 %) …{CLEAR}Files: 2 of 3 (66 %) …{CLEAR}Files: 3 of 3 (100 %) …{CLEAR}Octets: 1,234,567 …{CLEAR}"
    )


def test_what_is_done_at_once_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screened(monkeypatch)
    monkeypatch.setattr(progress, "SOON_S", 60.0)
    with Progress() as tell:
        tell("Files", 1, 2)
    assert screen.getvalue() == ""


def test_lines_of_the_result_on_the_same_terminal_are_progress_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = screened(monkeypatch)
    monkeypatch.setattr(sys, "stdout", Screen())
    with Progress(alone=True) as tell:
        tell("Files", 1, 2)
    assert screen.getvalue() == ""


def test_nothing_of_it_goes_into_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SOON_S", 0.0)
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with Progress() as tell:
        tell("Files", 1, 2)
    assert pipe.getvalue() == ""


async def make_store(loaded: Loaded) -> None:
    loaded.state.mkdir(mode=0o700)
    await Store.open(loaded.state, loaded.config.store, key_file=loaded.key_file).close()


def test_a_backup_and_the_journal_tell_it_on_a_real_terminal(tmp_path: Path) -> None:
    """The commands themselves, with a terminal for standard error and a pipe for standard output."""
    config = tmp_path / "gatepost.toml"
    config.write_text(
        'hostname = "mx.example.net"\n[[listeners]]\naddress = "127.0.0.1:0"\n[[domains]]\nname = "example.net"\n'
        'recipients = "*"\ndeliver = "maildir:mail"\n'
    )
    code = (
        "import sys; from gatepost.cli import progress; progress.SOON_S = progress.EVERY_S = 0.0; "
        "from gatepost.__main__ import main; sys.argv[0] = 'gatepost'; main()"
    )

    def run(*words: str) -> tuple[str, str]:
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=theirs, text=True,
            env={**os.environ, "GATEPOST_CONFIG": str(config)},
        ) as process:  # fmt: skip
            os.close(theirs)
            said, _ = process.communicate(timeout=60)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        os.close(ours)
        return said, shown.decode()

    asyncio.run(make_store(load(config)))
    run("user", "add", "ana@example.net", "--role", "owner", "--no-link")
    said, shown = run("backup", "create", str(tmp_path / "copy"), "--json")
    assert said.startswith("{")
    assert "Digests of files: " in shown
    assert shown.rstrip().endswith("\x1b[K") or "master key" in shown
    _, shown = run("backup", "verify", str(tmp_path / "copy"))
    assert "Files: " in shown
    said, shown = run("journal", "verify", "--json")
    assert '"sound": true' in said
    assert "Entries of the journal: 1 …" in shown

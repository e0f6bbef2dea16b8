"""What every process of a gate has in memory: not what one of them alone needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gatepost.app.fileschanged import settings_log
from gatepost.app.parts import Parts
from gatepost.config.schema import load

CONSOLE_ONLY = ("gatepost.web.pages", "jinja2", "starlette", "uvicorn", "webauthn", "nh3", "segno", "babel")
ASKED_FOR_ONLY = ("prometheus_client",)
MAIN = """
hostname = "mx.example.net"
state = "."
[[listeners]]
address = "127.0.0.1:25"
[[domains]]
name = "example.net"
deliver = "maildir:m"
"""


def test_processes_are_forked_without_what_the_console_alone_needs() -> None:
    program = "import sys, gatepost.app.serve; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    loaded = set(told.stdout.split())
    assert "gatepost.app.serve" in loaded
    assert not loaded & {*CONSOLE_ONLY, *ASKED_FOR_ONLY}


def test_what_was_read_before_the_fork_is_told_until_the_configuration_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "gatepost.toml"
    file.write_text(MAIN, encoding="utf-8")
    parts = Parts(load(file))
    parts.read_files()
    file.write_text(MAIN + '[limits.smtp]\nmessage = "1MiB"\n', encoding="utf-8")
    log = settings_log(lambda: parts.loaded, None, None, parts.written)  # type: ignore[arg-type]  # neither is asked
    assert "limits.smtp.message" not in log.read()["settings"]
    parts.loaded = load(file)
    assert log.read()["settings"]["limits.smtp.message"] == '"1MiB"'

"""The house itself: the command answers."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatepost.cli.root import gatepost

ROOT = Path(__file__).resolve().parent.parent
BOUNDS = re.compile(r'requires-python = ">=3\.(\d+),<3\.(\d+)"')


def supported() -> list[str]:
    """What pyproject.toml says, such as ["3.11", "3.12"]."""
    found = BOUNDS.search((ROOT / "pyproject.toml").read_text())
    assert found is not None
    return [f"3.{minor}" for minor in range(int(found[1]), int(found[2]))]


def chosen(python: Path) -> subprocess.CompletedProcess[str]:
    """What ./check, ./demo and ./bench make of GATEPOST_PYTHON."""
    return subprocess.run(
        ["bash", "-c", "set -euo pipefail; . tools/setup.sh; find_python"], cwd=ROOT, capture_output=True, text=True,
        check=False, env={**os.environ, "GATEPOST_PYTHON": str(python)},
    )  # fmt: skip


def test_the_readme_names_the_versions_of_python_that_are_supported() -> None:
    assert f"Python {supported()[0]} to {supported()[-1]}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("version", ["3 10", "3 99", "2 7"])
def test_a_python_that_was_asked_for_and_is_not_supported_is_refused_in_a_sentence(
    tmp_path: Path, version: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {version}\n")
    python.chmod(0o755)
    refused = chosen(python)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"GATEPOST_PYTHON is {python}, Python {version.replace(' ', '.')}" in refused.stderr
    assert all(one in refused.stderr for one in supported())
    absent = chosen(tmp_path / "nothing")
    assert absent.returncode == 1
    assert "which is no Python" in absent.stderr


def test_a_supported_python_that_was_asked_for_is_taken(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {supported()[0].replace('.', ' ')}\n")
    python.chmod(0o755)
    assert chosen(python).stdout == f"{python}\n"


def test_help_has_an_example() -> None:
    shown = CliRunner().invoke(gatepost, ["--help"])
    assert shown.exit_code == 0
    assert "Example:" in shown.output

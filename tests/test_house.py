"""The house itself: the command answers."""

from __future__ import annotations

from click.testing import CliRunner

from gatepost.cli.root import gatepost


def test_help_has_an_example() -> None:
    shown = CliRunner().invoke(gatepost, ["--help"])
    assert shown.exit_code == 0
    assert "Example:" in shown.output

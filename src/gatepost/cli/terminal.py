"""What every command shares: finding the installation, and failing in plain sentences."""

from __future__ import annotations

import functools
import json
import os
import pwd
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from gatepost.mail.address import printable

P = ParamSpec("P")
R = TypeVar("R")

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
config_option = click.option(
    "--config",
    envvar="GATEPOST_CONFIG",
    help="The installation's configuration file; without one a running demo is looked for.",
)


def failing_clearly(command: Callable[P, R]) -> Callable[P, R]:
    """An operator's mistake or a broken store ends in one sentence and status 1, not in a traceback."""

    @functools.wraps(command)
    def careful(*args: P.args, **kwargs: P.kwargs) -> R:
        from gatepost.config.load import ConfigError
        from gatepost.dns.zone import ZoneError
        from gatepost.tools import Unavailable

        try:
            return command(*args, **kwargs)
        except (ConfigError, ZoneError, Unavailable) as fault:
            click.echo(harmless(f"gatepost: {fault}"), err=True)
            sys.exit(1)

    return careful


LONGEST_LINE = 10_000
CITED = re.compile(r"RFC (\d+) §")
NARROWEST = 50
"""Columns below which folding would only make columns of words."""
# Escape, CSI in one octet, delete, marks that turn text round: a terminal acts on them, and JSON lets them through.
ACTS = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """Lines in which other people's words may stand, so that none of them can move the cursor or hide a line."""
    return "\n".join(printable(line, LONGEST_LINE) for line in text.split("\n"))


def say(text: str, *, bold: bool = False, hang: int | None = None) -> None:
    """Print lines of the story of somebody's mail; with `hang` folded to the terminal, continued that far in."""
    shown = harmless(text)
    if hang is not None:
        shown = folded(shown, hang=hang, width=terminal_width())
    click.echo(click.style(shown, bold=True) if bold else shown)


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None where a program or a file reads it."""
    if not sys.stdout.isatty():
        return None
    return max(shutil.get_terminal_size().columns, NARROWEST)


def folded(text: str, *, hang: int, width: int | None) -> str:
    """One line, broken between words where it is wider than `width`, and continued `hang` columns in."""
    if width is None or len(text) <= width:
        return text
    whole = CITED.sub("RFC\u00a0\\1\u00a0§", text)
    lines = textwrap.wrap(
        whole[hang:], width, initial_indent=whole[:hang], subsequent_indent=" " * hang,
        break_on_hyphens=False, replace_whitespace=False,
    )  # fmt: skip
    return "\n".join(lines).replace("\u00a0", " ")


def json_line(value: Any) -> str:
    """One line of JSON that is as harmless on a terminal."""
    return ACTS.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def whoami() -> str:
    """Who acts, for the journal: the account by its number, not by what the environment says of it."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = f"uid {number}"
    by = os.environ.get("SUDO_USER", "") if number == 0 else ""
    return f"{name} ({printable(by, 40)})" if by else name


def find_config(given: str | None) -> Path:
    """The configuration file: the one given, else a running demo's; ends the command without either."""
    if given:
        return Path(given)
    from gatepost.demo.setting import running_demo

    demo = running_demo()
    if demo is None:
        raise click.UsageError(
            "Which installation? Give --config FILE or set GATEPOST_CONFIG; no demo is running (start one with ./demo)."
        )
    return demo / "gatepost.toml"

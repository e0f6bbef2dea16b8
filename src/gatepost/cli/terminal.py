"""What every command shares: finding the installation, and failing in plain sentences."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")

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
            click.echo(f"gatepost: {fault}", err=True)
            sys.exit(1)

    return careful


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

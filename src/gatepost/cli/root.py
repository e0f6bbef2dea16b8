"""The `gatepost` command and its groups."""

from __future__ import annotations

import click

from gatepost import __version__
from gatepost.cli.demo import demo, send
from gatepost.cli.looking import explain, history
from gatepost.cli.planning import plan
from gatepost.cli.scan import scan
from gatepost.cli.serve import check_config, serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gatepost")
def gatepost() -> None:
    """A secure mail gateway whose every verdict explains itself.

    Example: gatepost scan message.eml
    """


for command in (serve, check_config, scan, explain, history, plan, demo, send):
    gatepost.add_command(command)

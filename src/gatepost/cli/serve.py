"""`gatepost serve` and `gatepost check-config`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from gatepost.cli.terminal import failing_clearly


@click.command()
@click.option("--config", required=True, envvar="GATEPOST_CONFIG", help="The configuration file.")
@failing_clearly
def serve(config: str) -> None:
    """Run the gate in the foreground until SIGTERM; SIGHUP reloads configuration and certificates.

    Prints one line, "ready" with its listeners, when it is.

    Example: gatepost serve --config gatepost.toml
    """
    from gatepost.app.serve import serve as run

    sys.exit(run(Path(config)))


@click.command("check-config")
@click.argument("file")
@click.option(
    "--explain", is_flag=True, help="Print every effective value, what it means and where it came from."
)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@failing_clearly
def check_config(file: str, explain: bool, as_json: bool) -> None:
    """Is a configuration sound? Nothing is started and nothing is asked of the network.

    Example: gatepost check-config --explain gatepost.toml
    """
    from gatepost.app.checkup import examine
    from gatepost.config.explain import describe
    from gatepost.config.overlay import NAME as OVERLAY
    from gatepost.config.schema import load

    loaded = load(Path(file))
    problems = examine(loaded)
    settings = list(
        describe(type(loaded.config), instance=loaded.config, given=loaded.table, overlay=loaded.overlay)
    )
    if as_json:
        rows = [
            {
                "key": one.key,
                "value": one.value,
                "default": one.default,
                "given": one.given,
                "source": "console" if one.console else "file" if one.given else "default",
                "about": one.about,
            }
            for one in settings
        ]
        click.echo(
            json.dumps({"sound": not problems, "problems": problems, "settings": rows if explain else []})
        )
    elif explain:
        for one in settings:
            origin = f"from {OVERLAY}" if one.console else "from the file" if one.given else "default"
            click.echo(f"{one.key} = {one.value}   # {origin}. {one.about}")
    for problem in problems:
        click.echo(f"{file}: {problem}", err=True)
    if problems:
        sys.exit(1)
    if not as_json and not explain:
        domains = ", ".join(one.name for one in loaded.config.domains) or "no domain"
        click.echo(
            f"{file} is sound: {loaded.config.hostname}, mode {loaded.config.mode.value}, for {domains}."
        )

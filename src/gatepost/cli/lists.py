"""`gatepost lists`: what each block list is worth here, before it is let decide and after."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import click

from gatepost.cli.entries import allow, block
from gatepost.cli.looking import read_time
from gatepost.cli.terminal import config_option, failing_clearly, find_config


@click.group(invoke_without_command=True)
@click.pass_context
@config_option
@click.option("--since", default="30d", show_default=True, help="From when on: a date or how long ago.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a list.")
@failing_clearly
def lists(context: click.Context, config: str | None, since: str, as_json: bool) -> None:
    """Tell of every block list and welcome list: its mode and health, how often it was asked and hit, how often it
    decided (or would have), and how often it was contradicted.

    "decided": the action is another with the list in enforce than with it off. "contradicted": a person released
    what it hit, or it hit proved mail of somebody we correspond with.

    Senders that people allow or block are in gatepost lists allow and gatepost lists block.

    Example: gatepost lists --since 7d
    """
    if context.invoked_subcommand is not None:
        return
    from gatepost.app.installation import opened
    from gatepost.app.orders import lists_of
    from gatepost.app.told import told_by_people
    from gatepost.checks.dnslists.health import HEALTH_KEY, ListState, read_states
    from gatepost.plan import ListFigures, list_figures
    from gatepost.store import history, memory

    start = read_time(since, "--since") or 0.0
    with opened(find_config(config)) as installation:
        asked = lists_of(installation.loaded)
        figures, states = installation.store.database.read(
            lambda connection: (
                list_figures(
                    watched(history.since(connection, start), loud=not as_json),
                    installation.loaded.policies,
                    told_by_people(connection),
                ),
                read_states(memory.stored(connection, HEALTH_KEY, now=time.time()).get(HEALTH_KEY)),
            )
        )
    rows: list[dict[str, Any]] = []
    for one in asked:
        state = states.get(one.source, ListState())
        six = states.get(f"{one.source} (IPv6)", ListState())
        rows.append(
            {
                "list": one.source,
                "zone": one.zone,
                "kind": "welcome" if one.welcomes else "block",
                "identity": one.about,
                "mode": one.mode.value,
                "weight": one.weight,
                "in_service": state.in_service,
                "why_out": state.reason,
                "since": state.since or None,
                "why_out_ipv6": six.reason,
                **asdict(figures.pop(one.source, ListFigures())),
            }
        )
    rows += [
        {"list": source, "mode": "not set up", "in_service": None, "why_out": "", **asdict(one)}
        for source, one in sorted(figures.items())
    ]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
        return
    if not rows:
        click.echo(
            "No list is set up ([[checks.dnsbl.lists]], [[checks.surbl.lists]]), and none was asked.",
            err=True,
        )
        return
    table(rows)


lists.add_command(allow)
lists.add_command(block)


def table(rows: list[dict[str, Any]]) -> None:
    """Aligned columns, then what is out of service and why."""
    width = max(4, *(len(row["list"]) for row in rows))
    click.echo(
        f"{'list':<{width}}  {'mode':<10} {'asked':>9} {'hit':>9} {'decided':>9} {'contradicted':>13} {'silent':>8} {'errors':>8}"
    )
    for row in rows:
        click.echo(
            f"{row['list']:<{width}}  {row['mode']:<10} {row['asked']:>9,} {row['hit']:>9,} {row['decided']:>9,}"
            f" {row['contradicted']:>13,} {row['silent']:>8,} {row['errors']:>8,}"
        )
    for row in rows:
        if row["why_out"]:
            click.echo(f"{row['list']} is out of service: {row['why_out']}")
        elif row.get("why_out_ipv6"):
            click.echo(f"{row['list']} is not asked about IPv6 addresses: {row['why_out_ipv6']}")


def watched(entries: Iterable[Any], *, loud: bool) -> Iterator[Any]:
    """The same entries; a count on the terminal when it takes long."""
    loud = loud and sys.stderr.isatty()
    started, told = time.monotonic(), False
    for number, entry in enumerate(entries):
        if loud and number % 1000 == 0 and time.monotonic() - started > 2:
            click.echo(f"\r{number:,} messages read …", nl=False, err=True)
            told = True
        yield entry
    if told:
        click.echo("\r" + " " * 40 + "\r", nl=False, err=True)

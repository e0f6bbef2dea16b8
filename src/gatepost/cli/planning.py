"""`gatepost plan`: recorded mail re-decided under another configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from gatepost.cli.looking import read_time
from gatepost.cli.progress import Progress
from gatepost.cli.terminal import config_option, failing_clearly, find_config, json_line, say
from gatepost.plan.compare import Plan


@click.command()
@click.argument("file")
@config_option
@click.option("--since", default="30d", show_default=True, help="From when on: a date or how long ago.")
@click.option("--json", "as_json", is_flag=True, help="The whole comparison as JSON.")
@failing_clearly
def plan(file: str, config: str | None, since: str, as_json: bool) -> None:
    """Show what another policy would have done to recorded mail: what changes, for whom, and how often.

    FILE is a whole configuration; only its policy, checks and mode count. Nothing is changed. What was never asked
    (a mail refused at the door has no content facts) is counted as unknown.

    Example: gatepost plan stricter.toml --since 7d
    """
    from gatepost.app.installation import opened
    from gatepost.app.told import told_by_people
    from gatepost.config.schema import load
    from gatepost.plan.compare import compare
    from gatepost.store import history

    loaded = load(Path(file))
    start = read_time(since, "--since") or 0.0
    with opened(find_config(config)) as installation, Progress() as tell:
        result = installation.store.database.read(
            lambda connection: compare(
                tell.through("Messages read", history.since(connection, start)),
                installation.loaded.policies,
                loaded.policies,
                told_by_people(connection),
                outgoing=(installation.loaded.outgoing, loaded.outgoing),
            )
        )
    if as_json:
        click.echo(json_line(asdict(result) | {"changed": result.changed}))
        return
    for hang, text in told(result):
        say(" " * hang + text, hang=hang)


def told(result: Plan) -> Iterator[tuple[int, str]]:
    """The comparison in words, each line with its indent."""
    figures = (
        f"{result.looked_at:,} verdicts looked at, one for each recipient: {result.same:,} stay as they are, "
        f"{result.changed:,} would change, {result.unknown:,} cannot be known."
    )
    yield 0, figures
    for why, count in sorted(result.unknown_because.items(), key=lambda one: -one[1]):
        yield 2, f"unknown, {count:,}: {why}"
    for change in result.changes:
        yield 0, ""
        yield 0, f"{change.count:,} at {change.domain}: {change.before.value} -> {change.after.value}"
        for rule, count in sorted(change.rules.items(), key=lambda one: -one[1]):
            yield 2, f"by {rule}: {count:,}"
        for word, count in change.told.items():
            yield 2, f"of these, {count:,} a person had {word}"
        shown = ""
        for sample in change.samples:
            yield 4, f"{sample.ref}  to {sample.recipient}  {sample.author[:40]}  {sample.subject[:40]}"
            if sample.reason != shown:
                yield 8, f"because {sample.reason}"
            shown = sample.reason

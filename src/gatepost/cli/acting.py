"""`gatepost queue`: a person's hands on what waits; and how a command acts on the copies of one message."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import click

from gatepost.cli.story import moment
from gatepost.cli.terminal import (
    config_option,
    failing_clearly,
    find_config,
    harmless,
    json_line,
    json_option,
    say,
    whoami,
)

why_option = click.option("--why", default="", help="The reason, for the journal.")
to_option = click.option("--to", help="Only the copy for this final address.")


@click.group()
def queue() -> None:
    """What waits for delivery.

    Example: gatepost queue list
    """


@queue.command("list")
@config_option
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="How many at most.")
@json_option
@failing_clearly
def queue_list(config: str | None, limit: int, as_json: bool) -> None:
    """List what waits, the oldest first.

    Example: gatepost queue list --json
    """
    from gatepost.app.installation import opened
    from gatepost.store import queue as rows

    with opened(find_config(config)) as installation:
        found = installation.store.database.read(lambda connection: rows.listed(connection, limit=limit))
    show(found, as_json, waiting_line, "The queue is empty.")


@queue.command("show")
@click.argument("ref")
@config_option
@json_option
@failing_clearly
def queue_show(ref: str, config: str | None, as_json: bool) -> None:
    """Show every copy of one message in the queue, with each try.

    Example: gatepost queue show 2N515RPF08P1Z
    """
    from gatepost.app.installation import opened
    from gatepost.store import queue as rows
    from gatepost.store.ref import as_typed

    with opened(find_config(config)) as installation:
        found = installation.store.database.read(
            lambda connection: rows.listed(connection, ref=as_typed(ref), limit=1000)
        )
        attempts = installation.store.attempts_of(as_typed(ref))
    show(found, as_json, waiting_line, f"Nothing of {ref} is in the queue.", missing_is_failure=True)
    for one in attempts:
        if not as_json:
            say(f"  {moment(one.at)}  {one.status} to {one.to} at {one.host}: {one.reply or one.reason}")


def acting(group: click.Group, name: str, method: str, done: str, help_text: str) -> None:
    """Add a command that acts on the copies of one message, and writes it into the journal."""

    @group.command(name, help=help_text)
    @click.argument("ref")
    @config_option
    @to_option
    @why_option
    @json_option
    @failing_clearly
    def act(ref: str, config: str | None, to: str | None, why: str, as_json: bool) -> None:
        from gatepost.app.installation import opened
        from gatepost.store.postmaster import Postmaster, Why
        from gatepost.store.ref import as_typed

        with opened(find_config(config)) as installation:
            hands = Postmaster(installation.store)
            reason = Why(who=whoami(), why=why, at=time.time())
            copies = installation.run(getattr(hands, method)(as_typed(ref), reason, to=to))
        if not copies:
            click.echo(
                f"{ref} has no such copy in the {group.name}, or it is being delivered just now. "
                f"What became of it: gatepost explain {ref}",
                err=True,
            )
            sys.exit(1)
        for copy in copies:
            told = {"ref": copy.ref, "to": copy.to, "done": done}
            click.echo(json_line(told) if as_json else harmless(f"{copy.ref} for {copy.to}: {done}"))


acting(
    queue,
    "retry",
    "retry_now",
    "is tried now",
    "Try a message again now, held ones too.\n\nExample: gatepost queue retry 2N515RPF08P1Z",
)
acting(
    queue,
    "hold",
    "hold",
    "is held",
    "Stop a message in the queue until it is retried.\n\nExample: gatepost queue hold 2N515RPF08P1Z --why 'asked by ana'",
)
acting(
    queue,
    "drop",
    "drop",
    "is dropped",
    "Take a message out of the queue, undelivered; nobody is told.\n\nExample: gatepost queue drop 2N515RPF08P1Z --why duplicate",
)
HANG = 15
"""Where a folded line goes on: behind the reference."""


def show(
    rows: Sequence[Any],
    as_json: bool,
    line: Callable[[Any], str],
    nothing: str,
    *,
    missing_is_failure: bool = False,
) -> None:
    """Rows as lines or JSON."""
    for row in rows:
        if as_json:
            click.echo(json_line(asdict(row)))
        else:
            say(line(row), hang=HANG)
    if not rows:
        if not as_json or missing_is_failure:
            click.echo(nothing, err=True)
        if missing_is_failure:
            sys.exit(1)


def waiting_line(row: Any) -> str:
    """One copy in the queue."""
    state = (
        f"held: {row.held_because}"
        if row.held_because is not None
        else "being tried"
        if row.worker
        else f"next {moment(row.due_at)}"
    )
    return f"{row.ref}  since {moment(row.created_at)}  {row.sender or '<>'} -> {row.to}  tries {row.attempts}  {state}  {row.last_reply}"

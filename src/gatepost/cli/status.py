"""`gatepost status` and `gatepost doctor`: is it well, and if not, what to do."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from gatepost.cli.story import moment
from gatepost.cli.terminal import config_option, find_config, harmless, json_line

if TYPE_CHECKING:
    from gatepost.app.health import Health
    from gatepost.jobs.concerns import Concern
    from gatepost.store.snapshotfile import Label

COLOURS = {"well": "green", "warning": "yellow", "critical": "red"}
CRITICAL = 2


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
def status(config: str | None, as_json: bool) -> None:
    """Is it well? For people and for monitoring.

    Exit status: 0 it is well, 1 a warning, 2 critical, also when the installation cannot be read at all. What
    would be told by mail ([alerts]) is told here.

    Example: gatepost status || gatepost doctor
    """
    from gatepost.app.health import health
    from gatepost.app.installation import opened
    from gatepost.jobs.concerns import SEVERITY, worst

    path = find_config(config)
    try:
        with opened(path) as installation:
            seen = health(installation)
            mode = installation.loaded.config.mode.value
            name = installation.loaded.config.hostname
    except unreadable() as fault:
        if as_json:
            click.echo(json.dumps({"state": "critical", "running": False, "problem": str(fault)}))
        else:
            click.echo(f"gatepost: {fault}", err=True)
        sys.exit(CRITICAL)
    if as_json:
        click.echo(json_line(status_json(seen, name, mode)))
    else:
        tell(seen, name, mode)
    sys.exit(SEVERITY[worst(seen.concerns)])


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding.")
def doctor(config: str | None, as_json: bool) -> None:
    """Say what is wrong and what to do: everything of status, our name in the DNS, the certificate, the settings.

    Exit status as that of status; a remark that is no trouble ("-") leaves it at 0.

    Example: gatepost doctor --config /etc/gatepost/gatepost.toml
    """
    from gatepost.app.doctor import surroundings
    from gatepost.app.health import health
    from gatepost.app.installation import opened
    from gatepost.config.load import ConfigError
    from gatepost.config.schema import load
    from gatepost.jobs.concerns import SEVERITY, Concern, Level, worst

    path = find_config(config)
    found: list[Concern] = []
    try:
        loaded = load(path)
    except ConfigError as fault:
        found = [Concern("configuration", Level.CRITICAL, str(fault), f"gatepost check-config {path}")]
    else:
        try:
            with opened(path) as installation:
                found += health(installation).concerns
        except unreadable() as fault:
            remedy = "Start the gate, or run this as its user."
            found.append(Concern("state", Level.CRITICAL, str(fault), remedy))
        found += ask_around(surroundings, loaded)
    found.sort(key=lambda one: -SEVERITY[one.level])
    for one in found:
        if as_json:
            click.echo(json_line(concern_json(one)))
        else:
            mark = "-" if one.level is Level.WELL else f"{one.level.value.upper()}:"
            click.echo(f"{click.style(mark, fg=COLOURS[one.level.value])} {in_words(one)}")
    if not as_json and worst(found) is Level.WELL:
        click.echo(click.style("Nothing is wrong.", fg="green"))
    sys.exit(SEVERITY[worst(found)])


def ask_around(surroundings: Any, loaded: Any) -> list[Concern]:
    """The same with a resolver of its own."""
    import asyncio

    from gatepost.net.resolver import CachingResolver

    async def ask() -> list[Concern]:
        resolver = CachingResolver(loaded.config.dns)
        try:
            found: list[Concern] = await surroundings(loaded, resolver)
            return found
        finally:
            await resolver.close()

    return asyncio.run(ask())


def unreadable() -> tuple[type[Exception], ...]:
    """What is raised when an installation cannot be looked at."""
    from gatepost.config.load import ConfigError
    from gatepost.tools import Unavailable

    return ConfigError, Unavailable


def tell(seen: Health, name: str, mode: str) -> None:
    """A screenful."""
    from gatepost.jobs.concerns import age, day, worst

    facts, figures, disk = seen.facts, seen.facts.figures, seen.facts.disk
    level = worst(seen.concerns).value
    heading = {"well": "It is well", "warning": "Something wants a look", "critical": "It is not well"}[level]
    click.echo(click.style(f"{name}: {heading.lower()}", fg=COLOURS[level], bold=True))
    running = "not running" if seen.since is None else f"running since {moment(seen.since)}"
    click.echo(f"  gate         {running}, mode {mode}; processes that deliver: {seen.delivering}")
    oldest = f", the oldest for {age(figures.oldest_queued_s)}" if figures.oldest_queued_s is not None else ""
    click.echo(f"  queue        {figures.queued} copies{oldest}; {figures.stopped} stopped")
    click.echo(
        f"  quarantine   {figures.held} copies held"
        + (f", {figures.requested} of them asked for" if figures.requested else "")
    )
    free = disk.free_octets / 1024**3
    click.echo(
        f"  disk         {disk.room.value}, {free:,.1f} GiB of {disk.total_octets / 1024**3:,.1f} GiB free"
    )
    for server in facts.validations:
        click.echo(f"  resolver     {harmless(server.text)}")
    for one in facts.certificates:
        end = f"ends on {day(one.ends_at)}" if one.ends_at is not None else one.problem
        click.echo(f"  certificate  {one.file} {end}")
    out = facts.lists_out or {}
    for key in seen.lists:
        if not key.endswith(" (IPv6)"):
            click.echo(
                f"  list         {key} {'out of service: ' + out[key] if key in out else 'in service'}"
            )
    click.echo(f"  classifier   {classifier_words(facts.learnt)}")
    told = ", ".join(f"{number:,} {action.replace('_', ' ')}" for action, number in seen.last_day.items())
    click.echo(f"  last 24 h    {told}")
    if seen.digest_sent is not None:
        click.echo(f"  letters      about held mail, last sent {moment(seen.digest_sent)}")
    for concern in seen.concerns:
        mark = click.style(f"{concern.level.value.upper()}:", fg=COLOURS[concern.level.value])
        click.echo(f"{mark} {in_words(concern)}")


def classifier_words(learnt: Label | None) -> str:
    """What it has learnt, and whether that is enough."""
    if learnt is None:
        return "has learnt nothing yet (gatepost learn)"
    words = f"{learnt.wanted:,} wanted and {learnt.unwanted:,} unwanted messages learnt"
    return words if learnt.ready else f"{words}, too few: it only observes"


def status_json(seen: Health, name: str, mode: str) -> dict[str, Any]:
    """For machines; the words are those of the text."""
    from dataclasses import asdict

    from gatepost.jobs.concerns import worst

    facts = seen.facts
    return {
        "state": worst(seen.concerns).value,
        "hostname": name,
        "running": seen.since is not None,
        "since": seen.since,
        "delivering": seen.delivering,
        "version": seen.beat.version if seen.since is not None and seen.beat else None,
        "mode": mode,
        "queue": asdict(facts.figures),
        "held": facts.figures.held,
        "disk": asdict(facts.disk),
        "resolvers": [
            asdict(one) | {"validates": one.validates, "text": one.text} for one in facts.validations
        ],
        "certificates": [asdict(one) for one in facts.certificates],
        "lists": [
            {"list": key, "in_service": state.in_service, "reason": state.reason, "since": state.since}
            for key, state in seen.lists.items()
        ],
        "classifier": asdict(facts.learnt) if facts.learnt else None,
        "last_24_h": seen.last_day,
        "digest_last_sent": seen.digest_sent,
        "concerns": [concern_json(one) for one in seen.concerns],
    }


def concern_json(one: Concern) -> dict[str, str]:
    """One finding."""
    return {"key": one.key, "level": one.level.value, "text": one.text, "remedy": one.remedy}


def in_words(concern: Concern) -> str:
    """What it is and what to do; it may quote what a name server or another server said."""
    return harmless(f"{concern.text}\n    {concern.remedy}")

"""`gatepost privacy`: requests of data subjects, legal holds, the record of processing and the proofs of retention."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gatepost.cli.breach import breach
from gatepost.cli.story import moment
from gatepost.cli.terminal import (
    config_option,
    failing_clearly,
    find_config,
    json_line,
    json_option,
    say,
)
from gatepost.cli.user import at_desk

if TYPE_CHECKING:
    from gatepost.store.holds import LegalHold
    from gatepost.store.requests import DataRequest

F = TypeVar("F", bound=Callable[..., Any])
DAY = click.DateTime(["%Y-%m-%d"])


def of_request(command: F) -> F:
    """What is written down of a request, here and on a gate elsewhere."""
    for option in (
        click.option("--notes", default="", help="How they proved who they are, where it is filed."),
        click.option("--received", type=DAY, help="The day it came, if not today."),
        click.option("--person", default="", help="The person's name."),
        click.argument("addresses", nargs=-1, required=True),
        click.argument("kind", type=click.Choice(["access", "erasure", "rectification", "objection"])),
    ):
        command = option(command)
    return command


@click.group()
def privacy() -> None:
    """What the law asks of who keeps personal data: requests, holds, the record of processing.

    Example: gatepost privacy requests
    """


privacy.add_command(breach)


# Requests


@privacy.command("requests")
@config_option
@json_option
@failing_clearly
def requests_list(config: str | None, *, as_json: bool) -> None:
    """List requests of data subjects, the most urgent first.

    Example: gatepost privacy requests
    """
    from gatepost.office import privacy as office

    with at_desk(config) as desk:
        found, now = office.listed(desk.office, desk.actor), desk.office.clock()
    for one in found:
        if as_json:
            click.echo(json_line(office.told(one)))
        else:
            say(line(one, now))
    if not found and not as_json:
        click.echo("There is no request.", err=True)


@privacy.command("register")
@of_request
@config_option
@failing_clearly
def register(
    *,
    kind: str,
    addresses: tuple[str, ...],
    person: str,
    received: datetime | None,
    notes: str,
    config: str | None,
) -> None:
    """Write down a request of a data subject: it is due one month after it came.

    Example: gatepost privacy register erasure ana@example.net --person "Ana Gil" --received 2026-11-20
    """  # fmt: skip
    from gatepost.office import privacy as office

    came = received.replace(tzinfo=UTC).timestamp() if received else None
    with at_desk(config) as desk:
        number = desk.run(
            office.register(
                desk.office, desk.actor, kind=kind, person=person, addresses=" ".join(addresses), received_at=came, notes=notes
            )
        )  # fmt: skip
        say(line(office.show(desk.office, desk.actor, number), desk.office.clock()))


@privacy.command("extend")
@click.argument("number", type=int)
@click.option("--why", required=True, help="As the person is told.")
@config_option
@failing_clearly
def extend(number: int, why: str, config: str | None) -> None:
    """Take two months more, once.

    Example: gatepost privacy extend 3 --why "many mailboxes are concerned"
    """
    from gatepost.office import privacy as office

    with at_desk(config) as desk:
        say(line(desk.run(office.extend(desk.office, desk.actor, number, reason=why)), desk.office.clock()))


@privacy.command("close")
@click.argument("number", type=int)
@click.option("--outcome", required=True, help="How it was answered, in a sentence.")
@click.option("--refused", is_flag=True, help="It was refused.")
@config_option
@failing_clearly
def close(number: int, outcome: str, *, refused: bool, config: str | None) -> None:
    """Say that a request is answered.

    Example: gatepost privacy close 3 --outcome "file handed over on paper"
    """
    from gatepost.office import privacy as office

    with at_desk(config) as desk:
        done = desk.run(office.close(desk.office, desk.actor, number, refused=refused, outcome=outcome))
        say(line(done, desk.office.clock()))


@privacy.command("export")
@click.argument("number", type=int)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--language", type=click.Choice(["en", "ja"]), default="en", help="Of the index.")
@config_option
@failing_clearly
def export(number: int, file: Path, language: str, config: str | None) -> None:
    """Write all that is kept about a request's addresses into a ZIP file with an index.

    Example: gatepost privacy export 3 request-3.zip
    """
    from functools import partial

    from gatepost.office import privacy as office
    from gatepost.web.looks import Looks

    with at_desk(config) as desk:
        words = partial(Looks({language: ""}).say, language)
        made = desk.run(office.access_file(desk.office, desk.actor, number, words))
    file.touch(mode=0o600)
    file.write_bytes(made)
    say(f"{file}: {len(made):,} octets")


@privacy.command("erase")
@click.argument("number", type=int)
@click.option("--really", is_flag=True, help="Do it; without, only the plan is told.")
@config_option
@json_option
@failing_clearly
def erase(number: int, *, really: bool, config: str | None, as_json: bool) -> None:
    """Tell what an erasure would do, and with --really carry it out. What a legal hold is over stays.

    Example: gatepost privacy erase 3
    """
    from gatepost.office import privacy as office

    with at_desk(config) as desk:
        if really:
            plan = desk.run(office.erase(desk.office, desk.actor, number))
        else:
            plan = desk.run(office.plan(desk.office, desk.actor, number))
    if as_json:
        click.echo(
            json_line({"done": really, "counts": plan.counts, "holds": [one.whom for one in plan.holds]})
        )
        return
    from gatepost.store.personal import PARTS, WHY_KEPT

    done, changed = (
        ("erased", "no longer name them") if really else ("would be erased", "would no longer name them")
    )
    for part in PARTS:
        one = plan.parts[part.name]
        told = [f"{one.erased} {done}"] * bool(one.erased) + [f"{one.changed} {changed}"] * bool(one.changed)
        told += [f"{count} stay: {WHY_KEPT[why]}" for why, count in one.kept.items()]
        say(f"{part.about}: {'; '.join(told) or 'nothing'}")
    for hold in plan.holds:
        say(f"A legal hold is in force: {hold_line(hold)}")
    if not really:
        click.echo("Nothing was changed; --really carries it out.", err=True)


# Holds


@privacy.group("hold")
def hold() -> None:
    """Legal holds: data that is not deleted before somebody releases it.

    Example: gatepost privacy hold list
    """


@hold.command("add")
@click.argument("whom")
@click.option("--why", required=True, help="The reason.")
@click.option("--case", "case_number", default="", help="A case number.")
@click.option("--since", type=DAY, help="Only data from this day on.")
@click.option("--until", type=DAY, help="Only data from before this day.")
@click.option("--ends", type=DAY, help="When the hold is released by itself.")
@config_option
@failing_clearly
def hold_add(
    *,
    whom: str,
    why: str,
    case_number: str,
    since: datetime | None,
    until: datetime | None,
    ends: datetime | None,
    config: str | None,
) -> None:
    """Keep everything about an address, or about @domain, from deletion.

    Example: gatepost privacy hold add ana@example.net --why "dismissal suit" --case "4 O 12/26"
    """  # fmt: skip
    from gatepost.office import legalholds

    since_at, until_at, ends_at = (
        one.replace(tzinfo=UTC).timestamp() if one else None for one in (since, until, ends)
    )
    with at_desk(config) as desk:
        number = desk.run(
            legalholds.hold(
                desk.office, desk.actor, whom, reason=why, case_number=case_number, since=since_at, until=until_at, ends_at=ends_at
            )
        )  # fmt: skip
    say(f"Hold {number} is in force.")


@hold.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that were released.")
@config_option
@json_option
@failing_clearly
def hold_list(*, everything: bool, config: str | None, as_json: bool) -> None:
    """List legal holds, the newest first.

    Example: gatepost privacy hold list --all
    """
    from gatepost.office import legalholds

    with at_desk(config) as desk:
        found = legalholds.listed(desk.office, desk.actor, released=everything)
    for one in found:
        if as_json:
            click.echo(json_line(asdict(one)))
        else:
            say(hold_line(one))
    if not found and not as_json:
        click.echo("No legal hold is in force.", err=True)


@hold.command("release")
@click.argument("number", type=int)
@click.option("--why", required=True, help="Why it ends.")
@config_option
@failing_clearly
def hold_release(number: int, why: str, config: str | None) -> None:
    """End a hold: retention goes on.

    Example: gatepost privacy hold release 2 --why "the suit was settled"
    """
    from gatepost.office import legalholds

    with at_desk(config) as desk:
        gone = desk.run(legalholds.release(desk.office, desk.actor, number, reason=why))
    say(f"The hold over {gone.whom} is released.")


# The record and the proofs


@privacy.command("record")
@click.option("--language", type=click.Choice(["en", "ja"]), default="en", help="Of the text.")
@click.option("--json", "as_json", is_flag=True, help="As JSON instead of Markdown.")
@config_option
@failing_clearly
def record(language: str, *, as_json: bool, config: str | None) -> None:
    """Print the record of processing activities (GDPR Article 30), from the configuration as it is.

    Example: gatepost privacy record --language ja > record.md
    """
    from functools import partial

    from gatepost.app.processing import installation
    from gatepost.config.schema import load
    from gatepost.office import processing
    from gatepost.web.looks import Looks

    here = installation(load(find_config(config)))
    words, day = (
        partial(Looks({language: ""}).say, language),
        datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%d"),
    )
    sections = processing.record(here)
    if as_json:
        click.echo(json.dumps(processing.as_json(sections, here, words, day), ensure_ascii=False, indent=1))
    else:
        click.echo(processing.markdown(sections, here, words, day))


@privacy.command("retention")
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1),
    help="How many at most, the newest first.",
)
@config_option
@json_option
@failing_clearly
def retention(limit: int, config: str | None, *, as_json: bool) -> None:
    """Prove what retention deleted, the newest run first.

    Example: gatepost privacy retention --limit 5
    """
    from gatepost.office import privacy as office

    with at_desk(config) as desk:
        found = office.runs(desk.office, desk.actor, limit=limit)
    for one in found:
        if as_json:
            click.echo(json_line({"at": one.at, "deleted": dict(one.deleted), "holds": one.holds}))
        else:
            told = (
                ", ".join(f"{kind} {number:,}" for kind, number in one.deleted.items())
                or "nothing was past its time"
            )
            held = f"; {one.holds} legal hold{'s' * (one.holds > 1)} in force" if one.holds else ""
            say(f"{moment(one.at)}  {told}{held}")
    if not found and not as_json:
        click.echo("Retention has not run yet.", err=True)


# How


def line(one: DataRequest, now: float) -> str:
    """One request."""
    state = one.status.value
    if one.closed_at is None:
        late = ", overdue" if one.due_at < now else ""
        state = f"due {day(one.due_at)}{', extended' if one.extended_because else ''}{late}"
    return f"{one.id:>4}  {one.kind.value:<13}  {state}  {one.person} {' '.join(f'<{each}>' for each in one.addresses)}"


def hold_line(one: LegalHold) -> str:
    """One hold."""
    case = f" ({one.case_number})" if one.case_number else ""
    end = f"until {day(one.ends_at)}" if one.ends_at else "until released"
    if one.released_at is not None:
        end = f"released {day(one.released_at)} by {one.released_by}: {one.released_why}"
    return f"{one.id:>4}  {one.whom}  {one.reason}{case}  by {one.made_by}, {day(one.made_at)}, {end}"


def day(at: float) -> str:
    """A day."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")

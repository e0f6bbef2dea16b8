"""`gatepost tls-reports`: what the wire to others was like, and what they were told of it."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from gatepost.cli.terminal import config_option, failing_clearly, find_config, json_line, say
from gatepost.mail.address import normal_domain

if TYPE_CHECKING:
    from gatepost.store.store import Store

DAY_S = 86_400
REF = re.compile(r"\[ref (\w+)\]")


@click.group("tls-reports")
def tls_reports() -> None:
    """Reports about the TLS of our connections to others (RFC 8460), which the running gate sends the day after.

    Example: gatepost tls-reports list
    """


@tls_reports.command("list")
@config_option
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@failing_clearly
def list_(config: str | None, limit: int, as_json: bool) -> None:
    """List the days and domains with sessions, and what became of each report.

    Example: gatepost tls-reports list --json
    """
    from gatepost.app.installation import opened
    from gatepost.store.wire import reported

    with opened(find_config(config)) as installation:
        store = installation.store
        found = [
            replace(one, outcome=with_answers(store, one.outcome))
            for one in store.database.read(lambda connection: reported(connection, limit=limit))
        ]
    for one in found:
        if as_json:
            click.echo(json_line(asdict(one) | {"day": date_of(one.day)}))
            continue
        tried = f" after {one.tries} tries" if one.tries > 1 else ""
        say(
            f"{date_of(one.day)}  {one.domain}  {one.sessions:,} sessions  {one.outcome or 'not due yet'}{tried}",
            hang=12,
        )
    if not found and not as_json:
        click.echo("There were no sessions with other domains in the days that are kept.", err=True)


@tls_reports.command()
@click.argument("domain")
@click.option("--day", help="Such as 2027-01-31 (UTC); without it, yesterday.")
@config_option
@failing_clearly
def show(domain: str, day: str | None, config: str | None) -> None:
    """Print a day's report to a domain as it is sent, also while the day lasts.

    Example: gatepost tls-reports show partner.example --day 2026-11-23
    """
    from gatepost.app.installation import opened
    from gatepost.app.wire import report_of
    from gatepost.tlspolicy.tlsrpt import report_json

    name, number = normal_domain(domain), day_of(day)
    if name is None:
        raise click.UsageError(f"{domain} is no domain.")
    with opened(find_config(config)) as installation:
        report = report_of(installation.loaded, installation.store, name, number)
    if not report.counted:
        click.echo(
            f"There were no sessions with {name} on {date_of(number)}. See gatepost tls-reports list",
            err=True,
        )
        sys.exit(1)
    click.echo(report_json(report).decode())


def with_answers(store: Store, outcome: str) -> str:
    """What became of a report, with the last answer of a mail host that has not taken it."""

    def told(found: re.Match[str]) -> str:
        last = max(store.attempts_of(found[1]), key=lambda one: one.at, default=None)
        if last is None or last.status == "delivered":
            return found[0]
        return f"{found[0]} ({last.status}: {last.reply or last.reason})"

    return REF.sub(told, outcome)


def day_of(text: str | None) -> int:
    """Days since 1970, UTC. Raises UsageError."""
    if text is None:
        moment = datetime.now(UTC) - timedelta(days=1)
    else:
        try:
            moment = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise click.UsageError(f"--day {text}: give a day such as 2027-01-31.") from None
    return int(moment.timestamp() // DAY_S)


def date_of(day: int) -> str:
    """As a date."""
    return datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m-%d")

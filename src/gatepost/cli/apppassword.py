"""`gatepost user app-password`: what mail programs and devices sign in with."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gatepost.cli.entries import end_of
from gatepost.cli.story import moment
from gatepost.cli.terminal import (
    config_option,
    failing_clearly,
    json_line,
    json_option,
    say,
)

if TYPE_CHECKING:
    from gatepost.store.apppasswords import AppPassword

why_option = click.option("--why", default="", help="Why, for the journal.")


@click.group("app-password")
def app_password() -> None:
    """What mail programs and devices sign in with, instead of the account's password.

    Example: gatepost user app-password add scanner@example.net --name 'scanner, 2nd floor'
    """


@app_password.command("add")
@click.argument("login")
@config_option
@click.option("--name", required=True, help="The device or program that will use it.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(["smtp", "imap", "sieve"]), help="Without it, smtp."
)
@click.option("--as", "sends_as", multiple=True, help="May write as this address of the account only.")
@click.option("--from", "ranges", multiple=True, help="Good from this address or network only.")
@click.option("--until", help="The last day it is good, such as 2027-01-31 (UTC).")
@json_option
@failing_clearly
def add(
    *, login: str, config: str | None, name: str, scopes: tuple[str, ...], sends_as: tuple[str, ...],
    ranges: tuple[str, ...], until: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Make an app password and print it, once.

    Example: gatepost user app-password add scanner@example.net --name scanner --from 192.0.2.40
    """
    from gatepost.cli.user import at_desk
    from gatepost.office import apppasswords
    from gatepost.office.apppasswords import Scope

    ends = end_of(until) if until else None
    with at_desk(config) as desk:
        made = desk.run(
            apppasswords.make(
                desk.office, desk.actor, login, name=name, sends_as=sends_as, ranges=ranges, expires_at=ends,
                scopes=[Scope(one) for one in scopes or ("smtp",)],
            )
        )  # fmt: skip
    if as_json:
        click.echo(
            json_line({"password": made.password, "selector": made.kept.selector, "name": made.kept.name})
        )
        return
    say(made.password)
    click.echo(f"It signs {login} in, and is not shown again. Dashes may be left out.", err=True)


@app_password.command("list")
@click.argument("login")
@config_option
@json_option
@failing_clearly
def list_(login: str, config: str | None, as_json: bool) -> None:
    """List an account's app passwords, those that ended too.

    Example: gatepost user app-password list scanner@example.net
    """
    from gatepost.cli.user import at_desk
    from gatepost.office import apppasswords

    with at_desk(config) as desk:
        found = apppasswords.listed(desk.office, desk.actor, login)
    for one in found:
        if as_json:
            shown = {
                key: value
                for key, value in asdict(one).items()
                if key not in ("salt", "hash", "id", "account")
            }
            click.echo(json_line(shown))
        else:
            say(line(one, time.time()))
    if not found and not as_json:
        click.echo(f"{login} has no app passwords.", err=True)


@app_password.command("revoke")
@click.argument("selector")
@config_option
@why_option
@failing_clearly
def revoke(selector: str, config: str | None, why: str) -> None:
    """Revoke an app password by its first eight characters: it signs nothing in any more.

    Example: gatepost user app-password revoke 3f9a1c2b --why 'telephone lost'
    """
    from gatepost.cli.user import at_desk
    from gatepost.office import apppasswords

    with at_desk(config) as desk:
        was_good = desk.run(apppasswords.revoke(desk.office, desk.actor, selector, reason=why))
    say(f"{selector[:8]} is revoked." if was_good else f"{selector[:8]} was revoked before.")


def line(one: AppPassword, now: float) -> str:
    """One app password, without anything secret."""
    state = (
        f"revoked {moment(one.revoked_at)}"
        if one.revoked_at
        else f"ended {moment(one.expires_at)}"
        if one.expires_at and one.expires_at <= now
        else f"until {moment(one.expires_at - 1)[:10]}"
        if one.expires_at
        else ""
    )
    parts = [
        f"{one.selector}  {one.name}",
        " ".join(one.scopes),
        f"as {', '.join(one.sends_as)}" if one.sends_as else "",
        f"from {', '.join(one.networks)}" if one.networks else "",
        state,
        f"last {moment(one.used_at)} from {one.used_from or 'an unknown network'}"
        if one.used_at
        else "never used",
    ]
    return "  ".join(part for part in parts if part)

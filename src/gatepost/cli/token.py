"""`gatepost token`: what programs call the API with."""

from __future__ import annotations

import json
import time

import click

from gatepost.access.rights import Right
from gatepost.cli.story import moment
from gatepost.cli.terminal import config_option, failing_clearly, json_line, say
from gatepost.cli.user import at_desk

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.group()
def token() -> None:
    """Tokens that programs call the API with.

    Example: gatepost token list ana@example.net
    """


@token.command("create")
@click.argument("login")
@config_option
@click.option("--name", required=True, help="The program that will use it.")
@click.option(
    "--scope", "scopes", multiple=True, required=True, type=click.Choice([one.value for one in Right]),
    help="A right it has, as long as the account has it; may be given several times.",
)  # fmt: skip
@click.option(
    "--days", default=90, show_default=True, type=click.IntRange(1, 366), help="It ends after so many."
)
@click.option(
    "--from", "ranges", multiple=True, help="An address or network it is good from; without it, all."
)
@json_option
@failing_clearly
def create(
    *, login: str, config: str | None, name: str, scopes: tuple[str, ...], days: int, ranges: tuple[str, ...], as_json: bool
) -> None:  # fmt: skip
    """Make a token that acts for the account LOGIN, and print it: it is shown once.

    Example: gatepost token create ana@example.net --name monitoring --scope overview --days 30
    """
    from gatepost.office import apitokens

    with at_desk(config) as desk:
        made = desk.run(
            apitokens.make(
                desk.office, desk.actor, login, name=name, scopes=[Right(one) for one in scopes],
                expires_at=time.time() + days * 86_400.0, ranges=ranges,
            )
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps({"id": made.kept.id, "token": made.token, "expires_at": made.kept.expires_at}))
        return
    click.echo(made.token)
    click.echo(f"It ends on {moment(made.kept.expires_at)} and is shown only now.", err=True)


@token.command("list")
@click.argument("login")
@config_option
@json_option
@failing_clearly
def list_tokens(login: str, config: str | None, as_json: bool) -> None:
    """List the tokens of an account, with when and from where each was used last.

    Example: gatepost token list ana@example.net
    """
    from gatepost.office import apitokens, people

    with at_desk(config) as desk:
        number = people.show(desk.office, desk.actor, login).account.id
        found = apitokens.listed(desk.office, desk.actor, number)
    now = time.time()
    if not found and not as_json:
        say(f"{login} has no tokens.")
    for one in found:
        if as_json:
            told = {
                "id": one.id, "name": one.name, "scopes": one.scopes, "networks": one.networks, "made_at": one.made_at,
                "expires_at": one.expires_at, "revoked_at": one.revoked_at, "used_at": one.used_at,
                "used_from": one.used_from, "good": one.good(now),
            }  # fmt: skip
            click.echo(json_line(told))
            continue
        state = "good until" if one.good(now) else "revoked" if one.revoked_at else "ended"
        when = moment(one.revoked_at or one.expires_at)
        used = f"used {moment(one.used_at)} from {one.used_from}" if one.used_at else "never used"
        say(f"{one.id:>4}  {state} {when}  {', '.join(one.scopes)}  {one.name}, {used}")


@token.command("revoke")
@click.argument("login")
@click.argument("number", type=int)
@config_option
@failing_clearly
def revoke(login: str, number: int, config: str | None) -> None:
    """Let a token of an account be good no more, by its number in the list.

    Example: gatepost token revoke ana@example.net 3
    """
    from gatepost.office import apitokens, people
    from gatepost.office.office import Impossible

    with at_desk(config) as desk:
        account = people.show(desk.office, desk.actor, login).account.id
        if not desk.run(apitokens.revoke(desk.office, desk.actor, number, account)):
            raise Impossible(f"{login} has no good token {number}: gatepost token list {login}")
    click.echo(f"Token {number} is good no more.")

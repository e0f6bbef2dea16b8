"""`gatepost user sync` and `identity`: accounts and those who know people elsewhere."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from gatepost.cli.terminal import config_option, failing_clearly, json_line, say
from gatepost.cli.user import at_desk, user

__all__ = ["user"]


@user.command("sync")
@config_option
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and do nothing.")
@click.option("--force", is_flag=True, help="Disable whoever is gone, however many that are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an account.")
@failing_clearly
def sync(*, config: str | None, dry_run: bool, force: bool, as_json: bool) -> None:
    """Bring accounts to what the directory ([people_source]) says now; the clock does it as well.

    Example: gatepost user sync --dry-run
    """
    from gatepost.app.peoplesource import sync_of
    from gatepost.office.office import Impossible
    from gatepost.office.peoplesource import Kind

    with at_desk(config) as desk:
        loaded = desk.installation.loaded
        if not loaded.config.people_source.servers:
            raise Impossible("No directory is configured: name its servers under [people_source].")
        people = sync_of(lambda: loaded, desk.installation.store)
        steps = desk.run(people.synchronise(force=force, dry=dry_run))
    for one in steps:
        if as_json:
            click.echo(json_line(asdict(one)))
        else:
            say(f"{one.kind.value:<8}{one.login}: {one.text}")
    if not as_json:
        changed = sum(one.kind is not Kind.SKIP for one in steps)
        say(f"{changed} {'changes would be made' if dry_run else 'changes were made'}.")
    if any(one.kind is Kind.SKIP for one in steps):
        sys.exit(1)


@user.command("identity")
@click.argument("login")
@config_option
@click.option(
    "--subject",
    help="The provider's own number of the person (the claim sub); failed sign-ins tell it in the journal.",
)
@click.option("--forget", is_flag=True, help="Whoever it was there is nobody here any more.")
@click.option("--why", default="", help="For the journal.")
@failing_clearly
def identity(*, login: str, config: str | None, subject: str | None, forget: bool, why: str) -> None:
    """Say who somebody is at the identity provider ([identity_provider]); without an option, show it.

    Example: gatepost user identity ana@example.net --subject 0f8c2d4e
    """
    from gatepost.office import oidc, people
    from gatepost.office.office import Impossible
    from gatepost.store import identities

    with at_desk(config) as desk:
        issuer = desk.installation.loaded.config.identity_provider.issuer
        if not issuer:
            raise Impossible("No identity provider is configured: name its issuer under [identity_provider].")
        account = people.show(desk.office, desk.actor, login).account
        if subject:
            desk.run(oidc.link(desk.office, desk.actor, login, issuer, subject, reason=why))
        elif forget:
            desk.run(oidc.unlink(desk.office, desk.actor, login, reason=why))
        known = desk.office.store.database.read(lambda c: identities.subject_of(c, issuer, account.id))
    say(f"{account.login} is {known or 'nobody'} at {issuer}")

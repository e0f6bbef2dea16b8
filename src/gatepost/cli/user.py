"""`gatepost user`: people and devices, from the machine itself. Nobody needs to be able to sign in for that."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gatepost.access.rights import Actor, Role, on_this_machine
from gatepost.cli.apppassword import app_password
from gatepost.cli.apppassword import line as password_line
from gatepost.cli.certificate import certificate
from gatepost.cli.story import moment
from gatepost.cli.terminal import (
    config_option,
    failing_clearly,
    find_config,
    json_line,
    json_option,
    say,
    whoami,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from gatepost.app.installation import Installation
    from gatepost.office.office import Office
    from gatepost.office.people import Person

T = TypeVar("T")
why_option = click.option("--why", default="", help="Why, for the journal.")
url_option = click.option(
    "--url",
    help="Where people reach the console, such as https://mail.example.net; without it, as configured.",
)
ROLES = click.Choice([role.value for role in Role])


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the commands act."""

    installation: Installation
    office: Office
    actor: Actor

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Do it now."""
        return self.installation.run(coroutine)


@contextmanager
def at_desk(config: str | None) -> Iterator[Desk]:
    """The installation, and whoever calls; what cannot be done ends in one sentence and status 1."""
    from gatepost.app.installation import opened
    from gatepost.app.office import office_of
    from gatepost.office.office import Impossible, NotAllowed

    with opened(find_config(config)) as installation:
        office = office_of(installation.loaded, installation.store)
        try:
            yield Desk(installation, office, on_this_machine(whoami()))
        except (Impossible, NotAllowed) as fault:
            click.echo(f"gatepost: {fault}", err=True)
            sys.exit(1)


@click.group()
def user() -> None:
    """People and devices: who may sign in, and what as.

    Roles: owner, postmaster, quarantine-manager, help-desk, data-protection-officer, auditor, person.

    Example: gatepost user add ana@example.net --role owner
    """


@user.command("add")
@click.argument("login")
@config_option
@click.option("--name", default="", help="As people call them.")
@click.option(
    "--role", "roles", multiple=True, type=ROLES, help="May be given several times; without it, person."
)
@click.option("--address", "addresses", multiple=True, help="Another address of their own.")
@click.option("--language", default="en", show_default=True, help="en or ja.")
@click.option("--no-link", is_flag=True, help="Make no link: a device that only sends mail needs none.")
@url_option
@json_option
@failing_clearly
def add(
    *, login: str, config: str | None, name: str, roles: tuple[str, ...], addresses: tuple[str, ...], language: str,
    no_link: bool, url: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Add somebody by their address, and print a link with which they enrol themselves, once.

    Example: gatepost user add ana@example.net --name 'Ana Kovač' --role postmaster
    """
    from gatepost.office import people, wayin

    with at_desk(config) as desk:
        account = desk.run(
            people.add(
                desk.office, desk.actor, login, name=name, language=language, addresses=addresses,
                roles=[Role(one) for one in roles],
            )
        )  # fmt: skip
        link = None if no_link else desk.run(wayin.invite(desk.office, desk.actor, account.login))
        say_link(desk, account.login, link, url, as_json=as_json)


@user.command("invite")
@click.argument("login")
@config_option
@why_option
@url_option
@json_option
@failing_clearly
def invite(login: str, config: str | None, why: str, url: str | None, as_json: bool) -> None:
    """Print a new enrolment link; an older one ends. What they sign in with stays.

    Example: gatepost user invite ana@example.net
    """
    from gatepost.office import wayin

    with at_desk(config) as desk:
        link = desk.run(wayin.invite(desk.office, desk.actor, login, reason=why))
        say_link(desk, login, link, url, as_json=as_json)


@user.command("recover")
@click.argument("login")
@config_option
@why_option
@url_option
@json_option
@failing_clearly
def recover(login: str, config: str | None, why: str, url: str | None, as_json: bool) -> None:
    """Somebody lost what they sign in with: forget all of it, sign them out, and print a new enrolment link.

    App passwords stay: revoke those of a lost device.

    Example: gatepost user recover ana@example.net --why 'lost her telephone'
    """
    from gatepost.office import wayin

    with at_desk(config) as desk:
        link = desk.run(wayin.recover(desk.office, desk.actor, login, reason=why))
        say_link(desk, login, link, url, as_json=as_json)


@user.command("list")
@config_option
@json_option
@failing_clearly
def list_(config: str | None, as_json: bool) -> None:
    """List everybody, with their roles and what they sign in with.

    Example: gatepost user list --json
    """
    from gatepost.office import people

    with at_desk(config) as desk:
        after, any_there = "", False
        while page := people.listed(desk.office, desk.actor, after=after):
            for one in page:
                click.echo(json_line(told(one))) if as_json else say(line(one, time.time()))
            after, any_there = page[-1].account.login, True
    if not any_there and not as_json:
        click.echo("There is nobody yet: gatepost user add ADDRESS --role owner", err=True)


@user.command("show")
@click.argument("login")
@config_option
@json_option
@failing_clearly
def show(login: str, config: str | None, as_json: bool) -> None:
    """Show one account: addresses, passkeys, app passwords and the latest sign-ins.

    Example: gatepost user show ana@example.net
    """
    from gatepost.office import apppasswords, people, sessions

    with at_desk(config) as desk:
        person = people.show(desk.office, desk.actor, login)
        passwords = apppasswords.listed(desk.office, desk.actor, login)
        latest = sessions.sign_ins(desk.office, desk.actor, person.account.id, limit=10)
    if as_json:
        signed_in = [
            {"at": one.at, "how": one.how, "succeeded": one.succeeded, "network": one.network}
            for one in latest
        ]
        listed = [{"selector": one.selector, "name": one.name, "scopes": one.scopes} for one in passwords]
        click.echo(json_line(told(person) | {"app_passwords": listed, "sign_ins": signed_in}))
        return
    say(line(person, time.time()))
    for address in person.delegated:
        say(f"  may write as {address}")
    for key in person.passkeys:
        last = f", last used {moment(key.used_at)}" if key.used_at else ", never used"
        say(f"  passkey {key.name}, since {moment(key.made_at)}{last}")
    for password in passwords:
        say(f"  app password {password_line(password, time.time())}")
    for one in latest:
        outcome = "" if one.succeeded else "  failed"
        say(f"  {moment(one.at)}  {one.how}  {one.network or 'unknown network'}{outcome}")


@user.command("roles")
@click.argument("login")
@config_option
@click.option("--add", "added", multiple=True, type=ROLES, help="Give this role.")
@click.option("--remove", "removed", multiple=True, type=ROLES, help="Take this role.")
@why_option
@failing_clearly
def roles_(
    login: str, config: str | None, *, added: tuple[str, ...], removed: tuple[str, ...], why: str
) -> None:
    """Give and take roles; whoever it is, is signed out. Administrators sign in with a passkey.

    Example: gatepost user roles ana@example.net --add auditor --remove postmaster
    """
    from gatepost.office import people

    with at_desk(config) as desk:
        before = people.show(desk.office, desk.actor, login).account.roles
        wanted = (before | {Role(one) for one in added}) - {Role(one) for one in removed}
        after = desk.run(people.set_roles(desk.office, desk.actor, login, wanted, reason=why))
    say(f"{after.login}: {', '.join(sorted(after.roles))}")


@user.command("link")
@click.argument("login")
@click.argument("address")
@config_option
@click.option("--delegated", is_flag=True, help="Only to write as; it stays, or becomes, somebody else's.")
@click.option("--remove", "removing", is_flag=True, help="Take it away.")
@failing_clearly
def link(login: str, address: str, *, config: str | None, delegated: bool, removing: bool) -> None:
    """Give an address to an account, or take it away: its held mail is theirs then.

    Example: gatepost user link ana@example.net sales@example.net --delegated
    """
    from gatepost.office import people

    with at_desk(config) as desk:
        if removing:
            desk.run(people.unlink(desk.office, desk.actor, login, address))
        else:
            desk.run(people.link(desk.office, desk.actor, login, address, delegated=delegated))
        person = people.show(desk.office, desk.actor, login)
    also = f"; may write as {', '.join(person.delegated)}" if person.delegated else ""
    say(f"{person.account.login}: {', '.join(person.addresses)}{also}")


def doing(name: str, method: str, done: str, help_text: str) -> None:
    """Add a command that does one thing to one account."""

    @user.command(name, help=help_text)
    @click.argument("login")
    @config_option
    @why_option
    @failing_clearly
    def act(login: str, config: str | None, why: str) -> None:
        from gatepost.office import people

        with at_desk(config) as desk:
            deed: Callable[..., Coroutine[Any, Any, None]] = getattr(people, method)
            desk.run(deed(desk.office, desk.actor, login, reason=why))
        say(f"{login} {done}.")


doing(
    "disable", "disable", "is disabled: nobody and nothing signs in for it",
    "Let nobody and nothing sign in for an account, from now on.\n\n"
    "Example: gatepost user disable ana@example.net --why 'left us'",
)  # fmt: skip
doing(
    "enable", "enable", "is enabled",
    "Let an account sign in again, with what it had.\n\nExample: gatepost user enable ana@example.net",
)  # fmt: skip
doing(
    "remove", "remove", "is removed",
    "Remove an account with all that signs in for it. Mail stays where it is.\n\n"
    "Example: gatepost user remove ana@example.net --why 'left us'",
)  # fmt: skip


@user.command("sign-out")
@click.argument("login")
@config_option
@failing_clearly
def sign_out(login: str, config: str | None) -> None:
    """End every session of an account, and forget the browsers it is known by.

    Example: gatepost user sign-out ana@example.net
    """
    from gatepost.office import people, sessions

    with at_desk(config) as desk:
        account = people.show(desk.office, desk.actor, login).account
        ended = desk.run(sessions.end_all(desk.office, desk.actor, account.id))
    say(f"{account.login}: {ended} session{'' if ended == 1 else 's'} ended.")


def say_link(desk: Desk, login: str, token: str | None, url: str | None, *, as_json: bool) -> None:
    """The enrolment link, on standard output; how to make one of it, beside."""
    from gatepost.app.office import console_url
    from gatepost.office.enrolment import link_at

    if token is None:
        say(f"{login} is there.")
        return
    base = url or console_url(desk.installation.loaded)
    address = link_at(base, token)
    hours = round(desk.office.access.link_s / 3600)
    if as_json:
        click.echo(json_line({"login": login, "link": address, "hours": hours}))
        return
    say(address)
    where = "" if base else " Put the console's address in front (--url says it, or [console] url)."
    click.echo(f"{login} enrols with it once, within {hours} hours.{where}", err=True)


def line(person: Person, now: float) -> str:
    """One account."""
    account = person.account
    keys = len(person.passkeys)
    with_what = ", ".join(
        [f"{keys} passkey{'s' if keys > 1 else ''}"] * bool(keys) + ["password and codes"] * account.has_codes
    )
    invited = person.link_ends is not None and person.link_ends > now
    state = with_what or (f"invited until {moment(person.link_ends or now)}" if invited else "cannot sign in")
    if not account.usable:
        state = f"disabled: {account.disabled_because or 'no reason given'}"
    last = f"  last {moment(person.last_sign_in)}" if person.last_sign_in else ""
    name = f" ({account.name})" if account.name else ""
    more = [one for one in person.addresses if one != account.login]
    also = f"  also {', '.join(more)}" if more else ""
    return f"{account.login}{name}  {', '.join(sorted(account.roles))}  {state}{last}{also}"


def told(person: Person) -> dict[str, Any]:
    """One account for a program."""
    account = person.account
    return {
        "login": account.login,
        "name": account.name,
        "language": account.language,
        "roles": sorted(account.roles),
        "addresses": person.addresses,
        "delegated": person.delegated,
        "source": account.source,
        "disabled": account.disabled_because or "disabled" if not account.usable else None,
        "passkeys": len(person.passkeys),
        "codes": account.has_codes,
        "recovery_codes": person.recovery_codes,
        "sessions": person.sessions,
        "last_sign_in": person.last_sign_in,
        "link_ends": person.link_ends,
    }


user.add_command(app_password)
user.add_command(certificate)

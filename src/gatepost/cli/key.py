"""`gatepost key`: the keys that sign our mail, their records and their rotation."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

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
from gatepost.mail.address import normal_domain

if TYPE_CHECKING:
    from gatepost.app.installation import Installation
    from gatepost.jobs.keys import KeyKeeping
    from gatepost.mailauth.keylife import KeyFacts

why_option = click.option("--why", default="", help="Why, for the journal.")
resolver_option = click.option(
    "--resolver", help="Ask this resolver (HOST:PORT) instead of the configured ones."
)


@click.group()
def key() -> None:
    """DKIM keys: make them, see them published, let them sign, rotate and retire them.

    A key signs only while its record has been looked up and found to be this very key.

    Example: gatepost key create example.net && gatepost key records example.net
    """


@key.command("list")
@click.argument("domain", required=False)
@config_option
@click.option("--all", "removed", is_flag=True, help="Removed keys as well.")
@json_option
@failing_clearly
def list_(domain: str | None, config: str | None, removed: bool, as_json: bool) -> None:
    """List the keys, each with its state and what the last look at its record found.

    Example: gatepost key list example.net --json
    """
    with at_work(config) as (_, keeping):
        found = keeping.keys.listed(domain and named(domain), removed=removed)
    for one in found:
        told = asdict(one) | {"state": one.state.value}
        click.echo(json_line(told)) if as_json else say(line(one))
    if not found and not as_json:
        click.echo("There are no keys: gatepost key create DOMAIN makes them.", err=True)


@key.command()
@click.argument("domain")
@config_option
@click.option(
    "--algorithm", "wanted", multiple=True, help="rsa-sha256 or ed25519-sha256; default: those configured."
)
@why_option
@json_option
@failing_clearly
def create(domain: str, config: str | None, wanted: tuple[str, ...], why: str, as_json: bool) -> None:
    """Make a domain's next keys, and tell what to publish. They sign when that is published, not before.

    Example: gatepost key create example.net
    """
    from gatepost.mailauth.keylife import ALGORITHMS
    from gatepost.store.journal import Why

    domain = named(domain)
    with at_work(config) as (installation, keeping):
        insist_on_ours(installation, domain)
        algorithms = wanted or keeping.settings().algorithms
        for one in algorithms:
            if one not in ALGORITHMS:
                raise click.UsageError(f"There is no algorithm {one}; there are {' and '.join(ALGORITHMS)}.")
        reason = Why(who=whoami(), why=why, at=time.time())
        made = [installation.run(keeping.create(domain, one, reason)) for one in algorithms]
        show_records(keeping, domain, made, as_json=as_json)
    if not as_json:
        click.echo(f"\n; When that is published: gatepost key check {domain}", err=True)


@key.command()
@click.argument("domain")
@config_option
@json_option
@failing_clearly
def records(domain: str, config: str | None, as_json: bool) -> None:
    """Print the records to publish for all keys that need theirs, as a zone file has them.

    Example: gatepost key records example.net >> example.net.zone
    """
    from gatepost.mailauth.keylife import KeyState

    with at_work(config) as (_, keeping):
        found = [one for one in keeping.keys.listed(named(domain)) if one.state is not KeyState.REMOVED]
        show_records(keeping, named(domain), found, as_json=as_json)
    if not found:
        click.echo(f"{domain} has no keys: gatepost key create {domain} makes them.", err=True)
        sys.exit(1)


@key.command()
@click.argument("domain", required=False)
@config_option
@resolver_option
@json_option
@failing_clearly
def check(domain: str | None, config: str | None, resolver: str | None, as_json: bool) -> None:
    """Look the records up now, and let keys that are published sign. The running gate does so by itself as well.

    Exit status: 0 every key that should be published is, 1 otherwise.

    Example: gatepost key check example.net
    """
    with at_work(config, resolver) as (installation, keeping):
        domains = [named(domain)] if domain else sorted({one.domain for one in keeping.keys.listed()})

        async def look() -> list[Any]:
            return [
                step for one in domains for step in await keeping.advance(one, who=whoami(), rotates=False)
            ]

        for step in installation.run(look()):
            if not as_json:
                say(step.text)
        found = [one for name in domains for one in keeping.keys.listed(name)]
    for one in found:
        told = asdict(one) | {"state": one.state.value}
        click.echo(json_line(told)) if as_json else say(line(one))
    sys.exit(1 if not found or any(one.problem for one in found if one.state.value != "retired") else 0)


@key.command()
@click.argument("domain")
@config_option
@why_option
@json_option
@failing_clearly
def rotate(domain: str, config: str | None, why: str, as_json: bool) -> None:
    """Make the next key of each kind now. It takes over by itself once its record has been seen for long enough.

    Example: gatepost key rotate example.net --why 'ben has left'
    """
    from gatepost.mailauth.keylife import KeyState
    from gatepost.store.journal import Why

    domain = named(domain)
    with at_work(config) as (installation, keeping):
        insist_on_ours(installation, domain)
        reason = Why(who=whoami(), why=why or "rotation by hand", at=time.time())
        waiting = {
            one.algorithm
            for one in keeping.keys.listed(domain)
            if one.state in (KeyState.CREATED, KeyState.PUBLISHED)
        }
        wanted = [one for one in keeping.settings().algorithms if one not in waiting]
        made = [installation.run(keeping.create(domain, one, reason)) for one in wanted]
        show_records(keeping, domain, made, as_json=as_json)
    for one in sorted(waiting):
        click.echo(
            f"{domain} has a next {one} key already, which waits: gatepost key list {domain}", err=True
        )


@key.command()
@click.argument("domain")
@click.argument("selector")
@config_option
@why_option
@click.option("--force", is_flag=True, help="Even if nothing of its kind signs then.")
@failing_clearly
def retire(domain: str, selector: str, config: str | None, why: str, force: bool) -> None:
    """Stop signing with a key now; its record must stay for mail under way.

    Example: gatepost key retire example.net gate-202611r --why 'it may have leaked'
    """
    step(config, domain, selector, "retired", why, force=force)


@key.command()
@click.argument("domain")
@click.argument("selector")
@config_option
@why_option
@failing_clearly
def remove(domain: str, selector: str, config: str | None, why: str) -> None:
    """Delete a private key for good; then its record may be taken out of the DNS.

    Example: gatepost key remove example.net gate-202511r
    """
    step(config, domain, selector, "removed", why, force=True)


def step(config: str | None, domain: str, selector: str, to: str, why: str, *, force: bool) -> None:
    """One key's step by hand."""
    from gatepost.config.load import nearest
    from gatepost.mailauth.keylife import KeyState
    from gatepost.mailauth.keyrecord import key_name
    from gatepost.store.journal import Why

    domain = named(domain)
    with at_work(config) as (installation, keeping):
        known = keeping.keys.listed(domain)
        found = next((one for one in known if one.selector == selector.lower()), None)
        if found is None:
            hint = nearest(selector, {one.selector for one in known})
            raise click.UsageError(f"{domain} has no key {selector}. {hint}".strip())
        others = [
            one
            for one in known
            if one.algorithm == found.algorithm and one.state is KeyState.SIGNING and one.id != found.id
        ]
        if found.state is KeyState.SIGNING and not others and not force:
            raise click.UsageError(
                f"Nothing else signs {domain} with {found.algorithm}: gatepost key rotate {domain} first, or add --force."
            )
        reason = Why(who=whoami(), why=why, at=time.time())
        moved = installation.run(keeping.keys.move(found.id, KeyState(to), reason))
    say(f"{key_name(domain, moved.selector)} is {moved.state.value} now.")


@contextmanager
def at_work(config: str | None, resolver: str | None = None) -> Iterator[tuple[Installation, KeyKeeping]]:
    """The installation, and the keeping of its keys without letters."""
    from dataclasses import replace

    from gatepost.app.installation import opened
    from gatepost.app.signing import keeping_of
    from gatepost.net.resolver import CachingResolver

    with opened(find_config(config)) as installation:
        settings = installation.loaded.config.dns
        asked = CachingResolver(replace(settings, servers=(resolver,)) if resolver else settings)
        try:
            yield installation, keeping_of(installation.loaded, installation.store, asked)
        finally:
            installation.run(asked.close())


def show_records(keeping: KeyKeeping, domain: str, keys: list[KeyFacts], *, as_json: bool) -> None:
    """In zone-file form, or one object a record with its strings."""
    from gatepost.jobs.keys import delegations, records_of
    from gatepost.mailauth.keyrecord import character_strings, zone_line

    settings = keeping.settings()
    rows = [(one, record) for one in keys for record in records_of(one, settings)]
    for one, (name, kind, value) in rows:
        if as_json:
            told = {"name": name, "type": kind, "value": value, "strings": character_strings(value)}
            click.echo(json_line(told | {"selector": one.selector, "state": one.state.value}))
        else:
            click.echo(f"; {one.selector}: {one.algorithm}, {one.state.value}")
            click.echo(zone_line(name, kind, value))
    for number, (name, kind, value) in enumerate(delegations(domain, settings) if keys else []):
        if as_json:
            click.echo(json_line({"name": name, "type": kind, "value": value}))
        else:
            if number == 0:
                click.echo(f"; in the zone of {domain}, once and for all:")
            click.echo(zone_line(name, kind, value))


def insist_on_ours(installation: Installation, domain: str) -> None:
    """Keys are for our own domains; a typo must not make one."""
    from gatepost.config.load import nearest

    routes = installation.loaded.routes
    names = {one.name.removeprefix(".") for one in routes.domains}
    if routes.find(domain) is None and domain not in names:
        raise click.UsageError(f"{domain} is not one of our domains. {nearest(domain, names)}".strip())


def named(text: str) -> str:
    """A domain as an argument."""
    domain = normal_domain(text)
    if domain is None:
        raise click.UsageError(f"{text} is no domain.")
    return domain


def line(one: KeyFacts) -> str:
    """One key."""
    looked = (
        f"looked up {moment(one.checked_at)}: {one.problem or 'it fits'}"
        if one.checked_at
        else "not looked up yet"
    )
    return f"{one.domain}  {one.selector}  {one.algorithm}  {one.state.value} since {moment(one.since)}  {looked}"

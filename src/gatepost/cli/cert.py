"""`gatepost cert`: certificates, their renewal, and the TLSA records for them."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path

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

SOON_S = 7 * 86_400.0


@click.group()
def cert() -> None:
    """Certificates: how they are, renewing them now, and the TLSA records to publish.

    Example: gatepost cert status
    """


@cert.command()
@config_option
@json_option
@failing_clearly
def status(config: str | None, as_json: bool) -> None:
    """Tell of every certificate what it is for, who issued it, when it ends, and what keeps its successor.

    Exit status: 0 all is well, 1 one ends within a week, cannot be read, or something keeps it from being renewed.

    Example: gatepost cert status --json
    """
    from gatepost.app.installation import opened
    from gatepost.app.ownfacts import certificates_here
    from gatepost.jobs.owntrouble import read_problems
    from gatepost.store import memory, ownpolicies

    now = time.time()
    with opened(find_config(config)) as installation:
        loaded = installation.loaded
        found = certificates_here(loaded)
        known, change = installation.store.database.read(
            lambda connection: (
                memory.stored(connection, "jobs:", now=now),
                ownpolicies.key_change(connection, loaded.config.hostname),
            )
        )
    problems = read_problems(known, "certificates")
    bad = False
    for one in found:
        problem = one.problem or problems.get(one.names[0] if one.names else "", "")
        bad = bad or bool(problem) or one.ends_at is None or one.ends_at - now < SOON_S
        if as_json:
            click.echo(json_line(asdict(one) | {"problem": problem}))
            continue
        ends = f"until {moment(one.ends_at)}" if one.ends_at is not None else ""
        kind = "our own, until the authority has issued one" if one.stopgap else one.issuer
        say(f"{', '.join(one.names) or one.file}  {ends}  {kind}")
        say(f"    {one.file}")
        if one.waiting_until is not None:
            say(f"    the next one, until {moment(one.waiting_until)}, waits")
        if problem:
            say(f"    {problem}")
    if change is not None and change.problem and not as_json:
        say(f"DANE, {change.name}: {change.problem} (looked up {moment(change.checked_at)})")
        bad = True
    if not found and not as_json:
        click.echo(
            "There is no certificate: set [tls], or [certificates] acme to get them by itself.", err=True
        )
    sys.exit(1 if bad or not found else 0)


@cert.command()
@config_option
@failing_clearly
def renew(config: str | None) -> None:
    """Ask the running gate to get new certificates now; it answers the authority's questions, so it must run.

    A new key is used no sooner than DANE allows: gatepost cert status tells.

    Example: gatepost cert renew
    """
    from gatepost.jobs.owntrouble import RENEW_KEY

    ask_the_gate(config, RENEW_KEY, "cert renew")
    click.echo("The gate renews within half a minute: gatepost cert status tells how it went.")


@cert.command("account-key")
@config_option
@failing_clearly
def account_key(config: str | None) -> None:
    """Ask the running gate to give its account at the certificate authority a new key (RFC 8555 §7.3.5), such as after a theft.

    Certificates and their keys stay as they are. Who has the old key can do nothing with it any more.

    Example: gatepost cert account-key
    """
    from gatepost.jobs.owntrouble import ACCOUNT_KEY

    ask_the_gate(config, ACCOUNT_KEY, "cert account-key")
    click.echo("The gate changes it within half a minute: gatepost status tells if that fails.")


def ask_the_gate(config: str | None, key: str, act: str) -> None:
    """Leave a wish for the gate that runs, on record."""
    from gatepost.app.installation import opened
    from gatepost.jobs.owntrouble import ASKED
    from gatepost.jobs.presence import is_running
    from gatepost.store.memory import StoredMemory
    from gatepost.store.postmaster import Postmaster, Why

    with opened(find_config(config)) as installation:
        if not installation.loaded.config.certificates.acme:
            raise click.UsageError(
                "These certificates are files that others renew: [certificates] acme is not set."
            )
        if not is_running(installation.loaded.state):
            raise click.UsageError("The gate is not running: it is the gate that speaks with the authority.")
        memory = StoredMemory(installation.store.database, time.time)

        async def ask() -> None:
            await memory.put(key, ASKED, ttl_s=3600)
            await Postmaster(installation.store).note(act, Why(who=whoami(), why="", at=time.time()))
            await memory.close()

        installation.run(ask())


@cert.command()
@config_option
@click.option(
    "--file", "files", multiple=True, type=click.Path(path_type=Path), help="A certificate to come, PEM."
)
@json_option
@failing_clearly
def records(config: str | None, files: tuple[Path, ...], as_json: bool) -> None:
    """Print the TLSA records (DANE) for the key in use and the next one, as a zone file has them.

    Where others renew the certificates, --file names the next one, so that its record can be published first.

    Example: gatepost cert records >> example.net.zone
    """
    from gatepost.app.installation import opened
    from gatepost.app.ownfacts import tlsa_wanted
    from gatepost.config.load import ConfigError
    from gatepost.jobs.tlsaguard import tlsa_name
    from gatepost.mailauth.keyrecord import zone_line
    from gatepost.net.certfiles import tlsa_of_file

    with opened(find_config(config)) as installation:
        found = tlsa_wanted(installation.loaded)
        name = tlsa_name(installation.loaded.config.hostname)
    for file in files:
        try:
            found.append(tlsa_of_file(file))
        except (OSError, ValueError) as fault:
            raise ConfigError(str(file), "", f"is no certificate that can be read: {fault}.") from None
    for one in dict.fromkeys(found):
        told = {"name": name, "type": "TLSA", "value": one}
        click.echo(json_line(told) if as_json else zone_line(name, "TLSA", one))
    if not found:
        click.echo("There is no certificate yet.", err=True)
        sys.exit(1)

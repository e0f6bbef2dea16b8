"""`gatepost lists allow` and `gatepost lists block`: senders that people let in or keep out while the gate runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

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
from gatepost.office import senders
from gatepost.office.office import Impossible
from gatepost.store import entries
from gatepost.store.database import Connection
from gatepost.store.entries import Kept
from gatepost.store.journal import Why
from gatepost.tools import Entry

T = TypeVar("T")


@click.group()
def allow() -> None:
    """Senders that are let in when they are proved (SPF, DKIM, DMARC). Malware is held against them all the same.

    Example: gatepost lists allow add partner.example --reason 'invoices' --until 2027-06-30
    """


@click.group()
def block() -> None:
    """Senders whose mail is held, proved or not.

    Example: gatepost lists block add pest@example.org --reason 'asked by ana' --for ana@example.net
    """


def adding(kind: str, *, allowing: bool) -> click.Command:
    """add."""
    about = f"Add a sender, or change its entry.\n\nExample: gatepost lists {kind} add example.org --reason 'asked by ana' --until 2099-12-31"

    @click.command("add", help=about)
    @click.argument("sender")
    @config_option
    @click.option("--reason", required=True, help="Why; findings and the journal say it.")
    @click.option("--owner", default="", help="Who asked for it; without it, whoever calls this.")
    @click.option(
        "--until",
        help="The last day it holds, such as 2027-01-31 (UTC); an allowance must end.",
        required=allowing,
    )
    @click.option("--for", "recipient", default="", help="Only for this address or domain of ours.")
    @failing_clearly
    def add(
        *, sender: str, config: str | None, reason: str, owner: str, until: str | None, recipient: str
    ) -> None:
        identity = identity_of(sender, "SENDER")
        if allowing:
            insist_on_somebody(identity)
        entry = Entry(
            id=0, allow=allowing, identity=identity, recipient=identity_of(recipient, "--for") if recipient else "",
            owner=owner or whoami(), reason=reason, expires_at=end_of(until) if until else None,
        )  # fmt: skip
        changed(config, reason, lambda connection, why: entries.add(connection, entry, why))
        say(f"{identity} is {kind}ed{limits(entry.recipient, entry.expires_at)}, within a second.")

    return add


def removing(kind: str, *, allowing: bool) -> click.Command:
    """remove."""
    about = (
        f"Take a sender's entry out.\n\nExample: gatepost lists {kind} remove example.org --reason 'no more'"
    )

    @click.command("remove", help=about)
    @click.argument("sender")
    @config_option
    @click.option("--reason", default="", help="Why, for the journal.")
    @click.option(
        "--for", "recipient", default="", help="The entry that is only for this address or domain of ours."
    )
    @failing_clearly
    def remove(sender: str, config: str | None, reason: str, recipient: str) -> None:
        identity, whose = identity_of(sender, "SENDER"), identity_of(recipient, "--for") if recipient else ""

        def take_out(connection: Connection, why: Why) -> bool:
            return entries.remove(connection, allow=allowing, identity=identity, recipient=whose, why=why)

        if not changed(config, reason, take_out):
            known = f"What is: gatepost lists {kind} list"
            click.echo(f"{identity} is not {kind}ed{limits(whose, None)}. {known}", err=True)
            sys.exit(1)
        say(f"{identity} is not {kind}ed any more{limits(whose, None)}.")

    return remove


def listing(kind: str, *, allowing: bool) -> click.Command:
    """list."""
    about = f"List the entries, with their hits.\n\nExample: gatepost lists {kind} list --json"

    @click.command("list", help=about)
    @config_option
    @json_option
    @failing_clearly
    def list_(config: str | None, as_json: bool) -> None:
        from gatepost.app.installation import opened

        with opened(find_config(config)) as installation:
            found = installation.store.database.read(partial(entries.listed, allow=allowing))
        for one in found:
            if as_json:
                told = asdict(one.entry) | {
                    "made_at": one.made_at,
                    "hits": one.hits,
                    "last_hit": one.last_hit,
                }
                click.echo(json_line(told))
            else:
                say(line(one, time.time()))
        if not found and not as_json:
            more = "the configuration may name some ([checks.senders])"
            click.echo(f"Nobody is {kind}ed here; {more}.", err=True)

    return list_


def changed(config: str | None, reason: str, act: Callable[[Connection, Why], T]) -> T:
    """Do it in one commit of the installation."""
    from gatepost.app.installation import opened

    why = Why(who=whoami(), why=reason, at=time.time())
    with opened(find_config(config)) as installation:
        return installation.run(installation.store.database.commit(lambda connection: act(connection, why)))


def line(one: Kept, now: float) -> str:
    """One entry, for people."""
    entry = one.entry
    over = "  it has run out" if entry.expires_at is not None and entry.expires_at <= now else ""
    last = f", last {moment(one.last_hit)}" if one.last_hit else ""
    return (
        f"{entry.identity}{limits(entry.recipient, entry.expires_at)}  by {entry.owner}: {entry.reason}"
        f"  {one.hits:,} hits{last}{over}"
    )


def identity_of(text: str, what: str) -> str:
    """An address or a domain in its normal form."""
    try:
        return senders.identity_of(text)
    except Impossible as fault:
        raise click.UsageError(f"{what}: {fault}") from None


def insist_on_somebody(identity: str) -> None:
    """A domain where everybody can have an address proves nobody in particular."""
    try:
        senders.insist_on_somebody(identity)
    except Impossible as fault:
        raise click.UsageError(str(fault)) from None


def end_of(text: str) -> float:
    """The midnight (UTC) that ends a day, in Unix seconds."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise click.UsageError(f"--until {text}: give a day such as 2027-01-31.") from None
    return day.timestamp() + 86_400


def limits(recipient: str, expires_at: float | None) -> str:
    """For whom and until when, in words."""
    whom = f" for {recipient}" if recipient else ""
    return whom + (f" until {moment(expires_at - 1)[:10]}" if expires_at is not None else "")


for _group, _allowing in ((allow, True), (block, False)):
    for _made in (adding, removing, listing):
        _group.add_command(_made(str(_group.name), allowing=_allowing))

"""`gatepost queue accounts` and what follows from it: accounts whose mail is held, as a postmaster handles them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gatepost.cli.acting import HANG, queue, why_option
from gatepost.cli.story import moment
from gatepost.cli.terminal import (
    config_option,
    failing_clearly,
    find_config,
    harmless,
    json_line,
    json_option,
    say,
    whoami,
)

if TYPE_CHECKING:
    from gatepost.store.database import Connection
    from gatepost.store.journal import Why

Act = Callable[["Connection", str, "Why"], Any]


@queue.command("accounts")
@config_option
@json_option
@failing_clearly
def accounts(config: str | None, as_json: bool) -> None:
    """List accounts whose mail is held, and how much of it waits.

    Example: gatepost queue accounts
    """
    from gatepost.app.installation import opened
    from gatepost.store import heldaccounts

    with opened(find_config(config)) as installation:
        found = installation.store.database.read(heldaccounts.listed)
    for one in found:
        if as_json:
            click.echo(json_line(asdict(one)))
        else:
            say(
                f"{one.account}  since {moment(one.held_at)}  {one.copies} copies wait  {one.reason}",
                hang=HANG,
            )
    if not found and not as_json:
        click.echo("No account is held.", err=True)


@queue.command("hold-account")
@click.argument("account")
@config_option
@why_option
@failing_clearly
def hold_account(account: str, config: str | None, why: str) -> None:
    """Hold all mail of an account: what is queued, and what it sends from now on. Signing in still works.

    Example: gatepost queue hold-account ana@example.net --why 'her laptop was stolen'
    """
    from gatepost.app.installation import opened
    from gatepost.store import heldaccounts
    from gatepost.store.records import AccountHold

    hold = AccountHold(account=account, at=time.time(), reason=why or f"by {whoami()}", who=whoami())
    with opened(find_config(config)) as installation:
        new = installation.run(installation.store.database.commit(lambda c: heldaccounts.hold(c, hold)))
    say(f"{account} is held." if new else f"{account} was held already.")


@queue.command("release-account")
@click.argument("account")
@config_option
@why_option
@failing_clearly
def release_account(account: str, config: str | None, why: str) -> None:
    """Let an account's mail go: what is held goes out now, and what it sends from now on is not held.

    Example: gatepost queue release-account ana@example.net --why 'she was travelling'
    """
    from gatepost.office.sending import let_go

    copies = act(account, config, why, let_go)
    say(f"{account} is held no more, nor again for a day; copies that go out now: {copies}.")


@queue.command("drop-account")
@click.argument("account")
@config_option
@why_option
@failing_clearly
def drop_account(account: str, config: str | None, why: str) -> None:
    """Delete all held mail of an account, undelivered; nobody is told, and the account stays held.

    Example: gatepost queue drop-account ana@example.net --why 'spam from a stolen password'
    """
    from gatepost.store import heldaccounts

    copies = act(account, config, why, heldaccounts.drop)
    say(
        f"{account}: copies deleted: {copies}. It stays held; end that with gatepost queue release-account {account}"
    )


def act(account: str, config: str | None, why: str, work: Act) -> int:
    """Do it in one commit; the number of copies. Exits with 1 when the account is not held."""
    from gatepost.app.installation import opened
    from gatepost.store.journal import Why

    reason = Why(who=whoami(), why=why, at=time.time())
    with opened(find_config(config)) as installation:
        done = installation.run(installation.store.database.commit(lambda c: work(c, account, reason)))
        if isinstance(done, tuple):
            done, files = done
            installation.store.forget(files)
    if done is None:
        click.echo(harmless(f"{account} is not held. Which are: gatepost queue accounts"), err=True)
        sys.exit(1)
    return int(done)

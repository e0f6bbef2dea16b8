"""What a restore must not bring back: the list of it, and what a restore has done again."""

from __future__ import annotations

import click

from gatepost.cli.story import moment
from gatepost.cli.terminal import config_option, failing_clearly, find_config
from gatepost.store.again import Again
from gatepost.store.gone import GoneList

NAMES = {
    "erased": "erased people", "journal": "names erased from the journal", "account": "accounts removed",
    "disabled": "accounts disabled", "roles": "accounts with fewer roles", "passkey": "passkeys removed",
    "address": "addresses taken away",
}  # fmt: skip


def tell_again(again: Again | None, known: GoneList | None, made_at: float) -> None:
    """What was done again, what could not be, and what nobody knows."""
    if again is None or known is None:
        click.echo(
            f"Whoever was erased after {moment(made_at)} is back, if anybody was: nothing said so. If the old state is still there,"
            " or a newer backup, begin again with --gone; else carry out those requests once more (gatepost privacy)."
        )
        return
    did = ", ".join(f"{number:,} {NAMES[kind]}" for kind, number in sorted(again.done.items()))
    click.echo(f"Since {moment(made_at)}, and done again: {did or 'nothing'}.")
    if again.kept:
        click.echo(
            f"{again.kept:,} rows about those who were erased stay: a legal hold is in force over them."
        )
    if not known.whole:
        click.echo("What was erased or taken away after that list was written is back, if anything was.")


@click.command("gone")
@config_option
@failing_clearly
def gone(config: str | None) -> None:
    """List what must not come back by a restore: who was erased, and accounts, roles and passkeys taken away. One JSON object a line.

    It names people: keep it as carefully as a backup, and elsewhere than the state folder.

    Example: gatepost backup gone > /elsewhere/gatepost.gone
    """
    from gatepost.app.installation import opened
    from gatepost.store.gone import listed, written

    with opened(find_config(config)) as installation:
        click.echo(written(installation.store.database.read(listed)), nl=False)

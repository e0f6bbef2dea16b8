"""`gatepost backup`: keeping everything."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatepost.cli.again import gone, tell_again
from gatepost.cli.progress import Progress
from gatepost.cli.story import moment
from gatepost.cli.terminal import config_option, failing_clearly, find_config

if TYPE_CHECKING:
    from gatepost.store.backup import Restored
    from gatepost.store.gone import GoneList

RESTORED = "It was queued when the backup of {} was made, and may have been delivered since."


@click.group()
def backup() -> None:
    """Back up, verify and restore everything kept: queue, quarantine, history, journal, memory, secrets and certificates.

    Secrets are in it only sealed under the master key: the secret of rewritten senders (SRS), the journal's key, and the
    certificates that the gate got itself with their keys and account. Mail in the queue is in it as it came.

    Not in it: the configuration, and the master key. Keep copies of both, apart from the backups.

    Example: gatepost backup create /backup/gatepost-today
    """


@backup.command("create")
@click.argument("target", type=click.Path(path_type=Path))
@config_option
@click.option(
    "--without-secrets",
    is_flag=True,
    help="Leave out the secret of rewritten senders, the journal's key and certificates; a restored gate makes new ones.",
)
@click.option("--json", "as_json", is_flag=True, help="The manifest as JSON.")
@failing_clearly
def create(target: Path, config: str | None, *, without_secrets: bool, as_json: bool) -> None:
    """Write a backup into the new folder TARGET, as of one moment; the gate may be running.

    It holds mail: keep it where only you can read it. Secrets and certificates are sealed under the master key, which is not in it.

    Example: gatepost backup create /backup/gatepost-2026-11-24
    """
    from gatepost.app.installation import insist_on_state, keys_for_secrets
    from gatepost.config.place import place_of
    from gatepost.store.backup import backup as write
    from gatepost.store.failures import StoreFailed

    place = place_of(find_config(config))
    insist_on_state(place)
    if target.exists():
        raise StoreFailed(f"{target} exists already: name a new folder")
    with Progress() as tell:
        keys = None if without_secrets else keys_for_secrets(place)
        manifest = write(place.state, target, now=time.time(), keyring=keys, tell=tell)
    if as_json:
        click.echo(json.dumps(asdict(manifest)))
        return
    counts = manifest.counts
    click.echo(
        f"{target}: {counts['messages']:,} messages, {counts['history']:,} entries of history,"
        f" {counts['journal']:,} of the journal; {len(manifest.files):,} files."
    )
    if (place.key_file or place.state / "keys" / "quarantine.key").exists():
        click.echo(
            "The master key (of held mail, signing keys, one-time codes, and of the secrets in it) is not in it: keep a copy of the"
            " key file, apart.",
            err=True,
        )


@backup.command("verify")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@failing_clearly
def verify(target: Path, as_json: bool) -> None:
    """Is the backup in TARGET whole and unaltered? Exit status 1 when it is not.

    Example: gatepost backup verify /backup/gatepost-2026-11-24
    """
    from gatepost.store.backup import verify as problems_of

    with Progress() as tell:
        problems = problems_of(target, tell=tell)
    if as_json:
        click.echo(json.dumps({"sound": not problems, "problems": problems}, ensure_ascii=False))
    for problem in problems:
        if not as_json:
            click.echo(f"{problem}.", err=True)
    if problems:
        sys.exit(1)
    if not as_json:
        click.echo(f"{target} is whole and unaltered.")


@backup.command("restore")
@click.argument("source", type=click.Path(path_type=Path))
@config_option
@click.option(
    "--deliver", is_flag=True, help="Let what was queued then go out at once; it may arrive a second time."
)
@click.option(
    "--keep-app-passwords",
    is_flag=True,
    help="Leave app passwords, tokens, client certificates and recovery codes as they were: also those revoked or used since.",
)
@click.option(
    "--without-secrets",
    is_flag=True,
    help="The master key is lost: make new secrets and certificates. Bounces to senders rewritten before do not find back.",
)
@click.option(
    "--gone",
    "since",
    type=click.Path(path_type=Path),
    help="Where it stands what was erased and taken away since: the old state folder, moved away; a newer backup; or a list"
    " (gatepost backup gone).",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@failing_clearly
def restore(
    source: Path,
    config: str | None,
    *,
    deliver: bool,
    keep_app_passwords: bool,
    without_secrets: bool,
    since: Path | None,
    as_json: bool,
) -> None:
    """Make the state of this configuration from the backup in SOURCE. The gate must be stopped; run it as the gate's user.

    Put the master key in its place first (keys/quarantine.key in the state folder, else empty, or [quarantine] key_file): it opens
    the secrets and certificates of the backup.
    What was queued is held (gatepost queue retry lets it go on), since it may have been delivered after the backup.
    Nobody is signed in, and app passwords, tokens, client certificates and recovery codes end, since some may have been
    revoked or used after the backup: people make new ones. Whoever was erased since, and accounts, roles and passkeys that were
    taken away, come back unless --gone says where it stands.
    A backup of an older Gatepost is brought up to date when the gate starts.

    Example: gatepost backup restore /backup/gatepost-2026-11-24 --gone /var/lib/gatepost.old
    """
    from gatepost.config.schema import load
    from gatepost.jobs.presence import is_running
    from gatepost.store.backup import restore as make
    from gatepost.store.failures import StoreFailed
    from gatepost.store.gone import read
    from gatepost.store.store import keyring

    loaded = load(find_config(config))
    if is_running(loaded.state):
        raise StoreFailed(f"a gate is at work on {loaded.state}: stop it first")
    why = None if deliver else RESTORED.format(source.name)
    known = read(since) if since is not None else None
    with Progress() as tell:
        restored = make(
            source, loaded.state, hold_because=why, keep_app_passwords=keep_app_passwords,
            keyring=None if without_secrets else keyring(loaded.state, loaded.key_file), gone=known, tell=tell,
        )  # fmt: skip
    manifest = restored.manifest
    if as_json:
        told = {
            "counts": manifest.counts,
            "ended": restored.ended,
            "passkeys": restored.passkeys,
            "secrets": restored.secrets,
            "again": dict(restored.again.done) if restored.again else None,
        }
        click.echo(
            json.dumps({"state": str(loaded.state), **told, "administrators": restored.administrators})
        )
        return
    queued = manifest.counts.get("queue", 0)
    held = "" if deliver or not queued else f"; {queued:,} queued copies are held until gatepost queue retry"
    click.echo(f"{loaded.state} is as it was on {moment(manifest.made_at)}{held}.")
    tell_good_again(restored, known, kept=keep_app_passwords)
    if without_secrets:
        click.echo(
            "Secrets and certificates are made anew: bounces to senders rewritten before do not find back, and TLSA records must"
            " fit the new key (gatepost cert records)."
        )
    if not (loaded.key_file or loaded.state / "keys" / "quarantine.key").exists():
        click.echo(
            "Put the master key back before you start it (keys/quarantine.key, or [quarantine] key_file)."
        )


def tell_good_again(restored: Restored, known: GoneList | None, *, kept: bool) -> None:
    """What ended, what is gone again, and what is good again though it may have been taken away since."""
    ended = ", ".join(
        f"{number:,} {name.replace('_', ' ')}" for name, number in restored.ended.items() if number
    )
    if ended:
        click.echo(
            f"Ended, since they may have been revoked or used meanwhile: {ended}. People make new ones."
        )
    if kept:
        click.echo(
            "App passwords, tokens, client certificates and recovery codes revoked or used since are good again."
        )
    tell_again(restored.again, known, restored.manifest.made_at)
    if (restored.passkeys or restored.administrators) and not (known is not None and known.whole):
        click.echo(
            f"Good again, too: {restored.passkeys:,} passkeys, and the roles of {restored.administrators:,} accounts. Whoever"
            " lost a device, a role or the account since has it again: look through gatepost user list."
        )


backup.add_command(gone)

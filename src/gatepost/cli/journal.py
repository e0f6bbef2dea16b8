"""`gatepost journal`: who did what; is it unaltered; its head to be kept elsewhere."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from gatepost.cli.progress import Progress
from gatepost.cli.story import moment
from gatepost.cli.terminal import config_option, failing_clearly, find_config, json_line, say, whoami


@click.group()
def journal() -> None:
    """Who did what, and why; is it unaltered?

    Example: gatepost journal list --about 2N515RPF08P1Z
    """


@journal.command("list")
@config_option
@click.option("--about", help="Only what was done about this message (its reference) or this address.")
@click.option("--who", help="Only what this person did.")
@click.option("--kind", help='Only acts of this kind, such as "quarantine release".')
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an entry.")
@failing_clearly
def journal_list(
    *, config: str | None, about: str | None, who: str | None, kind: str | None, limit: int, as_json: bool
) -> None:
    """List what people did, the newest first.

    Example: gatepost journal list --about ana@example.net
    """
    from gatepost.app.installation import opened
    from gatepost.store.ref import as_typed

    with opened(find_config(config)) as installation:
        address = about.strip().strip("<>") if about and "@" in about else None
        subject = as_typed(about) if about and address is None else None
        entries = installation.store.journal(subject=subject, about=address, who=who, kind=kind, limit=limit)
    for entry in entries:
        if as_json:
            click.echo(json_line(asdict(entry)))
        else:
            why = f": {entry.why}" if entry.why else ""
            subject = f" {entry.subject}" if entry.subject else ""
            say(f"{entry.number:>6}  {moment(entry.at)}  {entry.who}  {entry.what}{subject}{why}")
    if not entries and not as_json:
        asked = any((about, who, kind))
        click.echo(f"Nothing {'like that ' if asked else ''}is in the journal.", err=True)


@journal.command("verify")
@config_option
@click.option(
    "--head", "heads", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with heads that were sent away: each must still be in the journal.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@failing_clearly
def journal_verify(config: str | None, heads: tuple[Path, ...], as_json: bool) -> None:
    """Is every entry as it was written, and none missing? Exit status 1 when not.

    A cut of the newest entries only shows against an older head: one that was sent away ([journal] send_head_to), or the
    one in a backup (gatepost backup verify).

    Example: gatepost journal verify --head /mnt/elsewhere/journal-heads
    """
    from gatepost.app.installation import opened
    from gatepost.store import journal as chain
    from gatepost.store.failures import StoreFailed
    from gatepost.store.journalhead import HeadKey, read_heads, trusted

    kept = [one for path in heads for one in read_heads(path.read_text("utf-8", "replace"))]
    if heads and not kept:
        raise StoreFailed(f"{heads[0]} holds no head of a journal: gatepost journal head prints one")
    with opened(find_config(config)) as installation:
        known, problem = trusted(kept, HeadKey(installation.store.folder).public() if kept else None)
        if problem is None:
            with Progress() as tell:
                problem = installation.store.database.read(
                    lambda connection: chain.verify(
                        connection, *known, seen=lambda number: tell("Entries of the journal", number)
                    )
                )
        head, erased = installation.store.database.read(
            lambda connection: (chain.head(connection), chain.count_erased(connection))
        )
    if as_json:
        told = {
            "sound": problem is None, "problem": problem, "number": head.number, "chain": head.chain.hex(),
            "erased_fields": erased, "heads": len(known),
        }  # fmt: skip
        click.echo(json.dumps(told))
    elif problem is None:
        also = f"; {erased:,} fields were erased" if erased else ""
        also += f"; {len(known):,} heads from elsewhere are all in it" if known else ""
        click.echo(f"The journal is unaltered up to entry {head.number} ({head.chain.hex()[:16]}…){also}.")
    else:
        click.echo(f"{problem}.", err=True)
    if problem is not None:
        sys.exit(1)


@journal.command("head")
@config_option
@failing_clearly
def journal_head(config: str | None) -> None:
    """Print the signed head, one line of JSON: keep it elsewhere, and entries cut off later are known by it.

    Example: gatepost journal head >> /mnt/elsewhere/journal-heads
    """
    from gatepost.app.installation import opened
    from gatepost.store import journal as chain
    from gatepost.store.journalhead import HeadKey

    with opened(find_config(config)) as installation:
        head = installation.store.database.read(chain.head)
        hostname = installation.loaded.config.hostname
        click.echo(HeadKey(installation.store.folder).sign(hostname, head, time.time()).line)


@journal.command("export")
@config_option
@failing_clearly
def journal_export(config: str | None) -> None:
    """Print the whole journal as lines of JSON, with all it takes to verify it; the last line is the signed head.

    Example: gatepost journal export > journal.jsonl
    """
    from gatepost.app.installation import opened
    from gatepost.store import journal as chain
    from gatepost.store.database import Connection
    from gatepost.store.journalhead import HeadKey

    with opened(find_config(config)) as installation:

        def lines(connection: Connection) -> chain.Head:
            with Progress(alone=True) as tell:
                for record in tell.through("Entries of the journal", chain.export(connection)):
                    click.echo(json_line(record))
            return chain.head(connection)

        last = installation.store.database.read(lines)
        hostname = installation.loaded.config.hostname
        click.echo(HeadKey(installation.store.folder).sign(hostname, last, time.time()).line)


@journal.command("erase")
@click.argument("person")
@click.option(
    "--reason", required=True, help="Why, without the person's name: it is written into the journal."
)
@config_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@failing_clearly
def journal_erase(person: str, reason: str, config: str | None, as_json: bool) -> None:
    """Erase one person's address, login or name from the journal; the chain still verifies.

    Number, time and kind of every act stay. Backups and exports of before hold the name still.

    Example: gatepost journal erase ana@example.net --reason "request 12"
    """
    from gatepost.app.installation import opened
    from gatepost.store import gone
    from gatepost.store import journal as chain
    from gatepost.store.database import Connection
    from gatepost.store.failures import StoreFailed
    from gatepost.store.holds import concerning

    if not person.strip():
        raise StoreFailed("name whom to erase: an address, a login or a name")
    if person.casefold() in reason.casefold():
        raise StoreFailed("the reason names the person, and would stand in the journal: name a case instead")

    def work(connection: Connection) -> int:
        if concerning(connection, person.strip()):
            raise StoreFailed("a legal hold is in force over them: gatepost privacy hold list names it")
        number = chain.erase(connection, person.strip())
        gone.note(connection, "journal", person.strip())
        chain.append(
            connection, at=time.time(), who=whoami(), what=f"journal erase {number} fields", why=reason
        )
        return number

    with opened(find_config(config)) as installation:
        number = installation.run(installation.store.database.commit(work))
    if as_json:
        click.echo(json.dumps({"erased_fields": number}))
    else:
        click.echo(f"{number:,} fields were erased.")

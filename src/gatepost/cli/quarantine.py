"""`gatepost quarantine`: what is held for a person, and letting it go, with what the next hop said to it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gatepost.cli.acting import acting, show, to_option, why_option
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
    from gatepost.store.records import Held

STATES = ("held", "requested", "released", "deleted", "expired")
IN_FLIGHT_S = 60.0
"""No message takes so long from being sealed to being committed."""


@click.group()
def quarantine() -> None:
    """What is held for a person. It is sealed on the disk; [quarantine] key_file opens it.

    Example: gatepost quarantine release 2N515RPF08P1Z
    """


@quarantine.command("list")
@config_option
@click.option(
    "--state", type=click.Choice([*STATES, "all"]), help="Only these; without it, what is undecided."
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="How many at most.")
@json_option
@failing_clearly
def quarantine_list(config: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List what is held, the newest first; or what was, by what became of it.

    Example: gatepost quarantine list --state requested
    """
    from gatepost.app.installation import opened
    from gatepost.store import quarantine as rows

    wanted = rows.State(state) if state not in (None, "all") else None
    with opened(find_config(config)) as installation:
        found = installation.store.database.read(
            lambda connection: rows.find(connection, limit=limit, state=wanted, decided=state == "all")
        )
    show(found, as_json, held_line, f"Nothing is {state}." if wanted else "Nothing is held.")


@quarantine.command("show")
@click.argument("ref")
@config_option
@click.option(
    "--raw", is_flag=True, help="The message as it was received, octet for octet, on standard output."
)
@json_option
@failing_clearly
def quarantine_show(ref: str, config: str | None, raw: bool, as_json: bool) -> None:
    """Show one held message: why it is held and what became of it, or with --raw the message itself, which its owner sees.

    Example: gatepost quarantine show --raw 2N515RPF08P1Z > held.eml
    """
    from gatepost.access.rights import on_this_machine
    from gatepost.app.installation import opened
    from gatepost.app.office import office_of
    from gatepost.office.glass import Glass
    from gatepost.store.ref import as_typed

    if raw and sys.stdout.isatty():
        raise click.UsageError(
            "--raw would let the message speak to your terminal: send it to a file or a pager."
        )
    with opened(find_config(config)) as installation:
        found = installation.store.held(ref=as_typed(ref), decided=not raw)
        if raw and found:
            glass = Glass(office=office_of(installation.loaded, installation.store))
            octets = installation.run(glass.read(on_this_machine(whoami()), found[0].ref))
            sys.stdout.buffer.write(octets)
            return
    show(found, as_json, held_line, f"{ref} is not held.", missing_is_failure=True)


@quarantine.command("release")
@click.argument("ref")
@config_option
@to_option
@why_option
@click.option("--force", is_flag=True, help="Also what is held as malware; takes --why.")
@click.option(
    "--learn/--no-learn",
    default=True,
    help="Teach the classifier that it is wanted (the default; never malware).",
)
@click.option(
    "--wait", "wait_s", default=10.0, show_default=True, type=click.FloatRange(0, 600),
    help="Seconds to wait for what the next hop says.",
)  # fmt: skip
@json_option
@failing_clearly
def release(
    *, ref: str, config: str | None, to: str | None, why: str, force: bool, learn: bool, wait_s: float, as_json: bool
) -> None:  # fmt: skip
    """Let a held message go, byte for byte as it came, and tell what the next hop said.

    Exit status 1 when there was nothing to release or a next hop refused it; 0 also when it still waits in the queue.

    Example: gatepost quarantine release 2N515RPF08P1Z --why 'ana expects it'
    """
    from gatepost.access.rights import on_this_machine
    from gatepost.app.installation import opened
    from gatepost.app.office import office_of
    from gatepost.jobs.presence import is_running
    from gatepost.office.holding import Holding
    from gatepost.store.postmaster import insist_on_force
    from gatepost.store.ref import as_typed

    with opened(find_config(config)) as installation:
        store, began = installation.store, time.time()
        held = store.held(ref=as_typed(ref), to=to)
        if held:
            store.octets_of(held[0].ref)  # a lost key is told before anything is changed
        insist_on_force(held, force=force, why=why)
        holding = Holding(office=office_of(installation.loaded, store))
        numbers = [one.id for one in held]
        actor = on_this_machine(whoami())
        copies = installation.run(holding.release(actor, numbers, why, learn=learn)).done if held else ()
        if not copies:
            click.echo(
                f"{ref} has no such copy in the quarantine. What became of it: gatepost quarantine show {ref}",
                err=True,
            )
            sys.exit(1)
        running = is_running(installation.loaded.state)
        answers = installation.run(holding.answers(copies, began, wait_s=wait_s if running else 0.0))
    failed = False
    for copy in copies:
        answer = answers.get((copy.ref, copy.to))
        failed |= answer is not None and answer.status == "failed"
        if as_json:
            told = {"ref": copy.ref, "to": copy.to, "done": "is on its way"}
            click.echo(json_line(told | {"delivery": asdict(answer) if answer else None}))
        else:
            click.echo(harmless(f"{copy.ref} for {copy.to}: {words_of(answer, running=running)}"))
    sys.exit(1 if failed else 0)


def words_of(answer: Any, *, running: bool) -> str:
    """What became of a released copy so far."""
    if answer is None:
        wait = "it is in the queue" if running else "it is in the queue until the gate runs again"
        return f"is on its way; {wait}"
    said = answer.reply or answer.reason
    word = {"delivered": "delivered", "deferred": "not delivered yet", "failed": "refused"}[answer.status]
    return f"{word} by {answer.host}: {said}"


acting(
    quarantine,
    "delete",
    "delete",
    "is deleted",
    "Delete a held message for good; on record stays that it was.\n\nExample: gatepost quarantine delete 2N515RPF08P1Z --why malware",
)
acting(
    quarantine,
    "request",
    "request",
    "is asked for",
    "Ask for a held message on behalf of its recipient.\n\nExample: gatepost quarantine request 2N515RPF08P1Z --why 'ben called'",
)
acting(
    quarantine,
    "deny",
    "deny",
    "stays held",
    "Do not let go what a recipient asked for.\n\nExample: gatepost quarantine deny 2N515RPF08P1Z --why 'it is a lure'",
)


@quarantine.command("rekey")
@config_option
@why_option
@click.option("--forget-old", is_flag=True, help="No new key: take those out that seal nothing any more.")
@failing_clearly
def rekey(config: str | None, why: str, forget_old: bool) -> None:
    """Make a new master key, and wrap the keys of all that is held under it; the gate may be running.

    Old keys stay in the file, for backups that were made under them, until --forget-old.

    Example: gatepost quarantine rekey --why 'ben has left'
    """
    from gatepost.app.installation import opened
    from gatepost.store.upkeep import reseal

    with opened(find_config(config)) as installation:
        store = installation.store
        before = store.keys.ids()
        if forget_old and len(before) > 1 and time.time() - store.keys.path.stat().st_mtime < IN_FLIGHT_S:
            raise click.UsageError(
                "The keys have just changed: mail may still be on its way under the old one. Wait a minute."
            )
        if not forget_old:
            name = store.keys.add_key()
            note(installation, f"quarantine rekey {name}", "", why)
            click.echo(f"{store.keys.path} has the new master key {name}: renew the copy you keep of it.")
        wrapped = installation.run(reseal(store))
        click.echo(f"{wrapped:,} held messages had another key and are wrapped under the newest now.")
        if forget_old and len(before) > 1:
            store.keys.forget(before[:-1])
            note(installation, f"quarantine forget {' '.join(before[:-1])}", "", why)
            click.echo(
                f"Forgotten: {', '.join(before[:-1])}. Held mail in backups made under them cannot be opened with this file."
            )


def note(installation: Any, what: str, ref: str, why: str = "") -> None:
    """Write into the journal what was done to the keys."""
    from gatepost.store.postmaster import Postmaster, Why

    told = Why(who=whoami(), why=why, at=time.time())
    installation.run(Postmaster(installation.store).note(what, told, subject=ref))


def held_line(row: Held) -> str:
    """One copy in quarantine, or what became of it."""
    became = ""
    if row.state != "held":
        by = f" by {row.changed_by}" if row.changed_by else ""
        because = f" ({row.changed_why})" if row.changed_why else ""
        became = f"  {row.state} {moment(row.changed_at)}{by}{because}"
    kind = f" [{row.category}]" if row.category else ""
    original = "  the original of a copy delivered without its attachments" if row.original else ""
    return (
        f"{row.ref}  since {moment(row.held_at)}  {row.sender or '<>'} -> {row.to}{kind}  {row.rule}: {row.reason}"
        f"{original}{became}"
    )


def tell_held(rows: Iterable[Held]) -> None:
    """At the end of a message's story: what became of each copy that was held, or is the original of one delivered changed."""
    for row in rows:
        original = "the original, " if row.original else ""
        by = f" by {row.changed_by}" if row.changed_by else ""
        because = f": {row.changed_why}" if row.changed_why else ""
        say(f"  {moment(row.changed_at)}  quarantine, {original}for {row.to}: {row.state}{by}{because}")

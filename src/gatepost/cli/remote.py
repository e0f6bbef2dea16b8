"""`gatepost --remote URL …`: the commands that look and act, on a gate elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import click

from gatepost.cli.afar import A_PAGE, Remote
from gatepost.cli.looking import read_client, read_span, who
from gatepost.cli.remoteprivacy import privacy
from gatepost.cli.story import moment
from gatepost.cli.terminal import (
    harmless,
    json_line,
    json_option,
    say,
)

STATUS = {"well": 0, "warning": 1, "critical": 2}
EXAMPLE = "Example: gatepost --remote https://console.example.net"

Row = dict[str, Any]

why_option = click.option("--why", default="", help="The reason, for the journal.")
to_option = click.option("--to", default="", help="Only the copy for this final address.")
limit_option = click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1), help="How many at most."
)


@click.command()
@json_option
@click.pass_obj
def status(remote: Remote, as_json: bool) -> None:
    """Is it well? Exit status 0 it is well, 1 a warning, 2 critical.

    Example: gatepost --remote https://console.example.net status
    """
    seen = remote.get("/v1/status")
    if as_json:
        click.echo(json_line(seen))
    else:
        say(f"{seen['hostname']}: {seen['state']}")
        say(f"  queue        {seen['queued']:,} copies, {seen['due']:,} due, {seen['stopped']:,} stopped")
        say(f"  quarantine   {seen['held']:,} copies held, {seen['requested']:,} asked for")
        for one in seen["concerns"]:
            say(f"{str(one['level']).upper()}: {one['text']}")
            say(f"    {one['remedy']}")
    sys.exit(STATUS.get(seen["state"], 2))


@click.command()
@click.option("--from", "sender", default="", help='Sender: an address, a domain, or "<>".')
@click.option("--to", "recipient", default="", help="Recipient: an address or a domain.")
@click.option("--client-ip", default="", help="Who connected.")
@click.option("--message-id", default="", help="With or without angle brackets.")
@click.option(
    "--action", type=click.Choice(["deliver", "junk", "quarantine", "refuse", "defer"]), help="What was done."
)
@click.option("--since", help="From when on: a date or how long ago.")
@click.option("--until", help="Until when.")
@limit_option
@json_option
@click.pass_obj
def history(
    remote: Remote, *, sender: str, recipient: str, client_ip: str, message_id: str, action: str | None,
    since: str | None, until: str | None, limit: int, as_json: bool,
) -> None:  # fmt: skip
    """Find messages, newest first.

    Example: gatepost --remote https://console.example.net history --to ana@example.net --since 2d
    """
    start, end = read_span(since, until)
    rows = remote.pages(
        "/v1/messages", "messages", limit, sender=who(sender), recipient=who(recipient), client=read_client(client_ip or None), message_id=message_id,
        action=action, since=int(start) if start is not None else None, until=int(end) if end is not None else None,
    )  # fmt: skip
    for row in rows:
        if as_json:
            click.echo(json_line(row))
        else:
            to = ", ".join(row["recipients"][:3]) or "-"
            say(
                f"{row['ref']}  {moment(row['at'])}  {row['action']:<10}  {row['sender'] or '<>'} -> {to}  {row['rule']}"
                f"  {row['subject'] or ''}",
                hang=15,
            )  # fmt: skip


@click.command()
@click.argument("ref")
@json_option
@click.pass_obj
def explain(remote: Remote, ref: str, as_json: bool) -> None:
    """The story of one message.

    Example: gatepost --remote https://console.example.net explain 2N515RPF08P1Z
    """
    told_ = remote.get(f"/v1/messages/{quote(ref.upper(), safe='')}")
    if as_json:
        click.echo(json_line(told_))
        return
    for one in told_["verdicts"]:
        say(f"{one['action']} for {', '.join(one['recipients']) or '-'}: {one['reason'] or one['rule']}")
    say(
        f"  from {told_['sender'] or '<>'} at {told_['client'] or '-'} ({told_['hello']}), {moment(told_['at'])}"
    )
    say(f"  subject  {told_['subject'] if told_['subject'] is not None else '(not yours to see)'}")
    for one in told_["findings"]:
        say(f"  {one['weight']:+6.1f}  {one['name']}: {one['text']}", hang=10)
    for one in told_["deliveries"]:
        say(
            f"  {moment(one['at'])}  {one['status']} to {one['to']} at {one['host']}: {one['reply'] or one['reason']}"
        )
    for one in told_["held"]:
        say(f"  quarantine, for {one['to']}: {one['state']} {one['changed_why']}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Copies that are kept there, and what can be done with them: the quarantine, or the queue."""

    name: str
    """Of the command, and of the place in the API."""
    about: str
    listed: str
    """What `list` does."""
    shown: str
    cursor: str
    """What the next page is asked for by."""
    line: Callable[[Row], str]
    """One copy as a line."""
    acts: Mapping[str, str]
    """Verb -> what it does."""
    told: Callable[[str, str, Row], None]
    """Reference, verb and answer: say what was done."""
    states: tuple[str, ...] = ()
    """What `list` can be narrowed to."""
    with_act: Mapping[str, Row] = field(default_factory=dict)
    """What goes along with an act, by its verb."""

    @property
    def path(self) -> str:
        """In the API."""
        return f"/v1/{self.name}"

    def show(self, rows: Iterable[Row], *, as_json: bool) -> None:
        """As lines."""
        for row in rows:
            click.echo(json_line(row)) if as_json else say(self.line(row), hang=15)

    def group(self) -> click.Group:
        """The command with all of its own."""
        found = click.Group(self.name, help=f"{self.about}\n\n{EXAMPLE} {self.name} list")
        found.add_command(self._list())
        found.add_command(self._show())
        for verb, about in self.acts.items():
            found.add_command(self._act(verb, about))
        return found

    def _list(self) -> click.Command:
        example = f"{EXAMPLE} {self.name} list" + (" --state requested" if self.states else "")

        @click.command("list", help=f"{self.listed}\n\n{example}")
        @limit_option
        @json_option
        @click.pass_obj
        def command(remote: Remote, /, limit: int, as_json: bool, **narrowed: str | None) -> None:
            rows = remote.pages(self.path, "copies", limit, cursor=self.cursor, **narrowed)
            self.show(rows, as_json=as_json)

        return click.option("--state", type=click.Choice(self.states))(command) if self.states else command

    def _show(self) -> click.Command:
        @click.command("show", help=f"{self.shown}\n\n{EXAMPLE} {self.name} show 2N515RPF08P1Z")
        @click.argument("ref")
        @json_option
        @click.pass_obj
        def command(remote: Remote, ref: str, as_json: bool) -> None:
            self.show(self._copies(remote, ref), as_json=as_json)

        return command

    def _act(self, verb: str, about: str) -> click.Command:
        @click.command(verb, help=f"{about}\n\n{EXAMPLE} {self.name} {verb} 2N515RPF08P1Z")
        @click.argument("ref")
        @to_option
        @why_option
        @json_option
        @click.pass_obj
        def command(remote: Remote, ref: str, to: str, why: str, as_json: bool) -> None:
            copies = chosen(self._copies(remote, ref), to, ref)
            body = {"act": verb, "copies": copies, "reason": why, **self.with_act.get(verb, {})}
            done = remote.post(self.path, body)
            if as_json:
                click.echo(json_line(done))
            else:
                self.told(ref, verb, done)
            if not done["done"] and not done.get("requested"):
                sys.exit(1)

        return command

    def _copies(self, remote: Remote, ref: str) -> list[Row]:
        copies: list[Row] = remote.get(self.path, ref=ref, limit=A_PAGE)["copies"]
        return copies


def held_line(row: Row) -> str:
    """One held copy."""
    kind = f" [{row['category']}]" if row["category"] else ""
    return (
        f"{row['ref']}  {row['state']} since {moment(row['held_at'])}  {row['sender'] or '<>'} -> {row['to']}{kind}"
        f"  {row['rule']}: {row['reason']}"
    )


def queued_line(row: Row) -> str:
    """One copy in the queue."""
    state = (
        f"held: {row['stopped_because']}" if row["stopped_because"] is not None
        else "being tried" if row["being_tried"] else f"next {moment(row['due_at'])}"
    )  # fmt: skip
    return (
        f"{row['ref']}  since {moment(row['created_at'])}  {row['sender'] or '<>'} -> {row['to']}  tries {row['tries']}"
        f"  {state}  {row['last_reply']}"
    )


def told_of_held(ref: str, verb: str, answer: Row) -> None:
    """What was done with held copies, and what the next hop said of those let go."""
    said = {
        one["to"]: f"{one['status']} by {one['host']}: {one['reply'] or one['reason']}"
        for one in answer["deliveries"]
    }
    for one in answer["done"]:
        say(f"{one['ref']} for {one['to']}: {verb} {said.get(one['to'], 'done')}")
    for one in answer["requested"]:
        say(f"{one['ref']} for {one['to']}: asked for; a postmaster decides")
    for one in answer["left"]:
        click.echo(harmless(f"{ref}: {one['why']}"), err=True)


def told_of_queued(ref: str, verb: str, answer: Row) -> None:
    """What was done with waiting copies."""
    for one in answer["done"]:
        say(f"{one['ref']} for {one['to']}: {verb} done")
    if not answer["done"]:
        raise click.ClickException(f"{ref} has no such copy any more, or it is being delivered just now.")


def chosen(copies: list[Row], to: str, ref: str) -> list[int]:
    """The numbers of the copies meant. Raises ClickException when there is none."""
    numbers = [one["number"] for one in copies if not to or one["to"].lower() == to.lower()]
    if not numbers:
        raise click.ClickException(harmless(f"{ref} has no such copy."))
    return numbers


KEPT = (
    Kept(
        name="quarantine",
        about="What is held for a person.",
        listed="List what is held, the newest first.",
        shown="Show one held message.",
        cursor="before",
        states=("held", "requested", "released", "deleted", "expired"),
        line=held_line,
        acts={
            "release": "Let a held message go, byte for byte as it came, and tell what the next hop said.",
            "request": "Ask for a held message; a postmaster decides.",
            "deny": "Do not let go what a recipient asked for.",
            "delete": "Delete a held message for good.",
        },
        told=told_of_held,
        with_act={"release": {"wait": 10}},
    ),
    Kept(
        name="queue",
        about="What waits for delivery.",
        listed="List what waits, the oldest first.",
        shown="Show every copy of one message in the queue.",
        cursor="after",
        line=queued_line,
        acts={
            "retry": "Try a message again now, held ones too.",
            "hold": "Stop a message in the queue until it is retried.",
            "drop": "Take a message out of the queue, undelivered; nobody is told.",
        },
        told=told_of_queued,
    ),
)

COMMANDS: Mapping[str, click.Command] = {
    "status": status, "history": history, "explain": explain, "privacy": privacy, **{one.name: one.group() for one in KEPT},
}  # fmt: skip
"""What works from afar."""

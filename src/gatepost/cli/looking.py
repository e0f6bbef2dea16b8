"""`gatepost explain` and `gatepost history`: what became of a message, and finding it."""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime
from ipaddress import ip_address

import click

from gatepost.cli.progress import Progress
from gatepost.cli.quarantine import tell_held
from gatepost.cli.story import moment, tell
from gatepost.cli.terminal import config_option, failing_clearly, find_config, harmless, json_line, say
from gatepost.mail.verdict import Action
from gatepost.scan.report import story_json, strictest
from gatepost.store.history import Search
from gatepost.store.records import HistoryEntry
from gatepost.store.ref import as_typed, made_at

AGO = re.compile(r"(\d+)\s*([smhdw])\Z")
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
SHORTEST_REF = 4
HANG = 15
"""Where a folded line goes on: behind the reference."""


@click.command()
@click.argument("ref")
@config_option
@click.option("--json", "as_json", is_flag=True, help="As in scan, plus envelope, timeline and deliveries.")
@failing_clearly
def explain(ref: str, config: str | None, as_json: bool) -> None:
    """Tell the whole story of one message in plain words.

    REF is the reference in refusals, log lines and headers; its first characters are enough when nothing else begins so.

    Example: gatepost explain 2N50XR3CZPCTX
    """
    from gatepost.app.installation import opened

    with opened(find_config(config)) as installation:
        store = installation.store
        wanted = as_typed(ref.removeprefix("[ref ").removesuffix("]"))
        if len(wanted) < SHORTEST_REF:
            raise click.UsageError(
                f"{ref} is too short: give at least {SHORTEST_REF} characters of the reference."
            )
        found = store.find(Search(ref=wanted), limit=20).entries
        if not found:
            click.echo(harmless(nowhere(ref, wanted)), err=True)
            sys.exit(1)
        if len(found) > 1 and found[0].ref != wanted:
            click.echo(f"Several references begin with {ref}:", err=True)
            for entry in found:
                click.echo(f"  {harmless(one_line(entry))}", err=True)
            sys.exit(1)
        entry = found[0]
        attempts = store.attempts_of(entry.ref)
        held = store.held(ref=entry.ref, decided=True)
    if as_json:
        click.echo(json_line(story_json(entry, attempts)))
        return
    for label, text in tell(entry, attempts):
        say(label + text, bold=not label, hang=len(label))
    tell_held(held)


def nowhere(ref: str, wanted: str) -> str:
    """What to say of a reference that is in no row, and where else its story may be."""
    at = made_at(wanted)
    if at is None:
        return f"No message with the reference {ref} is on record here."
    return (
        f"No message with the reference {ref} is on record here. It was given out at {moment(at)}: older than "
        f"[retention] history, or turned away while the disk was full, which only the log has "
        f"(journalctl -u gatepost --grep {wanted})."
    )


@click.command()
@config_option
@click.option("--from", "sender", help='Envelope sender: an address, a domain, or "<>" for the null sender.')
@click.option("--to", "recipient", help="Recipient: an address or a domain.")
@click.option("--subject", default="", help="Words within the subject, as they follow each other there.")
@click.option("--rule", default="", help='The rule that decided, or its beginning: "dmarc.reject", "score".')
@click.option("--client-ip", help="The client's address.")
@click.option("--message-id", help="The Message-ID, with or without angle brackets.")
@click.option("--action", type=click.Choice([one.value for one in Action]), help="What was done.")
@click.option(
    "--would",
    type=click.Choice([one.value for one in Action]),
    help="What enforcing would have done, where the gate only observes.",
)
@click.option("--outgoing", is_flag=True, help="Only what our own people and machines sent.")
@click.option("--account", help="Only what this account sent: its login, or the address of a machine.")
@click.option("--since", help='A date ("2026-11-24", "2026-11-24 07:00") or how long ago ("3d", "12h").')
@click.option("--until", help="The same.")
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="How many, newest first.",
)
@click.option("--json", "as_json", is_flag=True, help="One line a message, as explain --json has it.")
@failing_clearly
def history(
    *, config: str | None, sender: str | None, recipient: str | None, subject: str, rule: str, client_ip: str | None,
    message_id: str | None, action: str | None, would: str | None, since: str | None, until: str | None, limit: int, as_json: bool,
    outgoing: bool, account: str | None,
) -> None:  # fmt: skip
    """Find messages by any of sender, recipient, subject, rule, client, Message-ID, time and action; the newest first.

    All that is given must hold. Times are in UTC. Exit status 0, also when nothing is found.

    Example: gatepost history --to ana@example.net --would refuse --since 3d
    """
    from gatepost.app.installation import opened

    start, end = read_span(since, until)
    search = Search(
        sender=who(sender), recipient=who(recipient), subject=subject, rule=rule, message_id=message_id,
        client_ip=read_client(client_ip), action=Action(action) if action else None, since=start, until=end,
        outgoing=outgoing, account=account,
    )  # fmt: skip
    with opened(find_config(config)) as installation, Progress(alone=True) as progress:
        store = installation.store
        number, read, after = 0, 0, None
        while number < limit:
            page = store.find(search, limit=500 if would else min(limit - number, 500), after=after)
            for entry in page.entries:
                read += 1
                progress("Messages of the history", read)
                if would and would not in {one.verdict.would_action for one in entry.judged}:
                    continue
                number += 1
                if as_json:
                    click.echo(json_line(story_json(entry, store.attempts_of(entry.ref))))
                else:
                    say(one_line(entry), hang=HANG)
                if number == limit:
                    break
            after = page.next
            if after is None:
                break
    if number == 0 and not as_json:
        click.echo("Nothing like that is on record.", err=True)


def one_line(entry: HistoryEntry) -> str:
    """One message in a list."""
    verdict = strictest(entry)
    action = verdict.action.value
    if verdict.would_action is not verdict.action:
        action += f" (would {verdict.would_action.value})"
    to = ", ".join(str(one.address) for one in entry.envelope.recipients) or "-"
    sender = str(entry.envelope.sender) if entry.envelope.sender else "<>"
    way = "out " if entry.client.account else ""
    return f"{entry.ref}  {moment(entry.at)[:19]}  {action:<10} {verdict.rule:<22} {way}{sender} -> {to}  {entry.subject[:50]}".rstrip()


def who(text: str | None) -> str | None:
    """An address as it was given; a domain alone is everybody there."""
    alone = text is not None and "@" not in text and "." in text
    return f"@{text}" if alone else text


def read_client(text: str | None) -> str | None:
    """A client's address as history has it: an IPv4 address in IPv6 form is the IPv4 address."""
    if text is None:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        raise click.UsageError(f"--client-ip {text} is not an IP address.") from None
    return str(getattr(address, "ipv4_mapped", None) or address)


def read_span(since: str | None, until: str | None) -> tuple[float | None, float | None]:
    """From when, until when, as Unix seconds."""
    start, end = read_time(since, "--since"), read_time(until, "--until")
    if start is not None and end is not None and start >= end:
        raise click.UsageError(f"--since {since} is not before --until {until}: nothing lies between.")
    return start, end


def read_time(text: str | None, option: str) -> float | None:
    """A date in UTC, or how long ago, as Unix seconds."""
    if text is None:
        return None
    ago = AGO.match(text.strip())
    if ago:
        return time.time() - int(ago[1]) * UNITS_S[ago[2]]
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise click.UsageError(
            f'{option} {text}: give a date such as "2026-11-24 07:00" or a time ago such as "3d".'
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()

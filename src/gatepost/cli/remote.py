"""`gatepost --remote URL …`: the commands that look and act, on a gate elsewhere, by its API and a token from a file."""

from __future__ import annotations

import json
import os
import ssl
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

import click

from gatepost.cli.looking import read_time
from gatepost.cli.story import moment
from gatepost.cli.terminal import harmless, json_line, say

TIMEOUT_S = 60.0
MOST_OCTETS = 64 << 20
A_PAGE = 500
STATUS = {"well": 0, "warning": 1, "critical": 2}


@dataclass(frozen=True, slots=True)
class Remote:
    """A gate elsewhere."""

    url: str
    token: str
    opener: OpenerDirector

    def get(self, path: str, **asked: object) -> dict[str, Any]:
        """What it says. Raises ClickException."""
        given = {name: str(value) for name, value in asked.items() if value not in (None, "")}
        return self._call(Request(f"{self.url}/api{path}" + (f"?{urlencode(given)}" if given else "")))  # noqa: S310

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Have something done."""
        return self._call(
            Request(  # noqa: S310 - https, or http on loopback: see `open_remote`
                f"{self.url}/api{path}", data=json.dumps(body).encode(), method="POST",
                headers={"Content-Type": "application/json"},
            )
        )  # fmt: skip

    def pages(
        self, path: str, key: str, limit: int, cursor: str = "after", **asked: object
    ) -> Iterator[dict[str, Any]]:
        """Rows, page after page, at most `limit`."""
        after: object = ""
        while limit > 0:
            page = self.get(path, **asked, **{cursor: after, "limit": min(limit, A_PAGE)})
            yield from page[key]
            limit -= len(page[key])
            after = page["next"]
            if after in (None, ""):
                return

    def _call(self, request: Request) -> dict[str, Any]:
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Accept", "application/json")
        try:
            with self.opener.open(request, timeout=TIMEOUT_S) as answer:
                read = json.loads(answer.read(MOST_OCTETS))
        except HTTPError as fault:
            raise click.ClickException(harmless(f"{self.url}: {told(fault)}")) from None
        except (URLError, HTTPException, OSError) as fault:
            why = getattr(fault, "reason", fault)
            raise click.ClickException(harmless(f"{self.url} cannot be reached: {why}")) from None
        except ValueError:
            raise click.ClickException(f"{self.url} is no gate's console: its answer is no JSON.") from None
        if not isinstance(read, dict):
            raise click.ClickException(f"{self.url} is no gate's console: its answer is none of ours.")
        return read


class NoRedirect(HTTPRedirectHandler):
    """A token goes to the host it was meant for and to no other."""

    def redirect_request(self, *_: object) -> None:
        """Never."""
        return


def told(fault: HTTPError) -> str:
    """A problem (RFC 9457) in words."""
    try:
        problem = json.loads(fault.read(100_000))
        title, detail = str(problem["title"]), str(problem.get("detail") or "")
    except (ValueError, KeyError, TypeError, OSError):
        return f"it answers {fault.code}: is that the console's URL?"
    return f"{title}. {detail}".strip() if detail else f"{title}."


def open_remote(url: str, token_file: str | None) -> Remote:
    """Raises ClickException or UsageError with what to do."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise click.UsageError(f"--remote {url} is no URL such as https://console.example.net.")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise click.UsageError("--remote: a token goes over https only, but on this machine itself.")
    if not token_file:
        raise click.UsageError(
            "--token-file FILE (or GATEPOST_TOKEN_FILE) names the file with the token; it is made in the console."
        )
    opener = build_opener(NoRedirect, HTTPSHandler(context=ssl.create_default_context()))
    return Remote(f"{parts.scheme}://{parts.netloc}", token_in(Path(token_file)), opener)


def token_in(path: Path) -> str:
    """The token; a file that others may read is refused."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise click.ClickException(f"{path} can be read by others: chmod 600 {path}")
            text = file.read(1000).decode("ascii", "replace").strip()
    except OSError as fault:
        raise click.ClickException(f"{path} cannot be read: {fault.strerror}") from None
    if not text.startswith("gatepost_") or any(one.isspace() for one in text):
        raise click.ClickException(f"{path} holds no token of a gate.")
    return text


def is_loopback(host: str) -> bool:
    """Does it stay on this machine?"""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
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
@click.option("--from", "sender", default="", help='Sender: an address, @domain, or "<>".')
@click.option("--to", "recipient", default="", help="Recipient: an address or @domain.")
@click.option("--client-ip", default="", help="Who connected.")
@click.option("--message-id", default="", help="With or without angle brackets.")
@click.option("--action", type=click.Choice(["deliver", "junk", "quarantine", "refuse", "defer"]))
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
    start, end = read_time(since, "--since"), read_time(until, "--until")
    rows = remote.pages(
        "/v1/messages", "messages", limit, sender=sender, recipient=recipient, client=client_ip, message_id=message_id,
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


@click.group()
def quarantine() -> None:
    """What is held for a person.

    Example: gatepost --remote https://console.example.net quarantine list
    """


@quarantine.command("list")
@click.option("--state", type=click.Choice(["held", "requested", "released", "deleted", "expired"]))
@limit_option
@json_option
@click.pass_obj
def quarantine_list(remote: Remote, state: str | None, limit: int, as_json: bool) -> None:
    """List what is held, the newest first.

    Example: gatepost --remote https://console.example.net quarantine list --state requested
    """
    show_held(remote.pages("/v1/quarantine", "copies", limit, cursor="before", state=state), as_json=as_json)


@quarantine.command("show")
@click.argument("ref")
@json_option
@click.pass_obj
def quarantine_show(remote: Remote, ref: str, as_json: bool) -> None:
    """Show one held message.

    Example: gatepost --remote https://console.example.net quarantine show 2N515RPF08P1Z
    """
    show_held(remote.get("/v1/quarantine", ref=ref)["copies"], as_json=as_json)


def show_held(rows: Any, *, as_json: bool) -> None:
    """As lines."""
    for row in rows:
        if as_json:
            click.echo(json_line(row))
            continue
        kind = f" [{row['category']}]" if row["category"] else ""
        say(
            f"{row['ref']}  {row['state']} since {moment(row['held_at'])}  {row['sender'] or '<>'} -> {row['to']}{kind}"
            f"  {row['rule']}: {row['reason']}",
            hang=15,
        )


def deciding(verb: str, about: str) -> None:
    """Add a command that decides about held copies of one message."""

    @quarantine.command(
        verb,
        help=f"{about}\n\nExample: gatepost --remote https://console.example.net quarantine {verb} 2N515RPF08P1Z",
    )
    @click.argument("ref")
    @to_option
    @why_option
    @json_option
    @click.pass_obj
    def act(remote: Remote, ref: str, to: str, why: str, as_json: bool) -> None:
        copies = chosen(remote.get("/v1/quarantine", ref=ref)["copies"], to, ref)
        body = {"act": verb, "copies": copies, "reason": why, "wait": 10 if verb == "release" else 0}
        done = remote.post("/v1/quarantine", body)
        if as_json:
            click.echo(json_line(done))
        else:
            said = {
                one["to"]: f"{one['status']} by {one['host']}: {one['reply'] or one['reason']}"
                for one in done["deliveries"]
            }
            for one in done["done"]:
                say(f"{one['ref']} for {one['to']}: {verb} {said.get(one['to'], 'done')}")
            for one in done["requested"]:
                say(f"{one['ref']} for {one['to']}: asked for; a postmaster decides")
            for one in done["left"]:
                click.echo(harmless(f"{ref}: {one['why']}"), err=True)
        if not done["done"] and not done["requested"]:
            sys.exit(1)


deciding("release", "Let a held message go, byte for byte as it came, and tell what the next hop said.")
deciding("request", "Ask for a held message; a postmaster decides.")
deciding("deny", "Do not let go what a recipient asked for.")
deciding("delete", "Delete a held message for good.")


@click.group()
def queue() -> None:
    """What waits for delivery.

    Example: gatepost --remote https://console.example.net queue list
    """


@queue.command("list")
@limit_option
@json_option
@click.pass_obj
def queue_list(remote: Remote, limit: int, as_json: bool) -> None:
    """List what waits, the oldest first.

    Example: gatepost --remote https://console.example.net queue list
    """
    show_queue(remote.pages("/v1/queue", "copies", limit), as_json=as_json)


@queue.command("show")
@click.argument("ref")
@json_option
@click.pass_obj
def queue_show(remote: Remote, ref: str, as_json: bool) -> None:
    """Show every copy of one message in the queue.

    Example: gatepost --remote https://console.example.net queue show 2N515RPF08P1Z
    """
    show_queue(remote.get("/v1/queue", ref=ref, limit=A_PAGE)["copies"], as_json=as_json)


def show_queue(rows: Any, *, as_json: bool) -> None:
    """As lines."""
    for row in rows:
        if as_json:
            click.echo(json_line(row))
            continue
        state = (
            f"held: {row['stopped_because']}" if row["stopped_because"] is not None
            else "being tried" if row["being_tried"] else f"next {moment(row['due_at'])}"
        )  # fmt: skip
        say(
            f"{row['ref']}  since {moment(row['created_at'])}  {row['sender'] or '<>'} -> {row['to']}  tries {row['tries']}"
            f"  {state}  {row['last_reply']}",
            hang=15,
        )


def acting(verb: str, about: str) -> None:
    """Add a command that acts on the waiting copies of one message."""

    @queue.command(
        verb,
        help=f"{about}\n\nExample: gatepost --remote https://console.example.net queue {verb} 2N515RPF08P1Z",
    )
    @click.argument("ref")
    @to_option
    @why_option
    @json_option
    @click.pass_obj
    def act(remote: Remote, ref: str, to: str, why: str, as_json: bool) -> None:
        copies = chosen(remote.get("/v1/queue", ref=ref, limit=A_PAGE)["copies"], to, ref)
        done = remote.post("/v1/queue", {"act": verb, "copies": copies, "reason": why})["done"]
        for one in done:
            click.echo(json_line(one)) if as_json else say(f"{one['ref']} for {one['to']}: {verb} done")
        if not done:
            raise click.ClickException(f"{ref} has no such copy any more, or it is being delivered just now.")


acting("retry", "Try a message again now, held ones too.")
acting("hold", "Stop a message in the queue until it is retried.")
acting("drop", "Take a message out of the queue, undelivered; nobody is told.")


def chosen(copies: list[dict[str, Any]], to: str, ref: str) -> list[int]:
    """The numbers of the copies meant. Raises ClickException when there is none."""
    numbers = [one["number"] for one in copies if not to or one["to"].lower() == to.lower()]
    if not numbers:
        raise click.ClickException(harmless(f"{ref} has no such copy."))
    return numbers


COMMANDS: Mapping[str, click.Command] = {
    "status": status, "history": history, "explain": explain, "quarantine": quarantine, "queue": queue,
}  # fmt: skip
"""What works from afar."""

"""`gatepost --remote URL privacy …`: requests of data subjects on a gate elsewhere.

Files that hand data out, erasures and holds are made at the console or by a command on the machine itself.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from gatepost.cli.afar import Remote
from gatepost.cli.privacy import of_request
from gatepost.cli.story import moment
from gatepost.cli.terminal import json_line, json_option, say

Row = dict[str, Any]


@click.group()
def privacy() -> None:
    """Requests of data subjects: list, show, register, extend, close.

    Example: gatepost --remote https://console.example.net privacy requests
    """


def told(row: Row, *, as_json: bool) -> None:
    """One request."""
    if as_json:
        click.echo(json_line(row))
        return
    state = (
        f"due {moment(row['due_at'])}" if row["status"] == "open" else f"{row['status']}: {row['outcome']}"
    )
    proof = ", ".join(f"{name} {number:,}" for name, number in row["proof"].items())
    say(
        f"{row['number']:>4}  {row['kind']:<13}  {state}  {row['person'] or '-'}  {' '.join(row['addresses'])}"
        + (f"  ({proof})" if proof else ""),
        hang=6,
    )  # fmt: skip


@privacy.command("requests")
@click.option("--status", type=click.Choice(["open", "done", "refused"]), help="Only those.")
@click.option("--address", default="", help="Only about this address.")
@json_option
@click.pass_obj
def requests(remote: Remote, status: str | None, address: str, *, as_json: bool) -> None:
    """List requests of data subjects, the most urgent first.

    Example: gatepost --remote https://console.example.net privacy requests --status open
    """
    for row in remote.get("/v1/requests", status=status, address=address)["requests"]:
        told(row, as_json=as_json)


@privacy.command("show")
@click.argument("number", type=int)
@json_option
@click.pass_obj
def show(remote: Remote, number: int, *, as_json: bool) -> None:
    """Show one request, and what was handed out or erased for it.

    Example: gatepost --remote https://console.example.net privacy show 3
    """
    told(remote.get(f"/v1/requests/{number}"), as_json=as_json)


@privacy.command("register")
@of_request
@json_option
@click.pass_obj
def register(remote: Remote, /, *, received: datetime | None, as_json: bool, **given: Any) -> None:
    """Write down a request of a data subject: it is due one month after it came.

    Example: gatepost --remote https://console.example.net privacy register erasure ana@example.net --person "Ana Gil"
    """
    came = int(received.replace(tzinfo=UTC).timestamp()) if received else None
    body = {**given, "received_at": came}
    told(remote.post("/v1/requests", body), as_json=as_json)


@privacy.command("extend")
@click.argument("number", type=int)
@click.option("--why", required=True, help="As the person is told.")
@json_option
@click.pass_obj
def extend(remote: Remote, number: int, why: str, *, as_json: bool) -> None:
    """Take two months more, once.

    Example: gatepost --remote https://console.example.net privacy extend 3 --why "many mailboxes are concerned"
    """
    told(remote.post(f"/v1/requests/{number}", {"act": "extend", "text": why}), as_json=as_json)


@privacy.command("close")
@click.argument("number", type=int)
@click.option("--outcome", required=True, help="How it was answered, in a sentence.")
@click.option("--refused", is_flag=True, help="It was refused.")
@json_option
@click.pass_obj
def close(remote: Remote, number: int, outcome: str, *, refused: bool, as_json: bool) -> None:
    """Say that a request is answered.

    Example: gatepost --remote https://console.example.net privacy close 3 --outcome "file handed over on paper"
    """
    act = "refuse" if refused else "close"
    told(remote.post(f"/v1/requests/{number}", {"act": act, "text": outcome}), as_json=as_json)

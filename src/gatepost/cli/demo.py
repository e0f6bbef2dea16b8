"""`gatepost demo` and `gatepost send`: a little mail world on loopback."""

from __future__ import annotations

import sys
import time

import click

from gatepost.cli.terminal import failing_clearly
from gatepost.demo.setting import running_demo


@click.command()
@click.option(
    "--port",
    default=2525,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="SMTP on 127.0.0.1; another free one when taken.",
)
@failing_clearly
def demo(port: int) -> None:
    """Run the whole product on loopback with mail to look at; Ctrl-C leaves nothing behind.

    Example: gatepost demo
    """
    from gatepost.demo.run import run_demo

    sys.exit(run_demo(click.echo, port=port))


@click.command()
@click.argument("case", required=False)
@click.option("--list", "list_them", is_flag=True, help="List the demo's messages.")
@failing_clearly
def send(case: str | None, list_them: bool) -> None:
    """Send one of the demo's messages to the running demo, and show what the gate answers.

    Example: gatepost send spoof
    """
    from gatepost.config.load import nearest
    from gatepost.demo.cases import CASES
    from gatepost.demo.send import send as send_case

    by_name = {one.name: one for one in CASES}
    if list_them or case is None:
        for one in CASES:
            click.echo(f"{one.name:<12} {one.about}")
        return
    if case not in by_name:
        raise click.UsageError(f"There is no message {case}. {nearest(case, by_name)}")
    folder = running_demo()
    if folder is None:
        raise click.UsageError("No demo is running; start one with ./demo.")
    for answer in send_case(
        by_name[case], folder, now=time.time(), number=int(time.time() * 1000) % 1_000_000
    ):
        click.echo(f"{answer.code} {answer.text}")

"""`gatepost user certificate`: client certificates that sign devices in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from gatepost.cli.story import moment
from gatepost.cli.terminal import (
    config_option,
    failing_clearly,
    json_line,
    json_option,
    say,
)


@click.group()
def certificate() -> None:
    """Client certificates with which devices sign in to send mail (AUTH EXTERNAL).

    They are asked for where [tls] client_authorities names who issues them.

    Example: gatepost user certificate add scanner@example.net --name scanner --file scanner.pem
    """


@certificate.command("add")
@click.argument("login")
@config_option
@click.option("--name", required=True, help="The device that has it.")
@click.option("--file", "file", type=click.Path(path_type=Path), help="This very certificate, in PEM form.")
@click.option(
    "--subject", default="", help="Every certificate with this subject, such as CN=scanner,O=Example."
)
@click.option("--as", "sends_as", multiple=True, help="May write as this address of the account only.")
@failing_clearly
def add(
    *, login: str, config: str | None, name: str, file: Path | None, subject: str, sends_as: tuple[str, ...]
) -> None:
    """Let a certificate sign an account in, to send mail.

    Example: gatepost user certificate add scanner@example.net --name scanner --file scanner.pem
    """
    from gatepost.cli.user import at_desk
    from gatepost.office import certificates
    from gatepost.office.office import Impossible

    with at_desk(config) as desk:
        digest, ends = "", None
        if file is not None:
            try:
                digest, ends = certificates.fingerprint_of(file.read_bytes())
            except OSError as fault:
                raise Impossible(f"{file}: {fault.strerror}.") from None
        kept = desk.run(
            certificates.add(
                desk.office, desk.actor, login, name=name, fingerprint=digest, subject=subject, sends_as=sends_as,
                expires_at=ends,
            )
        )  # fmt: skip
    say(f"Certificate {kept.id} ({kept.name}) signs {login} in.")


@certificate.command("list")
@click.argument("login")
@config_option
@json_option
@failing_clearly
def list_(login: str, config: str | None, as_json: bool) -> None:
    """List an account's certificates.

    Example: gatepost user certificate list scanner@example.net
    """
    from gatepost.cli.user import at_desk
    from gatepost.office import certificates

    with at_desk(config) as desk:
        found = certificates.listed(desk.office, desk.actor, login)
    for one in found:
        last = f"last {moment(one.used_at)} from {one.used_from}" if one.used_at else "never used"
        known_by = one.subject or f"SHA-256 {one.fingerprint}"
        click.echo(json_line(asdict(one))) if as_json else say(f"{one.id}  {one.name}  {known_by}  {last}")
    if not found and not as_json:
        click.echo(f"{login} has no certificates.", err=True)


@certificate.command("remove")
@click.argument("login")
@click.argument("number", type=int)
@config_option
@click.option("--why", default="", help="Why, for the journal.")
@failing_clearly
def remove(login: str, number: int, config: str | None, why: str) -> None:
    """Take a certificate out by its number in the list: it signs nothing in any more.

    Example: gatepost user certificate remove scanner@example.net 3 --why 'scanner sold'
    """
    from gatepost.cli.user import at_desk
    from gatepost.office import certificates
    from gatepost.office.office import Impossible

    with at_desk(config) as desk:
        if not desk.run(certificates.remove(desk.office, desk.actor, login, number, reason=why)):
            raise Impossible(f"{login} has no certificate {number}: gatepost user certificate list {login}")
    say(f"Certificate {number} signs nothing in any more.")

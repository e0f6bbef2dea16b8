"""`gatepost setup`: from nothing to a running gate."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gatepost.cli.terminal import failing_clearly, harmless, json_line, say


@click.command()
@click.argument("host")
@click.option("--domain", default="", help="Whose mail comes here; without it, the domain of HOST.")
@click.option(
    "--deliver", default="", metavar="WHERE",
    help="Where mail goes: smtp:HOST:PORT, lmtp:…, or maildir:FOLDER (the default).",
)  # fmt: skip
@click.option("--owner", default="", help="Mail address of the first account; without it, the postmaster's.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the configuration goes.")
@click.option("--resolver", default="", metavar="HOST:PORT", help="Ask this resolver, and write it down.")
@click.option(
    "--zone",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Look at the DNS of this file instead; the gate itself asks the resolver.",
)
@click.option(
    "--console-port", default=8080, show_default=True, type=click.IntRange(1, 65535),
    help="Of the console, which is reached from this machine only.",
)  # fmt: skip
@click.option(
    "--probe", default="", metavar="DOMAIN", help="Try port 25 outwards with one of its mail hosts."
)
@click.option(
    "--acme", default="", metavar="URL",
    help="Get certificates from this authority, agreeing to its terms, and take mail from your people (465, 587).",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Look, and print the configuration instead of writing it.")
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
@failing_clearly
def setup(
    *, host: str, domain: str, deliver: str, owner: str, folder: Path | None, resolver: str, zone: Path | None,
    console_port: int, probe: str, acme: str, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Look at this machine, write a configuration, make the keys that sign and the first account's one-time link.

    Asks nothing. What is wrong is told with its remedy and stops nothing; the gate only observes at first, and signs
    nothing before it has seen the keys published.

    Example: gatepost setup mail.example.com --deliver smtp:10.0.0.5:25 --owner ana@example.com
    """
    import asyncio

    from gatepost.app import setup as work

    wish = work.wish_of(
        host, domain=domain, deliver=deliver, owner=owner, folder=folder, console_port=console_port, acme=acme
    )
    text = work.configuration(wish, resolver=resolver)
    answers = zone.read_text(encoding="utf-8") if zone is not None else None
    seen, records = asyncio.run(look(work, wish, resolver=resolver, answers=answers, probe=probe))
    path = None if dry_run else work.write(wish, text)
    link, keys = first_steps(path, wish) if path is not None else ("", [])
    publish = [*records, *keys]
    if as_json:
        told = {
            "configuration": str(path) if path else None, "text": text, "records": publish, "link": link,
            "looks": [asdict(one) for one in seen],
        }  # fmt: skip
        click.echo(json_line(told))
        return
    colours = {"well": "green", "warning": "yellow", "critical": "red"}
    for one in seen:
        mark = {"well": "ok", "warning": "look", "critical": "bad"}[one.level.value]
        click.echo(f"{click.style(f'{mark:>4}', fg=colours[one.level.value])}  {harmless(one.text)}")
        if one.remedy:
            say(f"      {one.remedy}")
    if path is None:
        click.echo(f"\n{text}")
        return
    say(f"\nWritten: {path}\n\nTo be published in the DNS (gatepost dns {wish.domain} says what is there):")
    for line in publish:  # never folded: they are copied from here
        click.echo("\n".join(f"  {harmless(one)}" for one in line.splitlines()))
    if any("v=spf1 mx -all" in line for line in publish):
        say(
            "That SPF record lets nobody but this machine send for the domain: name in it whoever else does (ip4:…, include:…)."
        )
    if keys:
        say(f"The keys sign once that is published and seen: gatepost key check {wish.domain}")
    if not acme:
        say(
            "Your people cannot send yet: that takes a certificate, see [tls] there; or set up with --acme URL."
        )
    say(f"\nStart it:   gatepost serve --config {path}")
    say(f"Then open:  {link}")
    say("            It works once, for two days, and asks you to register a passkey. There is no password.")
    say(
        f"            From another machine, first: ssh -L {wish.console_port}:localhost:{wish.console_port} {wish.hostname}"
    )


async def look(
    work: Any, wish: Any, *, resolver: str, answers: str | None, probe: str
) -> tuple[Any, list[str]]:
    """Everything that is looked at, and what is to be published."""
    from gatepost.dns.zone import Zone
    from gatepost.net.resolver import CachingResolver, DnsSettings

    if answers is not None:
        file = Zone.parse(answers)
        return await work.looks(wish, file, probe=probe), await work.records(wish, file)
    named = CachingResolver(DnsSettings(servers=(resolver or work.RESOLVER,), trust_ad=True))
    asking = named if resolver else CachingResolver(DnsSettings())
    try:
        found = await work.looks(wish, asking, named=named, probe=probe)
        return found, await work.records(wish, work.worth_asking(asking, found, named))
    finally:
        await asking.close()
        await named.close()


def first_steps(path: Path, wish: Any) -> tuple[str, list[str]]:
    """Make the store, the owner's account in it and the domain's signing keys: where they enrol, once; what to publish."""
    import asyncio
    import time

    from gatepost.access.rights import Role, on_this_machine
    from gatepost.app.office import console_url, office_of
    from gatepost.app.setup import hand_over
    from gatepost.app.signing import keeping_of
    from gatepost.cli.terminal import whoami
    from gatepost.config.schema import load
    from gatepost.dns.zone import Zone
    from gatepost.jobs.keys import records_of
    from gatepost.mailauth.keyrecord import zone_line
    from gatepost.office import people, wayin
    from gatepost.office.enrolment import link_at
    from gatepost.store.journal import Why
    from gatepost.store.store import Store

    loaded = load(path)

    async def make() -> tuple[str, list[str]]:
        store = Store.open(loaded.state, loaded.config.store, key_file=loaded.key_file)
        try:
            office, actor = office_of(loaded, store), on_this_machine(whoami())
            account = await people.add(office, actor, str(wish.owner), roles=[Role.OWNER])
            link = link_at(console_url(loaded), await wayin.invite(office, actor, account.login))
            keeping = keeping_of(loaded, store, Zone())  # nothing is looked up: they are not published yet
            why = Why(who=whoami(), why="set up", at=time.time())
            algorithms = loaded.config.signing.algorithms
            made = [await keeping.create(wish.domain, algorithm, why) for algorithm in algorithms]
            settings = loaded.config.signing
            return link, [zone_line(*record) for one in made for record in records_of(one, settings)]
        finally:
            await store.close()

    told = asyncio.run(make())
    hand_over(wish, loaded.state)
    return told

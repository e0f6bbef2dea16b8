"""`gatepost dns`: the records this installation needs, and whether they are there."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from gatepost.cli.terminal import config_option, failing_clearly, find_config, json_line, say
from gatepost.mail.address import normal_domain

MARKS = {"ok": "green", "missing": "red", "differs": "red", "unknown": "yellow", "optional": "yellow"}


@click.command()
@click.argument("domain")
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a record.")
@click.option("--zone", "as_zone", is_flag=True, help="What is to be published, as a zone file has it.")
@click.option("--resolver", help="Ask this resolver (HOST:PORT) instead of the configured ones.")
@failing_clearly
def dns(domain: str, config: str | None, as_json: bool, as_zone: bool, resolver: str | None) -> None:
    """Tell the records a domain needs here: MX, address, reverse name, SPF, DKIM, DMARC, MTA-STS, TLS-RPT, TLSA.

    Each with what is published and the difference. Exit status: 0 nothing is wrong, 1 a record is missing or differs,
    or could not be looked up.

    Example: gatepost dns example.net --zone
    """
    from dataclasses import replace

    from gatepost.app.installation import opened
    from gatepost.app.ownfacts import own_facts
    from gatepost.app.ownrecords import State, own_records
    from gatepost.config.load import nearest
    from gatepost.net.resolver import CachingResolver

    name = normal_domain(domain)
    if name is None:
        raise click.UsageError(f"{domain} is no domain.")
    with opened(find_config(config)) as installation:
        loaded = installation.loaded
        if loaded.routes.find(name) is None:
            hint = nearest(name, {one.name.removeprefix(".") for one in loaded.routes.domains})
            raise click.UsageError(f"{name} is not one of our domains. {hint}".strip())
        settings = loaded.config.dns
        asked = CachingResolver(replace(settings, servers=(resolver,)) if resolver else settings)
        try:
            found = installation.run(own_records(name, loaded, own_facts(name, installation), asked))
        finally:
            installation.run(asked.close())
    for one in found:
        if as_json:
            click.echo(json_line(asdict(one) | {"state": one.state.value, "zone": one.zone}))
        elif as_zone:
            click.echo(one.zone if one.state is not State.OK else f"; there already: {one.name}. {one.kind}")
        else:
            mark = click.style(f"{one.state.value:8}", fg=MARKS[one.state.value])
            click.echo(mark + " ", nl=False)
            say(f"{one.name}. {one.kind}  {one.text}")
            if one.state in (State.DIFFERS, State.MISSING, State.OPTIONAL) and one.expected:
                say(f"           should be {one.expected}")
                for record in one.published:
                    say(f"           is        {record}")
    wrong = (State.MISSING, State.DIFFERS, State.UNKNOWN)
    sys.exit(1 if any(one.state in wrong for one in found) else 0)

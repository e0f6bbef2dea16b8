"""`gatepost privacy breach`: a draft of the notice of a personal data breach."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from gatepost.cli.looking import read_time
from gatepost.cli.terminal import config_option, failing_clearly, find_config
from gatepost.cli.user import at_desk


@click.command("breach")
@click.option(
    "--incident",
    type=click.Choice(["account", "release", "reading", "other"]),
    required=True,
    help="An account taken over, held mail let go or read wrongly, or something else.",
)
@click.option("--whose", default="", help="The address it is about; needed for an account.")
@click.option("--since", required=True, help="When it began: a date or how long ago.")
@click.option("--until", help="When it ended, if not now.")
@click.option("--known", help="When somebody became aware of it, if not now: the 72 hours begin.")
@click.option("--language", type=click.Choice(["en", "ja"]), default="en", help="Of the draft.")
@click.option("--json", "as_json", is_flag=True, help="The facts as JSON instead of the draft.")
@config_option
@failing_clearly
def breach(
    *, incident: str, whose: str, since: str, until: str | None, known: str | None, language: str, as_json: bool,
    config: str | None,
) -> None:  # fmt: skip
    """Draw up a draft of the notice to the authority (GDPR Article 33): what the gate knows of a span of time, with gaps for the rest.

    Nothing is sent to anybody. The journal keeps that it was drawn up, with numbers and no names.

    Example: gatepost privacy breach --incident account --whose ana@example.net --since 2d > draft.md
    """
    from functools import partial

    from gatepost.app.processing import installation
    from gatepost.config.schema import load
    from gatepost.office import breach as office
    from gatepost.web.looks import Looks

    here = installation(load(find_config(config)))
    with at_desk(config) as desk:
        now = desk.office.clock()
        start, end, aware = (
            read_time(since, "--since"),
            read_time(until, "--until"),
            read_time(known, "--known"),
        )
        assert start is not None
        asked = office.Asked(
            incident=office.Incident(incident),
            since=start,
            until=end or now,
            known_at=aware or now,
            whose=whose,
        )
        facts = desk.run(office.gather(desk.office, desk.actor, asked))
    if as_json:
        click.echo(json.dumps({**asdict(facts), "due_at": facts.due_at}, ensure_ascii=False))
        return
    words = partial(Looks({language: ""}).say, language)
    click.echo(office.markdown(office.draft(facts, here.settings, now), here.hostname, words, now), nl=False)

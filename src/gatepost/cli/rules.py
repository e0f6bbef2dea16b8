"""`gatepost rules`: what rules there are, what one says, whether they do what their examples say, and a new one begun."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gatepost.cli.terminal import config_option, failing_clearly, harmless, say
from gatepost.rules.facts import FACTS
from gatepost.rules.items import Attachment, File, LinkSeen
from gatepost.rules.language import nearest
from gatepost.rules.rulefile import NAME, Rule
from gatepost.rules.ruleset import RuleSet, load_rules
from gatepost.rules.trying import Hits, facts_of, facts_remembered, failures

if TYPE_CHECKING:
    from gatepost.store.database import Connection
    from gatepost.store.store import Store

T = TypeVar("T")

NEW_RULE = '''\
finding = "says what was seen, in one sentence for the postmaster"
description = """
What the attack is, and what honest mail may look like it."""
references = ["https://attack.mitre.org/techniques/T1566/"]
severity = "medium"   # note, low, medium, high or critical; or weight = 2.0
mode = "observe"      # off, observe or enforce
budget = 0.001        # the share of wanted mail it may match
condition = """
wording.has(lure)
and links.any(foreign)"""

[lists]
lure = ["a phrase of the lure", "begin of a word*"]
'''
NEW_MESSAGE = """\
From: {who}
To: ben@example.net
Subject: {subject}
Date: Tue, 14 May 2024 09:12:03 +0000
Message-ID: <{name}.{kind}@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

{text}
"""


@click.group()
def rules() -> None:
    """Detection as code: one rule a file, with messages it must match and messages it must let pass.

    Example: gatepost rules test
    """


@rules.command("list")
@click.argument("folder", required=False)
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a rule.")
@failing_clearly
def list_rules(folder: str | None, config: str | None, as_json: bool) -> None:
    """All rules by attack, with weight and mode; with FOLDER also those in it.

    Example: gatepost rules list --json
    """
    found = the_rules(folder, config)
    for one in found.rules:
        if as_json:
            row = {"name": one.name, "attack": one.attack, "weight": one.weight, "severity": one.severity,
                   "mode": one.mode.value, "finding": one.finding, "path": str(one.path)}  # fmt: skip
            click.echo(json.dumps(row, ensure_ascii=False))
        else:
            say(f"{one.attack}/{one.name:<28} {one.weight:>5.1f}  {one.mode.value:<8} {one.finding}", hang=4)
    told(found)


@rules.command()
@click.argument("name", required=False)
@click.option("--facts", is_flag=True, help="The facts that conditions may use.")
@click.argument("folder", required=False)
@config_option
@failing_clearly
def show(name: str | None, facts: bool, folder: str | None, config: str | None) -> None:
    """One rule as it is written, and its examples; or, with --facts, everything a condition may ask.

    Example: gatepost rules show gift-cards
    """
    if facts or name is None:
        tell_facts()
        return
    rule = named(the_rules(folder, config), name)
    say(f"{rule.path}  (weight {rule.weight:g}, {rule.mode.value})")
    click.echo(harmless(rule.path.read_text("utf-8", "replace")))
    for kind in ("match", "pass"):
        for path in rule.examples(kind):
            say(f"{'must match' if kind == 'match' else 'must pass'}: {path}")


@rules.command()
@click.argument("name")
@click.option(
    "--folder", required=True, type=Path, help="Your folder of rules ([checks.rules] rules_folder)."
)
@click.option("--attack", default="own", show_default=True, help="The folder in it.")
@failing_clearly
def new(name: str, folder: Path, attack: str) -> None:
    """Begin a rule: the file, a message it must match, and one it must let pass.

    Example: gatepost rules new false-landlord --folder /etc/gatepost/rules
    """
    for word in (name, attack):
        if not NAME.fullmatch(word):
            raise click.UsageError(f"{word} is no name for a rule: lower-case letters, digits and hyphens.")
    place = folder / attack
    path = place / f"{name}.toml"
    if path.exists():
        raise click.UsageError(f"{path} is there already.")
    place.mkdir(parents=True, exist_ok=True)
    path.write_text(NEW_RULE, "utf-8")
    lure = (
        "Stranger <stranger@letters.example>",
        "A lure",
        "A phrase of the lure: https://lure.example.net/",
    )
    plain = ("Ana <ana@example.org>", "Lunch", "At noon? https://example.org/canteen")
    for kind, (who, subject, text) in (("match", lure), ("pass", plain)):
        message = NEW_MESSAGE.format(who=who, subject=subject, text=text, name=name, kind=kind)
        (place / f"{name}.{kind}.eml").write_text(message, "utf-8")
    say(f"{path} and its two messages are written; edit them, then: gatepost rules test {folder}")


@rules.command()
@click.argument("folder", required=False)
@config_option
@click.option("--ham", multiple=True, help="Wanted mail (file, mailbox, Maildir or folder); may repeat.")
@click.option("--spam", multiple=True, help="Unwanted mail; may repeat.")
@click.option("--history", "with_history", is_flag=True, help="Count on recorded facts and held mail too.")
@click.option("--json", "as_json", is_flag=True, help="The whole result as JSON.")
@failing_clearly
def test(
    *,
    folder: str | None, config: str | None, ham: tuple[str, ...], spam: tuple[str, ...],
    with_history: bool, as_json: bool,
) -> None:  # fmt: skip
    """Run the examples of all rules, of FOLDER besides; count hits on mail given. Status 1 when a rule fails.

    A rule fails when an example disagrees with it, or when it matches more wanted mail (--ham) than its budget. What
    a rule needs and recorded facts do not hold, such as the text, is counted as unknown.

    Example: gatepost rules test rules --ham ~/Maildir
    """
    found = the_rules(folder, config)
    bad = [f"{one.path}: {one.text}" for one in found.problems]
    bad += [f"{one.rule.attack}/{one.rule.name}: {one.text}" for one in failures(found)]
    columns = [count("ham", ham, found, wanted=True), count("spam", spam, found, wanted=False)]
    if with_history:
        columns += recorded(config, found)
    columns = [one for one in columns if one.messages]
    for hits in columns:
        bad += [
            f"{rule.attack}/{rule.name}: matches {hits.matched[rule.name]:,} of {hits.messages:,} wanted messages, over its budget of {rule.budget:.2%}"
            for rule in found.rules
            if hits.over_budget(rule)
        ]
    if as_json:
        shown = {
            one.label: {"messages": one.messages, "matched": one.matched, "unknown": one.unknown}
            for one in columns
        }
        click.echo(json.dumps({"rules": len(found.rules), "failed": bad, "hits": shown}, ensure_ascii=False))
    else:
        table(found, columns)
        for line in bad:
            click.echo(f"failed: {harmless(line)}", err=True)
        say(f"{len(found.rules):,} rules, {len(bad):,} failures.")
    sys.exit(1 if bad else 0)


def the_rules(folder: str | None, config: str | None) -> RuleSet:
    """Shipped rules, those of the configuration where one is given, and those in FOLDER."""
    folders = [Path(folder)] if folder else []
    shipped = True
    if config:
        from gatepost.config.load import parse_toml

        path = Path(config)
        table = parse_toml(path).get("checks", {}).get("rules", {})
        shipped = bool(table.get("shipped", True))
        own = str(table.get("rules_folder", ""))
        if own:
            folders.insert(0, path.absolute().parent / own)
    return load_rules(list(dict.fromkeys(folders)), shipped=shipped)


def named(found: RuleSet, name: str) -> Rule:
    """The rule, or an error with the nearest name."""
    rule = found.named(name.rpartition("/")[2])
    if rule is None:
        raise click.UsageError(f"There is no rule {name}{nearest(name, [one.name for one in found.rules])}.")
    return rule


def told(found: RuleSet) -> None:
    """What cannot be used, on standard error."""
    for problem in found.problems:
        click.echo(f"cannot be used: {harmless(f'{problem.path}: {problem.text}')}", err=True)


def tell_facts() -> None:
    """Every fact with its type and what it is."""
    for name, fact in FACTS.items():
        say(f"{name:<22} {fact.type.value:<16} {fact.about}", hang=4)
    for kind in (LinkSeen, Attachment, File):
        say(f"\nwithin {kind.kind}.any(…), {kind.kind}.all(…), {kind.kind}.count(…):", bold=True)
        for name, field in kind.fields.items():
            say(f"  {name:<20} {field.type:<16} {field.about}", hang=4)


def count(label: str, paths: tuple[str, ...], found: RuleSet, *, wanted: bool) -> Hits:
    """Hits among the messages of some paths."""
    from gatepost.scan.source import messages_in, paths_below

    hits = Hits(label, wanted)
    files = [path for given in paths for path in paths_below(given)]
    for path in watched(files, label):
        for one in messages_in(str(path)):
            if not one.problem:
                hits.add(facts_of(one.octets, found), found)
    return hits


def recorded(config: str | None, found: RuleSet) -> list[Hits]:
    """Hits on recorded facts and on held mail; held mail whose key is gone is left out."""
    from gatepost.app.installation import opened
    from gatepost.cli.terminal import find_config
    from gatepost.store import history

    past, held = Hits("history"), Hits("held")
    with opened(find_config(config)) as installation:

        def read(connection: Connection) -> None:
            for entry in watched(history.since(connection, 0.0), "history"):
                if entry.kind == "message":
                    facts = facts_remembered(
                        entry.client,
                        entry.envelope,
                        entry.auth,
                        author=entry.author,
                        subject=entry.subject,
                        rules=found,
                    )
                    past.add(facts, found)

        installation.store.database.read(read)
        for octets in held_mail(installation.store):
            held.add(facts_of(octets, found), found)
    return [past, held]


def held_mail(store: Store) -> Iterator[bytes]:
    """Every held message once."""
    from gatepost.store.failures import StoreFailed

    seen: set[str] = set()
    before: int | None = None
    while page := store.held(before=before, limit=200):
        before = page[-1].id
        for one in page:
            if one.ref not in seen:
                seen.add(one.ref)
                try:
                    yield store.octets_of(one.ref)
                except (KeyError, StoreFailed):
                    continue


def table(found: RuleSet, columns: list[Hits]) -> None:
    """Hits for each rule that matched anything; unknown behind a plus."""
    if not columns:
        return
    width = max(len(f"{one.attack}/{one.name}") for one in found.rules)
    say(f"{'':<{width}} " + " ".join(f"{one.label:>16}" for one in columns))
    for rule in found.rules:
        if any(one.matched[rule.name] or one.unknown[rule.name] for one in columns):
            cells = [shown_count(one, rule.name) for one in columns]
            say(f"{f'{rule.attack}/{rule.name}':<{width}} " + " ".join(f"{cell:>16}" for cell in cells))
    say(f"{'messages':<{width}} " + " ".join(f"{one.messages:>16,}" for one in columns))


def shown_count(hits: Hits, name: str) -> str:
    """``3 (+12 unknown)`` in short."""
    unknown = hits.unknown[name]
    return f"{hits.matched[name]:,}" + (f" +{unknown:,}?" if unknown else "")


def watched(items: Iterable[T], label: str) -> Iterator[T]:
    """The same items; a count on the terminal when it takes long."""
    loud, started, was_told = sys.stderr.isatty(), time.monotonic(), False
    for number, item in enumerate(items):
        if loud and number % 200 == 0 and time.monotonic() - started > 2:
            click.echo(f"\r{label}: {number:,} messages read …", nl=False, err=True)
            was_told = True
        yield item
    if was_told:
        click.echo("\r" + " " * 50 + "\r", nl=False, err=True)

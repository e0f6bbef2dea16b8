"""`gatepost evaluate`: how good is the classifier, on mail of which is known what it is?"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatepost.cli.learning import messages
from gatepost.cli.progress import Progress
from gatepost.cli.terminal import config_option, failing_clearly, harmless, json_line

if TYPE_CHECKING:
    from gatepost.app.examination import Example
    from gatepost.classify.roc import Figures, Scored

FRESH = "a fresh model, each fifth judged by what it learnt from the other four"


@click.command()
@click.option(
    "--ham",
    required=True,
    multiple=True,
    metavar="PATH",
    help="Wanted messages: file, mailbox, Maildir or folder; may repeat.",
)
@click.option("--spam", required=True, multiple=True, metavar="PATH", help="Unwanted messages; may repeat.")
@config_option
@click.option(
    "--fresh", is_flag=True, help="Cross-validate a fresh model, whatever the installation has learnt."
)
@click.option(
    "--online", is_flag=True, help="Judge the mail as it comes, then learn it, a hundred at a time (TREC)."
)
@click.option(
    "--curves",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.svg",
    help="Draw the curve into this file.",
)
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
@failing_clearly
def evaluate(
    *, ham: tuple[str, ...], spam: tuple[str, ...], config: str | None, fresh: bool, online: bool,
    curves: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """How good is the classifier? On mail of which you know what it is; nothing is learnt from it.

    With an installation, its own model is asked about messages it was not taught; without one a fresh model is
    cross-validated. What it misses is told where it may lose one wanted message in a thousand, in two hundred, in
    a hundred, with 95 % intervals.

    Example: gatepost evaluate --ham Maildir/cur --spam junk.mbox --curves curve.svg
    """
    from gatepost.app.examination import TooFew, each_once
    from gatepost.classify.roc import drawn, figures

    given = each_once((*read(ham, spam=False), *read(spam, spam=True)))
    try:
        how, scored, left_out = judged(given, config, fresh=fresh, online=online)
        found = figures(scored)
    except (TooFew, ValueError) as fault:
        click.echo(f"gatepost: {fault}", err=True)
        sys.exit(1)
    if curves is not None:
        try:
            curves.write_text(drawn(scored, how))
        except OSError as fault:
            raise click.UsageError(f"{curves} cannot be written: {fault.strerror}") from None
    junk = at_own_thresholds(scored, config)
    if as_json:
        click.echo(json_line({"model": how, "left_out": left_out, **asdict(found), "own_thresholds": junk}))
    else:
        tell(found, how, left_out, junk)


def read(paths: Sequence[str], *, spam: bool) -> list[Example]:
    """All messages below the paths."""
    from gatepost.app.examination import examples

    complain = lambda sentence: click.echo(harmless(sentence), err=True)  # noqa: E731
    return list(examples(messages(tuple(paths)), spam=spam, complain=complain))


def judged(
    given: Sequence[Example], config: str | None, *, fresh: bool, online: bool
) -> tuple[str, list[Scored], int]:
    """By which model, what it thinks, and how many were left out because it was taught them."""
    from gatepost.app import examination
    from gatepost.app.installation import opened

    path = None if fresh or online else configured(config)
    if path is not None:
        with opened(path) as installation:
            scored, left_out = examination.by_the_installed(installation, given)
        return "the model of this installation", scored, left_out
    if online:
        steps = -(-len(given) // examination.ONLINE_BATCH)
        with Progress() as tell:
            return (
                "a fresh model, online: judged, then learnt, a hundred at a time",
                examination.online(given, counting(tell, "Hundreds of messages judged and learnt", steps)),
                0,
            )
    with Progress() as tell:
        return (
            FRESH,
            examination.cross_validated(given, counting(tell, "Fifths judged", examination.FOLDS)),
            0,
        )


def counting(tell: Progress, what: str, of: int) -> Callable[[], None]:
    """To be called after each step."""
    steps = itertools.count(1)
    return lambda: tell(what, next(steps), of)


def configured(config: str | None) -> Path | None:
    """The installation that was named, else a running demo, else none."""
    from gatepost.demo.setting import running_demo

    if config:
        return Path(config)
    demo = running_demo()
    return demo / "gatepost.toml" if demo is not None else None


def at_own_thresholds(scored: Sequence[Scored], config: str | None) -> dict[str, float]:
    """What the classifier alone would have put into Junk, under the policy in force."""
    from gatepost.config.schema import defaults, load

    path = configured(config)
    junk_at = (load(path) if path else defaults()).config.policy.junk_at
    ham, spam = ([one for one in scored if one.spam is kind] for kind in (False, True))
    return {
        "junk_at": junk_at,
        "caught": sum(one.score >= junk_at for one in spam) / max(len(spam), 1),
        "lost": sum(one.score >= junk_at for one in ham) / max(len(ham), 1),
    }


def tell(found: Figures, how: str, left_out: int, junk: dict[str, float]) -> None:
    """A screenful."""
    click.echo(
        click.style(f"{found.ham:,} wanted and {found.spam:,} unwanted messages, judged by {how}", bold=True)
    )
    if left_out:
        click.echo(f"  {left_out:,} more were left out: the model was taught them")
    click.echo(
        f"  AUC {found.auc:.5f}    1-ROCA {found.one_minus_roca:.3f} %  ({found.roca_low:.3f} to {found.roca_high:.3f})"
    )
    click.echo("")
    click.echo("  wanted mail lost   unwanted mail missed   95 % interval")
    for one in found.at:
        few = "   (too few wanted messages to tell)" if one.lost * found.ham < 1 else ""
        click.echo(
            f"  {100 * one.lost:>10.1f} %        {100 * one.missed:>10.2f} %         {100 * one.low:.2f} to {100 * one.high:.2f}{few}"
        )
    click.echo("")
    click.echo(
        f"  By itself it would put into Junk (from {junk['junk_at']:g} on): {100 * junk['caught']:.2f} % of the unwanted"
        f" and {100 * junk['lost']:.2f} % of the wanted"
    )
    click.echo("")
    click.echo("  it said            messages   mean said   were unwanted")
    for each in found.calibration:
        click.echo(
            f"  {100 * each.low:>5.0f} to {100 * each.high:>3.0f} %   {each.number:>8,}    {100 * each.said:>8.2f} %      {100 * each.was:>8.2f} %"
        )
    click.echo(f"  Brier score {found.brier:.5f}")

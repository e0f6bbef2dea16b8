"""`gatepost learn`: teach the classifier what is wanted and what is not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatepost.cli.progress import Progress
from gatepost.cli.terminal import config_option, failing_clearly, find_config, harmless, json_line, whoami

if TYPE_CHECKING:
    from gatepost.jobs.learning import Learnt
    from gatepost.scan.source import Found


class Kinds(click.Group):
    """The kinds of lesson, in the order people meet them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Not by the alphabet."""
        return list(self.commands)


@click.group(cls=Kinds)
def learn() -> None:
    """Teach the classifier: what is wanted (ham), what is not (spam), what to forget.

    A message taught twice counts once; taught the other way it changes sides. The gate may be running, and judges by what it
    learnt a second later.

    Example: gatepost learn spam junk.mbox Maildir/.Junk
    """


def teaching(name: str, spam: bool | None, about: str, example: str) -> None:
    """Add a kind of lesson."""

    @learn.command(
        name,
        help=f"{about}\n\nPATH is a message, a mailbox file, a Maildir or a folder.\n\nExample: {example}",
    )
    @click.argument("paths", nargs=-1, required=True, metavar="PATH…")
    @config_option
    @click.option(
        "--for", "owner", default="", help="An address of ours: it is that person's lesson, not the site's."
    )
    @click.option("--why", default="", help="The reason, for the journal.")
    @click.option("--json", "as_json", is_flag=True, help="What came of it as one JSON object.")
    @failing_clearly
    def command(paths: tuple[str, ...], config: str | None, owner: str, why: str, as_json: bool) -> None:
        taught(paths, config, owner, spam=spam, why=why, as_json=as_json)


teaching("ham", False, "These messages are wanted.", "gatepost learn ham Maildir/cur")
teaching("spam", True, "These messages are unwanted.", "gatepost learn spam junk.mbox")
teaching(
    "forget", None, "Take back what was taught about these messages.", "gatepost learn forget mistake.eml"
)


@learn.command("again")
@config_option
@click.option("--json", "as_json", is_flag=True, help="What the classifier knows as one JSON object.")
@failing_clearly
def again(config: str | None, as_json: bool) -> None:
    """Make the model anew from every lesson that is kept: after damage, or to begin a quiet evening.

    Example: gatepost learn again
    """
    from gatepost.app.classroom import learn_now
    from gatepost.app.installation import opened

    with opened(find_config(config)) as installation:
        tell(written(lambda: learn_now(installation, again=True)), {}, as_json=as_json)


def taught(
    paths: tuple[str, ...], config: str | None, owner: str, *, spam: bool | None, why: str, as_json: bool
) -> None:
    """One command's worth of lessons."""
    from gatepost.app.classroom import learn_now, teach_messages
    from gatepost.app.installation import opened
    from gatepost.mail.address import parse_address
    from gatepost.office.teaching import Teacher

    whose = parse_address(owner, smtputf8=True) if owner else None
    if owner and whose is None:
        raise click.UsageError(f"--for {owner} is no address.")
    teacher = Teacher(who=whoami(), how="command", owner=whose.key if whose else "")
    with opened(find_config(config)) as installation:
        done = teach_messages(
            installation, messages(paths), teacher, spam=spam, why=why,
            complain=lambda sentence: click.echo(harmless(sentence), err=True),
        )  # fmt: skip
        if not done.read:
            click.echo("There was no message to learn from.", err=True)
            sys.exit(1)
        counts = {
            "read": done.read, "learnt": done.learnt, "known": done.known, "over": done.over,
            "unreadable": done.unreadable,
        }  # fmt: skip
        tell(written(lambda: learn_now(installation)), counts, as_json=as_json)


def messages(paths: tuple[str, ...]) -> Iterator[Found]:
    """Everything below the paths."""
    from gatepost.scan.source import messages_in, paths_below

    files = [str(path) for given in paths for path in ([Path("-")] if given == "-" else paths_below(given))]
    with Progress() as tell:
        for path in tell.through("Files read", files, len(files)):
            yield from messages_in(path)


def written(learn_it: Callable[[], Learnt]) -> Learnt:
    """The model; a disk that would not take it is told in a sentence."""
    from gatepost.store.failures import StoreFailed

    try:
        return learn_it()
    except OSError as fault:
        raise StoreFailed(
            f"the lessons are kept, but the model could not be written: {fault.strerror}"
        ) from None


def tell(now: Learnt, counts: dict[str, int], *, as_json: bool) -> None:
    """What was done, and what the classifier knows by now."""
    if as_json:
        click.echo(
            json_line(
                {
                    **counts,
                    "wanted": now.ham,
                    "unwanted": now.spam,
                    "ready": now.ready,
                    "problem": now.problem,
                }
            )
        )
        return
    if now.problem:
        click.echo(f"The model was made anew, because {now.problem}.", err=True)
    if counts:
        parts = [f"{counts['learnt']:,} learnt"]
        parts += [f"{counts['known']:,} known already"] if counts["known"] else []
        parts += [f"{counts['over']:,} over what one person may teach in a day"] if counts["over"] else []
        click.echo(f"{counts['read']:,} messages read: {', '.join(parts)}.")
    click.echo(f"The classifier {known(now.ham, now.spam, ready=now.ready)}.")


def known(ham: int, spam: int, *, ready: bool) -> str:
    """What has been learnt, in words; what is missing as well."""
    from gatepost.classify.model import READY_AT

    words = f"has learnt {ham:,} wanted and {spam:,} unwanted messages"
    if ready:
        return f"{words}, and judges by them"
    return f"{words}; it judges from {READY_AT[0]} and {READY_AT[1]} on, and until then only observes"

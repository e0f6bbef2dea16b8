"""CPU of looking inside a message, check by check, and the sum. Called by ./bench content.

    ./bench content [--rounds N] [--profile STEP]

Two kinds of mail: the 200 made-up messages that ./bench sends (2 to 20 KB), and the newer 40 % of the SpamAssassin
corpus where it is in the cache (`detection_corpus`). Each message is parsed afresh and goes through all steps in
their order before the next one comes, so what one step works out is there for the next, as in the gate, and the steps share
whatever else the machine does. Nothing is asked of the DNS; there is no sandboxed child and no virus scanner.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean, median

import corpus
import detection_corpus

from gatepost.begin import Done, begin
from gatepost.checks.content.attachments import ATTACHMENTS
from gatepost.checks.content.links import LINKS
from gatepost.checks.content.rules import RULES
from gatepost.checks.content.spam import SPAM
from gatepost.checks.content.structure import STRUCTURE
from gatepost.checks.registry import ALL_CHECKS
from gatepost.checks.run import Configured
from gatepost.classify.features import features
from gatepost.classify.model import SiteModel, train
from gatepost.mail.authresults import AuthResults
from gatepost.mail.client import Mail
from gatepost.mail.content import content_of
from gatepost.mail.filereport import FileReport
from gatepost.mail.message import Message, to_crlf
from gatepost.scan.judge import Told, situate
from gatepost.scan.nothing import NOTHING, EverybodyKnown, Forgetful, NoDns, Nothing
from gatepost.tools import Opinion

NAMES = ("lookalike", "impersonation")
Step = Callable[[Mail], object]


class World:
    """Fits `tools.Tools`."""

    resolver = NoDns()
    memory = correspondents = Forgetful()
    recipients = EverybodyKnown()
    scanner = people = entries = NOTHING
    now = 1_700_000_000.0

    def __init__(self, model: SiteModel) -> None:
        self.model = Learnt(model)
        self.unpacker = NoFiles()


class NoFiles:
    """A child that finds nothing in any file, at once."""

    async def inspect(self, message: Message) -> tuple[FileReport, ...]:  # noqa: ARG002 - the seam's signature
        """Nothing."""
        return ()


class Learnt(Nothing):
    """A classifier that has learnt."""

    def __init__(self, model: SiteModel) -> None:
        self.site = model

    def opinion(self, mail: Mail) -> Opinion | None:
        """Features and opinion."""
        return self.site.opinion(features(content_of(mail.message), mail.message))


def steps(world: World) -> dict[str, Step]:
    """What is measured, in the order in which it is done."""

    def check(one: Configured) -> Step:
        def run(mail: Mail) -> object:
            begun = begin(one.check.run(mail, world, one.settings))
            return begun.result if isinstance(begun, Done) else begun.close()

        return run

    by_name = {one.name: one for one in ALL_CHECKS}
    others = [by_name[name] for name in NAMES if name in by_name]
    return {
        "parts": lambda mail: content_of(mail.message).tree,
        "text": lambda mail: content_of(mail.message).text,
        "links of the text": lambda mail: content_of(mail.message).links,
        **{
            one.name: check(Configured(one, one.settings()))
            for one in (STRUCTURE, LINKS, *others, ATTACHMENTS, RULES, SPAM)
        },
    }


def measured(
    mails: Iterable[bytes], todo: dict[str, Step], profile: dict[str, cProfile.Profile]
) -> dict[str, list[int]]:
    """Nanoseconds of CPU of each step, message by message."""
    spent: dict[str, list[int]] = {name: [] for name in todo}
    clock = time.thread_time_ns
    for octets in mails:
        message = Message.parse(octets)
        client, envelope = situate(message, Told(), ())
        mail = Mail(client=client, envelope=envelope, message=message, auth=AuthResults())
        for name, step in todo.items():
            watching = profile.get(name)
            if watching is not None:
                watching.enable()
            began = clock()
            step(mail)
            spent[name].append(clock() - began)
            if watching is not None:
                watching.disable()
    return spent


def told(title: str, runs: list[dict[str, list[int]]]) -> None:
    """One table."""
    print(f"\n### {title}\n\n| step | mean ms | median ms |\n| --- | --- | --- |")
    total = [0.0] * len(next(iter(runs[0].values())))
    for name in runs[0]:
        # Of a message's several times the middle one: what else the machine did is left out.
        each = [median(times) / 1e6 for times in zip(*(run[name] for run in runs), strict=True)]
        total = [one + more for one, more in zip(total, each, strict=True)]
        print(f"| {name} | {fmean(each):.3f} | {median(each):.3f} |")
    print(f"| **sum** | **{fmean(total):.3f}** | **{median(total):.3f}** |")


def main() -> None:
    """Both corpora."""
    reader = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    reader.add_argument("--rounds", type=int, default=5)
    reader.add_argument("--profile", action="append", default=[], metavar="STEP")
    reader.add_argument("--only", choices=("made-up", "spamassassin"))
    asked = reader.parse_args()
    profile = {name: cProfile.Profile() for name in asked.profile}
    kinds: dict[str, list[bytes]] = {}
    model = SiteModel()
    if asked.only != "made-up":
        old, new = detection_corpus.split(detection_corpus.load())
        lessons = []
        for one in old[::3]:
            message = Message.parse(one.octets)
            found = features(content_of(message), message)
            lessons.append((found, one.spam))
        model = train(lessons)
        kinds[f"{len(new):,} messages of the SpamAssassin corpus"] = [one.octets for one in new]
    if asked.only != "spamassassin":
        with tempfile.TemporaryDirectory(prefix="gatepost-content-") as folder:
            made = corpus.make(Path(folder)).files
            kinds[f"{len(made)} made-up messages of 2 to 20 KB"] = [to_crlf(one.read_bytes()) for one in made]
    todo = steps(World(model))
    for title, mails in kinds.items():
        measured(mails[:50], todo, {})
        told(title, [measured(mails, todo, profile) for _ in range(asked.rounds)])
    for name, watched in profile.items():
        print(f"\n{name}\n")
        pstats.Stats(watched).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()

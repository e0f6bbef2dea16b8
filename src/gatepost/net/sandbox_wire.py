"""What the gate and its sandboxed child say to each other: frames of msgpack, a length of four octets in front.

The child is hostile: it has read what strangers sent. Its answers are decoded by type, bounded, and made printable,
whatever it says; see `reports_of`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from gatepost.mail.address import printable
from gatepost.mail.filereport import FileFact, FileReport

MAX_FRAME = 8 * 1024 * 1024
"""Octets of one frame, either way; contents of files follow their frame outside of it."""
MAX_REPORTS = 1000
MAX_DEPTH = 20
MAX_FACTS = 100
MAX_LINKS = 2000
"""Of all files of an attachment together."""
MAX_TEXT = 400_000
"""Characters of all files of an attachment together."""
MAX_SENTENCE = 500
MAX_URL = 4096
WORD = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")
YARA = "yara"
"""The fact's name when one of the operator's rules matched."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)
"""What decoding raises: text that is no UTF-8 is not an error of its own."""

Scalar = str | int | float | bool | list[str] | None


class Setup(msgspec.Struct, frozen=True):
    """The first frame a child hears: what holds for all its life."""

    memory_octets: int
    scratch_octets: int
    cpu_s: float
    """Of one order."""
    rules: bytes = b""
    """Compiled YARA rules; empty for none."""
    landlock: bool = True
    """False in tests: as if the kernel had none."""


class Ready(msgspec.Struct, frozen=True):
    """What it answers when its cage is closed."""

    refused: str = ""
    """Why it could not be closed; the child ends."""
    by: list[str] = []
    """What holds it: ``seccomp``, ``landlock``, ``namespaces``, ``scratch``."""


class Order(msgspec.Struct, frozen=True):
    """Something to look into; `size` octets follow."""

    what: str
    """``file``, or ``message`` for rules over a whole message."""
    size: int
    name: str = ""
    declared: str = ""
    encoding: str = ""
    """A transfer encoding still to be undone."""
    part: int = 0
    passwords: list[str] = []


class WireFact(msgspec.Struct, frozen=True):
    """A FileFact."""

    name: str
    text: str
    evidence: dict[str, Scalar] = {}


class WireReport(msgspec.Struct, frozen=True):
    """A FileReport; `octets` is how many octets follow the frame, -1 for none."""

    path: list[str]
    kind: str
    size: int
    facts: list[WireFact] = []
    links: list[str] = []
    text: str = ""
    octets: int = -1


class Answer(msgspec.Struct, frozen=True):
    """To an Order. The contents of files follow, in the order of the reports."""

    reports: list[WireReport] = []
    failed: str = ""
    """The exception that ended it."""


def to_wire(reports: Sequence[FileReport]) -> Answer:
    """In the child: what was seen, cut to what the gate will take."""
    text_left, links_left, wired = MAX_TEXT, MAX_LINKS, []
    for one in reports[:MAX_REPORTS]:
        text, links = one.text[:text_left], list(one.links[:links_left])
        text_left -= len(text)
        links_left -= len(links)
        facts = [WireFact(fact.name, fact.text, dict(fact.evidence)) for fact in one.facts[:MAX_FACTS]]
        octets = -1 if one.octets is None else len(one.octets)
        wired.append(WireReport(list(one.path), one.kind, one.size, facts, links, text, octets))
    return Answer(wired)


def reports_of(
    answer: Answer, contents: Sequence[bytes | None], *, part: int, declared: str
) -> list[FileReport]:
    """In the gate: the child's answer as FileReports, bounded and printable."""
    text_left, links_left, reports = MAX_TEXT, MAX_LINKS, []
    for number, one in enumerate(answer.reports[:MAX_REPORTS]):
        text, links = one.text[:text_left], one.links[:links_left]
        text_left -= len(text)
        links_left -= len(links)
        reports.append(
            FileReport(
                path=tuple(printable(name, 200) for name in one.path[:MAX_DEPTH]) or ("",),
                part=part,
                kind=one.kind if WORD.fullmatch(one.kind) else "",
                declared=declared if number == 0 else "",
                size=max(0, one.size),
                facts=tuple(_fact(fact) for fact in one.facts[:MAX_FACTS] if WORD.fullmatch(fact.name)),
                links=tuple(printable(link, MAX_URL) for link in links),
                text=text,
                octets=contents[number] if number < len(contents) else None,
            )
        )
    return reports


def _fact(fact: WireFact) -> FileFact:
    evidence = {printable(key, 40): _bounded(value) for key, value in list(fact.evidence.items())[:20]}
    return FileFact(fact.name, printable(fact.text, MAX_SENTENCE), evidence)


def _bounded(value: Scalar) -> Scalar:
    if isinstance(value, str):
        return printable(value, MAX_SENTENCE)
    if isinstance(value, list):
        return [printable(one, MAX_SENTENCE) for one in value[:20]]
    return value

"""What is in a held message, for its page: where its links go, and what its attachments truly are. Looking is on record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gatepost.files.kinds import KINDS
from gatepost.mail.address import printable
from gatepost.mail.filereport import FileReport
from gatepost.office.preview import FileSeen, LinkSeen, Preview
from gatepost.store.records import HistoryEntry
from gatepost.tools import Unavailable

MOST_FILES = 200
Inspect = Callable[[bytes], Awaitable[Sequence[FileReport]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """One attachment, or a file within one."""

    name: str
    """The path from the attachment downwards, printable."""
    within: bool
    """It is in an archive or document."""
    declared: str
    """The type that the mail says it is; empty for files within others."""
    kind: str
    """What it truly is, in words; empty when nobody knows."""
    size: int | None
    """Octets, unpacked; None when not known."""
    remarks: tuple[str, ...] = ()
    """What the checks said of it when the message came: names of facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """Links and attachments of one message."""

    links: tuple[LinkSeen, ...]
    attached: tuple[Attached, ...]
    looked_into: bool
    """False: no confined child could look, and true types are not known."""


async def inside_of(octets: bytes, shown: Preview, entry: HistoryEntry, inspect: Inspect | None) -> Inside:
    """Both lists; `entry` has what the checks said. Never raises on what is in the message."""
    remarks = remarks_on(entry)
    try:
        reports = await inspect(octets) if inspect is not None and shown.files else ()
        looked = inspect is not None
    except Unavailable:
        reports, looked = (), False
    if reports:
        attached = tuple(from_report(one, remarks) for one in reports[:MOST_FILES])
    else:
        attached = tuple(from_part(one, remarks) for one in shown.files[:MOST_FILES])
    return Inside(links=shown.links, attached=attached, looked_into=looked or not shown.files)


def from_report(one: FileReport, remarks: dict[str, list[str]]) -> Attached:
    """As the child saw it."""
    kind = KINDS.get(one.kind)
    return Attached(
        name=printable(one.shown, 300), within=len(one.path) > 1, declared=printable(one.declared, 100),
        kind=kind.title if kind is not None else "", size=one.size, remarks=tuple(remarks.get(one.shown, ())),
    )  # fmt: skip


def from_part(one: FileSeen, remarks: dict[str, list[str]]) -> Attached:
    """As the mail says."""
    return Attached(
        name=one.name, within=False, declared=printable(one.kind, 100), kind="", size=one.size,
        remarks=tuple(remarks.get(one.name, ())),
    )  # fmt: skip


def remarks_on(entry: HistoryEntry) -> dict[str, list[str]]:
    """Name of the file, as findings tell it -> the facts about it."""
    found: dict[str, list[str]] = {}
    for finding in {
        one.finding.key: one.finding for judged in entry.judged for one in judged.verdict.weighed
    }.values():
        files = finding.evidence.get("files")
        for name in files if isinstance(files, list) else ():
            found.setdefault(str(name), []).append(finding.key)
    return found

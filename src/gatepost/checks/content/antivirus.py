"""Is there malware in it, by the virus scanner? ClamAV through clamd, and further engines over ICAP.

The scanner gets the message as it came, every part as every plausible reader decodes it, and what was unpacked where
the scanner might not get by itself. What could not be scanned is said, never passed over: mail is "clean" only when
all of it was looked at.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gatepost.checks.check import BOTH_WAYS, Check, Emits, OnFailure
from gatepost.files.selection import worth_a_look
from gatepost.mail.address import printable
from gatepost.mail.client import Mail
from gatepost.mail.content import Content, content_of
from gatepost.mail.filereport import FileReport
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.part import Part
from gatepost.mail.verdict import Action
from gatepost.mail.withintext import data_octets
from gatepost.tools import Scanner, Tools, Unavailable, Unscannable

LARGE = 256 * 1024
"""A part of more octets is decoded on a thread."""
MAX_SCANS = 300
"""Pieces of one message that are given to the scanner; mail with more is marked unscannable."""
WIDE = ("utf-16", "utf-32", "utf-7", "ucs-2", "ucs-4", "utf16", "utf32", "unicode")
"""Character sets in which even ASCII looks different."""
HIDING = frozenset({"encrypted", "truncated", "failed", "unreadable", "bomb"})
"""Facts of a file that mean: not all of it was seen."""
UNSEEN = frozenset({"message-partial", "external-body", "sealed", "broken-envelope"})
"""Ambiguities that mean the same."""
NAMED = 5

HERE = "operating guide, “Attachments and malware”"

FOUND = Emits(
    name="antivirus.found",
    about="The virus scanner knows malware in it.",
    reference=HERE,
    weight=10.0,
    group="malware",
    action=Action.QUARANTINE,
)
UNSCANNABLE = Emits(
    name="antivirus.unscannable",
    about="Part of it could not be scanned: locked, too large, broken, or a fragment of a message.",
    reference=HERE,
    weight=0.5,
    group="attachment",
)
UNSCANNED = Emits(
    name="antivirus.unscanned",
    about="The virus scanner did not answer; plain text without attachments is let on without it.",
    reference=HERE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AntivirusSettings:
    """The virus scanner; without an address here nothing is scanned."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    clamd: str = ""
    """Where clamd listens: "unix:/run/clamav/clamd.ctl" or "tcp:127.0.0.1:3310"."""
    icap: tuple[str, ...] = ()
    """Further engines over ICAP: "icap://127.0.0.1:1344/avscan"."""
    action: Action = Action.QUARANTINE
    """What happens to mail with malware: junk, quarantine or refuse."""
    on_failure: OnFailure = OnFailure.DEFER
    """When the scanner does not answer and the mail has attachments: defer, or ignore. Plain text is delivered, with a finding."""
    largest_octets: int = 104_857_600
    """More is not given to the scanner, and marked unscannable; clamd's own limit is its StreamMaxLength."""
    connections: int = 8
    """Scans at once of each process that receives mail."""
    scan_s: float = 15.0
    """How long one scan may take."""


async def antivirus(mail: Mail, tools: Tools, _settings: AntivirusSettings) -> Sequence[Finding]:
    """What the scanner found, or that it could not look."""
    content = content_of(mail.message)
    reports, reason = await _unpacked(mail, content, tools)
    unseen = [*_unseen(content, reports), *([("", reason)] if reason else [])]
    found, missed, silent = await _scan_all(_pieces(mail, content, reports), tools.scanner)
    findings = [
        FOUND.found(_sentence(names, where), {"malware": names, "where": where}) for names, where in found
    ]
    if silent:
        if not findings and not _plain_text(content):
            raise Unavailable(silent)
        findings.append(UNSCANNED.found(f"not all of it was scanned: {silent}", {"reason": silent}))
    unseen += missed
    if unseen:
        said = list(dict.fromkeys(f"{where}: {why}" if where else why for where, why in unseen))
        more = f" and {len(said) - NAMED} more" if len(said) > NAMED else ""
        findings.append(
            UNSCANNABLE.found(
                f"not all of it could be scanned: {'; '.join(said[:NAMED])}{more}", {"what": said[:20]}
            )
        )
    return findings


Piece = tuple[str, bytes | Part]
"""Where it is, and its octets, or a part still to be decoded."""


def _pieces(mail: Mail, content: Content, reports: Sequence[FileReport]) -> Iterator[Piece]:
    """Everything a reader might see as a file, most telling first; the message itself last."""
    for report in reports:
        if report.octets:
            yield report.shown, report.octets
    for part in content.parts:
        if part.is_multipart or not part.size:
            continue
        name = printable(part.filename) or f"part {part.index}"
        yield name, part
        if part.content_type.startswith("text/"):
            yield from ((name, octets) for octets in _wide_text(part))
    for part in content.within_text:
        yield "data: address", part
    for link in content.links:
        if link.scheme == "data" and (octets := data_octets(link.url)):
            yield "data: address", octets
    yield "the message", mail.message.octets


async def _scan_all(
    pieces: Iterator[Piece], scanner: Scanner
) -> tuple[list[tuple[list[str], str]], list[tuple[str, str]], str]:
    """What was found and where, what can never be scanned and why, and why the scanner was silent."""
    found: list[tuple[list[str], str]] = []
    missed: list[tuple[str, str]] = []
    silent = ""
    seen: set[bytes] = set()
    batch: dict[asyncio.Task[str | None], str] = {}
    try:
        for number, (where, octets) in enumerate(pieces):
            if number >= MAX_SCANS and where != "the message":
                missed.append(("", f"it is in more than {MAX_SCANS} pieces"))
                continue
            if isinstance(octets, Part):
                octets = await _decoded(octets)
            if not octets or octets in seen:
                continue
            seen.add(octets)
            batch[asyncio.create_task(scanner.scan(octets))] = where
        if batch:
            await asyncio.wait(batch)
    finally:
        for task in batch:
            task.cancel()
    for task, where in batch.items():
        try:
            name = task.result()
        except Unscannable as why:
            missed.append((where, str(why)))
        except Unavailable as why:
            silent = silent or str(why)
        else:
            if name is not None:
                found.append(([name], where))
    return found[:NAMED], missed, silent


async def _decoded(part: Part) -> bytes:
    if part.size <= LARGE:
        return part.octets
    return await asyncio.to_thread(lambda: part.octets)


async def _unpacked(mail: Mail, content: Content, tools: Tools) -> tuple[Sequence[FileReport], str]:
    if not worth_a_look(content):
        return (), ""
    try:
        return await tools.unpacker.inspect(mail.message), ""
    except Unavailable as why:
        return (), str(why)


def _unseen(content: Content, reports: Sequence[FileReport]) -> Iterator[tuple[str, str]]:
    """What no scanner can have seen whole."""
    for report in reports:
        facts = {fact.name: fact for fact in report.facts}
        for name in sorted(HIDING & facts.keys()):
            if not (name == "encrypted" and "password-found" in facts):
                yield report.shown, facts[name].text
    for ambiguity in content.tree.ambiguities:
        if ambiguity.name in UNSEEN:
            yield "", ambiguity.text
    if content.tree.truncated:
        yield "", "it has more parts, or deeper ones, than are read"


def _wide_text(part: Part) -> Iterator[bytes]:
    """Text in a character set that hides even ASCII, in plain octets."""
    octets = part.octets if part.size <= LARGE else b""
    charset = part.charset.replace("_", "-")
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        charset = "utf-16"
    elif not charset.startswith(WIDE) and octets[1:2] == b"\0":
        charset = "utf-16-le"
    elif not charset.startswith(WIDE) and octets[:1] == b"\0":
        charset = "utf-16-be"
    if charset.startswith(WIDE):
        try:
            yield octets.decode(charset, "replace").encode("utf-8", "replace")
        except (LookupError, UnicodeError):
            return


def _plain_text(content: Content) -> bool:
    """Nothing but text to read: no attachment by any reading."""
    return not content.tree.truncated and all(
        one.is_multipart
        or (
            one.content_type in ("text/plain", "text/html")
            and not one.filename
            and one.disposition != "attachment"
        )
        for one in content.parts
    )


def _sentence(names: list[str], where: str) -> str:
    return f"the virus scanner found {', '.join(names)} in {where}"


def _emits(settings: AntivirusSettings) -> tuple[Emits, ...]:
    return (replace(FOUND, action=settings.action), UNSCANNABLE, UNSCANNED)


def _problems(settings: AntivirusSettings) -> list[str]:
    problems = []
    if settings.clamd and not re.fullmatch(r"unix:/.+|tcp:[^ ]+:[0-9]{1,5}", settings.clamd):
        problems.append(f'clamd is "{settings.clamd}", but "unix:/path" or "tcp:host:port" is wanted')
    problems += [
        f'icap names "{one}", but an address such as "icap://127.0.0.1:1344/avscan" is wanted'
        for one in settings.icap
        if not re.fullmatch(r"icap://[^/\s]+(?:/[!-~]*)?", one)
    ]
    if settings.action in (Action.DELIVER, Action.DEFER):
        problems.append(f'action is "{settings.action}", but junk, quarantine or refuse is wanted')
    return problems


ANTIVIRUS = Check(
    name="antivirus",
    subject=Mail,
    settings=AntivirusSettings,
    run=antivirus,
    ways=BOTH_WAYS,
    emits=(FOUND, UNSCANNABLE, UNSCANNED),
    emits_under=_emits,
    on_failure=OnFailure.DEFER,
    timeout_s=40.0,
    idle=lambda settings: not settings.clamd and not settings.icap,
    problems=_problems,
)

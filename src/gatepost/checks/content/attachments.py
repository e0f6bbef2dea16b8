"""What is attached, and what may that do? Judges what the sandboxed child reports of every file and what is in it.

What becomes of each type is the postmaster's: `types` names a kind (``pe``), a family (``program``) or a fact
(``encrypted``), and says allow, note, quarantine, refuse or strip. The rest is weighed like any other fact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path

from gatepost.checks.check import BOTH_WAYS, Check, Emits, OnFailure
from gatepost.checks.content.attachmentfacts import (
    BY_FACT,
    BY_FAMILY,
    EMITS,
    QUARANTINED,
    REFUSED,
    RULES_NOT_RUN,
    STRIP,
    YARA,
)
from gatepost.files.facts import FACTS
from gatepost.files.kind import kind_by_name
from gatepost.files.kinds import KINDS
from gatepost.files.selection import worth_a_look
from gatepost.files.yararules import RuleProblem, compile_rules
from gatepost.mail.client import Mail
from gatepost.mail.content import content_of
from gatepost.mail.filereport import FileFact, FileReport
from gatepost.mail.finding import Finding, Mode
from gatepost.tools import Tools, Unavailable

MAX_RULES_OCTETS = 32 * 1024 * 1024
NAMED = 3
"""Files named in one sentence."""


class Handling(StrEnum):
    """What becomes of mail with a type of attachment."""

    ALLOW = "allow"
    """Nothing is said of it."""
    NOTE = "note"
    """It is a fact, with its weight."""
    QUARANTINE = "quarantine"
    REFUSE = "refuse"
    STRIP = "strip"
    """Delivered without it; the original is kept."""


DEFAULT_TYPES = {
    "program": Handling.QUARANTINE, "script": Handling.QUARANTINE, "shortcut": Handling.QUARANTINE,
    "installer": Handling.QUARANTINE, "disk-image": Handling.QUARANTINE, "bomb": Handling.QUARANTINE,
    "macro-autoexec": Handling.QUARANTINE, "ace": Handling.QUARANTINE, "alz": Handling.QUARANTINE,
    "shell": Handling.NOTE, "python": Handling.NOTE, "perl": Handling.NOTE, "url": Handling.NOTE, "webloc": Handling.NOTE,
}  # fmt: skip
"""Held unless the postmaster says otherwise: what runs with a click, or when a document is opened. Scripts that programmers send each other, and links
that people drag into a mail, are only noted. ACE and ALZip archives are held because nothing here can open them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentSettings:
    """Attached files."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    types: Mapping[str, Handling] = field(default_factory=dict)
    """What becomes of mail with a kind ("pe"), a family ("program") or a fact ("encrypted"): allow, note, quarantine, refuse, strip.
    Programs, scripts, shortcuts, installers, disk images, bombs, macros that run by themselves, and ACE and ALZip archives, which nothing
    here can open, are quarantined unless said otherwise."""
    rules_folder: str = ""
    """A folder of YARA rules (*.yar, *.yara), run over the message, its attachments and what is in them; a rule's meta may say
    severity (info, low, medium, high, critical) or weight (log-odds), and description."""
    on_failure: OnFailure = OnFailure.DEFER
    """When no attachment can be looked into at all: defer mail that has one, or ignore."""


async def attachments(mail: Mail, tools: Tools, settings: AttachmentSettings) -> Sequence[Finding]:
    """One finding for each thing that was seen, whatever number of files it was seen in."""
    attached = worth_a_look(content_of(mail.message))
    if not attached and not settings.rules_folder:
        return ()
    try:
        reports = await tools.unpacker.inspect(mail.message)
    except Unavailable as why:
        if attached:
            raise
        # Only the rules over the text are missing: said, but no reason to keep plain mail waiting.
        return (RULES_NOT_RUN.found(f"the YARA rules were not run over the message: {why}"),)
    seen: dict[Emits, list[tuple[FileReport, str]]] = {}
    handled: dict[Handling, list[tuple[FileReport, str]]] = {}
    yara: list[Finding] = []
    for report in reports:
        for emits, name, text in _aspects(report):
            handling = _handling(settings.types, report.kind, name)
            if handling is Handling.ALLOW:
                continue
            if emits is not None:
                seen.setdefault(emits, []).append((report, text))
            if handling is not Handling.NOTE:
                handled.setdefault(handling, []).append((report, text))
        yara += [_matched(report, fact) for fact in report.facts if fact.name == "yara"]
    return [*(_told(emits, files) for emits, files in seen.items()), *yara, *_decided(handled)]


def _aspects(report: FileReport) -> Iterator[tuple[Emits | None, str, str]]:
    """What there is to say of a file: by its family, and by each of its facts."""
    facts = {fact.name for fact in report.facts}
    kind = KINDS.get(report.kind)
    if kind is not None and _opens_as(report, kind.family):
        yield BY_FAMILY.get(kind.family), kind.family, f"it is {kind.title}"
    for fact in report.facts:
        if fact.name == "encrypted" and "password-found" in facts:
            continue
        if fact.name == "macro" and facts & {"macro-autoexec", "macro-suspicious"}:
            continue
        if fact.name != "yara":
            yield _of_fact(fact, facts), fact.name, fact.text


def _opens_as(report: FileReport, family: str) -> bool:
    """Script and shortcuts in plain text only run under a name that says so."""
    if family not in ("script", "shortcut") or report.kind in ("lnk", "chm"):
        return True
    promised = kind_by_name(report.name)
    return bool(promised) and KINDS[promised].family not in (
        "text",
        "message",
        "document",
        "picture",
        "media",
        "data",
    )


def _of_fact(fact: FileFact, facts: set[str]) -> Emits | None:
    """A macro that runs by itself and does what macros of malware do is worth more than either."""
    if (
        fact.name in ("macro-autoexec", "macro-suspicious")
        and {"macro-autoexec", "macro-suspicious"} <= facts
    ):
        return BY_FACT["macro-dangerous"]
    return BY_FACT.get(fact.name)


def _handling(types: Mapping[str, Handling], kind: str, name: str) -> Handling:
    """The postmaster's word for the kind, else for the family or fact, else the default."""
    family = KINDS[kind].family if kind in KINDS else ""
    names = (kind, name) if name == family else (name,)
    for table in (types, DEFAULT_TYPES):
        for one in names:
            if one in table:
                return table[one]
    return Handling.NOTE


def _told(emits: Emits, files: Sequence[tuple[FileReport, str]]) -> Finding:
    report, text = files[0]
    return emits.found(
        f"{_where(report)}: {text}{_and_more(files)}",
        {"files": _names(files), "kinds": list(dict.fromkeys(one.kind for one, _ in files))[:20]},
    )


def _decided(handled: Mapping[Handling, Sequence[tuple[FileReport, str]]]) -> Iterator[Finding]:
    """What the postmaster's word asks for; the strictest is what policy takes."""
    for handling, emits, done in (
        (Handling.REFUSE, REFUSED, "refused"),
        (Handling.QUARANTINE, QUARANTINED, "held"),
        (Handling.STRIP, STRIP, "taken out before delivery"),
    ):
        files = handled.get(handling)
        if files:
            report, text = files[0]
            parts = sorted({str(one.part) for one, _ in files}, key=int)
            yield emits.found(
                f"{_where(report)}: {text}{_and_more(files)}; such attachments are {done}",
                {"files": _names(files), "parts": parts},
            )


def _matched(report: FileReport, fact: FileFact) -> Finding:
    rule = str(fact.evidence.get("rule", ""))
    odds = fact.evidence.get("log_odds")
    measured = float(odds) if isinstance(odds, int | float) else 0.0
    return YARA.found(
        f"{_where(report)}: {fact.text}", {"rule": rule, "log_odds": measured, "files": [report.shown]}, rule
    )


def _where(report: FileReport) -> str:
    return report.shown or f"part {report.part}"


def _names(files: Sequence[tuple[FileReport, str]]) -> list[str]:
    return list(dict.fromkeys(_where(report) for report, _ in files))[:20]


def _and_more(files: Sequence[tuple[FileReport, str]]) -> str:
    others = _names(files)[1:]
    if not others:
        return ""
    return f" (and {', '.join(others[:NAMED])}{' and more' if len(others) > NAMED else ''})"


def rules_in(folder: str) -> dict[str, str]:
    """The rule files of a folder and those below, by name. Raises RuleProblem when it cannot be read."""
    path, sources, left = Path(folder), {}, MAX_RULES_OCTETS
    if not path.is_dir():
        raise RuleProblem(f"{folder} is no folder")
    for file in sorted(one for one in path.rglob("*") if one.suffix in (".yar", ".yara") and one.is_file()):
        name = str(file.relative_to(path))
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            why = fault.strerror if isinstance(fault, OSError) else "it is not UTF-8"
            raise RuleProblem(f"{name} cannot be read: {why}") from None
        left -= len(text)
        if left < 0:
            raise RuleProblem(f"{folder} holds more than {MAX_RULES_OCTETS} octets of rules")
        sources[name] = text
    return sources


def compiled_rules(folder: str) -> bytes:
    """The rules of a folder, ready for the sandboxed child; empty where there are none. Raises RuleProblem."""
    sources = rules_in(folder) if folder else {}
    return compile_rules(sources) if sources else b""


def _problems(settings: AttachmentSettings) -> list[str]:
    families = {kind.family for kind in KINDS.values()}
    known = families | KINDS.keys() | FACTS.keys()
    problems = []
    for name in settings.types:
        if name not in known:
            near = get_close_matches(name, sorted(known), n=1)
            problems.append(
                f'types names "{name}"' + (f"; did you mean {near[0]}?" if near else ", which is no type")
            )
    try:
        compiled_rules(settings.rules_folder)
    except RuleProblem as why:
        problems.append(f"rules_folder: {why}")
    return problems


ATTACHMENTS = Check(
    name="attachments",
    subject=Mail,
    settings=AttachmentSettings,
    run=attachments,
    ways=BOTH_WAYS,
    emits=EMITS,
    on_failure=OnFailure.DEFER,
    timeout_s=30.0,
    problems=_problems,
)

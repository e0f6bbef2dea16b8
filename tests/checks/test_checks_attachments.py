"""What attachments are judged by, and what the postmaster may say about each type."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from drive import drive
from gatepost.checks.content.attachmentfacts import BY_FACT
from gatepost.checks.content.attachments import ATTACHMENTS, AttachmentSettings, Handling, attachments
from gatepost.checks.content.spam import SPAM
from gatepost.checks.registry import configure
from gatepost.files.facts import FACTS
from gatepost.files.inspect import FileLimits, inspect_file
from gatepost.files.passwords import passwords_in_text
from gatepost.files.selection import worth_a_look
from gatepost.mail.client import Mail
from gatepost.mail.content import content_of
from gatepost.mail.filereport import FileFact, FileReport
from gatepost.mail.finding import Finding
from gatepost.mail.message import Message
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide
from gatepost.tools import Unavailable
from judging import mail


class Child:
    def __init__(self, *reports: FileReport) -> None:
        self.reports = reports

    async def inspect(self, message: Message) -> tuple[FileReport, ...]:
        return self.reports


def report(*path: str, kind: str, facts: tuple[str, ...] = ()) -> FileReport:
    return FileReport(path=path, part=1, kind=kind, facts=tuple(FileFact(one, FACTS[one]) for one in facts))


WITH_ONE = mail("Content-Type: application/octet-stream; name=a.bin")


def seen(*reports: FileReport, message: Mail = WITH_ONE, **settings: object) -> list[Finding]:
    tools = SimpleNamespace(unpacker=Child(*reports))
    return list(drive(attachments(message, tools, AttachmentSettings(**settings))))  # type: ignore[arg-type]


def action(findings: list[Finding]) -> Action:
    book = assemble(PolicySettings(), configure({}, checks=(ATTACHMENTS,)))
    return decide(findings, book.default).action


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("d.vhdx", b"vhdxfile" + bytes(1016)),
        ("d.vmdk", b"KDMV\1\0\0\0" + bytes(1016)),
        ("d.dmg", bytes(3000) + b"koly" + bytes(508)),
        ("d.iso", bytes(0x8000) + b"\0BEA01\1" + bytes(2041) + b"\0NSR02" + bytes(3000)),
        ("d.qcow2", b"QFI\xfb" + bytes(1020)),
        ("d.vdi", bytes(64) + b"\x7f\x10\xda\xbe" + bytes(1000)),
        ("d.img", bytes(1080) + b"\x53\xef" + bytes(1000)),
        ("d", bytes(1024) + b"H+\0\4" + bytes(1000)),
        ("a.ace", bytes(7) + b"**ACE**" + bytes(40)),
    ],
)
def test_disk_images_are_held_by_what_they_are_also_where_nothing_opens_them(
    name: str, octets: bytes
) -> None:
    reports = inspect_file(
        name, "application/octet-stream", octets, 1, passwords=(), limits=FileLimits(), scratch=None
    )
    assert action(seen(*reports)) is Action.QUARANTINE


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (report("a.zip", "b.exe", kind="pe"), Action.QUARANTINE),
        (report("run.js", kind="javascript"), Action.QUARANTINE),
        (report("a.lnk", kind="lnk"), Action.QUARANTINE),
        (report("a.iso", kind="iso"), Action.QUARANTINE),
        (report("a.msi", kind="msi"), Action.QUARANTINE),
        (
            report("invoice.docm", kind="docm", facts=("macro", "macro-autoexec", "macro-suspicious")),
            Action.QUARANTINE,
        ),
        (report("list.xlsm", kind="xlsm", facts=("macro", "macro-autoexec")), Action.QUARANTINE),
        (report("form.html", kind="html", facts=("html-smuggling", "script")), Action.QUARANTINE),
        (report("login.html", kind="html", facts=("password-form",)), Action.JUNK),
        (report("a.pdf", kind="pdf", facts=("pdf-launch",)), Action.JUNK),
        (report("a.zip", kind="zip", facts=("bomb",)), Action.QUARANTINE),
        (report("a.pdf", kind="pdf", facts=("pdf-form", "qr-code")), Action.DELIVER),
        (report("a.docx", kind="docx"), Action.DELIVER),
        (report("a.xlsm", kind="xlsm", facts=("macro",)), Action.DELIVER),
        (report("a.zip", kind="zip", facts=("encrypted",)), Action.DELIVER),
        (report("photo.jpg", kind="jpeg"), Action.DELIVER),
        (report("script.py", kind="python"), Action.DELIVER),
        (report("fix.patch", kind="javascript"), Action.DELIVER),
    ],
    ids=lambda value: value.shown if isinstance(value, FileReport) else str(value),
)
def test_what_becomes_of_it_by_default(one: FileReport, what: Action) -> None:
    assert action(seen(one)) is what


def test_the_postmaster_decides_about_a_kind_a_family_and_a_fact() -> None:
    program = report("a.exe", kind="pe")
    assert action(seen(program, types={"pe": Handling.REFUSE})) is Action.REFUSE
    assert action(seen(program, types={"program": Handling.REFUSE})) is Action.REFUSE
    assert seen(program, types={"program": Handling.ALLOW}) == []
    assert action(seen(program, types={"program": Handling.REFUSE, "pe": Handling.NOTE})) is Action.JUNK
    locked = report("a.zip", kind="zip", facts=("encrypted",))
    assert action(seen(locked, types={"encrypted": Handling.QUARANTINE})) is Action.QUARANTINE


def test_strip_names_the_parts_and_decides_nothing() -> None:
    found = seen(report("a.docm", kind="docm"), types={"docm": Handling.STRIP})
    [strip] = [one for one in found if one.name == "attachments.strip"]
    assert strip.evidence["parts"] == ["1"]
    assert action(found) is Action.DELIVER


def test_one_sentence_for_many_files() -> None:
    found = seen(*(report(f"{number}.exe", kind="pe") for number in range(9)))
    [program] = [one for one in found if one.name == "attachments.program"]
    assert program.text == "0.exe: it is a Windows program (and 1.exe, 2.exe, 3.exe and more)"


def test_a_rule_brings_its_own_weight() -> None:
    fact = FileFact("yara", "the YARA rule evil matches it", {"rule": "evil", "log_odds": 8.0})
    found = seen(FileReport(path=("a",), part=1, kind="text", facts=(fact,)))
    assert [(one.key, one.evidence["log_odds"]) for one in found] == [("attachments.yara:evil", 8.0)]
    assert action(found) is Action.QUARANTINE


def test_a_rule_of_the_operators_counts_as_malware_which_no_allowed_sender_excuses() -> None:
    fact = FileFact("yara", "the YARA rule evil matches it", {"rule": "evil", "log_odds": 8.0})
    found = seen(FileReport(path=("a",), part=1, kind="text", facts=(fact,)))
    assert action([*found, Finding("senders.allowed", "somebody allowed the sender")]) is Action.QUARANTINE


def test_familiar_words_do_not_free_a_macro_that_runs_by_itself() -> None:
    found = seen(report("list.xlsm", kind="xlsm", facts=("macro", "macro-autoexec")))
    opinion = Finding("spam.opinion", "by what was learnt here it is wanted mail", {"log_odds": -2.5})
    book = assemble(PolicySettings(), configure({}, checks=(ATTACHMENTS, SPAM)))
    assert decide([*found, opinion], book.default).action is Action.QUARANTINE


def test_no_child_means_unavailable_and_plain_mail_never_asks() -> None:
    class Gone:
        async def inspect(self, message: Message) -> None:
            raise Unavailable("no child")

    tools = SimpleNamespace(unpacker=Gone())
    with pytest.raises(Unavailable):
        drive(attachments(WITH_ONE, tools, AttachmentSettings()))  # type: ignore[arg-type]
    assert drive(attachments(mail(), tools, AttachmentSettings())) == ()  # type: ignore[arg-type]
    with_rules = AttachmentSettings(rules_folder="rules")
    found = list(drive(attachments(mail(), tools, with_rules)))  # type: ignore[arg-type]
    assert [one.name for one in found] == ["attachments.rules-not-run"]
    assert action(found) is Action.DELIVER
    with pytest.raises(Unavailable):
        drive(attachments(WITH_ONE, tools, with_rules))  # type: ignore[arg-type]


def test_wrong_settings_are_told_in_a_sentence(tmp_path: Path) -> None:
    problems = ATTACHMENTS.problems
    assert problems is not None
    assert problems(AttachmentSettings(types={"programm": Handling.NOTE})) == [
        'types names "programm"; did you mean program?'
    ]
    (tmp_path / "bad.yar").write_text("rule b { condition: nothing }")
    [broken] = problems(AttachmentSettings(rules_folder=str(tmp_path)))
    assert broken == "rules_folder: bad.yar:1:21: unknown identifier `nothing`"
    (tmp_path / "bad.yar").write_text('rule b { meta: severity = "awful" condition: true }')
    [broken] = problems(AttachmentSettings(rules_folder=str(tmp_path)))
    assert 'severity "awful" is none of' in broken
    assert problems(AttachmentSettings(rules_folder=str(tmp_path / "none")))


def test_every_fact_that_is_judged_is_a_fact_of_files() -> None:
    assert BY_FACT.keys() - FACTS.keys() == {"macro-dangerous"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("The password is: Ab-12!x", "Ab-12!x"),
        ("Password: 1234\n", "1234"),
        ("password for the archive: 7788.", "7788"),
        ("PASS - qwe", "qwe"),
        ("Das Passwort lautet „geheim“", "geheim"),
        ("パスワード：himitsu", "himitsu"),
        ("パスワードは「himitsu」です", "himitsu"),
        ("解压码 8866", "8866"),
        ("Пароль: тайна", "тайна"),
    ],
)
def test_passwords_are_found_where_people_write_them(text: str, word: str) -> None:
    assert word in passwords_in_text(text)
    assert len(passwords_in_text(text * 500)) <= 20


@pytest.mark.parametrize(
    ("header", "body", "looked_at"),
    [
        ("Content-Type: text/plain", b"hello", False),
        ("Content-Type: text/html", b"<p>hello</p>", False),
        ("Content-Type: text/plain; name=notes.txt", b"hello", False),
        ("Content-Type: image/gif; name=dot.gif", b"GIF89a\1\0\1\0" + bytes(20), False),
        ("Content-Type: image/gif; name=dot.exe", b"GIF89a\1\0\1\0" + bytes(20), True),
        ("Content-Type: image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x80\0\0\0\x80", True),
        ("Content-Type: text/plain; name=notes.js", b"hello", True),
        ("Content-Type: text/html; name=page.html", b"<p>hello</p>", True),
        ("Content-Type: text/plain", b"MZ" + bytes(100), True),
        ("Content-Type: text/plain; name=notes.txt", b"MZ" + bytes(100), True),
        ("Content-Type: application/pdf", b"%PDF-1.7", True),
    ],
)  # fmt: skip
def test_what_can_plainly_do_no_harm_costs_no_look(header: str, body: bytes, looked_at: bool) -> None:
    content = content_of(Message.parse(header.encode() + b"\r\n\r\n" + body))
    assert bool(worth_a_look(content)) is looked_at

"""What people do in their mailboxes, and what they forward, teaches the classifier; what strangers send does not."""

from __future__ import annotations

import asyncio
import email
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

import pytest

from gatepost.delivery.maildir import copy_name, file_copy, mailbox
from gatepost.jobs.mailboxes import LOOKED_KEY, Mailboxes, address_of
from gatepost.jobs.reports import Reports, forwarded, quoted_message
from gatepost.jobs.settings import REPORTS, LearningSettings
from gatepost.mail.address import Address
from gatepost.mail.authresults import AuthResults, DmarcResult
from gatepost.mail.client import Client
from gatepost.mail.message import Message
from gatepost.mail.verdict import Action, Verdict
from gatepost.office.teaching import digest
from gatepost.store import lessons
from gatepost.store.memory import StoredMemory
from gatepost.store.records import Judged
from gatepost.store.store import Store
from store_samples import acceptance

ANA = Address("ana", "example.net")
SPAM, HAM = Address("spam", "example.net"), Address("ham", "example.net")
OFFER = b"From: Offers <o@bulk.example>\r\nSubject: Buy now\r\n\r\nbuy now and save\r\n"
SETTINGS = LearningSettings(
    report_spam=str(SPAM), report_ham=str(HAM), reports_from=("10.0.0.0/8",), person_a_day=3
)
PROVED = AuthResults(dmarc=DmarcResult(result="pass", author_domain="example.net"))


class Bench:
    """A store, a folder of Maildirs, and the two rounds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_700_000_000.0
        self.base = folder / "mail"
        self.store: Store
        self.numbers = 0

    def run(self, work: Callable[[Bench], Awaitable[None]]) -> None:
        async def story() -> None:
            self.store = Store.open(self.folder / "state")
            memory = StoredMemory(self.store.database, lambda: self.now)
            self.mailboxes = Mailboxes(
                store=self.store, memory=memory, settings=lambda: SETTINGS, bases=lambda: [self.base],
                clock=lambda: self.now,
            )  # fmt: skip
            self.reports = Reports(
                store=self.store, settings=lambda: SETTINGS, is_ours=lambda domain: domain == "example.net",
                clock=lambda: self.now,
            )  # fmt: skip
            await memory.put(LOOKED_KEY, "0", ttl_s=1e6)  # everything on the disk came since
            try:
                await work(self)
            finally:
                await memory.close()
                await self.store.close()

        asyncio.run(story())

    async def deliver(self, *, junk: bool, octets: bytes = OFFER) -> Path:
        """A message the gate took in and filed for ana."""
        self.numbers += 1
        ref = f"2N5REF{self.numbers:04}"
        await self.record(ref, junk=junk)
        header = f"X-Gatepost: ref={ref}; score=1.0; rule=x\r\n".encode()
        name = copy_name(created_at=self.now, ref=ref, item=self.numbers, hostname="mx")
        return file_copy(base=self.base, to=ANA, octets=header + octets, name=name, junk=junk).path

    async def record(
        self, ref: str, *, junk: bool = False, client: Client | None = None, auth: AuthResults | None = None
    ) -> None:
        accepted = acceptance(ref, at=self.now)
        action = Action.JUNK if junk else Action.DELIVER
        verdict = Verdict(action=action, would_action=action, rule="x", reason="x", score=0.0)
        judged = tuple(
            Judged(recipient=one, verdict=verdict, deliver_to=(str(ANA),))
            for one in accepted.entry.envelope.recipients
        )
        entry = replace(
            accepted.entry, judged=judged, client=client or accepted.entry.client, auth=auth or AuthResults()
        )
        await self.store.carry_out(replace(accepted, entry=entry))

    async def report(self, octets: bytes, *, to: Address = SPAM, **proof: object) -> Path:
        """Mail to a report address, as the gate files it for itself."""
        self.numbers += 1
        ref = f"2N5REP{self.numbers:04}"
        await self.record(ref, **proof)  # type: ignore[arg-type]
        header = f"Return-Path: <x>\r\nX-Gatepost: ref={ref}; score=1.0; rule=x\r\n".encode()
        base = self.folder / "state" / REPORTS
        return file_copy(base=base, to=to, octets=header + octets, name=f"{self.numbers}.x").path

    async def memory_zero(self) -> None:
        """The last look was long ago."""
        await self.mailboxes.memory.put(LOOKED_KEY, "0", ttl_s=1e6)

    def learnt(self) -> list[tuple[str, bool | None, str]]:
        return [
            (one.owner, one.spam, one.how)
            for one in self.store.database.read(lambda c: lessons.after(c, 0, limit=100))
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def move(path: Path, *, junk: bool, name: str = "") -> Path:
    folder = path.parent.parent
    home = folder.parent if folder.name == ".Junk" else folder
    target = (home / ".Junk" if junk else home) / "cur"
    target.mkdir(parents=True, exist_ok=True)
    return path.rename(target / (name or f"{path.name}:2,S"))


def test_moved_to_junk_and_back_again(bench: Bench) -> None:
    async def story(bench: Bench) -> None:
        path = await bench.deliver(junk=False)
        await bench.mailboxes.look()
        assert bench.learnt() == []  # where it was put teaches nothing
        await bench.memory_zero()
        path = move(path, junk=True)
        await bench.mailboxes.look()
        assert bench.learnt() == [("ana@example.net", True, "moved")]
        await bench.memory_zero()
        await bench.mailboxes.look()
        assert len(bench.learnt()) == 1
        move(path, junk=False, name="1.other.name:2,")  # as another mail server names it
        await bench.memory_zero()
        await bench.mailboxes.look()
        assert bench.learnt()[1:] == [("ana@example.net", False, "moved")]
        told = bench.store.journal(subject="2N5REF0001")
        assert [one.what for one in told] == [
            "learn ham for <ana@example.net>",
            "learn spam for <ana@example.net>",
        ]

    bench.run(story)


def test_taken_out_of_junk(bench: Bench) -> None:
    async def story(bench: Bench) -> None:
        move(await bench.deliver(junk=True), junk=False)
        await bench.mailboxes.look()
        assert bench.learnt() == [("ana@example.net", False, "moved")]

    bench.run(story)


def test_mail_that_did_not_come_through_the_gate_and_links_teach_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    async def story(bench: Bench) -> None:
        move(await bench.deliver(junk=True), junk=True)
        junk = mailbox(bench.base, ANA, junk=True) / "cur"
        (junk / "1.strange").write_bytes(OFFER)
        (junk / "2.forged").write_bytes(b"X-Gatepost: ref=2N5NOBODY1; score=1; rule=x\r\n" + OFFER)
        secret = tmp_path / "secret"
        secret.write_bytes(b"X-Gatepost: ref=2N5REF0001; score=1; rule=x\r\n" + OFFER)
        inbox = mailbox(bench.base, ANA) / "cur"
        inbox.mkdir(parents=True)
        (inbox / "3.link").symlink_to(secret)
        await bench.mailboxes.look()
        assert bench.learnt() == []

    bench.run(story)


def test_the_first_look_only_notes_the_time(bench: Bench) -> None:
    async def story(bench: Bench) -> None:
        await bench.mailboxes.memory.put(LOOKED_KEY, "0", ttl_s=-1)
        move(await bench.deliver(junk=False), junk=True)
        await bench.mailboxes.look()
        assert bench.learnt() == []
        assert await bench.mailboxes.memory.get(LOOKED_KEY) == str(bench.now)

    bench.run(story)


def test_nobody_teaches_without_end(bench: Bench) -> None:
    async def story(bench: Bench) -> None:
        for number in range(6):
            move(await bench.deliver(junk=False, octets=OFFER + b"%d" % number), junk=True)
        await bench.mailboxes.look()
        assert len(bench.learnt()) == SETTINGS.person_a_day

    bench.run(story)


def attached(author: str = "Ana <ana@example.net>") -> bytes:
    report = EmailMessage()
    report["From"], report["To"], report["Subject"] = author, str(SPAM), "Fwd: Buy now"
    report.set_content("this is spam")
    report.add_attachment(email.message_from_bytes(OFFER))
    return report.as_bytes().replace(b"\n", b"\r\n")


def test_a_report_of_a_proved_person_of_ours_is_learnt_and_gone(bench: Bench) -> None:
    async def story(bench: Bench) -> None:
        path = await bench.report(attached(), auth=PROVED)
        await bench.reports.read()
        assert bench.learnt() == [("ana@example.net", True, "report")]
        assert not path.exists()
        (one,) = bench.store.database.read(lambda c: lessons.after(c, 0, limit=9))
        assert one.content == digest(Message.parse(OFFER))  # the very message that came, not the report
        await bench.report(attached(), to=HAM, client=Client(ip=None, user="ana@example.net"))
        await bench.reports.read()
        assert bench.learnt()[1:] == [("ana@example.net", False, "report")]
        await bench.report(attached(), client=Client(ip=ip_address("10.1.2.3")))
        await bench.reports.read()
        assert len(bench.learnt()) == 3

    bench.run(story)


@pytest.mark.parametrize(
    "author", ["Ana <ana@example.net>", "Eve <eve@evil.example>", "ana@example.net, eve@evil.example"]
)
def test_a_report_of_nobody_proved_is_put_aside(bench: Bench, author: str) -> None:
    async def story(bench: Bench) -> None:
        path = await bench.report(attached(author), client=Client(ip=ip_address("203.0.113.9")))
        await bench.reports.read()
        assert bench.learnt() == []
        assert not path.exists()
        assert [one.name for one in (path.parent.parent / "cur").iterdir()] == [f"{path.name}:2,"]

    bench.run(story)


@pytest.mark.parametrize(
    "mark",
    [
        "-----Original Message-----",
        "---------- Forwarded message ----------",
        "Begin forwarded message:",
        "-------- 転送メッセージ --------",
    ],
)
def test_forwarded_inline_it_is_learnt_as_far_as_the_quoted_header_tells(mark: str) -> None:
    text = f"please look\n\n{mark}\n> From: Offers <o@bulk.example>\n> Date: today\n> Subject: Buy now\n\nbuy now and save\n"
    made = quoted_message(text)
    assert made is not None
    message = Message.parse(made)
    assert message.get(b"subject") == b"Buy now"
    assert message.get(b"from") == b"Offers <o@bulk.example>"
    assert bytes(message.body) == b"buy now and save\r\n"


def test_a_report_without_a_message_in_it_brings_nothing() -> None:
    assert quoted_message("just a note") is None
    assert quoted_message("-----Original Message-----\nno header here") is None
    assert forwarded(b"From: ana@example.net\r\n\r\nhello\r\n") == []


@pytest.mark.parametrize(
    "address", ["ana@example.net", "a/b@example.net", ".hidden@example.net", "jörg@example.net"]
)
def test_a_mailbox_says_whose_it_is(address: str) -> None:
    local, _, domain = address.rpartition("@")
    folder = mailbox(Path("/m"), Address(local, domain))
    assert address_of(folder.name, folder.parent.name) == address


def test_a_name_too_long_for_a_folder_says_nothing() -> None:
    folder = mailbox(Path("/m"), Address("%" * 90, "example.net"))
    assert address_of(folder.name, folder.parent.name) == ""

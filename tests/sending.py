"""The way out as tests use it: a configuration, a memory that counts, a store that remembers what it was given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from gatepost.accepting.desk import Contact
from gatepost.app.wiring import build_submission
from gatepost.config.schema import settle
from gatepost.delivery.directory import Directory
from gatepost.dns.zone import Zone
from gatepost.mail.address import Address, parse_address
from gatepost.mail.client import Attempt, Client, Envelope, Recipient, TlsFacts
from gatepost.scan.nothing import NOTHING
from gatepost.smtp.handler import Screened
from gatepost.smtp.reply import Reply
from gatepost.store.messages import copy_for_delivery
from gatepost.store.records import Acceptance, AccountHold, HistoryEntry, Notice
from gatepost.submission import Submission
from judging import World

NOW = 1_795_500_000.0
ANA = Client(
    ip=ip_address("192.0.2.55"), hello="laptop.lan", role="submission", user="ana@example.net",
    sends_as=("ana@example.net", "info@example.net", "@lists.example.net"), device="laptop",
    tls=TlsFacts(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384"),
)  # fmt: skip
PRINTER = Client(ip=ip_address("10.0.0.9"), hello="printer", role="submission", excused=True)
STRANGER = Client(ip=ip_address("203.0.113.9"), hello="x", role="submission")
LETTER = (
    b"From: Ana <ana@example.net>\r\nTo: bo@example.org\r\nSubject: lunch\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\n"
    b"Message-ID: <1@example.net>\r\n\r\nAt noon?\r\n"
)


@dataclass
class Kept:
    """The store: what it was given, what was turned down, which accounts it was told to hold."""

    acceptances: list[Acceptance] = field(default_factory=list)
    turned_down: list[HistoryEntry] = field(default_factory=list)
    holds: list[AccountHold] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    room: bool = True

    async def carry_out(self, acceptance: Acceptance) -> None:
        self.acceptances.append(acceptance)
        if acceptance.hold is not None:
            await self.hold_account(acceptance.hold)

    def has_room(self) -> bool:
        return self.room

    def record_soon(self, entry: HistoryEntry) -> None:
        self.turned_down.append(entry)

    async def hold_account(self, hold: AccountHold) -> None:
        self.holds.append(hold)
        self.held[hold.account] = hold.reason

    def held_because(self, account: str) -> str | None:
        return self.held.get(account)


@dataclass
class Desk:
    """A way out with everything around it."""

    submission: Submission
    store: Kept
    world: World
    contacts: list[Contact]
    letters: list[tuple[str, str]]
    told: list[HistoryEntry]

    def send(
        self, octets: bytes = LETTER, *to: str, client: Client = ANA, sender: str | None = "ana@example.net", **more: object
    ) -> Reply:  # fmt: skip
        """One message from RCPT TO on; the first refusal, or the answer to the data."""
        return asyncio.run(self.sent(octets, *to, client=client, sender=sender, **more))

    async def sent(
        self, octets: bytes = LETTER, *to: str, client: Client = ANA, sender: str | None = "ana@example.net", **more: object
    ) -> Reply:  # fmt: skip
        screened: list[Screened] = []
        recipients = tuple(Recipient(address=known(one)) for one in to or ("bo@example.org",))
        by = parse_address(sender, smtputf8=True) if sender else None
        for one in recipients:
            answer = await self.submission.screen(Attempt(client=client, sender=by, recipient=one))
            if not answer.reply.positive:
                return answer.reply
            screened.append(answer)
        envelope = Envelope(sender=by, recipients=recipients, **more)  # type: ignore[arg-type]
        (reply,) = await self.submission.receive(client, envelope, octets, screened)
        return reply

    @property
    def last(self) -> Acceptance:
        return self.store.acceptances[-1]

    @property
    def delivered(self) -> bytes:
        """The last message as others get it."""
        return copy_for_delivery(self.last.octets, self.last.added_header, self.last.removed_fields)

    def findings(self) -> list[str]:
        """What was seen of the last message that was accepted."""
        return [one.name for one in self.last.entry.findings]


def desk(*, scanner: object = NOTHING, model: object = NOTHING, unpacker: object = NOTHING, now: float = NOW, **tables: object) -> Desk:  # fmt: skip
    """`tables` as in the configuration file."""
    table = {
        "hostname": "mx.example.net",
        "domains": [
            {
                "name": "example.net",
                "recipients": ["ana@example.net", "ben@example.net"],
                "deliver": "maildir:mail",
            }
        ],
        **tables,
    }
    loaded = settle(table, file="test", path=None, folder=Path("/nonexistent"))
    directory = Directory(routes=loaded.routes, clock=lambda: 0.0)
    store, world = Kept(), World(now=now)
    contacts: list[Contact] = []
    letters: list[tuple[str, str]] = []
    told: list[HistoryEntry] = []

    def notify(subject: str, text: str, at: float) -> tuple[Notice, ...]:
        letters.append((subject, text))
        return (Notice(ref="N", recipient=Address("postmaster", "example.net"), octets=b"x", at=at),)

    submission = build_submission(
        loaded, store=store, holds=store, resolver=Zone.parse(""), memory=world, recipients=directory,
        correspondents=world, expand=directory.expand, acquaint=contacts.append, announce=told.append, notify=notify,
        scanner=scanner, model=model, unpacker=unpacker, clock=lambda: world.now,
    )  # type: ignore[arg-type]  # fmt: skip
    return Desk(submission, store, world, contacts, letters, told)


def known(text: str) -> Address:
    address = parse_address(text, smtputf8=True)
    assert address is not None
    return address


def letter(*header: str, body: str = "At noon?\r\n", author: str = "ana@example.net") -> bytes:
    """A message with the usual header and these fields more."""
    lines: Sequence[str] = (
        f"From: Ana <{author}>",
        "To: bo@example.org",
        "Subject: lunch",
        "Date: Tue, 24 Nov 2026 08:00:00 +0000",
        "Message-ID: <1@example.net>",
        *header,
    )
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

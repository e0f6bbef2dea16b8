"""The journal's head is signed and sent away on a schedule: what was cut off here is known there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatepost.jobs.letter import letter
from gatepost.jobs.look import JOURNAL_KEY
from gatepost.jobs.rounds import Round
from gatepost.mail.address import Address, parse_address
from gatepost.store import journal
from gatepost.store.failures import StoreFailed
from gatepost.store.journalhead import LONGEST_TEXT, HeadKey, SignedHead, append_line, read_heads, trusted
from gatepost.store.memory import StoredMemory
from gatepost.store.records import Notice
from gatepost.store.store import Store

log = logging.getLogger("gatepost.jobs")

SENT_KEY = "journal:sent"
SENT_KEPT_S = 400 * 86_400.0
KEPT_ALARM_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """Where the journal's signed head goes, so that cutting it off shows."""

    send_head_to: tuple[str, ...] = ()
    """Mail addresses, and files that are appended to (best on another machine); whoever can change the journal should
    not be able to change what is there."""
    head_every_s: float = 3600.0
    """How often it is sent, when there is anything new."""
    verify_every_s: float = 86_400.0
    """How often the journal is verified, against the heads in those files as well; what is wrong is an alarm."""


def journal_problems(settings: JournalSettings) -> list[str]:
    """What is wrong with the settings, one sentence each."""
    wrong = [
        f'send_head_to: "{one}" is neither a mail address nor a path: write ./{one} for a file'
        for one in settings.send_head_to
        if "/" not in one and parse_address(one, smtputf8=True) is None
    ]
    wrong += [
        f"{name}: less than a minute is too often"
        for name, value in (("head_every", settings.head_every_s), ("verify_every", settings.verify_every_s))
        if value < 60
    ]
    return wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSending:
    """Signs the head and sends it where the settings say."""

    store: Store
    memory: StoredMemory
    settings: Callable[[], JournalSettings]
    hostname: str
    folder: Path
    """Where relative paths start."""
    expand: Callable[[Address], tuple[str, ...]]
    """The final addresses of one of ours; another's stays as it is."""
    new_ref: Callable[[float], str]
    clock: Callable[[], float]
    """Unix seconds."""

    def rounds(self) -> Sequence[Round]:
        """For the clock."""
        settings = self.settings()
        return [
            Round("journal", settings.head_every_s, self.work),
            Round("journal-verify", settings.verify_every_s, self.verify),
        ]

    async def verify(self) -> None:
        """Is the journal as it was written, and are all heads in it that lie in files? What is wrong becomes an alarm."""
        problem = await self.problem()
        if problem is not None:
            log.error("the journal is not as it was written: %s", problem)
        await self.memory.put(JOURNAL_KEY, problem or "", ttl_s=KEPT_ALARM_S)

    async def problem(self) -> str | None:
        """One sentence; None when all is well."""
        kept: list[SignedHead] = []
        for one in self.settings().send_head_to:
            path = self.folder / one
            if "/" in one and path.is_file():
                with path.open(encoding="utf-8", errors="replace") as file:
                    kept += read_heads(file.read(LONGEST_TEXT))
        heads, problem = trusted(kept, HeadKey(self.store.folder).public() if kept else None)
        if problem is not None:
            return problem
        return await self.store.database.read_apart(lambda connection: journal.verify(connection, *heads))

    async def work(self) -> None:
        """Send the head to all, when it is another than the last one sent there."""
        to = self.settings().send_head_to
        if not to:
            return
        head = self.store.database.read(journal.head)
        signed: SignedHead | None = None
        for one in to:
            key = f"{SENT_KEY}:{one}"
            if head.number == 0 or await self.memory.get(key) == head.chain.hex():
                continue
            signed = signed or HeadKey(self.store.folder).sign(self.hostname, head, self.clock())
            try:
                await self._send(one, signed)
            except StoreFailed as failure:
                log.error("the journal's head could not be sent to %s: %s", one, failure)
                continue
            await self.memory.put(key, head.chain.hex(), ttl_s=SENT_KEPT_S)

    async def _send(self, to: str, signed: SignedHead) -> None:
        address = None if "/" in to else parse_address(to, smtputf8=True)
        if address is None:
            append_line(self.folder / to, signed.line)
            return
        subject = f"Journal of {signed.hostname}: entry {signed.head.number}"
        for final in self.expand(address):
            whom = parse_address(final, smtputf8=True)
            if whom is not None:
                ref = self.new_ref(signed.at)
                octets = letter(
                    subject,
                    TEXT.format(line=signed.line),
                    to=address,
                    hostname=self.hostname,
                    ref=ref,
                    now=signed.at,
                )
                await self.store.enqueue_notice(Notice(ref=ref, recipient=whom, octets=octets, at=signed.at))


TEXT = """\
This is the signed head of the journal. Keep it: entries that are cut off later are known by it.

    gatepost journal verify --head FILE

takes a file with any number of such mails or lines.

{line}
"""

"""Mail that our people forward to a report address teaches the classifier; it works in front of any mail server.

The gate delivers it into a Maildir of its own, where this job reads it. A report counts only from a person of ours who
was proved: signed in, or an author of a domain of ours that DMARC, DKIM or SPF proved, or sent by one of our own mail
servers. What is forwarded as an attachment is learnt as it is; forwarded inline, as far as the forwarded header
tells. Anything else stays in the Maildir's `cur`, where a postmaster finds it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from gatepost.checks.sender.identity import proved_domain
from gatepost.delivery.maildir import mailbox
from gatepost.jobs.mailboxes import read
from gatepost.jobs.settings import REPORTS, LearningSettings
from gatepost.mail.address import Address, parse_address
from gatepost.mail.author import authors
from gatepost.mail.client import Mail
from gatepost.mail.content import content_of
from gatepost.mail.message import Message, to_crlf
from gatepost.mail.trace import within
from gatepost.office.teaching import Teacher, lesson, teach
from gatepost.store.postmaster import Why
from gatepost.store.records import HistoryEntry
from gatepost.store.store import Store

log = logging.getLogger("gatepost.jobs")

MOST_AT_ONCE = 100
MOST_ATTACHED = 20
"""Messages in one report."""
REF = re.compile(rb"(?m)^X-Gatepost: ref=([0-9A-Z]{8,20});")
HEADER = 64 * 1024
MARKER = re.compile(
    r"(?m)^[ \t>]*(?:-{3,} ?(?:Original Message|Forwarded [Mm]essage|Ursprüngliche Nachricht|Message transféré|転送メッセージ|元のメッセージ) ?-{3,}"
    r"|Begin forwarded message:|-{5,} Forwarded message -{5,})[ \t]*\r?$"
)
QUOTED = re.compile(r"[ \t>]*\*?(From|Von|De|差出人|Subject|Betreff|Objet|件名)\*?[ \t]*[::][ \t]*(.+)")
AUTHOR_WORDS = ("From", "Von", "De", "差出人")


@dataclass(slots=True, kw_only=True)
class Reports:
    """The round that reads them."""

    store: Store
    settings: Callable[[], LearningSettings]
    is_ours: Callable[[str], bool]
    """Is this domain one of ours?"""
    clock: Callable[[], float]
    """Unix seconds."""

    async def read(self) -> None:
        """Everything that has come since."""
        settings = self.settings()
        for text, spam in ((settings.report_spam, True), (settings.report_ham, False)):
            address = parse_address(text, smtputf8=True) if text else None
            if address is None:
                continue
            folder = mailbox(self.store.folder / REPORTS, address)
            for path in await asyncio.to_thread(newest, folder / "new"):
                await self.take(path, settings, spam=spam)

    async def take(self, path: Path, settings: LearningSettings, *, spam: bool) -> None:
        """Learn from one report and remove it; one that counts for nothing is put aside."""
        octets = to_crlf(await asyncio.to_thread(read, path))
        found = REF.search(octets, 0, HEADER)
        entry = self.store.entry(found[1].decode()) if found else None
        owner = self.reporter(entry, octets, settings) if entry else None
        inside = forwarded(octets) if owner else []
        if owner is None or not inside:
            log.warning(
                "a report is not learnt from (%s): %s",
                found[1].decode() if found else path.name,
                "nobody of ours is proved to have sent it" if owner is None else "no message is in it",
            )
            await asyncio.to_thread(put_aside, path)
            return
        teacher = Teacher(who=owner, how="report", owner=owner)
        why = Why(who=owner, why=f"reported as {'spam' if spam else 'wanted'}", at=self.clock())
        new = [lesson(one, teacher, spam=spam) for one in inside]
        done = await teach(self.store, new, why, person_a_day=settings.person_a_day)
        if done.over:
            log.info("%s has reported enough for today; %d messages are left out", owner, done.over)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    def reporter(self, entry: HistoryEntry, octets: bytes, settings: LearningSettings) -> str | None:
        """The address of whoever of ours is proved to have sent it, None when nobody is."""
        message = Message.parse(octets)
        written = authors(message).addresses
        author = written[0] if len(written) == 1 else None
        if author is None or not self.is_ours(author.domain):
            return None
        if entry.client.user is not None:
            return signed_in(entry.client.user, author)
        if within(entry.client.ip, tuple(ip_network(one, strict=False) for one in settings.reports_from)):
            return author.key
        mail = Mail(client=entry.client, envelope=entry.envelope, message=message, auth=entry.auth)
        return author.key if proved_domain(mail) == author.domain else None


def signed_in(user: str, author: Address) -> str:
    """Whoever signed in answers for it, under the account's own address if it is one."""
    account = parse_address(user, smtputf8=True)
    return account.key if account is not None else author.key


def newest(folder: Path) -> Sequence[Path]:
    """Some of what has come, the oldest first."""
    try:
        return sorted(folder.iterdir())[:MOST_AT_ONCE]
    except OSError:
        return ()


def put_aside(path: Path) -> None:
    """Seen, and kept."""
    with suppress(OSError):
        path.rename(path.parent.parent / "cur" / f"{path.name}:2,")


def forwarded(octets: bytes) -> list[bytes]:
    """The messages that a report brings: those attached, else the one it quotes."""
    content = content_of(Message.parse(octets))
    attached = [one.octets for one in content.parts if one.content_type == "message/rfc822" and one.octets]
    if attached:
        return [to_crlf(one) for one in attached[:MOST_ATTACHED]]
    quoted = quoted_message(content.text)
    return [quoted] if quoted else []


def quoted_message(text: str) -> bytes | None:
    """The message below a forwarder's mark, as far as its quoted header tells; None where there is no mark."""
    mark = MARKER.search(text)
    if mark is None:
        return None
    header: dict[str, str] = {}
    lines = text[mark.end() :].lstrip("\r\n").split("\n")
    end = len(lines)
    for place, line in enumerate(lines):
        found = QUOTED.match(line)
        if found:
            name = "From" if found[1] in AUTHOR_WORDS else "Subject"
            header.setdefault(name, " ".join(found[2].split())[:500])
        elif not line.strip():
            end = place + 1
            break
    body = "\n".join(lines[end:]).strip()
    if "From" not in header or not body:
        return None
    fields = "".join(f"{name}: {value}\n" for name, value in header.items())
    return to_crlf(f"{fields}MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n{body}\n".encode())

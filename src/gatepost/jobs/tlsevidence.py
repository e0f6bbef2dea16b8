"""What others report of the TLS of their connections to us, read where `[mta_sts] reports_to` is an address of ours.

The gate delivers the reports into a Maildir of its own. One counts only when its author was proved (RFC 8460 §3 wants it
signed), and for a day that is neither long past nor to come. It is evidence for `jobs.ownpolicy`, each author by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatepost.checks.sender.identity import proved_domain
from gatepost.delivery.maildir import mailbox
from gatepost.jobs.mailboxes import read
from gatepost.jobs.reports import HEADER, REF, newest, put_aside
from gatepost.jobs.rounds import Round
from gatepost.mail.address import Address
from gatepost.mail.client import Mail
from gatepost.mail.content import content_of
from gatepost.mail.message import Message, to_crlf
from gatepost.store import ownpolicies
from gatepost.store.database import Connection
from gatepost.store.ownpolicies import DAY_S, REPORT, STS
from gatepost.store.store import Store
from gatepost.tlspolicy.reportreading import Told, read_report

log = logging.getLogger("gatepost.jobs")

FOLDER = "tlsreports"
"""Below the state."""
EVERY_S = 60.0
OLD_S = 10 * DAY_S
ATTACHED_MOST = 5
KINDS = frozenset(
    {
        "application/tlsrpt+gzip",
        "application/tlsrpt+json",
        "application/gzip",
        "application/json",
        "application/x-gzip",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsEvidence:
    """The round that reads reports."""

    store: Store
    address: Callable[[], Address | None]
    """Where they come, when that is ours."""
    domains: Callable[[], Sequence[str]]
    clock: Callable[[], float]

    def rounds(self) -> Sequence[Round]:
        """For the clock."""
        return [Round("tls-evidence", EVERY_S, self.work)] if self.address() is not None else []

    async def work(self) -> None:
        """Everything that has come since."""
        address = self.address()
        if address is None:
            return
        for path in await asyncio.to_thread(newest, mailbox(self.store.folder / FOLDER, address) / "new"):
            await self.take(path)

    async def take(self, path: Path) -> None:
        """Count one report and remove it; one that counts for nothing is put aside."""
        octets = to_crlf(await asyncio.to_thread(read, path))
        author = self._author(octets)
        told = [one for one in reports_in(octets) if self._counts(one)] if author else []
        if author is None or not told:
            why = "its author is not proved" if author is None else "it says nothing of our domains of late"
            log.warning("a TLS report does not count (%s): %s", path.name, why)
            await asyncio.to_thread(put_aside, path)
            return

        def work(connection: Connection) -> None:
            for one in told:
                ownpolicies.add_evidence(
                    connection, one.domain, f"{STS if one.sts else REPORT}{author}", at=one.at, good=one.good, bad=one.bad,
                    detail=one.detail,
                )  # fmt: skip

        await self.store.database.commit(work)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    def _author(self, octets: bytes) -> str | None:
        found = REF.search(octets, 0, HEADER)
        entry = self.store.entry(found[1].decode()) if found else None
        if entry is None:
            return None
        message = Message.parse(octets)
        mail = Mail(client=entry.client, envelope=entry.envelope, message=message, auth=entry.auth)
        return proved_domain(mail)

    def _counts(self, one: Told) -> bool:
        now = self.clock()
        return one.domain in self.domains() and now - OLD_S <= one.at <= now


def reports_in(octets: bytes) -> list[Told]:
    """What the reports attached to a message tell."""
    parts = [one for one in content_of(Message.parse(octets)).parts if one.content_type in KINDS]
    return [told for one in parts[:ATTACHED_MOST] for told in read_report(bytes(one.octets or b""))]

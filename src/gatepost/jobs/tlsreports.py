"""TLS reports (RFC 8460 §5): once a day, to every domain that asks for them, how the sessions with its mail hosts went.

By mail (signed like all our own mail; an unsigned one would be thrown away, RFC 8460 §5.3) and by HTTPS POST. Reports go out
spread over the first hours of the day after, so that all the world's do not come at midnight.
"""

from __future__ import annotations

import hashlib
import logging
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate

from gatepost.dns.answer import Resolver, Status
from gatepost.jobs.rounds import Round
from gatepost.mail.address import Address, parse_address
from gatepost.net.fetch import FetchFailed, FetchLimits, fetch
from gatepost.store.records import Notice
from gatepost.store.store import Store
from gatepost.store.wire import TlsTallies
from gatepost.tlspolicy.tlsrpt import DAY_S, Counted, Report, Wanted, report_gzip, wanted

log = logging.getLogger("gatepost.jobs")

EVERY_S = 600.0
SPREAD_S = 4 * 3600
"""Reports are sent within so long after midnight UTC."""
TRIES_MOST = 5
AGAIN_S = 5760.0
"""Before the second try; each wait is twice as long, and the last try a day after the first (RFC 8460 §5.5)."""
DAYS_BACK = 2
NEVER = frozenset({"NEVER"})
LIMITS = FetchLimits(total_s=60.0, octets=64 * 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsReports:
    """Sends what is due."""

    store: Store
    tallies: TlsTallies
    resolver: Resolver
    hostname: str
    organization: str
    contact: Callable[[], Address]
    """Who answers questions about reports, and their sender."""
    clock: Callable[[], float]
    """Unix seconds."""
    new_ref: Callable[[float], str]
    enabled: Callable[[], bool] = lambda: True
    trust_anchors: str = ""
    reached: dict[tuple[int, str], set[str]] = field(default_factory=dict)
    """Readers that have a report already while others of it are tried again, by day and domain. After a restart they may
    get it twice, under the same id."""

    def rounds(self) -> Sequence[Round]:
        """For the clock."""
        return [Round("tls-reports", EVERY_S, self.work)]

    async def work(self) -> None:
        """Everything that is due now."""
        now = self.clock()
        today = int(now // DAY_S)
        for old in [one for one in self.reached if one[0] < today - DAYS_BACK]:
            del self.reached[old]
        if self.enabled():
            for day in range(today - DAYS_BACK, today):
                for domain in self.tallies.domains(day):
                    if now >= (day + 1) * DAY_S + spread(domain) and self._again(day, domain, now):
                        await self.send(day, domain)
        await self.tallies.forget()

    def _again(self, day: int, domain: str, now: float) -> bool:
        tries, last = self.tallies.tries(day, domain)
        return tries < TRIES_MOST and now >= last + (AGAIN_S * 2 ** (tries - 1) if tries else 0)

    async def send(self, day: int, domain: str) -> None:
        """One domain's report for one day, if it wants one."""
        answer = await self.resolver.lookup(f"_smtp._tls.{domain}", "TXT")
        if answer.status is Status.FAILED:
            await self.tallies.note(
                day, domain, f"the record could not be looked up ({answer.problem})", done=False
            )
            return
        readers = wanted(answer.records) if answer.status is Status.FOUND else None
        if not readers:
            await self.tallies.note(day, domain, "no report is wanted", done=True)
            return
        counted = self.tallies.counted(day, domain)
        report = report_about(
            domain, day, counted, organization=self.organization, contact=str(self.contact())
        )
        outcome, done = await self._to_all(readers, report)
        log.log(logging.INFO if done else logging.WARNING, "TLS report for %s: %s", domain, outcome)
        await self.tallies.note(day, domain, outcome, done=done)

    async def _to_all(self, readers: Wanted, report: Report) -> tuple[str, bool]:
        """Send it to whoever has not got it yet; what became of it, and whether all have it."""
        octets, key = report_gzip(report), (report.day, report.domain)
        reached = self.reached.pop(key, set())
        words = [f"sent to {one}" for one in sorted(reached)]
        failed = False
        for reader in (*readers.post, *readers.mail):
            if reader in reached:
                continue
            if reader in readers.mail:
                ref, why = await self._mail(reader, report, octets)
            else:
                ref, why = "", await self._post(reader, octets)
            failed |= bool(why)
            words.append(
                f"not sent to {reader} ({why})" if why else f"sent to {reader}{ref and f' [ref {ref}]'}"
            )
            if not why:
                reached.add(reader)
        if failed and reached:
            self.reached[key] = reached
        return "; ".join(words), not failed

    async def _post(self, url: str, octets: bytes) -> str:
        """RFC 8460 §5.4; empty, or why it was not taken. The reader's name is proved before anything is said to it."""
        try:
            await fetch(
                url, resolver=self.resolver, limits=LIMITS, method="POST", body=octets,
                headers=(("Content-Type", "application/tlsrpt+gzip"),), trust_anchors=self.trust_anchors,
                allow_private=True, clock=self.clock,
            )  # fmt: skip
        except FetchFailed as failure:
            return str(failure)
        return ""

    async def _mail(self, reader: str, report: Report, octets: bytes) -> tuple[str, str]:
        """Queue it; its reference, or why not. Should it come to nothing, that is no news for anybody's mailbox."""
        now, address = self.clock(), parse_address(reader)
        if address is None:
            return "", "no address"
        ref, sender = self.new_ref(now), self.contact()
        mail = report_mail(
            report, octets, sender=sender, to=address, ref=ref, now=now, hostname=self.hostname
        )
        if not self.store.front(mail, now):
            return "", f"nothing signs for {sender.domain}: gatepost key create {sender.domain}"
        await self.store.enqueue_notice(
            Notice(ref=ref, recipient=address, octets=mail, sender=sender, notify=NEVER, at=now)
        )
        return ref, ""


def report_about(
    domain: str, day: int, counted: Sequence[Counted], *, organization: str, contact: str
) -> Report:
    """A day's report; its id is the same whenever it is made."""
    return Report(
        organization=organization,
        contact=contact,
        report_id=f"{day * DAY_S}.{hashlib.sha256(f'{domain}!{day}'.encode()).hexdigest()[:16]}",
        domain=domain,
        day=day,
        counted=counted,
    )


def spread(domain: str) -> float:
    """When after midnight a domain's report goes out: the same every day, in seconds."""
    return int.from_bytes(hashlib.sha256(domain.encode()).digest()[:4], "big") % SPREAD_S


def report_mail(
    report: Report, octets: bytes, *, sender: Address, to: Address, ref: str, now: float, hostname: str
) -> bytes:
    """The message that carries a report (RFC 8460 §5.3), CRLF ended. It waives TLS policies: a broken one is its subject."""
    encoded = b64encode(octets).decode("ascii")
    lines = [encoded[at : at + 76] for at in range(0, len(encoded), 76)]
    boundary = f"gatepost-{ref}"
    head = (
        f"From: <{sender}>\n"
        f"To: <{to}>\n"
        f"Subject: Report Domain: {report.domain} Submitter: {report.submitter} Report-ID: <{report.report_id}@{hostname}>\n"
        f"Date: {formatdate(now)}\n"
        f"Message-ID: <{ref}@{hostname}>\n"
        "Auto-Submitted: auto-generated\n"
        f"TLS-Report-Domain: {report.domain}\n"
        f"TLS-Report-Submitter: {report.submitter}\n"
        "TLS-Required: No\n"
        "MIME-Version: 1.0\n"
        f'Content-Type: multipart/report; report-type="tlsrpt";\n\tboundary="{boundary}"\n\n'
        f"--{boundary}\n"
        "Content-Type: text/plain; charset=us-ascii\n\n"
        f"This is an aggregate TLS report of {report.organization} for {report.domain}.\n\n"
        f"--{boundary}\n"
        "Content-Type: application/tlsrpt+gzip\n"
        "Content-Transfer-Encoding: base64\n"
        f'Content-Disposition: attachment;\n\tfilename="{report.file_name}"\n\n'
    )
    text = head + "\n".join(lines) + f"\n\n--{boundary}--\n"
    return text.replace("\n", "\r\n").encode("ascii", "replace")

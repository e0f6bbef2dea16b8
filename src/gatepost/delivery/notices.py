"""Who is told what became of a message: the sender when it was proved, else the postmaster (RFC 3461 §5.2).

A sender that nobody proved gets nothing, so that nobody is hit by notifications for mail of others; the
copy is held and the postmaster told, at most so often an hour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from gatepost.delivery.dsn import Kind, Report, build_dsn
from gatepost.delivery.settings import DeliverySettings
from gatepost.mail.address import Address, parse_address, printable
from gatepost.net.outbound import Sent
from gatepost.smtp.sending import Outcome
from gatepost.store.failures import StoreFailed
from gatepost.store.records import Notice, QueueItem


@dataclass(slots=True)
class Notices:
    """Makes the notices; the runner commits them with what they are about."""

    hostname: str
    postmaster: Address
    """Who is told of undeliverable mail."""
    original: Callable[[str], bytes]
    """The message as received, by its reference; may raise KeyError or StoreFailed."""
    new_ref: Callable[[float], str]
    expand: Callable[[Address], tuple[str, ...]] = lambda address: (str(address),)
    """The final addresses of one of ours (`Directory.expand`)."""
    settings: DeliverySettings = field(default_factory=DeliverySettings)
    untold: int = 0
    """Undeliverable copies the postmaster has not been told of, for the sake of the hourly limit."""
    _told_at: deque[float] = field(default_factory=deque)

    def delivered(self, item: QueueItem, outcome: Outcome, now: float, *, relayed: bool) -> list[Notice]:
        """Only for who asked with NOTIFY=SUCCESS."""
        if "SUCCESS" not in item.recipient.notify or not _may_be_told(item):
            return []
        return self._dsn(Kind.RELAYED if relayed else Kind.DELIVERED, item, outcome, now, None)

    def delayed(self, item: QueueItem, outcome: Outcome, now: float, sent: Sent | None) -> list[Notice]:
        """Unless NOTIFY was given without DELAY."""
        if not _may_be_told(item) or (item.recipient.notify and "DELAY" not in item.recipient.notify):
            return []
        return self._dsn(Kind.DELAYED, item, outcome, now, sent)

    def failed(
        self, item: QueueItem, outcome: Outcome, now: float, sent: Sent | None
    ) -> tuple[list[Notice], str]:
        """The notices, and why the copy is held; an empty reason when it need not be."""
        wanted = not item.recipient.notify or "FAILURE" in item.recipient.notify
        if not wanted:
            return [], ""
        if _may_be_told(item):
            return self._dsn(Kind.FAILED, item, outcome, now, sent), ""
        why = "the sender was not proved" if item.sender else "it has no sender to go back to"
        reason = f"Undeliverable, and {why}: {outcome.words}"
        return self._tell_postmaster(item, reason, now), reason

    def _dsn(
        self, kind: Kind, item: QueueItem, outcome: Outcome, now: float, sent: Sent | None
    ) -> list[Notice]:
        assert item.envelope.sender is not None
        ref = self.new_ref(now)
        original = self._original(item)
        report = Report(
            kind=kind,
            to=str(item.envelope.sender),
            hostname=self.hostname,
            recipient=str(item.recipient.address),
            status=outcome.status,
            words=outcome.words,
            ref=item.ref,
            token=ref,
            now=now,
            arrived_at=item.created_at,
            original=original,
            from_remote=outcome.reply is not None,
            remote_host=sent.host if sent and outcome.reply else "",
            orcpt=item.recipient.orcpt,
            envid=item.envelope.envid,
            headers_only=item.envelope.ret == "HDRS" or item.envelope.require_tls,  # RFC 8689 §4.2.1
            returned_octets=self.settings.returned_octets,
            retry_until=item.created_at + self.settings.schedule.give_up_s,
        )
        return self._to(item.envelope.sender, build_dsn(report), ref, now)

    def _to(self, whom: Address, octets: bytes, ref: str, now: float) -> list[Notice]:
        """One for each final address; the first has the reference that stands in the message."""
        finals = [address for text in self.expand(whom) if (address := parse_address(text, smtputf8=True))]
        return [
            Notice(ref=ref if index == 0 else self.new_ref(now), recipient=final, octets=octets, at=now)
            for index, final in enumerate(finals or [whom])
        ]

    def _original(self, item: QueueItem) -> bytes:
        try:
            return self.original(item.ref)
        except (KeyError, StoreFailed, OSError):
            return b""

    def _tell_postmaster(self, item: QueueItem, reason: str, now: float) -> list[Notice]:
        readers = {self.postmaster.key, *(text.lower() for text in self.expand(self.postmaster))}
        if not item.sender and not readers.isdisjoint((item.recipient.address.key, item.to.lower())):
            return []  # a notice that the postmaster does not get is not worth another one
        while self._told_at and self._told_at[0] <= now - 3600:
            self._told_at.popleft()
        if len(self._told_at) >= self.settings.notices_per_hour:
            self.untold += 1
            return []
        self._told_at.append(now)
        ref = self.new_ref(now)
        octets = self._words_for_postmaster(item, reason, ref, now)
        self.untold = 0
        return self._to(self.postmaster, octets, ref, now)

    def _words_for_postmaster(self, item: QueueItem, reason: str, ref: str, now: float) -> bytes:
        more = f"{self.untold} more since the last notice are held as well.\n" if self.untold else ""
        text = (
            f"From: Gatepost <mailer-daemon@{self.hostname}>\n"
            f"To: <{self.postmaster}>\n"
            f"Subject: Undeliverable mail is held [ref {item.ref}]\n"
            f"Date: {formatdate(now)}\n"
            f"Message-ID: <{ref}@{self.hostname}>\n"
            "Auto-Submitted: auto-generated\n"
            "MIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: 8bit\n\n"
            f"From: <{printable(item.sender, 320)}>\n"
            f"To:   <{printable(item.to, 320)}>\n\n"
            f"{printable(reason, 900)}\n{more}\n"
            f"gatepost explain {item.ref}     tells its story\n"
            "gatepost queue list              shows what is held\n"
        )
        return text.replace("\n", "\r\n").encode("utf-8", "replace")


def _may_be_told(item: QueueItem) -> bool:
    """RFC 3464 §2: never to the null sender; our rule: never to one that was not proved."""
    return item.may_bounce and item.envelope.sender is not None and "NEVER" not in item.recipient.notify

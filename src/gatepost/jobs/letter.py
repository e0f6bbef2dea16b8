"""Letters to the postmaster: what a person must do, such as publishing a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from gatepost.mail.address import Address, parse_address, printable
from gatepost.store.records import Notice
from gatepost.store.store import Store

LINE_MOST = 900
LETTER_MOST = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """Queues them, one for each reader."""

    store: Store
    hostname: str
    to: Callable[[], Address]
    """The postmaster of this moment."""
    expand: Callable[[Address], tuple[str, ...]]
    """The final addresses of one of ours."""
    new_ref: Callable[[float], str]
    clock: Callable[[], float]
    """Unix seconds."""

    async def send(self, subject: str, text: str) -> None:
        """Write to the postmaster. Raises StoreFailed."""
        for notice in self.notices(subject, text, self.clock()):
            await self.store.enqueue_notice(notice)

    def notices(
        self, subject: str, text: str, now: float, *, whom: Address | None = None
    ) -> tuple[Notice, ...]:
        """The letter as it is to be queued, one for each reader; to the postmaster, or to `whom`."""
        whom = whom or self.to()
        ref = self.new_ref(now)
        octets = letter(subject, text, to=whom, hostname=self.hostname, ref=ref, now=now)
        finals = [one for text in self.expand(whom) if (one := parse_address(text, smtputf8=True))]
        return tuple(
            Notice(ref=ref if index == 0 else self.new_ref(now), recipient=final, octets=octets, at=now)
            for index, final in enumerate(finals)
        )


def letter(subject: str, text: str, *, to: Address, hostname: str, ref: str, now: float) -> bytes:
    """A whole message, CRLF ended; nothing in `text` can end its header or lengthen its lines."""
    lines = [printable(line, LINE_MOST) for line in text[:LETTER_MOST].split("\n")]
    whole = (
        f"From: Gatepost <mailer-daemon@{hostname}>\n"
        f"To: <{to}>\n"
        f"Subject: {printable(subject, 200)}\n"
        f"Date: {formatdate(now)}\n"
        f"Message-ID: <{ref}@{hostname}>\n"
        "Auto-Submitted: auto-generated\n"
        "MIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: 8bit\n\n" + "\n".join(lines).rstrip("\n") + "\n"
    )
    return whole.replace("\n", "\r\n").encode("utf-8", "replace")

"""What a mail program forgot and what is nobody's business: the header fields that submission adds and leaves out.

RFC 6409 §8: Date and Message-ID are added where they are missing, and what stands twice becomes one (`submitting.repeated`). Bcc is left out (RFC 5322 §3.6.3). Trace fields that
an inner host wrote name private addresses and hosts; they are withheld on request. Nothing else is touched: the octets
stay as they came, and the changes are spans and a header in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

from gatepost.mail.client import Client, Envelope
from gatepost.mail.message import HeaderField, Message
from gatepost.mailauth.header import date_text, submission_field
from gatepost.submitting.repeated import repeated

WITHHELD = (b"bcc", b"resent-bcc")
OURS = (b"x-gatepost", b"x-gatepost-verdict", b"return-path")
"""Fields that only a receiving side writes."""
ADDRESS = re.compile(r"[\[(](?:IPv6:)?([0-9A-Fa-f:.]{3,45})[\])]", re.IGNORECASE)
FROM_HOST = re.compile(r"\s*from\s+([^\s;()]{1,255})", re.IGNORECASE)
INNER_NAME = re.compile(
    r"[^.\[\]]+|.*\.(?:local|lan|internal|intranet|corp|home|home\.arpa|localdomain)\.?", re.IGNORECASE
)
LONGEST_TRACE = 4000
MAKER = re.compile(r"[A-Za-z0-9.-]+\Z")


class Trace(StrEnum):
    """What happens to Received fields that are there already."""

    WITHHOLD = "withhold"
    """Those that show a private address or an inner host name are left out."""
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is done to a message on its way out."""

    added: bytes
    """In front of it, CRLF ended: our Received, then what was forgotten."""
    removed: tuple[tuple[int, int], ...]
    """Spans that are left out."""
    date: bool = False
    """A Date was added."""
    message_id: str = ""
    """The Message-ID that was added."""
    bcc: int = 0
    """Bcc fields left out."""
    trace: int = 0
    """Received fields withheld."""
    merged: tuple[str, ...] = ()
    """Names of fields that stood several times and are one now."""


def prepare(
    message: Message, client: Client, envelope: Envelope, *, hostname: str, ref: str, now: float, trace: Trace
) -> Prepared:
    """The changes to one message. `now` is Unix seconds; an added Message-ID is made of `ref` and the sender's domain."""
    recipients = envelope.recipients
    added = submission_field(
        client, receiver=hostname, ref=ref, now=now, smtputf8=envelope.smtputf8,
        recipient=recipients[0].address if len(recipients) == 1 else None,
    )  # fmt: skip
    date = not message.count(b"date")
    if date:
        added += f"Date: {date_text(int(now))}\r\n".encode("ascii")
    message_id = "" if message.count(b"message-id") else f"<{ref.lower()}@{maker(envelope, hostname)}>"
    if message_id:
        added += f"Message-ID: {message_id}\r\n".encode("ascii")
    blind = [one for name in WITHHELD for one in message.named(name)]
    inner = list(private_trace(message, hostname)) if trace is Trace.WITHHOLD else []
    ours = [one for name in OURS for one in message.named(name)]
    twice = repeated(message)
    removed = tuple(sorted((one.start, one.end) for one in (*blind, *inner, *ours, *twice.removed)))
    return Prepared(
        added=added + twice.added, removed=removed, date=date, message_id=message_id, bcc=len(blind),
        trace=len(inner), merged=twice.merged,
    )  # fmt: skip


def maker(envelope: Envelope, hostname: str) -> str:
    """The right side of a Message-ID: the sender's domain, else our name."""
    domain = envelope.sender.domain if envelope.sender else ""
    return domain if MAKER.match(domain) else hostname


def private_trace(message: Message, hostname: str) -> Iterator[HeaderField]:
    """Received fields that show a private address or the name of an inner host; our own are never among them, since
    they count a message's rounds."""
    ours = f" by {hostname.lower()} "
    for each in message.named(b"received"):
        text = message.value(each)[:LONGEST_TRACE].decode("utf-8", "replace")
        if ours in f" {' '.join(text.lower().split())} ":
            continue
        named = FROM_HOST.match(text)
        if (named is not None and INNER_NAME.fullmatch(named[1])) or any(
            is_private(found) for found in ADDRESS.findall(text)
        ):
            yield each


def is_private(text: str) -> bool:
    """Is it an address that means nothing in the world outside?"""
    try:
        ip = ip_address(text)
    except ValueError:
        return False
    return not ip.is_global

"""Delivery status notifications as octets: failed, delayed, delivered, relayed (RFC 3464, RFC 6522). Pure.

The third part is the message as received, so the report is put together by hand and never re-generated.
Addresses beyond ASCII make it the internationalised kind (RFC 6533). It leaves out who gets one: `notices`.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from email.utils import formatdate
from enum import StrEnum

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_FIELD_MOST = 900


class Kind(StrEnum):
    """The Action field's words (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One recipient's fate, to be told to the sender."""

    kind: Kind
    to: str
    """The sender, who gets it."""
    hostname: str
    recipient: str
    """The address the sender wrote to."""
    status: str
    """Enhanced status code."""
    words: str
    """The other side's reply, or our sentence."""
    ref: str
    token: str
    """Unique, of letters and digits: for Message-ID and boundary."""
    now: float
    arrived_at: float
    original: bytes
    """The message as received."""
    from_remote: bool = False
    """`words` are an SMTP reply."""
    remote_host: str = ""
    orcpt: str | None = None
    envid: str | None = None
    headers_only: bool = False
    returned_octets: int = 64 * 1024
    retry_until: float | None = None


def build_dsn(report: Report) -> bytes:
    """The whole message, CRLF ended. Its envelope sender is the null one (RFC 3464 §2)."""
    wide = not (report.recipient.isascii() and report.to.isascii() and (report.orcpt or "").isascii())
    returned, kind = _returned(report, wide=wide)
    parts = (
        (b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit", _told(report)),
        (
            b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit"
            if wide
            else b"Content-Type: message/delivery-status",
            _status(report, wide=wide),
        ),
        (
            b"Content-Type: %s%s"
            % (kind, b"" if returned.isascii() else b"\r\nContent-Transfer-Encoding: 8bit"),
            returned,
        ),
    )
    boundary = f"gatepost-{report.token}".encode()
    while any(boundary in content for _, content in parts):
        boundary += b"x"
    lines = [
        f"From: Mail delivery <mailer-daemon@{report.hostname}>",
        f"To: <{_field(report.to)}>",
        f"Subject: {_SUBJECT[report.kind]}",
        f"Date: {formatdate(report.now)}",
        f"Message-ID: <{report.token}@{report.hostname}>",
        "Auto-Submitted: auto-replied",  # RFC 3834 §5
        "MIME-Version: 1.0",
        f"Content-Type: multipart/report; report-type={'global-' if wide else ''}delivery-status;",
        f'\tboundary="{boundary.decode()}"',
    ]
    octets = [line.encode() + b"\r\n" for line in lines]
    for fields, content in parts:
        octets.append(b"\r\n--%s\r\n%s\r\n\r\n%s" % (boundary, fields, content))
    octets.append(b"\r\n--%s--\r\n" % boundary)
    return b"".join(octets)


_SUBJECT = {
    Kind.FAILED: "Your message could not be delivered",
    Kind.DELAYED: "Your message is delayed",
    Kind.DELIVERED: "Your message was delivered",
    Kind.RELAYED: "Your message was passed on",
}
_FIRST_SENTENCE = {
    Kind.FAILED: "Your message to <{recipient}> could not be delivered.",
    Kind.DELAYED: "Your message to <{recipient}> could not be delivered yet. You need not send it again:"
    " it will be tried until {until}.",
    Kind.DELIVERED: "Your message to <{recipient}> was delivered.",
    Kind.RELAYED: "Your message to <{recipient}> was passed on to a host that does not report what becomes of it.",
}


def _told(report: Report) -> bytes:
    """The part for people."""
    until = formatdate(report.retry_until) if report.retry_until else "it arrives"
    first = _FIRST_SENTENCE[report.kind].format(recipient=_field(report.recipient), until=until)
    text = f"This is the mail system at {report.hostname}.\n\n" + textwrap.fill(first, 76) + "\n"
    if report.kind in (Kind.FAILED, Kind.DELAYED):
        who = f"{report.remote_host} said" if report.from_remote and report.remote_host else "The reason"
        words = textwrap.fill(_field(report.words), 76, initial_indent="    ", subsequent_indent="    ")
        text += f"\n{who}:\n\n{words}\n"
    text += f"\nReference: {report.ref}\n"
    return text.replace("\n", "\r\n").encode("utf-8", "replace")


def _status(report: Report, *, wide: bool) -> bytes:
    """RFC 3464 §2.2 and §2.3; with `wide` RFC 6533 §4."""
    lines = []
    if report.envid:
        lines.append(f"Original-Envelope-Id: {_field(report.envid)}")
    lines += [f"Reporting-MTA: dns; {report.hostname}", f"Arrival-Date: {formatdate(report.arrived_at)}", ""]
    if report.orcpt and ";" in report.orcpt:
        kind, _, address = report.orcpt.partition(";")
        lines.append(f"Original-Recipient: {_field(kind)}; {_field(address)}")
    lines += [
        f"Final-Recipient: {'utf-8' if wide else 'rfc822'}; {_field(report.recipient)}",
        f"Action: {report.kind.value}",
        f"Status: {_field(report.status)}",
    ]
    if report.remote_host:
        lines.append(f"Remote-MTA: dns; {_field(report.remote_host)}")
    if report.kind in (Kind.FAILED, Kind.DELAYED):
        # Without a reply there is no code to quote; the reason is still worth telling.
        code = "smtp" if report.from_remote else "x-gatepost"
        words = _field(report.words)
        lines.append(
            f"Diagnostic-Code: {code}; {words if wide else words.encode('ascii', 'replace').decode()}"
        )
    lines.append(f"Last-Attempt-Date: {formatdate(report.now)}")
    lines.append(f"Final-Log-ID: {_field(report.ref)}")
    if report.kind is Kind.DELAYED and report.retry_until:
        lines.append(f"Will-Retry-Until: {formatdate(report.retry_until)}")
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "replace")


def _returned(report: Report, *, wide: bool) -> tuple[bytes, bytes]:
    """What is sent back, and as what. The whole message only when it failed (RFC 3461 §4.3) and is small."""
    octets = report.original
    whole = report.kind is Kind.FAILED and not report.headers_only and len(octets) <= report.returned_octets
    if whole:
        return octets, b"message/global" if wide else b"message/rfc822"
    end = octets.find(b"\r\n\r\n")
    header = octets if end < 0 else octets[: end + 2]
    if len(header) > report.returned_octets:
        header = header[: header.rfind(b"\r\n", 0, report.returned_octets) + 2]
    return header, b"message/global-headers" if wide else b"text/rfc822-headers"


def _field(text: str) -> str:
    """Text of somebody else's as part of one line, bounded."""
    return _UNSAFE.sub(" ", text)[:_FIELD_MOST]

"""One mail transaction as it grows: sender, recipients, then the message (RFC 5321 §3.3, RFC 3030 §2)."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.mail.client import Envelope, Recipient
from gatepost.smtp import reply as say
from gatepost.smtp.events import MailFrom
from gatepost.smtp.framing import DataReader, Fault, fault_in, has_line_beyond, with_crlf
from gatepost.smtp.limits import SmtpLimits
from gatepost.smtp.reply import Reply

Refusal = tuple[Reply, str]
"""The reply, and the violation's short name."""


@dataclass(slots=True)
class Chunk:
    """A BDAT chunk being read."""

    size: int
    left: int
    last: bool
    refusal: Refusal | None
    """Why its octets are thrown away; said when all have come."""


class Transaction:
    """What is known of the mail between MAIL and the end of its data."""

    __slots__ = ("body", "chunk", "excess", "mail", "reader", "recipients", "refused_recipient", "smtputf8")

    def __init__(self) -> None:
        self.mail: MailFrom | None = None
        self.smtputf8 = False
        """SMTPUTF8 was declared."""
        self.recipients: list[Recipient] = []
        self.excess = 0
        """Recipients turned down because there were too many."""
        self.refused_recipient = False
        """Some RCPT was turned down: with no other accepted, DATA says so."""
        self.reader: DataReader | None = None
        self.body = bytearray()
        self.chunk: Chunk | None = None

    @property
    def envelope(self) -> Envelope | None:
        """None before MAIL."""
        mail = self.mail
        if mail is None:
            return None
        return Envelope(
            sender=mail.sender,
            recipients=tuple(self.recipients),
            body=mail.body,
            smtputf8=mail.smtputf8,
            size=mail.size,
            ret=mail.ret,
            envid=mail.envid,
            require_tls=mail.require_tls,
        )

    @property
    def binary(self) -> bool:
        """BODY=BINARYMIME: octets are not lines."""
        return self.mail is not None and self.mail.body == "BINARYMIME"

    def judge(
        self, octets: bytes, fault: Fault | None, limits: SmtpLimits, *, allow_bare_lf: bool
    ) -> bytes | Refusal:
        """The message's octets, dots still stuffed, when it is one; `fault`: as found by framing."""
        if fault is Fault.BARE_LF and allow_bare_lf:
            octets = with_crlf(octets)
            fault = fault_in(octets)
        if fault is not None:
            return (say.NUL_IN_DATA if fault is Fault.NUL else say.BARE_IN_DATA), fault.value
        most = limits.header_octets
        if (
            len(octets) > most
            and not octets.startswith(b"\r\n")
            and octets.find(b"\r\n\r\n", 0, most + 2) < 0
        ):
            return say.HEADER_TOO_BIG, "header-too-big"
        if not self.binary and has_line_beyond(octets, limits.text_line_octets):
            return say.TEXT_LINE_TOO_LONG, "text-line-too-long"
        return octets

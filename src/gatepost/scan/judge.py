"""One message from a file through the gate's own eyes: where it came from, and what would be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from gatepost.mail.address import Address, parse_address
from gatepost.mail.client import Client, Envelope, IpAddress, Recipient
from gatepost.mail.message import Message
from gatepost.mail.trace import Networks, topmost_client
from gatepost.smtp.handler import Screened
from gatepost.store.records import HistoryEntry


class Examiner(Protocol):
    """What scanning needs of intake."""

    async def examine(
        self,
        client: Client,
        envelope: Envelope,
        message: Message,
        screened: Sequence[Screened],
        *,
        now: float,
        ref: str,
    ) -> HistoryEntry:
        """Authenticate, check and decide; change nothing."""
        ...

    async def screen_again(self, client: Client, envelope: Envelope, now: float) -> list[Screened]:
        """The door's questions, as facts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the caller said about the envelope; None means: read it from the message."""

    client_ip: IpAddress | None = None
    hello: str | None = None
    mail_from: str | None = None
    """An address, "" or "<>" for the null sender."""
    recipients: tuple[str, ...] = ()


NOBODY = Recipient(address=Address("recipient", "localhost"))
"""Stands for the recipient when nobody was named: one verdict by the default policy."""


async def judge(
    octets: bytes, examiner: Examiner, told: Told, *, trusted: Networks, now: float, ref: str
) -> HistoryEntry:
    """The verdict on one message; nothing is stored."""
    message = Message.parse(octets)
    client, envelope = situate(message, told, trusted)
    screened = await examiner.screen_again(client, envelope, now)
    return await examiner.examine(client, envelope, message, screened, now=now, ref=ref)


def situate(message: Message, told: Told, trusted: Networks) -> tuple[Client, Envelope]:
    """Client and envelope: what the caller said, else the topmost Received no relay of ours appears in, and Return-Path."""
    ip, hello = told.client_ip, told.hello
    if ip is None:
        seen = topmost_client(message, trusted)
        if seen is not None:
            ip, hello = seen[0], hello or seen[1]
    if told.mail_from is not None:
        sender = bare_address(told.mail_from)
    else:
        values = message.values(b"return-path")
        sender = bare_address(values[0].decode("utf-8", "replace")) if values else None
    recipients = tuple(
        Recipient(address=address) for one in told.recipients if (address := bare_address(one)) is not None
    ) or (NOBODY,)
    client = Client(ip=ip, hello=hello or "")
    return client, Envelope(sender=sender, recipients=recipients, smtputf8=True)


def bare_address(text: str) -> Address | None:
    """An address with or without angle brackets; None for the null sender or what is none."""
    return parse_address(text.strip().removeprefix("<").removesuffix(">"), smtputf8=True)


def read_ip(text: str) -> IpAddress:
    """For the command line; ValueError when it is no address."""
    return ip_address(text)

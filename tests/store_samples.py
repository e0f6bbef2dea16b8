"""Accepted messages for tests of the store."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

from gatepost.mail.address import Address
from gatepost.mail.client import Client, Envelope, IpAddress, Recipient
from gatepost.store.records import Acceptance, HistoryEntry, NewDelivery

CLIENT: IpAddress = IPv4Address("192.0.2.7")


def address(text: str) -> Address:
    """A plain address."""
    local, _, domain = text.partition("@")
    return Address(local, domain)


def acceptance(
    ref: str,
    *,
    at: float,
    sender: str = "sam@example.org",
    recipients: tuple[str, ...] = ("ana@example.net",),
    octets: bytes = b"Subject: x\r\n\r\nHello\r\n",
    held: bool = False,
    message_id: str = "<1@example.org>",
    client_ip: IpAddress = CLIENT,
    added_header: bytes = b"",
    removed_fields: tuple[tuple[int, int], ...] = (),
) -> Acceptance:
    """One message to `recipients`, queued or held."""
    wanted = tuple(Recipient(address=address(text)) for text in recipients)
    entry = HistoryEntry(
        ref=ref,
        at=at,
        kind="message",
        client=Client(ip=ip_address(str(client_ip)), hello="mx.example.org"),
        envelope=Envelope(sender=address(sender) if sender else None, recipients=wanted),
        reply="250 2.0.0 Ok",
        message_id=message_id,
        size=len(octets),
    )
    return Acceptance(
        entry=entry,
        octets=octets,
        added_header=added_header,
        removed_fields=removed_fields,
        deliveries=tuple(
            NewDelivery(recipient=one, to=str(one.address), held=held, reason="for a test", rule="test")
            for one in wanted
        ),
    )

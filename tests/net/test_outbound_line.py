"""Handing mail to another server over real sockets."""

from __future__ import annotations

import asyncio

from scripted_peer import Peer

from gatepost.dns.zone import Zone
from gatepost.net.outbound import Outbound
from gatepost.smtp.sending import Hop, Outgoing, OutgoingRecipient, Protocol, Result

MAIL = b"From: a@example.org\r\nSubject: dots\r\n\r\n.one\r\n..two\r\nend without a line end"


def outgoing(*to: str, octets: bytes | None = MAIL) -> Outgoing:
    return Outgoing(
        sender="a@example.org", recipients=tuple(OutgoingRecipient(address=one) for one in to), octets=octets
    )


def outbound() -> Outbound:
    return Outbound("mx.example.net", Zone.parse(""))


def test_a_message_arrives_octet_for_octet() -> None:
    async def go() -> None:
        async with Peer().serve() as peer:
            out = outbound()
            sent = await out.send(Hop(host="127.0.0.1", port=peer.port), outgoing("b@example.net"))
            await out.close()
            assert [one.result for one in sent.outcomes] == [Result.DELIVERED]
            assert peer.messages == [MAIL + b"\r\n"]

    asyncio.run(go())

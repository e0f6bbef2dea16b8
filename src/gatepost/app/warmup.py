"""Everything that is loaded when first needed is needed once, before the first client comes.

Done before the processes are forked, so that they share what it loads: the public suffix list alone takes a
quarter of a second. Nothing is asked of any server, and nothing is kept.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from gatepost.begin import begin
from gatepost.checks.outgoing.dataloss import loaded
from gatepost.dns.answer import Answer, Security, Status
from gatepost.dns.names import public_suffix
from gatepost.mail.address import Address
from gatepost.mail.author import authors, displayed_author, message_id, subject_text
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.mail.content import content_of
from gatepost.mail.message import Message
from gatepost.mailauth.authenticate import authenticate
from gatepost.mailauth.header import authentication_results, received_field
from gatepost.rules.ruleset import shipped_rules
from gatepost.store.json import decode_entry, encode
from gatepost.store.records import HistoryEntry

ANSWERS = {
    "mail.example.com": "v=spf1 a -all",
    "example.com": "v=spf1 mx -all",
    "_dmarc.example.com": "v=DMARC1; p=none",
    "s._domainkey.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
}
"""The key is that of RFC 8463, Appendix A."""
SIGNATURE = (
    b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com; s=s; h=from; bh="
    b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=" + b"A" * 86 + b"==\r\n"
)
MESSAGE = SIGNATURE + (
    b"From: =?utf-8?q?Some?= One <one@example.com>\r\nTo: two@example.net\r\nSubject: =?utf-8?b?aGVsbG8=?=\r\n"
    b"Message-ID: <1@example.com>\r\n\r\n"
)

PAGE = b"Subject: page\r\nContent-Type: text/html\r\n\r\n<p style='color:red'>A <a href='https://example.com/'>link</a></p>\r\n"


class Rehearsal:
    """A resolver that knows the little it takes to go the whole way."""

    async def lookup(self, name: str, kind: str) -> Answer:
        """What is in `ANSWERS`."""
        text = ANSWERS.get(name) if kind == "TXT" else None
        if text is None:
            return Answer(Status.NODATA, security=Security.INSECURE, ttl_s=1)
        return Answer(Status.FOUND, (text,), Security.INSECURE, 1)


def warm_up(hostname: str) -> None:
    """Take one made-up message through everything that only reads."""
    begin(rehearse(hostname, Rehearsal()))


async def rehearse(hostname: str, resolver: Rehearsal) -> None:
    """The message's way; it never has to wait."""
    public_suffix("example.com")
    shipped_rules()
    loaded()
    sender = Address("one", "example.com")
    client = Client(ip=IPv4Address("192.0.2.1"), hello="mail.example.com")
    envelope = Envelope(sender=sender, recipients=(Recipient(address=Address("two", "example.net")),))
    message = Message.parse(MESSAGE)
    auth = await authenticate(client, envelope, message, resolver, 0.0, receiver=hostname)
    authentication_results(hostname, auth)
    authors(message)
    received_field(
        client, receiver=hostname, ref="0", now=0.0, recipient=envelope.recipients[0].address, smtputf8=False
    )
    entry = HistoryEntry(
        ref="0", at=0.0, kind="message", client=client, envelope=envelope, auth=auth,
        author=displayed_author(message), subject=subject_text(message), message_id=message_id(message),
    )  # fmt: skip
    decode_entry(encode(entry))
    content_of(Message.parse(PAGE)).links  # noqa: B018 - what reads pages is loaded by reading one

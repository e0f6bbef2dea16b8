"""CPU microseconds of authenticating one message, answers cached: python benchmarks/auth.py

A 5 KB message that passes SPF, DKIM (rsa-2048, relaxed/relaxed) and DMARC, over a Zone resolver.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from ipaddress import ip_address

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gatepost.dns.zone import Zone
from gatepost.mail.address import Address
from gatepost.mail.author import authors
from gatepost.mail.client import Client, Envelope
from gatepost.mail.message import Message
from gatepost.mailauth.authenticate import authenticate
from gatepost.mailauth.dkim import verify_signatures
from gatepost.mailauth.dkim_sign import sign
from gatepost.mailauth.dmarc import evaluate_from
from gatepost.mailauth.header import authentication_results, foreign_fields
from gatepost.mailauth.spf import check_both_identities

NOW = 1_790_000_000.0
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()
ZONE = Zone.parse(
    f"""
example.com. TXT "v=spf1 include:_spf.example.com ip4:198.51.100.0/24 -all"
_spf.example.com. TXT "v=spf1 ip4:203.0.113.0/24 ip4:203.0.114.0/24 ip6:2001:db8::/32 ip4:192.0.2.0/24 ~all"
_dmarc.example.com. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@example.com"
mx.example.com. TXT "v=spf1 a -all"
mx.example.com. A 192.0.2.1
s1._domainkey.example.com. TXT "v=DKIM1; p={PUBLIC[:200]}" "{PUBLIC[200:]}"
"""
)
PLAIN = (
    b"Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\n" * 3
    + b"From: Ana Example <ana@example.com>\r\nTo: Ben <ben@example.net>\r\nSubject: Figures for May\r\n"
    + b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n"
    + b"Content-Type: text/plain\r\n\r\n"
    + b"Nothing much to say today, but at some length all the same.\r\n" * 75
)


def drive(coroutine):  # type: ignore[no-untyped-def]
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError


def microseconds(call: Callable[[], object], repeat: int = 1000) -> float:
    """The least of seven rounds: what it costs when nothing else disturbs."""
    rounds = []
    for _ in range(7):
        start = time.process_time()
        for _ in range(repeat):
            call()
        rounds.append((time.process_time() - start) / repeat * 1e6)
    return min(rounds)


def main() -> None:
    signature = sign(Message.parse(PLAIN), domain="example.com", selector="s1", key=KEY, now=NOW)
    octets = signature + PLAIN
    client = Client(ip=ip_address("192.0.2.1"), hello="mx.example.com")
    envelope = Envelope(sender=Address("ana", "example.com"))
    message = Message.parse(octets)

    def whole():  # type: ignore[no-untyped-def]
        return drive(authenticate(client, envelope, message, ZONE, NOW, receiver="mx.example.net"))

    results = whole()
    assert results.dmarc.result == "pass", results
    assert set(results.dmarc.aligned_by) == {"spf", "dkim"}
    spf, dkim = results.spf_mail_from, results.dkim
    print(f"{len(octets)} octets")
    for name, call in {
        "parse the message": lambda: Message.parse(octets),
        "spf, both identities": lambda: drive(
            check_both_identities(client, envelope, ZONE, receiver="mx.example.net")
        ),
        "dkim, one rsa-2048": lambda: drive(verify_signatures(message, ZONE, NOW)),
        "authors": lambda: authors(message),
        "dmarc": lambda: drive(evaluate_from(authors(message), spf, dkim, ZONE)),
        "write the results field": lambda: authentication_results("mx.example.net", results),
        "foreign fields": lambda: foreign_fields(message, "mx.example.net"),
        "authenticate, whole": whole,
    }.items():
        print(f"{name:28} {microseconds(call):8.1f} us")


if __name__ == "__main__":
    main()

"""The four together: forgeries of every kind against a sender who authenticates perfectly, as somebody else."""

from __future__ import annotations

import base64
from ipaddress import ip_address

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from drive import drive
from gatepost.dns.answer import Security
from gatepost.dns.zone import Zone
from gatepost.mail.address import Address
from gatepost.mail.author import displayed_author
from gatepost.mail.authresults import AuthResults
from gatepost.mail.client import Client, Envelope
from gatepost.mail.message import Message
from gatepost.mailauth.authenticate import authenticate
from gatepost.mailauth.dkim_sign import sign

NOW = 1_790_000_000.0
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
).decode()
ZONE_TEXT = f"""
$SECURE attacker.example
attacker.example. TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.attacker.example. TXT "v=DMARC1; p=none"
s._domainkey.attacker.example. TXT "v=DKIM1; k=ed25519; p={PUBLIC}"
victim.example. A 198.51.100.1
victim.example. TXT "v=spf1 ip4:198.51.100.1 -all"
_dmarc.victim.example. TXT "v=DMARC1; p=reject"
"""
ZONE = Zone.parse(ZONE_TEXT)
ATTACKER = Address("x", "attacker.example")
BODY = b"\r\nPlease pay.\r\n"


def checked(
    header: bytes,
    *,
    zone: Zone = ZONE,
    domain: str = "attacker.example",
    sender: Address | None = ATTACKER,
    hello: str = "attacker.example",
    ip: str | None = "192.0.2.1",
    headers: list[str] | None = None,
    body_length: int | None = None,
) -> AuthResults:
    octets = header + BODY
    signature = sign(
        Message.parse(octets),
        domain=domain,
        selector="s",
        key=KEY,
        now=NOW,
        headers=headers,
        body_length=body_length,
    )
    return drive(
        authenticate(
            Client(ip=None if ip is None else ip_address(ip), hello=hello),
            Envelope(sender=sender),
            Message.parse(header + signature + BODY),
            zone,
            NOW,
            receiver="mx.example.net",
        )
    )


def test_an_honest_message_passes() -> None:
    results = checked(b"From: Ana <ana@attacker.example>\r\nSubject: x\r\n")
    assert results.spf_hello.result == results.spf_mail_from.result == "pass"
    assert [signature.result for signature in results.dkim] == ["pass"]
    assert results.arc.result == "none"
    assert results.dmarc.result == "pass"
    assert results.dmarc.author_domain == "attacker.example"
    assert set(results.dmarc.aligned_by) == {"dkim", "spf"}
    assert results.dmarc.policy == "none"
    assert results.spf_mail_from.security is Security.SECURE


FORGERIES = {
    "plain": b"From: ceo@victim.example\r\n",
    "two fields, victim first": b"From: ceo@victim.example\r\nFrom: x@attacker.example\r\n",
    "two fields, victim last": b"From: x@attacker.example\r\nFrom: ceo@victim.example\r\n",
    "two addresses, victim first": b"From: ceo@victim.example, x@attacker.example\r\n",
    "two addresses, victim last": b"From: x@attacker.example, ceo@victim.example\r\n",
    "route": b"From: <@attacker.example:ceo@victim.example>\r\n",
    "route to us": b"From: <@victim.example:x@attacker.example>\r\n",
    "group": b"From: ceo@victim.example:x@attacker.example;\r\n",
    "comment in the address": b"From: ceo@victim.example(.)attacker.example\r\n",
    "comment with brackets": b"From: (<ceo@victim.example>) x@attacker.example\r\n",
    "comment hides ours": b"From: ceo@victim.example (x@attacker.example)\r\n",
    "quoted local part": b'From: "ceo@victim.example"@attacker.example\r\n',
    "quoted name with brackets": b'From: "<ceo@victim.example>" <x@attacker.example>\r\n',
    "unquoted name": b"From: ceo@victim.example <x@attacker.example>\r\n",
    "two pairs of brackets": b"From: <ceo@victim.example> <x@attacker.example>\r\n",
    "encoded name": b"From: =?utf-8?q?ceo=40victim.example?= <x@attacker.example>\r\n",
    "encoded brackets": b"From: =?utf-8?q?=3Cceo=40victim.example=3E?= <x@attacker.example>\r\n",
    "encoded local part with NUL": b"From: =?utf-8?q?ceo=40victim.example=00?=@attacker.example\r\n",
    "blank before the colon": b"From : ceo@victim.example\r\nFrom: x@attacker.example\r\n",
    "blank before the colon, last": b"From: x@attacker.example\r\nFrom : ceo@victim.example\r\n",
    "only a blank before the colon": b"From : ceo@victim.example\r\n",
    "leading continuation": b" From: ceo@victim.example\r\nFrom: x@attacker.example\r\n",
    "control before the name": b"\x08From: ceo@victim.example\r\nFrom: x@attacker.example\r\n",
    "NUL in the field": b"From: ceo@victim.example\0 <x@attacker.example>\r\n",
    "bare CR in the field": b"From: ceo@victim.example\r <x@attacker.example>\r\n",
    "bare CR starts a line": b"X-A: b\rFrom: ceo@victim.example\r\nFrom: x@attacker.example\r\n",
    "bare LF starts a line": b"X-A: b\nFrom: ceo@victim.example\r\nFrom: x@attacker.example\r\n",
    "folded": b"From: ceo@victim.example\r\n .attacker.example\r\n",
    "look-alike at sign": "From: ceo\uff20victim.example@attacker.example\r\n".encode(),
    "dot at the end": b"From: ceo@victim.example.\r\n",
    "below the victim": b"From: ceo@nowhere.victim.example\r\n",
    "above nothing": b"From: ceo@example\r\n",
}  # fmt: skip


@pytest.mark.parametrize("trick", FORGERIES)
def test_a_forged_author_never_passes(trick: str) -> None:
    header = FORGERIES[trick]
    results = checked(header)
    assert results.spf_mail_from.result == "pass"  # the attacker authenticates, as itself
    assert results.dmarc.result != "pass", displayed_author(Message.parse(header + BODY))
    assert results.dmarc.aligned_by == ()


SIGNERS = [
    "attacker.example.victim.example",
    "victim.example.attacker.example",
    '"victim.example"',
    "victim.example;",
]


@pytest.mark.parametrize("domain", SIGNERS)
def test_a_signing_domain_with_tricks_never_aligns(domain: str) -> None:
    results = checked(b"From: ceo@victim.example\r\n", domain=domain)
    assert results.dmarc.result == "fail"
    assert results.dmarc.policy == "reject"


SENDERS = [
    Address("x@victim.example", "attacker.example"),
    Address("<ceo@victim.example>", "attacker.example"),
    Address("x (ceo@victim.example)", "attacker.example"),
]


@pytest.mark.parametrize("sender", SENDERS, ids=str)
def test_an_envelope_sender_with_tricks_is_judged_by_its_domain(sender: Address) -> None:
    results = checked(b"From: ceo@victim.example\r\n", sender=sender)
    assert results.spf_mail_from.domain == "attacker.example"
    assert results.dmarc.result == "fail"


def test_a_partly_signed_body_does_not_carry_dmarc() -> None:
    results = checked(b"From: x@attacker.example\r\n", body_length=3, ip="192.0.2.9")
    assert [(signature.result, signature.covers_all) for signature in results.dkim] == [("pass", False)]
    assert results.dmarc.result == "fail"


def test_hello_alone_does_not_carry_dmarc() -> None:
    results = checked(
        b"From: x@attacker.example\r\n", sender=Address("a", "victim.example"), domain="victim.example"
    )
    assert results.spf_hello.result == "pass"
    assert results.dmarc.result == "fail"


def test_the_null_sender_is_judged_by_hello() -> None:
    results = checked(b"From: x@attacker.example\r\n", sender=None, domain="victim.example")
    assert (results.spf_mail_from.result, results.spf_mail_from.identity) == ("pass", "mail_from")
    assert results.spf_mail_from.domain == "attacker.example"
    assert results.dmarc.aligned_by == ("spf",)


def test_without_a_client_address_spf_says_so() -> None:
    results = checked(b"From: x@attacker.example\r\n", ip=None)
    for spf in (results.spf_hello, results.spf_mail_from):
        assert (spf.result, spf.problem) == ("none", "no client address to go on")
    assert results.dmarc.aligned_by == ("dkim",)


@pytest.mark.parametrize(
    "failing",
    ["$FAIL _dmarc.victim.example", "$TIMEOUT _dmarc.victim.example TXT", "$BOGUS _dmarc.victim.example"],
)
def test_a_policy_that_cannot_be_fetched_is_a_temporary_error(failing: str) -> None:
    results = checked(b"From: ceo@victim.example\r\n", zone=Zone.parse(failing + "\n" + ZONE_TEXT))
    assert results.dmarc.result == "temperror"


def test_an_aligned_key_that_cannot_be_fetched_leaves_it_undecided() -> None:
    zone = Zone.parse("$FAIL s._domainkey.victim.example\n" + ZONE_TEXT)
    results = checked(b"From: ceo@victim.example\r\n", zone=zone, domain="victim.example")
    assert results.dkim[0].result == "temperror"
    assert results.dmarc.result == "temperror"
    other = checked(
        b"From: ceo@victim.example\r\n", zone=Zone.parse("$FAIL s._domainkey.attacker.example\n" + ZONE_TEXT)
    )
    assert other.dkim[0].result == "temperror"
    assert other.dmarc.result == "fail"

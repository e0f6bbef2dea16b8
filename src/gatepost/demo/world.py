"""The demo's DNS: who exists, what they publish, who is on a block list.

Addresses are those reserved for documentation (RFC 5737), names end in `.example` (RFC 2606). Nothing
here leads anywhere outside this machine.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

OUR_DOMAIN = "harbour.example"
PEOPLE = ("ana", "ben", "chie", "postmaster")
SIGNERS = (
    "books.example",
    "bank.example",
    "list.example",
    "friends.example",
    "shop.example",
    "forwarder.example",
    "museum.example",
)
SELECTOR = "demo"

ZONE = """
$TTL 300
; the root is signed, as it is outside; most of what is below is not
$SECURE .
$INSECURE example.
$INSECURE arpa.
.                           SOA  a.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 300

; our own domain
harbour.example.            MX   10 mx.harbour.example.
harbour.example.            TXT  "v=spf1 mx -all"
_dmarc.harbour.example.     TXT  "v=DMARC1; p=reject"
mx.harbour.example.         A    192.0.2.1
1.2.0.192.in-addr.arpa.     PTR  mx.harbour.example.

; a bookshop that does everything right, in a signed zone
$SECURE books.example.
books.example.              MX   10 mail.books.example.
books.example.              TXT  "v=spf1 ip4:192.0.2.10 -all"
_dmarc.books.example.       TXT  "v=DMARC1; p=reject"
mail.books.example.         A    192.0.2.10
10.2.0.192.in-addr.arpa.    PTR  mail.books.example.

; a bank with p=reject, the favourite of forgers
$SECURE bank.example.
bank.example.               MX   10 mail.bank.example.
bank.example.               TXT  "v=spf1 ip4:192.0.2.20 -all"
_dmarc.bank.example.        TXT  "v=DMARC1; p=reject; sp=reject"
mail.bank.example.          A    192.0.2.20
20.2.0.192.in-addr.arpa.    PTR  mail.bank.example.

; a shop that asks for quarantine
shop.example.               MX   10 mail.shop.example.
shop.example.               TXT  "v=spf1 ip4:192.0.2.30 ~all"
_dmarc.shop.example.        TXT  "v=DMARC1; p=quarantine"
mail.shop.example.          A    192.0.2.30
30.2.0.192.in-addr.arpa.    PTR  mail.shop.example.

; friends without DMARC
friends.example.            MX   10 mail.friends.example.
friends.example.            TXT  "v=spf1 a:mail.friends.example ?all"
mail.friends.example.       A    192.0.2.40
40.2.0.192.in-addr.arpa.    PTR  mail.friends.example.

; a mailing list: rewrites subjects, so its members' signatures break
list.example.               MX   10 mail.list.example.
list.example.               TXT  "v=spf1 ip4:192.0.2.50 -all"
mail.list.example.          A    192.0.2.50
50.2.0.192.in-addr.arpa.    PTR  mail.list.example.

; a forwarder that seals with ARC and that we trust
forwarder.example.          MX   10 mail.forwarder.example.
forwarder.example.          TXT  "v=spf1 ip4:192.0.2.60 -all"
mail.forwarder.example.     A    192.0.2.60
60.2.0.192.in-addr.arpa.    PTR  mail.forwarder.example.

; a host that sends rubbish, without a reverse name, on two lists
bulk.example.               TXT  "v=spf1 ip4:203.0.113.0/24 -all"
bulk.example.               MX   10 mail.bulk.example.
mail.bulk.example.          A    203.0.113.9

; a domain whose servers do not answer, and one whose DNSSEC is broken
$FAIL silent.example.
$FAIL _dmarc.silent.example.
$BOGUS tampered.example.
tampered.example.           TXT  "v=spf1 ip4:203.0.113.0/24 -all"

; block lists and a welcome list, with their test entries (RFC 5782 section 5)
2.0.0.127.bl.example.       A    127.0.0.2
66.113.0.203.bl.example.    A    127.0.0.2
66.113.0.203.bl.example.    TXT  "Sent mail to spam traps"
2.0.0.127.zen.example.      A    127.0.0.2
66.113.0.203.zen.example.   A    127.0.0.4
67.113.0.203.zen.example.   A    127.0.0.4
2.0.0.127.welcome.example.  A    127.0.10.2
10.2.0.192.welcome.example. A    127.0.10.2
; a list that answers "you asked too often": never a listing
*.tired.example.            A    127.255.255.254
"""


WELL_SET_UP = {
    "account-check.example": "203.0.113.80",
    "harb0ur.example": "203.0.113.81",
    "post-service.example": "203.0.113.82",
    "freeware.example": "203.0.113.83",
    "invoices.example": "203.0.113.84",
    "share.example": "203.0.113.85",
    "wellness.example": "203.0.113.86",
    "museum.example": "192.0.2.70",
}
"""Domains that are set up as they should be: attackers publish SPF and reverse names like everybody else. Not all are bad."""


def zone_text(keys: Mapping[str, RSAPrivateKey]) -> str:
    """The master file of the demo's world, with the signers' public keys."""
    lines = [ZONE]
    for domain, ip in WELL_SET_UP.items():
        backwards = ".".join(reversed(ip.split(".")))
        lines.append(f'{domain}. TXT "v=spf1 ip4:{ip} -all"')
        lines.append(f"{domain}. MX 10 mail.{domain}.")
        lines.append(f"mail.{domain}. A {ip}")
        lines.append(f"{backwards}.in-addr.arpa. PTR mail.{domain}.")
    for domain, key in keys.items():
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        text = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
        strings = " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))
        lines.append(f"{SELECTOR}._domainkey.{domain}. TXT {strings}")
    return "\n".join(lines) + "\n"

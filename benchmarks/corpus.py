"""Mail to measure with: signed messages of 2 to 20 KB from ten domains whose SPF, DKIM and DMARC pass.

The text is made up from a seed, so two runs send the same; only keys, signatures and the moment differ.
"""

from __future__ import annotations

import base64
import random
import time
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatepost.mail.message import Message
from gatepost.mailauth.dkim_sign import sign

RECIPIENT = "ana@example.net"
TEXT = """
offer answer meeting invoice garden please number contract letter weather report thanks delivery question tomorrow
station ticket schedule budget picture review draft customer order window because never should another between
ready quarter supplier insurance travel Grüße später können möchte
"""
WORDS = TEXT.split()


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where everything is."""

    signed: Path
    """Manifest of the signed messages, for `load`."""
    plain: Path
    """Manifest of one unsigned message of 4 KB."""
    zone: str
    """Master file of all the DNS that is asked about."""
    files: tuple[Path, ...]


def make(folder: Path, *, domains: int = 10, each: int = 20, seed: int = 5321) -> Corpus:
    """Write messages, manifests and zone below `folder`."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    zone, lines, files = ["example.net. MX 10 mx.example.net.", "mx.example.net. A 127.0.0.1"], [], []
    zone.append('plain.example. TXT "v=spf1 ip4:127.0.0.0/8 -all"')
    for number in range(domains):
        domain, address = f"sender{number}.example", f"192.0.2.{number + 1}"
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        zone += records(domain, address, key)
        for count in range(each):
            octets = message(chance, domain, address, count, 2000 * 10 ** chance.random())
            field = sign(Message.parse(octets), domain=domain, selector="s1", key=key, now=time.time())
            path = folder / f"{number}-{count}.eml"
            path.write_bytes(field + octets)
            files.append(path)
            lines.append(f"{path}\tu{count}@{domain}\t{RECIPIENT}\t{address}\tmail.{domain}")
    chance.shuffle(lines)
    plain = folder / "plain.eml"
    plain.write_bytes(message(chance, "plain.example", "127.0.0.1", 0, 4000, kinds=("text",)))
    (folder / "signed").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "plain").write_text(
        f"{plain}\tu0@plain.example\t{RECIPIENT}\t127.0.0.1\tlocal.plain.example\n", encoding="utf-8"
    )
    return Corpus(folder / "signed", folder / "plain", "\n".join(zone) + "\n", tuple(files))


def records(domain: str, address: str, key: rsa.RSAPrivateKey) -> list[str]:
    """A domain as its owner would publish it."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
    strings = " ".join(f'"{text[start : start + 250]}"' for start in range(0, len(text), 250))
    return [
        f"{domain}. A {address}",
        f"{domain}. MX 10 mail.{domain}.",
        f'{domain}. TXT "v=spf1 mx ip4:198.51.100.0/24 -all"',
        f"mail.{domain}. A {address}",
        f'mail.{domain}. TXT "v=spf1 a -all"',
        f"{address.rpartition('.')[2]}.2.0.192.in-addr.arpa. PTR mail.{domain}.",
        f"s1._domainkey.{domain}. TXT {strings}",
        f'_dmarc.{domain}. TXT "v=DMARC1; p=reject; rua=mailto:reports@{domain}"',
    ]


def message(
    chance: random.Random,
    domain: str,
    address: str,
    number: int,
    size: float,
    kinds: tuple[str, ...] = ("text", "text", "both", "both", "file"),
) -> bytes:
    """A message of about `size` octets: plain text, text and HTML, or text and an attachment."""
    kind = chance.choice(kinds)
    subject = " ".join(word for word in chance.choices(WORDS, k=5) if word.isascii())
    hops = [
        f"Received: from host{hop}.{domain} (host{hop}.{domain} [198.51.100.{hop + 7}])\r\n\tby mail.{domain}"
        f" with ESMTPS id {chance.getrandbits(40):010X};\r\n\t{formatdate(usegmt=False)}\r\n"
        for hop in range(chance.randint(1, 3))
    ]
    head = "".join(hops) + (
        f"From: Somebody Else <u{number}@{domain}>\r\nTo: Ana <{RECIPIENT}>\r\nSubject: {subject}\r\n"
        f"Date: {formatdate()}\r\nMessage-ID: <{chance.getrandbits(64):x}.{number}@{domain}>\r\n"
        f"MIME-Version: 1.0\r\nUser-Agent: Measured Mail 1.0\r\nX-Originating-IP: [{address}]\r\n"
    )
    if kind == "text":
        return (head + text_type("plain") + "\r\n" + prose(chance, size - len(head))).encode()
    mark = f"=_{chance.getrandbits(60):015x}"
    room = size - len(head) - 400
    if kind == "both":
        written = prose(chance, room / 3)
        second = (
            text_type("html") + "\r\n<html><body><p>" + prose(chance, room * 2 / 3) + "</p></body></html>\r\n"
        )
        subtype = "alternative"
    else:
        written = prose(chance, room / 4)
        octets = chance.randbytes(int(room * 0.55))
        second = (
            'Content-Type: application/pdf; name="report.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
            'Content-Disposition: attachment; filename="report.pdf"\r\n\r\n'
            + base64.encodebytes(octets).decode().replace("\n", "\r\n")
        )
        subtype = "mixed"
    return (
        head + f'Content-Type: multipart/{subtype}; boundary="{mark}"\r\n\r\n--{mark}\r\n' + text_type("plain")
        + f"\r\n{written}\r\n--{mark}\r\n{second}\r\n--{mark}--\r\n"
    ).encode()  # fmt: skip


def text_type(subtype: str) -> str:
    """Header fields of a text part."""
    return f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def prose(chance: random.Random, size: float) -> str:
    """Lines of words, about `size` octets."""
    lines = []
    while size > 0:
        line = " ".join(chance.choices(WORDS, k=10)) + "\r\n"
        lines.append(line)
        size -= len(line)
    return "".join(lines)

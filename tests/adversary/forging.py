"""A gate as `gatepost scan` builds it, a victim who asks for reject, and an attacker who proves itself perfectly."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatepost.app.wiring import build_intake
from gatepost.config.schema import settle
from gatepost.dns.zone import Zone
from gatepost.intake import Intake
from gatepost.mail.address import parse_address
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.mail.message import Message
from gatepost.mail.verdict import Action
from gatepost.mailauth.dkim_sign import sign
from gatepost.scan.nothing import EverybodyKnown, Forgetful
from gatepost.smtp.handler import Screened
from gatepost.smtp.reply import Reply
from gatepost.store.records import Acceptance, HistoryEntry

NOW = 1_790_000_000.0
US = "mx.gate.example"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VICTIM_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
SEALER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))


def public(key: Ed25519PrivateKey) -> str:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


ZONE_TEXT = f"""
attacker.example. TXT "v=spf1 ip4:198.51.100.66 -all"
_dmarc.attacker.example. TXT "v=DMARC1; p=none"
s._domainkey.attacker.example. TXT "v=DKIM1; k=ed25519; p={public(KEY)}"
a.s._domainkey.attacker.example. TXT "v=DKIM1; k=ed25519; p={public(KEY)}"
attacker.example. A 198.51.100.66
66.100.51.198.in-addr.arpa. PTR attacker.example.
victim.example. A 203.0.113.5
victim.example. MX 10 victim.example.
victim.example. TXT "v=spf1 ip4:203.0.113.5 -all"
_dmarc.victim.example. TXT "v=DMARC1; p=reject"
s._domainkey.victim.example. TXT "v=DKIM1; k=ed25519; p={public(VICTIM_KEY)}"
quarantiner.example. A 203.0.113.6
quarantiner.example. TXT "v=spf1 -all"
_dmarc.quarantiner.example. TXT "v=DMARC1; p=quarantine"
sealer.example. A 203.0.113.7
sealer.example. TXT "v=spf1 ip4:203.0.113.7 -all"
s._domainkey.sealer.example. TXT "v=DKIM1; k=ed25519; p={public(SEALER_KEY)}"
2.0.0.127.bl.example. A 127.0.0.2
66.100.51.198.bl.example. A 127.0.0.2
"""
BODY = b"\r\nPlease pay.\r\n"
REST = b"Date: Mon, 21 Sep 2026 14:13:20 +0000\r\nMessage-ID: <1@attacker.example>\r\nTo: ben@gate.example\r\nSubject: pay\r\n"


@dataclass
class Kept:
    """An `intake.Keeper` that remembers what it was told."""

    acceptances: list[Acceptance] = field(default_factory=list)
    turned_down: list[HistoryEntry] = field(default_factory=list)

    async def carry_out(self, acceptance: Acceptance) -> None:
        self.acceptances.append(acceptance)

    def has_room(self) -> bool:
        return True

    def record_soon(self, entry: HistoryEntry) -> None:
        self.turned_down.append(entry)


def gate(*, zone: str = ZONE_TEXT, store: Kept | None = None, **tables: object) -> Intake:
    """The intake of a configuration: `tables` as in the file."""
    table = {
        "hostname": US,
        "domains": [{"name": "gate.example", "recipients": "*", "deliver": "maildir:mail"}],
        "arc": {"trusted_sealers": ["sealer.example"]},
        **tables,
    }
    loaded = settle(table, file="test", path=None, folder=Path("/nonexistent"))
    forgetful = Forgetful()
    return build_intake(
        loaded, store=store or Kept(), resolver=Zone.parse(zone), memory=forgetful, recipients=EverybodyKnown(),
        correspondents=forgetful, expand=lambda _: (), acquaint=lambda *_: None, announce=lambda _: None,
        clock=lambda: NOW,
    )  # fmt: skip


GATE = gate()
ACCEPTED = Screened(Reply(250, "2.1.5", "Recipient ok"))


def envelope(sender: str | None, *recipients: str) -> Envelope:
    return Envelope(
        sender=parse_address(sender) if sender else None,
        recipients=tuple(
            Recipient(address=address)
            for one in recipients or ("ben@gate.example",)
            if (address := parse_address(one)) is not None
        ),
    )


def client(ip: str = "198.51.100.66", hello: str = "attacker.example") -> Client:
    return Client(ip=ip_address(ip), hello=hello)


def examined(
    octets: bytes,
    *,
    intake: Intake = GATE,
    sender: str | None = "x@attacker.example",
    ip: str = "198.51.100.66",
    hello: str = "attacker.example",
    recipients: tuple[str, ...] = (),
) -> HistoryEntry:
    told = envelope(sender, *recipients)
    return asyncio.run(
        intake.examine(
            client(ip, hello),
            told,
            Message.parse(octets),
            [ACCEPTED] * len(told.recipients),
            now=NOW,
            ref="R",
        )
    )


def signed(header: bytes, body: bytes = BODY, **how: object) -> bytes:
    """`header` (complete lines) with the attacker's own valid signature, on top of `REST`."""
    octets = header + REST + body
    how.setdefault("domain", "attacker.example")
    how.setdefault("selector", "s")
    how.setdefault("key", KEY)
    signature = sign(Message.parse(octets), now=NOW, **how)  # type: ignore[arg-type]
    return header + signature + REST + body


def claims_victim(text: str, victim: str = "victim.example") -> bool:
    return victim in text.casefold()


def assert_nobody_is_fooled(entry: HistoryEntry, victim: str = "victim.example") -> None:
    """The victim is not proved; and where a reader may see its name, a finding says who was judged."""
    dmarc = entry.auth.dmarc
    assert not (dmarc.result == "pass" and dmarc.author_domain == victim), dmarc
    names = {one.name for one in entry.findings}
    action = entry.judged[0].verdict.action
    if dmarc.author_domain == victim:
        assert action is not Action.DELIVER or "forwarder.trusted" in names, (action, names)
    elif dmarc.author_domain is None:
        assert "dmarc.no_author" in names
        assert action is not Action.DELIVER, entry.judged[0].verdict.reason
    else:
        # Another domain was judged, perhaps rightly: then its name must be there to see.
        shown = entry.author.casefold()
        assert not claims_victim(shown, victim) or dmarc.author_domain in shown, shown
        outside = shown.replace(authors_address(shown), "")
        if any(f"{at}{victim}" in outside for at in "@\uff20\ufe6b"):
            assert "headers.misleading_name" in names, (shown, names)


def authors_address(shown: str) -> str:
    """The address that a reader finds at the end."""
    return (
        shown.rpartition("<")[2].removesuffix(">")
        if shown.endswith(">")
        else shown.rsplit(" ", maxsplit=1)[-1]
    )

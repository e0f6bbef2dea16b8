"""A small world for checks: a zone for the DNS, a dictionary for memory, and mail made of a few words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from gatepost.dns.zone import Zone
from gatepost.mail.address import Address, parse_address
from gatepost.mail.authresults import AuthResults
from gatepost.mail.client import Attempt, Client, Envelope, Mail, Recipient, TlsFacts
from gatepost.mail.finding import Finding
from gatepost.mail.message import Message
from gatepost.scan.nothing import NOTHING
from gatepost.tools import Acquaintance, Entries, RecipientAnswer, Standing

NOW = 1_700_000_000.0


@dataclass
class World:
    """Fits `tools.Tools`; the zone's own `lookup` is the resolver."""

    zone_text: str = ""
    now: float = NOW
    facts: dict[str, tuple[str, float]] = field(default_factory=dict)
    standings: Mapping[str, Standing] = field(default_factory=dict)
    friends: Mapping[tuple[str, str], Acquaintance] = field(default_factory=dict)
    hops: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The hosts behind us where a recipient's mail goes."""
    entries: Entries = NOTHING

    def __post_init__(self) -> None:
        self.resolver = Zone.parse(self.zone_text)

    @property
    def memory(self) -> World:
        return self

    @property
    def recipients(self) -> World:
        return self

    @property
    def correspondents(self) -> World:
        return self

    async def get(self, key: str) -> str | None:
        value, until = self.facts.get(key, ("", 0.0))
        return value if self.now < until else None

    async def put(self, key: str, value: str, *, ttl_s: float) -> None:
        self.facts[key] = (value, self.now + ttl_s)

    async def add(self, key: str, amount: int = 1, *, ttl_s: float) -> int:
        value, until = self.facts.get(key, ("0", 0.0))
        if self.now >= until:
            value, until = "0", self.now + ttl_s
        self.facts[key] = (str(int(value) + amount), until)
        return int(value) + amount

    async def find(self, address: Address) -> RecipientAnswer:
        standing = self.standings.get(address.key, Standing.KNOWN)
        return RecipientAnswer(standing, f"{address} is {standing.value}")

    def next_hops(self, address: Address) -> tuple[str, ...]:
        return self.hops.get(address.key, ())

    async def know(self, identity: str, recipient_domain: str) -> Acquaintance | None:
        return self.friends.get((identity, recipient_domain))


def client(ip: str | None = "198.51.100.7", *, hello: str = "mail.example.org", **more: object) -> Client:
    return Client(ip=None if ip is None else ip_address(ip), hello=hello, **{"port": 40_000, **more})  # type: ignore[arg-type]


def attempt(
    ip: str | None = "198.51.100.7",
    *,
    sender: str | None = "ana@example.org",
    recipient: str = "ben@example.net",
    tls: TlsFacts | None = None,
    user: str | None = None,
    hello: str = "mail.example.org",
    size: int | None = None,
) -> Attempt:
    return Attempt(
        client=client(ip, hello=hello, tls=tls, user=user),
        sender=parse_address(sender) if sender else None,
        recipient=Recipient(address=known(recipient)),
        size=size,
    )


def mail(
    *header: str,
    auth: AuthResults | None = None,
    ip: str | None = "198.51.100.7",
    sender: str | None = "ana@example.org",
    recipients: Iterable[str] = ("ben@example.net",),
    user: str | None = None,
) -> Mail:
    """The header lines given, or a sound header where there are none."""
    lines = header or (
        "From: Ana <ana@example.org>",
        "Date: Tue, 14 Nov 2023 22:13:20 +0000",
        "Message-ID: <1@x>",
    )
    octets = "\r\n".join([*lines, "", "body", ""]).encode()
    return Mail(
        client=client(ip, user=user),
        envelope=Envelope(
            sender=parse_address(sender) if sender else None,
            recipients=tuple(Recipient(address=known(one)) for one in recipients),
        ),
        message=Message.parse(octets),
        auth=auth or AuthResults(),
    )


def known(text: str) -> Address:
    address = parse_address(text)
    assert address is not None
    return address


def names(findings: Iterable[Finding]) -> list[str]:
    return [finding.key for finding in findings]

"""DNS lists: how one is set up, and what its answers mean (RFC 5782 §2.1, §2.3).

Only answers that a list's owner defines as listings count: 127.255.255.x and other error answers never
do, nor does anything outside 127.0.0.0/8, for a parked domain answers every question.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path

from gatepost.dns.names import valid_query_name
from gatepost.mail.finding import Mode

LISTINGS = IPv4Network("127.0.0.0/8")  # RFC 5782 §2.1
ERRORS = IPv4Network("127.255.255.0/24")  # by custom: "you may not ask", not "listed"
TEST_ANSWER = IPv4Address("127.0.0.1")  # never a listing; some lists say with it that they do not answer us
WELCOME_QUOTA = 255  # of welcome lists: the last octet that says "you ask too much"


class Kind(StrEnum):
    """Which way a list speaks."""

    BLOCK = "block"
    WELCOME = "welcome"


class Identity(StrEnum):
    """What a list is asked about."""

    IP = "ip"
    HELLO = "hello"
    SENDER_DOMAIN = "sender_domain"
    RDNS = "rdns"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSettings:
    """One list."""

    zone: str
    """Where to ask, without any key."""
    name: str = ""
    """What it is called here; the zone where empty. Two entries of one zone need two names."""
    kind: Kind = Kind.BLOCK
    """block or welcome."""
    mode: Mode = Mode.OBSERVE
    """off, observe or enforce."""
    weight: float = 2.0
    """Log-odds that a listed client's mail is unwanted; of a welcome list, that it is wanted."""
    identity: Identity = Identity.IP
    """ip, hello, sender_domain or rdns."""
    codes: dict[str, str] = field(default_factory=dict)
    """Answers that count, with what they mean (`"127.0.0.10" = "a dial-up address"`); empty: all that are no errors."""
    key_file: str = ""
    """A file with the secret label that the list gave us; it goes in front of the zone and nowhere else."""

    @property
    def source(self) -> str:
        """The name its findings bear."""
        return self.name or self.zone


def meaning(code: str, one: ListSettings) -> str | None:
    """What an answer says ("" for just "listed"); None when it is no listing."""
    if is_error(code, one.kind):
        return None
    return one.codes.get(code) if one.codes else ""


def is_error(code: str, kind: Kind) -> bool:
    """Is the answer no listing whatever the list: an error code, the test answer, or no 127.0.0.0/8 at all?"""
    try:
        address = IPv4Address(code)
    except AddressValueError:
        return True
    if address not in LISTINGS or address in ERRORS or address == TEST_ANSWER:
        return True
    return kind is Kind.WELCOME and address.packed[3] == WELCOME_QUOTA


def list_key(one: ListSettings) -> str | None:
    """The secret label with its dot, "" where there is none, None where it cannot be read. Never log it."""
    return _read_key(one.key_file) if one.key_file else ""


@lru_cache(maxsize=64)
def _read_key(path: str) -> str | None:
    try:
        label = Path(path).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return f"{label}." if label and valid_query_name(label) else None


def forget_keys() -> None:
    """Read the key files anew; for a reload of the configuration."""
    _read_key.cache_clear()

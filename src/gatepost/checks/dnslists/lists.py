"""DNS lists: how one is set up, and what its answers mean (RFC 5782 §2.1, §2.3).

Only answers that a list's owner defines as listings count: 127.255.255.x and other error answers never
do, nor does anything outside 127.0.0.0/8, for a parked domain answers every question.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path

from gatepost.checks.dnslists.wellknown import well_known
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


class By(StrEnum):
    """In which form a list is asked."""

    ADDRESS = "address"
    NAME = "name"
    HASH = "hash"


class Identity(StrEnum):
    """What of a client a list is asked about."""

    IP = "ip"
    HELLO = "hello"
    SENDER_DOMAIN = "sender_domain"
    RDNS = "rdns"


class LinkIdentity(StrEnum):
    """What of a message's links a list is asked about."""

    DOMAIN = "domain"
    HOST = "host"
    IP = "ip"
    HOST_IP = "host_ip"
    DOMAIN_HASH = "domain_hash"
    HOST_HASH = "host_hash"
    URL_HASH = "url_hash"
    ADDRESS_HASH = "address_hash"


class Hash(StrEnum):
    """How a list wants a text hashed: the algorithm, and hexadecimal digits or base 32 (RFC 4648 §6) without padding."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA1_BASE32 = "sha1-base32"
    SHA256_BASE32 = "sha256-base32"


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsList:
    """What every list has."""

    zone: str
    """Where to ask, without any key."""
    name: str = ""
    """What it is called here; the zone where empty. Two entries of one zone need two names."""
    mode: Mode = Mode.OBSERVE
    """off, observe or enforce."""
    weight: float = 2.0
    """Log-odds that a listed client's mail is unwanted; of a welcome list, that it is wanted."""
    codes: dict[str, str] = field(default_factory=dict)
    """Answers that count, with what they mean: `"127.0.0.10" = "a dial-up address"`, or a bit of the last octet, `"&8" = "phishing"`. Empty: those the list's owner published, where we know them, else all that are no errors."""
    errors: tuple[str, ...] = ()
    """Answers that say "we do not answer you" rather than "listed", besides the usual ones."""
    test_name: str = ""
    """A name that is always listed, for the probes of a list of names; empty: the owner's where we know it, else that of RFC 5782."""
    key_file: str = ""
    """A file with the secret label that the list gave us; it goes in front of the zone and nowhere else."""

    @property
    def source(self) -> str:
        """The name its findings bear."""
        return self.name or self.zone

    @property
    def welcomes(self) -> bool:
        """Does a listing speak for the mail?"""
        return False

    @property
    def about(self) -> str:
        """What it is asked about, as the configuration calls it."""
        return ""

    @property
    def by(self) -> By:
        """In which form it is asked."""
        return By.NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSettings(DnsList):
    """A list of clients."""

    kind: Kind = Kind.BLOCK
    """block or welcome."""
    identity: Identity = Identity.IP
    """ip, hello, sender_domain or rdns."""

    @property
    def welcomes(self) -> bool:
        """Does a listing speak for the mail?"""
        return self.kind is Kind.WELCOME

    @property
    def about(self) -> str:
        """What it is asked about."""
        return self.identity.value

    @property
    def by(self) -> By:
        """In which form it is asked."""
        return By.ADDRESS if self.identity is Identity.IP else By.NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkList(DnsList):
    """A list of what links lead to."""

    identity: LinkIdentity = LinkIdentity.DOMAIN
    """domain (the registered one), host, ip (links that name an address), host_ip (the addresses of each host), or as a hash: domain_hash, host_hash, url_hash, address_hash (mail addresses in links and Reply-To)."""
    hash: Hash = Hash.SHA1
    """For the hashes: md5, sha1, sha1-base32 or sha256-base32."""

    @property
    def about(self) -> str:
        """What it is asked about."""
        return self.identity.value

    @property
    def by(self) -> By:
        """In which form it is asked."""
        if self.identity in (LinkIdentity.IP, LinkIdentity.HOST_IP):
            return By.ADDRESS
        return By.HASH if self.identity.value.endswith("_hash") else By.NAME


def meaning(code: str, one: DnsList) -> str | None:
    """What an answer says ("" for just "listed"); None when it is no listing."""
    if is_error(code, one):
        return None
    known = well_known(one.zone)
    codes = one.codes or (known.codes if known is not None else None)
    if not codes:
        return ""
    if code in codes:
        return codes[code]
    last = IPv4Address(code).packed[3]
    bits = [what for key, what in codes.items() if key.startswith("&") and last & _bit(key)]
    return " and ".join(bits) if bits else None


def is_error(code: str, one: DnsList) -> bool:
    """Is the answer no listing: an error code, the test answer, or no 127.0.0.0/8 at all?"""
    try:
        address = IPv4Address(code)
    except AddressValueError:
        return True
    if address not in LISTINGS or address in ERRORS or address == TEST_ANSWER or code in one.errors:
        return True
    known = well_known(one.zone)
    if known is not None and code in known.errors:
        return True
    return one.welcomes and address.packed[3] == WELCOME_QUOTA


def _bit(key: str) -> int:
    digits = key[1:]
    return int(digits) if digits.isascii() and digits.isdecimal() else 0


def problems(lists: Iterable[DnsList]) -> list[str]:
    """What is wrong with the settings, one sentence each."""
    said, seen = [], set()
    for one in lists:
        if not one.zone or not valid_query_name(one.zone):
            said.append(f"{one.zone!r} is no zone that could be asked")
        if one.source in seen:
            said.append(f"two lists are called {one.source}; give one a name")
        seen.add(one.source)
        said += [
            f"{code!r} of the list {one.source} is neither an answer such as 127.0.0.2 nor a bit such as &8"
            for code in (*one.codes, *one.errors)
            if not _is_code(code)
        ]
    return said


def _is_code(text: str) -> bool:
    if text.startswith("&"):
        return 0 < _bit(text) < 256
    try:
        return IPv4Address(text) in LISTINGS
    except AddressValueError:
        return False


def list_key(one: DnsList) -> str | None:
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

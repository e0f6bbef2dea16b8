"""What the operator wants otherwise for some destinations: another way, more or less TLS. Read once, errors in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gatepost.mail.address import normal_domain
from gatepost.net.tls import TlsUnusable, expand
from gatepost.smtp.sending import Hop, Login, SignIn
from gatepost.tlspolicy.requirement import Wish

PASSWORD_MOST = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationSettings:
    """One domain, or everything below one, that mail goes to in another way."""

    domain: str = ""
    """The recipients' domain, or ``.example.net`` for everything below example.net."""
    tls: Wish = Wish.AUTO
    """auto (what the domain publishes), opportunistic, required (a certificate that verifies), dane, or none."""
    names: tuple[str, ...] = ()
    """With `tls = "required"`: the names that the certificate may be for instead of the mail host's own; ``.example.net`` is any below it."""
    via: str = ""
    """``HOST:PORT`` that takes the mail instead of the domain's own mail hosts; ``smtps:HOST:PORT`` where TLS begins with the connection."""
    user: str = ""
    """Sign in there as (only under TLS with a verified certificate)."""
    password_file: str = ""
    """The file with the password; ``%d/`` stands for systemd's credentials directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundSettings:
    """How mail goes out."""

    dane: bool = True
    """Hold to TLSA records that DNSSEC secures (RFC 7672); needs a validating resolver that is believed (`[dns] trust_ad`)."""
    mta_sts: bool = True
    """Find and hold to MTA-STS policies (RFC 8461)."""
    tls_reports: bool = True
    """Report to domains that ask for it how TLS to them went (RFC 8460)."""
    smarthost: str = ""
    """``HOST:PORT`` that takes everything that is not for our own domains, ``smtps:HOST:PORT`` where TLS begins with the connection (port 465);
    empty: each domain's own mail hosts."""
    smarthost_user: str = ""
    """Sign in there as (AUTH PLAIN or LOGIN, only under TLS with a verified certificate)."""
    smarthost_password_file: str = ""
    """The file with the password; ``%d/`` stands for systemd's credentials directory."""
    destinations: tuple[DestinationSettings, ...] = ()
    """What is different for some domains."""
    connect_timeout_s: float = 30.0
    """Opening a connection to one address."""
    idle_s: float = 20.0
    """How long a connection is kept for the next message."""
    messages_per_connection: int = 100
    """After so many a fresh connection is made."""
    addresses_per_message: int = 6
    """How many mail hosts of a domain, and how many addresses of each, are tried before the message waits."""
    private_addresses: bool = False
    """Send also to mail hosts that the DNS puts at a private, loopback or otherwise inner address; a way that is named here may always be there."""
    trust_anchors: str = ""
    """A PEM file of certificates trusted besides the system's."""
    retry_first_s: float = 60.0
    """From the first failed try of a message to the second; each later wait is twice as long."""
    eight_bit_anyway: bool = False
    """Send 8-bit content even to hosts that do not offer 8BITMIME."""


@dataclass(frozen=True, slots=True)
class Special:
    """What holds for a domain."""

    wish: Wish = Wish.AUTO
    names: tuple[str, ...] = ()
    via: Hop | None = None


@dataclass(frozen=True, slots=True)
class Destinations:
    """All of them, by domain."""

    exact: dict[str, Special] = field(default_factory=dict)
    below: dict[str, Special] = field(default_factory=dict)
    otherwise: Special = field(default_factory=Special)

    @classmethod
    def of(cls, settings: OutboundSettings, *, reads: bool = False) -> Destinations:
        """Raises ValueError with one sentence; with `reads` for password files as well."""
        exact: dict[str, Special] = {}
        below: dict[str, Special] = {}
        otherwise = Special()
        if settings.smarthost:
            user, file = settings.smarthost_user, settings.smarthost_password_file
            otherwise = Special(via=_way(settings.smarthost, user, file, reads=reads))
        for one in settings.destinations:
            name = normal_domain(one.domain.removeprefix("."))
            if name is None:
                raise ValueError(f'destinations: "{one.domain}" is no domain')
            known = below if one.domain.startswith(".") else exact
            if name in known:
                raise ValueError(f"destinations: {one.domain} is named twice")
            if one.names and one.tls is not Wish.REQUIRED:
                raise ValueError(
                    f'destinations: {one.domain} has names, which count with tls = "required" only'
                )
            via = _way(one.via, one.user, one.password_file, reads=reads) if one.via else otherwise.via
            names = tuple(each.lower().rstrip(".") for each in one.names)
            known[name] = Special(one.tls, names, via)
        return cls(exact, below, otherwise)

    def find(self, domain: str) -> Special:
        """The nearest entry."""
        found = self.exact.get(domain)
        if found is not None or not self.below:
            return found or self.otherwise
        parent = domain
        while "." in parent:
            parent = parent.partition(".")[2]
            if parent in self.below:
                return self.below[parent]
        return self.otherwise

    @property
    def hosts(self) -> tuple[str, ...]:
        """Those that mail goes through because the operator says so."""
        ways = (self.otherwise, *self.exact.values(), *self.below.values())
        return tuple(dict.fromkeys(one.via.host for one in ways if one.via is not None))

    def by_smarthost(self, domain: str) -> bool:
        """Does it go as everything does for which nothing else is said, and is that one host?"""
        return self.otherwise.via is not None and self.find(domain) is self.otherwise


def destination_problems(settings: OutboundSettings, *, reads: bool = False) -> Iterable[str]:
    """What is wrong, one sentence; with `reads` also of the password files."""
    try:
        Destinations.of(settings, reads=reads)
    except ValueError as fault:
        yield f"{fault}."


def _way(text: str, user: str, password_file: str, *, reads: bool) -> Hop:
    tls_first = text.startswith("smtps:")
    rest = text.removeprefix("smtps:" if tls_first else "smtp:")
    host, port = rest, "465" if tls_first else "25"
    if rest.startswith("["):
        host, bracket, after = rest[1:].partition("]")
        port = after.removeprefix(":") or port
        if not bracket or (after and not after.startswith(":")):
            host = ""
    elif ":" in rest:
        host, _, port = rest.rpartition(":")
        host = "" if ":" in host else host
    if not host or not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f'"{text}" is no way: say HOST:PORT, such as smtp.example.net:587')
    if bool(user) is not bool(password_file):
        raise ValueError(f"{text}: user and password_file belong together")
    sign_in = SignIn(user, password_file) if user else None
    if sign_in is not None and reads:
        read_login(sign_in)
    return Hop(host=host.lower(), port=int(port), sign_in=sign_in, tls_first=tls_first)


def read_login(sign_in: SignIn) -> Login:
    """With the password. Raises ValueError with one sentence that does not tell it."""
    named = sign_in.password_file
    try:
        text = expand(named).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, TlsUnusable) as fault:
        why = getattr(fault, "strerror", None) or str(fault)
        raise ValueError(f"the password file {named} cannot be read ({why})") from None
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or len(password) > PASSWORD_MOST or any(ord(letter) < 32 for letter in password):
        raise ValueError(f"the password file {named} does not hold one line with a password")
    return Login(sign_in.user, password)

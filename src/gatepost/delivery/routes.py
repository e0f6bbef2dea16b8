"""Where mail for a domain goes: `[[domains]]` read into destinations. Pure; errors name what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatepost.delivery.settings import DomainSettings
from gatepost.mail.address import Address, parse_address
from gatepost.smtp.sending import Hop, Protocol, TlsUse

_PORTS = {Protocol.SMTP: 25, Protocol.LMTP: 24}


@dataclass(frozen=True, slots=True)
class MaildirAt:
    """Final delivery below this folder."""

    base: Path


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A domain of somebody else's, found by MX."""

    domain: str
    """Empty: any, through the smarthost."""

    def __str__(self) -> str:
        return self.domain or "the smarthost"


SMARTHOST = Elsewhere("")
"""What goes through one host is one destination, whatever domains it is for."""


Destination = MaildirAt | Hop | Elsewhere


@dataclass(frozen=True, slots=True)
class Everyone:
    """Every local part is a recipient."""


@dataclass(frozen=True, slots=True)
class Listed:
    """These are the recipients, by `Address.key`, in the order they were written."""

    addresses: dict[str, Address]


@dataclass(frozen=True, slots=True)
class ListedIn:
    """A file says who the recipients are, one address a line."""

    path: Path


@dataclass(frozen=True, slots=True)
class AskedOf:
    """The next hop is asked (RCPT TO without mail)."""

    hop: Hop


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One of our domains, ready for use."""

    name: str
    recipients: Everyone | Listed | ListedIn | AskedOf
    destination: MaildirAt | Hop
    aliases: dict[str, tuple[Address, ...]]
    """By `Address.key`; the key ``*`` takes every recipient that is not known otherwise."""
    plus: str
    postmaster: Address | None
    abuse: bool


class Routes:
    """All our domains."""

    def __init__(
        self,
        domains: Sequence[DomainSettings],
        *,
        folder: Path = Path(),
        robots: Mapping[str, MaildirAt] | None = None,
    ) -> None:
        """`folder` is where relative paths start; `robots` are addresses that the gate reads itself, by `Address.key`.

        Raises ValueError with one sentence.
        """
        self.robots = dict(robots or {})
        self._exact: dict[str, Domain] = {}
        self._below: dict[str, Domain] = {}
        for settings in domains:
            domain = read_domain(settings, folder)
            known = self._below if domain.name.startswith(".") else self._exact
            name = domain.name.removeprefix(".")
            if name in known:
                raise ValueError(f"domain {domain.name} is named twice")
            known[name] = domain
        self.domains = (*self._exact.values(), *self._below.values())
        self.hops = frozenset(
            str(one.destination) for one in self.domains if isinstance(one.destination, Hop)
        )
        """The hosts behind us, as ``host:port``."""

    def find(self, domain: str) -> Domain | None:
        """Our domain of that name (lower-case A-labels), or None when it is not ours."""
        exact = self._exact.get(domain)
        if exact or not self._below:
            return exact
        parent = domain
        while "." in parent:
            parent = parent.partition(".")[2]
            if parent in self._below:
                return self._below[parent]
        return None

    def destination(self, to: Address) -> Destination:
        """Where mail for this final address goes; elsewhere when its domain is not ours."""
        robot = self.robots.get(to.key) if self.robots else None
        if robot:
            return robot
        domain = self.find(to.domain)
        return domain.destination if domain else Elsewhere(to.domain)


def read_domain(settings: DomainSettings, folder: Path) -> Domain:
    """Raises ValueError with one sentence that names the domain."""
    try:
        name = read_name(settings.name)
        domain = Domain(
            name=name,
            recipients=read_recipients(settings.recipients, name, folder),
            destination=read_destination(settings.deliver, folder, settings.tls),
            aliases=read_aliases(settings.aliases, name),
            plus=settings.plus_addresses,
            postmaster=read_address(settings.postmaster, name) if settings.postmaster else None,
            abuse=settings.abuse,
        )
        if "*" in domain.aliases and isinstance(domain.recipients, Everyone | AskedOf):
            raise ValueError('alias "*" is for recipients that are not listed, and nobody is listed here')
    except ValueError as error:
        raise ValueError(f"domain {settings.name}: {error}") from None
    return domain


def read_name(text: str) -> str:
    """A domain in normal form, the leading dot kept."""
    address = parse_address(f"x@{text.removeprefix('.').removesuffix('.')}", smtputf8=True)
    if address is None or address.domain.startswith("["):
        raise ValueError("this is not a domain name")
    return "." + address.domain if text.startswith(".") else address.domain


def read_destination(text: str, folder: Path, tls: TlsUse) -> MaildirAt | Hop:
    """``maildir:PATH``, ``lmtp:…`` or ``smtp:…``."""
    kind, _, rest = text.partition(":")
    if kind == "maildir" and rest:
        return MaildirAt((folder / rest).absolute())
    if kind in ("smtp", "lmtp"):
        return read_hop(text, folder, tls)
    raise ValueError(
        f'deliver = "{text}": say maildir:PATH, lmtp:HOST:PORT, lmtp:/path/of.sock or smtp:HOST:PORT'
    )


def read_hop(text: str, folder: Path, tls: TlsUse) -> Hop:
    """``smtp:HOST:PORT``, ``lmtp:HOST:PORT`` or ``lmtp:/path``; IPv6 in brackets; the port may be left out."""
    kind, _, rest = text.partition(":")
    if kind not in ("smtp", "lmtp") or not rest:
        raise ValueError(f'"{text}": say smtp:HOST:PORT, lmtp:HOST:PORT or lmtp:/path/of.sock')
    protocol = Protocol(kind)
    if "/" in rest:
        # Nobody listens in on a socket of this machine.
        return Hop(protocol=protocol, path=str((folder / rest).absolute()), port=0, tls=TlsUse.NONE)
    host, port = rest, ""
    if rest.startswith("["):
        host, bracket, after = rest[1:].partition("]")
        port = after.removeprefix(":")
        if not bracket or (after and not after.startswith(":")):
            raise ValueError(f'"{text}": an IPv6 address stands in brackets, as in {kind}:[2001:db8::1]:25')
    elif ":" in rest:
        host, _, port = rest.rpartition(":")
    if ":" in host and not rest.startswith("["):
        raise ValueError(f'"{text}": an IPv6 address stands in brackets, as in {kind}:[2001:db8::1]:25')
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f'"{text}": {port} is not a port (1 to 65535)')
    if not host or any(letter in host for letter in ' \t@"'):
        raise ValueError(f'"{text}": there is no host in it')
    return Hop(protocol=protocol, host=host.lower(), port=int(port) if port else _PORTS[protocol], tls=tls)


def read_recipients(
    value: str | tuple[str, ...] | dict[str, str], domain: str, folder: Path
) -> Everyone | Listed | ListedIn | AskedOf:
    """Who the recipients are."""
    if value == "*":
        return Everyone()
    if isinstance(value, tuple | list):
        addresses = [read_address(one, domain) for one in value]
        for one in addresses:
            if one.domain != domain and not (domain.startswith(".") and one.domain.endswith(domain)):
                raise ValueError(f"recipient {one} is not in this domain")
        return Listed({one.key: one for one in addresses})
    if isinstance(value, dict) and set(value) == {"file"}:
        return ListedIn((folder / value["file"]).absolute())
    if isinstance(value, dict) and set(value) == {"callout"}:
        return AskedOf(read_hop(value["callout"], folder, TlsUse.OPPORTUNISTIC))
    raise ValueError(
        'recipients: say "*", a list of addresses, { file = "…" } or { callout = "smtp:HOST:PORT" }'
    )


def read_aliases(aliases: dict[str, str | tuple[str, ...]], domain: str) -> dict[str, tuple[Address, ...]]:
    """Every alias with the addresses its mail goes to."""
    read: dict[str, tuple[Address, ...]] = {}
    for name, targets in aliases.items():
        key = "*" if name in ("*", f"@{domain}", f"*@{domain}") else read_address(name, domain).key
        listed = (targets,) if isinstance(targets, str) else tuple(targets)
        if not listed:
            raise ValueError(f"alias {name} goes to nobody")
        read[key] = tuple(read_address(one, domain) for one in listed)
    return read


def read_address(text: str, domain: str) -> Address:
    """An address, or the local part of one in `domain`."""
    whole = text if "@" in text else f"{text}@{domain.removeprefix('.')}"
    address = parse_address(whole, smtputf8=True)
    if address is None:
        raise ValueError(f"{text!r} is not an address")
    return address

"""Where the console is, and what must hold before it is opened."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """The console: pages for administrators and for everybody whose mail comes here."""

    address: str = ""
    """``host:port``; empty: no console. On another address than loopback it speaks HTTPS only."""
    url: str = ""
    """How people reach it, such as ``https://console.example.net``: passkeys are bound to its host. Empty: ``http://localhost:PORT``."""
    certificate: str = ""
    """PEM file for HTTPS; empty: that of `[tls]`. ``%d/`` stands for systemd's credentials directory."""
    key: str = ""
    """PEM file of its private key."""
    tls: bool = True
    """Whether it speaks HTTPS itself, where there is a certificate; false behind a proxy on this machine that does."""
    trusted_proxies: tuple[str, ...] = ()
    """Proxies in front (addresses or networks) whose X-Forwarded-For is believed."""
    connections_each: int = 60
    """Connections from one address at once, of the 200 there are (5 to 200). Proxies that are trusted count as no address."""
    time_zone: str = ""
    """Of the times on its pages, such as ``Asia/Tokyo``; empty: this machine's."""


def host_port(address: str) -> tuple[str, int]:
    """The two parts. Raises ValueError with the end of a sentence."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) < 65_536:
        raise ValueError(f'is "{address}", but host:port is wanted')
    return host.strip("[]") or "127.0.0.1", int(port)


def is_loopback(host: str) -> bool:
    """Does the address stay on this machine?"""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() in LOCAL_NAMES


def origin_of(settings: ConsoleSettings, *, with_tls: bool) -> str:
    """Scheme, host and port of the URL; worked out from the address where none is given."""
    if settings.url:
        parts = urlsplit(settings.url)
        return f"{parts.scheme}://{parts.netloc}".lower()
    host, port = host_port(settings.address)
    shown = "localhost" if is_loopback(host) else host
    scheme, usual = ("https", 443) if with_tls else ("http", 80)
    return f"{scheme}://{shown}" + ("" if port == usual else f":{port}")


def problem(settings: ConsoleSettings, *, has_certificate: bool) -> tuple[str, str] | None:
    """The key that cannot be meant so, and the rest of the sentence."""
    if not settings.address:
        return None
    try:
        host, _ = host_port(settings.address)
    except ValueError as fault:
        return "address", f"{fault}."
    for text in settings.trusted_proxies:
        try:
            ip_network(text, strict=False)
        except ValueError:
            return "trusted_proxies", f'"{text}" is neither an address nor a network.'
    if bool(settings.certificate) != bool(settings.key):
        return "key" if settings.certificate else "certificate", "is missing: a certificate needs its key."
    encrypted = settings.tls and (has_certificate or bool(settings.certificate))
    if not is_loopback(host) and not encrypted:
        return "address", (
            f"is {settings.address}, which others can reach, and passwords would go there in plain: "
            "give a certificate (console.certificate or tls.certificate), or listen on 127.0.0.1 behind a proxy."
        )
    return _other_problem(settings)


def _other_problem(settings: ConsoleSettings) -> tuple[str, str] | None:
    if not 5 <= settings.connections_each <= 200:
        return "connections_each", f"is {settings.connections_each}, but 5 to 200 are wanted."
    if not settings.url:
        return None
    parts = urlsplit(settings.url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path not in ("", "/")
        or parts.query
    ):
        return (
            "url",
            f'is "{settings.url}", but a URL such as https://console.example.net without a path is wanted.',
        )
    if parts.scheme == "http" and parts.hostname not in LOCAL_NAMES and not is_loopback(parts.hostname):
        return "url", "begins with http: browsers keep no session and no passkey there. It must be https."
    return None

"""What a certificate authority is asked by (settings), told by (proofs), and says. Light: `net.acme` does the talking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

DAY_S = 86_400.0
HTTP, ALPN, DNS = "http-01", "tls-alpn-01", "dns-01"
WAYS = (HTTP, ALPN, DNS)
ALPN_PROTOCOL = "acme-tls/1"


class AcmeFailed(Exception):
    """No certificate; the text is one sentence for the operator."""

    def __init__(self, words: str, *, again_in_s: float = 0.0, names: Sequence[str] = ()) -> None:
        """`again_in_s`: how long the server asks to be left alone (Retry-After). `names`: those that were not proved."""
        super().__init__(words)
        self.again_in_s = again_in_s
        self.names = tuple(names)


class Prover(Protocol):
    """Makes what the server looks for stand where it looks, from the thread of the order."""

    def file(self, token: str, content: str | None) -> None:
        """http-01: serve it under /.well-known/acme-challenge/; None takes it away."""
        ...

    def certificate(self, name: str, chain_pem: bytes | None, key_pem: bytes = b"") -> None:
        """tls-alpn-01: present it to who asks for `name` with the protocol acme-tls/1; None takes it away."""
        ...


@dataclass(frozen=True, slots=True)
class Renewal:
    """When the server wants a certificate renewed."""

    at: float
    """Unix seconds."""
    ask_again_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSettings:
    """Certificates that Gatepost gets and renews itself; without `acme` others do, and changed files are taken up."""

    acme: str = ""
    """The directory of an ACME server, such as ``https://acme-v02.api.letsencrypt.org/directory``; empty: none."""
    agree: bool = False
    """You agree to the authority's terms of service."""
    contact: str = ""
    """A mail address that the authority may write to."""
    account_id: str = ""
    """The key identifier that an authority gave you for your account there (external account binding); most give none."""
    account_key_file: str = ""
    """The file with its key, base64, as you were given it."""
    challenge: str = HTTP
    """How our names are proved: http-01, tls-alpn-01 or dns-01."""
    http_address: str = ""
    """``host:port`` that the authority's http-01 questions reach, port 80 from outside."""
    dns_hook: tuple[str, ...] = ()
    """For dns-01: a command, called with ``add`` or ``remove``, a name, and the TXT value; it returns when that is published."""
    names: tuple[str, ...] = ()
    """Further names in the certificate of the host name."""
    renew_before_s: float = 30 * DAY_S
    """How long before its end a certificate is renewed, when its authority does not say; at most a third of its life."""
    check_s: float = 20.0
    """Between two looks whether one is due, or asked for; a look costs little."""
    look_s: float = 10.0
    """How often every process looks whether certificate files changed."""
    trust_anchors: str = ""
    """A PEM file that the ACME server is trusted by, besides the system's: for an authority of your own."""


def certificate_problems(settings: CertificateSettings, policy_address: str) -> Sequence[tuple[str, str]]:
    """What is wrong with the settings: key and sentence."""
    if not settings.acme:
        return ()
    found = []
    if not is_safe(settings.acme):
        found.append(("acme", f'is "{settings.acme}"; an address that begins with https:// is wanted.'))
    if not settings.agree:
        found.append(("agree", "is false: read the authority's terms of service, then set agree = true."))
    if bool(settings.account_id) != bool(settings.account_key_file):
        found.append(
            ("account_id", "and account_key_file belong together: an authority gives both, or none.")
        )
    if settings.challenge not in WAYS:
        found.append(("challenge", f'is "{settings.challenge}"; there are {", ".join(WAYS)}.'))
    if settings.challenge == HTTP and not settings.http_address:
        found.append(("http_address", 'is empty, and http-01 needs it, such as "0.0.0.0:80".'))
    if settings.challenge == DNS and not settings.dns_hook:
        found.append(("dns_hook", "is empty, and dns-01 needs a command that publishes TXT records."))
    if settings.challenge == ALPN and not policy_address:
        found.append(
            ("challenge", 'is tls-alpn-01, which is answered at [mta_sts] address, such as "0.0.0.0:443".')
        )
    return found


def is_safe(directory: str) -> bool:
    """HTTPS, or a test server on this machine."""
    parts = urlsplit(directory)
    return parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    )

"""Server-side TLS: contexts for STARTTLS (RFC 3207) and implicit TLS (RFC 8314), replaced while connections live.

TLS 1.2 and 1.3 only, with forward secrecy and authenticated encryption (RFC 9325). Handshakes take the context of
the moment; a reload that fails changes nothing and says why. Outbound contexts are `net/outbound.py`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import logging
import os
import ssl
import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from gatepost.mail.client import TlsFacts
from gatepost.net.certfiles import tlsa_of

log = logging.getLogger("gatepost.certificates")

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!PSK"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCertificate:
    """One more certificate, chosen by the name the client asks for (SNI)."""

    certificate: str = ""
    """PEM file: the certificate, then its chain."""
    key: str = ""
    """PEM file of its private key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Our certificate and key. Without them there is no STARTTLS."""

    certificate: str | None = None
    """PEM file: the certificate, then its chain. ``%d/`` stands for systemd's credentials directory."""
    key: str | None = None
    """PEM file of the private key, ``%d/`` as above; never world-readable."""
    more: tuple[NamedCertificate, ...] = ()
    """Further certificates for other names."""
    client_authorities: str = ""
    """PEM file of the authorities whose client certificates sign devices in, on submission listeners; empty: none is
    asked for. Who presents a certificate that they did not issue gets no connection there."""


class TlsUnusable(Exception):
    """A certificate or key cannot be used; the text says which file, why, and what to do."""


class ServerTls:
    """The server's TLS contexts. Read once while privileged; `reload()` tries again later.

    A forked process keeps what was read before the fork, so keys need not stay readable.
    """

    def __init__(self, settings: TlsSettings, *, folder: Path = Path()) -> None:
        """Raises TlsUnusable. Relative paths start at `folder`."""
        self._settings = settings
        self._folder = folder
        self._asked_names: WeakKeyDictionary[ssl.SSLObject, str] = WeakKeyDictionary()
        self._stamp = self._state_of_files()
        self._context = self._build()
        self._asking = self._build(asking=True) if settings.client_authorities else None
        self.key_in_use = key_of(self.certificate_files()[0])
        """Which key the main certificate has."""

    @property
    def context(self) -> ssl.SSLContext:
        """The context for the next handshake."""
        return self._context

    def context_for(self, role: str) -> ssl.SSLContext:
        """The same on a listener of this role: where mail programs sign in, a client certificate may be asked for."""
        asks = self._asking is not None and role in ("submission", "submissions")
        return self._asking if asks and self._asking is not None else self._context

    def reload(self) -> str | None:
        """Read the files again; None when new handshakes get them, else why the old ones stay in use."""
        self._stamp = self._state_of_files()
        try:
            context = self._build()
            asking = self._build(asking=True) if self._settings.client_authorities else None
            self.key_in_use = key_of(self.certificate_files()[0])
        except TlsUnusable as failure:
            return f"the certificate in use stays as it is: {failure}"
        self._context, self._asking = context, asking
        return None

    def changed(self) -> bool:
        """Are the files others than those that were read last?"""
        return self._state_of_files() != self._stamp

    def key_waiting(self) -> str:
        """Which key the main certificate on the disk has. Raises TlsUnusable."""
        return key_of(self.certificate_files()[0])

    def _state_of_files(self) -> tuple[tuple[int, int], ...]:
        pairs = [(self._settings.certificate or "", self._settings.key or "")]
        pairs += [(more.certificate, more.key) for more in self._settings.more]
        names = [name for pair in pairs for name in pair]
        if self._settings.client_authorities:
            names.append(self._settings.client_authorities)
        found = []
        for name in names:
            try:
                status = expand(name, self._folder).stat()
                found.append((status.st_ino, status.st_mtime_ns))
            except (OSError, TlsUnusable):
                found.append((0, 0))
        return tuple(found)

    def facts(self, tls: ssl.SSLObject) -> TlsFacts:
        """What this finished handshake agreed on."""
        cipher = tls.cipher()
        subject, fingerprint = _peer(tls)
        return TlsFacts(
            version=tls.version() or "",
            cipher=cipher[0] if cipher else "",
            server_name=self._asked_names.get(tls),
            peer_subject=subject,
            peer_fingerprint=fingerprint,
        )

    def certificate_files(self) -> tuple[Path, ...]:
        """The certificate files in use, for who watches their expiry."""
        named = [self._settings.certificate or "", *(more.certificate for more in self._settings.more)]
        return tuple(expand(path, self._folder) for path in named)

    def _build(self, *, asking: bool = False) -> ssl.SSLContext:
        settings = self._settings
        if not settings.certificate or not settings.key:
            raise TlsUnusable("both tls.certificate and tls.key must name a file")
        main = self._load(settings.certificate, settings.key)
        by_name: dict[str, ssl.SSLContext] = {}
        for more in settings.more:
            context = self._load(more.certificate, more.key)
            for name in certificate_names(expand(more.certificate, self._folder)):
                by_name.setdefault(name, context)

        def name_asked(tls: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            if name is None:
                return
            if isinstance(tls, ssl.SSLObject):
                self._asked_names[tls] = name[:255]
            name = name.lower()
            chosen = by_name.get(name) or by_name.get("*." + name.partition(".")[2])
            if chosen is not None:
                tls.context = chosen

        main.sni_callback = name_asked
        if asking:
            # A handshake that goes on under another of our certificates looks for authorities in that context.
            for context in {main, *by_name.values()}:
                self._ask_for_certificates(context)
        return main

    def _ask_for_certificates(self, context: ssl.SSLContext) -> None:
        """Nobody needs to have one; one that is presented must be issued by these authorities."""
        path = expand(self._settings.client_authorities, self._folder)
        _insist_readable(path)
        try:
            context.load_verify_locations(path)
        except (ssl.SSLError, OSError) as failure:
            raise TlsUnusable(f"{path}: {_why(failure)}") from None
        context.verify_mode = ssl.CERT_OPTIONAL

    def _load(self, certificate: str, key: str) -> ssl.SSLContext:
        certificate_path, key_path = expand(certificate, self._folder), expand(key, self._folder)
        for path in (certificate_path, key_path):
            _insist_readable(path)
        context = server_context()
        try:
            # A key with a passphrase would make OpenSSL ask on the terminal.
            context.load_cert_chain(certificate_path, key_path, password=_no_passphrase)
        except (ssl.SSLError, OSError, ValueError) as failure:
            raise TlsUnusable(f"{certificate_path} with {key_path}: {_why(failure)}") from None
        return context


WAITING_S = 1.0


async def watch(
    tls: Callable[[], ServerTls | None],
    may_change: Callable[[str], Awaitable[str]],
    every_s: float,
    hurry: asyncio.Event | None = None,
) -> None:
    """Take changed files up while connections go on, until cancelled.

    `may_change` is asked when the main certificate has another key than before; it says why not, or nothing. `hurry` asks
    for a look at once. While a change waits, looks are a second apart at most: another process may be finding out.
    """
    told, wait_s, hurry = "", every_s, hurry or asyncio.Event()
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), wait_s)
        hurry.clear()
        wait_s = every_s
        now = tls()
        if now is None or not now.changed():
            continue
        try:
            key = now.key_waiting()
        except TlsUnusable:  # in the middle of being written
            continue
        why = await may_change(key) if key != now.key_in_use else ""
        wait_s = min(every_s, WAITING_S) if why else every_s
        problem = f"the certificate in use stays as it is: {why}" if why else now.reload()
        if problem and problem != told:
            log.warning("%s", problem)
        elif not problem:
            log.info("changed certificate files are in use from now on")
        told = problem or ""


def server_context() -> ssl.SSLContext:
    """A server context without a certificate: TLS 1.2+, forward secrecy, no compression, no renegotiation."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def expand(path: str, folder: Path = Path()) -> Path:
    """The file meant by a setting: ``%d/name`` lies in systemd's credentials directory, the rest below `folder`."""
    if path.startswith("%d/"):
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        if not credentials:
            raise TlsUnusable(
                f"{path}: no CREDENTIALS_DIRECTORY here (LoadCredential= in the systemd unit sets it)"
            )
        return Path(credentials) / path[3:]
    return folder / path


def certificate_expires_at(path: Path) -> float:
    """Unix time at which the first certificate in this PEM file ends; raises TlsUnusable."""
    return _first_certificate(path).not_valid_after_utc.timestamp()


def key_of(path: Path) -> str:
    """The TLSA record that fits the first certificate's key (DANE-EE, SPKI, SHA-256); raises TlsUnusable."""
    return tlsa_of(_first_certificate(path).public_key())


def certificate_fault(path: Path, name: str, *, trust_anchors: str = "", now: float) -> str:
    """What a careful client finds wrong with this file's chain for `name`, one clause; empty when nothing is."""
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as failure:
        return f"it cannot be read: {_why(failure)}"
    context = ssl.create_default_context(cafile=trust_anchors or None)
    if trust_anchors:
        context.load_default_certs()
    roots = []
    for der in context.get_ca_certs(binary_form=True):
        # An authority that our library finds odd, or ill-formed.
        with warnings.catch_warnings(action="ignore"), contextlib.suppress(ValueError):
            roots.append(x509.load_der_x509_certificate(der))
    if not roots:
        return "no authority is trusted on this machine"
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    verifier = PolicyBuilder().store(Store(roots)).time(moment).build_server_verifier(x509.DNSName(name))
    try:
        verifier.verify(chain[0], chain[1:])
    except VerificationError as failure:
        return f"it would not be trusted: {failure}"
    return ""


def certificate_names(path: Path) -> Sequence[str]:
    """The host names the first certificate in this PEM file is for, in lower case; raises TlsUnusable."""
    certificate = _first_certificate(path)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        subject = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return [str(attribute.value).lower() for attribute in subject]
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def _peer(tls: ssl.SSLObject) -> tuple[str | None, str | None]:
    """Subject (RFC 4514) and SHA-256 of the client certificate that verified, if there is one."""
    der = tls.getpeercert(binary_form=True)  # there is none where none was asked for
    if not der:
        return None, None
    try:
        subject = x509.load_der_x509_certificate(der).subject.rfc4514_string()
    except ValueError:
        subject = None
    return subject, hashlib.sha256(der).hexdigest()


def _first_certificate(path: Path) -> x509.Certificate:
    _insist_readable(path)
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (ValueError, OSError) as failure:
        raise TlsUnusable(f"{path}: {_why(failure)}") from None


def _insist_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except PermissionError:
        advice = "; hand it over with systemd's LoadCredential=, or let this user read it"
        raise TlsUnusable(f"{path}: not readable for user id {os.geteuid()}{advice}") from None
    except OSError as failure:
        raise TlsUnusable(f"{path}: {failure.strerror}") from None


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase; store it without one")


def _why(failure: Exception) -> str:
    reason = getattr(failure, "reason", None) or getattr(failure, "strerror", None)
    if reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    return str(reason or str(failure) or type(failure).__name__)

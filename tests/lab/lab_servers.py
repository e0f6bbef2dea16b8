"""Receiving servers and policy hosts of the lab: certificates right and wrong, each host on a loopback address of its own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from scripted_peer import Peer

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def spki(self) -> bytes:
        return self.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def make(
    name: str,
    issuer: Certificate | None = None,
    *,
    authority: bool = False,
    expired: bool = False,
    san: bool = True,
) -> Certificate:
    """A certificate; signed by itself without an issuer. Without `san` its name is a common name only."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = datetime.datetime.now(datetime.UTC)
    start, end = (now - 30 * DAY, now - DAY) if expired else (now - DAY, now + 30 * DAY)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    signer = issuer.key if issuer else key
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    )
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
    )
    if authority:
        signs = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        builder = builder.add_extension(
            x509.KeyUsage(key_cert_sign=True, crl_sign=True, **signs), critical=True
        )
    elif san:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return Certificate(builder.sign(signer, hashes.SHA256()), key)


@dataclass
class Authorities:
    """Those the lab knows."""

    folder: Path
    trusted: Certificate = field(default_factory=lambda: make("Lab Authority", authority=True))
    unknown: Certificate = field(default_factory=lambda: make("Unknown Authority", authority=True))
    own: Certificate = field(default_factory=lambda: make("Own Authority", authority=True))
    """What DANE-TA records name."""

    def __post_init__(self) -> None:
        self.file = self.folder / "authority.pem"
        self.file.write_bytes(self.trusted.pem)


@dataclass
class Identity:
    """What a server shows."""

    own: Certificate
    chain: tuple[Certificate, ...] = ()

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(self.own.key_pem + self.own.pem + b"".join(one.pem for one in self.chain))
            file.flush()
            context.load_cert_chain(file.name)
        return context


def identity(server: str, name: str, known: Authorities) -> Identity:
    """The certificate of one kind of server, for a name."""
    if server in ("chain", "chain-expired"):
        return Identity(make(name, known.own, expired=server == "chain-expired"), (known.own,))
    if server == "leaf-only":
        return Identity(make(name, known.own))
    if server == "selfsigned":
        return Identity(make(name))
    if server.endswith("untrusted"):
        return Identity(make(name, known.unknown))
    return Identity(make(name, known.trusted, expired=server == "expired"))


def tlsa(kind: str, shown: Identity, known: Authorities) -> str:
    """One record for a server that shows this."""
    own, authority = shown.own, shown.chain[0] if shown.chain else known.own
    sha256, sha512 = hashlib.sha256, hashlib.sha512
    return {
        "ee-key": lambda: f"3 1 1 {sha256(own.spki).hexdigest()}",
        "ee-cert": lambda: f"3 0 1 {sha256(own.der).hexdigest()}",
        "ee-full": lambda: f"3 0 0 {own.der.hex()}",
        "ee-512": lambda: f"3 1 2 {sha512(own.spki).hexdigest()}",
        "ee-other": lambda: f"3 1 1 {sha256(b'another key').hexdigest()}",
        "ta-key": lambda: f"2 1 1 {sha256(authority.spki).hexdigest()}",
        "ta-cert": lambda: f"2 0 1 {sha256(authority.der).hexdigest()}",
        "ta-full": lambda: f"2 0 0 {authority.der.hex()}",
        "ta-bare": lambda: f"2 1 0 {authority.spki.hex()}",
        "ta-bare-other": lambda: f"2 1 0 {known.unknown.spki.hex()}",
        "ta-other": lambda: f"2 1 1 {sha256(b'another authority').hexdigest()}",
        "pkix-ee": lambda: f"1 1 1 {sha256(own.spki).hexdigest()}",
        "short": lambda: "3 1 1 abcdef",
        "unknown": lambda: f"3 1 7 {sha256(own.spki).hexdigest()}",
    }[kind]()


def refuse_starttls(verb: str, _line: str) -> str | None:
    return "454 4.7.0 not now" if verb == "STARTTLS" else None


def receiver(server: str, shown: Identity, address: str, port: int) -> Peer:
    """A mail host of that kind."""
    keywords: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 1000000", "DSN")
    if server.startswith("requiretls"):
        keywords = (*keywords, "REQUIRETLS")
    if server == "plain":
        return Peer(keywords=keywords, address=address, port=port)
    if server == "garbled":  # says yes to STARTTLS and goes on in plain text
        return Peer(keywords=(*keywords, "STARTTLS"), address=address, port=port)
    if server == "refuses":
        return Peer(
            keywords=keywords, address=address, port=port, tls=shown.context(), answer=refuse_starttls
        )
    return Peer(keywords=keywords, address=address, port=port, tls=shown.context())


@dataclass
class PolicyHosts:
    """One HTTPS server for all policy hosts: whom it is asked as decides what it shows and says."""

    address: str
    port: int = 0
    contexts: dict[str, ssl.SSLContext] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    posted: list[tuple[str, bytes]] = field(default_factory=list)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def serve(self, fallback: ssl.SSLContext) -> AsyncIterator[PolicyHosts]:
        def choose(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            if name in self.contexts:
                tls.context = self.contexts[name]

        fallback.sni_callback = choose  # type: ignore[assignment]
        server = await asyncio.start_server(self._answer, self.address, self.port, ssl=fallback)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for one in self._open:
                one.transport.abort()
            await asyncio.sleep(0.01)  # the loop lets go of what was broken off

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            host = fields["host"].partition(":")[0]
            self.asked.append(host)
            if head.startswith("POST"):
                self.posted.append((host, await reader.readexactly(int(fields["content-length"]))))
            writer.write(self.answers.get(host, http("404 Not Found", "")))
            await writer.drain()
        writer.close()
        with contextlib.suppress(Exception):
            await writer.wait_closed()
        self._open.discard(writer)


def http(status: str, body: str, kind: str = "text/plain", more: str = "") -> bytes:
    octets = body.encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(octets)}\r\n\r\n".encode()
        + octets
    )


def policy(mode: str, *mx: str, max_age: int = 86400 * 7) -> str:
    hosts = "".join(f"mx: {one}\r\n" for one in mx)
    return f"version: STSv1\r\nmode: {mode}\r\n{hosts}max_age: {max_age}\r\n"


Lookup = Callable[[str], str]

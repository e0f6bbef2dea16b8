"""The certificates that we get ourselves, as files: one folder a name, swapped whole.

``<name>/current`` is a link to a folder with ``fullchain.pem`` and ``key.pem``; changing the link changes both files in
one instant. ``<name>/next.key`` is made ahead, so that its TLSA record can be published before it is used. The keys
are readable by the gate's account alone.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

CHAIN, KEY, NEXT_KEY, NEXT_CHAIN, CURRENT = "fullchain.pem", "key.pem", "next.key", "next.pem", "current"
KEPT = 3
"""Folders of former certificates that stay."""
STOPGAP_DAYS = 3650


class CertificateFolder:
    """One name's files. Raises OSError for what the disk does, ValueError for what is no certificate."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def chain_file(self) -> Path:
        """What `[tls] certificate` names."""
        return self.path / CURRENT / CHAIN

    @property
    def key_file(self) -> Path:
        """What `[tls] key` names."""
        return self.path / CURRENT / KEY

    def current(self) -> x509.Certificate | None:
        """The certificate in use."""
        return _certificate(self.chain_file)

    def is_stopgap(self) -> bool:
        """Is it the one we made ourselves, until a real one is there?"""
        found = self.current()
        return found is None or found.issuer == found.subject

    def next_key(self) -> ec.EllipticCurvePrivateKey:
        """The key of the next certificate, made now if there is none."""
        key = self.known_next_key()
        if key is None:
            key = ec.generate_private_key(ec.SECP256R1())
            write_secret(self.path / NEXT_KEY, pem_of(key))
        return key

    def known_next_key(self) -> ec.EllipticCurvePrivateKey | None:
        """The same when it was made already: for commands, which may run as another account than the gate."""
        with contextlib.suppress(FileNotFoundError):
            key = load_pem_private_key((self.path / NEXT_KEY).read_bytes(), None)
            if isinstance(key, ec.EllipticCurvePrivateKey):
                return key
        return None

    def current_key_pem(self) -> bytes:
        """The key in use."""
        return self.key_file.read_bytes()

    def waiting(self) -> x509.Certificate | None:
        """The next certificate, when it is here already and may not be used yet."""
        return _certificate(self.path / NEXT_CHAIN)

    def put_by(self, chain_pem: bytes) -> None:
        """Keep the next certificate until it may be used."""
        write_secret(self.path / NEXT_CHAIN, chain_pem)

    def drop_waiting(self) -> None:
        """Forget the next certificate; its key stays the next one."""
        (self.path / NEXT_CHAIN).unlink(missing_ok=True)

    def switch(self) -> None:
        """Use the next certificate with its key from now on."""
        chain, key = (self.path / NEXT_CHAIN).read_bytes(), (self.path / NEXT_KEY).read_bytes()
        self.install(chain, key)
        for name in (NEXT_CHAIN, NEXT_KEY):
            (self.path / name).unlink(missing_ok=True)

    def install(self, chain_pem: bytes, key_pem: bytes) -> None:
        """Put a certificate with its key in place, both in one instant. Raises ValueError when they do not belong together."""
        certificate = x509.load_pem_x509_certificate(chain_pem)
        key = load_pem_private_key(key_pem, None)
        if spki_of(certificate.public_key()) != spki_of(key.public_key()):
            raise ValueError("the key does not belong to the certificate")
        folder = (
            self.path
            / f"{certificate.not_valid_before_utc:%Y%m%d%H%M%S}-{certificate.serial_number % 16**8:08x}"
        )
        make_closed(folder)
        write_secret(folder / CHAIN, chain_pem)
        write_secret(folder / KEY, key_pem)
        link = self.path / f".{CURRENT}"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name, target_is_directory=True)
        link.replace(self.path / CURRENT)
        _sync_folder(self.path)
        self._forget_old(folder.name)

    def _forget_old(self, current: str) -> None:
        former = sorted(one.name for one in self.path.iterdir() if one.is_dir() and not one.is_symlink())
        for name in [one for one in former if one != current][:-KEPT]:
            shutil.rmtree(self.path / name, ignore_errors=True)

    def make_stopgap(self, names: Sequence[str]) -> None:
        """A certificate of our own making, so that there is TLS before the first real one; nobody can verify it."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=STOPGAP_DAYS))
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        self.install(certificate.public_bytes(Encoding.PEM), pem_of(key))


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key as its file has it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def spki_of(public: object) -> bytes:
    """A public key's SubjectPublicKeyInfo, DER."""
    octets: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return octets


def tlsa_of(public: object) -> str:
    """The TLSA record that fits a key whatever certificate it is in: DANE-EE, SPKI, SHA-256 (RFC 7672 §3.1)."""
    return f"3 1 1 {hashlib.sha256(spki_of(public)).hexdigest()}"


def tlsa_of_file(path: Path) -> str:
    """The same for the first certificate of a PEM file. Raises OSError or ValueError."""
    return tlsa_of(x509.load_pem_x509_certificate(path.read_bytes()).public_key())


def write_secret(path: Path, octets: bytes) -> None:
    """A file for our account alone, whole or not at all."""
    make_closed(path.parent)
    growing = path.with_name(path.name + ".new")
    growing.unlink(missing_ok=True)
    number = os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(number, octets)
        os.fsync(number)
    finally:
        os.close(number)
    growing.replace(path)
    _sync_folder(path.parent)


def make_closed(folder: Path) -> None:
    """A folder for our account alone, and every one above it that is not there yet."""
    for one in reversed([folder, *folder.parents]):
        one.mkdir(mode=0o700, exist_ok=True)


def _sync_folder(path: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return None

"""The journal's head, signed (Ed25519, RFC 8032) so that it can be put away elsewhere, and known again later.

Who holds an older head sees when newer entries were cut off, or when all of the journal was written anew. The key is in a file
of the state folder, made when it is first needed.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gatepost.store.disk import Disk, closing, give_to_owner
from gatepost.store.failures import StoreFailed, translated
from gatepost.store.journal import Head
from gatepost.store.turns import turn

MARK = "gatepost journal head 1"
LONGEST_TEXT = 32 * 1024**2
_WRITTEN = re.compile(r'\{\s*"kind":\s*"gatepost[ \r\n]journal[ \r\n]head[ \r\n]1"[^{}]{1,2000}\}')


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """A head as it is sent away."""

    hostname: str
    head: Head
    at: float
    """When it was signed, Unix seconds."""
    key: bytes
    """The public key."""
    signature: bytes

    @property
    def line(self) -> str:
        """As one line of JSON."""
        told = {
            "kind": MARK, "host": self.hostname, "number": self.head.number, "chain": self.head.chain.hex(),
            "at": self.at, "key": _text(self.key), "signature": _text(self.signature),
        }  # fmt: skip
        return json.dumps(told)

    def holds(self) -> bool:
        """Was it signed with the key it names?"""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(
                self.signature, _signed(self.hostname, self.head, self.at)
            )
        except (InvalidSignature, ValueError):
            return False
        return True


class HeadKey:
    """The key that signs heads: ``keys/journal.key`` in the state folder, mode 0600."""

    def __init__(self, state: Path, disk: Disk | None = None) -> None:
        self.path = state / "keys" / "journal.key"
        self._disk = disk or Disk()

    def sign(self, hostname: str, head: Head, at: float) -> SignedHead:
        """Sign a head; the key is made when there is none. Raises StoreFailed."""
        key = self._key()
        octets = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        signature = key.sign(_signed(hostname, head, at))
        return SignedHead(hostname=hostname, head=head, at=at, key=octets, signature=signature)

    def public(self) -> bytes | None:
        """The public key; None when there is no key yet. Raises StoreFailed."""
        if not self.path.exists():
            return None
        return self._read().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def _key(self) -> Ed25519PrivateKey:
        if not self.path.exists():
            with translated():
                if not self.path.parent.exists():
                    self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    with _opened(self.path.parent) as number:
                        give_to_owner(number, self.path.parent.parent)
                with turn(self.path.with_suffix("")):
                    if not self.path.exists():
                        self._make()
        return self._read()

    def _read(self) -> Ed25519PrivateKey:
        try:
            key = load_pem_private_key(self.path.read_bytes(), password=None)
        except OSError as fault:
            raise StoreFailed(f"the journal's key {self.path} cannot be read: {fault.strerror}") from None
        except (ValueError, TypeError):
            raise StoreFailed(f"the journal's key {self.path} is damaged") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise StoreFailed(f"the journal's key {self.path} is no Ed25519 key")
        return key

    def _make(self) -> None:
        octets = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        growing = self.path.with_name(self.path.name + ".new")
        growing.unlink(missing_ok=True)
        number = self._disk.create(growing)
        with closing(number):
            give_to_owner(number, self.path.parent)
            self._disk.write(number, octets)
            self._disk.sync(number)
        self._disk.rename(growing, self.path)
        self._disk.sync_folder(self.path.parent)


def read_heads(text: str) -> list[SignedHead]:
    """Every signed head in a text: lines of a file, mails put together; other text is passed over."""
    found = []
    for match in _WRITTEN.finditer(text[:LONGEST_TEXT]):
        try:
            told = json.loads(re.sub(r"[\r\n]+", "", match[0]))
            found.append(
                SignedHead(
                    hostname=str(told["host"]),
                    head=Head(int(told["number"]), bytes.fromhex(told["chain"])),
                    at=float(told["at"]),
                    key=base64.b64decode(told["key"], validate=True),
                    signature=base64.b64decode(told["signature"], validate=True),
                )
            )
        except (ValueError, KeyError, TypeError):
            continue
    return found


def trusted(heads: list[SignedHead], ours: bytes | None) -> tuple[list[Head], str | None]:
    """The heads to look for in the chain; or one sentence about one that this installation did not sign."""
    for one in heads:
        if not one.holds():
            return (
                [],
                f"the head of entry {one.head.number} has a signature that does not hold: it was altered",
            )
        if one.key != ours:
            return [], (
                f"the head of entry {one.head.number} was signed with another key than keys/journal.key: it is another"
                " installation's, or the key was replaced"
            )
    return list(dict.fromkeys(one.head for one in heads)), None


def append_line(path: Path, line: str, disk: Disk | None = None) -> None:
    """Add a line to a file that is only ever appended to, made when it is not there. Raises StoreFailed."""
    hands = disk or Disk()
    with translated():
        number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with closing(number):
            hands.write(number, (line + "\n").encode())
            hands.sync(number)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with closing(number):
        yield number


def _signed(hostname: str, head: Head, at: float) -> bytes:
    return "\n".join((MARK, hostname, str(head.number), head.chain.hex(), repr(float(at)))).encode()


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()

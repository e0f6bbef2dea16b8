"""Held mail is sealed before it is written: AES-256-GCM (NIST SP 800-38D) under a key of its own.

Each message's key is kept beside it, wrapped under a master key, and the master keys are in a file apart from the
database. Several may be there, told apart by their id; the last one seals. Both layers are bound to the
message's reference, so that neither octets nor keys can be moved to another message. It leaves out who may open.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatepost.store.disk import Disk, closing
from gatepost.store.failures import StoreFailed, translated
from gatepost.store.turns import turn

NONCE = 12
OVERHEAD = NONCE + 16
"""Sealed octets are so much longer than plain ones: the nonce in front, the tag behind."""
KEY = 32
HEADING = (
    "# Gatepost's master keys of the quarantine, one a line: id and key. The last one seals, all of them open.\n"
    "# Without them held mail cannot be read, nor signing keys. Keep a copy, and keep it apart from the backups.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineSettings:
    """How held mail is kept, and who may let it go; for how long is a setting of `[retention]`."""

    key_file: str = ""
    """The master keys that seal it, ``%d/NAME`` for a systemd credential; empty: ``keys/quarantine.key`` in the state
    folder. It is made when it is first needed. Keep a copy apart from the backups: without it held mail is lost."""
    people_may_release: tuple[str, ...] = ("spam",)
    """What people may release of their own held mail without asking, by category; for the rest a postmaster decides. Never
    malware."""
    two_people: bool = True
    """Reading somebody's held mail without a right to (breaking the glass) takes a second person who agrees."""


class KeyMissing(StoreFailed):
    """The master key that is needed to open a message is not in the key file."""


@dataclass(frozen=True, slots=True)
class Seal:
    """How to open a message: the master key's id, and the message's own key wrapped under it."""

    key_id: str
    wrapped_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Keys:
    """The file as it was read."""

    by_id: Mapping[str, bytes] = field(repr=False)
    newest: str
    seen: tuple[int, ...]
    """Which state of the file this is."""


class Keyring:
    """The master keys in their file, which is made when the first message is to be sealed, and read again when it changes."""

    def __init__(self, path: Path, lock: Path, disk: Disk | None = None) -> None:
        """`lock`: a name in the state folder; those who make or change the file take turns by it."""
        self.path = path
        self._lock = lock
        self._disk = disk or Disk()
        self._keys: _Keys | None = None
        self._name_synced = False
        self._one_at_a_time = threading.Lock()

    def seal(self, ref: str, octets: bytes) -> tuple[Seal, bytes]:
        """Seal the octets of message `ref`. Raises StoreFailed when there is no usable key and none can be made."""
        with self._one_at_a_time:
            keys = self._for_sealing()
        own = AESGCM.generate_key(bit_length=8 * KEY)
        sealed = _encrypt(own, octets, _about("octets", ref))
        wrapped = _encrypt(keys.by_id[keys.newest], own, _about("key", ref, keys.newest))
        return Seal(keys.newest, wrapped), sealed

    def open(self, ref: str, seal: Seal, sealed: bytes) -> bytes:
        """The octets of message `ref`. Raises KeyMissing, or StoreFailed when anything of it was altered."""
        return _decrypt(self._own_key(ref, seal), sealed, _about("octets", ref), f"message {ref}")

    def rewrap(self, ref: str, seal: Seal) -> Seal:
        """The same message's key under the newest master key; the octets stay as they are."""
        with self._one_at_a_time:
            keys = self._for_sealing()
        own = self._own_key(ref, seal)
        return Seal(keys.newest, _encrypt(keys.by_id[keys.newest], own, _about("key", ref, keys.newest)))

    def ids(self) -> tuple[str, ...]:
        """The master keys in the file, the oldest first; none when there is no file yet. Raises StoreFailed."""
        with self._one_at_a_time:
            keys = self._read()
        return tuple(keys.by_id) if keys else ()

    def problem(self, needed: Collection[str]) -> str:
        """What is wrong, in a sentence, if the keys named in `needed` are to open what they sealed; empty when nothing is."""
        try:
            here = self.ids()
        except StoreFailed as failure:
            return str(failure)
        missing = sorted(set(needed).difference(here))
        if not missing:
            return ""
        if not here:
            return (
                f"The key file {self.path} is not there, and held mail or signing keys are sealed with"
                f" {', '.join(missing)}."
            )
        return f"Held mail or signing keys are sealed with {', '.join(missing)}, which the key file {self.path} does not have."

    def add_key(self) -> str:
        """A new master key, which seals from now on; its id."""
        with self._one_at_a_time, self._turn():
            keys = self._read()
            name, key = _new_key()
            self._write({**(keys.by_id if keys else {}), name: key})
            return name

    def forget(self, names: Collection[str]) -> None:
        """Take master keys out of the file; never the newest."""
        with self._one_at_a_time, self._turn():
            keys = self._read()
            if keys is not None:
                gone = set(names) - {keys.newest}
                self._write({name: key for name, key in keys.by_id.items() if name not in gone})

    def _own_key(self, ref: str, seal: Seal) -> bytes:
        with self._one_at_a_time:
            keys = self._keys
            if keys is None or seal.key_id not in keys.by_id:
                keys = self._read()
        master = keys.by_id.get(seal.key_id) if keys else None
        if master is None:
            raise KeyMissing(
                f"message {ref} is sealed with the key {seal.key_id}, which {self.path} does not have"
            )
        return _decrypt(
            master, seal.wrapped_key, _about("key", ref, seal.key_id), f"the key of message {ref}"
        )

    def _for_sealing(self) -> _Keys:
        """The keys, made at first use; their name is certain to be on the disk before anything depends on it."""
        keys = self._read()
        if keys is None:
            with self._turn():
                keys = self._read()
                if keys is None:
                    name, key = _new_key()
                    self._write({name: key})
                    keys = self._read()
        if keys is None:
            raise StoreFailed(f"the key file {self.path} was made and is not there")
        if not self._name_synced and self.path.parent == self._lock.parent:
            with translated():
                self._disk.sync_folder(self.path.parent)
                self._disk.sync_folder(self.path.parent.parent)
            self._name_synced = True
        return keys

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Held by whoever makes or changes the file."""
        with translated():
            self._lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with turn(self._lock):
                yield

    def _read(self) -> _Keys | None:
        """The file as it is now; None when there is none. Read again only when it is another than before."""
        try:
            status = self.path.stat()
            seen = status.st_ino, status.st_mtime_ns, status.st_size
            if self._keys is None or self._keys.seen != seen:
                by_id = parsed(self.path.read_text("ascii"))
                self._keys = _Keys(by_id, next(reversed(by_id)), seen)
        except FileNotFoundError:
            self._keys = None
        except OSError as fault:
            raise StoreFailed(f"the key file {self.path} cannot be read: {fault.strerror}") from None
        except ValueError as fault:
            raise StoreFailed(f"the key file {self.path} is damaged: {fault}") from None
        return self._keys

    def _write(self, keys: Mapping[str, bytes]) -> None:
        """A whole new file in place of the old one, with its owner. The caller holds the turn."""
        lines = [f"{name} {base64.b64encode(key).decode()}\n" for name, key in keys.items()]
        growing = self.path.with_name(self.path.name + ".new")
        with translated():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            growing.unlink(missing_ok=True)
            number = self._disk.create(growing)
            with closing(number):
                if self.path.exists():
                    old = self.path.stat()
                    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                        os.fchown(number, old.st_uid, old.st_gid)
                self._disk.write(number, (HEADING + "".join(lines)).encode("ascii"))
                self._disk.sync(number)
            self._disk.rename(growing, self.path)
            self._disk.sync_folder(self.path.parent)


def parsed(text: str) -> dict[str, bytes]:
    """The keys of a file by id, in order. Raises ValueError with words that do not show any of it."""
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, encoded = line.strip().partition(" ")
        try:
            key = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY or name in keys:
            raise ValueError(f"line {number} is no id with a key of {KEY} octets in base64, or repeats an id")
        keys[name] = key
    if not keys:
        raise ValueError("there is no key in it")
    return keys


def _new_key() -> tuple[str, bytes]:
    return os.urandom(4).hex(), AESGCM.generate_key(bit_length=8 * KEY)


def _about(what: str, ref: str, key_id: str = "") -> bytes:
    """What a sealing is bound to."""
    return f"gatepost 1 {what} {ref} {key_id}".encode()


def _encrypt(key: bytes, octets: bytes, about: bytes) -> bytes:
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, octets, about)


def _decrypt(key: bytes, sealed: bytes, about: bytes, what: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], about)
    except (InvalidTag, ValueError):
        raise StoreFailed(f"{what} was altered on the disk, or its key is another of the same name") from None

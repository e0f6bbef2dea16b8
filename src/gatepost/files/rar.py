"""Locked RAR 5 archives: what the format says of encryption (RAR 5.0 archive format, win-rar.com), and no unpacking.

With the right password the archive is written anew without its locks; libarchive, which reads everything else of the
format, unpacks that. RAR 4 and older lock in another way, which is not read here.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MAGIC = b"Rar!\x1a\x07\x01\0"
MAX_HEADERS = 20_000
MAX_HEADER = 2 << 20
MAX_POWER = 20
"""2^15 rounds make a key as WinRAR writes it; somebody who asks for more than 32 times that wants our time."""
MOST_ROUNDS = 1 << 23
"""Of all keys of one archive together: two seconds or so."""
_FILE, _SERVICE, _LOCK, _END = 2, 3, 4, 5
_HAS_EXTRA, _HAS_DATA = 1, 2
_HAS_TIME, _HAS_CRC = 2, 4
_LOCK_RECORD, _HASH_RECORD = 1, 2


class Broken(ValueError):
    """Not as the format says."""


class WrongPassword(Exception):
    """It opens nothing."""


@dataclass(frozen=True, slots=True)
class Lock:
    """How a header or a file is encrypted."""

    power: int
    salt: bytes
    check: bytes
    """What the right password gives; empty where the archive does not say."""

    def key(self, password: str) -> bytes:
        """Raises WrongPassword where the archive says so, Broken when the key would take too long."""
        if self.power > MAX_POWER:
            raise Broken("a key that takes too long to make")
        secret, rounds = password.encode("utf-8", "replace"), 1 << self.power
        if self.check:
            long = hashlib.pbkdf2_hmac("sha256", secret, self.salt, rounds + 32)
            folded = bytes(long[n] ^ long[n + 8] ^ long[n + 16] ^ long[n + 24] for n in range(8))
            if folded != self.check[:8]:
                raise WrongPassword
        return hashlib.pbkdf2_hmac("sha256", secret, self.salt, rounds)


def unlocked(octets: bytes, password: str) -> bytes:
    """The archive without its locks. Raises WrongPassword, or Broken; an archive without locks comes out as it is."""
    if not octets.startswith(MAGIC):
        raise Broken("no RAR 5 archive")
    return MAGIC + b"".join(_headers(octets, password))


def locked_members(octets: bytes) -> list[tuple[str, int]] | None:
    """Names and sizes of the locked members, none where their list is locked, too; None for an archive without locks, or no
    RAR 5 at all. libarchive does not see these locks, and takes what is encrypted for what is in the file."""
    if not octets.startswith(MAGIC):
        return None
    at, found = len(MAGIC), []
    try:
        for _ in range(MAX_HEADERS):
            if at >= len(octets):
                break
            header, at = _header(octets, at, b"")
            kind, _, extra, size, start = _common(header)
            at += size
            if kind == _LOCK:
                return []
            area = header[len(header) - extra :] if extra else b""
            if kind == _FILE and any(record == _LOCK_RECORD for record, _, _ in _records(area)):
                found.append(_name_and_size(header, start))
            if kind == _END:
                break
    except (Broken, WrongPassword):
        pass
    return found or None


def _name_and_size(header: bytes, at: int) -> tuple[str, int]:
    facts, at = _number(header, at)
    size, at = _number(header, at)
    _, at = _number(header, at)
    at += (4 if facts & _HAS_TIME else 0) + (4 if facts & _HAS_CRC else 0)
    for _ in range(2):
        _, at = _number(header, at)
    length, at = _number(header, at)
    return header[at : at + length].decode("utf-8", "replace"), size


def _headers(octets: bytes, password: str) -> Iterator[bytes]:
    at, outer = len(MAGIC), None
    keys: dict[Lock, bytes] = {}

    def key_of(lock: Lock) -> bytes:
        if lock not in keys:
            if sum(2 << one.power for one in keys) > MOST_ROUNDS:
                raise Broken("keys that take too long to make")
            keys[lock] = lock.key(password)
        return keys[lock]

    for _ in range(MAX_HEADERS):
        if at >= len(octets):
            return
        header, at = _header(octets, at, key_of(outer) if outer else b"")
        kind, _, _, size, start = _common(header)
        data, at = octets[at : at + size], at + size
        if kind == _LOCK:
            outer = _lock(header, start)
            continue
        if kind in (_FILE, _SERVICE):
            yield _file(header, data, key_of)
        else:
            yield _with_checksum(header) + data
        if kind == _END:
            return


def _header(octets: bytes, at: int, key: bytes) -> tuple[bytes, int]:
    """The header at a place, from its type on, and where it ends. Raises WrongPassword for a locked one without its checksum."""
    if key:
        vector, at = octets[at : at + 16], at + 16
        plain = _decrypted(octets[at : at + 16], key, vector)
        size, begin = _number(plain, 4)
        whole = -(-(begin + size) // 16) * 16
        if size > MAX_HEADER:
            raise WrongPassword
        plain = _decrypted(octets[at : at + whole], key, vector)
    else:
        size, begin = _number(octets[at : at + 16], 4)
        if size > MAX_HEADER:
            raise Broken("a header that is too long")
        whole = begin + size
        plain = octets[at : at + whole]
    if zlib.crc32(plain[4 : begin + size]) != int.from_bytes(plain[:4], "little"):
        raise WrongPassword if key else Broken("a header whose checksum is wrong")
    return plain[begin : begin + size], at + whole


def _common(header: bytes) -> tuple[int, int, int, int, int]:
    """Type, flags, length of the extra area and of the data, and where the fields of the type begin."""
    kind, at = _number(header, 0)
    flags, at = _number(header, at)
    extra = size = 0
    if flags & _HAS_EXTRA:
        extra, at = _number(header, at)
    if flags & _HAS_DATA:
        size, at = _number(header, at)
    return kind, flags, extra, size, at


def _lock(fields: bytes, at: int) -> Lock:
    _, at = _number(fields, at)
    flags, at = _number(fields, at)
    if at + 17 > len(fields):
        raise Broken("a lock that is cut")
    return Lock(fields[at], fields[at + 1 : at + 17], fields[at + 17 : at + 25] if flags & 1 else b"")


def _file(header: bytes, data: bytes, key_of: Callable[[Lock], bytes]) -> bytes:
    """A file's header and data without its lock. Its checksums go too: they are made with the password."""
    _, flags, extra, _, start = _common(header)
    end = len(header) - extra
    if end < start:
        raise Broken("an extra area that is longer than its header")
    kept, lock, vector = b"", None, b""
    for kind, record, at in _records(header[end:]):
        if kind == _LOCK_RECORD:
            _, at = _number(record, at)
            checked, at = _number(record, at)
            if at + 33 > len(record):
                raise Broken("a lock that is cut")
            lock = Lock(
                record[at], record[at + 1 : at + 17], record[at + 33 : at + 41] if checked & 1 else b""
            )
            vector = record[at + 17 : at + 33]
        elif kind != _HASH_RECORD:
            kept += record
    if lock is None:
        return _with_checksum(header) + data
    plain = _decrypted(data[: len(data) // 16 * 16], key_of(lock), vector)
    facts, at = _number(header, start)
    size, at = _number(header, at)
    attributes, at = _number(header, at)
    time, at = (header[at : at + 4], at + 4) if facts & _HAS_TIME else (b"", at)
    at += 4 if facts & _HAS_CRC else 0
    if not _number(header, at)[0] >> 7 & 7:  # stored: what fills the last block is not the file's
        plain = plain[:size]
    kind, _ = _number(header, 0)
    flags = (flags | _HAS_DATA) & ~_HAS_EXTRA | (_HAS_EXTRA if kept else 0)
    head = _written(kind) + _written(flags) + (_written(len(kept)) if kept else b"") + _written(len(plain))
    fields = _written(facts & ~_HAS_CRC) + _written(size) + _written(attributes) + time + header[at:end]
    return _with_checksum(head + fields + kept) + plain


def _records(area: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Type, the whole record, and where its fields begin in it."""
    at = 0
    while at < len(area):
        size, begin = _number(area, at)
        kind, fields = _number(area, begin)
        if not size:
            raise Broken("an empty record")
        yield kind, area[at : begin + size], fields - at
        at = begin + size


def _with_checksum(header: bytes) -> bytes:
    sized = _written(len(header)) + header
    return zlib.crc32(sized).to_bytes(4, "little") + sized


def _decrypted(octets: bytes, key: bytes, vector: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if len(octets) % 16 or len(vector) != 16:
        raise Broken("encrypted octets that are cut")
    return Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor().update(octets)


def _number(octets: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits an octet, the lowest first, and where it ends. Raises Broken."""
    value = 0
    for place in range(10):
        if at >= len(octets):
            break
        value |= (octets[at] & 127) << 7 * place
        at += 1
        if not octets[at - 1] & 128:
            return value, at
    raise Broken("a number that does not end")


def _written(value: int) -> bytes:
    octets = bytearray()
    while value > 127:
        octets.append(value & 127 | 128)
        value >>= 7
    return bytes((*octets, value))

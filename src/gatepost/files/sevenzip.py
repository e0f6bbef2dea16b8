"""Locked 7z archives: enough of the format to unpack them with a password (7zFormat.txt and 7zAes of the LZMA SDK).

libarchive reads all other 7z archives. Left out: packers that need several streams (BCJ2) and PPMd, which are the
fact ``unreadable``.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import zlib
from dataclasses import dataclass, field

from gatepost.files.entries import locked_member, note_name
from gatepost.files.notes import Notes
from gatepost.files.zipped import lzma_filter
from gatepost.mail.address import printable

MAGIC = b"7z\xbc\xaf\x27\x1c"
MAX_COUNT = 20_000
MAX_HEADER = 8 << 20
MAX_POWER = 21
"""2^19 rounds of SHA-256 make a key as 7-Zip writes it; somebody who asks for more than four times that wants our time."""
_COPY, _DELTA, _X86, _LZMA, _LZMA2 = b"\0", b"\3", b"\3\3\1\3", b"\3\1\1", b"\x21"
_DEFLATE, _BZIP2, _AES = b"\4\1\x08", b"\4\2\2", b"\6\xf1\7\1"
_SCANNERS_OPEN = frozenset({_COPY, _X86, _LZMA, _LZMA2})
"""What virus scanners unpack by themselves; ClamAV passes over the others without a word."""


class _Broken(ValueError):
    """Not as the format says."""


class _Unknown(Exception):
    """In a way of packing that is not read here."""


class _Wrong(ValueError):
    """The password does not open it."""


@dataclass(slots=True)
class _Coder:
    method: bytes
    properties: bytes
    inputs: int = 1
    outputs: int = 1


@dataclass(slots=True)
class _Folder:
    coders: list[_Coder]
    bonds: dict[int, int]
    """The input of one coder to the output of the one that feeds it."""
    sizes: list[int] = field(default_factory=list)
    crc: int | None = None
    packed: int = 1
    pieces: list[int] = field(default_factory=list)
    """Sizes of the files in it."""

    @property
    def locked(self) -> bool:
        return any(coder.method == _AES for coder in self.coders)

    def order(self) -> list[int]:
        """The coders from the packed end to the plain one. Raises _Broken."""
        if any(coder.inputs != 1 or coder.outputs != 1 for coder in self.coders):
            raise _Unknown("a packer of several streams")
        fed_by = self.bonds
        last = next((n for n in range(len(self.coders)) if n not in fed_by.values()), -1)
        order = [last]
        while order[-1] in fed_by and len(order) <= len(self.coders):
            order.append(fed_by[order[-1]])
        if last < 0 or len(order) != len(self.coders):
            raise _Broken("coders in a circle")
        return order[::-1]


@dataclass(slots=True)
class _Streams:
    start: int = 0
    packed: list[int] = field(default_factory=list)
    folders: list[_Folder] = field(default_factory=list)


@dataclass(slots=True)
class _Files:
    names: list[str] = field(default_factory=list)
    empty: list[bool] = field(default_factory=list)


def is_locked(octets: bytes) -> bool:
    """Is a part of the archive, or its list of files, encrypted? False for what cannot be read."""
    return _AES in _methods(octets)


def is_simple(octets: bytes) -> bool:
    """Is everything packed in one of the ways that virus scanners open?"""
    return bool(methods := _methods(octets)) and methods <= _SCANNERS_OPEN


def _methods(octets: bytes) -> set[bytes]:
    """The ways of packing in the archive; of its list of files alone where that is locked. Empty for what cannot be read."""
    try:
        header = _header(octets)
        if header[:1] == b"\x17":
            streams = _Reader(header[1:]).streams()
            if any(folder.locked for folder in streams.folders):
                return {_AES}
            header = _unpack(octets, streams, 0, "", MAX_HEADER)
        streams, _ = _Reader(header).top()
        return {coder.method for folder in streams.folders for coder in folder.coders}
    except (ValueError, _Unknown, lzma.LZMAError, EOFError, OSError, zlib.error):
        return set()


def read_locked(notes: Notes) -> None:
    """Note the members, unpacked with one of the passwords; without one, their names where these are not locked too."""
    passwords = notes.allowance.passwords
    notes.fact("encrypted", "the archive is locked with a password")
    for password in ("", *passwords):
        notes.allowance.check_time()
        try:
            streams, files = _opened(notes.octets, password)
        except _Wrong:
            continue
        except _Unknown as what:
            notes.fact("unreadable", f"nothing here can unpack it: {what}")
            return
        if not password and streams.folders and (streams.folders[-1].locked or not passwords):
            # The list of files is not locked, the files are: which password opens the smallest?
            password = next((one for one in passwords if _fits(notes, streams, one)), "")
            if not password:
                _note_names(notes, streams, files)
                return
        notes.fact(
            "password-found", "a password from the mail opened it", {"password": printable(password, 60)}
        )
        _take_all(notes, streams, files, password)
        return


def _fits(notes: Notes, streams: _Streams, password: str) -> bool:
    notes.allowance.check_time()
    locked = [n for n, folder in enumerate(streams.folders) if folder.locked]
    smallest = min(locked, key=lambda n: sum(streams.folders[n].pieces), default=-1)
    if smallest < 0:
        return False
    try:
        _unpack(notes.octets, streams, smallest, password, notes.room())
    except _Unknown as what:
        notes.fact("unreadable", f"nothing here can unpack it: {what}")
        return False
    except (_Wrong, lzma.LZMAError, zlib.error, OSError, EOFError):
        return False
    return True


def _note_names(notes: Notes, streams: _Streams, files: _Files) -> None:
    sizes = iter([size for folder in streams.folders for size in folder.pieces])
    for name, empty in zip(files.names, files.empty, strict=False):
        note_name(notes, name)
        if not empty:
            locked_member(notes, name, next(sizes, 0))


def _take_all(notes: Notes, streams: _Streams, files: _Files, password: str) -> None:
    names = iter([name for name, empty in zip(files.names, files.empty, strict=False) if not empty])
    for number, folder in enumerate(streams.folders):
        try:
            octets = _unpack(notes.octets, streams, number, password, notes.room())
        except _Unknown as what:
            notes.fact("unreadable", f"nothing here can unpack it: {what}")
            octets = b""
        except (_Wrong, lzma.LZMAError, zlib.error, OSError, EOFError):
            notes.fact("failed", "a part of the archive is damaged")
            octets = b""
        at = 0
        for size in folder.pieces:
            name = next(names, "unnamed")
            note_name(notes, name)
            if at + size > len(octets):
                notes.fact("truncated", f"the member {name!r} is larger than is looked at, or damaged")
            notes.member(name, octets[at : at + size], size=size, hidden=True)
            at += size


def _opened(octets: bytes, password: str) -> tuple[_Streams, _Files]:
    header = _header(octets)
    for _ in range(4):
        if header[:1] != b"\x17":
            return _Reader(header).top()
        streams = _Reader(header[1:]).streams()
        if any(folder.locked for folder in streams.folders) and not password:
            raise _Wrong
        try:
            header = _unpack(octets, streams, 0, password, MAX_HEADER)
        except (lzma.LZMAError, EOFError, zlib.error) as error:
            raise _Wrong from error
    raise _Broken("lists within lists")


def _header(octets: bytes) -> bytes:
    if len(octets) < 32 or octets[:6] != MAGIC:
        raise _Broken("no 7z archive")
    offset, size = int.from_bytes(octets[12:20], "little"), int.from_bytes(octets[20:28], "little")
    if not 0 < size <= MAX_HEADER or 32 + offset + size > len(octets):
        raise _Broken("the list of files is missing")
    return octets[32 + offset : 32 + offset + size]


def _unpack(octets: bytes, streams: _Streams, number: int, password: str, room: int) -> bytes:
    """The plain octets of one folder, at most `room`. Raises _Wrong when the checksum denies the password."""
    if number >= len(streams.folders):
        raise _Broken("no such folder")
    folder = streams.folders[number]
    before = sum(one.packed for one in streams.folders[:number])
    if before >= len(streams.packed):
        raise _Broken("no such stream")
    start = 32 + streams.start + sum(streams.packed[:before])
    data = octets[start : start + streams.packed[before]]
    order = folder.order()
    held_back = False
    for place in order:
        coder = folder.coders[place]
        size = folder.sizes[place] if place < len(folder.sizes) else 0
        if coder.method == _X86 and held_back:
            data = data[:size]
            continue
        following = order.index(place) + 1
        filters = following < len(order) and folder.coders[order[following]].method == _X86
        data = _decode(coder, data, min(size, room), password, x86=filters)
        held_back = filters
    if folder.crc is not None and len(data) == folder.sizes[order[-1]] and zlib.crc32(data) != folder.crc:
        raise _Wrong
    if folder.crc is None and folder.pieces and folder.locked and not data:
        raise _Wrong
    return data


def _decode(coder: _Coder, data: bytes, size: int, password: str, *, x86: bool) -> bytes:
    before: list[dict[str, int]] = [{"id": lzma.FILTER_X86}] if x86 else []
    if coder.method == _AES:
        return _decrypt(coder.properties, data, password)[:size]
    if coder.method == _LZMA:
        engine = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[*before, lzma_filter(coder.properties)])
        return engine.decompress(data, size)
    if coder.method == _LZMA2:
        bits = coder.properties[0] if coder.properties else 40
        room = min((2 | bits & 1) << (bits // 2 + 11), 64 << 20) if bits < 40 else 64 << 20
        two = {"id": lzma.FILTER_LZMA2, "dict_size": room}
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[*before, two]).decompress(data, size)
    if x86:
        raise _Unknown("a filter for programs")
    if coder.method == _COPY:
        return data[:size]
    if coder.method == _DEFLATE:
        return zlib.decompressobj(-15).decompress(data, size)
    if coder.method == _BZIP2:
        return bz2.BZ2Decompressor().decompress(data, size)
    raise _Unknown(f"packer {coder.method.hex()}")


def _decrypt(properties: bytes, data: bytes, password: str) -> bytes:
    """AES-256-CBC; cycles, salt and start vector stand in the coder's properties."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    first, second = (*properties[:2], 0, 0)[:2]
    salt_length = (first >> 7 & 1) + (second >> 4) if first & 0xC0 else 0
    vector_length = (first >> 6 & 1) + (second & 15) if first & 0xC0 else 0
    salt = properties[2 : 2 + salt_length]
    vector = properties[2 + salt_length : 2 + salt_length + vector_length].ljust(16, b"\0")[:16]
    key = _key(password, salt, first & 0x3F)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    return decryptor.update(data[: len(data) // 16 * 16])


def _key(password: str, salt: bytes, power: int) -> bytes:
    """SHA-256 over 2^power times salt, password and a counter of eight octets; written in columns to spare the loop."""
    secret = salt + password.encode("utf-16-le", "surrogatepass")
    if power == 0x3F:
        return secret.ljust(32, b"\0")[:32]
    if power > MAX_POWER:
        raise _Unknown("a key that takes too long to make")
    rounds, width = 1 << power, len(secret) + 8
    block = min(rounds, 1 << 16)
    rows = bytearray((secret + bytes(8)) * block)
    low = bytes(range(256)) * ((block + 255) // 256)
    rows[len(secret) :: width] = low[:block]
    rows[len(secret) + 1 :: width] = bytes(n >> 8 & 255 for n in range(block))
    digest = hashlib.sha256()
    for turn in range(rounds // block):
        rows[len(secret) + 2 :: width] = bytes((turn & 255,)) * block
        digest.update(rows)
    return digest.digest()


class _Reader:
    """Reads the numbers and lists of a header. Raises _Broken, or the ValueError of what it calls."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def top(self) -> tuple[_Streams, _Files]:
        """The header proper."""
        streams, files = _Streams(), _Files()
        if self._octet() != 1:
            raise _Wrong
        while (kind := self._octet()) != 0:
            if kind == 4:
                streams = self.streams()
            elif kind == 5:
                files = self._files()
            else:
                raise _Broken("an unknown list")
        return streams, files

    def streams(self) -> _Streams:
        """Where packed octets are, and how they were packed."""
        streams = _Streams()
        while (kind := self._octet()) != 0:
            if kind == 6:
                self._packed(streams)
            elif kind == 7:
                self._folders(streams)
            elif kind == 8:
                self._pieces(streams)
            else:
                raise _Broken("an unknown list")
        for folder in streams.folders:
            if not folder.pieces and folder.sizes:
                folder.pieces = (
                    [folder.sizes[folder.order()[-1]]] if len(folder.coders) == len(folder.sizes) else []
                )
        return streams

    def _packed(self, streams: _Streams) -> None:
        streams.start, count = self._number(), self._count()
        while (kind := self._octet()) != 0:
            if kind == 9:
                streams.packed = [self._number() for _ in range(count)]
            elif kind == 10:
                self._digests(count)
            else:
                raise _Broken("an unknown list")

    def _folders(self, streams: _Streams) -> None:
        while (kind := self._octet()) != 0:
            if kind == 11:
                count = self._count()
                if self._octet():
                    raise _Broken("lists elsewhere")
                streams.folders = [self._folder() for _ in range(count)]
            elif kind == 12:
                for folder in streams.folders:
                    folder.sizes = [self._number() for coder in folder.coders for _ in range(coder.outputs)]
            elif kind == 10:
                for folder, crc in zip(streams.folders, self._digests(len(streams.folders)), strict=True):
                    folder.crc = crc
            else:
                raise _Broken("an unknown list")

    def _folder(self) -> _Folder:
        coders = []
        for _ in range(self._count(limit=8)):
            flags = self._octet()
            method = self._take(flags & 15)
            inputs, outputs = (self._count(limit=8), self._count(limit=8)) if flags & 16 else (1, 1)
            properties = self._take(self._count()) if flags & 32 else b""
            coders.append(_Coder(method, properties, inputs, outputs))
        bonds = max(sum(coder.outputs for coder in coders) - 1, 0)
        folder = _Folder(coders, {self._number(): self._number() for _ in range(bonds)})
        folder.packed = max(sum(coder.inputs for coder in coders) - bonds, 1)
        if folder.packed > 1:
            for _ in range(folder.packed):
                self._number()
        return folder

    def _pieces(self, streams: _Streams) -> None:
        counts = [1] * len(streams.folders)
        kind = self._octet()
        if kind == 13:
            counts = [self._count() for _ in streams.folders]
            kind = self._octet()
        for folder, count in zip(streams.folders, counts, strict=True):
            whole = folder.sizes[folder.order()[-1]] if folder.sizes else 0
            sizes = [self._number() for _ in range(count - 1)] if kind == 9 else []
            folder.pieces = [*sizes, max(whole - sum(sizes), 0)] if count else []
        if kind == 9:
            kind = self._octet()
        if kind == 10:
            wanting = [n for n, folder in enumerate(streams.folders) if counts[n] != 1 or folder.crc is None]
            total = sum(counts[n] for n in wanting)
            sums = iter(self._digests(total))
            for n in wanting:
                mine = [next(sums, None) for _ in range(counts[n])]
                if counts[n] == 1:
                    streams.folders[n].crc = mine[0]
            kind = self._octet()
        if kind:
            raise _Broken("an unknown list")

    def _files(self) -> _Files:
        count = self._count()
        files = _Files(empty=[False] * count)
        while (kind := self._octet()) != 0:
            size = self._number()
            data = self._take(size)
            if kind == 0x11:
                files.names = data[1:].decode("utf-16-le", "replace").split("\0")[:count]
            elif kind == 0x0E:
                files.empty = [
                    bool(data[n // 8] & 128 >> n % 8) if n // 8 < len(data) else False for n in range(count)
                ]
        return files

    def _digests(self, count: int) -> list[int | None]:
        known = [True] * count
        if not self._octet():
            bits = self._take((count + 7) // 8)
            known = [bool(bits[n // 8] & 128 >> n % 8) for n in range(count)]
        return [int.from_bytes(self._take(4), "little") if one else None for one in known]

    def _count(self, limit: int = MAX_COUNT) -> int:
        number = self._number()
        if number > limit:
            raise _Broken("too many")
        return number

    def _number(self) -> int:
        """As many further octets as the first has leading ones, the rest of the first on top."""
        first = self._octet()
        mask, value = 0x80, 0
        for place in range(8):
            if not first & mask:
                return value | (first & (mask - 1)) << (8 * place)
            value |= self._octet() << (8 * place)
            mask >>= 1
        return value

    def _octet(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        taken = self._octets[self._at : self._at + count]
        if len(taken) != count:
            raise _Broken("the list ends early")
        self._at += count
        return taken

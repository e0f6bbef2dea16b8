"""Zip archives (PKWARE APPNOTE 6.3.10), read twice: by the central directory and by the local headers.

Programs differ in which they go by. Where the two disagree, what either would unpack is reported, and the
disagreement is the fact ``ambiguous-archive``. Locked members are left to `libarchive`, as are rare methods.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from gatepost.files.entries import locked_member, note_name
from gatepost.files.inflate64 import inflate64
from gatepost.files.notes import Notes

MAX_ENTRIES = 20_000
MOST_DEFLATE64 = 4 << 20
"""Octets that are unpacked of a member in deflate64: that is done here, and takes seconds."""
SCANNERS_OPEN = frozenset({0, 8, 12})
"""Stored, deflated, bzip2: virus scanners unpack these by themselves; what was packed otherwise is handed to them."""
_UNICODE_PATH = 0x7075
_ZIP64 = 1
_AES = 0x9901
_FAR = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member as a header describes it."""

    name: str
    raw_name: bytes
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    at: int
    """Offset of the local header."""
    listed_at: int = 0
    """Offset of the directory's header, 0 for a member known by its local header only."""
    is_link: bool = False

    @property
    def encrypted(self) -> bool:
        """Needs a password (APPNOTE §4.4.4)."""
        return bool(self.flags & 1)


def read_zip(notes: Notes) -> None:
    """Notes the members of the archive and what is wrong with it."""
    entries = list(_central_entries(notes))
    if not entries:
        entries = list(_local_entries(notes.octets, 0, len(notes.octets)))
        if entries:
            notes.fact(
                "ambiguous-archive", "the archive has no directory; some programs unpack it all the same"
            )
    elif len(entries) < MAX_ENTRIES:
        entries += _beside_the_directory(notes, entries)
    _note_bomb(notes, entries)
    if any(entry.encrypted for entry in entries):
        _read_locked(notes, entries)
        return
    strange = False
    for entry in entries:
        note_name(notes, entry.name)
        if entry.is_link:
            notes.fact("link-member", f"the member {entry.name!r} is a link")
        if not entry.name.endswith("/") or entry.size:
            strange |= not _take(notes, entry)
    if strange:
        _read_rare(notes)


def entries_of(notes: Notes) -> list[Entry]:
    """The members by any reading; facts about what is wrong with the archive."""
    entries = list(_central_entries(notes))
    if not entries:
        entries = list(_local_entries(notes.octets, 0, len(notes.octets)))
        if entries:
            notes.fact(
                "ambiguous-archive", "the archive has no directory; some programs unpack it all the same"
            )
    elif len(entries) < MAX_ENTRIES:
        entries += _beside_the_directory(notes, entries)
    _note_bomb(notes, entries)
    return entries


def content_of(notes: Notes, entry: Entry, limit: int) -> bytes:
    """What a member unpacks to, at most `limit` octets; empty when it is damaged, locked or packed in a rare way."""
    start = _data_at(notes.octets, entry.at)
    try:
        return unpack(entry.method, memoryview(notes.octets)[start : start + entry.packed], limit)[0]
    except (UnknownMethod, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        return b""


def _central_entries(notes: Notes) -> Iterator[Entry]:
    """The members by the central directory; facts about what surrounds it. Nothing when there is no directory."""
    octets = notes.octets
    end = octets.rfind(b"PK\5\6", max(0, len(octets) - 65_600 - 4096))
    if end < 0 or len(octets) < end + 22:
        return
    size = _number(octets, end + 12, 4)
    offset = _number(octets, end + 16, 4)
    if (size == _FAR or offset == _FAR) and octets[end - 20 : end - 16] == b"PK\6\7":
        far = octets.rfind(b"PK\6\6", max(0, end - 4096), end)
        if far >= 0:
            size, offset, end = _number(octets, far + 40, 8), _number(octets, far + 48, 8), far
    start = end - size
    if start < 0 or octets[start : start + 4] != b"PK\1\2":
        start = offset
    before = start - offset
    if octets[start : start + 4] != b"PK\1\2":
        return
    if before > 0 and notes.kind in {"zip", "jar", "docx", "xlsx", "pptx"}:
        notes.fact("ambiguous-archive", f"{before} octets stand before the archive")
    _note_after(notes, start)
    at = start
    for _ in range(MAX_ENTRIES):
        if octets[at : at + 4] != b"PK\1\2" or at + 46 > len(octets):
            return
        names, extras, comments = (_number(octets, at + n, 2) for n in (28, 30, 32))
        entry = _central(octets, at, names, extras, before)
        at += 46 + names + extras + comments
        yield entry
    notes.fact("truncated", f"the archive lists more than {MAX_ENTRIES} members")


def _note_after(notes: Notes, start: int) -> None:
    octets = notes.octets
    if octets.count(b"PK\5\6", start) > 1:
        notes.fact("ambiguous-archive", "the archive has two ends; programs differ in which they go by")
    tail = octets.rfind(b"PK\5\6")
    after = tail + 22 + _number(octets, tail + 20, 2)
    rest = octets[after:].strip(b"\0\r\n")
    if len(rest) > 16:
        notes.fact("ambiguous-archive", f"{len(rest)} octets stand behind the archive")


def _central(octets: bytes, at: int, names: int, extras: int, before: int) -> Entry:
    raw = octets[at + 46 : at + 46 + names]
    extra = octets[at + 46 + names : at + 46 + names + extras]
    packed, size, local = (_number(octets, at + n, 4) for n in (20, 24, 42))
    if _FAR in {packed, size, local}:
        size, packed, local = _zip64(extra, size, packed, local)
    flags = _number(octets, at + 8, 2)
    made_on, mode = octets[at + 5], _number(octets, at + 40, 2)
    return Entry(
        name=_name(raw, flags, extra),
        raw_name=raw,
        method=_number(octets, at + 10, 2),
        flags=flags,
        crc=_number(octets, at + 16, 4),
        packed=packed,
        size=size,
        at=before + local,
        listed_at=at,
        is_link=made_on == 3 and mode & 0o170000 == 0o120000,
    )


def _beside_the_directory(notes: Notes, entries: list[Entry]) -> list[Entry]:
    """What the local headers say otherwise: members that only readers of those would unpack."""
    octets = notes.octets
    seen: dict[str, Entry] = {}
    spans: list[tuple[int, int]] = []
    others: list[Entry] = []
    for entry in entries:
        key = entry.name.replace("\\", "/").casefold()
        if key in seen and not key.endswith("/"):
            notes.fact("ambiguous-archive", f"two members are named {entry.name!r}")
        seen[key] = entry
        local = _local(octets, entry.at)
        if local is None:
            notes.fact("ambiguous-archive", f"the member {entry.name!r} is not where the directory says")
            continue
        spans.append((entry.at, _data_at(octets, entry.at) + entry.packed))
        if why := _difference(entry, local):
            notes.fact("ambiguous-archive", f"the two descriptions of {entry.name!r} differ in the {why}")
            if why in {"name", "method"}:
                others.append(local)
    spans.sort()
    reach = 0
    for start, end in spans:
        if start < reach:
            notes.fact("ambiguous-archive", "members of the archive share the same octets")
        else:
            others += _gap(notes, reach, start)
        reach = max(reach, end)
    return others + _gap(notes, reach, entries[0].listed_at)


def _gap(notes: Notes, start: int, end: int) -> list[Entry]:
    found = list(_local_entries(notes.octets, start, end)) if start < end else []
    if found:
        notes.fact("ambiguous-archive", f"{len(found)} members are not in the archive's directory")
    return found


def _difference(entry: Entry, local: Entry) -> str:
    if entry.raw_name != local.raw_name and entry.name.replace("\\", "/") != local.name.replace("\\", "/"):
        return "name"
    if entry.method != local.method:
        return "method"
    if entry.encrypted != local.encrypted:
        return "lock"
    if not local.flags & 8 and local.packed not in {entry.packed, 0, _FAR}:
        return "size"
    if not local.flags & 8 and local.crc not in {entry.crc, 0}:
        return "checksum"
    return ""


def _local_entries(octets: bytes, start: int, end: int) -> Iterator[Entry]:
    """The members by their local headers, as a reader of a stream finds them."""
    at = octets.find(b"PK\3\4", start, end)
    for _ in range(1000):
        local = _local(octets, at) if at >= 0 else None
        if local is None:
            return
        data = _data_at(octets, at)
        if local.packed == 0 and local.flags & 8:
            reach = octets.find(b"PK", data)
            while reach >= 0 and octets[reach + 2 : reach + 4] not in {b"\7\x08", b"\3\4", b"\1\2"}:
                reach = octets.find(b"PK", reach + 2)
            packed = (len(octets) if reach < 0 else reach) - data
            local = Entry(
                name=local.name, raw_name=local.raw_name, method=local.method, flags=local.flags, crc=0,
                packed=packed, size=0, at=at,
            )  # fmt: skip
        yield local
        at = octets.find(b"PK\3\4", data + min(local.packed, len(octets)), end)


def _local(octets: bytes, at: int) -> Entry | None:
    if at < 0 or octets[at : at + 4] != b"PK\3\4" or len(octets) < at + 30 or octets[at + 4] > 100:
        return None
    names, extras = _number(octets, at + 26, 2), _number(octets, at + 28, 2)
    raw = octets[at + 30 : at + 30 + names]
    extra = octets[at + 30 + names : at + 30 + names + extras]
    flags = _number(octets, at + 6, 2)
    packed, size = _number(octets, at + 18, 4), _number(octets, at + 22, 4)
    if _FAR in {packed, size}:
        size, packed, _ = _zip64(extra, size, packed, 0)
    return Entry(
        name=_name(raw, flags, extra),
        raw_name=raw,
        method=_number(octets, at + 8, 2),
        flags=flags,
        crc=_number(octets, at + 14, 4),
        packed=packed,
        size=size,
        at=at,
    )


def _data_at(octets: bytes, at: int) -> int:
    return at + 30 + _number(octets, at + 26, 2) + _number(octets, at + 28, 2)


def _note_bomb(notes: Notes, entries: list[Entry]) -> None:
    claimed = sum(entry.size for entry in entries)
    limits = notes.limits
    if claimed > limits.bomb_octets and claimed > limits.max_ratio * len(notes.octets):
        notes.fact("bomb", f"{len(notes.octets)} octets claim to unpack to {claimed}", {"octets": claimed})


def _take(notes: Notes, entry: Entry) -> bool:
    """Unpack one member; False when its method is not known here."""
    room = notes.room()
    data = _data_at(notes.octets, entry.at)
    packed = memoryview(notes.octets)[data : data + entry.packed]
    try:
        octets, used, more = unpack(entry.method, packed, room)
    except UnknownMethod:
        return False
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        notes.fact("failed", f"the member {entry.name!r} is damaged ({error})")
        octets, used, more = b"", 0, False
    if more:
        notes.fact("truncated", f"the member {entry.name!r} is larger than is looked at")
        if len(octets) > max(notes.limits.bomb_octets, notes.limits.max_ratio * used):
            notes.fact("bomb", f"the member {entry.name!r} unpacks to more than {len(octets)} octets")
    elif octets and entry.size and len(octets) != entry.size:
        notes.fact("ambiguous-archive", f"the member {entry.name!r} has another size than the archive says")
    if not more and _wrong_checksum(entry, octets):
        notes.fact(
            "ambiguous-archive",
            f"the checksum of {entry.name!r} is wrong; some programs unpack it all the same",
        )
    hidden = notes.has("ambiguous-archive") or not _scanners_open(notes.octets, entry)
    notes.member(entry.name, octets, size=max(entry.size, len(octets)), hidden=hidden)
    return True


def _scanners_open(octets: bytes, entry: Entry) -> bool:
    """Is it packed in a way that virus scanners undo by themselves? Some lose their way where a local header is zip64's."""
    far = _FAR in (_number(octets, entry.at + 18, 4), _number(octets, entry.at + 22, 4))
    return entry.method in SCANNERS_OPEN and not far


def _wrong_checksum(entry: Entry, octets: bytes) -> bool:
    """A local header with a data descriptor behind its member does not know the checksum (APPNOTE §4.4.4, bit 3)."""
    unknown = not entry.listed_at and bool(entry.flags & 8) and not entry.crc
    return not unknown and zlib.crc32(octets) != entry.crc


def unpack(method: int, packed: memoryview, room: int) -> tuple[bytes, int, bool]:
    """At most `room` octets, how many packed ones that took, and whether there are more.

    Raises UnknownMethod for methods not known here, and what the standard library raises for damaged octets.
    """
    if method == 0:
        return bytes(packed[:room]), min(len(packed), room), len(packed) > room
    if method == 8:
        deflated = zlib.decompressobj(-15)
        octets = deflated.decompress(packed, room)
        return octets, len(packed) - len(deflated.unconsumed_tail), not deflated.eof and len(octets) >= room
    if method == 9:
        return inflate64(packed, min(room, MOST_DEFLATE64))
    engine: _Engine
    if method == 12:
        engine = bz2.BZ2Decompressor()
    elif method == 14:
        # APPNOTE §5.8.8: a version, the length of the properties, the properties
        length = int.from_bytes(packed[2:4], "little")
        engine = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[lzma_filter(bytes(packed[4 : 4 + length]))])
        packed = packed[4 + length :]
    elif method == 95:
        engine = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=128 << 20)
    else:
        raise UnknownMethod(method)
    octets = engine.decompress(packed, room)
    return octets, len(packed), not engine.eof and len(octets) >= room


class UnknownMethod(Exception):
    """A member is packed in a way that is not read here."""


class _Engine(Protocol):
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: memoryview, max_length: int, /) -> bytes: ...


def lzma_filter(properties: bytes) -> dict[str, int]:
    """The five octets of LZMA properties as the standard library wants them; ValueError when they are none."""
    if len(properties) < 5 or properties[0] >= 225:
        raise ValueError("no LZMA properties")
    first = properties[0]
    size = int.from_bytes(properties[1:5], "little")
    return {
        "id": lzma.FILTER_LZMA1,
        "lc": first % 9,
        "lp": first // 9 % 5,
        "pb": first // 45,
        "dict_size": min(max(size, 4096), 64 << 20),
    }


def _read_locked(notes: Notes, entries: list[Entry]) -> None:
    """Try the passwords; without one, members are known by name and size only."""
    from gatepost.files.archive import unlock

    names = [entry.name for entry in entries[:20]]
    notes.fact("encrypted", "the archive is locked with a password", {"members": names})
    if unlock(notes, "zip"):
        return
    for entry in entries:
        note_name(notes, entry.name)
        if entry.name.endswith("/") and not entry.size:
            continue
        if not entry.encrypted and _take(notes, entry):
            continue
        locked_member(notes, entry.name, entry.size)


def _read_rare(notes: Notes) -> None:
    """Methods that only libarchive knows: the whole archive goes through it."""
    from gatepost.files.archive import read_with_libarchive

    read_with_libarchive(notes, "zip", only_missing=True)


_NUL = re.compile("\0.*", re.DOTALL)


def _name(raw: bytes, flags: int, extra: bytes) -> str:
    """UTF-8 where it is (APPNOTE §4.4.4, bit 11, or §4.6.9), else the old code page."""
    at = 0
    for _ in range(50):
        if at + 4 > len(extra):
            break
        length = _number(extra, at + 2, 2)
        if _number(extra, at, 2) == _UNICODE_PATH and _number(extra, at + 5, 4) == zlib.crc32(raw):
            raw, flags = extra[at + 9 : at + 4 + length], 0x800
            break
        at += 4 + length
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        name = raw.decode("utf-8", "replace") if flags & 0x800 else raw.decode("cp437")
    return _NUL.sub("", name)[:1000]


def _zip64(extra: bytes, size: int, packed: int, local: int) -> tuple[int, int, int]:
    at = 0
    for _ in range(50):
        if at + 4 > len(extra):
            break
        length = _number(extra, at + 2, 2)
        if _number(extra, at, 2) == _ZIP64:
            fields = extra[at + 4 : at + 4 + length]
            values = [_number(fields, n, 8) for n in range(0, len(fields) - 7, 8)]
            size, packed, local = (
                values.pop(0) if one == _FAR and values else one for one in (size, packed, local)
            )
            break
        at += 4 + length
    return size, packed, local


def _number(octets: bytes, at: int, length: int) -> int:
    return int.from_bytes(octets[max(at, 0) : max(at, 0) + length], "little")

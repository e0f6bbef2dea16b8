"""Archives other than zip, and whatever is locked: the standard library where it can, libarchive for the rest.

libarchive is asked for one named format at a time, so that a file meets only the parser of what it is, and for
no filter that would start a program. Where the library is missing, or cannot open what it is given, that is the
fact ``unreadable``. Locked 7z archives, which it does not open, have a reader of their own in `sevenzip`.
"""

from __future__ import annotations

import bz2
import ctypes
import io
import logging
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from gatepost.files.entries import locked_member, note_name
from gatepost.files.notes import Notes, Spent
from gatepost.mail.address import printable

_CHUNK = 256 * 1024
_FORMATS = {
    "7z": ("7zip",),
    "rar": ("rar", "rar5"),
    "cab": ("cab",),
    "iso": ("iso9660",),
    "udf": ("iso9660",),
    "lzh": ("lha",),
    "cpio": ("cpio",),
    "ar": ("ar",),
    "deb": ("ar",),
    "xar": ("xar",),
    "rpm": ("cpio",),
    "zip": ("zip",),
}
_FILTERS = {"zstd": ("zstd",), "lz4": ("lz4",), "compress": ("compress",), "lzip": ("lzip",), "rpm": ("rpm", "gzip", "xz", "zstd", "bzip2", "lzma")}  # fmt: skip
_LINK_TYPES = frozenset({0o120000})
_DIRECTORY = 0o040000


def read_tar(notes: Notes) -> None:
    """A tar archive, and what stands behind its end."""
    stream = io.BytesIO(notes.octets)
    with tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape") as archive:
        seen: set[str] = set()
        for count, member in enumerate(archive):
            if count >= notes.limits.max_members * 10:
                raise Spent("the members are too many")
            notes.allowance.check_time()
            name = member.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            note_name(notes, name)
            if name in seen and not member.isdir():
                notes.fact("ambiguous-archive", f"two members are named {name!r}")
            seen.add(name)
            if member.issym() or member.islnk():
                notes.fact("link-member", f"the member {name!r} is a link to {member.linkname!r}")
            if member.isreg():
                _take_tar(notes, archive, member, name)
        archive.members.clear()  # type: ignore[attr-defined]
        rest = notes.octets[archive.offset :].lstrip(b"\0")
    if b"ustar" in rest:
        notes.fact(
            "ambiguous-archive", "more members stand behind the archive's end; some programs unpack them"
        )
        notes.member("behind-the-end.tar", rest, hidden=True)


def _take_tar(notes: Notes, archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
    room = notes.room()
    source = archive.extractfile(member)
    octets = source.read(min(room, member.size)) if source is not None and member.size else b""
    if member.size > len(octets):
        notes.fact("truncated", f"the member {name!r} is larger than is looked at, or cut")
    notes.member(name, octets, size=member.size, hidden=notes.has("ambiguous-archive"))


def read_single(notes: Notes) -> None:
    """One packed stream: gzip (RFC 1952), bzip2, xz, lzma; several in a row are one file."""
    makers: dict[str, Callable[[], Any]] = {
        "gz": lambda: zlib.decompressobj(31),
        "bz2": bz2.BZ2Decompressor,
        "xz": lambda: lzma.LZMADecompressor(memlimit=128 << 20),
        "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=128 << 20),
    }
    name = inner_name(notes)
    pieces, reach, used, problem = _streams(makers[notes.kind], notes)
    octets = b"".join(pieces)
    if problem:
        notes.fact("failed", f"the packed file is damaged ({problem})")
    _note_ratio(notes, len(octets), packed=used, cut=len(octets) >= notes.room())
    # Scanners do not open lzma, and of bzip2 in several pieces only the first.
    notes.member(name, octets, hidden=notes.kind in {"lzma", "bz2"})
    rest = notes.octets[reach:].strip(b"\0")
    if len(rest) > 16 and not problem:
        notes.fact("ambiguous-archive", f"{len(rest)} octets stand behind the packed file")
        notes.member(f"{name}.rest", rest, hidden=True)


def _streams(make: Callable[[], Any], notes: Notes) -> tuple[list[bytes], int, int, str]:
    """What the streams unpack to, where they end, how much of them was read, and what was wrong with the last."""
    octets, whole = notes.octets, len(notes.octets)
    pieces: list[bytes] = []
    room, at = notes.room(), 0
    for _ in range(1000):
        engine = make()
        data: bytes | memoryview = memoryview(octets)[at:]
        try:
            while not engine.eof and room > 0:
                notes.allowance.check_time()
                piece = engine.decompress(data, min(room, 1 << 22))
                data = getattr(engine, "unconsumed_tail", b"")
                if not piece and not data:
                    break
                pieces.append(piece)
                room -= len(piece)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            return pieces, whole, whole, str(error)
        if not engine.eof or room <= 0:
            return pieces, whole, max(whole - len(data), 1), "" if room <= 0 else "it ends early"
        at = whole - len(engine.unused_data)
        if not octets.startswith(octets[:2], at):
            break
    return pieces, at, at, ""


def inner_name(notes: Notes) -> str:
    """What a packed file is called once unpacked: as gzip says, else the name without its last ending."""
    if notes.kind == "gz" and len(notes.octets) > 10 and notes.octets[3] & 8:
        at = 10
        if notes.octets[3] & 4:
            at += 2 + int.from_bytes(notes.octets[10:12], "little")
        name = notes.octets[at : at + 512].split(b"\0", 1)[0]
        if name:
            return name.decode("utf-8", "replace")
    base, _, last = notes.name.rpartition(".")
    if last.lower() in {"tgz", "tbz", "tbz2", "txz", "tlz", "tzst", "taz"}:
        return f"{base}.tar"
    if last.lower() == "svgz":
        return f"{base}.svg"
    return base or f"{notes.name}.unpacked"


def _note_ratio(notes: Notes, unpacked: int, *, packed: int, cut: bool) -> None:
    if cut:
        notes.fact("truncated", "it unpacks to more than is looked at")
    if unpacked > notes.limits.bomb_octets and unpacked > notes.limits.max_ratio * packed:
        notes.fact("bomb", f"{packed} octets unpack to {'more than ' if cut else ''}{unpacked}")


def read_other(notes: Notes) -> None:
    """Everything libarchive opens; a locked 7z by its own reader."""
    scanners_open = notes.kind == "cab"
    if notes.kind == "7z":
        from gatepost.files.sevenzip import is_locked, is_simple, read_locked

        if is_locked(notes.octets):
            read_locked(notes)
            return
        scanners_open = is_simple(notes.octets)
    if notes.kind == "rar" and _unlock_rar(notes):
        return
    read_with_libarchive(notes, notes.kind, scanners_open=scanners_open)


def _unlock_rar(notes: Notes) -> bool:
    """Try the passwords on a locked RAR 5; without one its members are known by name. False for what is not locked."""
    from gatepost.files.rar import Broken, WrongPassword, locked_members, unlocked

    locked = locked_members(notes.octets)
    if locked is None:
        return False
    notes.fact("encrypted", "the archive is locked with a password")
    for password in notes.allowance.passwords:
        notes.allowance.check_time()
        try:
            plain = unlocked(notes.octets, password)
        except WrongPassword:
            continue
        except Broken as why:
            notes.fact("failed", f"the archive is damaged: {why}")
            break
        notes.fact(
            "password-found", "a password from the mail opened it", {"password": printable(password, 60)}
        )
        read_with_libarchive(notes, "rar", octets=plain)
        return True
    for name, size in locked:
        note_name(notes, name)
        locked_member(notes, name, size)
    return True


def read_unreadable(notes: Notes) -> None:
    """Kinds that nothing here can open."""
    notes.fact("unreadable", "nothing here can open this kind of file")


def read_udf(notes: Notes) -> None:
    """A DVD image: libarchive reads what is bridged to ISO 9660, 7-Zip the rest."""
    if notes.octets[0x8001:0x8006] == b"CD001":
        read_with_libarchive(notes, "iso")
    else:
        from gatepost.files.program import read_with_program

        read_with_program(notes)


def unlock(notes: Notes, kind: str) -> bool:
    """Try the passwords through libarchive; True when one of them opened it, with the members noted."""
    try:
        library()
    except Missing as why:
        notes.fact("unreadable", str(why))
        return False
    for password in notes.allowance.passwords:
        if _opens(notes, kind, password):
            notes.fact(
                "password-found", "a password from the mail opened it", {"password": printable(password, 60)}
            )
            read_with_libarchive(notes, kind, password=password)
            return True
    return False


def _opens(notes: Notes, kind: str, password: str) -> bool:
    """Does the first locked member come out whole, its checksum right?

    A wrong key makes noise, which some methods unpack to less than the member's octets without an error.
    """
    notes.allowance.check_time()
    try:
        with _opened(notes.octets, kind, password) as archive:
            for entry in archive.entries(notes):
                if entry.locked and entry.size != 0:
                    room = 8 << 20
                    got = len(archive.data(notes, room))
                    return got > 0 and got >= min(entry.size, room)
    except _Broken:
        return False
    return False


def read_with_libarchive(
    notes: Notes,
    kind: str,
    *,
    password: str = "",
    only_missing: bool = False,
    octets: bytes | None = None,
    scanners_open: bool = False,
) -> None:
    """Note the members as libarchive unpacks them. `only_missing`: those not noted already; `octets` in place of the file's;
    `scanners_open`: a virus scanner that is given the archive finds all of them by itself."""
    single = kind not in _FORMATS
    known = {member.name for member in notes.members} if only_missing else set()
    total = 0
    try:
        with _opened(notes.octets if octets is None else octets, kind, password) as archive:
            for entry in archive.entries(notes):
                if single:
                    entry = replace(entry, name=inner_name(notes))
                if not only_missing:
                    note_name(notes, entry.name)
                if entry.is_link:
                    notes.fact("link-member", f"the member {entry.name!r} is a link")
                if entry.is_directory or entry.is_link or entry.name in known:
                    continue
                total += _take_entry(notes, archive, entry, unlocked=bool(password), hidden=not scanners_open)
    except Missing as why:
        notes.fact("unreadable", str(why))
    except _Broken as why:
        _note_broken(notes, str(why))
    _note_ratio(notes, total, packed=len(notes.octets), cut=False)


def _take_entry(notes: Notes, archive: _Archive, entry: _Entry, *, unlocked: bool, hidden: bool) -> int:
    if entry.locked and not unlocked:
        notes.fact(
            "encrypted", "the archive is locked with a password", {"members": [printable(entry.name, 100)]}
        )
        locked_member(notes, entry.name, max(entry.size, 0))
        return 0
    room = notes.room()
    try:
        octets = archive.data(notes, room)
    except _Broken as why:
        _note_broken(notes, f"{entry.name}: {why}")
        if archive.dead:
            notes.member(entry.name, b"", size=max(entry.size, 0))
            raise
        octets = b""
    if len(octets) >= room:
        notes.fact("truncated", f"the member {entry.name!r} is larger than is looked at")
    notes.member(entry.name, octets, size=max(entry.size, len(octets)), hidden=hidden)
    return len(octets)


def _note_broken(notes: Notes, why: str) -> None:
    low = why.lower()
    if "encrypt" in low or "passphrase" in low or "password" in low or "crypto" in low:
        notes.fact("encrypted", "the archive is locked with a password")
    elif "support" in low or "unrecognized" in low:
        notes.fact("unreadable", f"nothing here can unpack it: {printable(why, 150)}")
    else:
        notes.fact("failed", f"the archive is damaged: {printable(why, 150)}")


class Missing(Exception):
    """No libarchive on this machine."""


class _Broken(Exception):
    """libarchive gave up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    name: str
    size: int
    locked: bool
    is_directory: bool
    is_link: bool


def library() -> ModuleType:
    """The bindings of libarchive. Raises Missing; loading asks the dynamic linker, so a child does it early."""
    try:
        from libarchive import ffi
    except (ImportError, OSError, TypeError, AttributeError) as error:
        raise Missing("libarchive is not installed, so this kind of archive was not opened") from error
    logging.getLogger("libarchive").disabled = True
    ffi.libarchive.archive_entry_is_encrypted.argtypes = [ctypes.c_void_p]
    ffi.libarchive.archive_entry_is_encrypted.restype = ctypes.c_int
    return ffi  # type: ignore[no-any-return]


@contextmanager
def _opened(octets: bytes, kind: str, password: str) -> Iterator[_Archive]:
    ffi = library()
    pointer = ffi.read_new()
    try:
        archive = _Archive(ffi, pointer)
        archive.open(octets, kind, password)
        yield archive
    finally:
        ffi.libarchive.archive_read_free(pointer)


class _Archive:
    """One archive open in libarchive."""

    def __init__(self, ffi: Any, pointer: Any) -> None:
        self._ffi = ffi
        self._pointer = pointer
        self._octets = b""
        self._buffer = ctypes.create_string_buffer(_CHUNK)
        self.dead = False

    def open(self, octets: bytes, kind: str, password: str) -> None:
        """Only the parsers of this kind. Raises _Broken."""
        ffi, self._octets = self._ffi, octets
        try:
            for name in _FORMATS.get(kind, ("raw",)):
                ffi.get_read_format_function(name)(self._pointer)
            for name in _FILTERS.get(kind, ()):
                ffi.get_read_filter_function(name)(self._pointer)
            if password:
                ffi.read_add_passphrase(self._pointer, password.encode("utf-8", "replace"))
            ffi.read_open_memory(
                self._pointer, ctypes.cast(ctypes.c_char_p(octets), ctypes.c_void_p), len(octets)
            )
        except (ffi.ArchiveError, ValueError, AttributeError) as error:
            raise _Broken(_why(error)) from error

    def entries(self, notes: Notes) -> Iterator[_Entry]:
        """Each entry; its data can be had until the next is asked for. Raises _Broken and Spent."""
        ffi = self._ffi
        pointer = ctypes.c_void_p()
        for _ in range(notes.limits.max_members * 10):
            notes.allowance.check_time()
            try:
                if ffi.read_next_header(self._pointer, ctypes.byref(pointer)) == ffi.ARCHIVE_EOF:
                    return
            except ffi.ArchiveError as error:
                raise _Broken(_why(error)) from error
            raw = ffi.entry_pathname(pointer)
            kind = ffi.entry_filetype(pointer)
            yield _Entry(
                name=raw.decode("utf-8", "replace") if raw is not None else _wide_name(ffi, pointer),
                size=ffi.entry_size(pointer) if ffi.entry_size_is_set(pointer) else -1,
                locked=bool(ffi.libarchive.archive_entry_is_encrypted(pointer)),
                is_directory=kind == _DIRECTORY,
                is_link=kind in _LINK_TYPES or ffi.entry_hardlink(pointer) is not None,
            )
        raise Spent("the members are too many")

    def data(self, notes: Notes, room: int) -> bytes:
        """At most `room` octets of the entry. Raises _Broken; then `dead` says whether there is no going on."""
        ffi = self._ffi
        buffer = self._buffer
        pieces: list[bytes] = []
        while room > 0:
            notes.allowance.check_time()
            try:
                got = ffi.read_data(self._pointer, buffer, min(_CHUNK, room))
            except ffi.ArchiveError as error:
                self.dead = error.retcode == ffi.ARCHIVE_FATAL
                raise _Broken(_why(error)) from error
            if got <= 0:
                break
            pieces.append(ctypes.string_at(buffer, got))
            room -= got
        return b"".join(pieces)


def _why(error: Exception) -> str:
    return str(getattr(error, "msg", None) or error.__class__.__name__)


def _wide_name(ffi: Any, pointer: Any) -> str:
    try:
        return str(ffi.entry_pathname_w(pointer) or "unnamed")
    except (ValueError, UnicodeError):
        return "unnamed"

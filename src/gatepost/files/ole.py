"""OLE compound files (MS-CFB): Word, Excel and PowerPoint of before 2007, objects in other documents, locked packages.

The container is read by olefile. Of the formats inside only as much is read as shows macros, embedded files,
calls to other programs, text and links (MS-DOC, MS-XLS, MS-PPT, MS-OLEDS).
"""

from __future__ import annotations

import io
import re
import zlib
from collections import defaultdict
from typing import Any

from gatepost.files.kind import kind_of
from gatepost.files.notes import Notes
from gatepost.files.vba import judge_macros, modules_of
from gatepost.mail.address import printable

MAX_STREAM = 32 << 20
MAX_STREAMS = 2000
MAX_SPIN = 1_000_000
DEFAULT_PASSWORD = "VelvetSweatshop"  # noqa: S105 - what Excel tries by itself, so that such a file opens unasked

_WIDE_URL = re.compile(rb"(?:h\0t\0t\0p\0(?:s\0)?:\0/\0/\0|\\\0\\\0)(?:[\x21-\x7e]\0){4,1000}")
_URL = re.compile(rb"https?://[\x21-\x7e]{4,2000}")
_EQUATION = bytes.fromhex("02ce020000000000c000000000000046")
_URL_MONIKER = bytes.fromhex("e0c9ea79f9bace118c8200aa004ba90b")


def read_ole(notes: Notes) -> None:
    """A compound file of any kind."""
    import olefile

    try:
        file = olefile.OleFileIO(notes.octets)
    except (OSError, ValueError, IndexError, OverflowError) as error:
        notes.fact("failed", f"the compound file is damaged ({printable(str(error), 100)})")
        return
    with file:
        streams = _streams(file)
        if "encryptedpackage" in streams or _is_locked(file, streams):
            _unlock(notes)
            return
        _macros(notes, file, streams)
        _objects(notes, file, streams)
        if notes.kind == "word":
            _word(notes, file, streams)
        elif notes.kind == "excel":
            _excel(notes, file, streams)
        elif notes.kind == "powerpoint":
            _powerpoint(notes, file, streams)


def read_macros_in(notes: Notes, octets: bytes) -> None:
    """The macros of a compound file that is part of another file; nothing when it is none."""
    import olefile

    if octets[:8] != olefile.MAGIC:
        return
    try:
        with olefile.OleFileIO(octets) as file:
            _macros(notes, file, _streams(file))
    except (OSError, ValueError, IndexError, OverflowError):
        notes.fact("macro", "it holds a macro project, which is damaged")
        notes.fact("failed", "the macro project could not be read")


def _streams(file: Any) -> dict[str, list[str]]:
    """Path in lower case to path as written."""
    return {"/".join(path).lower(): path for path in file.listdir()[:MAX_STREAMS]}


def _read(file: Any, path: list[str], limit: int = MAX_STREAM) -> bytes:
    try:
        octets: bytes = file.openstream(path).read(limit)
    except (OSError, ValueError, IndexError, OverflowError):
        return b""
    return octets


def _is_locked(file: Any, streams: dict[str, list[str]]) -> bool:
    if "worddocument" in streams:
        return bool(_number(_read(file, streams["worddocument"], 64), 10, 2) & 0x0100)
    book = streams.get("workbook") or streams.get("book")
    if book:
        # FILEPASS is among the first records (MS-XLS §2.4.117)
        return any(kind == 0x2F for kind, _ in _records(_read(file, book, 4096), 20))
    return "encryptedsummary" in streams


def _unlock(notes: Notes) -> None:
    import msoffcrypto

    notes.fact("encrypted", "the document is locked with a password")
    spin = re.search(rb"spinCount=\"(\d{1,12})\"", notes.octets)
    if spin and int(spin[1]) > MAX_SPIN:
        notes.fact("unreadable", "trying a password on it would take too long")
        return
    for password in (DEFAULT_PASSWORD, *notes.allowance.passwords):
        notes.allowance.check_time()
        plain = io.BytesIO()
        try:
            locked = msoffcrypto.OfficeFile(io.BytesIO(notes.octets))
            locked.load_key(password=password)
            locked.decrypt(plain)
        except Exception:  # noqa: BLE001,S112 - wrong passwords and broken files raise whatever they like
            continue
        octets = plain.getvalue()
        if octets[:2] != b"PK" and octets[:4] != notes.octets[:4]:
            continue
        if password == DEFAULT_PASSWORD:
            notes.fact("password-found", "it is locked with the password that Excel tries by itself")
        else:
            notes.fact(
                "password-found", "a password from the mail opened it", {"password": printable(password, 60)}
            )
        notes.member(notes.name, octets, hidden=True)
        return


def _macros(notes: Notes, file: Any, streams: dict[str, list[str]]) -> None:
    projects: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for low, path in streams.items():
        folder, _, name = low.rpartition("/")
        projects[folder][name] = path
    for folder, inside in projects.items():
        if "dir" in inside and ("_vba_project" in inside or folder.rpartition("/")[2] == "vba"):
            sources, missing = modules_of(inside, lambda name, inside=inside: _read(file, inside[name]))  # type: ignore[misc]
            judge_macros(notes, sources, missing=missing)


def _objects(notes: Notes, file: Any, streams: dict[str, list[str]]) -> None:
    for low, path in streams.items():
        notes.allowance.check_time()
        name = low.rpartition("/")[2]
        if name == "\x01ole10native":
            native(notes, _read(file, path))
        elif name == "equation native":
            notes.fact("equation-editor", "it calls the old equation editor")
        elif name == "package" or (name == "contents" and "/" in low):
            octets = _read(file, path)
            if kind := kind_of(octets, ""):
                notes.fact("embedded-object", "a file is embedded", {"kind": kind})
                notes.member(f"{name}.{kind}", octets, hidden=True)
        elif name == "\x01ole":
            link_stream(notes, _read(file, path, 64 << 10))
    for low in {low.rpartition("/")[0] for low in streams}:
        if low and bytes.fromhex(_clsid(file, low)) == _EQUATION:
            notes.fact("equation-editor", "it calls the old equation editor")


def _clsid(file: Any, folder: str) -> str:
    """As sixteen octets in hexadecimal, in the order they are stored."""
    try:
        parts = str(file.getclsid(folder)).split("-")
    except (OSError, ValueError, IndexError):
        return ""
    if len(parts) != 5:
        return ""
    swapped = [bytes.fromhex(part)[::-1].hex() for part in parts[:3]]
    return "".join([*swapped, *parts[3:]])


def native(notes: Notes, octets: bytes) -> None:
    """A file as the packager embeds it (MS-OLEDS §2.3.6): names, then the octets."""
    at = 6
    name, at = _string(octets, at)
    _, at = _string(octets, at)
    at += 8
    _, at = _string(octets, at)
    size = _number(octets, at, 4)
    content = octets[at + 4 : at + 4 + size]
    if not content:
        content, name = octets[4:], "package"
    shown = re.split(r"[\\/]", name)[-1] or "package"
    notes.fact("embedded-object", f"the file {shown!r} is embedded", {"kind": kind_of(content, shown)})
    notes.member(shown, content, hidden=True)


def link_stream(notes: Notes, octets: bytes) -> None:
    """An object that stands elsewhere and is fetched when the document opens (MS-OLEDS §2.3.3)."""
    if _URL_MONIKER in octets or _number(octets, 4, 4) & 1:
        for url in urls_in(octets):
            notes.fact(
                "external-object",
                f"it loads an object from {printable(url, 120)}",
                {"target": printable(url, 300), "by": "web"},
            )
            notes.link(url)


def urls_in(octets: bytes) -> list[str]:
    """Addresses written in one or two octets a letter; at most a hundred."""
    found = [match[0].decode("utf-16-le", "replace") for match in _WIDE_URL.finditer(octets)]
    found += [match[0].decode("ascii", "replace") for match in _URL.finditer(octets)]
    return list(dict.fromkeys(url for url in found if "schemas." not in url))[:100]


def _word(notes: Notes, file: Any, streams: dict[str, list[str]]) -> None:
    """Text by the piece table (MS-DOC §2.8.35, §2.9.38); field codes stand in it between marks."""
    from gatepost.files.ooxml import note_fields

    document = _read(file, streams.get("worddocument", ["WordDocument"]))
    table = "1table" if _number(document, 10, 2) & 0x0200 else "0table"
    content = _read(file, streams[table]) if table in streams else b""
    at, length = _number(document, 0x01A2, 4), _number(document, 0x01A6, 4)
    clx = content[at : at + length]
    place = 0
    while clx[place : place + 1] == b"\x01":
        place += 3 + _number(clx, place + 1, 2)
    text: list[str] = []
    if clx[place : place + 1] == b"\x02":
        pieces = clx[place + 5 : place + 5 + _number(clx, place + 1, 4)]
        count = max((len(pieces) - 4) // 12, 0)
        left = 2 << 20
        for n in range(min(count, 20_000)):
            size = min(_number(pieces, 4 * n + 4, 4) - _number(pieces, 4 * n, 4), left)
            where = _number(pieces, 4 * (count + 1) + 8 * n + 2, 4)
            if size <= 0:
                continue
            left -= size
            if where & 0x40000000:
                start = (where & 0x3FFFFFFF) // 2
                text.append(document[start : start + size].decode("cp1252", "replace"))
            else:
                text.append(document[where : where + 2 * size].decode("utf-16-le", "replace"))
    whole = "".join(text)
    fields = re.findall(r"\x13([^\x14\x15]{1,5000})", whole)
    note_fields(notes, " ".join(fields))
    visible = re.sub(r"\x13[^\x13\x14\x15]*\x14?|[\x15\x01\x08]", "", whole)
    notes.read(re.sub(r"[\r\x07\x0b\x0c]+", "\n", visible))
    for url in urls_in(content[: 4 << 20]):
        notes.link(url)


def _excel(notes: Notes, file: Any, streams: dict[str, list[str]]) -> None:
    """Macro sheets, names that run by themselves, calls to other programs, strings (MS-XLS §2.4)."""
    book = _read(file, streams.get("workbook") or streams.get("book") or ["Workbook"])
    for kind, data in _records(book, 500_000):
        if kind == 0x85 and len(data) > 6 and data[5] == 1:
            hidden = " and hidden" if data[4] & 3 else ""
            notes.fact("excel4-macro", f"it holds an Excel 4 macro sheet{hidden}")
        elif (
            kind == 0x18
            and data[:1]
            and data[0] & 0x20
            and data[14:16].strip(b"\0")[:1] in {b"\x01", b"\x02"}
        ):
            notes.fact("macro-autoexec", "a macro sheet runs by itself (Auto_Open)", {"names": ["Auto_Open"]})
        elif kind == 0x01AE and len(data) > 4 and b"\x03" in data[4:]:
            asked = printable(
                data[5:300].replace(b"\0", b"").decode("cp1252", "replace").replace("\x03", "|"), 120
            )
            notes.fact("dde", f"a cell asks another program for data: {asked}", {"field": asked})
        elif kind == 0x01B8:
            for url in urls_in(data):
                notes.link(url)
        elif kind in {0xFC, 0x3C, 0x04, 0x0207}:
            notes.read(_strings(data))


def _strings(data: bytes) -> str:
    """Runs of letters, one or two octets each: good enough to read what a sheet says."""
    wide = re.findall(rb"(?:[\x20-\x7e\xa0-\xff]\0){4,}", data[: 1 << 20])
    narrow = re.findall(rb"[\x20-\x7e]{4,}", data[: 1 << 20])
    return "\n".join([*(w.decode("utf-16-le") for w in wide), *(n.decode("ascii") for n in narrow), ""])


def _powerpoint(notes: Notes, file: Any, streams: dict[str, list[str]]) -> None:
    """Objects and macros stand packed in records of their own (MS-PPT §2.10.34); text in atoms (§2.9.42)."""
    octets = _read(file, streams.get("powerpoint document", ["PowerPoint Document"]))
    at = octets.find(b"\x11\x10")
    for _ in range(100):
        if at < 2:
            break
        size = _number(octets, at + 2, 4)
        packed = octets[at + 6 : at + 6 + size]
        try:
            plain = zlib.decompressobj().decompress(packed[4:], MAX_STREAM)
        except zlib.error:
            plain = b""
        read_macros_in(notes, plain)
        at = octets.find(b"\x11\x10", at + 2)
    for match in re.finditer(rb"\0\0\xa0\x0f(....)", octets, re.DOTALL):
        size = min(_number(match[1], 0, 4), 20_000)
        if not notes.read(octets[match.end() : match.end() + size].decode("utf-16-le", "replace") + "\n"):
            break
    for url in urls_in(octets):
        notes.link(url)


def _records(octets: bytes, many: int) -> list[tuple[int, bytes]]:
    """Kind and data of each record of a BIFF stream."""
    records: list[tuple[int, bytes]] = []
    at = 0
    while at + 4 <= len(octets) and len(records) < many:
        size = _number(octets, at + 2, 2)
        records.append((_number(octets, at, 2), octets[at + 4 : at + 4 + size]))
        at += 4 + size
    return records


def _string(octets: bytes, at: int) -> tuple[str, int]:
    end = octets.find(b"\0", at, at + 2000)
    return (octets[at:end].decode("utf-8", "replace"), end + 1) if end >= 0 else ("", at)


def _number(octets: bytes, at: int, length: int) -> int:
    return int.from_bytes(octets[at : at + length], "little")

"""Macros in Office files: their source out of the project (MS-OVBA §2.3, §2.4.1), and what it says.

The compiled form of a macro is not read; where the source is missing, that is a fact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from gatepost.files.notes import Notes
from gatepost.files.script import commands_in, hiding_in, note_urls, take_packed

MAX_SOURCE = 2 << 20
"""Octets of source of one project."""
MAX_MODULES = 200

_AUTOEXEC = re.compile(
    r"^[ \t]*(?:(?:Public|Private|Friend|Static)[ \t]+)*(?:Sub|Function)[ \t]+("
    r"Auto_?(?:Open|Exec|Exit|Close|New|Activate|Deactivate)|Document_?(?:Open|Close|New|ContentControlOnEnter|BeforeClose)|"
    r"Workbook_(?:Open|Activate|BeforeClose|Close|SheetActivate|WindowActivate)|App_DocumentOpen|NewMail|"
    r"\w+_(?:Layout|Resize|GotFocus|MouseHover|MouseMove|BeforeNavigate2|BeforeScriptExecute|Painted|DocumentComplete|onConnecting|ProgressChange))\b",
    re.IGNORECASE | re.MULTILINE,
)
_SHELL = re.compile(
    r"\bShell\b(?:\s*\(|\s+[\"\w])|\bLib\s+\"(?:kernel32|urlmon|shell32|wininet|ntdll|user32)", re.IGNORECASE
)
_COMMON = frozenset(
    {"createobject", "getobject", "scripting.filesystemobject", "environ(", "environ$(", "environ ("}
)
"""Office automation is full of these; alone they mean little."""


def decompress(container: bytes, limit: int = MAX_SOURCE) -> bytes:
    """A compressed container (§2.4.1.3) unpacked, at most `limit` octets; ValueError when it is none."""
    if container[:1] != b"\x01":
        raise ValueError("no compressed container")
    whole = bytearray()
    at = 1
    while at + 2 <= len(container) and len(whole) < limit:
        header = int.from_bytes(container[at : at + 2], "little")
        if header >> 12 & 7 != 3:
            if not whole:
                raise ValueError("no compressed chunk")
            break
        end = min(at + (header & 0xFFF) + 3, len(container))
        if header >> 15:
            whole += _chunk(container, at + 2, end)
        else:
            whole += container[at + 2 : end]
        at = end
    return bytes(whole[:limit])


def _chunk(container: bytes, at: int, end: int) -> bytearray:
    """One chunk (§2.4.1.3.2): flags for eight tokens, each an octet or a copy of what stands before."""
    chunk = bytearray()
    while at < end:
        flags = container[at]
        at += 1
        for bit in range(8):
            if at >= end or len(chunk) >= 4096:
                break
            if not flags >> bit & 1:
                chunk.append(container[at])
                at += 1
                continue
            token = int.from_bytes(container[at : at + 2], "little")
            at += 2
            bits = max((len(chunk) - 1).bit_length(), 4) if chunk else 4
            length = (token & 0xFFFF >> bits) + 3
            offset = (token >> (16 - bits)) + 1
            if offset > len(chunk):
                raise ValueError("a copy from before the start")
            length = min(length, 4096 - len(chunk))
            piece = bytes(chunk[-offset:])[:length]
            chunk += (piece * (length // len(piece) + 1))[:length]
    return chunk


def modules_of(names: Iterable[str], read: Callable[[str], bytes]) -> tuple[dict[str, str], bool]:
    """The source of each module of a project, and whether some could not be read.

    `names` are the streams beside the project's ``dir`` stream, `read` fetches one of them.
    """
    streams = {name.casefold(): name for name in names}
    offsets, charset = _offsets(read(streams["dir"])) if "dir" in streams else ({}, "cp1252")
    sources: dict[str, str] = {}
    missing = False
    for key, name in list(streams.items())[:MAX_MODULES]:
        if key == "dir" or key.startswith(("_vba_project", "__srp_")):
            continue
        stream = read(name)
        source = b""
        for start in (offsets.get(key, -1), _start_of_source(stream)):
            if 0 <= start < len(stream):
                try:
                    source = decompress(stream[start:])
                    break
                except ValueError:
                    continue
        if source:
            sources[name] = source.decode(charset, "replace")
        elif key in offsets:
            missing = True
    return sources, missing


def _start_of_source(stream: bytes) -> int:
    """Source begins with the word Attribute, which a first chunk shows as this."""
    found = stream.find(b"\0Attribut\0e")
    return found - 3 if found >= 3 else -1


def _offsets(directory: bytes) -> tuple[dict[str, int], str]:
    """Of the module streams (§2.3.4.2.3), by case-folded name, and the code page."""
    try:
        octets = decompress(directory)
    except ValueError:
        return {}, "cp1252"
    found: dict[str, int] = {}
    charset, name, at = "cp1252", "", 0
    while at + 6 <= len(octets):
        kind, size = (
            int.from_bytes(octets[at : at + 2], "little"),
            int.from_bytes(octets[at + 2 : at + 6], "little"),
        )
        data = octets[at + 6 : at + 6 + size]
        if kind == 0x09:
            size = 6  # PROJECTVERSION says four and has six
        elif kind == 0x03 and len(data) == 2:
            charset = _charset(int.from_bytes(data, "little"))
        elif kind == 0x1A:
            name = data.decode(charset, "replace").casefold()
        elif kind == 0x32:
            name = data.decode("utf-16-le", "replace").casefold() or name
        elif kind == 0x31 and name:
            found[name] = int.from_bytes(data[:4], "little")
        at += 6 + size
    return found, charset


def _charset(page: int) -> str:
    name = {932: "cp932", 936: "gbk", 949: "cp949", 950: "cp950", 65001: "utf-8", 10000: "mac-roman"}.get(
        page, f"cp{page}"
    )
    try:
        b"".decode(name)
    except LookupError:
        return "cp1252"
    return name


def judge_macros(notes: Notes, sources: dict[str, str], *, missing: bool) -> None:
    """The facts about macros, given their source."""
    source = "\n".join(sources.values())[:MAX_SOURCE]
    code = "\n".join(line for line in source.splitlines() if not line.startswith("Attribute "))
    if not code.strip() and not missing:
        return
    notes.fact("macro", "it holds macros", {"modules": len(sources), "characters": len(code)})
    if missing:
        notes.fact(
            "macro-stomped", "the source of its macros was removed; what would run is compiled code only"
        )
    joined = re.sub(r"[ \t]_\r?\n", " ", code)
    if names := list(dict.fromkeys(match[1] for match in _AUTOEXEC.finditer(joined)))[:10]:
        notes.fact("macro-autoexec", f"a macro runs by itself ({', '.join(names)})", {"names": names})
    plain = _unsplit(joined)
    calls = commands_in(plain)
    if _SHELL.search(plain):
        calls.append("shell")
    if set(calls) - _COMMON:
        notes.fact("macro-suspicious", f"a macro calls {', '.join(calls)}", {"calls": calls})
    if hiding := hiding_in(joined):
        notes.fact("obfuscated-script", f"a macro hides what it does: {', '.join(hiding)}", {"how": hiding})
    note_urls(notes, plain)
    take_packed(notes, plain)


_JOIN = re.compile(r"\"\s*[&+]\s*\"")


def _unsplit(code: str) -> str:
    """Strings that were cut in pieces, put together."""
    return _JOIN.sub("", code)

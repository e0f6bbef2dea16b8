"""What a file truly is, by its octets: own signature table for the kinds policy cares about. Pure, microseconds.

Text has no signature, so between kinds of text (script, page, shortcut) the name's ending helps, as it does for
the programs that open them. Signatures are from the formats' own specifications; nothing else is read here.
"""

from __future__ import annotations

import re

from ahocorasick_rs import BytesAhoCorasick, MatchKind

from gatepost.files.kinds import KINDS, RISKY
from gatepost.files.kindwithin import ZIPPED, ends_as_zip, ole_kind, zip_kind

__all__ = ["KINDS", "RISKY", "extension_of", "kind_by_name", "kind_of", "kinds_of"]

_HEAD = 4096
# Endings whose programs run any octets that look enough like text, whatever stands around it.
_BY_NAME = {
    extension: kind
    for kind in ["javascript", "vbscript", "wsf", "hta", "batch", "powershell", "shell", "python", "perl", "autoit", "registry", "inf", "msc", "settings-ms", "library-ms", "url", "webloc", "desktop", "rdp", "iqy", "slk", "theme", "mobileconfig", "clickonce", "jnlp", "appinstaller", "html", "mht", "svg", "xml", "eml", "ics", "vcf", "uue"]
    for extension in KINDS[kind].extensions
}  # fmt: skip
_BY_NAME.update(msg="eml", xhtml="html")

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\x7fELF", "elf"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"8BPS\0", "psd"),
    (b"\xd7\xcd\xc6\x9a", "wmf"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"RE\x7e\x5e", "rar"),
    (b"MSCF\0\0\0\0", "cab"),
    (b"\x1f\x8b\x08", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"LZIP\x01", "lzip"),
    (b"LZIP\0", "lzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4"),
    *((bytes([first]) + b"\x2a\x4d\x18", "zstd") for first in range(0x50, 0x60)),  # a frame to be skipped
    (b"\0\5\x16\0", "applesingle"),
    (b"SIT!", "sit"),
    (b"StuffIt (c)", "sit"),
    (b"ZOO ", "zoo"),
    (b"QFI\xfb", "disk"),
    (b"hsqs", "disk"),
    (b"\x45\x3d\xcd\x28", "disk"),
    (b"\x1f\x9d", "compress"),
    (b"\x1f\xa0", "compress"),
    (b"\x60\xea", "arj"),
    (b"ALZ\x01", "alz"),
    (b"EGGA", "alz"),
    (b"ITSF\x03\0", "chm"),
    (b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F", "lnk"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "onenote"),
    (b"\xa1\x2f\xff\x43\xd9\xef\x76\x4c\x9e\xe2\x10\xea\x57\x22\x76\x5f", "onenote"),
    (b"x\x9f\x3e\x22", "tnef"),
    (b"!BDN", "pst"),
    (b"vhdxfile", "vhdx"),
    (b"conectix", "vhd"),
    (b"KDMV", "vmdk"),
    (b"# Disk DescriptorFile", "vmdk"),
    (b"MSWIM\0\0\0", "wim"),
    (b"xar!\0", "xar"),
    (b"\xed\xab\xee\xdb", "rpm"),
    (b"!<arch>\ndebian-binary", "deb"),
    (b"!<arch>\n", "ar"),
    (b"070701", "cpio"),
    (b"070702", "cpio"),
    (b"070707", "cpio"),
    (b"\xca\xfe\xba\xbe", "class"),  # or a fat Mach-O: told apart below
    (b"\xfe\xed\xfa\xce", "mach-o"),
    (b"\xfe\xed\xfa\xcf", "mach-o"),
    (b"\xce\xfa\xed\xfe", "mach-o"),
    (b"\xcf\xfa\xed\xfe", "mach-o"),
    (b"dex\n0", "dex"),
    (b"FWS", "swf"),
    (b"CWS", "swf"),
    (b"ZWS", "swf"),
    (b"FasdUAS", "applescript"),
    (b"\0\x01\0\0Standard Jet DB\0", "mdb"),
    (b"\0\x01\0\0Standard ACE DB\0", "mdb"),
    (b"SQLite format 3\0", "sqlite"),
    (b"\0\0\x01\0", "ico"),
    (b"\0\0\x02\0", "ico"),
    (b"ID3", "audio"),
    (b"OggS", "audio"),
    (b"fLaC", "audio"),
    (b"#!AMR", "audio"),
    (b"\x1aE\xdf\xa3", "video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video"),
    (b"\0\0\x01\xba", "video"),
    (b"wOFF", "font"),
    (b"wOF2", "font"),
    (b"\0\x01\0\0\0", "font"),
    (b"OTTO\0", "font"),
    (b"{\\rt", "rtf"),
    (b"%!PS", "postscript"),
    (b"\xc5\xd0\xd3\xc6", "postscript"),
    (b"-----BEGIN PGP", "pgp"),
    (b"-----BEGIN ", "certificate"),
    (b"begin-base64 ", "uue"),
    (b"BEGIN:VCALENDAR", "ics"),
    (b"BEGIN:VCARD", "vcf"),
    (b"REGEDIT4", "registry"),
    (b"Windows Registry Editor", "registry"),
    (b"[InternetShortcut]", "url"),
    (b"[Desktop Entry]", "desktop"),
    (b"Received: ", "eml"),
    (b"Return-Path: ", "eml"),
    (b"MIME-Version: ", "eml"),
    (b"From: ", "eml"),
    (b"#@~^", "vbscript"),
    (b"ID;P", "slk"),
)
_BY_FIRST: dict[int, tuple[tuple[bytes, str], ...]] = {}
for _prefix, _name in _PREFIXES:
    _BY_FIRST[_prefix[0]] = (*_BY_FIRST.get(_prefix[0], ()), (_prefix, _name))

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_NOT_TEXT = bytes((*range(0x07), *range(0x0E, 0x1B), *range(0x1C, 0x20)))
_TAG = re.compile(rb"<(?:!--|[!?/a-zA-Z])")
_UUE = re.compile(rb"begin [0-7]{3,4} [^\r\n]{1,200}\r?\n[\x20-\x60]")
_MARKUP: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"<hta:application", re.IGNORECASE), "hta"),
    (re.compile(rb"<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>]|meta\s|title>|iframe[\s>])", re.IGNORECASE), "html"),
    (re.compile(rb"<(?:job[\s>]|package>\s*<job|component[\s>]|scriptlet[\s>])", re.IGNORECASE), "wsf"),
    (re.compile(rb"<(?:[\w-]{1,20}:)?svg[\s>]", re.IGNORECASE), "svg"),
    (re.compile(rb"<(?:pkg:package|w:worddocument)\b|progid=\"(?:Word|Excel|PowerPoint)\.", re.IGNORECASE), "flat-opc"),
    (re.compile(rb"<office:document[\s>]", re.IGNORECASE), "odf"),
    (re.compile(rb"<mmc_consolefile", re.IGNORECASE), "msc"),
    (re.compile(rb"<(?:script|form|div|table|p|a|img|font|center|style|br|input|span|h[1-6])[\s>/]", re.IGNORECASE), "html"),
    (re.compile(rb"<\?xml\s", re.IGNORECASE), "xml"),
)  # fmt: skip
_SHEBANGS = ((b"python", "python"), (b"perl", "perl"), (b"node", "javascript"), (b"sh", "shell"))


def extension_of(name: str) -> str:
    """What stands behind the last dot, lower case, as Windows reads it (trailing dots and blanks dropped)."""
    _, dot, extension = name.rstrip(". \u00a0\t").rpartition(".")
    return extension.lower() if dot and len(extension) <= 20 else ""


def kind_by_name(name: str) -> str:
    """What the ending of the name promises; empty when nothing or more than this file knows."""
    return _PROMISED.get(extension_of(name), "")


def kind_of(octets: bytes, name: str) -> str:
    """A key of KINDS, empty when unknown. Reads a few thousand octets, and what the file's own offsets point at."""
    head = octets[:_HEAD]
    if not head:
        return ""
    for prefix, kind in _BY_FIRST.get(head[0], ()):
        if head.startswith(prefix):
            return _closer(kind, head, octets, name)
    kind = _by_structure(octets, head)
    return kind or _text_kind(head, name)


def kinds_of(octets: bytes, name: str) -> tuple[str, ...]:
    """All kinds some reader would take it for, `kind_of` first. More than one makes a polyglot."""
    first = kind_of(octets, name)
    kinds = [first]
    head = octets[:1024]
    if first != "pdf" and b"%PDF-" in head and b"startxref" in octets[-2048:]:
        kinds.append("pdf")
    if first not in ZIPPED and ends_as_zip(octets) and (inside := zip_kind(octets)):
        kinds.append(inside)
    if first not in {"iso", "udf"} and octets[0x8001:0x8006] == b"CD001":
        kinds.append("iso")
    if first in {"gif", "jpeg", "png", "bmp", "pdf"}:
        kinds += [
            kind for mark, kind in ((b"Rar!\x1a\x07", "rar"), (b"7z\xbc\xaf\x27\x1c", "7z")) if mark in octets
        ]
    extension = extension_of(name)
    if not first and extension in {"lzma", "tlz"}:
        kinds.append("lzma")
    by_name = _BY_NAME.get(extension, "")
    if (
        by_name in {"hta", "batch", "html", "javascript", "wsf", "powershell", "vbscript"}
        and first not in _TEXTUAL
    ):
        kinds.append(by_name)
    return tuple(dict.fromkeys(kinds))


def _closer(kind: str, head: bytes, octets: bytes, name: str) -> str:
    """Some signatures are shared, or too short to stand alone."""
    if kind == "class":
        # Java's major version is at least 45; a fat binary holds fewer programs than that.
        return "mach-o" if int.from_bytes(head[4:8], "big") < 40 else "class"
    if kind in {"arj", "swf", "audio", "bz2", "ico", "rar"} and not _plausible(kind, head):
        return _by_structure(octets, head) or _text_kind(head, name)
    if kind == "eml":
        return "mht" if b"Subject" not in head and extension_of(name) in {"mht", "mhtml"} else "eml"
    if kind == "postscript" and b"%PDF-" in head[:1024] and b"startxref" in octets[-2048:]:
        return "pdf"
    return kind


def _plausible(kind: str, head: bytes) -> bool:
    if kind == "arj":
        return 10 <= int.from_bytes(head[2:4], "little") <= 2600
    if kind == "swf":
        return len(head) > 8 and 1 <= head[3] <= 60
    if kind == "bz2":
        return head[3:4].isdigit() and head[4:10] in {b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"}
    if kind == "ico":
        return 0 < int.from_bytes(head[4:6], "little") <= 64 and len(head) > 22
    return len(head) > 6


def _by_structure(octets: bytes, head: bytes) -> str:
    if head[:4] in {b"PK\3\4", b"PK\5\6", b"PK\7\x08", b"PK00"}:
        return zip_kind(octets) or "zip"
    if head[:8] == _OLE:
        return ole_kind(octets)
    if head[:2] in {b"MZ", b"ZM"} and len(head) >= 64:
        return _dos_kind(octets, head)
    return _by_offset(octets, head)


def _by_offset(octets: bytes, head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return "heic" if head[8:12] in {b"heic", b"heix", b"mif1", b"msf1", b"avif", b"hevc"} else "mp4"
    if head[:4] == b"RIFF":
        return {b"WEBP": "webp", b"WAVE": "audio", b"AVI ": "video"}.get(head[8:12], "")
    if head[:2] == b"BM" and len(head) > 26 and head[6:10] == b"\0\0\0\0":
        return "bmp"
    if head[:4] == b"\x01\0\0\0" and head[40:44] == b" EMF":
        return "wmf"
    if head[257:262] == b"ustar":
        return "tar"
    if head[2:5] == b"-lh" or head[2:5] == b"-lz":
        return "lzh" if head[6:7] == b"-" else ""
    if head[7:14] == b"**ACE**":
        return "ace"
    if head[:2] == b"\xff\xfb" or head[:2] == b"\xff\xf3":
        return "audio"
    if head[1:4] == b"\r\r\n" or (head[2:4] == b"\r\n" and head[1:2] in b"\x0c\x0d\x0e" and head[0] > 0x20):
        return "pyc"
    if octets[0x8001:0x8006] in {b"CD001", b"BEA01"}:
        return "udf" if b"NSR0" in octets[0x8001:0xA001] else "iso"
    if octets[-512:-504] == b"conectix":
        return "vhd"
    if octets[-512:-508] == b"koly":
        return "dmg"
    if head[510:512] == b"\x55\xaa" and (
        head[3:7] == b"NTFS" or b"FAT" in head[54:90] or head[3:8] == b"EXFAT"
    ):
        return "disk"
    if head[510:512] == b"\x55\xaa" and len(octets) % 512 == 0 and _binary(head):
        return "disk"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if _is_file_system(octets):
        return "disk"
    if _is_lzma(head):
        return "lzma"
    return "pkcs7" if head[:1] == b"0" and b"\x2a\x86\x48\x86\xf7\x0d\x01\x07" in head[:40] else ""


def _is_file_system(octets: bytes) -> bool:
    """The disk of a virtual machine (VDI), or a file system without a table of partitions: ext, HFS Plus, APFS."""
    return (
        octets[64:68] == b"\x7f\x10\xda\xbe"
        or (octets[1080:1082] == b"\x53\xef" and octets[1096:1100] in {b"\0\0\0\0", b"\1\0\0\0"})
        or octets[1024:1028] in {b"H+\0\4", b"HX\0\5"}
        or octets[32:36] == b"NXSB"
    )


def _is_lzma(head: bytes) -> bool:
    """Properties, a dictionary of a power of two or half as much again, a size or none; the first octet packed is zero."""
    dictionary = int.from_bytes(head[1:5], "little")
    size = int.from_bytes(head[5:13], "little")
    usual = dictionary >= 4096 and (dictionary & (dictionary - 1) == 0 or dictionary % 3 == 0)
    return (
        head[:1] == b"\x5d" and usual and head[13:14] == b"\0" and (size < 1 << 38 or size == (1 << 64) - 1)
    )


def _dos_kind(octets: bytes, head: bytes) -> str:
    at = int.from_bytes(head[60:64], "little")
    mark = octets[at : at + 4]
    if mark == b"PE\0\0":
        return "pe"
    return "dos" if mark[:2] in {b"NE", b"LE", b"LX"} or _binary(head[:64]) else ""


def _text_kind(head: bytes, name: str) -> str:
    """Pages by their tags, scripts by their first line or the name's ending; empty when it is no text."""
    by_name = _BY_NAME.get(extension_of(name), "")
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        head = head.decode("utf-16", "replace").encode("utf-8", "replace")
    elif head.count(0) > len(head) // 3:
        head = head.replace(b"\0", b"")  # UTF-16 without its mark
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n\x0b\x0c\0")
    if _binary(start):
        found = _TAG.search(start[:256])
        return "html" if found and by_name in {"html", "hta"} else ""
    if start.startswith(b"#!"):
        line = start[:100].split(b"\n", 1)[0]
        return next((kind for mark, kind in _SHEBANGS if mark in line), "shell")
    if start is not head and start[:1] in b"{-BRWFM[#I%":
        for prefix, kind in _BY_FIRST.get(start[0] if start else 0, ()):
            if start.startswith(prefix) and kind in _TEXTUAL:
                return kind
    marked = _markup_kind(start) if start[:1] == b"<" or by_name in {"html", "hta", "wsf", "svg"} else ""
    if by_name and (not marked or by_name in {"hta", "wsf", "msc", "settings-ms", "library-ms", "jnlp", "webloc",
                                              "appinstaller", "mobileconfig", "clickonce", "iqy", "mht", "eml"}):  # fmt: skip
        return by_name
    if marked:
        return marked
    if _UUE.search(start[:1024]):
        return "uue"
    return _script_kind(start) or "text"


def _binary(octets: bytes) -> bool:
    """Does it hold what no text holds?"""
    return len(octets.translate(None, _NOT_TEXT)) < len(octets)


def _markup_kind(start: bytes) -> str:
    for pattern, kind in _MARKUP:
        if pattern.search(start):
            return kind
    return ""


_SCRIPTS: tuple[tuple[re.Pattern[bytes], str, tuple[bytes, ...]], ...] = (
    (re.compile(rb"^@?echo off\b", re.IGNORECASE), "batch", (b"echo off",)),
    (re.compile(rb"\b(?:WScript\.(?:Shell|CreateObject)|new ActiveXObject\()", re.IGNORECASE), "javascript",
     (b"wscript.", b"new activexobject(")),
    (re.compile(rb"^\s*(?:On Error Resume Next|Option Explicit|Dim \w+\r?\n|Set \w+ ?= ?CreateObject\()", re.IGNORECASE | re.MULTILINE), "vbscript",
     (b"on error resume next", b"option explicit", b"dim ", b"createobject(")),
    (re.compile(rb"\b(?:Invoke-Expression|New-Object System\.|\[System\.Convert\]::FromBase64String|Set-ExecutionPolicy)", re.IGNORECASE), "powershell",
     (b"invoke-expression", b"new-object system.", b"::frombase64string", b"set-executionpolicy")),
    (re.compile(rb"^\[InternetShortcut\]", re.IGNORECASE | re.MULTILINE), "url", (b"[internetshortcut]",)),
    (re.compile(rb"^(?:full address|screen mode id):[si]:", re.IGNORECASE | re.MULTILINE), "rdp",
     (b"full address:", b"screen mode id:")),
)  # fmt: skip
"""Patterns, what a match of theirs makes of a text, and what stands in lower case wherever they match: sought first, at once."""
_OWNERS = tuple(place for place, (_, _, signs) in enumerate(_SCRIPTS) for _ in signs)
_ALL_SIGNS = [sign for _, _, signs in _SCRIPTS for sign in signs]
_SIGNS = BytesAhoCorasick(_ALL_SIGNS)
_ANY_SIGN = BytesAhoCorasick(_ALL_SIGNS, matchkind=MatchKind.LeftmostFirst)
"""Says no eight times as quickly as `_SIGNS`: it may skip what overlaps."""


def _script_kind(start: bytes) -> str:
    lowered = start.lower()
    if not _ANY_SIGN.find_matches_as_indexes(lowered):
        return ""
    found = _SIGNS.find_matches_as_indexes(lowered, overlapping=True)
    for place in sorted({_OWNERS[sign] for sign, _, _ in found}):
        pattern, kind, _ = _SCRIPTS[place]
        if pattern.search(start):
            if kind == "javascript" and re.search(
                rb"^\s*(?:Set|Dim|Sub) ", start, re.IGNORECASE | re.MULTILINE
            ):
                return "vbscript"
            return kind
    return ""


_TEXTUAL = frozenset(
    name
    for name, kind in KINDS.items()
    if kind.family in {"script", "page", "text", "shortcut"} or name in {"eml", "ics", "vcf", "rtf", "uue", "slk", "pgp", "certificate"}
) - {"lnk", "chm"}  # fmt: skip
_PROMISED: dict[str, str] = {
    extension: name
    for name, kind in reversed(tuple(KINDS.items()))
    for extension in kind.extensions
}  # fmt: skip

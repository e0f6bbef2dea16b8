"""RTF (Rich Text Format 1.9.1): objects written in hexadecimal, templates from elsewhere, fields, text.

Word forgives almost anything in RTF and attackers use it, so objects are looked for by what they decode to,
with everything between their digits dropped.
"""

from __future__ import annotations

import re

from gatepost.files.notes import Notes
from gatepost.files.ole import native, urls_in
from gatepost.files.ooxml import note_fields
from gatepost.files.script import URL
from gatepost.mail.address import printable

MAX_OBJECTS = 30
MAX_OBJECT = 24 << 20
MAX_DEPTH = 200

_OBJECT = re.compile(rb"\\objdata", re.IGNORECASE)
_CONTROL = re.compile(rb"\\(?:\*|'..|[a-zA-Z]{1,40}-?\d{0,12}[ ]?|[^a-zA-Z'])")
_TEMPLATE = re.compile(rb"\\\*\\template\s+([^{}]{4,2000})")
_FIELD = re.compile(rb"\\fldinst([^\0]{1,4000})")
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_NOT_HEX = re.compile(rb"[^0-9a-fA-F]+")
_HIDDEN_GROUP = re.compile(rb"\{\\\*[^{}]{0,5000}\}")


def read_rtf(notes: Notes) -> None:
    """Notes objects, templates, fields and text."""
    octets = notes.octets
    for count, match in enumerate(_OBJECT.finditer(octets)):
        notes.allowance.check_time()
        if count >= MAX_OBJECTS:
            notes.fact("truncated", f"it holds more than {MAX_OBJECTS} objects")
            break
        _object(notes, _digits(octets, match.end()))
    for match in _TEMPLATE.finditer(octets):
        target = _plain(match[1]).strip()
        if URL.match(target):
            notes.fact(
                "remote-template",
                f"it loads a template from {printable(target, 120)}",
                {"target": printable(target, 300), "by": "web"},
            )
            notes.link(target)
    for count, match in enumerate(_FIELD.finditer(octets)):
        if count >= 500:
            break
        note_fields(notes, _plain(_group(match[1])))
    if re.search(rb"\\objupdate", octets, re.IGNORECASE) and _OBJECT.search(octets):
        notes.fact(
            "external-object", "an object in it is loaded by itself when it is opened", {"by": "update"}
        )
    notes.read(_plain(_HIDDEN_GROUP.sub(b"", octets[: 1 << 20])))


def _digits(octets: bytes, at: int) -> bytes:
    """What the digits behind `at` decode to, up to the end of their group."""
    pieces: list[bytes] = []
    depth, size = 0, 0
    end = min(len(octets), at + MAX_OBJECT)
    for match in re.finditer(
        rb"[{}]|\\bin(\d{1,8}) ?|\\'..|\\[a-zA-Z]{1,40}-?\d{0,12} ?|[0-9a-fA-F]+", octets[at:end]
    ):
        token = match[0]
        if token == b"{":
            depth += 1
        elif token == b"}":
            depth -= 1
            if depth < 0:
                break
        elif match[1]:
            start = at + match.end()
            return (
                bytes.fromhex(b"".join(pieces)[: size // 2 * 2].decode())
                + octets[start : start + min(int(match[1]), MAX_OBJECT)]
            )
        elif token[:1] != b"\\" and depth == 0:
            pieces.append(token)
            size += len(token)
    return bytes.fromhex(b"".join(pieces)[: size // 2 * 2].decode())


def _object(notes: Notes, octets: bytes) -> None:
    """An object as OLE 1 writes it (MS-OLEDS §2.2.5): its class, then what it holds."""
    length = min(int.from_bytes(octets[8:12], "little"), 200)
    name = octets[12 : 12 + length].rstrip(b"\0").decode("cp1252", "replace")
    if (
        "equation" in name.lower()
        or b"E\0q\0u\0a\0t\0i\0o\0n" in octets
        or b"\x02\xce\x02\0\0\0\0\0\xc0" in octets
    ):
        notes.fact("equation-editor", "it calls the old equation editor")
    notes.fact(
        "embedded-object",
        f"an object is embedded ({printable(name, 60) or 'unnamed'})",
        {"class": printable(name, 60)},
    )
    start = octets.find(_OLE)
    if "link" in name.lower() or b"\xe0\xc9\xea\x79\xf9\xba\xce\x11" in octets:
        for url in urls_in(octets):
            notes.fact(
                "external-object",
                f"it loads an object from {printable(url, 120)}",
                {"target": printable(url, 300), "by": "web"},
            )
            notes.link(url)
    if start >= 0:
        notes.member("object.ole", octets[start:], hidden=True)
    elif name.lower() == "package":
        at = 12 + length
        for _ in range(2):
            at += 4 + int.from_bytes(octets[at : at + 4], "little")
        size = int.from_bytes(octets[at : at + 4], "little")
        native(notes, b"\0\0\0\0" + octets[at + 4 : at + 4 + size])
    elif len(octets) > 64:
        notes.member("object.bin", octets, hidden=True)


def _group(octets: bytes) -> bytes:
    """Up to the brace that ends the group it stands in."""
    depth = 0
    for match in re.finditer(rb"[{}]", octets):
        depth += 1 if match[0] == b"{" else -1
        if depth < 0:
            return octets[: match.start()]
    return octets


def _plain(octets: bytes) -> str:
    octets = re.sub(
        rb"\\u(-?\d{1,6}) ?\??", lambda m: chr(int(m[1]) & 0xFFFF).encode("utf-8", "replace"), octets
    )
    octets = re.sub(
        rb"\\'([0-9a-fA-F]{2})",
        lambda m: bytes.fromhex(m[1].decode()).decode("cp1252", "replace").encode(),
        octets,
    )
    octets = re.sub(rb"\\(?:par|line|cell|row)\b ?", b"\n", octets)
    octets = _CONTROL.sub(lambda m: m[0][1:] if m[0][1:] in {b"\\", b"{", b"}"} else b"", octets)
    return re.sub(r"\s*\n\s*", "\n", octets.translate(None, b"{}\r").decode("utf-8", "replace"))

"""Office packages (ECMA-376) and OpenDocument: macros, what is loaded from elsewhere, what is embedded, text and links.

Parts are read by patterns rather than as XML: a package made to attack is seldom well-formed, and no entity is
ever expanded.
"""

from __future__ import annotations

import binascii
import re
import zlib
from html import unescape

from gatepost.files.kind import kind_of
from gatepost.files.notes import Notes
from gatepost.files.ole import read_macros_in
from gatepost.files.script import decoded
from gatepost.files.zipped import Entry, content_of, entries_of
from gatepost.mail.address import printable

MAX_PART = 16 << 20
MAX_PARTS = 2000
MAX_PICTURES = 8
MAX_PICTURE = 4 << 20

_RELATIONSHIP = re.compile(r"<(?:\w+:)?Relationship\s([^>]{1,6000})>")
_ATTRIBUTE = re.compile(r"([\w:.-]{1,60})\s*=\s*(?:\"([^\"]{0,5000})\"|'([^']{0,5000})')")
_INSTRUCTION = re.compile(
    r"<w:instrText[^>]{0,200}>([^<]{0,5000})<|<w:fldSimple\s[^>]{0,500}?w:instr=[\"']([^\"']{0,5000})",
    re.IGNORECASE,
)
_DDE = re.compile(r"\bDDE(?:AUTO)?\b\s*[\"\w\\]", re.IGNORECASE)
_QUOTED = re.compile(r"\bQUOTE((?:\s+\d{2,3}){3,4000})", re.IGNORECASE)
_HYPERLINK = re.compile(
    r"\b(?:HYPERLINK|INCLUDEPICTURE|INCLUDETEXT|IMPORT)\s+\\?\"?([^\"\s\\]{4,2000})", re.IGNORECASE
)
_DDE_LINK = re.compile(
    r"<(?:\w+:)?ddeLink\s([^>]{1,2000})>|<(?:\w+:)?dde-source\s([^>]{1,2000})>", re.IGNORECASE
)
_BREAK = re.compile(r"</(?:w:p|a:p|si|text:p|text:h|row|w:tc)>|<w:(?:br|tab)\b", re.IGNORECASE)
_TAG = re.compile(r"<[^>]{0,20000}>")
_IN_CELL = re.compile(r"<v>([0-9]{12,19})</v>|<t(?:\s[^>]{0,200})?>([^<]{1,2000})</t>")
_BINARY = re.compile(r"<(?:pkg:binaryData|w:binData)[^>]{0,500}>([A-Za-z0-9+/=\s]{20,})<")

_TEXT_PARTS = re.compile(
    r"word/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml$|xl/sharedstrings\.xml$|xl/worksheets/sheet\d+\.xml$|"
    r"ppt/slides/slide\d+\.xml$|^content\.xml$|word/document\w*\.xml$|xl/drawings/drawing\d+\.xml$"
)
_PICTURE = re.compile(r"(?:media|pictures)/[^/]+\.(?:png|jpe?g|gif|bmp|webp|tiff?)$")


def read_ooxml(notes: Notes) -> None:
    """A package of Word, Excel or PowerPoint."""
    parts = _parts(notes)
    for name, entry in parts.items():
        notes.allowance.check_time()
        if name.endswith(".rels"):
            _relationships(notes, name, decoded(content_of(notes, entry, MAX_PART)))
        elif _TEXT_PARTS.search(name):
            _text_part(notes, name, decoded(content_of(notes, entry, MAX_PART)))
        elif "/macrosheets/" in name and name.endswith((".xml", ".bin")):
            notes.fact("excel4-macro", "it holds an Excel 4 macro sheet")
            notes.read(_plain(decoded(content_of(notes, entry, MAX_PART))) if name.endswith(".xml") else "")
        elif "/externallinks/" in name or name.endswith("workbook.xml"):
            _workbook(notes, decoded(content_of(notes, entry, MAX_PART)))
        elif "/activex/" in name:
            notes.fact("activex", "it holds ActiveX controls")
            if name.endswith(".bin"):
                read_macros_in(notes, content_of(notes, entry, MAX_PART))
        elif "/embeddings/" in name or "afchunk" in name or name.endswith((".html", ".htm", ".mht", ".rtf")):
            octets = content_of(notes, entry, notes.room())
            notes.fact(
                "embedded-object",
                f"a file is embedded ({printable(entry.name, 100)})",
                {"kind": kind_of(octets, entry.name)},
            )
            notes.member(entry.name, octets, size=entry.size, hidden=True)
        elif name.endswith(".bin") or "vbaproject" in name:
            read_macros_in(notes, content_of(notes, entry, MAX_PART))
    _pictures(notes, parts)


def read_odf(notes: Notes) -> None:
    """A package of OpenDocument (ISO 26300), or one flat file of it."""
    if notes.octets[:2] != b"PK":
        _odf_text(notes, decoded(notes.octets[:MAX_PART]))
        return
    parts = _parts(notes)
    for name, entry in parts.items():
        notes.allowance.check_time()
        if name in {"content.xml", "styles.xml"}:
            _odf_text(notes, decoded(content_of(notes, entry, MAX_PART)))
        elif name == "meta-inf/manifest.xml":
            if b"encryption-data" in content_of(notes, entry, MAX_PART):
                notes.fact("encrypted", "the document is locked with a password")
        elif name.startswith(("basic/", "scripts/")) and not name.endswith((".xlb", ".xlc", "/")):
            notes.fact("macro", "it holds macros")
            notes.member(entry.name, content_of(notes, entry, notes.room()), size=entry.size, hidden=True)
        elif name.startswith("object ") and "/" not in name:
            notes.fact("embedded-object", f"an object is embedded ({printable(entry.name, 100)})")
            notes.member(entry.name, content_of(notes, entry, notes.room()), size=entry.size, hidden=True)
    _pictures(notes, parts)


def read_flat(notes: Notes) -> None:
    """A Word document as one XML file: its parts and its macros are written in letters."""
    page = decoded(notes.octets[:MAX_PART])
    _relationships(notes, "", page)
    _text_part(notes, "word/document.xml", page)
    for count, match in enumerate(_BINARY.finditer(page)):
        if count >= 200:
            break
        octets = binascii.a2b_base64(
            re.sub(r"[^A-Za-z0-9+/=]", "", match[1])[: MAX_PART * 4 // 3 // 4 * 4] + "=="
        )
        if octets.startswith(b"ActiveMime"):
            octets = active_mime(octets)
        if kind_of(octets, "") == "ole":
            read_macros_in(notes, octets)


def active_mime(octets: bytes) -> bytes:
    """The compound file in the wrapping that Office puts around macros in XML and MHTML; empty when there is none."""
    for start in (int.from_bytes(octets[0x1E:0x20], "little") + 46, 0x32, 0x22A):
        try:
            return zlib.decompressobj().decompress(octets[start:], MAX_PART)
        except zlib.error:
            continue
    return b""


def _parts(notes: Notes) -> dict[str, Entry]:
    return {entry.name.lower().lstrip("/"): entry for entry in entries_of(notes)[:MAX_PARTS]}


def _relationships(notes: Notes, name: str, page: str) -> None:
    for match in _RELATIONSHIP.finditer(page):
        fields = _attributes(match[1])
        if fields.get("targetmode", "").lower() != "external":
            continue
        kind, target = fields.get("type", "").rpartition("/")[2], fields.get("target", "")
        low = target.lower().lstrip()
        web = low.startswith(
            ("http:", "https:", "ftp:", "mhtml:", "ms-", "search-ms:", "script:", "html:", "x-usc:")
        )
        share = low.startswith(("\\\\", "file://\\\\", "file:///\\\\", "//")) or bool(
            re.match(r"file://[^/\\]", low)
        )
        evidence = {"target": printable(target, 300), "by": "web" if web else "share" if share else "path"}
        shown = printable(target, 120)
        if kind == "attachedTemplate" and (web or share):
            notes.fact("remote-template", f"it loads a template from {shown} when it is opened", evidence)
        elif kind in {"oleObject", "frame", "subDocument", "aFChunk", "control"} and (web or share):
            notes.fact("external-object", f"it loads an object from {shown} when it is opened", evidence)
        elif low.startswith(("mhtml:", "script:", "ms-msdt:", "html:")):
            notes.fact("external-object", f"it leads to {shown}, which runs what it finds there", evidence)
        if web or share or low.startswith(("file:", "mailto:")):
            notes.link(target)
    del name


def _text_part(notes: Notes, name: str, page: str) -> None:
    instructions = "".join(unescape(match[1] or match[2] or "") for match in _INSTRUCTION.finditer(page))
    note_fields(notes, instructions)
    if not name.startswith("xl/worksheets"):
        notes.read(_plain(page) + "\n")
        return
    # Of a sheet the words that stand in it, and numbers long enough to be one of a person's; the rest is figures.
    for match in _IN_CELL.finditer(page):
        if not notes.read((match[1] or unescape(match[2])) + "\n"):
            break


def note_fields(notes: Notes, instructions: str) -> None:
    """What field codes ask for: other programs, pages, pictures."""
    spelt = _QUOTED.sub(lambda m: "".join(chr(min(int(n), 0x7F)) for n in m[1].split()), instructions)
    if found := _DDE.search(spelt):
        around = printable(spelt[found.start() : found.start() + 160], 120)
        notes.fact("dde", f"a field asks another program for data: {around}", {"field": around})
    for match in _HYPERLINK.finditer(spelt):
        notes.link(match[1])


def _workbook(notes: Notes, page: str) -> None:
    for match in _DDE_LINK.finditer(page):
        fields = _attributes(match[1] or match[2] or "")
        asked = printable("|".join(value for key, value in fields.items() if "dde" in key), 120)
        notes.fact("dde", f"a cell asks another program for data: {asked}", {"field": asked})
    if re.search(r"_xlnm\.Auto_?(?:Open|Close)|name=[\"']auto_?open", page, re.IGNORECASE):
        notes.fact("macro-autoexec", "a macro sheet runs by itself (Auto_Open)", {"names": ["Auto_Open"]})


def _odf_text(notes: Notes, page: str) -> None:
    for match in re.finditer(
        r"xlink:href=[\"']((?:https?|ftp|file|mailto|vnd\.sun\.star\.script):[^\"']{1,3000})", page
    ):
        target = unescape(match[1])
        if target.startswith("vnd.sun.star.script:"):
            notes.fact("macro", "it holds macros, or calls some")
            if "event-listener" in page and re.search(r"dom:load|office:load|on-load|OnLoad", page):
                notes.fact("macro-autoexec", "a macro runs by itself when it is opened", {"names": ["load"]})
        else:
            notes.link(target)
    _workbook(notes, page)
    notes.read(_plain(page) + "\n")


def _pictures(notes: Notes, parts: dict[str, Entry]) -> None:
    from gatepost.files.image import note_codes

    pictures = [
        entry for name, entry in parts.items() if _PICTURE.search(name) and 500 < entry.size <= MAX_PICTURE
    ]
    for entry in pictures[:MAX_PICTURES]:
        notes.allowance.check_time()
        note_codes(notes, content_of(notes, entry, MAX_PICTURE))


def _attributes(text: str) -> dict[str, str]:
    return {
        match[1].rpartition(":")[2].lower(): unescape(match[2] if match[2] is not None else match[3])
        for match in _ATTRIBUTE.finditer(text)
    }


def _plain(page: str) -> str:
    page = re.sub(r"<(?:w:instrText|w:binData|pkg:binaryData|office:binary-data)[^>]{0,500}>[^<]*", "<", page)
    text = unescape(_TAG.sub("", _BREAK.sub("\n<", page)))
    return re.sub(r"[ \t]*\n\s*", "\n", text).strip()

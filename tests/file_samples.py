"""Files made by hand for the tests: archives that lie, compound files, macros, PDFs, shortcuts, pictures of codes."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from itertools import pairwise

import zxingcpp

PROGRAM = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(200)
"""Enough of a Windows program to be one by its signature."""


def zipped(members: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A well-made archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, octets in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), octets, compress_type=method)
    return out.getvalue()


def local_header(name: bytes, octets: bytes) -> bytes:
    """A stored member as a local header and its octets."""
    crc = zlib.crc32(octets)
    return (
        struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 0, 0, 0, crc, len(octets), len(octets), len(name), 0)
        + name
        + octets
    )


def central_header(name: bytes, octets: bytes, at: int, *, mode: int = 0, size: int | None = None) -> bytes:
    """The directory's word on a stored member."""
    return (
        struct.pack(
            "<4sBBHHHHHIIIHHHHHII",
            b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, zlib.crc32(octets), len(octets), len(octets) if size is None else size,
            len(name), 0, 0, 0, 0, mode << 16, at,
        )
        + name
    )  # fmt: skip


def directory_end(count: int, size: int, at: int) -> bytes:
    """The end of the central directory."""
    return struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, size, at, 0)


def compound(streams: Mapping[str, bytes], *, clsid: bytes = bytes(16)) -> bytes:
    """A compound file (MS-CFB, version 3) with these streams; a slash in a name parts folder from stream."""
    entries: list[dict[str, object]] = [
        {"name": "Root Entry", "kind": 5, "kids": [], "data": b"", "clsid": clsid}
    ]
    folders = {"": 0}
    for path, data in streams.items():
        parent, _, name = path.rpartition("/")
        for depth in range(len(parent.split("/")) if parent else 0):
            folder = "/".join(parent.split("/")[: depth + 1])
            if folder not in folders:
                folders[folder] = len(entries)
                entries[folders[folder.rpartition("/")[0]]]["kids"].append(len(entries))
                entries.append({"name": folder.rpartition("/")[2], "kind": 1, "kids": [], "data": b""})
        entries[folders[parent]]["kids"].append(len(entries))
        entries.append({"name": name, "kind": 2, "kids": [], "data": data})
    return _sectors(entries)


def _sectors(entries: list[dict]) -> bytes:
    mini, mini_table, table, body = b"", [], [], b""

    def chain(octets: bytes) -> int:
        nonlocal body
        first, count = len(table), (len(octets) + 511) // 512
        table.extend(range(first + 1, first + count))
        table.append(0xFFFFFFFE)
        body += octets.ljust(count * 512, b"\0")
        return first

    for entry in entries[1:]:
        data = entry["data"]
        entry["start"], entry["size"] = 0xFFFFFFFE, len(data)
        if len(data) >= 4096:
            entry["start"] = chain(data)
        elif data:
            first, count = len(mini_table), (len(data) + 63) // 64
            mini_table.extend([*range(first + 1, first + count), 0xFFFFFFFE])
            entry["start"] = first
            mini += data.ljust(count * 64, b"\0")
    entries[0]["start"], entries[0]["size"] = (chain(mini) if mini else 0xFFFFFFFE), len(mini)
    mini_at = chain(b"".join(n.to_bytes(4, "little") for n in mini_table)) if mini_table else 0xFFFFFFFE
    mini_count = (len(mini_table) * 4 + 511) // 512
    right: dict[int, int] = {}
    for entry in entries:
        kids = sorted(entry["kids"], key=lambda n: (len(entries[n]["name"]), entries[n]["name"].upper()))
        right.update(pairwise(kids))
        entry["child"] = kids[0] if kids else 0xFFFFFFFF
    listing = b"".join(_entry(entry, right.get(n, 0xFFFFFFFF)) for n, entry in enumerate(entries))
    directory_at = chain(listing)
    tables = 1
    while tables * 128 < len(table) + tables:
        tables += 1
    table_at = len(table)
    table.extend([0xFFFFFFFD] * tables)
    body += b"".join(n.to_bytes(4, "little") for n in table).ljust(tables * 512, b"\xff")
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(16), 0x3E, 3, 0xFFFE, 9, 6, bytes(6),
        0, tables, directory_at, 0, 4096, mini_at, mini_count, 0xFFFFFFFE, 0, 0,
    )[:76]  # fmt: skip
    places = [*range(table_at, table_at + tables), *[0xFFFFFFFF] * (109 - tables)]
    return header + b"".join(n.to_bytes(4, "little") for n in places) + body


def _entry(entry: dict, right: int) -> bytes:
    name = (entry["name"] + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sIQQIQ", name, len(name), entry["kind"], 1, 0xFFFFFFFF, right, entry["child"],
        entry.get("clsid", bytes(16)), 0, 0, 0, entry["start"] if entry["kind"] != 1 else 0, entry.get("size", 0),
    )  # fmt: skip


def compressed(plain: bytes) -> bytes:
    """A compressed container of MS-OVBA §2.4.1 that copies nothing."""
    container = bytearray(b"\x01")
    for start in range(0, len(plain), 3600):
        piece = plain[start : start + 3600]
        body = b"".join(b"\0" + piece[n : n + 8] for n in range(0, len(piece), 8))
        container += (0xB000 | (len(body) - 1)).to_bytes(2, "little") + body
    return bytes(container)


def macro_project(source: str, *, under: str = "") -> dict[str, bytes]:
    """The streams of a macro project with one module."""
    code = f'Attribute VB_Name = "Module1"\r\n{source}'.encode("cp1252")
    records = (
        (3, (1252).to_bytes(2, "little")), (0x1A, b"Module1"), (0x32, "Module1".encode("utf-16-le")), (0x31, (16).to_bytes(4, "little")),
    )  # fmt: skip
    listing = b"".join(
        kind.to_bytes(2, "little") + len(data).to_bytes(4, "little") + data for kind, data in records
    )
    return {
        f"{under}VBA/dir": compressed(listing),
        f"{under}VBA/_VBA_PROJECT": b"\xcc\x61" + bytes(30),
        f"{under}VBA/Module1": b"compiled code...".ljust(16) + compressed(code),
    }


def word_package(
    text: str = "Hello", *, parts: Mapping[str, bytes] | None = None, relationships: str = "", body: str = ""
) -> bytes:
    """A Word document; `relationships` go beside the document part, `body` into it."""
    document = (
        f'<w:document xmlns:w="x"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p>{body}</w:body></w:document>'
    )
    members = {
        "[Content_Types].xml": b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": b"<Relationships/>",
        "word/document.xml": document.encode(),
        "word/_rels/document.xml.rels": f"<Relationships>{relationships}</Relationships>".encode(),
        **(parts or {}),
    }
    return zipped(members)


def relationship(kind: str, target: str) -> str:
    """One that leads outside."""
    base = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    return f'<Relationship Id="r9" Type="{base}/{kind}" Target="{target}" TargetMode="External"/>'


def pdf(
    *objects: bytes,
    catalog: bytes = b"",
    page: bytes = b"",
    content: bytes = b"BT /F1 12 Tf 20 100 Td (Hello there) Tj ET",
) -> bytes:
    """A PDF of one page. Objects 1 to 5 are catalog, pages, page, contents and font; yours begin at 6."""
    bodies = [
        b"<</Type/Catalog/Pages 2 0 R " + catalog + b">>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>> "
        + page
        + b">>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *objects,
    ]
    out, places = b"%PDF-1.7\n", []
    for number, each in enumerate(bodies, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1) + b"".join(
        b"%010d 00000 n \n" % place for place in places
    )
    return out + b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, at)


def code_picture(text: str, *, kind: str = "QRCode", form: str = "PNG") -> bytes:
    """A picture of a code."""
    from PIL import Image

    barcode = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    out = io.BytesIO()
    Image.fromarray(barcode.to_image(scale=5)).save(out, form)
    return out.getvalue()


def code_in_letters(text: str, *, half: bool = False) -> str:
    """A QR code drawn with block characters: two for a module, or two modules in one."""
    import numpy

    barcode = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode)
    dark = numpy.array(barcode.to_image(scale=1)) == 0
    if not half:
        return "\n".join("".join("██" if cell else "  " for cell in row) for row in dark)
    if len(dark) % 2:
        dark = numpy.vstack([dark, numpy.zeros((1, dark.shape[1]), dtype=bool)])
    return "\n".join(
        "".join(" ▄▀█"[2 * bool(upper) + bool(lower)] for upper, lower in zip(top, bottom, strict=True))
        for top, bottom in zip(dark[::2], dark[1::2], strict=True)
    )


def shortcut(target: str, arguments: str) -> bytes:
    """A Windows link with a local target and arguments (MS-SHLLINK)."""
    header = (
        bytes.fromhex("4c0000000114020000000000c000000000000046")
        + (0x2 | 0x20 | 0x80).to_bytes(4, "little")
        + bytes(52)
    )
    path = target.encode("cp1252") + b"\0"
    info = struct.pack("<IIIIIII", 28 + len(path) + 1, 28, 1, 0, 28, 0, 28 + len(path)) + path + b"\0"
    return header + info + len(arguments).to_bytes(2, "little") + arguments.encode("utf-16-le")


def notebook(*files: bytes) -> bytes:
    """Enough of a OneNote section to hold files."""
    mark = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
    start = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(100)
    return start + b"".join(mark + len(each).to_bytes(8, "little") + bytes(12) + each for each in files)


def winmail(name: str, octets: bytes) -> bytes:
    """A TNEF stream with one attachment."""
    out = b"\x78\x9f\x3e\x22\x01\0"
    for level, attribute, data in (
        (1, 0x00089006, b"\0\0\1\0"),
        (2, 0x00069002, bytes(14)),
        (2, 0x00018010, name.encode() + b"\0"),
        (2, 0x0006800F, octets),
    ):
        out += (
            bytes((level,))
            + attribute.to_bytes(4, "little")
            + len(data).to_bytes(4, "little")
            + data
            + (sum(data) & 0xFFFF).to_bytes(2, "little")
        )
    return out


def outlook_item(subject: str, body: str, attachments: Mapping[str, bytes]) -> bytes:
    """An Outlook item (MS-OXMSG)."""
    streams = {
        "__properties_version1.0": bytes(32),
        "__substg1.0_0037001F": subject.encode("utf-16-le"),
        "__substg1.0_1000001F": body.encode("utf-16-le"),
    }
    for number, (name, octets) in enumerate(attachments.items()):
        folder = f"__attach_version1.0_#{number:08X}"
        streams[f"{folder}/__substg1.0_3707001F"] = name.encode("utf-16-le")
        streams[f"{folder}/__substg1.0_37010102"] = octets
    return compound(streams)


def arj(name: bytes, octets: bytes) -> bytes:
    """An ARJ archive with one stored member."""

    def header(kind: int, middle: bytes, name: bytes) -> bytes:
        body = struct.pack("<BBBBBBBB", 30, 11, 1, 2, 0, 0, kind, 0) + middle + name + b"\0\0"
        return b"\x60\xea" + struct.pack("<H", len(body)) + body + struct.pack("<IH", zlib.crc32(body), 0)

    size, crc = len(octets), zlib.crc32(octets)
    member = header(0, struct.pack("<IIIIHHH", 0x5A000000, size, size, crc, 0, 0o644, 0), name)
    return header(2, bytes(22), b"a.arj") + member + octets + b"\x60\xea\0\0"


def fat_image(name: bytes, octets: bytes) -> bytes:
    """A diskette of 1.44 MB (FAT12) with one file; `name` is eight and three characters, padded."""
    boot = bytearray(512)
    boot[:3], boot[3:11] = b"\xeb\x3c\x90", b"MSDOS5.0"
    boot[11:36] = struct.pack("<HBHBHHBHHHII", 512, 1, 1, 2, 224, 2880, 0xF0, 9, 18, 2, 0, 0)
    boot[36:62] = struct.pack("<BBBI11s8s", 0, 0, 0x29, 1, b"NO NAME    ", b"FAT12   ")[:26]
    boot[510:] = b"\x55\xaa"
    clusters = max(1, -(-len(octets) // 512))
    chain = [0xFF0, 0xFFF, *range(3, clusters + 2), 0xFFF]
    table = bytearray(9 * 512)
    for number, value in enumerate(chain):
        at = number * 3 // 2
        word = int.from_bytes(table[at : at + 2], "little")
        word |= value << 4 if number & 1 else value
        table[at : at + 2] = (word & 0xFFFF).to_bytes(2, "little")
    root = struct.pack("<11sB14xHI", name, 0x20, 2, len(octets)).ljust(224 * 32, b"\0")
    return (bytes(boot) + bytes(table) * 2 + root + octets).ljust(2880 * 512, b"\0")


def vhd(image: bytes) -> bytes:
    """A virtual disk of fixed size: the image, and a footer that says so."""
    footer = bytearray(512)
    footer[:8] = b"conectix"
    footer[8:64] = struct.pack(
        ">IIQI4sI4sQQHBBI",
        2,
        0x10000,
        (1 << 64) - 1,
        0,
        b"vpc ",
        0x50003,
        b"Wi2k",
        len(image),
        len(image),
        80,
        2,
        18,
        2,
    )
    footer[64:68] = (~sum(footer) & 0xFFFFFFFF).to_bytes(4, "big")
    return image + bytes(footer)

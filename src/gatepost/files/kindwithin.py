"""Which kind of zip or OLE package a file is, by the names of what is in it. Pure; a part of `kind`."""

from __future__ import annotations

ZIPPED = frozenset(
    {
        "zip",
        "docx",
        "xlsx",
        "pptx",
        "docm",
        "xlsm",
        "xlsb",
        "pptm",
        "ooxml",
        "odf",
        "epub",
        "jar",
        "apk",
        "msix",
    }
)


def ends_as_zip(octets: bytes) -> bool:
    """The end of the directory, with its comment, is the end of the file; else it belongs to something embedded."""
    end = octets.rfind(b"PK\5\6", max(0, len(octets) - 66_000))
    return end >= 0 and len(octets) - end - 22 - int.from_bytes(octets[end + 20 : end + 22], "little") < 64


def zip_kind(octets: bytes) -> str:
    """By the names in the central directory, the part that programs go by."""
    end = octets.rfind(b"PK\5\6", max(0, len(octets) - 66_000))
    if end < 0:
        return ""
    size = int.from_bytes(octets[end + 12 : end + 16], "little")
    directory = octets[max(0, end - min(size, 1 << 20)) : end]
    if b"PK\1\2" not in directory[:4096] and size:
        return "" if octets[:2] != b"PK" else "zip"
    if b"[Content_Types].xml" in directory:
        return _ooxml_kind(directory.lower())
    if b"AppxManifest.xml" in directory or b"AppxBundleManifest.xml" in directory:
        return "msix"
    if b"mimetype" in directory:
        mime = octets[30:200]
        if b"application/vnd.oasis.opendocument" in mime:
            return "odf"
        if b"application/epub+zip" in mime:
            return "epub"
    if b"AndroidManifest.xml" in directory:
        return "apk"
    return "jar" if b"META-INF/MANIFEST.MF" in directory else "zip"


def _ooxml_kind(directory: bytes) -> str:
    if b"appxmanifest.xml" in directory or b"appxbundlemanifest.xml" in directory:
        return "msix"
    macros = b"vbaproject.bin" in directory or b"vbadata.xml" in directory
    if b"xl/workbook.bin" in directory:
        return "xlsb"
    if b"word/" in directory:
        return "docm" if macros else "docx"
    if b"xl/" in directory:
        return "xlsm" if macros or b"xl/macrosheets/" in directory else "xlsx"
    if b"ppt/" in directory:
        return "pptm" if macros else "pptx"
    return "ooxml"


_OLE_NAMES: tuple[tuple[bytes, str], ...] = tuple(
    (name.encode("utf-16-le"), kind)
    for name, kind in (
        ("WordDocument", "word"),
        ("Workbook", "excel"),
        ("Book\0", "excel"),
        ("PowerPoint Document", "powerpoint"),
        ("__properties_version1.0", "msg"),
        ("EncryptedPackage", "ole"),
    )
)
_MSI_CLASSES = frozenset({b"\x84\x10\x0c\0", b"\x86\x10\x0c\0", b"\x82\x10\x0c\0"})


def ole_kind(octets: bytes) -> str:
    """By the names in the directory (MS-CFB §2.6), whose sectors are followed through the first file table."""
    size = 1 << min(int.from_bytes(octets[30:32], "little"), 12)
    if size < 128:
        return "ole"
    sector = int.from_bytes(octets[48:52], "little")
    table_at = (int.from_bytes(octets[76:80], "little") + 1) * size
    directory = []
    for _ in range(32):
        directory.append(octets[(sector + 1) * size : (sector + 2) * size])
        entry = octets[table_at + sector * 4 : table_at + sector * 4 + 4] if sector < size // 4 else b""
        sector = int.from_bytes(entry, "little") if len(entry) == 4 else 0xFFFFFFFE
        if sector > 0xFFFFFFF0:
            break
    names = b"".join(directory)
    if names[80:84] in _MSI_CLASSES:
        return "msi"
    for name, kind in _OLE_NAMES:
        if name in names:
            return kind
    return "ole"

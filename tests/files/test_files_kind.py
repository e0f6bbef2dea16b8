"""True kinds by octets, and what names say against them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from file_samples import (
    PROGRAM,
    compound,
    notebook,
    outlook_item,
    pdf,
    shortcut,
    winmail,
    word_package,
    zipped,
)
from gatepost.files.inspect import FileLimits, inspect_file
from gatepost.files.kind import extension_of, kind_of, kinds_of
from gatepost.files.kinds import KINDS
from gatepost.mail.filereport import FileReport

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def look(name: str, octets: bytes, declared: str = "application/octet-stream") -> FileReport:
    return inspect_file(name, declared, octets, 1, passwords=(), limits=FileLimits(), scratch=None)[0]


def names_of(report: FileReport) -> set[str]:
    return {fact.name for fact in report.facts}


@pytest.mark.parametrize(
    ("octets", "name", "kind"),
    [
        (PROGRAM, "a", "pe"),
        (b"MZ" + bytes(80), "a", "dos"),
        (b"MZ are two letters to begin a text with, and no program follows here at all.", "a", "text"),
        (b"\x7fELF\2\1\1", "a", "elf"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", "a", "class"),
        (b"\xca\xfe\xba\xbe\0\0\0\x02", "a", "mach-o"),
        (b"\xcf\xfa\xed\xfe" + bytes(20), "a", "mach-o"),
        (shortcut("C:\\x.exe", ""), "a", "lnk"),
        (bytes(0x8000) + b"\1CD001\1" + bytes(4000), "a", "iso"),
        (bytes(0x8000) + b"\0BEA01\1" + bytes(2041) + b"\0NSR02" + bytes(3000), "a", "udf"),
        (b"vhdxfile" + bytes(20), "a", "vhdx"),
        (bytes(2048) + b"conectix" + bytes(504), "a", "vhd"),
        (b"\xeb\x3c\x90MSDOS5.0".ljust(54, b"\0") + b"FAT16   ".ljust(456, b"\0") + b"\x55\xaa", "a", "disk"),
        (notebook(), "a", "onenote"),
        (compound({"WordDocument": bytes(100)}), "a", "word"),
        (compound({"Workbook": bytes(100)}), "a", "excel"),
        (compound({"PowerPoint Document": bytes(100)}), "a", "powerpoint"),
        (compound({"x": b"y"}, clsid=bytes.fromhex("84100c0000000000c000000000000046")), "a", "msi"),
        (outlook_item("a", "b", {}), "a", "msg"),
        (word_package(), "a", "docx"),
        (word_package(parts={"word/vbaProject.bin": b"x"}), "a", "docm"),
        (word_package(parts={"word/vbaProject.bin": b"x"}), "harmless.docx", "docm"),
        (zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "a", "xlsx"),
        (zipped({"[Content_Types].xml": b"", "xl/workbook.bin": b""}), "a", "xlsb"),
        (
            zipped({"[Content_Types].xml": b"", "ppt/presentation.xml": b"", "ppt/vbaProject.bin": b""}),
            "a",
            "pptm",
        ),
        (zipped({"AppxManifest.xml": b"", "[Content_Types].xml": b""}), "a", "msix"),
        (zipped({"META-INF/MANIFEST.MF": b""}), "a", "jar"),
        (zipped({"AndroidManifest.xml": b"", "META-INF/MANIFEST.MF": b""}), "a", "apk"),
        (zipped({"mimetype": b"application/vnd.oasis.opendocument.text"}, method=0), "a", "odf"),
        (zipped({"a": b""}), "a", "zip"),
        (b"{\\rtf1 x}", "a", "rtf"),
        (b"{\\rt1 x}", "invoice.doc", "rtf"),
        (pdf(), "a", "pdf"),
        (b"some lines first\r\n" + pdf(), "a", "pdf"),
        (b"\xef\xbb\xbf\r\n <!DOCTYPE HTML><p>x", "a", "html"),
        ("<html>".encode("utf-16"), "a", "html"),
        (b"<html><hta:application id=x>", "a", "hta"),
        (b"<?xml version='1.0'?><svg xmlns='x'>", "a", "svg"),
        (b"<?xml version='1.0'?><x/>", "a", "xml"),
        (b"<job><script language=JScript>", "a", "wsf"),
        (b"var a = 1;", "a.js", "javascript"),
        (b"var a = new ActiveXObject('x')", "a", "javascript"),
        (b"On Error Resume Next\r\nx = 1", "a", "vbscript"),
        (b"@echo off\r\n", "a", "batch"),
        (b"#!/bin/sh\n", "a", "shell"),
        (b"#!/usr/bin/env python3\n", "a", "python"),
        (b"$x = 1", "run.ps1", "powershell"),
        (b"[InternetShortcut]\r\nURL=x", "a", "url"),
        (b"\xef\xbb\xbfscreen mode id:i:2\r\nfull address:s:x", "a", "rdp"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a", "7z"),
        (b"Rar!\x1a\x07\x01\0", "a", "rar"),
        (b"Rar!\x1a\x07\0", "a", "rar"),
        (b"MSCF\0\0\0\0" + bytes(30), "a", "cab"),
        (b"\x21\x4b-lh5-", "a", "lzh"),
        (b"\x60\xea\x28\0", "a", "arj"),
        (bytes(7) + b"**ACE**", "a", "ace"),
        (b"x".ljust(257, b"\0") + b"ustar\x0000", "a", "tar"),
        (b"\x1f\x8b\x08\0", "a", "gz"),
        (b"\x28\xb5\x2f\xfd\0", "a", "zstd"),
        (b"\x50\x2a\x4d\x18\4\0\0\0abcd\x28\xb5\x2f\xfd", "a", "zstd"),
        (b"\x02\x21\x4c\x18" + bytes(8), "a", "lz4"),
        (b"\x5d\0\0\x60\0" + b"\xff" * 8 + bytes(9), "a", "lzma"),
        (b"\x5d\0\0\x60\1" + b"\xff" * 8 + bytes(9), "a", ""),
        (b"QFI\xfb\0\0\0\3", "a", "disk"),
        (bytes(64) + b"\x7f\x10\xda\xbe" + bytes(500), "a", "disk"),
        (bytes(1080) + b"\x53\xef" + bytes(500), "a", "disk"),
        (bytes(1024) + b"H+\0\4" + bytes(500), "a", "disk"),
        (bytes(32) + b"NXSB" + bytes(500), "a", "disk"),
        (b"hsqs" + bytes(90), "a", "disk"),
        (b"KDMV\1\0\0\0" + bytes(500), "a", "vmdk"),
        (bytes(3000) + b"koly" + bytes(508), "a", "dmg"),
        (b"StuffIt (c)1997-2002" + bytes(90), "a", "sit"),
        (PNG, "a", "png"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a", "webp"),
        (b"\0\0\0\x18ftypheic", "a", "heic"),
        (b"Received: from a by b\r\nSubject: x\r\n\r\n", "a", "eml"),
        (b"BEGIN:VCALENDAR\r\n", "a", "ics"),
        (winmail("a", b"b"), "a", "tnef"),
        (b"CWS\x0a" + bytes(8), "a", "swf"),
        (b"begin 644 x.exe\n#86)C\n`\nend\n", "a", "uue"),
        (b"Dear all, nothing to see.", "a", "text"),
        (b"", "a.exe", ""),
        (bytes(range(256)), "a", ""),
    ],
)
def test_kinds(octets: bytes, name: str, kind: str) -> None:
    assert kind_of(octets, name) == kind


def test_two_kinds_at_once() -> None:
    assert kinds_of(b"GIF89a" + bytes(30) + zipped({"x": b"y"}), "a.gif") == ("gif", "zip")
    assert kinds_of(PNG, "a.hta") == ("png", "hta")
    assert kinds_of(PNG + bytes(4000) + b"Rar!\x1a\x07\0" + bytes(20), "a.png") == ("png", "rar")
    assert kinds_of(b"@echo off\r\n", "a.bat") == ("batch",)
    report = look("a.gif", b"GIF89a" + bytes(30) + zipped({"x.exe": PROGRAM}))
    assert "polyglot" in names_of(report)


def test_a_file_embedded_in_a_pdf_makes_no_polyglot() -> None:
    inner = zipped({"x": b"y"})
    whole = pdf(b"<</Type/EmbeddedFile/Length %d>>stream\n%s\nendstream" % (len(inner), inner))
    assert kinds_of(whole, "a.pdf") == ("pdf",)


@pytest.mark.parametrize(
    ("name", "octets", "fact"),
    [
        ("invoice.pdf.exe", PROGRAM, "double-extension"),
        ("invoice.pdf.js", b"var a", "double-extension"),
        ("scan.jpg.html", b"<html>", "double-extension"),
        ("invoice\u202efdp.exe", PROGRAM, "rtl-override"),
        ("invoice.pdf" + " " * 60 + ".exe", PROGRAM, "padded-name"),
        ("invoice.pdf" + "\u2800" * 60 + ".exe", PROGRAM, "padded-name"),
        ("invoice.exe. ", PROGRAM, "trailing-dot"),
        ("in\u200bvoice.exe", PROGRAM, "control-in-name"),
        ("invoice.pdf", PROGRAM, "disguised"),
        ("photo.jpg", shortcut("x", ""), "disguised"),
        ("letter.docx", bytes(0x8000) + b"\1CD001\1" + bytes(4000), "disguised"),
        ("invoice.pdf", b"<html><form>", "name-mismatch"),
        ("photo.png", zipped({"a": b""}), "name-mismatch"),
    ],
)
def test_names_that_lie(name: str, octets: bytes, fact: str) -> None:
    report = look(name, octets)
    assert fact in names_of(report)
    assert all(f.text.isprintable() for f in report.facts)
    assert report.name.isprintable()


@pytest.mark.parametrize(
    ("name", "octets", "declared"),
    [
        ("report.v2.final.pdf", pdf(), "application/pdf"),
        ("jquery.min.js", b"var a", "text/javascript"),
        ("export.xls", b"<html><table>", "application/vnd.ms-excel"),
        ("letter.doc", b"{\\rtf1 x}", "application/msword"),
        ("data.csv", b"a,b\r\n", "application/vnd.ms-excel"),
        ("photo.jpeg", b"\xff\xd8\xff\xe0", "image/jpg"),
        ("archive.tar.gz", b"\x1f\x8b\x08\0", "application/gzip"),
        ("fix.patch", b"--- a\n+++ b\n#!/bin/sh\n", "text/x-patch"),
        ("notes.txt", b"On Error Resume Next\n", "text/plain"),
        ("Smith & Co.", b"text", "text/plain"),
        ("book.docx", word_package(), "application/msword"),
        ("smime.p7s", b"0\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", "application/pkcs7-signature"),
        ("invite.ics", b"BEGIN:VCALENDAR\r\n", "text/calendar"),
        ("mail.eml", b"From: a\r\n\r\n", "message/rfc822"),
        ("中文 文件.pdf", pdf(), "application/pdf"),
    ],
)
def test_honest_names_say_nothing(name: str, octets: bytes, declared: str) -> None:
    told = names_of(look(name, octets, declared))
    assert not told & {
        "double-extension", "rtl-override", "padded-name", "trailing-dot", "control-in-name", "disguised", "name-mismatch",
        "declared-mismatch", "polyglot",
    }  # fmt: skip


def test_a_program_declared_as_a_picture() -> None:
    assert "declared-mismatch" in names_of(look("photo", PROGRAM, "image/png"))


def test_every_kind_is_in_the_table() -> None:
    assert extension_of("a.PDF . ") == "pdf"
    assert all(kind.extensions and kind.title for kind in KINDS.values())


@given(st.binary(max_size=300), st.text(max_size=30))
def test_any_octets_have_a_kind_of_the_table_or_none(octets: bytes, name: str) -> None:
    assert kind_of(octets, name) in {"", *KINDS}
    assert kinds_of(octets, name)[0] == kind_of(octets, name)

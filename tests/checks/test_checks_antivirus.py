"""EICAR however it is wrapped: found by a real clamd, or said not to have been scanned; never clean and delivered."""

from __future__ import annotations

import asyncio
import base64
import binascii
import bz2
import gzip
import io
import lzma
import quopri
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from struct import pack
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "net"))

from clam import EICAR, RealClamd, real_clamd

from conftest import seven_zip
from file_samples import fat_image
from gatepost.checks.content.antivirus import AntivirusSettings, antivirus
from gatepost.mail.authresults import AuthResults
from gatepost.mail.client import Envelope, Mail
from gatepost.mail.finding import Finding
from gatepost.mail.message import Message, to_crlf
from gatepost.mail.tnef import ATTACH_BEGINS, ATTACH_DATA, ATTACH_TITLE, SIGNATURE
from gatepost.net.clamd import Clamd, Endpoint
from gatepost.net.sandbox import Sandbox
from gatepost.tools import Unavailable
from judging import client

TOP = b"From: a@b.example\r\nTo: c@d.example\r\nMIME-Version: 1.0\r\n"
B64 = b"Content-Transfer-Encoding: base64\r\n"
B = base64.encodebytes(EICAR).replace(b"\n", b"\r\n")


def entity(kind: str, body: bytes, *more: bytes) -> bytes:
    return b"Content-Type: " + kind.encode() + b"\r\n" + b"".join(more) + b"\r\n" + body


def mixed(*parts: bytes, boundary: bytes = b"x", declared: bytes | None = None) -> bytes:
    said = boundary if declared is None else declared
    inner = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return (
        b"Content-Type: multipart/mixed; boundary="
        + said
        + b"\r\n\r\n"
        + inner
        + b"--"
        + boundary
        + b"--\r\n"
    )


def attached(octets: bytes, name: str = "file.bin", kind: str = "application/octet-stream") -> bytes:
    body = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return mixed(entity("text/plain", b"hello\r\n"), entity(f'{kind}; name="{name}"', body, B64))


def zipped(octets: bytes, name: str = "eicar.com", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, octets)
    return buffer.getvalue()


def zip64(octets: bytes) -> bytes:
    """As programs write that do not know how much will come."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("eicar.com", "w", force_zip64=True) as member,
    ):
        member.write(octets)
    return buffer.getvalue()


def tarred(octets: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("eicar.com")
        info.size = len(octets)
        archive.addfile(info, io.BytesIO(octets))
    return buffer.getvalue()


def uu(octets: bytes) -> bytes:
    lines = b"".join(binascii.b2a_uu(octets[at : at + 45]) for at in range(0, len(octets), 45))
    return to_crlf(b"begin 644 eicar.com\n" + lines + b"`\nend\n")


def yenc(octets: bytes) -> bytes:
    body = bytearray()
    for one in octets:
        code = (one + 42) % 256
        body += b"=" + bytes([(code + 64) % 256]) if code in (0, 10, 13, 61) else bytes([code])
    return b"=ybegin line=128 size=%d name=eicar.com\r\n%s\r\n=yend size=%d\r\n" % (
        len(octets),
        body,
        len(octets),
    )


def packed_by_7zip(folder: Path, *options: str, name: str = "a.7z") -> bytes:
    program = seven_zip()
    (folder / "eicar.com").write_bytes(EICAR)
    subprocess.run(
        [program, "a", "-bso0", *options, name, "eicar.com"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return (folder / name).read_bytes()


def pdf_with(octets: bytes) -> bytes:
    return (
        b"%%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(e.com) 3 0 R]>>>>>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n3 0 obj<</Type/Filespec/F(e.com)/EF<</F 4 0 R>>>>endobj\n"
        b"4 0 obj<</Type/EmbeddedFile/Length %d>>stream\n%s\nendstream endobj\n"
        b"trailer<</Root 1 0 R/Size 5>>\n%%%%EOF\n" % (len(octets), octets)
    )


def docx_with(octets: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<document/>")
        archive.writestr("word/embeddings/e.com", octets)
    return buffer.getvalue()


def binhex(octets: bytes) -> bytes:
    """BinHex 4.0 (RFC 1741), without checksums, as lenient readers take it."""
    ordinary = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    theirs = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
    header = b"\x09eicar.com\0TEXTttxt\0\0" + len(octets).to_bytes(4, "big") + bytes(4) + bytes(2)
    packed = (header + octets + bytes(4)).replace(b"\x90", b"\x90\0").replace(b"\0\0\0\0", b"\0\x90\x04")
    code = base64.b64encode(packed).rstrip(b"=").translate(bytes.maketrans(ordinary, theirs))
    lines = b"\r\n".join((b":" + code + b":")[at : at + 64] for at in range(0, len(code) + 2, 64))
    return b"(This file must be converted with BinHex 4.0)\r\n\r\n" + lines + b"\r\n"


def tnef(octets: bytes) -> bytes:
    def attribute(name: int, value: bytes) -> bytes:
        return pack("<BII", 2, name, len(value)) + value + pack("<H", sum(value) & 0xFFFF)

    return (
        SIGNATURE + b"\1\0" + attribute(ATTACH_BEGINS, bytes(14)) + attribute(ATTACH_TITLE, b"eicar.com\0")
        + attribute(ATTACH_DATA, octets)
    )  # fmt: skip


def rar(octets: bytes, name: bytes = b"eicar.com") -> bytes:
    """RAR 4, the member stored."""

    def block(kind: int, flags: int, body: bytes, data: bytes = b"") -> bytes:
        rest = pack("<BHH", kind, flags, 7 + len(body)) + body
        return pack("<H", zlib.crc32(rest) & 0xFFFF) + rest + data

    body = (
        pack("<IIBIIBBHI", len(octets), len(octets), 2, zlib.crc32(octets), 0, 20, 0x30, len(name), 0x20)
        + name
    )
    return (
        b"Rar!\x1a\x07\0"
        + block(0x73, 0, bytes(6))
        + block(0x74, 0x8000, body, octets)
        + block(0x7B, 0x4000, b"")
    )


def der(tag: int, *inside: bytes) -> bytes:
    octets = b"".join(inside)
    size = len(octets)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + octets


CMS = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07"


def signed(octets: bytes) -> bytes:
    """CMS signed data with what was signed in it, by nobody (RFC 5652 §5.1)."""
    held = der(0x30, der(6, CMS + b"\1"), der(0xA0, der(4, octets)))
    return der(0x30, der(6, CMS + b"\2"), der(0xA0, der(0x30, der(2, b"\1"), der(0x31), held, der(0x31))))


def signed_in_pieces(octets: bytes) -> bytes:
    """The same with lengths left open, as programs write that do not know how much will come."""
    pieces = b"".join(der(4, octets[at : at + 20]) for at in range(0, len(octets), 20))
    held = b"\x30\x80" + der(6, CMS + b"\1") + b"\xa0\x80\x24\x80" + pieces + bytes(6)
    return (
        b"\x30\x80" + der(6, CMS + b"\2") + b"\xa0\x80\x30\x80" + der(2, b"\1") + der(0x31) + held
        + der(0x31) + bytes(6)
    )  # fmt: skip


def packed_in_cms(octets: bytes) -> bytes:
    """CMS compressed data (RFC 3274)."""
    smime = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10"
    held = der(0x30, der(6, CMS + b"\1"), der(0xA0, der(4, zlib.compress(octets))))
    how = der(0x30, der(6, smime + b"\3\x08"))
    return der(0x30, der(6, smime + b"\1\x09"), der(0xA0, der(0x30, der(2, b"\0"), how, held)))


def locked_in_cms() -> bytes:
    return der(0x30, der(6, CMS + b"\3"), der(0xA0, der(0x30, der(2, b"\0"))))


P7M = "application/pkcs7-mime"


def invitation(octets: bytes) -> bytes:
    line = b"ATTACH;FMTTYPE=application/zip;VALUE=BINARY;ENCODING=BASE64:" + base64.b64encode(octets)
    folded = b"\r\n ".join(line[at : at + 54] for at in range(0, len(line), 54))
    return (
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Meeting\r\n"
        + folded
        + b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def card(head: bytes, octets: bytes) -> bytes:
    return b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:A\r\n" + head + base64.b64encode(octets) + b"\r\nEND:VCARD\r\n"


def applesingle(octets: bytes) -> bytes:
    return b"\0\5\x16\0\0\2\0\0" + bytes(16) + b"\0\1" + pack(">III", 1, 38, len(octets)) + octets


WRAPPED: dict[str, bytes] = {
    "file of a Mac": mixed(entity("application/applefile; name=e.com", base64.encodebytes(applesingle(EICAR)), B64)),
    "lzma with another dictionary": attached(
        b"\x5d\0\0\x60\0" + lzma.compress(EICAR, lzma.FORMAT_ALONE)[5:], "e.bin"),
    "lzma with other properties": attached(
        lzma.compress(EICAR, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "lc": 0, "lp": 2, "pb": 2}]), "e.lzma"),
    "disk of a virtual machine": attached(
        b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(64, b"\0") + b"\x7f\x10\xda\xbe" + bytes(444) + fat_image(b"EICAR   COM", EICAR), "d.vdi"),
    "piece of a zip": attached(zipped(EICAR)[100:], "e.zip.002"),
    "file in an invitation": mixed(entity("text/calendar; method=REQUEST", invitation(EICAR))),
    "zip in an attached invitation": attached(invitation(zipped(EICAR)), "a.ics", "text/calendar"),
    "picture of a card": attached(card(b"PHOTO;ENCODING=b;TYPE=JPEG:", zipped(EICAR)), "a.vcf", "text/vcard"),
    "key of a card": mixed(entity("text/vcard", card(b"item1.KEY;ENCODING=BASE64:", EICAR))),
    "logo of a card as data": attached(card(b"LOGO:data:image/png;base64,", zipped(EICAR)), "a.vcf", "text/vcard"),
    "signed mail": entity(P7M + "; name=smime.p7m", base64.encodebytes(signed(attached(EICAR))), B64),
    "signed mail in pieces": entity(P7M, base64.encodebytes(signed_in_pieces(attached(zipped(EICAR), "e.zip"))), B64),
    "signed mail that says nothing of it": attached(signed(attached(EICAR)), "smime.p7m"),
    "signed twice": entity(P7M, base64.encodebytes(
        signed(entity(P7M, base64.encodebytes(signed(attached(EICAR))), B64))), B64),
    "packed mail": entity(P7M + "; smime-type=compressed-data", base64.encodebytes(packed_in_cms(attached(EICAR))), B64),
    "signed file": attached(signed(zipped(EICAR)), "offer.zip.p7m"),
    "signed file in zip": attached(zipped(signed(zipped(EICAR)), "offer.zip.p7m"), "e.zip"),
    "locked mail": entity(P7M, base64.encodebytes(locked_in_cms()), B64),
    "signed mail, broken": entity(P7M, base64.encodebytes(signed(attached(EICAR))[9:]), B64),
    "OpenPGP in text": entity("text/plain", b"-----BEGIN PGP MESSAGE-----\r\n\r\nowEBAQ==\r\n-----END PGP MESSAGE-----\r\n"),
    "OpenPGP attached": attached(b"\xa3\x01octets", "e.zip.gpg"),
    "OpenPGP in zip": attached(zipped(b"-----BEGIN PGP MESSAGE-----\n\nowEBAQ==\n", "e.asc"), "e.zip"),
    "binhex in text": entity("text/plain", b"look:\r\n\r\n" + binhex(EICAR)),
    "binhex declared": mixed(entity("application/mac-binhex40; name=e.hqx", binhex(EICAR))),
    "tnef": attached(tnef(EICAR), "winmail.dat", "application/ms-tnef"),
    "zip in tnef": attached(tnef(zipped(EICAR)), "winmail.dat", "application/ms-tnef"),
    "tnef called otherwise": attached(tnef(EICAR), "notes.bin"),
    "rar": attached(rar(EICAR), "e.rar"),
    "rar in zip": attached(zipped(rar(EICAR), "e.rar"), "e.zip"),
    "zip in rar called a picture": attached(rar(zipped(EICAR), b"e.zip"), "e.jpg", "image/jpeg"),
    "body text": entity("text/plain", EICAR + b"\r\n"),
    "attached plain": mixed(entity("application/octet-stream", EICAR)),
    "base64": attached(EICAR),
    "base64 without padding": mixed(entity("application/octet-stream; name=e", B.replace(b"=", b""), B64)),
    "base64 with garbage": mixed(entity("application/octet-stream; name=e", B[:20] + b"!*\x01" + B[20:], B64)),
    "base64 split in short lines": mixed(
        entity("application/octet-stream; name=e", b"\r\n".join(B[at : at + 3] for at in range(0, len(B), 3)), B64)
    ),
    "base64 in two padded pieces": mixed(
        entity(
            "application/octet-stream; name=e",
            base64.b64encode(EICAR[:34]) + b"\r\n" + base64.b64encode(EICAR[34:]),
            B64,
        )
    ),
    "quoted-printable": mixed(
        entity(
            "application/octet-stream; name=e",
            to_crlf(quopri.encodestring(EICAR)),
            b"Content-Transfer-Encoding: quoted-printable\r\n",
        )
    ),
    "every octet quoted": mixed(
        entity(
            "application/octet-stream; name=e",
            b"=\r\n".join(b"=%02X" % one for one in EICAR),
            b"Content-Transfer-Encoding: quoted-printable\r\n",
        )
    ),
    "uuencode declared": mixed(entity("application/octet-stream", uu(EICAR), b"Content-Transfer-Encoding: x-uuencode\r\n")),
    "uuencode in text": entity("text/plain", b"look:\r\n\r\n" + uu(EICAR)),
    "yenc in text": entity("text/plain", b"look:\r\n\r\n" + yenc(EICAR)),
    "encoding twice, base64 last": mixed(
        entity("application/octet-stream; name=e", B, b"Content-Transfer-Encoding: 7bit\r\n", B64)
    ),
    "encoding twice, base64 first": mixed(
        entity("application/octet-stream; name=e", B, B64, b"Content-Transfer-Encoding: 7bit\r\n")
    ),
    "encoding spelt oddly": mixed(
        entity("application/octet-stream; name=e", B, b'Content-Transfer-Encoding: "base64" (yes)\r\n')
    ),
    "gzip": attached(gzip.compress(EICAR, mtime=0), "e.gz"),
    "bzip2": attached(bz2.compress(EICAR), "e.bz2"),
    "xz": attached(lzma.compress(EICAR), "e.xz"),
    "bzip2 in two pieces": attached(bz2.compress(EICAR[:30]) + bz2.compress(EICAR[30:]), "e.bz2"),
    "lzma": attached(lzma.compress(EICAR, lzma.FORMAT_ALONE), "e.lzma"),
    "zip": attached(zipped(EICAR), "e.zip"),
    "zip64": attached(zip64(EICAR), "e.zip"),
    "zip stored": attached(zipped(EICAR, method=zipfile.ZIP_STORED), "e.zip"),
    "zip lzma": attached(zipped(EICAR, method=zipfile.ZIP_LZMA), "e.zip"),
    "zip in zip in zip": attached(zipped(zipped(zipped(EICAR), "b.zip"), "c.zip"), "e.zip"),
    "zip called a picture": attached(zipped(EICAR), "e.png", "image/png"),
    "zip behind rubbish": attached(b"rubbish" * 50 + zipped(EICAR), "e.zip"),
    "tar": attached(tarred(EICAR), "e.tar"),
    "tar.gz": attached(gzip.compress(tarred(EICAR), mtime=0), "e.tar.gz"),
    "zip in tar.xz": attached(lzma.compress(tarred(zipped(EICAR))), "e.tar.xz"),
    "pdf": attached(pdf_with(EICAR), "e.pdf", "application/pdf"),
    "zip in pdf": attached(pdf_with(zipped(EICAR)), "e.pdf", "application/pdf"),
    "docx": attached(docx_with(EICAR), "e.docx"),
    "mail in mail": mixed(entity("message/rfc822", TOP + attached(EICAR))),
    "mail in mail in mail": mixed(entity("message/rfc822", TOP + mixed(entity("message/rfc822", TOP + attached(EICAR))))),
    "mail attached in base64": attached(TOP + attached(EICAR), "m.eml", "message/rfc822"),
    "zip in attached mail in zip": attached(zipped(TOP + attached(zipped(EICAR), "e.zip"), "m.eml"), "z.zip"),
    "wrong boundary": mixed(entity("application/octet-stream; name=e", B, B64), declared=b"other"),
    "no boundary": mixed(entity("application/octet-stream; name=e", B, B64)).replace(b"; boundary=x", b""),
    "two boundaries": mixed(entity("application/octet-stream; name=e", B, B64)).replace(
        b"boundary=x", b"boundary=y; boundary=x"
    ),
    "before the first part": mixed(entity("text/plain", b"hello")).replace(
        b"\r\n\r\n--x", b"\r\n\r\n" + uu(EICAR) + b"\r\n--x", 1
    ),
    "behind the last part": mixed(entity("text/plain", b"hello"))
    + b"--x\r\n" + entity("application/octet-stream; name=e", B, B64) + b"\r\n--x--\r\n",
    "no blank line before the body": mixed(entity("application/octet-stream; name=e", B, B64)).replace(
        B64 + b"\r\n", B64 + b" \r\n"
    ),
    "declared as text": attached(EICAR, "readme.txt", "text/plain"),
    "utf-16 text": entity("text/plain; charset=utf-16", base64.encodebytes(EICAR.decode().encode("utf-16")), B64),
    "data: address": entity("text/html", b'<a href="data:application/octet-stream;base64,%s">x</a>' % base64.b64encode(EICAR)),
    "a third of a mail": entity('message/partial; id="a"; number=1; total=3', EICAR[:30]),
}  # fmt: skip


NOT_TO_BE_SEEN = frozenset({
    "piece of a zip", "a third of a mail", "locked mail", "signed mail, broken", "OpenPGP in text", "OpenPGP attached", "OpenPGP in zip",
})  # fmt: skip


@pytest.fixture(scope="module")
def clamd() -> Iterator[RealClamd]:
    with real_clamd() as running:
        yield running


def mail_of(octets: bytes) -> Mail:
    return Mail(
        client=client(), envelope=Envelope(sender=None), message=Message.parse(octets), auth=AuthResults()
    )


def scanned(clamd: RealClamd, *octets: bytes) -> list[list[Finding]]:
    async def story() -> list[list[Finding]]:
        sandbox = Sandbox()
        tools = SimpleNamespace(unpacker=sandbox, scanner=Clamd(Endpoint.parse(f"unix:{clamd.path}")))
        try:
            return [list(await antivirus(mail_of(one), tools, AntivirusSettings())) for one in octets]  # type: ignore[arg-type]
        finally:
            await sandbox.close()

    return asyncio.run(story())


@pytest.fixture(scope="module")
def everything(clamd: RealClamd) -> dict[str, list[str]]:
    found = scanned(clamd, *(TOP + one for one in WRAPPED.values()))
    return {name: [one.name for one in each] for name, each in zip(WRAPPED, found, strict=True)}


@pytest.mark.peers
@pytest.mark.parametrize("how", WRAPPED)
def test_eicar_is_found_or_said_not_to_have_been_scanned(how: str, everything: dict[str, list[str]]) -> None:
    wanted = "antivirus.unscannable" if how in NOT_TO_BE_SEEN else "antivirus.found"
    assert wanted in everything[how]


@pytest.mark.peers
@pytest.mark.parametrize(
    "options",
    [(), ("-psesame",), ("-psesame", "-mhe=on"), ("-tzip", "-psesame"), ("-tzip", "-psesame", "-mem=AES256")],
)
def test_locked_with_the_password_in_the_mail(
    options: tuple[str, ...], clamd: RealClamd, tmp_path: Path
) -> None:
    name = "a.zip" if "-tzip" in options else "a.7z"
    octets = packed_by_7zip(tmp_path, *options, name=name)
    with_word = TOP + attached(octets, name).replace(b"hello", b"The password is: sesame")
    in_a_name = TOP + mixed(
        entity(f"application/octet-stream; name={name}", base64.encodebytes(octets), B64),
        entity("image/png; name=password_sesame.png", B, B64),
    )
    without = TOP + attached(octets, name)
    found, by_name, not_found = scanned(clamd, with_word, in_a_name, without)
    assert "antivirus.found" in [one.name for one in found]
    assert any(one.name == "antivirus.found" and name in one.text for one in by_name)
    assert {one.name for one in not_found} & {"antivirus.unscannable", "antivirus.found"}


@pytest.mark.peers
def test_archives_as_7zip_makes_them_within_each_other(clamd: RealClamd, tmp_path: Path) -> None:
    inner = packed_by_7zip(tmp_path, "-m0=LZMA2", name="a.7z")
    (tmp_path / "eicar.com").unlink()
    program = seven_zip()
    for name, within, options in (
        ("b.7z", "a.7z", ()),
        ("c.7z", "b.7z", ("-m0=PPMd",)),
        ("d.zip", "c.7z", ("-mm=Deflate64",)),
    ):
        subprocess.run(
            [program, "a", "-bso0", *options, name, within],
            cwd=tmp_path,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    packed_by_7zip(tmp_path, "-tzip", "-mm=Deflate64", name="e.zip")
    assert inner[:2] == b"7z"
    names = ("a.7z", "b.7z", "c.7z", "d.zip", "e.zip")
    for name, found in zip(
        names,
        scanned(clamd, *(TOP + attached((tmp_path / one).read_bytes(), one) for one in names)),
        strict=True,
    ):
        assert "antivirus.found" in [one.name for one in found], name


@pytest.mark.peers
def test_what_7zip_packs_in_ways_that_the_scanner_passes_over(clamd: RealClamd, tmp_path: Path) -> None:
    """ClamAV calls a 7z in bzip2 or deflate clean without a look into it, and so a zip in PPMd."""
    ways = (
        ("a.7z", "-m0=BZip2"), ("b.7z", "-m0=Deflate"), ("c.7z", "-m0=BCJ2"), ("d.7z", "-m0=PPMd"),
        ("e.7z", "-m0=Delta:2", "-m1=LZMA"), ("f.7z", "-m0=ARM64", "-m1=LZMA"), ("g.7z", "-m0=Deflate64"),
        ("a.zip", "-mm=PPMd"), ("b.zip", "-mm=LZMA"), ("c.zip", "-mm=XZ"),
    )  # fmt: skip
    packed = [(name, packed_by_7zip(tmp_path, *options, name=name)) for name, *options in ways]
    for (name, _), found in zip(
        packed, scanned(clamd, *(TOP + attached(octets, name) for name, octets in packed)), strict=True
    ):
        told = "antivirus.unscannable" if name in ("c.7z", "f.7z", "g.7z") else "antivirus.found"
        assert told in [one.name for one in found], name


@pytest.mark.peers
def test_ordinary_mail_is_clean(clamd: RealClamd) -> None:
    plain, archive = scanned(
        clamd, TOP + entity("text/plain", b"hello\r\n"), TOP + attached(zipped(b"harmless"), "a.zip")
    )
    assert plain == []
    assert archive == []


@pytest.mark.peers
def test_without_its_scanner_plain_text_goes_on_with_a_finding_and_attachments_wait(clamd: RealClamd) -> None:
    clamd.kill()
    try:
        [plain] = scanned(clamd, TOP + entity("text/plain", b"hello\r\n"))
        assert [one.name for one in plain] == ["antivirus.unscanned"]
        with pytest.raises(Unavailable, match="did not answer"):
            scanned(clamd, TOP + attached(b"octets", "a.bin"))
    finally:
        clamd.start()

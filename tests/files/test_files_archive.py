"""Archives: every reading of them, locked ones, bombs, and names that lead astray."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from conftest import seven_zip
from file_samples import PROGRAM, central_header, directory_end, local_header, zipped
from gatepost.files.inflate64 import Damaged, inflate64
from gatepost.files.inspect import FileLimits, inspect_file
from gatepost.mail.filereport import FileReport

SMALL = FileLimits(
    max_members=20, max_depth=3, max_member_octets=1 << 20, max_total_octets=4 << 20, bomb_octets=100_000
)


def look(
    octets: bytes, name: str = "a.zip", *, passwords: tuple[str, ...] = (), limits: FileLimits = SMALL
) -> list[FileReport]:
    return inspect_file(
        name, "application/octet-stream", octets, 3, passwords=passwords, limits=limits, scratch=None
    )


def facts(report: FileReport) -> set[str]:
    return {fact.name for fact in report.facts}


def paths(reports: list[FileReport]) -> list[str]:
    return [report.shown for report in reports]


def test_members_are_reported_depth_first() -> None:
    inner = zipped({"x/invoice.pdf.exe": PROGRAM})
    reports = look(zipped({"one.zip": inner, "two.txt": b"hello"}))
    assert paths(reports) == [
        "a.zip",
        "a.zip › one.zip",
        "a.zip › one.zip › x/invoice.pdf.exe",
        "a.zip › two.txt",
    ]
    assert [report.kind for report in reports] == ["zip", "zip", "pe", "text"]
    assert {report.part for report in reports} == {3}
    assert reports[2].size == len(PROGRAM)
    assert "double-extension" in facts(reports[2])
    assert facts(reports[0]) == set()


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_ways_of_packing(method: int) -> None:
    reports = look(zipped({"p.exe": PROGRAM * 30}, method=method))
    assert (reports[1].kind, reports[1].size) == ("pe", len(PROGRAM) * 30)
    assert facts(reports[0]) == set()


def test_a_streamed_archive_is_an_ordinary_one() -> None:
    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.octets = b""

        def writable(self) -> bool:
            return True

        def write(self, octets: bytes) -> int:  # type: ignore[override]
            self.octets += bytes(octets)
            return len(octets)

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"hello" * 100)
        archive.writestr("b.txt", b"more")
    reports = look(stream.octets)
    assert [report.size for report in reports[1:]] == [500, 4]
    assert facts(reports[0]) == set()


def test_the_directory_names_one_file_and_the_local_header_another() -> None:
    local = local_header(b"evil.exe", PROGRAM)
    central = central_header(b"good.txt", PROGRAM, 0)
    reports = look(local + central + directory_end(1, len(central), len(local)))
    assert "ambiguous-archive" in facts(reports[0])
    assert {"good.txt", "evil.exe"} <= {report.name for report in reports}
    assert all(report.octets is not None for report in reports[1:])


def test_a_member_the_directory_does_not_list() -> None:
    listed, unlisted = local_header(b"good.txt", b"hi"), local_header(b"evil.exe", PROGRAM)
    last = local_header(b"last.txt", b"x")
    central = central_header(b"good.txt", b"hi", 0) + central_header(
        b"last.txt", b"x", len(listed) + len(unlisted)
    )
    reports = look(
        listed + unlisted + last + central + directory_end(2, len(central), len(listed + unlisted + last))
    )
    assert "ambiguous-archive" in facts(reports[0])
    assert ("evil.exe", "pe") in {(report.name, report.kind) for report in reports}


def test_a_member_stored_between_the_last_and_the_directory() -> None:
    listed, unlisted = local_header(b"good.txt", b"hi"), local_header(b"evil.exe", PROGRAM)
    central = central_header(b"good.txt", b"hi", 0)
    reports = look(listed + unlisted + central + directory_end(1, len(central), len(listed + unlisted)))
    assert "evil.exe" in {report.name for report in reports}


def test_without_a_directory() -> None:
    reports = look(local_header(b"evil.exe", PROGRAM) + local_header(b"b.txt", b"x"))
    assert "ambiguous-archive" in facts(reports[0])
    assert [report.name for report in reports[1:]] == ["evil.exe", "b.txt"]


def test_two_members_of_one_name() -> None:
    one, two = local_header(b"a.txt", b"good"), local_header(b"a.txt", PROGRAM)
    central = central_header(b"a.txt", b"good", 0) + central_header(b"a.txt", PROGRAM, len(one))
    reports = look(one + two + central + directory_end(2, len(central), len(one + two)))
    assert "ambiguous-archive" in facts(reports[0])
    assert [report.kind for report in reports[1:]] == ["text", "pe"]


def test_members_that_share_octets() -> None:
    shared = local_header(b"a.txt", b"x" * 1000)
    central = b"".join(central_header(name, b"x" * 1000, 0) for name in (b"a.txt", b"b.txt"))
    assert "ambiguous-archive" in facts(
        look(shared + central + directory_end(2, len(central), len(shared)))[0]
    )


def test_two_archives_in_a_row() -> None:
    reports = look(zipped({"first.txt": b"x"}) + zipped({"second.exe": PROGRAM}))
    assert "ambiguous-archive" in facts(reports[0])
    assert {"first.txt", "second.exe"} <= {report.name for report in reports}


def test_octets_behind_the_archive() -> None:
    assert "ambiguous-archive" in facts(look(zipped({"a.txt": b"x"}) + b"<html>something else</html>")[0])


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "C:\\windows\\x.exe", "..\\x", "a/../../b"]
)
def test_names_that_lead_out(name: str) -> None:
    central = central_header(name.encode(), b"x", 0)
    local = local_header(name.encode(), b"x")
    assert "path-escape" in facts(look(local + central + directory_end(1, len(central), len(local)))[0])


def test_a_link_in_an_archive() -> None:
    local, central = (
        local_header(b"a", b"/etc/passwd"),
        central_header(b"a", b"/etc/passwd", 0, mode=0o120777),
    )
    assert "link-member" in facts(look(local + central + directory_end(1, len(central), len(local)))[0])


def test_a_bomb_is_not_unpacked_whole() -> None:
    reports = look(zipped({"zeros.bin": bytes(30 << 20)}))
    assert {"bomb", "truncated"} <= facts(reports[0])
    assert reports[1].size == 30 << 20


def test_a_member_that_claims_to_be_small() -> None:
    local = zipped({"a": bytes(30 << 20)})
    at = local.rindex(b"PK\1\2")
    lying = local[: at + 24] + (10).to_bytes(4, "little") + local[at + 28 :]
    lying = lying[:22] + (10).to_bytes(4, "little") + lying[26:]
    assert {"bomb", "truncated"} <= facts(look(lying)[0])


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_bomb(pack: object) -> None:
    reports = look(pack(bytes(20 << 20)), "a.gz")  # type: ignore[operator]
    assert {"bomb", "truncated"} <= facts(reports[0])
    assert reports[1].size <= SMALL.max_member_octets


def test_too_many_and_too_deep() -> None:
    crowd = look(zipped({f"{n}.txt": b"x" for n in range(100)}))
    assert len(crowd) == SMALL.max_members
    assert "truncated" in facts(crowd[0])
    deep = PROGRAM
    for _ in range(6):
        deep = zipped({"a.zip": deep})
    nested = look(deep)
    assert len(nested) == SMALL.max_depth + 1
    assert "truncated" in facts(nested[-1])


def test_crowds_within_crowds_stay_bounded() -> None:
    crowd = zipped({f"{n}.zip": zipped({f"{m}.txt": b"x" for m in range(15)}) for n in range(15)})
    assert len(look(crowd)) <= SMALL.max_members


def test_an_archive_of_itself_is_opened_once() -> None:
    # A true quine is rare; a reader that sees the same octets again must stop all the same.
    inner = zipped({"x.txt": b"x"})
    assert "bomb" not in facts(look(zipped({"one.zip": inner, "two.zip": inner}))[0])


def test_tar_and_what_it_is_packed_in() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, octets in (("a.exe", PROGRAM), ("b.txt", b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(octets)
            archive.addfile(info, io.BytesIO(octets))
        link = tarfile.TarInfo("../c")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    plain = out.getvalue()
    for packed, name in (
        (gzip.compress(plain), "a.tgz"),
        (lzma.compress(plain), "a.tar.xz"),
        (bz2.compress(plain), "a.tar.bz2"),
    ):
        reports = look(packed, name)
        assert paths(reports)[1:] == [f"{name} › a.tar", f"{name} › a.tar › a.exe", f"{name} › a.tar › b.txt"]
        assert reports[2].kind == "pe"
        assert {"link-member", "path-escape"} <= facts(reports[1])


def test_members_behind_the_end_of_a_tar() -> None:
    def one(name: str, octets: bytes) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            info = tarfile.TarInfo(name)
            info.size = len(octets)
            archive.addfile(info, io.BytesIO(octets))
        return out.getvalue()

    reports = look(one("a.txt", b"x") + one("evil.exe", PROGRAM), "a.tar")
    assert "ambiguous-archive" in facts(reports[0])
    assert "evil.exe" in {report.name for report in reports}


def test_several_gzip_streams_are_one_file() -> None:
    reports = look(gzip.compress(PROGRAM[:100]) + gzip.compress(PROGRAM[100:]), "p.exe.gz")
    assert (reports[1].name, reports[1].kind, reports[1].size) == ("p.exe", "pe", len(PROGRAM))


@pytest.mark.parametrize("cut", [15, 50, 90])
def test_a_damaged_archive_says_so(cut: int) -> None:
    for packed, name in (
        (gzip.compress(PROGRAM), "a.gz"),
        (bz2.compress(PROGRAM), "a.bz2"),
        (lzma.compress(PROGRAM), "a.xz"),
    ):
        report = look(packed[: len(packed) * cut // 100], name)[0]
        assert facts(report), name


class TestWith7zip:
    """Archives as 7-Zip makes them."""

    @pytest.fixture
    def pack(self, tmp_path: Path):
        program = seven_zip()
        (tmp_path / "a.exe").write_bytes(PROGRAM * 20)
        (tmp_path / "b.txt").write_bytes(b"hello " * 50)

        def made(name: str, *options: str) -> bytes:
            subprocess.run(
                [program, "a", "-bso0", "-bsp0", *options, name, "a.exe", "b.txt"], cwd=tmp_path, check=True
            )
            return (tmp_path / name).read_bytes()

        return made

    def test_a_plain_one(self, pack) -> None:
        reports = look(pack("p.7z"), "p.7z")
        assert [(report.name, report.kind) for report in reports] == [
            ("p.7z", "7z"),
            ("a.exe", "pe"),
            ("b.txt", "text"),
        ]
        assert facts(reports[0]) == set()

    @pytest.mark.parametrize(
        "options",
        [
            (),
            ("-mhe=on",),
            ("-m0=LZMA",),
            ("-m0=BCJ", "-m1=LZMA2"),
            ("-m0=Copy",),
            ("-m0=Deflate",),
            ("-m0=BZip2",),
            ("-ms=off",),
        ],
    )
    def test_a_locked_7z_opens_with_a_password_from_the_mail(self, pack, options: tuple[str, ...]) -> None:
        octets = pack("p.7z", "-pSommer 2026", *options)
        closed = look(octets, "p.7z", passwords=("wrong",))
        assert "encrypted" in facts(closed[0])
        assert "password-found" not in facts(closed[0])
        opened = look(octets, "p.7z", passwords=("wrong", "Sommer 2026"))
        assert {"encrypted", "password-found"} <= facts(opened[0])
        assert [(report.name, report.kind) for report in opened[1:]] == [("a.exe", "pe"), ("b.txt", "text")]
        assert opened[1].octets == PROGRAM * 20

    def test_names_in_a_locked_7z_are_known(self, pack) -> None:
        reports = look(pack("p.7z", "-px"), "p.7z")
        assert [(report.name, report.size) for report in reports[1:]] == [
            ("a.exe", len(PROGRAM) * 20),
            ("b.txt", 300),
        ]
        assert facts(reports[1]) == {"encrypted"}

    @pytest.mark.parametrize("options", [(), ("-mem=AES256",), ("-mem=AES128",)])
    def test_a_locked_zip(self, pack, options: tuple[str, ...]) -> None:
        octets = pack("p.zip", "-pinfected", *options)
        closed = look(octets)
        assert "encrypted" in facts(closed[0])
        assert [report.name for report in closed[1:]] == ["a.exe", "b.txt"]
        opened = look(octets, passwords=("wrong", "also wrong", "infected"))
        assert {"encrypted", "password-found"} <= facts(opened[0])
        assert [(report.kind, report.octets) for report in opened[1:]] == [
            ("pe", PROGRAM * 20),
            ("text", b"hello " * 50),
        ]

    def test_a_way_of_packing_nobody_knows_is_not_silent(self, pack) -> None:
        # Version needed, flags, and the method: 9 becomes 97, in both headers.
        strange = pack("p.zip", "-mm=Deflate64").replace(b"\x15\0\0\0\x09\0", b"\x15\0\0\0\x61\0")
        reports = look(strange)
        assert "unreadable" in facts(reports[0])
        assert [report.name for report in reports[1:]] == ["a.exe", "b.txt"]
        assert "unreadable" in facts(look(pack("p.7z", "-px", "-m0=PPMd"), "p.7z", passwords=("x",))[0])

    def test_deflate64(self, pack) -> None:
        reports = look(pack("p.zip", "-mm=Deflate64"))
        assert facts(reports[0]) == set()
        assert [(report.name, report.octets) for report in reports[1:]] == [
            ("a.exe", PROGRAM * 20),
            ("b.txt", b"hello " * 50),
        ]

    def test_deflate64_reaches_farther_than_deflate(self, pack, tmp_path: Path) -> None:
        some = random.Random(64).randbytes(60_000)
        whole = some + bytes(70_000) + some[::-1] + some + b"ab" * 40_000
        (tmp_path / "a.exe").write_bytes(whole)
        packed = pack("p.zip", "-mm=Deflate64", "-mx9")
        assert packed[8:10] == b"\x09\0"
        wide = FileLimits()
        assert look(packed, limits=wide)[1].octets == whole
        with pytest.raises(Damaged):
            inflate64(packed[35:10_000], 1 << 20)  # behind the local header of "a.exe"
        assert len(inflate64(packed[35:], 1000)[0]) == 1000

    def test_a_cut_archive(self, pack) -> None:
        octets = pack("p.7z")
        for end in (10, 40, len(octets) // 2, len(octets) - 3):
            assert facts(look(octets[:end], "p.7z")[0])


def test_a_rar_whose_list_is_locked() -> None:
    # RAR 5: signature, then a header of type 4, which says that all that follows is encrypted.
    archive = b"Rar!\x1a\x07\x01\x00" + bytes.fromhex("79a5e4c2") + b"\x21\x04\x00\x00\x01\x0f" + bytes(28)
    report = look(archive, "a.rar")[0]
    assert facts(report) & {"encrypted", "failed", "unreadable"}


def test_a_stored_rar4() -> None:
    import zlib

    def block(kind: int, flags: int, body: bytes, data: bytes = b"") -> bytes:
        size = 7 + len(body)
        rest = bytes((kind,)) + flags.to_bytes(2, "little") + size.to_bytes(2, "little") + body
        return (zlib.crc32(rest) & 0xFFFF).to_bytes(2, "little") + rest + data

    name = b"a.exe"
    body = (
        len(PROGRAM).to_bytes(4, "little") * 2 + b"\2" + zlib.crc32(PROGRAM).to_bytes(4, "little") + bytes(4) + b"\x14\x30"
        + len(name).to_bytes(2, "little") + (0x20).to_bytes(4, "little") + name
    )  # fmt: skip
    archive = (
        b"Rar!\x1a\x07\0"
        + block(0x73, 0, bytes(6))
        + block(0x74, 0x8000, body, PROGRAM)
        + block(0x7B, 0x4000, b"")
    )
    reports = look(archive, "a.rar")
    assert [(report.name, report.kind) for report in reports[1:]] == [("a.exe", "pe")]
    assert reports[1].octets == PROGRAM


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (bytes(7) + b"**ACE**" + bytes(40), "a.ace"),
        (b"vhdxfile" + bytes(40), "a.vhdx"),
    ],
)
def test_what_cannot_be_opened_says_so(octets: bytes, name: str) -> None:
    assert "unreadable" in facts(look(octets, name)[0])


@pytest.mark.parametrize("name", ["a.zip.002", "a.z01", "a.r00", "scan.part2.rar", "setup.exe.001"])
def test_a_piece_of_an_archive_in_several_is_told(name: str) -> None:
    assert "unreadable" in facts(look(bytes(range(256)), name)[0])


@pytest.mark.parametrize("name", ["report.2024", "v1.002", "chapter.part2.pdf", "a.z1", "data.csv"])
def test_other_names_with_numbers_are_not(name: str) -> None:
    assert "unreadable" not in facts(look(b"some text", name)[0])


def test_a_wrong_checksum_is_told_and_the_member_handed_to_the_scanner() -> None:
    local, central = local_header(b"a.exe", PROGRAM), central_header(b"a.exe", PROGRAM, 0)
    wrong = (zlib.crc32(PROGRAM) ^ 1).to_bytes(4, "little")
    right = zlib.crc32(PROGRAM).to_bytes(4, "little")
    archive = (
        local.replace(right, wrong, 1)
        + central.replace(right, wrong, 1)
        + directory_end(1, len(central), len(local))
    )
    reports = look(archive)
    assert "ambiguous-archive" in facts(reports[0])
    assert any("checksum" in fact.text for fact in reports[0].facts)
    assert reports[1].octets == PROGRAM


def test_without_the_library_nothing_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libarchive", None)
    report = look(b"Rar!\x1a\x07\0" + bytes(40), "a.rar")[0]
    assert "unreadable" in facts(report)


def test_kept_octets_are_bounded() -> None:
    local = local_header(b"evil.exe", PROGRAM * 10)
    central = central_header(b"good.txt", PROGRAM * 10, 0)
    limits = FileLimits(kept_octets=len(PROGRAM) * 15)
    reports = look(local + central + directory_end(1, len(central), len(local)), limits=limits)
    assert sum(len(report.octets or b"") for report in reports) <= limits.kept_octets

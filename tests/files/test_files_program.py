"""What only 7-Zip opens, run inside the cage; without it nothing is silent."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from pathlib import Path

import pytest

from conftest import seven_zip
from file_samples import arj, fat_image, vhd
from gatepost.files import program
from gatepost.files.inspect import FileLimits, inspect_file
from gatepost.mail.filereport import FileReport
from gatepost.mail.message import Message
from gatepost.net.sandbox import Sandbox

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def windows_image(folder: Path) -> bytes:
    (folder / "eicar.com").write_bytes(EICAR)
    made = folder / "a.wim"
    subprocess.run([seven_zip(), "a", "-bso0", str(made), str(folder / "eicar.com")], check=True)
    return made.read_bytes()


def in_the_cage(name: str, octets: bytes, body: str = "hello") -> list[FileReport]:
    coded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    message = Message.parse(
        b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n%s\r\n--x\r\nContent-Type: "
        b"application/octet-stream; name=%s\r\nContent-Transfer-Encoding: base64\r\n\r\n%s--x--\r\n"
        % (body.encode(), name.encode(), coded)
    )

    async def look() -> list[FileReport]:
        sandbox = Sandbox()
        try:
            return list(await sandbox.inspect(message))
        finally:
            await sandbox.close()

    return asyncio.run(look())


def facts(reports: list[FileReport]) -> set[str]:
    return {fact.name for report in reports for fact in report.facts}


@pytest.mark.peers
def test_what_is_run_is_the_program_itself_and_no_line_for_the_shell() -> None:
    """Debian 13 has such a line where Debian 12 has the program; there is no shell in the cage."""
    seven_zip()
    chosen = next(Path(one) for one in program.PROGRAMS if Path(one).exists())
    assert chosen.read_bytes()[:4] == b"\x7fELF"


@pytest.mark.peers
@pytest.mark.parametrize("kind", ["wim", "arj", "disk", "vhd"])
def test_a_virus_in_it_is_handed_to_the_scanner(kind: str, tmp_path: Path) -> None:
    image = fat_image(b"EICAR   COM", EICAR)
    octets = {
        "wim": lambda: windows_image(tmp_path),
        "arj": lambda: arj(b"eicar.com", EICAR),
        "disk": lambda: image,
        "vhd": lambda: vhd(image),
    }[kind]()
    seven_zip()
    reports = in_the_cage(f"a.{kind}", octets)
    assert reports[0].kind == kind
    assert [one.octets for one in reports if one.octets == EICAR], (
        facts(reports),
        [one.shown for one in reports],
    )
    assert not facts(reports) & {"failed", "unreadable", "truncated"}


@pytest.mark.peers
@pytest.mark.parametrize("kind", ["arj", "vhd"])
def test_a_damaged_one_is_never_silent(kind: str) -> None:
    seven_zip()
    image = vhd(fat_image(b"EICAR   COM", EICAR)) if kind == "vhd" else arj(b"eicar.com", EICAR)
    damaged = image[: len(image) // 2] if kind == "arj" else b"conectix" + image[8:1000]
    assert facts(in_the_cage(f"a.{kind}", damaged)) & {"failed", "unreadable", "truncated"}


def test_without_the_program_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def look(scratch: str | None) -> set[str]:
        return facts(
            inspect_file("a.arj", "", arj(b"x", b"y"), 0, passwords=(), limits=FileLimits(), scratch=scratch)
        )

    assert "unreadable" in look(None)
    monkeypatch.setattr(program, "PROGRAMS", ())
    assert "unreadable" in look(str(tmp_path))
    refused = tmp_path / "7zz"
    refused.write_text("no program")
    monkeypatch.setattr(program, "PROGRAMS", (str(refused),))
    assert "unreadable" in look(str(tmp_path))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["7zz"], "nothing is left behind"


def stand_in(folder: Path, script: str) -> str:
    made = folder / "7zz"
    made.write_text(
        f'#!/bin/sh\nfor one in "$@"; do case $one in -o*) out=${{one#-o}};; -p*) word=${{one#-p}};; esac; done\n{script}\n'
    )
    made.chmod(0o755)
    return str(made)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("mkdir $out; ln -s /etc/passwd $out/link", {"link-member", "failed"}),
        ('mkdir $out; echo x >$out/x; echo "ERROR: No space left on device"; exit 2', {"truncated"}),
        ('echo "ERROR: Unsupported Method"; exit 2', {"unreadable"}),
        ('echo "ERROR: Data Error"; exit 2', {"failed"}),
        ('echo "ERROR: Wrong password"; exit 2', {"encrypted"}),
        ('[ "$word" = right ] || { echo "Wrong password"; exit 2; }; mkdir $out; echo x >$out/x', {"encrypted", "password-found"}),
        ("exit 0", {"failed"}),
    ],
)  # fmt: skip
def test_what_it_says_becomes_a_fact(
    script: str, expected: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(program, "PROGRAMS", (stand_in(tmp_path, script),))
    reports = inspect_file(
        "a.arj",
        "",
        arj(b"x", b"y"),
        0,
        passwords=("wrong", "right"),
        limits=FileLimits(),
        scratch=str(tmp_path),
    )
    assert facts(reports) == expected
    assert b"root:" not in b"".join(one.octets or b"" for one in reports)

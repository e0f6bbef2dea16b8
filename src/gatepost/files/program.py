"""What no library opens: virtual disks, disk and Windows images, ARJ. 7-Zip itself is run on it, inside the cage.

Only where there is a scratch folder, which is where Landlock says what may be read, written and run. The program gets the
file in that folder and unpacks it into another there; both are bounded by the size of the folder and of a file. What it
reports is believed no further than to choose a fact; what it unpacked is looked into like any member.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from gatepost.files.entries import note_name
from gatepost.files.notes import Notes
from gatepost.mail.address import printable

PROGRAMS = ("/usr/bin/7zz", "/usr/lib/7zip/7z", "/usr/lib/p7zip/7z", "/usr/bin/7z")
"""The program itself: where Debian says 7z (from 13 on) that is a line for the shell, which the cage does not run."""
TYPES = {
    "arj": "arj",
    "vhd": "vhd",
    "vhdx": "vhdx",
    "vmdk": "vmdk",
    "wim": "wim",
    "dmg": "dmg",
    "udf": "udf",
    "rar": "rar",
}
"""Our kinds in its words; for others it finds out by itself."""
MOST_SAID = 4000
"""Octets of what it says that are read."""
MAX_DEPTH = 40
NOT_RUN = -1000
FATAL = 2
"""Its exit status from which on something was not unpacked; 1 is a warning."""


def read_with_program(notes: Notes) -> None:
    """Note the members as 7-Zip unpacks them, or the fact ``unreadable`` when it cannot be run."""
    program = next((one for one in PROGRAMS if Path(one).exists()), "")
    scratch = notes.allowance.scratch
    if not program:
        notes.fact("unreadable", "7-Zip, which would open this kind of file, is not installed")
        return
    if scratch is None:
        notes.fact(
            "unreadable", "7-Zip, which would open this kind of file, cannot be run safely on this machine"
        )
        return
    place = Path(scratch) / f"look-{len(os.listdir(scratch))}"  # noqa: PTH208 - a count, and paths are not needed
    place.mkdir(mode=0o700)
    try:
        for password in ("", *notes.allowance.passwords):
            notes.allowance.check_time()
            status, said = _unpack(program, notes, place, password)
            if status == NOT_RUN:
                notes.fact("unreadable", f"7-Zip could not be run: {said}")
                return
            locked = "encrypted" in said.lower() or "wrong password" in said.lower()
            if not locked:
                break
            notes.fact("encrypted", "the archive is locked with a password")
        if password and not locked:
            notes.fact(
                "password-found", "a password from the mail opened it", {"password": printable(password, 60)}
            )
        count = _take_all(notes, place / "out", hidden=True)
        if status >= FATAL and not locked:
            _note_trouble(notes, said, count)
        elif not count and not locked:
            notes.fact("failed", "nothing was found in it")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _unpack(program: str, notes: Notes, place: Path, password: str) -> tuple[int, str]:
    """Its exit status, NOT_RUN when it could not be started, and the beginning of what it said."""
    source, out, words = place / "in", place / "out", place / "said"
    if not source.exists():
        source.write_bytes(notes.octets)
    shutil.rmtree(out, ignore_errors=True)
    kind = TYPES.get(notes.kind)
    command = [
        program, "x", "-y", "-bd", "-bso0", "-bsp0", "-mmt1", f"-o{out}", f"-p{password}",
        *([f"-t{kind}"] if kind else []), "--", str(source),
    ]  # fmt: skip
    try:
        with words.open("wb") as stream:
            # No clock of ours: the gate has one for every look, and ends the child with all it started.
            done = subprocess.run(  # noqa: S603 - no shell; every path is ours
                command, check=False, cwd=place, env={"LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            )  # fmt: skip
    except OSError as fault:
        return NOT_RUN, fault.strerror or str(fault)
    with words.open("rb") as stream:
        return done.returncode, stream.read(MOST_SAID).decode(errors="replace")


def _take_all(notes: Notes, folder: Path, *, hidden: bool) -> int:
    """Note every file below the folder; how many."""
    count = 0
    for path, name in _below(folder, "", 0):
        mode = path.lstat().st_mode
        note_name(notes, name)
        if stat.S_ISLNK(mode):
            notes.fact("link-member", f"the member {name!r} is a link")
            continue
        if not stat.S_ISREG(mode):
            continue
        room, size = notes.room(), path.lstat().st_size
        with path.open("rb") as stream:
            octets = stream.read(room)
        if size > len(octets):
            notes.fact("truncated", f"the member {name!r} is larger than is looked at")
        notes.member(name, octets, size=size, hidden=hidden)
        count += 1
    return count


def _below(folder: Path, above: str, depth: int) -> Iterator[tuple[Path, str]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda one: one.name)
    except OSError:
        return
    for one in entries:
        name = above + one.name
        if one.is_dir(follow_symlinks=False) and depth < MAX_DEPTH:
            yield from _below(Path(one.path), f"{name}/", depth + 1)
        else:
            yield Path(one.path), name


def _note_trouble(notes: Notes, said: str, count: int) -> None:
    low = said.lower()
    if "no space" in low or "too large" in low:
        notes.fact("truncated", "it unpacks to more than is looked at")
    elif "unsupported" in low or "cannot open" in low or "can not open" in low or "not implemented" in low:
        notes.fact(
            "unreadable", "nothing here can unpack it" if not count else "a part of it could not be unpacked"
        )
    else:
        notes.fact("failed", "it is damaged")

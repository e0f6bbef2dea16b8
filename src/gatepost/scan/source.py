"""Where messages to be scanned come from: a file, an mbox, a Maildir, a folder, standard input.

Line ends become CRLF, as they were in transit (RFC 5321 §2.3.8). A mailbox file is known by its first
line, ``From `` and an address or date (RFC 4155); ``>From `` inside is unquoted.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gatepost.mail.message import to_crlf

MAX_FILE_OCTETS = 2 * 1024**3
SEPARATOR = re.compile(rb"(?:\A|(?<=\n))From [^\r\n]*\r?\n")
QUOTED_FROM = re.compile(rb"(?m)^>(>*From )")
FIELD = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")


@dataclass(frozen=True, slots=True)
class Found:
    """One message of an input, or the reason why there is none."""

    path: str
    index: int
    """Place in its file, from 0."""
    octets: bytes = b""
    problem: str = ""
    """Why this is not a message, one sentence; empty when it is one."""


def paths_below(given: str) -> Iterator[Path]:
    """The files of a path as given: itself, a Maildir's messages, or a folder's files in the order of their names."""
    path = Path(given)
    if not path.is_dir():
        yield path
        return
    if (path / "cur").is_dir() and (path / "new").is_dir():
        for name in ("cur", "new"):
            yield from sorted(entry for entry in (path / name).iterdir() if entry.is_file())
        for entry in sorted(path.iterdir()):
            if entry.name.startswith(".") and (entry / "cur").is_dir():
                yield from paths_below(str(entry))
        return
    for entry in sorted(path.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from paths_below(str(entry))
        elif entry.is_file():
            yield entry


def messages_in(path: str) -> Iterator[Found]:
    """Every message of one file ("-" is standard input)."""
    try:
        octets = sys.stdin.buffer.read(MAX_FILE_OCTETS + 1) if path == "-" else read_bounded(Path(path))
    except OSError as fault:
        yield Found(path, 0, problem=f"cannot be read: {fault.strerror}")
        return
    if len(octets) > MAX_FILE_OCTETS:
        yield Found(path, 0, problem="is larger than 2 GiB")
        return
    for index, one in enumerate(split_mailbox(octets)):
        problem = why_no_message(one)
        yield Found(path, index, b"" if problem else to_crlf(one), problem)


def read_bounded(path: Path) -> bytes:
    """The file's octets, one more than allowed at most."""
    with path.open("rb") as file:
        return file.read(MAX_FILE_OCTETS + 1)


def split_mailbox(octets: bytes) -> Iterator[bytes]:
    """The messages of an mbox; the whole when it is none."""
    if not octets.startswith(b"From "):
        yield octets
        return
    starts = list(separators(octets))
    if not starts:
        yield octets
        return
    for place, match in enumerate(starts):
        end = starts[place + 1].start() if place + 1 < len(starts) else len(octets)
        one = octets[match.end() : end]
        if place + 1 < len(starts):
            one = one.removesuffix(b"\r\n") if one.endswith(b"\r\n\r\n") else one.removesuffix(b"\n")
        yield QUOTED_FROM.sub(rb"\1", one) if len(starts) > 1 else one


def separators(octets: bytes) -> Iterator[re.Match[bytes]]:
    """Separator lines that follow an empty line, without copying what lies before each."""
    for match in SEPARATOR.finditer(octets):
        at = match.start()
        if at == 0 or octets[at - 2 : at] == b"\n\n" or octets[at - 4 : at] == b"\r\n\r\n":
            yield match


def why_no_message(octets: bytes) -> str:
    """A sentence when these octets cannot be a message: nothing in them looks like a header field."""
    if not octets.strip():
        return "is empty"
    head = octets[:65536].lstrip(b"\r\n")
    for line in head.split(b"\n", 50)[:50]:
        if FIELD.match(line):
            return ""
        if line.strip() == b"":
            break
    return "is not a message: it has no header field"

"""Final delivery into a Maildir: `<base>/<domain>/<local part>/{tmp,new,cur}`, junk in its `.Junk/`.

A copy is written to tmp, synced, linked into new and synced again; the name in tmp stays until the
queue has settled (`Filed.forget`). So a try after a crash sees by the link count whether the copy was
filed, even when a reader has moved it since. Lines end in LF, as everything that reads a Maildir
expects. It leaves out quotas and filtering, which belong to the mailbox server.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gatepost.mail.address import Address

JUNK = ".Junk"
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-+=.")
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A copy that is durably in the mailbox."""

    path: Path
    again: bool
    """It was there already: an earlier try had filed it and died before saying so."""
    mark: Path
    """The second name in tmp, kept until the queue has settled."""

    def forget(self) -> None:
        """Remove the mark once the queue has settled; a mark left behind is swept by the mailbox server."""
        with contextlib.suppress(OSError):
            self.mark.unlink()


def file_copy(*, base: Path, to: Address, octets: bytes, name: str, junk: bool = False) -> Filed:
    """File `octets` (CRLF line ends, trace fields included) for `to` and return when they are durable.

    `name` is the copy's name for ever: the same one for every try of the same queue item. Raises OSError.
    Blocks on the disk: call it in a thread.
    """
    folder = mailbox(base, to, junk=junk)
    mark, path = folder / "tmp" / name, folder / "new" / name
    if _filed_before(mark, path):
        return Filed(path=path, again=True, mark=mark)
    try:
        _write(mark, octets)
    except FileNotFoundError:
        _make(base, folder)
        _write(mark, octets)
    with contextlib.suppress(FileExistsError):
        os.link(mark, path)
    _sync_folder(path.parent)
    return Filed(path=path, again=False, mark=mark)


def mailbox(base: Path, to: Address, *, junk: bool = False) -> Path:
    """The Maildir of `to`, a local part's case being one person's."""
    folder = base / safe_name(to.domain) / safe_name(to.local)
    return folder / JUNK if junk else folder


def safe_name(text: str) -> str:
    """`text` as one folder name: lower case, everything unusual percent-encoded, never hidden, never too long."""
    octets = text.lower().encode("utf-8", "surrogatepass")
    name = "".join(
        chr(octet) if octet in _PLAIN and not (at == 0 and octet == 0x2E) else f"%{octet:02X}"
        for at, octet in enumerate(octets)
    )
    if len(name) > _LONGEST_NAME:
        name = name[:100] + "%" + sha256(octets).hexdigest()
    return name or "%"


def copy_name(*, created_at: float, ref: str, item: int, hostname: str) -> str:
    """The name of a queue item's copy: the same at every try."""
    return f"{int(created_at)}.G{safe_name(ref)}I{item}.{safe_name(hostname)}"


def _filed_before(mark: Path, path: Path) -> bool:
    """Two names of one file: filed, wherever the reader has moved it. Still in new: filed as well."""
    try:
        if mark.stat().st_nlink > 1:
            return True
    except FileNotFoundError:
        pass
    return path.exists()


def _write(mark: Path, octets: bytes) -> None:
    handle = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(octets.replace(b"\r\n", b"\n"))
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _make(base: Path, folder: Path) -> None:
    """The mailbox and what lies above it, each 0700 and known to the disk."""
    missing = [folder]
    while missing[-1] != base and not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    base.parent.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(one.parent)
    # tmp comes last: a mailbox with a tmp is whole.
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(mode=0o700, exist_ok=True)
    if folder.name == JUNK:
        (folder / "maildirfolder").touch(mode=0o600)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

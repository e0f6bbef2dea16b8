"""Octets too large for a row, as files: written, synced, named, and the folder synced before the row commits.

A file without a row is what a crash left behind and is swept when it is old; a row without its file can only
mean damage, and is reported.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from gatepost.store.disk import Disk, closing
from gatepost.store.failures import DuplicateRef, translated

UNFINISHED = ".unfinished"


class Spool:
    """The folder of message files: ``spool/<last character of the reference>/<reference>``."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.folder = folder
        self.disk = disk or Disk()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._synced: set[Path] = set()

    def write(self, ref: str, octets: bytes) -> None:
        """Keep the octets under `ref`, durably. Raises StoreFull or StoreFailed, and then leaves nothing behind.

        Raises DuplicateRef when there is such a file: the unfinished file, which only one can create, is also
        the lock under which that is looked up.
        """
        path = self.path_of(ref)
        unfinished = path.with_name(path.name + UNFINISHED)
        with translated():
            self._make_folder(path.parent)
            try:
                number = self.disk.create(unfinished)
            except FileExistsError as failure:
                raise DuplicateRef(f"reference {ref} is taken") from failure
            named = False
            try:
                with closing(number):
                    if path.exists():
                        raise DuplicateRef(f"reference {ref} is taken")
                    self.disk.write(number, octets)
                    self.disk.sync(number)
                self.disk.rename(unfinished, path)
                named = True
                self.disk.sync_folder(path.parent)
            except (OSError, DuplicateRef):
                with contextlib.suppress(OSError):
                    (path if named else unfinished).unlink(missing_ok=True)
                raise

    def read(self, ref: str) -> bytes:
        """The octets kept under `ref`; StoreFailed when the file is not there."""
        with translated():
            return self.disk.read(self.path_of(ref))

    def remove(self, ref: str) -> None:
        """Forget the octets. A file that stays because this fails is swept later."""
        with contextlib.suppress(OSError):
            self.disk.remove(self.path_of(ref))

    def size(self, ref: str) -> int | None:
        """How many octets the file has; None without one."""
        try:
            return self.path_of(ref).stat().st_size
        except OSError:
            return None

    def path_of(self, ref: str) -> Path:
        """Where the file is or would be."""
        return self.folder / ref[-1:] / ref

    def files(self) -> Iterator[os.DirEntry[str]]:
        """Every file in the spool, unfinished ones too."""
        with os.scandir(self.folder) as folders:
            for folder in folders:
                if folder.is_dir(follow_symlinks=False):
                    with os.scandir(folder.path) as files:
                        yield from files

    def _make_folder(self, folder: Path) -> None:
        """Once in the life of a process its name is synced, whoever made it."""
        if folder not in self._synced:
            folder.mkdir(mode=0o700, exist_ok=True)
            self.disk.sync_folder(self.folder)
            self._synced.add(folder)

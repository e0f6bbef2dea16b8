"""The only hands the store has on the file system, so that tests can make every one of them fail; and the room left.

A file is durable when its octets are synced, it has its name, and the folder that holds the name is synced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pysqlite3 import dbapi2


class Disk:
    """Plain system calls. Every method may raise OSError; `connect` may raise a database error."""

    def connect(self, path: Path, *, read_only: bool = False) -> dbapi2.Connection:
        """A connection in autocommit mode that any one thread at a time may use."""
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        return dbapi2.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=0)

    def create(self, path: Path) -> int:
        """A new file, mode 0600; FileExistsError when there is one. Returns its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, number: int, octets: bytes) -> None:
        """Write all of it."""
        view = memoryview(octets)
        while view:
            view = view[os.write(number, view) :]

    def sync(self, number: int) -> None:
        """All written through this descriptor is on the disk when this returns."""
        os.fsync(number)

    def rename(self, old: Path, new: Path) -> None:
        """Give a finished file its name."""
        old.rename(new)

    def sync_folder(self, folder: Path) -> None:
        """The names in this folder are on the disk when this returns."""
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with closing(number):
            self.sync(number)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is not there is fine."""
        path.unlink(missing_ok=True)

    def read(self, path: Path) -> bytes:
        """The whole file."""
        return path.read_bytes()


@contextlib.contextmanager
def closing(number: int) -> Iterator[None]:
    """Close the descriptor in any case."""
    try:
        yield
    finally:
        os.close(number)


def give_to_owner(number: int, folder: Path) -> None:
    """What root makes in a folder of the gate's own account is that account's: else the gate could not read it."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(number, owner.st_uid, owner.st_gid)


class Room(StrEnum):
    """How much room is left on the file system."""

    OK = "ok"
    LOW = "low"
    """A person should be told."""
    FULL = "full"
    """No more mail is taken (452 4.3.1), so that what is here can still be delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """When the disk counts as low and as full: below the octets, or on a small disk below the percentage."""

    low_octets: int = 2 * 1024**3
    """Below so many free octets the postmaster is told."""
    low_percent: float = 10.0
    """Below this share of free space the postmaster is told, on disks where that is less than `low_octets`."""
    full_octets: int = 256 * 1024**2
    """Below so many free octets no mail is taken."""
    full_percent: float = 5.0
    """Below this share of free space no mail is taken, on disks where that is less than `full_octets`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The file system of the state folder, and what of the database's own file can be used again."""

    free_octets: int
    total_octets: int
    reusable_octets: int = 0
    """Pages of what was delivered or forgotten: the file does not shrink, new mail is written there."""

    def room(self, settings: RoomSettings) -> Room:
        """How much that is."""
        return judge(self.free_octets, self.total_octets, settings, reusable=self.reusable_octets)


def space(path: Path, *, reusable_octets: int = 0) -> Space:
    """Of the file system of `path`; one `statvfs`."""
    usage = shutil.disk_usage(path)
    return Space(free_octets=usage.free, total_octets=usage.total, reusable_octets=reusable_octets)


def judge(free: int, total: int, settings: RoomSettings, *, reusable: int = 0) -> Room:
    """Octets first, but never more than the percentage of a small disk. A disk that our own database filled takes mail again
    once room was made in it."""
    if free + reusable < min(settings.full_octets, total * settings.full_percent / 100):
        return Room.FULL
    if free < min(settings.low_octets, total * settings.low_percent / 100):
        return Room.LOW
    return Room.OK

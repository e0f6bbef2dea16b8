"""What a disk may hold after a power failure, worked out from a log of what was written to it.

The rules are the strict ones: octets are certain once their file was synced, names once their folder was; of all
else any part may be there, writes in any order and torn at 512 octets, names of one folder in order.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512


@dataclass
class File:
    """One file's octets: those that are certain, and what was done since."""

    certain: bytearray = field(default_factory=bytearray)
    open_ends: list[tuple[str, int, bytes]] = field(default_factory=list)


@dataclass(frozen=True)
class Record:
    """One thing that happened."""

    what: str
    path: str
    offset: int
    data: bytes


def read_log(path: Path) -> Iterator[Record]:
    """The records of a log, in order."""
    octets = path.read_bytes()
    position = 0
    while position < len(octets):
        what = chr(octets[position])
        (length,) = struct.unpack_from("=I", octets, position + 1)
        name = octets[position + 5 : position + 5 + length].decode()
        position += 5 + length
        offset, size = struct.unpack_from("=QI", octets, position)
        position += 12
        yield Record(what, name, offset, octets[position : position + size])
        position += size


class PowerlessDisk:
    """Follows a log; at any moment `leave` writes down what could be left."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.live: dict[str, File | None] = {root: None}
        """Names as the running program sees them; None is a folder."""
        self.certain: dict[str, File | None] = {root: None}
        self.open_ends: list[tuple[str, str, File | None]] = []
        """Names made (or, with the mark U, removed) in folders that were not synced since."""

    def follow(self, record: Record) -> None:
        """One more thing happened."""
        path = record.path
        match record.what:
            case "W" | "T":
                file = self.live[path]
                assert file is not None
                file.open_ends.append((record.what, record.offset, record.data))
            case "S" if self.live[path] is None:
                still_open = [end for end in self.open_ends if parent(end[1]) != path]
                for end in self.open_ends:
                    if parent(end[1]) == path:
                        self.name(self.certain, *end)
                self.open_ends = still_open
            case "S":
                file = self.live[path]
                assert file is not None
                for end in file.open_ends:
                    apply(file.certain, *end)
                file.open_ends.clear()
            case "C" | "D":
                self.change("+", path, File() if record.what == "C" else None)
            case "U":
                self.change("U", path, None)
            case "R":
                file = self.live[path]
                self.change("U", path, None)
                self.change("+", record.data.decode(), file)

    def change(self, mark: str, path: str, file: File | None) -> None:
        self.name(self.live, mark, path, file)
        self.open_ends.append((mark, path, file))

    @staticmethod
    def name(names: dict[str, File | None], mark: str, path: str, file: File | None) -> None:
        if mark == "U":
            names.pop(path, None)
        else:
            names[path] = file

    def leave(self, target: Path, chance: float, dice: random.Random) -> None:
        """Write a state into `target`: of what is uncertain, each part is there with this chance."""
        names = dict(self.certain)
        cut: set[str] = set()
        for end in self.open_ends:
            if parent(end[1]) not in cut and dice.random() < chance:
                self.name(names, *end)
            else:
                cut.add(parent(end[1]))  # names of a folder come in order
        for path in sorted(names):
            where = target / path[len(self.root) :].lstrip("/")
            if not where.parent.is_dir() and path != self.root:
                continue
            file = names[path]
            if file is None:
                where.mkdir(exist_ok=True)
            else:
                where.write_bytes(after_power(file, chance, dice))


def after_power(file: File, chance: float, dice: random.Random) -> bytes:
    """The certain octets with some of the rest."""
    octets = bytearray(file.certain)
    for what, offset, data in file.open_ends:
        if what == "T":
            if dice.random() < chance:
                apply(octets, what, offset, data)
            continue
        for start in range(0, len(data), SECTOR):
            if dice.random() < chance:
                apply(octets, what, offset + start, data[start : start + SECTOR])
    return bytes(octets)


def apply(octets: bytearray, what: str, offset: int, data: bytes) -> None:
    if what == "T":
        del octets[offset:]
        octets.extend(bytes(offset - len(octets)))
        return
    octets.extend(bytes(max(0, offset - len(octets))))
    octets[offset : offset + len(data)] = data


def parent(path: str) -> str:
    return path.rpartition("/")[0]

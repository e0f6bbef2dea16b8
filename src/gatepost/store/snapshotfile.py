"""The file a model is kept in: one line that says what it is, then the model. Looking at the line costs nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

FOLDER = "model"
SITE, BEFORE = "site", "site.before"
"""The newest, and the one that it replaced."""
MOST_OCTETS = 256 << 20
LONGEST_LABEL = 4096
Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a snapshot says of itself."""

    applied: int
    """The number of the last lesson in it."""
    trained_on: int
    """Messages it was made from at once; what came later was added one by one."""
    made_at: float
    """Unix seconds."""
    wanted: int = 0
    """Messages it has learnt."""
    unwanted: int = 0
    ready: bool = False
    """Has it learnt enough to count?"""
    digest: str = ""
    """SHA-256 of what follows."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """Why a file cannot be used."""

    text: str


def label_of(state: Path) -> Label | None:
    """What the newest snapshot of a state folder says of itself, unproved; None when there is none."""
    try:
        with (state / FOLDER / SITE).open("rb") as file:
            return msgspec.json.decode(file.readline(LONGEST_LABEL), type=Label)
    except (OSError, msgspec.MsgspecError):
        return None


def trouble(state: Path) -> str:
    """One sentence when there is a snapshot that cannot be read, or empty."""
    path = state / FOLDER / SITE
    stamp = stamp_of(path)
    return _trouble(path, stamp) if stamp else ""


@lru_cache(maxsize=4)
def _trouble(path: Path, stamp: Stamp) -> str:
    """Read only once for every version of the file."""
    del stamp
    found = read_labelled(path)
    return f"{path}: {found.text}" if isinstance(found, Damaged) else ""


def read_labelled(path: Path) -> tuple[Label, bytes] | Damaged | None:
    """Label and octets as they were written, or what is wrong; None when there is no such file."""
    try:
        with path.open("rb") as file:
            head = file.readline(LONGEST_LABEL)
            octets = file.read(MOST_OCTETS)
    except FileNotFoundError:
        return None
    except OSError as fault:
        return Damaged(f"it cannot be read ({fault.strerror})")
    try:
        label = msgspec.json.decode(head, type=Label)
    except msgspec.MsgspecError:
        return Damaged("it is damaged: it does not say what it is")
    if hashlib.sha256(octets).hexdigest() != label.digest:
        return Damaged("it is damaged: it is not what was written")
    return label, octets


def stamp_of(path: Path) -> Stamp | None:
    """What changes when the file does."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size

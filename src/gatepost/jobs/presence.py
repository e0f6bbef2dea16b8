"""Is a gate at work on a state folder? A lock that the kernel gives back when its holder dies, however it dies.

Two gates on one state would take each other's mail in hand, and a backup is not restored under a running one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

LOCK = "gate.lock"


class AlreadyRunning(Exception):
    """Another gate works on this state folder."""


@contextlib.contextmanager
def presence(state: Path, number: int = 0) -> Iterator[None]:
    """Held by process `number` of those that deliver, for as long as it lives. Raises AlreadyRunning."""
    name = f"{LOCK}-{number + 1}" if number else LOCK
    lock = os.open(state / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"another gate is at work on {state}") from None
        os.utime(lock)
        yield
    finally:
        os.close(lock)


def is_running(state: Path) -> bool:
    """Does a gate work on this folder? Changes nothing; OSError when that cannot be seen."""
    return running_since(state) is not None


def running_since(state: Path) -> float | None:
    """Since when, in Unix seconds; None when no gate does, nor a process that one left behind and that still delivers."""
    found = (locked_since(path) for path in (state / LOCK, *sorted(state.glob(f"{LOCK}-*"))))
    return next((since for since in found if since is not None), None)


def delivering(state: Path) -> int:
    """How many processes deliver now."""
    return sum(locked_since(path) is not None for path in state.glob(f"{LOCK}*"))


def locked_since(path: Path) -> float | None:
    """The same of one process."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.fstat(lock).st_mtime
    finally:
        os.close(lock)
    return None

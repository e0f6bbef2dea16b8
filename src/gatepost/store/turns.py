"""Writers of several processes take turns, first come first served.

Two lock files make a turnstile: whoever waits for the turn holds the place of the next in line, so that
the one who just had it cannot slip in again before. The kernel lets go of both when a process dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class Turns:
    """One taker of turns; another thread of the same process needs another one."""

    def __init__(self, path: Path) -> None:
        self._turn = _open(Path(f"{path}-turn"))
        self._next = _open(Path(f"{path}-next"))

    def take_now(self) -> bool:
        """Take the turn if nobody has it or waits for it."""
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._next, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                fcntl.flock(self._next, fcntl.LOCK_UN)
            return True
        return False

    def take(self) -> None:
        """Wait for the turn."""
        fcntl.flock(self._next, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)

    def give(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give back everything."""
        os.close(self._turn)
        os.close(self._next)


@contextlib.contextmanager
def turn(path: Path) -> Iterator[None]:
    """The turn for a thread that may wait for it."""
    turns = Turns(path)
    try:
        turns.take()
        yield
    finally:
        turns.close()


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

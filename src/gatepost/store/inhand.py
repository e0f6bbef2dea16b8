"""Which messages a process has under its hands: read after its death, to find the one that kills whoever touches it.

A file of its own, written without waiting for the disk: what the kernel has outlives the process, and a machine that
falls is nobody's message. It holds references and nothing else. Where it cannot be written nothing is remembered, and mail goes on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

SLOT_OCTETS = 24
MOST = 4096
"""Messages at a time; of more nothing is noted."""


class InHand:
    """One process's file; `deaths` says how often in a row a message was in hand when the process died."""

    def __init__(self, path: Path) -> None:
        """Reads what the last process left behind. Never raises: there may be no room."""
        self.deaths: dict[str, int] = {}
        self._slots: dict[str, int] = {}
        self._holders: dict[str, int] = {}
        """Several destinations may have the same message."""
        self._free: list[int] = []
        self._number = -1
        with contextlib.suppress(OSError):
            self._number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self.deaths = left_in(os.pread(self._number, MOST * SLOT_OCTETS, 0))
            os.ftruncate(self._number, 0)
        self._free = list(range(MOST))[::-1]

    @contextlib.contextmanager
    def holding(self, ref: str) -> Iterator[None]:
        """While the message is worked on. However that ends, as long as it ends: the message kills nobody."""
        self._holders[ref] = self._holders.get(ref, 0) + 1
        if self._holders[ref] == 1 and self._free:
            self._slots[ref] = slot = self._free.pop()
            self._write(slot, f"{self.deaths.get(ref, 0) % 10}{ref}".encode()[:SLOT_OCTETS])
        try:
            yield
        finally:
            self._holders[ref] -= 1
            if not self._holders[ref]:
                del self._holders[ref]
                self.deaths.pop(ref, None)
                if ref in self._slots:
                    slot = self._slots.pop(ref)
                    self._write(slot, b"")
                    self._free.append(slot)

    def close(self) -> None:
        """Nothing more is noted."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def _write(self, slot: int, octets: bytes) -> None:
        if self._number >= 0:
            with contextlib.suppress(OSError):
                os.pwrite(self._number, octets.ljust(SLOT_OCTETS, b"\0"), slot * SLOT_OCTETS)


def left_in(octets: bytes) -> dict[str, int]:
    """Each message in hand at the last death, with how many deaths in a row that makes; what is unreadable counts as none."""
    found: dict[str, int] = {}
    for start in range(0, len(octets), SLOT_OCTETS):
        text = octets[start : start + SLOT_OCTETS].rstrip(b"\0").decode("ascii", "replace")
        if text[:1].isdecimal() and text[1:].isalnum():
            found[text[1:]] = int(text[0]) + 1
    return found

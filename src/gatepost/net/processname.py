"""What `top` and `ps -o comm` call a process."""

from __future__ import annotations

import ctypes

_PR_SET_NAME = 15  # linux/prctl.h


def call_process(name: str) -> None:
    """From now on, with ``gate`` before it; the kernel keeps 15 octets."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, b"gate " + name.encode(), 0, 0, 0)

"""What a process and those forked from it keep of memory that is free or shared: the C library's settings, and the moment before a fork.

Elsewhere than with glibc and CPython nothing happens.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable

LARGE_OCTETS = 1024**2
_M_MMAP_THRESHOLD = -3  # malloc.h


def keep_little() -> None:
    """A large message's octets go back to the system when it is done with.

    Left to itself the C library learns from the first large block that is freed to keep as much for the next: every process
    would hold tens of megabytes (mallopt(3), M_MMAP_THRESHOLD).
    """
    if (mallopt := _of_c("mallopt")) is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_OCTETS)


def settle() -> None:
    """Before a process forks for the first time: as little as possible of what children share is written to, or free.

    The collector leaves it alone. The interpreter's cache of attributes counts references to names; emptied once here, it need not
    let go of them, page by page, in each child. What starting left free goes back to the system.
    """
    gc.collect()
    gc.freeze()
    if (
        clear := getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache", None)
    ) is not None:
        clear()
    if (trim := _of_c("malloc_trim")) is not None:
        trim(0)


def _of_c(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None)

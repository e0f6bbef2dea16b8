"""Which files a confined process may open, and which programs it may run: Landlock (linux/landlock.h), through ctypes.

Whatever the kernel's version of it can forbid is forbidden, and then the named paths are allowed again. TCP and
abstract sockets, and signals to others, are forbidden too where the kernel knows how.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from gatepost.net.seccomp import CannotConfine

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same on every architecture
_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE, _READ, _LIST, _REMOVE_FOLDER, _REMOVE_FILE = 1, 2, 4, 8, 16, 32
_MAKE_FOLDER, _MAKE_FILE, _TRUNCATE = 1 << 7, 1 << 8, 1 << 14
_ALL_OF_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL = (1 << 16) - 1
_TCP = 3
_SCOPED = 3
"""Abstract Unix sockets, and signals."""

READ = _READ | _LIST
WRITE = READ | _WRITE | _REMOVE_FOLDER | _REMOVE_FILE | _MAKE_FOLDER | _MAKE_FILE | _TRUNCATE
RUN = READ | _EXECUTE
DEVICE = _READ | _WRITE
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE
"""What may be said of a path that is no folder."""


def version() -> int:
    """Of the kernel's Landlock; 0 where there is none."""
    return max(0, _call(_CREATE, None, 0, _VERSION))


def restrict(rules: Iterable[tuple[str, int]]) -> None:
    """From here on only these paths, each with what may be done beneath it; a path that is not there is passed over.

    Needs no_new_privs. CannotConfine when the kernel has no Landlock, or refuses.
    """
    known = version()
    if known == 0:
        raise CannotConfine("the kernel has no Landlock")
    handled = _ALL_OF_VERSION.get(known, _ALL)
    attributes = struct.pack("=QQQ", handled, _TCP, _SCOPED)[: 8 if known < 4 else 16 if known < 6 else 24]
    ruleset = _call(_CREATE, attributes, len(attributes), 0)
    if ruleset < 0:
        raise CannotConfine(f"Landlock: {os.strerror(ctypes.get_errno())}")
    try:
        for path, rights in rules:
            _allow(ruleset, path, rights & handled)
        if _call(_RESTRICT, ruleset, 0) != 0:
            raise CannotConfine(f"Landlock: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - at the bottom of things, and once
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        if _call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0) != 0:
            raise CannotConfine(f"Landlock, {path}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    converted = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return int(libc.syscall(ctypes.c_long(number), *converted))

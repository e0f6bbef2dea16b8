"""Lock this process up: no network, no files but a scratch folder, little memory, no way back.

In this order, because each step needs what the next takes away: limits, another account when root, namespaces of its
own, a scratch folder of bounded size, no capabilities, Landlock, and the filter of system calls last. What the kernel
does not have is done without, as long as one thing keeps it from the network and one from the files.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

from gatepost.net import landlock, seccomp
from gatepost.net.privileges import drop_capabilities
from gatepost.net.seccomp import CannotConfine

NOBODY = 65534
PROGRAMS = ("/usr/bin/7zz", "/usr/bin/7z", "/usr/lib/7zip", "/usr/lib/p7zip")
"""All that may be run, and only where Landlock holds: archives that no library opens."""
_LINKER = ("/lib64", "/lib", "/usr/lib", "/usr/lib64")
_READABLE = (
    "/usr/lib",
    "/lib",
    "/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/dev/urandom",
    "/proc/self/maps",
)
_NEW_USER, _NEW_NET, _NEW_MOUNTS, _NEW_IPC = 0x10000000, 0x40000000, 0x00020000, 0x08000000
_NO_SUID_NO_DEVICES = 2 | 4
_SET_DUMPABLE = 4


def confine(*, scratch: str, memory_octets: int, scratch_octets: int, use_landlock: bool = True) -> list[str]:
    """Close the cage around this process for good; what it is made of. CannotConfine when too little of it can be had."""
    _limits(memory_octets, scratch_octets)
    _become_nobody()
    by = []
    if _own_world():
        by.append("namespaces")
        if _bounded_scratch(scratch, scratch_octets):
            by.append("scratch")
        resource.setrlimit(resource.RLIMIT_NPROC, (32, 32))  # counted apart in a user namespace
    os.chdir(scratch)
    _drop_capabilities()
    files = use_landlock and landlock.version() > 0
    programs = files and "namespaces" in by
    if files:
        _no_new_privileges()
        landlock.restrict(_paths(scratch, programs=programs))
        by.append("landlock")
    try:
        seccomp.load(seccomp.filter_program(files=files, programs=programs))
        by.append("seccomp")
    except CannotConfine as why:
        # Without the filter, only an empty network and Landlock together keep it from sockets and files.
        if not (files and "namespaces" in by):
            raise CannotConfine(
                f"neither a filter of system calls nor namespaces can be had here ({why})"
            ) from None
    return by


def _limits(memory_octets: int, scratch_octets: int) -> None:
    """RLIMIT_DATA rather than RLIMIT_AS: address space that is only reserved costs nothing."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    for which, value in (
        (resource.RLIMIT_DATA, memory_octets),
        (resource.RLIMIT_FSIZE, scratch_octets),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        _, hard = resource.getrlimit(which)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


def _become_nobody() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def _own_world() -> bool:
    """Namespaces: an empty network, mounts of one's own. Many machines forbid them, and that is no mistake."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    libc.prctl(_SET_DUMPABLE, 1, 0, 0, 0)  # or /proc/self is root's, after becoming another
    if libc.unshare(_NEW_USER | _NEW_NET | _NEW_MOUNTS | _NEW_IPC) != 0:
        return False
    with contextlib.suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", "ascii")
    libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    return True


def _bounded_scratch(scratch: str, octets: int) -> bool:
    """A file system in memory over the scratch folder, which can be filled and nothing else can be."""
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={octets},nr_inodes=8192,mode=700".encode()
    return bool(libc.mount(b"scratch", os.fsencode(scratch), b"tmpfs", _NO_SUID_NO_DEVICES, options) == 0)


def _drop_capabilities() -> None:
    why = drop_capabilities()
    if why:
        raise CannotConfine(why)


def _no_new_privileges() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(38, 1, 0, 0, 0) != 0:
        raise CannotConfine(f"no_new_privs: {os.strerror(ctypes.get_errno())}")


def _paths(scratch: str, *, programs: bool) -> Iterable[tuple[str, int]]:
    """What can be opened: code and libraries to read, the scratch folder to write."""
    roots = [sys.prefix, sys.base_prefix, *sys.path]
    # A system's own Python lives in /usr: its libraries are enough.
    ours = {one for one in roots if one and one not in ("/", "/usr")}
    yield from ((one, landlock.READ) for one in (*_READABLE, *ours))
    yield "/dev/null", landlock.DEVICE
    yield scratch, landlock.WRITE
    if programs:
        yield from ((one, landlock.RUN) for one in (*PROGRAMS, *_LINKER))

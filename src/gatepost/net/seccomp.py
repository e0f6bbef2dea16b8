"""Which system calls a confined process may make: a seccomp filter, put together by hand and loaded with `prctl`.

An allow list for x86_64 and aarch64 (linux/seccomp.h, linux/filter.h, asm/unistd.h). What is not on it fails with
EPERM, so that a library that only tries something goes on; what no parser of files can have an honest use for, such
as a socket, kills the process. Which files may be opened is not seccomp's to say: see `landlock`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF, _JUMP_IF_AT_LEAST, _JUMP_IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000
_THREAD = 0x00010000
"""CLONE_THREAD: a thread, not a process."""
_NAMESPACES = 0x7E020000
"""Every CLONE_NEW…: no way out of the confinement by way of a new world."""
_FIOCLEX, _FIONCLEX = 0x5451, 0x5450

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""Machine -> what the kernel calls it (linux/audit.h), and its column below."""

CALLS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "poll": (7, None), "lseek": (8, 62),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67), "pwrite64": (18, 68),
    "readv": (19, 65), "writev": (20, 66), "select": (23, None), "sched_yield": (24, 124), "mremap": (25, 216),
    "madvise": (28, 233), "dup": (32, 23), "nanosleep": (35, 101), "setitimer": (38, 103), "getpid": (39, 172),
    "exit": (60, 93), "uname": (63, 160), "fcntl": (72, 25), "ftruncate": (77, 46), "getcwd": (79, 17),
    "gettimeofday": (96, 169), "getrlimit": (97, 163), "getrusage": (98, 165), "sysinfo": (99, 179),
    "times": (100, 153), "getuid": (102, 174), "getgid": (104, 176), "geteuid": (107, 175), "getegid": (108, 177),
    "getppid": (110, 173), "sigaltstack": (131, 132), "fstatfs": (138, 44), "arch_prctl": (158, None),
    "gettid": (186, 178), "futex": (202, 98), "sched_getaffinity": (204, 123), "set_tid_address": (218, 96),
    "restart_syscall": (219, 128), "fadvise64": (221, 223), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115), "exit_group": (231, 94), "pselect6": (270, 72), "ppoll": (271, 73),
    "set_robust_list": (273, 99), "dup3": (292, 24), "pipe2": (293, 59), "getrandom": (318, 278),
    "memfd_create": (319, 279), "membarrier": (324, 283), "rseq": (334, 293), "close_range": (436, 436),
}  # fmt: skip
"""What every process may do: its own memory, time and open files."""

FILE_CALLS: dict[str, tuple[int | None, int | None]] = {
    "open": (2, None), "stat": (4, None), "lstat": (6, None), "access": (21, None), "rename": (82, None),
    "mkdir": (83, None), "rmdir": (84, None), "unlink": (87, None), "readlink": (89, None), "getdents64": (217, 61),
    "openat": (257, 56), "mkdirat": (258, 34), "newfstatat": (262, 79), "unlinkat": (263, 35), "renameat": (264, 38),
    "readlinkat": (267, 78), "faccessat": (269, 48), "renameat2": (316, 276), "statx": (332, 291),
    "faccessat2": (439, 439),
}  # fmt: skip
"""By path: only where something else says which paths."""

PROGRAM_CALLS: dict[str, tuple[int | None, int | None]] = {
    "dup2": (33, None), "vfork": (58, None), "execve": (59, 221), "wait4": (61, 260), "pipe": (22, None),
    "chdir": (80, 49), "getpgrp": (111, None), "getpgid": (121, 155),
}  # fmt: skip
"""To run another program, where something else says which programs."""

PRETENDED: dict[str, tuple[int | None, int | None]] = {
    "utimensat": (280, 88), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
}  # fmt: skip
"""Answered with success and not done: 7-Zip takes a time or mode that it cannot set for a failure of the whole."""

DEADLY: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "sendto": (44, 206), "sendmsg": (46, 211),
    "recvmsg": (47, 212), "bind": (49, 200), "listen": (50, 201), "socketpair": (53, 199), "kill": (62, 129),
    "ptrace": (101, 117), "chroot": (161, 51), "mount": (165, 40), "umount2": (166, 39), "init_module": (175, 105),
    "tkill": (200, 130), "tgkill": (234, 131), "keyctl": (250, 219), "add_key": (248, 217), "unshare": (272, 97),
    "perf_event_open": (298, 241), "open_by_handle_at": (304, 265), "setns": (308, 268), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "finit_module": (313, 273), "bpf": (321, 280), "execveat": (322, 281),
    "userfaultfd": (323, 282), "pidfd_send_signal": (424, 424), "io_uring_setup": (425, 425),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
}  # fmt: skip
"""Whoever tries these was taken over."""

SPECIAL = {"clone": (56, 220), "clone3": (435, 435), "prlimit64": (302, 261), "ioctl": (16, 29)}
"""Allowed for some arguments."""


class CannotConfine(Exception):
    """The kernel refused a limit; `str()` says which and why."""


def filter_program(*, files: bool, programs: bool, machine: str | None = None) -> bytes:
    """The filter as the kernel reads it, eight octets an instruction. CannotConfine on a machine it was not written for.

    `files` and `programs` say whether `FILE_CALLS` and `PROGRAM_CALLS` are allowed.
    """
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        raise CannotConfine(f"no system call filter was written for {machine}")
    architecture, column = ARCHITECTURES[machine]

    def numbers(calls: dict[str, tuple[int | None, int | None]]) -> list[int]:
        return [number for pair in calls.values() if (number := pair[column]) is not None]

    special = {name: pair[column] for name, pair in SPECIAL.items()}
    allowed = (
        numbers(CALLS) + (numbers(FILE_CALLS) if files else []) + (numbers(PROGRAM_CALLS) if programs else [])
    )
    code = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        *_when(architecture, otherwise=_KILL),
        _instruction(_LOAD, _NUMBER_AT),
        _instruction(_JUMP_IF_AT_LEAST, _X32, 0, 1),
        _instruction(_RETURN, _KILL),
    ]
    code += [one for number in allowed for one in _answer(number, _ALLOW)]
    if programs:
        code += [one for number in numbers(PRETENDED) for one in _answer(number, _ERRNO)]
    code += [one for number in numbers(DEADLY) for one in _answer(number, _KILL)]
    code += _answer(
        special["clone3"], _ERRNO | errno.ENOSYS
    )  # its flags cannot be seen here; libc falls back to clone
    code += _guarded(special["clone"], _clone(programs=programs))
    code += _guarded(special["prlimit64"], _own_limits_read())
    code += _guarded(special["ioctl"], _close_on_exec())
    code.append(_instruction(_RETURN, _ERRNO | errno.EPERM))
    return b"".join(code)


def load(program: bytes) -> None:
    """From here on this thread, and all it starts, lives under the filter. CannotConfine when the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise CannotConfine(f"no_new_privs: {os.strerror(ctypes.get_errno())}")
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.c_char_p(header), 0, 0) != 0:
        raise CannotConfine(f"seccomp: {os.strerror(ctypes.get_errno())}")


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _when(value: int, *, otherwise: int) -> Iterable[bytes]:
    """Go on when the accumulator is `value`."""
    return _instruction(_JUMP_IF, value, 1, 0), _instruction(_RETURN, otherwise)


def _answer(number: int | None, answer: int) -> list[bytes]:
    if number is None:
        return []
    return [_instruction(_JUMP_IF, number, 0, 1), _instruction(_RETURN, answer)]


def _guarded(number: int | None, body: list[bytes]) -> list[bytes]:
    """`body` decides about this call: every way through it returns."""
    if number is None:
        return []
    return [_instruction(_JUMP_IF, number, 0, len(body)), *body]


def _low(argument: int) -> bytes:
    return _instruction(_LOAD, _ARGUMENTS_AT + 8 * argument)


def _high(argument: int) -> bytes:
    return _instruction(_LOAD, _ARGUMENTS_AT + 8 * argument + 4)


def _clone(*, programs: bool) -> list[bytes]:
    """Threads, and processes where programs may be run; never a namespace."""
    return [
        _low(0),
        _instruction(_JUMP_IF_ANY_BIT, _NAMESPACES, 0, 1),
        _instruction(_RETURN, _KILL),
        _instruction(_JUMP_IF_ANY_BIT, _THREAD, 0, 1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _ALLOW if programs else _ERRNO | errno.EPERM),
    ]


def _own_limits_read() -> list[bytes]:
    """prlimit64 only to read one's own limits: no other process, nothing new."""
    refuse = _ERRNO | errno.EPERM
    return [
        _low(0),
        *_when(0, otherwise=refuse),
        _low(2),
        *_when(0, otherwise=refuse),
        _high(2),
        *_when(0, otherwise=refuse),
        _instruction(_RETURN, _ALLOW),
    ]


def _close_on_exec() -> list[bytes]:
    """ioctl only to say whether a descriptor survives exec; to all else it is no terminal."""
    return [
        _low(1),
        *_answer(_FIOCLEX, _ALLOW),
        *_answer(_FIONCLEX, _ALLOW),
        _instruction(_RETURN, _ERRNO | errno.ENOTTY),
    ]

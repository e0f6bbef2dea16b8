"""Becoming nobody special once the ports are bound, and room for descriptors."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import struct

_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CLEAR_ALL = 38, 47, 4  # linux/prctl.h
_CAPABILITIES_VERSION = 0x20080522  # linux/capability.h


class CannotDropPrivileges(Exception):
    """We are root, were told to become someone else, and cannot."""


def drop_privileges(user: str) -> None:
    """Become `user` with its groups for good; nothing to do unless we are root. Raises CannotDropPrivileges."""
    os.umask(0o077)
    if os.geteuid() != 0:
        return
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise CannotDropPrivileges(f"no user {user!r} on this machine") from None
    if account.pw_uid == 0:
        raise CannotDropPrivileges(f"{user!r} is root itself")
    os.setgroups(os.getgrouplist(user, account.pw_gid))
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    _no_new_privileges()
    if os.getuid() == 0 or os.geteuid() == 0 or os.getgid() == 0:
        raise CannotDropPrivileges(f"still root after becoming {user!r}")


def drop_capabilities() -> str:
    """Give up every capability of this process, such as the one to bind low ports that systemd left it; why not, or ""."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    if libc.capset(header, bytes(24)) != 0:
        return f"capset: {os.strerror(ctypes.get_errno())}"
    return ""


def raise_descriptor_limit() -> int:
    """Use as many file descriptors as the system lets us; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def _no_new_privileges() -> None:
    """No program started from here gains anything by a setuid bit."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise CannotDropPrivileges(f"prctl: {os.strerror(ctypes.get_errno())}")

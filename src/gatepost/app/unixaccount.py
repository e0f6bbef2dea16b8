"""What the account can do that the gate becomes once its ports are bound: asked of the kernel in that account's name."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TRIAL_S = 60.0
"""What importing the parsers may take on a machine that is busy."""


@dataclass(frozen=True, slots=True)
class UnixAccount:
    """One, with all its groups."""

    name: str
    number: int
    group: int
    groups: tuple[int, ...]

    def reads(self, path: Path) -> bool:
        """May it? Modes, groups, access lists and folders on the way all count."""
        return self._run(["/usr/bin/test", "-r", str(path)]) == ""

    def cannot_run_us(self) -> str:
        """Why it could not start what a running gate starts, such as the child that looks into attachments; "" if it can.

        A process that has given up root imports more modules and starts more programs: all of them must be readable then.
        """
        why = self._run([sys.executable, "-I", "-B", "-c", "import gatepost.net.sandbox_child"])
        return (
            f"{self.name} cannot run {sys.executable} with Gatepost in it ({why}). "
            "Install it where every account may read, such as /opt/gatepost with /usr/bin/python3."
            if why
            else ""
        )

    def _run(self, command: list[str]) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - no shell, and the paths are the operator's
                command, check=False, user=self.number, group=self.group, extra_groups=self.groups, cwd="/", env={},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=TRIAL_S,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as fault:
            return getattr(fault, "strerror", None) or str(fault)
        lines = done.stderr.decode(errors="replace").split("\n")
        said = next((line for line in reversed(lines) if line.strip()), "")
        return (said[:200] or f"exit status {done.returncode}") if done.returncode else ""


def unix_account(name: str) -> UnixAccount | None:
    """The account of that name; None when this machine has none."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return UnixAccount(name, found.pw_uid, found.pw_gid, tuple(os.getgrouplist(name, found.pw_gid)))

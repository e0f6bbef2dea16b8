"""Start programs, measure what they and all their descendants use, and end them: nothing else is touched."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Daemons that leave their parent stay descendants of ours, so that they are counted and ended."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Programs:
    """Some programs that are measured together."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[Any]] = []

    def start(self, command: Sequence[object], log: Path, **more: object) -> subprocess.Popen[bytes]:
        """Run it; what it says goes to `log`."""
        with log.open("ab") as out:
            program = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, **more,  # type: ignore[call-overload]
            )  # fmt: skip
        self.adopt(program)
        return program

    def adopt(self, program: subprocess.Popen[Any]) -> None:
        """Measure and end it with the others; it was started elsewhere, in a session of its own."""
        self._started.append(program)

    def pids(self) -> list[int]:
        """All that run, descendants included, in the order they were started."""
        children = family()
        found, ahead = [], [program.pid for program in self._started if program.poll() is None]
        while ahead:
            pid = ahead.pop()
            found.append(pid)
            ahead += children.get(pid, ())
        return sorted(found)

    def cpu_s(self) -> float:
        """CPU seconds used so far, by those that ended meanwhile as well."""
        return sum(cpu_s(pid) for pid in self.pids())

    def pss_mib(self) -> float:
        """Memory, shared pages divided among those who share them."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total / 1024

    def settle(self, longest_s: float = 30.0) -> None:
        """Wait until they have nothing to do."""
        end = time.monotonic() + longest_s
        before = self.cpu_s()
        while time.monotonic() < end:
            time.sleep(0.5)
            after = self.cpu_s()
            if after - before < 0.015:
                return
            before = after

    def end(self) -> None:
        """By their ids: politely, then at once."""
        for number, patience_s in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 3.0)):
            pids = self.pids()
            for program in self._started:
                if program.poll() is None:
                    program.send_signal(number)
            end = time.monotonic() + patience_s
            while time.monotonic() < end and any(alive(pid) for pid in pids):
                for program in self._started:
                    program.poll()
                time.sleep(0.05)
            for pid in pids:
                if alive(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
        self._started.clear()


def family() -> dict[int, list[int]]:
    """Process id -> ids of its children."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = stat_of(int(entry))
                children.setdefault(int(fields[1]), []).append(int(entry))
    return children


def stat_of(pid: int) -> list[str]:
    """/proc/PID/stat from the state on (proc(5)); the name before it may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()


def cpu_s(pid: int) -> float:
    """CPU seconds of one process and of its children that it has buried."""
    try:
        return sum(int(ticks) for ticks in stat_of(pid)[11:15]) / TICKS
    except (OSError, ValueError):
        return 0.0


def alive(pid: int) -> bool:
    """Is it there and no zombie?"""
    try:
        return stat_of(pid)[0] != "Z"
    except (OSError, IndexError):
        return False


def machine_cpu_s() -> float:
    """CPU seconds that the whole machine was busy."""
    words = [
        int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    ]
    return (sum(words) - words[3] - words[4]) / TICKS  # without idle and waiting for a disk


def wait_for(where: int | Path, seconds: float = 30.0) -> None:
    """Until something listens on the loopback port or the socket. Raises RuntimeError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        unix = isinstance(where, Path)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as probe:
            probe.settimeout(2)
            probe.connect(str(where) if unix else ("127.0.0.1", where))
            return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on {where}")


def free_port() -> int:
    """A loopback port nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

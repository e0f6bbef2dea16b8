"""A real clamd on a socket of the test's own, which knows nothing but EICAR."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conftest import real_program

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""In two halves, so that no scanner on a developer's machine takes this file for it."""


@dataclass
class RealClamd:
    """Started and stopped at will."""

    program: str
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def path(self) -> Path:
        return self.folder / "clamd.sock"

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [self.program, "--config-file", str(self.folder / "clamd.conf")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 20
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as trying:
                trying.connect(str(self.path))
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
        raise AssertionError("clamd did not come up")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def real_clamd() -> Iterator[RealClamd]:
    program = real_program("clamd", "clamav-daemon")
    with tempfile.TemporaryDirectory(prefix="gatepost-clamd-") as name:
        folder = Path(name)
        database = folder / "db"
        database.mkdir()
        (database / "eicar.ndb").write_text(f"Eicar-Test-Signature:0:0:{EICAR.hex()}\n")
        (database / "eicar.hdb").write_text(
            f"{hashlib.md5(EICAR).hexdigest()}:{len(EICAR)}:Eicar-Test-File\n"
        )
        (folder / "clamd.conf").write_text(
            f"LocalSocket {folder}/clamd.sock\nDatabaseDirectory {database}\nForeground yes\nUser root\n"
            "StreamMaxLength 8M\nMaxThreads 4\nConcurrentDatabaseReload no\n"
        )
        clamd = RealClamd(program, folder)
        clamd.start()
        try:
            yield clamd
        finally:
            clamd.kill()

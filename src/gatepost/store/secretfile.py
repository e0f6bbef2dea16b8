"""A secret in a file of its own, made when it is first needed: what our hashes in addresses are keyed with."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from gatepost.store.disk import Disk, closing
from gatepost.store.failures import StoreFailed, translated
from gatepost.store.turns import turn

OCTETS = 32


class SecretFile:
    """One secret a line, the newest first; read again when the file is another than before."""

    def __init__(self, path: Path, about: str, disk: Disk | None = None) -> None:
        """`about`: what a person reads in the file's first line."""
        self.path = path
        self.about = about
        self._disk = disk or Disk()
        self._seen: tuple[int, int] | None = None
        self._secrets: tuple[bytes, ...] = ()

    def secrets(self) -> tuple[bytes, ...]:
        """All of them, never none: the first is made when there is no file. Raises StoreFailed."""
        try:
            self._read()
        except FileNotFoundError:
            with translated():
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with turn(self.path.with_suffix("")):
                    if not self.path.exists():
                        self._make()
            self._read()
        return self._secrets

    def _read(self) -> None:
        try:
            status = self.path.stat()
            seen = status.st_ino, status.st_mtime_ns
            if seen == self._seen:
                return
            lines = self.path.read_text("ascii").splitlines()
            found = tuple(
                base64.b64decode(one, validate=True) for one in lines if one and not one.startswith("#")
            )
        except FileNotFoundError:
            raise
        except OSError as fault:
            raise StoreFailed(f"the secret {self.path} cannot be read: {fault.strerror}") from None
        except (binascii.Error, UnicodeDecodeError):
            raise StoreFailed(f"the secret {self.path} is damaged: a line is no base64") from None
        if not found or min(map(len, found)) < OCTETS // 2:
            raise StoreFailed(f"the secret {self.path} is damaged: there is no line with {OCTETS} octets")
        self._secrets, self._seen = found, seen

    def _make(self) -> None:
        growing = self.path.with_name(self.path.name + ".new")
        growing.unlink(missing_ok=True)
        number = self._disk.create(growing)
        with closing(number):
            text = f"# {self.about}\n{base64.b64encode(os.urandom(OCTETS)).decode()}\n"
            self._disk.write(number, text.encode("ascii"))
            self._disk.sync(number)
        self._disk.rename(growing, self.path)
        self._disk.sync_folder(self.path.parent)

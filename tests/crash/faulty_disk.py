"""A disk whose n-th operation fails: every system call of the spool and every statement of the database counts."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2

from gatepost.store.disk import Disk


class FaultyDisk(Disk):
    """Fails at operation number `fail_at` (from 1) and, as a broken disk would, at every one after it if `for_good`.

    `after`: the operation is done and reports failure all the same, as a sync may.
    """

    def __init__(
        self, *, fail_at: int, after: bool = False, for_good: bool = False, code: int = errno.EIO
    ) -> None:
        self.fail_at = fail_at
        self.after = after
        self.for_good = for_good
        self.code = code
        self.count = 0
        self.failed: list[str] = []

    def connect(self, path: Path, *, read_only: bool = False) -> dbapi2.Connection:
        disk = self

        class Connection(dbapi2.Connection):
            def execute(self, sql: str, *values: Any) -> Any:
                return disk.step(sql, lambda: super(Connection, self).execute(sql, *values), sql=True)

            def executescript(self, sql: str) -> Any:
                return disk.step("script", lambda: super(Connection, self).executescript(sql), sql=True)

        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        return self.step(
            "connect",
            lambda: dbapi2.connect(
                uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection
            ),
            sql=True,
        )

    def create(self, path: Path) -> int:
        return self.step("create", lambda: super(FaultyDisk, self).create(path))

    def write(self, number: int, octets: bytes) -> None:
        def half() -> None:
            os.write(number, octets[: len(octets) // 2])

        self.step("write", lambda: super(FaultyDisk, self).write(number, octets), partly=half)

    def sync(self, number: int) -> None:
        self.step("sync", lambda: super(FaultyDisk, self).sync(number))

    def rename(self, old: Path, new: Path) -> None:
        self.step("rename", lambda: super(FaultyDisk, self).rename(old, new))

    def remove(self, path: Path) -> None:
        self.step("remove", lambda: super(FaultyDisk, self).remove(path))

    def step(
        self, name: str, do: Callable[[], Any], *, partly: Callable[[], None] | None = None, sql: bool = False
    ) -> Any:
        """Count, and do it or fail."""
        self.count += 1
        if self.count == self.fail_at or (self.for_good and self.count > self.fail_at):
            self.failed.append(name)
            if self.after:
                do()
            elif partly is not None:
                partly()
            if sql:
                raise dbapi2.OperationalError("disk I/O error")
            raise OSError(self.code, os.strerror(self.code))
        return do()

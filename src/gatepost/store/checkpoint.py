"""Move the write-ahead log into the database, in a thread and on a connection of its own.

One process of an installation does this. A passive checkpoint disturbs no writer, but under constant
writing the log then never starts over; when it has grown too long, the writers' turn is taken for the
short rest of it. Whoever reads for long (a search, an export, a backup) is not waited for with that turn in hand: the log goes on
growing, and begins anew later. Where somebody always reads there is no such moment, so a log that has grown far too long is
worth a short wait: with the turn in hand those who begin to read now are in nobody's way.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from pysqlite3 import dbapi2

PAGE_OCTETS = 4096
WAITS_MS = ((16, 1000), (4, 100), (0, 0))
"""For readers at most so long, from so many times the length at which the log should begin anew."""

QUIET_LOOKS = 10
"""After so many without anything new what little there is, is moved, too. Nobody writes then, or nobody can: on a full disk
the log cannot grow, and only one that was moved whole begins anew, with room for what came of deliveries."""


class Checkpointer:
    """A thread that looks at the log several times a second while it grows, and rarely while it does not."""

    def __init__(
        self,
        connect: Callable[[], dbapi2.Connection],
        turn: Callable[[], AbstractContextManager[None]],
        *,
        passive_octets: int,
        restart_octets: int,
    ) -> None:
        self._connect = connect
        self._turn = turn
        self._passive_frames = passive_octets // PAGE_OCTETS
        self._restart_frames = restart_octets // PAGE_OCTETS
        self._next_restart = self._restart_frames
        self._frames = 0
        self._quiet = 0
        """Looks at which nothing had been written since the one before."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop and wait for the thread."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = 0.2
        connection: dbapi2.Connection | None = None
        while not self._ended.wait(pause_s):
            try:
                connection = connection or self._connect()
                moved = self._look(connection)
                pause_s = 0.2 if moved else min(2.0, pause_s * 1.5)
            except (
                dbapi2.Error,
                OSError,
            ):  # a full or failing disk: the writers will say so; try again later
                pause_s = 2.0
                if connection is not None:
                    connection.close()
                    connection = None
        if connection is not None:
            with contextlib.suppress(dbapi2.Error):
                connection.close()

    def _look(self, connection: dbapi2.Connection) -> bool:
        _, frames, done = connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
        self._quiet, self._frames = (self._quiet + 1 if frames == self._frames else 0), frames
        if frames - done < self._passive_frames and (frames == done or self._quiet < QUIET_LOOKS):
            return bool(frames - done)
        _, frames, done = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if frames < self._restart_frames:
            self._next_restart = self._restart_frames
        elif frames >= self._next_restart:
            times = frames // self._restart_frames
            wait_ms = next(ms for least, ms in WAITS_MS if times >= least)
            with self._turn():
                connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
                busy, frames, _ = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            later = self._restart_frames if wait_ms else self._passive_frames
            self._next_restart = frames + later if busy else self._restart_frames
        return True

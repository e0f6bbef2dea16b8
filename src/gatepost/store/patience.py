"""How long a read may take that somebody asked for at the console or by the API: past it the statement is stopped.

Mail's own reads have no such limit; they are bounded by what they read. It holds in the task that asked, and in the threads
and tasks it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

from pysqlite3 import dbapi2

from gatepost.store.failures import StoreFailed

T = TypeVar("T")
SQLITE_INTERRUPT = 9
STEPS = 20_000
"""Of SQLite's machine between two looks at the clock: about half a millisecond."""


class TookTooLong(StoreFailed):
    """A read was stopped; `str()` says so, and what to do. Nothing is wrong with the store."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds."""

    quick_s: float = 3.0
    """For what everybody waits for meanwhile: it is read in the loop."""
    long_s: float = 10.0
    """For what is read apart, in a thread."""


_PATIENCE: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def patient(patience: Patience) -> Iterator[None]:
    """Within, reads are stopped that take longer."""
    before = _PATIENCE.set(patience)
    try:
        yield
    finally:
        _PATIENCE.reset(before)


def quickly(connection: dbapi2.Connection, work: Callable[[dbapi2.Connection], T]) -> T:
    """The work, within `quick_s` where a limit holds. Raises TookTooLong."""
    patience = _PATIENCE.get()
    return work(connection) if patience is None else _within(patience.quick_s, connection, work)


def at_length(connection: dbapi2.Connection, work: Callable[[dbapi2.Connection], T]) -> T:
    """The work, within `long_s` where a limit holds. Raises TookTooLong."""
    patience = _PATIENCE.get()
    return work(connection) if patience is None else _within(patience.long_s, connection, work)


def _within(seconds: float, connection: dbapi2.Connection, work: Callable[[dbapi2.Connection], T]) -> T:
    ends = monotonic() + seconds
    connection.set_progress_handler(lambda: monotonic() > ends, STEPS)
    try:
        return work(connection)
    except dbapi2.OperationalError as failure:
        if getattr(failure, "sqlite_errorcode", 0) & 0xFF != SQLITE_INTERRUPT:
            raise
        raise TookTooLong(
            f"This was stopped after {seconds:g} seconds, so that others are served. Ask for less: a shorter time,"
            " a whole address instead of a part of one."
        ) from failure
    finally:
        connection.set_progress_handler(None, 0)

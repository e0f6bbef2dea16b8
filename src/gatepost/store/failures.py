"""What the store raises when it could not keep its promise; nothing of the work was kept then."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from pysqlite3 import dbapi2

from gatepost.tools import Unavailable

SQLITE_FULL = 13
FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StoreFailed(Unavailable):
    """The disk or the database did not do as told. Ask again later (451 4.3.0)."""


class StoreFull(StoreFailed):
    """There is no room (452 4.3.1)."""


class DuplicateRef(StoreFailed):
    """The reference is taken; the message was not stored. The sender's next try gets another (451 4.3.0)."""


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn errors of the system and the database into StoreFull and StoreFailed."""
    try:
        yield
    except BrokenPipeError:  # no disk has pipes: whoever read what a work says has gone
        raise
    except OSError as error:
        raise kind(full=error.errno in FULL_ERRNOS)(f"disk: {error.strerror or error}") from error
    except dbapi2.Error as error:
        if not breaks_all(error):
            raise
        full = getattr(error, "sqlite_errorcode", 0) & 0xFF == SQLITE_FULL
        raise kind(full=full)(f"database: {error}") from error


def kind(*, full: bool) -> type[StoreFailed]:
    """Which of the two."""
    return StoreFull if full else StoreFailed


def breaks_all(failure: Exception) -> bool:
    """Was it the disk or the database that failed, rather than one work's own doing?"""
    if isinstance(
        failure, dbapi2.IntegrityError | dbapi2.ProgrammingError | dbapi2.InterfaceError | dbapi2.DataError
    ):
        return False
    return isinstance(failure, OSError | dbapi2.Error | StoreFailed)

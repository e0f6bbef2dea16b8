"""How far long work has come: one line on standard error, on a terminal only, gone when the work is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")

SOON_S = 1.0
"""Work that is done by then shows nothing."""
EVERY_S = 0.2
CLEAR = "\r\x1b[K"


class Progress:
    """Called with what is done, how much of it, and of how much (0: nobody knows); cheap enough for every row.

    With `alone`, nothing is shown either where standard output is a terminal, which lines of the result go to meanwhile.
    """

    def __init__(self, *, alone: bool = False) -> None:
        self._shown = False
        self._loud = sys.stderr.isatty() and not (alone and sys.stdout.isatty())
        self._next = time.monotonic() + SOON_S

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            sys.stderr.write(CLEAR)
            sys.stderr.flush()

    def __call__(self, what: str, done: int, of: int = 0) -> None:
        """Show it, unless it was shown a moment ago."""
        if not self._loud or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_S
        self._shown = True
        much = f"{done:,} of {of:,} ({min(100 * done // of, 100)} %)" if of else f"{done:,}"
        sys.stderr.write(f"{CLEAR}{what}: {much} …")
        sys.stderr.flush()

    def through(self, what: str, things: Iterable[T], of: int = 0) -> Iterator[T]:
        """The things, counted as they are taken."""
        for done, thing in enumerate(things, 1):
            yield thing
            self(what, done, of)

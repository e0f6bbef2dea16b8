"""Begin a coroutine here and now: only one that really has to wait costs a task.

Most questions are answered from memory, and a task for each costs more than the answer. What is begun so starts
in its caller's task and goes on in one of its own, so it must not, itself, use what belongs to one task
(`asyncio.timeout`, `asyncio.TaskGroup`, `current_task`); tasks it makes may.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Done(Generic[T]):
    """It never had to wait."""

    result: T


def begin(coroutine: Coroutine[Any, Any, T]) -> Done[T] | Coroutine[Any, Any, T]:
    """What it returned, when it did not suspend; else the rest of it, to be awaited or made a task.

    Whatever it raises before it first suspends comes out here.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        return Done(end.value)
    return _rest(coroutine, waits_for)


async def _rest(coroutine: Coroutine[Any, Any, T], waits_for: Any) -> T:
    return await _going_on(coroutine, waits_for)


@types.coroutine
def _going_on(coroutine: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Pass on what it waits for and what comes back, as ``yield from`` would had it begun here."""
    try:
        while True:
            try:
                value = yield waits_for
            except GeneratorExit:
                raise
            except BaseException as failure:  # noqa: BLE001 - it belongs to the coroutine, cancellation too
                waits_for = coroutine.throw(failure)
            else:
                waits_for = coroutine.send(value)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        coroutine.close()

"""Passwords are hashed in threads, two at a time: each takes its memory, and many at once must not take all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from gatepost.access import passwords
from gatepost.office.office import Office
from gatepost.office.sessions import SignInRefused

_HASHERS = ThreadPoolExecutor(2, thread_name_prefix="argon2")
_MOST_WAITING = 64
T = TypeVar("T")


class _Queue:
    waiting = 0


async def hash_of(office: Office, password: str) -> str:
    """What is kept of a new password. Raises SignInRefused when too many wait."""
    work = partial(passwords.hashed, password, salt=office.random(16), cost=office.access.password_cost)
    return await _apart(work)


async def is_right(office: Office, kept: str | None, password: str) -> bool:
    """Is it the password? None is nobody's: the same work, and never right. Raises SignInRefused when too many wait."""
    against = kept or passwords.nobodys(office.access.password_cost)
    return bool(await _apart(partial(passwords.matches, against, password))) and kept is not None


async def _apart(work: Callable[[], T]) -> T:
    if _Queue.waiting >= _MOST_WAITING:
        raise SignInRefused(
            "Too many people are signing in just now: try again in a few seconds.", wait_s=5.0
        )
    _Queue.waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_HASHERS, work)
    finally:
        _Queue.waiting -= 1

"""How long each kind of data is kept, and its deletion in slices short enough to disturb nobody.

Queued mail never expires here: delivery gives up on it by its own schedule and tells the sender. What a legal hold is in
force over stays, however old; what each run deleted is kept as proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from gatepost.store import (
    apitokens,
    apppasswords,
    correspondents,
    entries,
    glass,
    gone,
    history,
    holds,
    journal,
    lessons,
    memory,
    numbers,
    quarantine,
    requests,
    signins,
)
from gatepost.store.database import Connection
from gatepost.store.store import Store
from gatepost.store.upkeep import seal_held

DAY_S = 86_400.0
SLICE = 500
"""Rows deleted in one commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long each kind of data is kept."""

    history_s: float = 90 * DAY_S
    """Facts about messages, refusals and delivery attempts."""
    held_s: float = 30 * DAY_S
    """Mail in quarantine that nobody decided about; what became of it stays on record as long as history."""
    journal_s: float = 400 * DAY_S
    """Who did what, and why; and who looked at whose held mail."""
    correspondents_s: float = 400 * DAY_S
    """Who writes to whom, since they last did."""
    numbers_s: float = 400 * DAY_S
    """How much came in each hour; names nobody."""
    lessons_s: float = 400 * DAY_S
    """What the classifier was taught: digests and numbers. What it learnt from them stays."""
    sign_ins_s: float = 90 * DAY_S
    """Who signed in and who failed to; app passwords and API tokens that ended or were revoked."""


SHORTEST_S = 3600.0
"""What is written shorter than this was meant otherwise, and would be deleted before anybody saw it."""


def retention_problems(settings: Retention) -> Iterator[tuple[str, str]]:
    """What is wrong with the settings: the key and one sentence."""
    for one in fields(settings):
        if getattr(settings, one.name) < SHORTEST_S:
            yield (
                one.name.removesuffix("_s"),
                'would be deleted within the hour; for longer write "30d", for as good as ever "3650d".',
            )


async def expire(store: Store, now: float, settings: Retention) -> dict[str, int]:
    """Delete what is past its time and under no hold; returns how many of each kind, and keeps that as proof."""
    await store.database.commit(lambda c: holds.release_due(c, now))
    deleted = await deleted_of(store, now, settings)
    in_force = len(store.database.read(holds.listed))
    await store.database.commit(lambda c: requests.note_run(c, now, deleted, in_force))
    return deleted


async def deleted_of(store: Store, now: float, settings: Retention) -> dict[str, int]:
    """The deleting itself."""

    def held(connection: Connection) -> tuple[int, list[str]]:
        return quarantine.expire(connection, before=now - settings.held_s, limit=SLICE, at=now)

    old_history = now - settings.history_s
    await seal_held(store)
    return {
        "held": await expire_held(store, held),
        "entries": await in_slices(store, lambda c: entries.expire(c, before=old_history, limit=SLICE)),
        "decided": await in_slices(store, lambda c: quarantine.forget(c, before=old_history, limit=SLICE)),
        "history": await in_slices(store, lambda c: history.expire(c, before=old_history, limit=SLICE)),
        "attempts": await in_slices(
            store, lambda c: history.expire_attempts(c, before=old_history, limit=SLICE)
        ),
        "journal": await in_slices(
            store, lambda c: journal.expire(c, before=now - settings.journal_s, limit=SLICE)
        ),
        "views": await in_slices(
            store, lambda c: glass.expire(c, before=now - settings.journal_s, limit=SLICE)
        ),
        "memory": await in_slices(store, lambda c: memory.expire(c, now=now, limit=SLICE)),
        "correspondents": await in_slices(
            store, lambda c: correspondents.expire(c, before=now - settings.correspondents_s, limit=SLICE)
        ),
        "lessons": await in_slices(
            store, lambda c: lessons.expire(c, before=now - settings.lessons_s, limit=SLICE)
        ),
        "sign-ins": await in_slices(
            store, lambda c: signins.expire(c, now=now, sign_ins_s=settings.sign_ins_s, limit=SLICE)
        ),
        "app passwords": await in_slices(
            store, lambda c: apppasswords.expire(c, before=now - settings.sign_ins_s, limit=SLICE)
        ),
        "numbers": await in_slices(
            store, lambda c: numbers.expire(c, before=now - settings.numbers_s, limit=SLICE)
        ),
        "requests": await in_slices(
            store, lambda c: requests.expire(c, before=now - settings.journal_s, limit=SLICE)
        ),
        "gone": await in_slices(
            store, lambda c: gone.expire(c, before=now - settings.journal_s, limit=SLICE)
        ),
        "tokens": await in_slices(
            store, lambda c: apitokens.expire(c, before=now - settings.sign_ins_s, limit=SLICE)
        ),
    }


async def in_slices(store: Store, work: Callable[[Connection], int]) -> int:
    """Slice after slice, each its own commit, until one is not full."""
    total = 0
    while True:
        deleted = await store.database.commit(work)
        total += deleted
        if deleted < SLICE:
            return total


async def expire_held(store: Store, work: Callable[[Connection], tuple[int, list[str]]]) -> int:
    """The same for held mail, whose files go too."""
    total = 0
    while True:
        deleted, files = await store.database.commit(work)
        store.forget(files)
        total += deleted
        if deleted < SLICE:
            return total

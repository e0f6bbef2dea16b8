"""Rounds over what is kept: held mail under the newest master key, the spool without strays, what a disk has lost."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path

from gatepost.store import accounts, messages, signingkeys
from gatepost.store.database import Connection
from gatepost.store.sealing import Seal
from gatepost.store.spool import UNFINISHED
from gatepost.store.store import Store


def key_problem(store: Store) -> str:
    """Why held mail, a signing key or a seed of codes could not be opened, in a sentence; empty when all can."""
    return store.keys.problem(
        store.database.read(
            lambda connection: (
                messages.key_ids(connection) | signingkeys.key_ids(connection) | accounts.key_ids(connection)
            )
        )
    )


async def reseal(store: Store, *, slice_rows: int = 500) -> int:
    """Wrap the keys of all held messages, signing keys and people's seeds under the newest master key; returns how
    many had another.

    Raises KeyMissing when one of those is not there any more.
    """
    newest = (store.keys.ids() or ("",))[-1]
    total = 0
    while rows := store.database.read(
        lambda connection: messages.sealed_otherwise(connection, newest, limit=slice_rows)
    ):
        seals = [(ref, store.keys.rewrap(ref, seal)) for _, ref, seal in rows]

        def work(connection: Connection, seals: list[tuple[str, Seal]] = seals) -> None:
            for ref, seal in seals:
                messages.set_seal(connection, ref, seal)

        await store.database.commit(work)
        total += len(seals)
    for number, name, seal in store.database.read(partial(signingkeys.sealed_otherwise, key_id=newest)):
        await store.database.commit(
            partial(signingkeys.set_seal, number=number, seal=store.keys.rewrap(name, seal))
        )
        total += 1
    for number, name, seal in store.database.read(partial(accounts.sealed_otherwise, key_id=newest)):
        await store.database.commit(
            partial(accounts.set_seal, account=number, seal=store.keys.rewrap(name, seal))
        )
        total += 1
    return total


async def seal_held(store: Store) -> int:
    """Seal what is held in plain since before there was sealing; returns how many messages."""
    total = 0
    for ref in store.database.read(lambda connection: messages.held_in_plain(connection, limit=10_000)):
        with contextlib.suppress(KeyError):  # decided meanwhile
            seal, octets = await store.sealed(ref, store.octets_of(ref), apart=True)
            await store.database.commit(partial(messages.set_seal, ref=ref, seal=seal, octets=octets))
            store.spool.remove(ref)
            total += 1
    return total


def sweep(store: Store, now: float, *, older_than_s: float = 3600.0) -> int:
    """Remove spool files without a row that are older than a commit can take; returns how many."""
    swept = 0
    for file in store.spool.files():
        ref = file.name.removesuffix(UNFINISHED)
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime >= now - older_than_s:
                continue
            if file.name != ref or not store.database.read(partial(messages.is_there, ref=ref)):
                Path(file.path).unlink(missing_ok=True)
                swept += 1
    return swept


def damaged(store: Store) -> list[str]:
    """The references of messages whose spool file is missing or has another size: what a disk has lost."""
    rows = store.database.read(messages.in_spool)
    return [ref for ref, size in rows if store.spool.size(ref) != size]

"""Back up a running store, verify a backup, restore it.

A backup is a folder: the database as of one moment (`VACUUM INTO`, which stops no writer), the spool files its
rows name (hard links where the file system allows: they never change), and a manifest with their digests.
What is configured (keys, certificates, the configuration itself) is not the store's and is named by the caller.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from pysqlite3 import dbapi2

from gatepost.store import journal, messages
from gatepost.store.disk import Disk
from gatepost.store.failures import StoreFailed, translated
from gatepost.store.spool import Spool

DATABASE = "gatepost.db"
SPOOL = "spool"
MANIFEST = "manifest.json"
COUNTED = (
    "messages",
    "queue",
    "quarantine",
    "history",
    "attempts",
    "journal",
    "memory",
    "correspondents",
    "lessons",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds; written last, so that a backup without one is not finished."""

    made_at: float
    schema: int
    counts: dict[str, int]
    """Rows of each table."""
    journal_number: int
    journal_chain: str
    """The journal's head, so that a later cut shows."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of every file, by its path in the backup."""


def backup(state: Path, target: Path, *, now: float, also: tuple[str, ...] = ()) -> Manifest:
    """Write a backup of the store in `state` into the new folder `target`; the store may be running.

    `also` names files and folders below `state` to be copied as they are. Raises StoreFailed.
    """
    with translated():
        target.mkdir(mode=0o700, parents=True)
        with contextlib.closing(Disk().connect(state / DATABASE, read_only=True)) as source:
            source.execute("VACUUM INTO ?", (str(target / DATABASE),))
        (target / DATABASE).chmod(0o600)
        with contextlib.closing(Disk().connect(target / DATABASE)) as copy:
            keep_files(state, target, copy)
            manifest = counted(copy, now)
        for name in also:
            take_along(state / name, target / name)
        files = {str(path.relative_to(target)): digest(path) for path in files_below(target)}
        manifest = replace(manifest, files=files)
        (target / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        sync_all(target)
    return manifest


def verify(target: Path) -> list[str]:
    """Everything wrong with a backup, one sentence each; empty when it can be relied on."""
    try:
        manifest = msgspec.json.decode((target / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return [f"{target} has no sound {MANIFEST}: it is no backup, or not a finished one"]
    wrong = [f"{name} {what}" for name, what in changed(target, manifest)]
    if any(line.startswith(DATABASE) for line in wrong):
        return wrong
    try:
        with contextlib.closing(Disk().connect(target / DATABASE, read_only=True)) as connection:
            (soundness,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if soundness != "ok":
                return [*wrong, f"{DATABASE} is damaged: {soundness}"]
            wrong += broken_promises(target, manifest, connection)
    except dbapi2.Error as failure:
        wrong.append(f"{DATABASE} cannot be read: {failure}")
    return wrong


def restore(target: Path, state: Path, *, hold_because: str | None) -> Manifest:
    """Make a store in `state`, which must not exist or be empty, from the backup in `target`.

    What was queued then may have been delivered since: with `hold_because` all of it is held in the queue, with
    that reason, until a person lets it go on; None lets it go out. Nobody is signed in. Raises StoreFailed, and then `state` is as before.
    """
    if state.exists() and any(state.iterdir()):
        raise StoreFailed(f"{state} is not empty: stop Gatepost and move its old state away first")
    wrong = verify(target)
    if wrong:
        raise StoreFailed(f"{target} is not restored, it is not sound: {wrong[0]}")
    growing = state.with_name(f"{state.name}.restoring")
    with translated():
        shutil.rmtree(growing, ignore_errors=True)
        shutil.copytree(target, growing, symlinks=True)
        (growing / MANIFEST).unlink()
        with contextlib.closing(Disk().connect(growing / DATABASE)) as connection:
            connection.execute("UPDATE queue SET worker = NULL")
            end_what_was_open(connection)
            if hold_because is not None:
                connection.execute(
                    "UPDATE queue SET held_because = coalesce(held_because, ?)", (hold_because,)
                )
        growing.chmod(0o700)
        sync_all(growing)
        growing.rename(state)
        Disk().sync_folder(state.parent)
    return msgspec.json.decode((target / MANIFEST).read_bytes(), type=Manifest)


OPEN = ("sessions", "known_devices", "enrolment_links", "challenges")


def end_what_was_open(connection: dbapi2.Connection) -> None:
    """Sessions and links may have ended since: a backup makes none of them good again."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    for table in OPEN:
        if table in there:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words


def keep_files(state: Path, target: Path, copy: dbapi2.Connection) -> None:
    """Bring the spool files of the copied rows along.

    A message that left between the copy and now has no file any more: it was delivered or deleted meanwhile, and
    the backup follows. One that is still there without its file is damage, and stays in the backup to be told of.
    """
    source, spool = Spool(state / SPOOL), Spool(target / SPOOL)
    gone: list[str] = []
    for ref, _ in messages.in_spool(copy):
        try:
            take_along(source.path_of(ref), spool.path_of(ref))
        except FileNotFoundError:
            gone.append(ref)
    with contextlib.closing(Disk().connect(state / DATABASE, read_only=True)) as now:
        gone = [ref for ref in gone if not messages.is_there(now, ref)]
    for ref in gone:
        for table in ("queue", "quarantine"):
            copy.execute(
                f"DELETE FROM {table} WHERE message = (SELECT id FROM messages WHERE ref = ?)",  # noqa: S608
                (ref,),
            )
        copy.execute("DELETE FROM messages WHERE ref = ?", (ref,))


def take_along(source: Path, target: Path) -> None:
    """A hard link where that is possible, else a copy; folders with all they hold."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
        return
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, target)


def counted(connection: dbapi2.Connection, now: float) -> Manifest:
    """The manifest of a database, still without its files; an older schema has fewer tables."""
    head = journal.head(connection)
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    counts = {
        table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        for table in COUNTED
        if table in there
    }
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    return Manifest(
        made_at=now, schema=schema, counts=counts, journal_number=head.number, journal_chain=head.chain.hex()
    )


def changed(target: Path, manifest: Manifest) -> list[tuple[str, str]]:
    """Files that are missing or not as they were."""
    found = []
    for name, wanted in manifest.files.items():
        path = target / name
        if not path.is_file():
            found.append((name, "is missing"))
        elif digest(path) != wanted:
            found.append((name, "was changed after the backup was made"))
    return found


def broken_promises(target: Path, manifest: Manifest, connection: dbapi2.Connection) -> list[str]:
    """What does not fit in a database that is sound as a file."""
    wrong = []
    spool = Spool(target / SPOOL)
    wrong += [
        f"the octets of message {ref} are missing"
        for ref, size in messages.in_spool(connection)
        if spool.size(ref) != size
    ]
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        wrong.append("a copy in queue or quarantine has no message")
    told = journal.verify(
        connection, journal.Head(manifest.journal_number, bytes.fromhex(manifest.journal_chain))
    )
    if told:
        wrong.append(told)
    counts = counted(connection, manifest.made_at).counts
    wrong += [
        f"{table} has {counts[table]} rows instead of {number}"
        for table, number in manifest.counts.items()
        if counts.get(table) != number
    ]
    return wrong


def files_below(folder: Path) -> list[Path]:
    """Every file in it, in a settled order."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def digest(path: Path) -> str:
    """SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_all(folder: Path) -> None:
    """Everything in the folder, and its name, is on the disk when this returns."""
    disk = Disk()
    for path in files_below(folder):
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            disk.sync(number)
        finally:
            os.close(number)
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        disk.sync_folder(path)
    disk.sync_folder(folder.parent)

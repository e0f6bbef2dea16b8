"""Back up a running store, verify a backup, restore it.

A backup is a folder: the database as of one moment (`VACUUM INTO`, which stops no writer), the spool files its
rows name (hard links where the file system allows: they never change), keys and certificates sealed under the master key
(`backupsecrets`), what the console laid over the configuration, and a manifest with their digests. Never in it: the master key.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from pysqlite3 import dbapi2

from gatepost.store import journal, messages
from gatepost.store.again import Again, again
from gatepost.store.backupsecrets import SEALED, has_secrets, open_secrets, sealed_secrets
from gatepost.store.disk import Disk
from gatepost.store.failures import StoreFailed, translated
from gatepost.store.gone import GoneList
from gatepost.store.migrations import migrate
from gatepost.store.sealing import Keyring
from gatepost.store.spool import Spool

DATABASE = "gatepost.db"
SPOOL = "spool"
MANIFEST = "manifest.json"
BESIDE = ("policy-console.toml",)
"""What else there may be in a state folder that is no secret."""
MASTER_KEY = Path("keys", "quarantine.key")
"""What may lie in a state folder that is restored into."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came of a restoration."""

    manifest: Manifest
    ended: dict[str, int]
    """What was good when the backup was made and is so no more: how many app passwords, tokens, certificates, recovery codes."""
    passkeys: int
    """These are good again, whoever took one away since."""
    administrators: int
    """And these have their roles again."""
    again: Again | None = None
    """What was erased and taken away since, done again; None: no list of it was given."""
    secrets: bool = False
    """Keys and certificates are as they were; else new ones are made, and bounces to rewritten senders of before are lost."""


Tell = Callable[[str, int, int], None]
"""Told how far it has come: what is done, how much of it, of how much."""


def silent(_what: str, _done: int, _of: int) -> None:
    """Nobody looks on."""


def backup(
    state: Path, target: Path, *, now: float, keyring: Keyring | None = None, tell: Tell = silent
) -> Manifest:
    """Write a backup of the store in `state` into the new folder `target`; the store may be running. Raises StoreFailed.

    Keys and certificates come along sealed with `keyring`; None leaves them out.
    """
    secrets = sealed_secrets(state, keyring) if keyring is not None and has_secrets(state) else b""
    with translated():
        target.mkdir(mode=0o700, parents=True)
        with contextlib.closing(Disk().connect(state / DATABASE, read_only=True)) as source:
            source.set_progress_handler(lambda: copying(state, target, tell), 20_000)
            source.execute("VACUUM INTO ?", (str(target / DATABASE),))
        (target / DATABASE).chmod(0o600)
        with contextlib.closing(Disk().connect(target / DATABASE)) as copy:
            keep_files(state, target, copy, tell)
            manifest = counted(copy, now)
        for name in BESIDE:
            copy_as_it_is(state / name, target / name)
        if secrets:
            (target / SEALED).touch(mode=0o600)
            (target / SEALED).write_bytes(secrets)
        found = files_below(target)
        files = {}
        for number, path in enumerate(found, 1):
            files[str(path.relative_to(target))] = digest(path)
            tell("Digests of files", number, len(found))
        manifest = replace(manifest, files=files)
        (target / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        sync_all(target)
    return manifest


def copying(state: Path, target: Path, tell: Tell) -> None:
    """Called by SQLite while it copies: the target grows towards the size of the source."""
    with contextlib.suppress(OSError):
        tell("Octets of the database", (target / DATABASE).stat().st_size, (state / DATABASE).stat().st_size)


def verify(target: Path, *, tell: Tell = silent) -> list[str]:
    """Everything wrong with a backup, one sentence each; empty when it can be relied on."""
    try:
        manifest = msgspec.json.decode((target / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return [f"{target} has no sound {MANIFEST}: it is no backup, or not a finished one"]
    wrong = [f"{name} {what}" for name, what in changed(target, manifest, tell)]
    if any(line.startswith(DATABASE) for line in wrong):
        return wrong
    try:
        with contextlib.closing(Disk().connect(target / DATABASE, read_only=True)) as connection:
            (soundness,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if soundness != "ok":
                return [*wrong, f"{DATABASE} is damaged: {soundness}"]
            wrong += broken_promises(target, manifest, connection, tell)
    except dbapi2.Error as failure:
        wrong.append(f"{DATABASE} cannot be read: {failure}")
    return wrong


def restore(
    target: Path,
    state: Path,
    *,
    hold_because: str | None,
    now: float | None = None,
    keep_app_passwords: bool = False,
    keyring: Keyring | None = None,
    gone: GoneList | None = None,
    tell: Tell = silent,
) -> Restored:
    """Make a store in `state`, which must not exist or hold nothing but the master key, from the backup in `target`.

    Its keys and certificates are opened with `keyring`; None leaves them out.

    What was queued then may have been delivered since: with `hold_because` all of it is held in the queue, with
    that reason, until a person lets it go on; None lets it go out. Nobody is signed in. What was revoked since must not be
    good again unseen: app passwords, tokens, client certificates and recovery codes end, unless `keep_app_passwords`; and
    what `gone` names is erased and taken away again.
    Raises StoreFailed, and then `state` is as before.
    """
    if any(not path.is_dir() and not is_of_master_key(path, state) for path in state.rglob("*")):
        raise StoreFailed(f"{state} is not empty: stop Gatepost and move its old state away first")
    wrong = verify(target, tell=tell)
    if wrong:
        raise StoreFailed(f"{target} is not restored, it is not sound: {wrong[0]}")
    manifest = msgspec.json.decode((target / MANIFEST).read_bytes(), type=Manifest)
    growing = state.with_name(f"{state.name}.restoring")
    with translated():
        shutil.rmtree(growing, ignore_errors=True)
        copied = itertools.count(1)

        def copy(source: str, into: str) -> str:
            tell("Files", next(copied), len(manifest.files) + 1)
            return str(shutil.copy2(source, into))

        shutil.copytree(target, growing, symlinks=True, copy_function=copy)
        (growing / MANIFEST).unlink()
        try:
            secrets = open_secrets(growing, keyring)
        except StoreFailed:
            shutil.rmtree(growing, ignore_errors=True)
            raise
        with contextlib.closing(Disk().connect(growing / DATABASE)) as connection:
            connection.execute("UPDATE queue SET worker = NULL")
            end_what_was_open(connection)
            did = None if gone is None else do_again(connection, gone, manifest, Spool(growing / SPOOL))
            restored = end_what_may_be_revoked(
                connection, manifest, time.time() if now is None else now, keep=keep_app_passwords, did=did,
                all_known=gone is not None and gone.whole,
            )  # fmt: skip
            if hold_because is not None:
                connection.execute(
                    "UPDATE queue SET held_because = coalesce(held_because, ?)", (hold_because,)
                )
        growing.chmod(0o700)
        put_in_place(growing, state)
    return replace(restored, secrets=secrets)


def is_of_master_key(path: Path, state: Path) -> bool:
    """Is it the master key, or what those leave beside it who take turns by it?"""
    return path.parent == (state / MASTER_KEY).parent and path.name.startswith(MASTER_KEY.stem)


def put_in_place(growing: Path, state: Path) -> None:
    """`growing` becomes `state`, with the master key that lies there already; at every moment that key is somewhere whole."""
    if (state / MASTER_KEY).exists():
        (growing / MASTER_KEY).parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy2(state / MASTER_KEY, growing / MASTER_KEY)
        owner = (state / MASTER_KEY).stat()
        os.chown(growing / MASTER_KEY, owner.st_uid, owner.st_gid)
    sync_all(growing)
    before = state.with_name(f"{state.name}.before")
    if state.exists():
        state.rename(before)
    growing.rename(state)
    Disk().sync_folder(state.parent)
    shutil.rmtree(before, ignore_errors=True)


OPEN = ("sessions", "known_devices", "enrolment_links", "challenges")


def end_what_was_open(connection: dbapi2.Connection) -> None:
    """Sessions and links may have ended since: a backup makes none of them good again."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    for table in OPEN:
        if table in there:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words


def end_what_may_be_revoked(
    connection: dbapi2.Connection, manifest: Manifest, now: float, *, keep: bool, did: Again | None = None,
    all_known: bool = False,
) -> Restored:  # fmt: skip
    """What programs sign in with ends, and codes of which some may be used up; the journal and whoever looks are told."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}

    def done(table: str, sql: str) -> int:
        return int(connection.execute(sql, {"now": now}).rowcount) if table in there else 0

    def count(table: str, where: str = "1") -> int:
        sql = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608 - our own words
        return int(connection.execute(sql).fetchone()[0]) if table in there else 0

    ended = {} if keep else {table: done(table, sql) for table, sql in ENDS.items()}
    passkeys, administrators = (
        count("passkeys"),
        count("accounts", "trim(roles) <> 'person' AND disabled_at IS NULL"),
    )
    if "journal_fields" in there:  # of the present schema
        told = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in ended.items() if number)
        day = datetime.fromtimestamp(manifest.made_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        why = f"of {day}; " + (f"ended: {told or 'nothing'}" if not keep else "app passwords and tokens kept")
        if did is not None:
            once_more = ", ".join(f"{number} {kind}" for kind, number in sorted(did.done.items()))
            why += f"; again gone: {once_more or 'nothing'}"
        journal.append(connection, at=now, who="restore", what="backup restore", why=why)
    if not all_known:
        connection.execute(
            "INSERT OR REPLACE INTO memory VALUES (?, ?, ?)",
            (RESTORED_KEY, str(manifest.made_at), now + RESTORED_TOLD_S),
        )
    return Restored(
        manifest=manifest, ended=ended, passkeys=passkeys, administrators=administrators, again=did
    )


def do_again(connection: dbapi2.Connection, gone: GoneList, manifest: Manifest, spool: Spool) -> Again:
    """Erase and take away again what the backup knows nothing of, all or nothing. The schema becomes the present one."""
    migrate(connection)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("BEGIN IMMEDIATE")
    did = again(connection, gone.entries, made_at=manifest.made_at)
    connection.execute("COMMIT")
    for ref in did.files:
        spool.remove(ref)
    return did


ENDS = {
    "app_passwords": "UPDATE app_passwords SET revoked_at = :now WHERE revoked_at IS NULL",
    "api_tokens": "UPDATE api_tokens SET revoked_at = :now WHERE revoked_at IS NULL",
    "client_certificates": "UPDATE client_certificates SET expires_at = :now WHERE coalesce(expires_at, :now + 1) > :now",
    "recovery_codes": "DELETE FROM recovery_codes",
}
"""What ends by a restoration, and how."""
RESTORED_KEY = "jobs:restored"
"""When the backup was made that all this came from; told for a while."""
RESTORED_TOLD_S = 7 * 86_400.0


def keep_files(state: Path, target: Path, copy: dbapi2.Connection, tell: Tell = silent) -> None:
    """Bring the spool files of the copied rows along.

    A message that left between the copy and now has no file any more: it was delivered or deleted meanwhile, and
    the backup follows. One that is still there without its file is damage, and stays in the backup to be told of.
    """
    source, spool = Spool(state / SPOOL), Spool(target / SPOOL)
    gone: list[str] = []
    for number, (ref, _) in enumerate(messages.in_spool(copy), 1):
        tell("Messages from the spool", number, 0)
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


def copy_as_it_is(source: Path, target: Path) -> None:
    """A file with its modes, by its own octets: it may be written to later. Nothing where there is none."""
    if source.exists():
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


def changed(target: Path, manifest: Manifest, tell: Tell = silent) -> list[tuple[str, str]]:
    """Files that are missing or not as they were."""
    found = []
    for number, (name, wanted) in enumerate(manifest.files.items(), 1):
        tell("Files", number, len(manifest.files))
        path = target / name
        if not path.is_file():
            found.append((name, "is missing"))
        elif digest(path) != wanted:
            found.append((name, "was changed after the backup was made"))
    return found


def broken_promises(
    target: Path, manifest: Manifest, connection: dbapi2.Connection, tell: Tell = silent
) -> list[str]:
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
        connection,
        journal.Head(manifest.journal_number, bytes.fromhex(manifest.journal_chain)),
        seen=lambda number: tell("Entries of the journal", number, manifest.journal_number),
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

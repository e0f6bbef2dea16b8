"""What people move between inbox and Junk teaches the classifier, in the Maildirs this gate delivers to.

A message is known by the reference in its name or in our header field; where it lies now is compared with where it was
put, or with what its owner taught about it before. Only what changed since the last look is read. What people delete,
or file elsewhere, teaches nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from gatepost.delivery.maildir import JUNK, safe_name
from gatepost.jobs.settings import LearningSettings
from gatepost.mail.verdict import Action
from gatepost.office.teaching import MOST_OCTETS, Teacher, as_it_came, lesson, teach
from gatepost.store import history, lessons
from gatepost.store.database import Connection
from gatepost.store.lessons import NewLesson
from gatepost.store.memory import StoredMemory
from gatepost.store.postmaster import Why
from gatepost.store.store import Store

log = logging.getLogger("gatepost.jobs")

LOOKED_KEY = "learning:mailboxes"
LOOKED_KEPT_S = 30 * 86_400.0
SLACK_S = 2.0
"""A file system's clock may lag behind ours by so much."""
MOST_FILES = 5_000
"""Files that changed, looked at in one round."""
OUR_NAME = re.compile(r"\d+\.G([0-9A-Za-z-]{8,40})I\d+\.")
FOLDERS = (("cur", False), ("new", False), (f"{JUNK}/cur", True), (f"{JUNK}/new", True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """A file that came to lie where it does since the last look."""

    path: Path
    owner: str
    junk: bool


@dataclass(slots=True, kw_only=True)
class Mailboxes:
    """The round that looks."""

    store: Store
    memory: StoredMemory
    settings: Callable[[], LearningSettings]
    bases: Callable[[], Iterable[Path]]
    """The folders of Maildirs that this gate delivers to."""
    clock: Callable[[], float]
    """Unix seconds."""

    async def look(self) -> None:
        """Learn from what was moved since the last look; the first look only notes the time."""
        settings, now = self.settings(), self.clock()
        if not settings.mailboxes:
            return
        since = await self.memory.get(LOOKED_KEY)
        if since is not None:
            bases = list(self.bases())
            lying = await asyncio.to_thread(changed, bases, float(since) - SLACK_S)
            for one in lying:
                await self.consider(one, settings)
        await self.memory.put(LOOKED_KEY, str(now), ttl_s=LOOKED_KEPT_S)

    async def consider(self, lying: Lying, settings: LearningSettings) -> None:
        """Does it lie elsewhere than it was put? Then its owner has said something."""
        found = OUR_NAME.match(lying.path.name)
        octets = b"" if found else await asyncio.to_thread(read, lying.path)
        ref = found[1].upper() if found else as_it_came(octets)[1] if octets else ""
        if not ref:
            return
        put = self.store.database.read(lambda connection: was_junk(connection, ref, lying.owner))
        if put is None or put is lying.junk:
            return
        octets = octets or await asyncio.to_thread(read, lying.path)
        if not octets:
            return
        teacher = Teacher(who=lying.owner, how="moved", owner=lying.owner)
        new: NewLesson = lesson(octets, teacher, spam=lying.junk, ref=ref)
        words = "moved to Junk" if lying.junk else "moved out of Junk"
        why = Why(who=lying.owner, why=words, at=self.clock())
        done = await teach(self.store, [new], why, person_a_day=settings.person_a_day)
        if done.over:
            log.info("%s has taught enough for today; %s is left out", lying.owner, ref)


def was_junk(connection: Connection, ref: str, owner: str) -> bool | None:
    """What the message is to its owner so far: as taught, else as it was delivered. None: it is no mail of theirs."""
    told = lessons.label_of(connection, ref, owner)
    if told is not None:
        return told
    entry = history.entry(connection, ref)
    for one in entry.judged if entry else ():
        final = one.deliver_to or (str(one.recipient.address),)
        if owner in (address.lower() for address in final):
            return one.verdict.action is Action.JUNK
    return None


def changed(bases: Iterable[Path], since: float) -> list[Lying]:
    """Files that came to lie where they do since `since` (Unix seconds), at most MOST_FILES."""
    found: list[Lying] = []
    for base in bases:
        for domain in folders(base):
            for person in folders(domain):
                owner = address_of(person.name, domain.name)
                for name, junk in FOLDERS if owner else ():
                    for path in fresh(person / name, since):
                        found.append(Lying(path=path, owner=owner, junk=junk))
                        if len(found) >= MOST_FILES:
                            return found
    return found


def folders(above: Path) -> Iterator[Path]:
    """The folders in one, but for hidden ones and links."""
    try:
        with os.scandir(above) as entries:
            names = sorted(
                one.name
                for one in entries
                if not one.name.startswith(".") and one.is_dir(follow_symlinks=False)
            )
    except OSError:
        return
    yield from (above / name for name in names)


def fresh(folder: Path, since: float) -> Iterator[Path]:
    """Files that got their name here since then: a rename or a link changes a file's ctime, and its folder's mtime."""
    try:
        if folder.stat().st_mtime < since:
            return
        with os.scandir(folder) as entries:
            found = [one.name for one in entries if is_fresh(one, since)]
    except OSError:
        return
    yield from (folder / name for name in sorted(found))


def is_fresh(entry: os.DirEntry[str], since: float) -> bool:
    """A plain file that changed since then."""
    try:
        state = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(state.st_mode) and state.st_ctime >= since


def read(path: Path) -> bytes:
    """A message of the mailbox; empty when it has gone, is no plain file, or is too large to learn from."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode) or state.st_size > MOST_OCTETS:
            return b""
        return file.read(MOST_OCTETS)


def address_of(person: str, domain: str) -> str:
    """Whose mailbox it is, by the names of its folders (`delivery.maildir.safe_name`); empty where they do not say."""
    try:
        local, at = (unquote_to_bytes(one).decode() for one in (person, domain))
    except UnicodeDecodeError:
        return ""
    same = (
        safe_name(local) == person and safe_name(at) == domain
    )  # a name too long to be a folder's is shortened
    return f"{local}@{at}".lower() if same else ""

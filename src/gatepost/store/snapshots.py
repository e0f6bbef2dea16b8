"""What the classifier has learnt, on the disk: one file for the site, a small one for each person who taught something.

A snapshot is written beside the old one, synced and renamed, so that a reader finds the one or the other, whole. The
one before is kept: where the newest turns out to be damaged, it stands in. Readers look at most once a second whether
there is a newer one. People's layers are written before the site's snapshot, which is the sign to read them again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from gatepost.classify.model import SiteModel, Unreadable, UserLayer
from gatepost.store.disk import Disk, closing
from gatepost.store.snapshotfile import (
    BEFORE,
    FOLDER,
    SITE,
    Damaged,
    Label,
    Stamp,
    read_labelled,
    stamp_of,
)

LOCK, PEOPLE = "lock", "people"
LOOK_S = 1.0
LAYERS = 500
"""People whose layers are kept in memory."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model with its label."""

    label: Label
    model: SiteModel
    problem: str = ""
    """Why this is not the newest one; empty when it is."""


class Snapshots:
    """The snapshots of one state folder."""

    def __init__(self, state: Path, *, clock: Callable[[], float], disk: Disk | None = None) -> None:
        """`clock` gives seconds of any epoch: how often the disk is looked at."""
        self.folder = state / FOLDER
        self.problem = ""
        """One sentence when what should be there cannot be read."""
        self._clock = clock
        self._disk = disk or Disk()
        self._looked_at = float("-inf")
        self._stamp: Stamp | None = (0, 0, 0)
        self._current: Snapshot | None = None
        self._layers: dict[str, UserLayer | None] = {}

    def current(self) -> Snapshot | None:
        """The newest readable snapshot, read again when it changed; None when nothing was learnt. Never raises."""
        now = self._clock()
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            stamp = stamp_of(self.folder / SITE)
            if stamp != self._stamp:
                self._stamp = stamp
                self._take_in()
        return self._current

    def _take_in(self) -> None:
        """Read it; what cannot be read leaves the one in use in its place."""
        self._layers.clear()
        fresh = self.read()
        if fresh is None:
            self._current, self.problem = None, ""
        elif isinstance(fresh, Unreadable):
            self.problem = fresh.text
        else:
            self.problem = fresh.problem
            if not (fresh.problem and self._current):
                self._current = fresh

    def read(self) -> Snapshot | Unreadable | None:
        """From the disk, now: the newest, else the one before it with the reason; None when there is none at all."""
        newest = read_snapshot(self.folder / SITE)
        if isinstance(newest, Snapshot):
            return newest
        before = read_snapshot(self.folder / BEFORE)
        if newest is None and before is None:
            return None
        reason = newest.text if newest else "it is missing"
        if isinstance(before, Snapshot):
            return Snapshot(
                before.label, before.model, f"{self.folder / SITE}: {reason}; the one before it is in use"
            )
        return Unreadable(f"{self.folder / SITE}: {reason}, and there is none before it")

    def layer(self, owner: str) -> UserLayer | None:
        """What a person taught, None when nothing; kept until the site's snapshot changes. Never raises."""
        if owner in self._layers:
            return self._layers[owner]
        try:
            octets = (self.folder / PEOPLE / file_name(owner)).read_bytes()
        except OSError:
            layer = None
        else:
            read = UserLayer.from_bytes(octets)
            layer = None if isinstance(read, Unreadable) else read
        while len(self._layers) >= LAYERS:
            del self._layers[next(iter(self._layers))]
        self._layers[owner] = layer
        return layer

    def write(self, model: SiteModel, label: Label, layers: Mapping[str, UserLayer | None]) -> None:
        """Put a new snapshot in place, and the layers that changed (None: a person's lessons are all forgotten).

        The caller holds `turn`. Raises OSError, and then readers keep what they had.
        """
        people = self.folder / PEOPLE
        self._make(people)
        for owner, layer in layers.items():
            path = people / file_name(owner)
            if layer is None:
                path.unlink(missing_ok=True)
            else:
                self._put(path, layer.to_bytes())
        octets = model.to_bytes()
        digest = hashlib.sha256(octets).hexdigest()
        head = msgspec.json.encode(replace(label, digest=digest))
        site = self.folder / SITE
        if isinstance(read_snapshot(site), Snapshot):
            kept = site.with_name(f"{BEFORE}.new")
            kept.unlink(missing_ok=True)
            os.link(site, kept)
            kept.rename(self.folder / BEFORE)
        self._put(site, head + b"\n" + octets)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Held by the one process that learns."""
        self._make(self.folder)
        lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with closing(lock):
            self._own(lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make(self, folder: Path) -> None:
        for one in (self.folder, folder):
            if not one.is_dir():
                one.mkdir(mode=0o700)
                if os.geteuid() == 0:
                    above = one.parent.stat()
                    os.chown(one, above.st_uid, above.st_gid)

    def _put(self, path: Path, octets: bytes) -> None:
        """A file as a whole, synced and then renamed into its place."""
        fresh = path.with_name(f"{path.name}.new")
        self._disk.remove(fresh)
        handle = self._disk.create(fresh)
        with closing(handle):
            self._own(handle)
            self._disk.write(handle, octets)
            self._disk.sync(handle)
        self._disk.rename(fresh, path)
        self._disk.sync_folder(path.parent)

    def _own(self, handle: int) -> None:
        """What root writes belongs to the gate's account all the same: it is to read it."""
        if os.geteuid() == 0:
            owner = self.folder.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)


def read_snapshot(path: Path) -> Snapshot | Unreadable | None:
    """One file; None when it is not there, else the snapshot or what is wrong with it."""
    found = read_labelled(path)
    if found is None:
        return None
    if isinstance(found, Damaged):
        return Unreadable(found.text)
    label, octets = found
    model = SiteModel.from_bytes(octets)
    return model if isinstance(model, Unreadable) else Snapshot(label, model)


def file_name(owner: str) -> str:
    """A person's file: people write their addresses in many ways, a folder's names are none of them."""
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:32]

"""An installation as the commands open it: its configuration and its store, beside a running gate."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gatepost.config.load import ConfigError
from gatepost.config.place import Place, place_of
from gatepost.store.backupsecrets import has_secrets
from gatepost.store.failures import StoreFailed
from gatepost.store.sealing import Keyring
from gatepost.store.store import Store, keyring

if TYPE_CHECKING:
    from gatepost.config.schema import Loaded

T = TypeVar("T")


class Run(Protocol):
    """Runs a coroutine of the store to its end."""

    def __call__(self, coroutine: Coroutine[Any, Any, T], /) -> T: ...


@dataclass(slots=True)
class Installation:
    """Open for one command."""

    place: Place
    store: Store
    run: Run
    _loaded: Loaded | None = None

    @property
    def loaded(self) -> Loaded:
        """The whole configuration, read and proved when it is first asked for. Raises ConfigError."""
        if self._loaded is None:
            from gatepost.config.schema import load

            self._loaded = load(self.place.path)
        return self._loaded


@contextmanager
def opened(path: Path) -> Iterator[Installation]:
    """The open store and, when asked for, the configuration; the gate may be running. Raises ConfigError or StoreFailed."""
    place = place_of(path)
    insist_on_state(place)
    with asyncio.Runner() as runner:
        store = Store.open(place.state, place.store, key_file=place.key_file)
        try:
            yield Installation(place, store, runner.run)
        finally:
            runner.run(store.close())


def insist_on_state(place: Place) -> None:
    """Raises ConfigError when there is no store yet, or it is not for this user."""
    try:
        there = (place.state / "gatepost.db").exists()
    except OSError as fault:
        problem = f"{place.state} cannot be looked into ({fault.strerror}): run this as the gate's user."
        raise ConfigError(str(place.path), "state", problem) from None
    if not there:
        from gatepost.config.schema import load

        load(place.path)  # a setting that is wrong is the likelier reason, and is told first
        problem = f"{place.state} holds no mail yet: has the gate been started once?"
        raise ConfigError(str(place.path), "state", problem)


def keys_for_secrets(place: Place) -> Keyring:
    """The master keys that seal the secrets in a backup; made where there are none yet, for the state's owner. Raises StoreFailed."""
    keys = keyring(place.state, place.key_file)
    if not has_secrets(place.state) or keys.ids():
        return keys
    if place.key_file is not None:
        raise StoreFailed(
            f"the master key {place.key_file} is not there, and secrets are in a backup only sealed with it: run this where it can"
            " be read, or leave them out (--without-secrets)"
        )
    keys.add_key()
    owner = place.state.stat()
    if owner.st_uid != os.geteuid():
        os.chown(keys.path, owner.st_uid, owner.st_gid)
    return keys

"""An installation as the commands open it: its configuration and its store, beside a running gate."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gatepost.config.load import ConfigError
from gatepost.config.schema import Loaded, load
from gatepost.store.backupsecrets import has_secrets
from gatepost.store.failures import StoreFailed
from gatepost.store.sealing import Keyring
from gatepost.store.store import Store, keyring

T = TypeVar("T")


class Run(Protocol):
    """Runs a coroutine of the store to its end."""

    def __call__(self, coroutine: Coroutine[Any, Any, T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class Installation:
    """Open for one command."""

    loaded: Loaded
    store: Store
    run: Run


@contextmanager
def opened(path: Path) -> Iterator[Installation]:
    """The configuration and the open store; the gate may be running. Raises ConfigError or StoreFailed."""
    loaded = load(path)
    insist_on_state(loaded)
    with asyncio.Runner() as runner:
        store = Store.open(loaded.state, loaded.config.store, key_file=loaded.key_file)
        try:
            yield Installation(loaded, store, runner.run)
        finally:
            runner.run(store.close())


def insist_on_state(loaded: Loaded) -> None:
    """Raises ConfigError when there is no store yet, or it is not for this user."""
    try:
        there = (loaded.state / "gatepost.db").exists()
    except OSError as fault:
        problem = f"{loaded.state} cannot be looked into ({fault.strerror}): run this as the gate's user."
        raise ConfigError(str(loaded.path), "state", problem) from None
    if not there:
        problem = f"{loaded.state} holds no mail yet: has the gate been started once?"
        raise ConfigError(str(loaded.path), "state", problem)


def keys_for_secrets(loaded: Loaded) -> Keyring:
    """The master keys that seal the secrets in a backup; made where there are none yet, for the state's owner. Raises StoreFailed."""
    keys = keyring(loaded.state, loaded.key_file)
    if not has_secrets(loaded.state) or keys.ids():
        return keys
    if loaded.key_file is not None:
        raise StoreFailed(
            f"the master key {loaded.key_file} is not there, and secrets are in a backup only sealed with it: run this where it can"
            " be read, or leave them out (--without-secrets)"
        )
    keys.add_key()
    owner = loaded.state.stat()
    if owner.st_uid != os.geteuid():
        os.chown(keys.path, owner.st_uid, owner.st_gid)
    return keys

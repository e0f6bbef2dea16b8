"""The directory that accounts come from, as configured."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gatepost.app.office import office_of
from gatepost.checks.sender.people import IMPORTED
from gatepost.config.schema import Loaded
from gatepost.jobs.peoplesync import PeopleSync
from gatepost.net.directoryservice import DirectoryService
from gatepost.office.peoplesource import SOURCE, DirectoryPasswords
from gatepost.store.memory import StoredMemory
from gatepost.store.store import Store

if TYPE_CHECKING:
    from gatepost.office.signin import PasswordSource  # passkeys and all: the console's own


def sync_of(loaded: Callable[[], Loaded], store: Store, memory: StoredMemory | None = None) -> PeopleSync:
    """What brings accounts to what the directory says; `memory` keeps what is wrong with it."""
    return PeopleSync(
        settings=lambda: loaded().config.people_source,
        directory=lambda: DirectoryService(loaded().config.people_source, loaded().folder),
        office=lambda: office_of(loaded(), store),
        domains=lambda: [one.name.lstrip(".") for one in loaded().config.domains],
        imported=store.folder / IMPORTED,
        memory=memory,
    )


def password_sources(loaded: Loaded) -> dict[str, PasswordSource]:
    """Who knows the passwords of accounts from elsewhere, for `signin.by_password`."""
    settings = loaded.config.people_source
    if not settings.servers or not settings.check_passwords:
        return {}
    return {SOURCE: DirectoryPasswords(DirectoryService(settings, loaded.folder))}

"""Accounts follow the directory, by the clock or by hand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatepost.jobs.rounds import Round
from gatepost.net.directoryservice import DirectoryPerson, PeopleSourceSettings
from gatepost.office.office import Office
from gatepost.office.peoplesource import Directory, Kind, Step, protected, synchronise, write_protected
from gatepost.tools import Unavailable

log = logging.getLogger("gatepost.jobs")


@dataclass(slots=True, kw_only=True)
class PeopleSync:
    """Asks the directory and brings the accounts to what it says."""

    settings: Callable[[], PeopleSourceSettings]
    directory: Callable[[], Directory]
    office: Callable[[], Office]
    domains: Callable[[], Iterable[str]]
    """Ours."""
    imported: Path
    """Where the names to be watched for impersonation are written."""
    _skipped: frozenset[Step] = frozenset()

    def rounds(self) -> Sequence[Round]:
        """For the clock; none without a directory."""
        settings = self.settings()
        return [Round("people", settings.every_s, self.work)] if settings.servers else []

    async def work(self) -> None:
        """One synchronisation; what cannot be is told once."""
        if not self.settings().servers:
            return
        try:
            steps = await self.synchronise()
        except Unavailable as why:
            log.warning("people were not brought up to date: %s", why)
            return
        skipped = frozenset(one for one in steps if one.kind is Kind.SKIP)
        for one in steps:
            if one.kind is not Kind.SKIP:
                log.info("people: %s %s: %s", one.kind.value, one.login, one.text)
            elif one not in self._skipped:
                log.warning("people: %s stays as it is: %s", one.login, one.text)
        self._skipped = skipped

    async def synchronise(self, *, force: bool = False, dry: bool = False) -> list[Step]:
        """What was done, or with `dry` would be. Raises Unavailable."""
        settings = self.settings()
        found: list[DirectoryPerson] = await self.directory().people()
        if not dry:
            try:
                write_protected(self.imported, protected(settings, found))
            except OSError as fault:
                log.error("names could not be written to %s: %s", self.imported, fault.strerror)
        return await synchronise(self.office(), settings, found, self.domains(), force=force, dry=dry)

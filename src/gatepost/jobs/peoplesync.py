"""Accounts follow the directory, by the clock or by hand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gatepost.jobs.owntrouble import PROBLEMS_KEPT_S, PROBLEMS_KEY
from gatepost.jobs.rounds import Round
from gatepost.net.directoryservice import DirectoryPerson, PeopleSourceSettings
from gatepost.office.office import Office
from gatepost.office.peoplesource import Directory, Kind, Step, protected, synchronise, write_protected
from gatepost.store.memory import StoredMemory
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
    memory: StoredMemory | None = None
    """Where trouble is written down for whoever looks at the gate."""
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
            await self._note(str(why))
            return
        await self._note("")
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
        steps = await synchronise(self.office(), settings, found, self.domains(), force=force, dry=dry)
        # Only now: a directory that lost half its people takes nobody's name off the watch.
        if not dry:
            try:
                write_protected(self.imported, protected(settings, found))
            except OSError as fault:
                log.error("names could not be written to %s: %s", self.imported, fault.strerror)
        return steps

    async def _note(self, problem: str) -> None:
        if self.memory is not None:
            kept_s = max(PROBLEMS_KEPT_S, 3 * self.settings().every_s)
            told = msgspec.json.encode({"directory": problem} if problem else {}).decode()
            await self.memory.put(PROBLEMS_KEY + "people", told, ttl_s=kept_s)

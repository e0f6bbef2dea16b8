"""What was changed in the configuration's file, and in the files of rules, is in the journal, as what is changed in the console is.

Who changed it a file does not tell. It is looked at whenever the gate has read its configuration, at a start or a reload.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from gatepost.jobs.rounds import Round
from gatepost.store import journal
from gatepost.store.database import Connection
from gatepost.store.memory import StoredMemory
from gatepost.store.store import Store

LOOK_S = 30.0
KEPT_S = 3650 * 86_400.0
LONGEST = 120
"""Characters of a value."""
MOST = 20
"""Changes told by name in one entry."""
WHO = "configuration file"

Known = Mapping[str, str]
"""Names and values."""


@dataclass(slots=True, kw_only=True)
class SettingsLog:
    """Compares with what was known before, and writes down what is another."""

    store: Store
    memory: StoredMemory
    version: Callable[[], object]
    """Another object each time the configuration was read."""
    read: Callable[[], Mapping[str, Known]]
    """What is in force by kind: ``settings``, ``rules``. Reads small files, in the loop."""
    clock: Callable[[], float]
    _seen: object = field(default=None, init=False)

    def rounds(self) -> Sequence[Round]:
        """For the clock."""
        return [Round("settings", LOOK_S, self.work)]

    async def work(self) -> None:
        """Does nothing while no configuration was read."""
        version = self.version()
        if version is self._seen:
            return
        for kind, now in self.read().items():
            key = f"known:{kind}"
            before = await self.memory.get(key)
            told = list(changes(json.loads(before), now)) if before is not None else []
            if told:
                await self.store.database.commit(partial(self.record, kind=kind, told=told))
            if told or before is None:
                await self.memory.put(key, json.dumps(dict(now)), ttl_s=KEPT_S)
        self._seen = version

    def record(self, connection: Connection, kind: str, told: Sequence[str]) -> None:
        """One entry for all that changed at once."""
        more = f"; and {len(told) - MOST} more" if len(told) > MOST else ""
        why = "; ".join(told[:MOST]) + more
        journal.append(connection, at=self.clock(), who=WHO, what=f"{kind} change", why=why)


def changes(before: Known, now: Known) -> Iterator[str]:
    """One phrase for each, by name."""
    for name in sorted({*before, *now}):
        was, then = before.get(name), now.get(name)
        if was == then:
            continue
        if then is None:
            yield f"{name} taken out (was {(was or '')[:LONGEST]})"
        else:
            yield f"{name} = {then[:LONGEST]}" + (f" (was {was[:LONGEST]})" if was is not None else " (new)")

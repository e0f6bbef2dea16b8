"""Connections kept open for a while, for the next message that may use them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gatepost.net.link import Link
from gatepost.net.timers import Timers


@dataclass(slots=True, eq=False)
class KeptLink:
    """One connection."""

    link: Link
    key: object
    """What two messages must have in common to share it."""
    used: int = 0
    """Messages that went over it."""
    counted: set[str] = field(default_factory=set)
    """Domains whose policies the session was counted under for reports."""


class KeptLinks:
    """Those that wait, by their key."""

    def __init__(self, idle_s: float, most_messages: int) -> None:
        self.most_messages = most_messages
        self.waiting: dict[object, list[KeptLink]] = {}
        self._idle = Timers(idle_s, self._drop)

    def take(self, key: object) -> KeptLink | None:
        """One that is still alive, or None."""
        links = self.waiting.get(key)
        while links:
            kept = links.pop()
            self._idle.stop(kept)
            if not links:  # whoever breaks is not kept: nobody else would forget the key
                del self.waiting[key]
            if kept.link.alive:
                return kept
        return None

    def keep(self, kept: KeptLink) -> None:
        """A message went over it: keep it, or take leave when it was enough."""
        kept.used += 1
        if not kept.link.alive or kept.used >= self.most_messages:
            kept.link.leave()
            return
        self.waiting.setdefault(kept.key, []).append(kept)
        self._idle.start(kept)

    async def close(self, patience_s: float) -> None:
        """Say QUIT on all of them, and wait a moment for them to close."""
        everyone = [one for links in self.waiting.values() for one in links]
        self.waiting.clear()
        for kept in everyone:
            self._idle.stop(kept)
            kept.link.leave()
        await asyncio.gather(*(kept.link.gone(patience_s) for kept in everyone))

    def _drop(self, kept: KeptLink) -> None:
        links = self.waiting.get(kept.key, [])
        if kept in links:
            links.remove(kept)
        if not links:
            self.waiting.pop(kept.key, None)
        kept.link.leave()

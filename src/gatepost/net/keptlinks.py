"""Connections kept open for a while, for the next message that may use them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gatepost.net.link import Link


@dataclass(slots=True)
class KeptLink:
    """One connection."""

    link: Link
    used: int = 0
    """Messages that went over it."""
    timer: asyncio.TimerHandle | None = None
    counted: set[str] = field(default_factory=set)
    """Domains whose policies the session was counted under for reports."""


@dataclass(slots=True)
class KeptLinks:
    """By whatever two messages must have in common to share a connection."""

    idle_s: float
    most_messages: int
    waiting: dict[object, list[KeptLink]] = field(default_factory=dict)

    def take(self, key: object) -> KeptLink | None:
        """One that is still alive, or None."""
        links = self.waiting.get(key)
        while links:
            kept = links.pop()
            if kept.timer:
                kept.timer.cancel()
            if kept.link.alive:
                return kept
        return None

    def keep(self, kept: KeptLink, key: object) -> None:
        """A message went over it: keep it, or take leave when it was enough."""
        kept.used += 1
        if not kept.link.alive or kept.used >= self.most_messages:
            kept.link.leave()
            return
        self.waiting.setdefault(key, []).append(kept)
        kept.timer = asyncio.get_running_loop().call_later(self.idle_s, self._drop, kept, key)

    async def close(self, patience_s: float) -> None:
        """Say QUIT on all of them, and wait a moment for them to close."""
        everyone = [one for links in self.waiting.values() for one in links]
        self.waiting.clear()
        for kept in everyone:
            if kept.timer:
                kept.timer.cancel()
            kept.link.leave()
        await asyncio.gather(*(kept.link.gone(patience_s) for kept in everyone))

    def _drop(self, kept: KeptLink, key: object) -> None:
        links = self.waiting.get(key, [])
        if kept in links:
            links.remove(kept)
        if not links:
            self.waiting.pop(key, None)
        kept.link.leave()

"""Guessing is slowed down, and nobody is shut out by it for good: pure over counted failures.

Three counts: of one account from one network, of one network, and of the networks that guess at one account. A network
adds one at most to the last, so the guesses from one network never make another wait. Somebody from a network they
signed in from before is held to the first count alone, and a browser they signed in with to a count of its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from gatepost.access.settings import LockoutSettings


class Count(StrEnum):
    """What failures are counted by."""

    HERE = "here"
    """One account from one network."""
    NETWORK = "network"
    SPREAD = "spread"
    """Networks that used up what is free for one account."""
    DEVICE = "device"
    """One account from one browser it is known by."""


@dataclass(frozen=True, slots=True)
class Strikes:
    """Failures so far."""

    failures: int = 0
    last_at: float = 0.0
    turned_away: int = 0
    """Tries that came while waiting, since the last failure: not looked at."""


@dataclass(frozen=True, slots=True)
class Try:
    """Somebody tries to sign in."""

    account: str
    """What they say they are; also of nobody here."""
    network: str
    """See `networks.prefix`."""
    known_network: bool = False
    """The account signed in from there before."""
    known_device: str = ""
    """What the browser is known by to this account; empty: it is not."""


def counts(one: Try) -> dict[Count, bytes]:
    """By what this try is counted, and the digest it is kept under: no name is."""
    if one.known_device:
        return {Count.DEVICE: _key(Count.DEVICE, one.account, one.known_device)}
    here = {Count.HERE: _key(Count.HERE, one.account, one.network)}
    if one.known_network:
        return here
    return here | {
        Count.NETWORK: _key(Count.NETWORK, one.network),
        Count.SPREAD: _key(Count.SPREAD, one.account),
    }


def wait_s(count: Count, strikes: Strikes, settings: LockoutSettings, now: float) -> float:
    """Seconds until the next try is looked at; 0: now."""
    if now >= strikes.last_at + settings.forgotten_s:
        return 0.0
    over = strikes.failures - _free(count, settings)
    if over < 0:
        return 0.0
    # 2**40 first waits are beyond every longest one.
    wait: float = min(settings.first_s * 2.0 ** min(over, 40), settings.longest_s)
    return max(0.0, strikes.last_at + wait - now)


def struck(strikes: dict[Count, Strikes], settings: LockoutSettings, now: float) -> dict[Count, Strikes]:
    """All counts after one more failure."""
    current = {
        count: Strikes() if now >= one.last_at + settings.forgotten_s else one
        for count, one in strikes.items()
    }
    after: dict[Count, Strikes] = {
        count: Strikes(one.failures + 1, now) for count, one in current.items() if count is not Count.SPREAD
    }
    spread = current.get(Count.SPREAD)
    if spread is not None:
        # Only when this network has just used up what it has free: it then counts as one that guesses.
        guesses = after[Count.HERE].failures == settings.free
        after[Count.SPREAD] = Strikes(spread.failures + 1, now) if guesses else spread
    return after


def _free(count: Count, settings: LockoutSettings) -> int:
    if count is Count.NETWORK:
        return settings.network_free
    return settings.spread_free if count is Count.SPREAD else settings.free


def _key(count: Count, *parts: str) -> bytes:
    return hashlib.sha256("\0".join((count.value, *parts)).encode("utf-8", "replace")).digest()[:16]

"""The life of a signing key, and what is due in it: created → published → signing → retired → removed. Pure.

A key signs only while its record has been looked up and found to be this very key. One that signs and whose record
is gone goes back to `created`; it signs again when the record is there again. For each algorithm one key of a domain
signs; the next one is made in time, waits until it is published, and takes over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

ALGORITHMS = ("rsa-sha256", "ed25519-sha256")
LETTER = {"rsa-sha256": "r", "ed25519-sha256": "e"}
SLOTS = 2
"""Selectors of an algorithm that a delegated domain takes turns with."""


class KeyState(StrEnum):
    """Where a key is in its life."""

    CREATED = "created"
    """Its record is not published, or not any more."""
    PUBLISHED = "published"
    """Its record was looked up and fits; another key still signs."""
    SIGNING = "signing"
    RETIRED = "retired"
    """Signs no more; the record stays for mail under way."""
    REMOVED = "removed"
    """The private key is deleted; the record may go."""


MOVES: Mapping[KeyState, frozenset[KeyState]] = {
    KeyState.CREATED: frozenset({KeyState.PUBLISHED, KeyState.RETIRED, KeyState.REMOVED}),
    KeyState.PUBLISHED: frozenset({KeyState.CREATED, KeyState.SIGNING, KeyState.RETIRED, KeyState.REMOVED}),
    KeyState.SIGNING: frozenset({KeyState.CREATED, KeyState.RETIRED}),
    KeyState.RETIRED: frozenset({KeyState.REMOVED}),
    KeyState.REMOVED: frozenset(),
}
"""What may follow what. A key that signs is retired before it is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPace:
    """How long a key stays where it is; seconds."""

    rotate_s: float = 180 * 86_400.0
    settle_s: float = 3_600.0
    keep_s: float = 14 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """What is known of a key without its secret."""

    id: int
    domain: str
    selector: str
    algorithm: str
    """``rsa-sha256`` or ``ed25519-sha256``."""
    state: KeyState
    since: float
    """In this state, Unix seconds."""
    created_at: float
    record: str
    """The text of the TXT record to publish."""
    checked_at: float = 0.0
    """When the record was last looked up; 0 for never."""
    problem: str = ""
    """What the last look found wrong, one clause."""


@dataclass(frozen=True, slots=True)
class Move:
    """A key changes its state."""

    key: KeyFacts
    to: KeyState
    why: str


@dataclass(frozen=True, slots=True)
class Create:
    """A domain needs a key more."""

    domain: str
    algorithm: str
    why: str


def due(
    keys: Sequence[KeyFacts],
    seen: Mapping[int, str | None],
    *,
    now: float,
    pace: KeyPace,
    algorithms: Sequence[str] = ALGORITHMS,
    rotates: bool = True,
) -> list[Move | Create]:
    """What is to be done with the keys of one domain.

    `seen` has for keys by number what looking up their records came to: empty when they fit, else why not, None when
    the DNS did not answer, which changes nothing. Without `rotates` no key is made and none retired by age.
    """
    steps: list[Move | Create] = []
    for algorithm in (*algorithms, *sorted({one.algorithm for one in keys} - set(algorithms))):
        own = sorted(
            (one for one in keys if one.algorithm == algorithm and one.state is not KeyState.REMOVED),
            key=lambda one: (one.created_at, one.id),
        )
        steps += _due_of_algorithm(own, seen, now, pace)
        if rotates and algorithm in algorithms and keys:
            steps += _missing(own, algorithm, keys[0].domain, now, pace)
    return steps


def _due_of_algorithm(
    own: Sequence[KeyFacts], seen: Mapping[int, str | None], now: float, pace: KeyPace
) -> Iterator[Move]:
    ready: list[KeyFacts] = []
    signing: list[KeyFacts] = []
    for key in own:
        found = seen.get(key.id)
        if key.state is KeyState.CREATED and found == "":
            yield Move(key, KeyState.PUBLISHED, "its record was looked up and fits")
            ready.append(key)
        elif key.state in (KeyState.PUBLISHED, KeyState.SIGNING) and found:
            yield Move(key, KeyState.CREATED, f"its record does not stand any more: {found}")
        elif key.state is KeyState.PUBLISHED:
            ready.append(key)
        elif key.state is KeyState.SIGNING:
            signing.append(key)
        elif key.state is KeyState.RETIRED and now - key.since >= pace.keep_s:
            yield Move(key, KeyState.REMOVED, "mail that it signed has arrived or been given up")
    if not ready:
        return
    newest = ready[-1]
    if not signing:
        yield Move(newest, KeyState.SIGNING, "no other key of this kind signs")
    elif newest.created_at > signing[-1].created_at and _settled(newest, now, pace):
        yield Move(newest, KeyState.SIGNING, "its record has been published for long enough")
    else:
        return
    for old in (*signing, *ready[:-1]):
        yield Move(old, KeyState.RETIRED, f"{newest.selector} takes over")


def _settled(key: KeyFacts, now: float, pace: KeyPace) -> bool:
    """Others may still remember that there was no such record (RFC 2308)."""
    return key.state is KeyState.PUBLISHED and now - key.since >= pace.settle_s


def _missing(
    own: Sequence[KeyFacts], algorithm: str, domain: str, now: float, pace: KeyPace
) -> Iterator[Create]:
    live = [one for one in own if one.state in (KeyState.CREATED, KeyState.PUBLISHED, KeyState.SIGNING)]
    if not live:
        yield Create(domain, algorithm, f"no {algorithm} key")
    elif live[-1].state is KeyState.SIGNING and now - live[-1].since >= pace.rotate_s:
        yield Create(domain, algorithm, f"{live[-1].selector} has signed for long enough")


def next_selector(
    keys: Sequence[KeyFacts], algorithm: str, *, now: float, prefix: str, delegated: bool
) -> str | None:
    """A selector that no key of the domain has or had, such as ``gate-202611r``.

    Where selectors are `delegated` by CNAMEs their names are fixed, and two take turns: ``gate-r1``, ``gate-r2``;
    None while both are in use.
    """
    letter = LETTER[algorithm]
    if delegated:
        taken = {one.selector for one in keys if one.state is not KeyState.REMOVED}
        free = [name for name in delegated_selectors(prefix) if name[-2] == letter and name not in taken]
        last = {one.selector: one.created_at for one in keys}
        return min(free, key=lambda name: last.get(name, 0.0), default=None)
    taken = {one.selector for one in keys}
    start = f"{prefix}-{datetime.fromtimestamp(now, UTC):%Y%m}{letter}"
    return next(
        name
        for number in range(1, len(taken) + 2)
        if (name := start + (str(number) if number > 1 else "")) not in taken
    )


def delegated_selectors(prefix: str) -> list[str]:
    """Every selector that a delegated domain ever uses."""
    return [f"{prefix}-{letter}{slot}" for letter in LETTER.values() for slot in range(1, SLOTS + 1)]

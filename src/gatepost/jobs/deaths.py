"""Processes of the gate that ended by themselves: written down by the supervisor, told when it happens again and again.

The supervisor starts each of them anew, so that one death is only a line in the log. It has no database; a small file in
the state folder is read by whoever follows, and by `gatepost status` where what dies is the process that sends the alarms.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gatepost.jobs.concerns import Concern, Level

FILE = "ended.json"
KEPT_S = 3600.0
MOST = 100
"""Of them are remembered; so many in an hour are bad enough."""
AGAIN, OFTEN = 3, 20
"""Within the hour: worth a word, and critical."""


@dataclass(frozen=True, slots=True)
class Death:
    """One process that ended without being asked to."""

    at: float
    """Unix seconds."""
    name: str
    """As in the log: ``worker-1``, ``delivery``."""
    exit_code: int
    """As `os.waitstatus_to_exitcode` has it: below 0 the number of a signal."""


def note_death(state: Path, name: str, exit_code: int, now: float) -> None:
    """Write one down, in place of what is old. Never raises: there may be no room."""
    known = [*recent_deaths(state, now), Death(now, name, exit_code)][-MOST:]
    fresh = state / f"{FILE}.new"
    with contextlib.suppress(OSError):
        number = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(msgspec.json.encode(known))
        fresh.replace(state / FILE)


def recent_deaths(state: Path, now: float) -> list[Death]:
    """Those of the last hour, the oldest first; nothing readable is none."""
    try:
        found = msgspec.json.decode((state / FILE).read_bytes(), type=list[Death])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return []
    return [one for one in found if abs(now - one.at) < KEPT_S]  # a clock may be set back


def of_deaths(deaths: Iterable[Death]) -> Iterator[Concern]:
    """What to tell; processes of one kind count together, since what fells one comes to the next."""
    by_kind: dict[str, list[Death]] = {}
    for one in deaths:
        by_kind.setdefault(one.name.partition("-")[0], []).append(one)
    for kind, those in by_kind.items():
        if len(those) < AGAIN:
            continue
        last = those[-1].exit_code
        yield Concern(
            f"ended:{kind}",
            Level.CRITICAL if len(those) >= OFTEN else Level.WARNING,
            f"{kind.capitalize()} processes ended by themselves {len(those)} times within the last hour, the last with"
            f" {how_it_ended(last)}.",
            SHORT_OF_MEMORY if last == -signal.SIGKILL else SEE_LOG,
        )


SHORT_OF_MEMORY = "Mostly that is the kernel where memory runs out: see journalctl -k. Each is started again, and accepted mail stays."
SEE_LOG = "The log says why: journalctl -u gatepost. Each is started again, and accepted mail stays."


def how_it_ended(exit_code: int) -> str:
    """In words."""
    if exit_code >= 0:
        return f"exit status {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"

"""The demo's days: a week that was, made of what the gate just decided, and mail that keeps coming.

The past is copies of real entries of history, with other moments: nothing in it was made up by hand.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from smtplib import SMTPException

from gatepost.app.installation import opened
from gatepost.demo.cases import CASES
from gatepost.demo.send import send
from gatepost.store import history
from gatepost.store.database import Connection
from gatepost.store.history import Search
from gatepost.store.records import HistoryEntry
from gatepost.store.ref import new_ref

DAYS = 7
A_DAY_S = 86_400.0
BY_HOUR = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 18, 16, 12, 16, 18, 17, 15, 12, 8, 5, 4, 3, 2, 1)
"""Messages of each hour of a working day."""
AT_WEEKENDS = 0.3
COMMON = 4
"""How much more often good mail comes than each of the attacks."""
BETWEEN_S = (4.0, 11.0)
"""Seconds between two live messages, at least and at most."""


def remember_a_week(folder: Path, *, now: float) -> int:
    """Fill the days before; returns with how many messages."""
    with opened(folder / "gatepost.toml") as installation:
        seen = installation.store.find(Search(), limit=500).entries
        past = list(a_week_of(seen, now=now)) if seen else []
        for start in range(0, len(past), 500):
            installation.run(
                installation.store.database.commit(partial(keep, entries=past[start : start + 500]))
            )
    return len(past)


def keep(connection: Connection, *, entries: Sequence[HistoryEntry]) -> None:
    """Into history and its counters."""
    for one in entries:
        history.insert(connection, one)


def a_week_of(seen: Sequence[HistoryEntry], *, now: float) -> Iterator[HistoryEntry]:
    """Copies of what was seen, spread over the days before as mail is: more by day, less at weekends."""
    chance = random.Random(7)  # noqa: S311 - the same week in every demo
    weights = [
        COMMON if one.reply.startswith("250") and "quarantine" not in actions(one) else 1 for one in seen
    ]
    hour = int(now // 3600) - DAYS * 24
    while hour < int(now // 3600):
        moment = time.localtime(hour * 3600)
        usual = BY_HOUR[moment.tm_hour] * (AT_WEEKENDS if moment.tm_wday >= 5 else 1.0)
        for _ in range(round(usual * chance.uniform(0.6, 1.4))):
            at = hour * 3600 + chance.uniform(0, 3599)
            one = chance.choices(seen, weights)[0]
            spent = {name: ms * chance.uniform(0.5, 2.0) for name, ms in one.milliseconds.items()}
            yield replace(one, ref=new_ref(at, os.urandom(8)), at=at, milliseconds=spent)
        hour += 1


def actions(entry: HistoryEntry) -> set[str]:
    """Over its recipients."""
    return {one.verdict.action.value for one in entry.judged}


def keep_coming(folder: Path) -> None:
    """Send one of the stories every few seconds, in a thread, as long as the gate takes them."""
    threading.Thread(target=_keep_coming, args=(folder,), name="demo-life", daemon=True).start()


def _keep_coming(folder: Path) -> None:
    chance = random.Random()  # noqa: S311
    weights = [COMMON if one.name in ("ham", "letter", "list", "shop") else 1 for one in CASES]
    while True:
        time.sleep(chance.uniform(*BETWEEN_S))
        case = chance.choices(CASES, weights)[0]
        try:
            send(case, folder, now=time.time(), number=int(time.time() * 1000) % 1_000_000)
        except (OSError, EOFError, SMTPException):
            return  # the demo ends

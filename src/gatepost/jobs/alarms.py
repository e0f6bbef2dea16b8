"""Alarms: what is told of concerns, once, again after a while, and once more when it is over.

Trouble that comes and goes within `CALM_S` is one trouble. What was told lives in memory (`tools.Memory`), so that a
restart does not tell it anew. The mail has the null sender and is marked as automatic (RFC 3834 §5), so that nothing
answers it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate

import msgspec

from gatepost.jobs.concerns import SEVERITY, Concern, Level, worst
from gatepost.mail.address import Address, printable

TOLD_KEY = "alarms:told"
KEPT_S = 400 * 86_400.0
CALM_S = 600.0
"""So long something must be well before that is told."""


@dataclass(frozen=True, slots=True)
class Told:
    """A trouble that somebody knows of."""

    text: str
    level: Level
    since: float
    told_at: float
    seen_at: float
    """When it was last so."""


@dataclass(frozen=True, slots=True)
class News:
    """What to tell now; empty most of the time."""

    concerns: tuple[Concern, ...] = ()
    over: tuple[Told, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.concerns or self.over)


def news(
    before: Mapping[str, Told], concerns: Sequence[Concern], *, now: float, again_s: float
) -> tuple[dict[str, Told], News]:
    """What is new since `before`, and what is known after it was told. A trouble that gets worse is new."""
    after: dict[str, Told] = {}
    fresh: list[Concern] = []
    for one in concerns:
        known = before.get(one.key)
        worse = known is not None and SEVERITY[one.level] > SEVERITY[known.level]
        if known is None or worse or now - known.told_at >= again_s:
            fresh.append(one)
            since = now if known is None else known.since
            after[one.key] = Told(one.text, one.level, since, now, now)
        else:
            after[one.key] = replace(known, text=one.text, seen_at=now)
    over: list[Told] = []
    for key, known in before.items():
        if key in after:
            continue
        if now - known.seen_at >= CALM_S:
            over.append(known)
        else:
            after[key] = known
    return after, News(tuple(fresh), tuple(over))


def read_told(text: str | None) -> dict[str, Told]:
    """What was stored; nothing readable is a fresh start."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Told])
    except msgspec.MsgspecError:
        return {}


def write_told(told: Mapping[str, Told]) -> str:
    """For storing."""
    return msgspec.json.encode(told).decode()


def alarm_mail(what: News, *, to: Address, hostname: str, ref: str, now: float) -> bytes:
    """One message for all of it, CRLF ended."""
    lines = []
    for one in what.concerns:
        lines += [f"{one.level.value.upper()}: {printable(one.text, 600)}", f"  {one.remedy}", ""]
    lines += [f"WELL AGAIN: {printable(one.text, 600)}" for one in what.over]
    text = (
        f"From: Gatepost <mailer-daemon@{hostname}>\n"
        f"To: <{to}>\n"
        f"Subject: {subject(what, hostname)}\n"
        f"Date: {formatdate(now)}\n"
        f"Message-ID: <{ref}@{hostname}>\n"
        "Auto-Submitted: auto-generated\n"
        "MIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: 8bit\n\n" + "\n".join(lines).rstrip("\n") + "\n\n"
        "gatepost status     tells how it is now\n"
        "gatepost doctor     tells more, and what to do\n"
    )
    return text.replace("\n", "\r\n").encode("utf-8", "replace")


def subject(what: News, hostname: str) -> str:
    """In a few words."""
    if not what.concerns:
        return f"{hostname}: well again"
    number = len(what.concerns)
    return f"{hostname}: {worst(what.concerns).value}, {number} thing{'s' * (number > 1)} to look at"

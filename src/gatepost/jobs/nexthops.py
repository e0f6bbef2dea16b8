"""Do the hosts behind us still take the mail of our own domains, and those that our mail goes through? Told from the newest
tries; pure.

A queue that grows old tells it, too, but hours later; and while such a host is down, our people get nothing, or nothing goes out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gatepost.jobs.concerns import Concern, Level, age
from gatepost.mail.address import parse_address
from gatepost.mail.finding import BEHIND
from gatepost.store.records import DeliveryAttempt, HistoryEntry

LOOKED_AT = 2000
"""Newest tries that are looked at."""
TRIES = 3
"""A host that put off fewer in a row may only have restarted."""
QUIET_S = 300.0
"""From the first of them."""
MANY = 1000
"""So many in a row are enough, however fast they came."""
TOO_LARGE = re.compile(r"; the next host takes \d+\.$|\b5\.3\.4(?!\d)")
"""What we or the host say of a message that is larger than it takes (RFC 3463 §3.4)."""
TOO_LARGE_S = 86_400.0
"""So long a bounce for that is told."""
UNSURE = "recipients.unsure"
"""The rule by which a sender is asked to come back, since nobody says whether the recipient exists."""
UNSURE_BEFORE_S = 900.0
"""How long ago the first of these may have been."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """A host that has taken nothing since."""

    host: str
    since: float
    """Unix seconds of the first try in the row."""
    reply: str
    """What it said last, or our sentence when it could not be reached."""


def quiet_hosts(
    newest: Iterable[DeliveryAttempt], ours: Collection[str], now: float, *, ways: Collection[str] = ()
) -> list[Quiet]:
    """Hosts whose latest tries for our domains (``.example.net`` is everything below) were all put off; newest first.

    `ways` are hosts that others' mail goes through: a smarthost.
    """
    rows: dict[str, list[DeliveryAttempt]] = {}
    ended: set[str] = set()
    for one in newest:
        if one.host in ended or not (one.host in ways or is_ours(one.to, ours)):
            continue
        if one.status == "deferred":
            rows.setdefault(one.host, []).append(one)
        else:
            ended.add(one.host)
    return [
        Quiet(host, row[-1].at, row[0].reply)
        for host, row in rows.items()
        if len(row) >= MANY or (len(row) >= TRIES and now - row[-1].at >= QUIET_S)
    ]


def is_ours(to: str, ours: Collection[str]) -> bool:
    """Is it an address of one of our domains?"""
    address = parse_address(to, smtputf8=True)
    if address is None:
        return False
    above = address.domain.split(".")
    return address.domain in ours or any("." + ".".join(above[n:]) in ours for n in range(1, len(above)))


def of_next_hops(quiet: Iterable[Quiet], now: float) -> Iterator[Concern]:
    """What to tell of them."""
    for one in quiet:
        yield Concern(
            f"next-hop:{one.host}",
            Level.CRITICAL,
            f"{one.host} has taken none of our mail for {age(now - one.since)}: {one.reply.rstrip('.')}.",
            "See whether it runs. Mail waits for it in the queue and goes by itself once it answers; gatepost queue retry hurries one.",
        )


def of_too_small(newest: Iterable[DeliveryAttempt], ours: Collection[str], now: float) -> Iterator[Concern]:
    """Hosts behind us for which mail bounced of late that we took, and that was too large for them."""
    told: set[str] = set()
    for one in newest:
        if one.status != "failed" or one.host in told or now - one.at >= TOO_LARGE_S:
            continue
        if TOO_LARGE.search(one.reply) and is_ours(one.to, ours):
            told.add(one.host)
            yield Concern(
                f"too-large:{one.host}",
                Level.WARNING,
                f"Mail bounced since {one.host} takes less than the gate: {one.reply.rstrip('.')}.",
                "Set [limits.smtp] message to what it takes, so that senders are refused at once, or let it take as much.",
            )


def of_callouts(now_unsure: Sequence[HistoryEntry], *, before: bool) -> Iterator[Concern]:
    """What to tell when recipients could not be asked about within QUIET_S, newest first, and `before` that neither."""
    if not before or len(now_unsure) < TRIES:
        return
    judged = now_unsure[0].judged
    weighed = judged[0].verdict.weighed if judged else ()
    said = (str(one.finding.evidence[BEHIND]) for one in weighed if BEHIND in one.finding.evidence)
    reason = next(said, judged[0].verdict.reason if judged else "nobody answers").rstrip(".")
    yield Concern(
        "callout",
        Level.WARNING,
        f"Senders are asked to come back, for it is not known who is here: {reason}.",
        "See whether the server that recipients.callout names runs; a list or file of recipients does without it.",
    )

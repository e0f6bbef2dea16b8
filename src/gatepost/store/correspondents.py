"""The memory of who writes to whom: `tools.Correspondents`, and what teaches it.

Keyed by an authenticated identity and the recipient's domain. Written behind like `memory`: what a crash takes
is a count, never a message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from gatepost.store import holds
from gatepost.store.database import Connection, Database
from gatepost.store.failures import StoreFailed
from gatepost.store.later import Later
from gatepost.tools import Acquaintance

Pair = tuple[str, str]
MOST_PLACES = 12
PLACES = msgspec.json.Decoder(dict[str, int])
READ_AGAIN_S = 60.0
"""How old may be what this process knows of a pair."""


class StoredCorrespondents:
    """Implements `tools.Correspondents`."""

    def __init__(
        self, database: Database, clock: Callable[[], float], *, entries: int = 50_000, flush_s: float = 2.0
    ) -> None:
        self.database = database
        self.clock = clock
        self._entries = entries
        self._known: dict[Pair, tuple[float, Acquaintance | None]] = {}
        self._learned: dict[Pair, Acquaintance] = {}
        self._later = Later(self._flush, flush_s)

    async def know(self, identity: str, recipient_domain: str) -> Acquaintance | None:
        """What is known of the pair; None when they never met."""
        pair = (identity.lower(), recipient_domain.lower())
        read_at, known = self._known.get(pair, (0.0, None))
        if self.clock() - read_at >= READ_AGAIN_S:
            known = self.database.read(lambda connection: read(connection, pair))
            self._known.pop(pair, None)
            self._known[pair] = self.clock(), known
            if len(self._known) > self._entries:
                del self._known[next(iter(self._known))]
        learned = self._learned.get(pair)
        return merged(known, learned) if known or (learned and makes_acquaintance(learned)) else None

    def learn(
        self,
        identity: str,
        recipient_domain: str,
        *,
        at: float,
        replied: bool = False,
        proved: bool = True,
        places: Sequence[str] = (),
    ) -> None:
        """A message of `identity` was delivered to the domain; or, with `replied`, our side wrote to it.

        One that is not `proved` makes no acquaintance: it is only counted beside one that there is.
        """
        pair = (identity.lower(), recipient_domain.lower())
        new = Acquaintance(
            first_seen=at,
            last_seen=at,
            messages=int(proved and not replied),
            replied=replied,
            unproved=int(not proved),
            places=dict.fromkeys(places, 1) if proved else {},
        )
        self._learned[pair] = merged(self._learned.get(pair), new) or new
        self._later.soon()

    async def close(self) -> None:
        """Write what is not written."""
        await self._later.finish()

    async def _flush(self) -> None:
        learned, self._learned = self._learned, {}

        def work(connection: Connection) -> None:
            write(connection, learned)

        try:
            await self.database.commit(work)
        except StoreFailed:
            for pair, newer in self._learned.items():
                learned[pair] = merged(learned.get(pair), newer) or newer
            self._learned = dict(list(learned.items())[-self._entries :])
            return
        for pair in learned:
            self._known.pop(pair, None)


def makes_acquaintance(one: Acquaintance) -> bool:
    """Does it hold more than claims?"""
    return one.messages > 0 or one.replied


def write(connection: Connection, learned: Mapping[Pair, Acquaintance]) -> None:
    """Add what was learned to the rows; claims only to rows that are there."""
    connection.executemany(
        "INSERT INTO correspondents (identity, recipient_domain, first_seen, last_seen, messages, replied, unproved)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen),"
        " messages = messages + excluded.messages, replied = max(replied, excluded.replied),"
        " unproved = unproved + excluded.unproved",
        [
            (*pair, new.first_seen, new.last_seen, new.messages, new.replied, new.unproved)
            for pair, new in learned.items()
            if makes_acquaintance(new)
        ],
    )
    connection.executemany(
        "UPDATE correspondents SET unproved = unproved + ? WHERE identity = ? AND recipient_domain = ?",
        [(new.unproved, *pair) for pair, new in learned.items() if not makes_acquaintance(new)],
    )
    for pair, new in learned.items():
        if new.places:
            known = read(connection, pair)
            counts = Counter(known.places if known else {}) + Counter(new.places)
            text = msgspec.json.encode(dict(counts.most_common(MOST_PLACES))).decode()
            connection.execute(
                "UPDATE correspondents SET places = ? WHERE identity = ? AND recipient_domain = ?",
                (text, *pair),
            )


def partners(connection: Connection, most: int) -> list[str]:
    """Identities that our side wrote to, the latest first."""
    rows = connection.execute(
        "SELECT identity FROM correspondents WHERE replied = 1 ORDER BY last_seen DESC LIMIT ?", (most,)
    )
    return [identity for (identity,) in rows]


def read(connection: Connection, pair: Pair) -> Acquaintance | None:
    """The pair's row."""
    row = connection.execute(
        "SELECT first_seen, last_seen, messages, replied, unproved, places FROM correspondents"
        " WHERE identity = ? AND recipient_domain = ?",
        pair,
    ).fetchone()
    if row is None:
        return None
    return Acquaintance(row[0], row[1], row[2], bool(row[3]), row[4], PLACES.decode(row[5]))


def merged(one: Acquaintance | None, other: Acquaintance | None) -> Acquaintance | None:
    """Both together."""
    if one is None or other is None:
        return one or other
    return Acquaintance(
        first_seen=min(one.first_seen, other.first_seen),
        last_seen=max(one.last_seen, other.last_seen),
        messages=one.messages + other.messages,
        replied=one.replied or other.replied,
        unproved=one.unproved + other.unproved,
        places=Counter(one.places) + Counter(other.places) if one.places or other.places else {},
    )


def expire(connection: Connection, *, before: float, limit: int) -> int:
    """Forget at most `limit` pairs last seen before `before`."""
    return int(
        connection.execute(
            "DELETE FROM correspondents WHERE (identity, recipient_domain) IN"  # noqa: S608
            " (SELECT identity, recipient_domain FROM correspondents WHERE last_seen < ?"
            f" AND {holds.CORRESPONDENTS} LIMIT ?)",
            (before, limit),
        ).rowcount
    )

"""A look at the gate from outside: disk, queue, certificates, resolver, lists, the counts of the last hour.

The jobs take it every minute, `gatepost status` whenever it is asked; both see the same facts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from gatepost.checks.connection.recipients import BOUNCED_KEY
from gatepost.checks.dnslists.health import HEALTH_KEY, out_of_service, plan
from gatepost.checks.dnslists.lists import DnsList
from gatepost.jobs.concerns import Certificate, Disk, Facts
from gatepost.jobs.deaths import of_deaths, recent_deaths
from gatepost.jobs.nexthops import (
    LOOKED_AT,
    QUIET_S,
    TRIES,
    UNSURE,
    UNSURE_BEFORE_S,
    of_callouts,
    of_next_hops,
    of_too_small,
    quiet_hosts,
)
from gatepost.jobs.owntrouble import own_concerns, own_side_facts
from gatepost.mail.finding import Mode
from gatepost.net.resolver import CachingResolver, Validation, validates
from gatepost.net.tls import TlsSettings, TlsUnusable, certificate_expires_at, expand
from gatepost.store import heldaccounts, memory, queue, requests, searching
from gatepost.store.backup import RESTORED_KEY
from gatepost.store.database import Connection
from gatepost.store.disk import RoomSettings, Space
from gatepost.store.figures import Figures
from gatepost.store.history import Search
from gatepost.store.records import HistoryEntry
from gatepost.store.snapshotfile import label_of, trouble
from gatepost.store.store import Store
from gatepost.store.upkeep import key_problem

DROPPED_KEY = "jobs:dropped"
"""Entries of history lost of late."""
JOURNAL_KEY = "jobs:journal"
"""What the last verification of the journal found wrong."""
UNSURE_GISTS = 5000
"""Entries of history that one look goes through for senders who were put off."""
DROPPED_KEPT_S = 3600.0
"""For so long after the first of them."""


def look(
    store: Store,
    *,
    now: float,
    certificates: Sequence[Certificate],
    validations: Sequence[Validation],
    lists: Iterable[DnsList],
    figures: Figures | None = None,
    ours: Collection[str] = (),
    ways: Collection[str] = (),
) -> Facts:
    """The facts of this moment; `figures` where they were read already, apart, since a long queue takes a while to count; `ours` are our domains, `ways` hosts
    that mail to others goes through."""
    facts = store.database.read(lambda connection: remembered(connection, now))
    own_side = store.database.read(lambda connection: own_side_facts(connection, facts))
    out = out_of_service(facts.get(HEALTH_KEY))
    tries = store.database.read(lambda connection: queue.newest_attempts(connection, LOOKED_AT))
    late, due = store.database.read(lambda connection: requests.urgent(connection, now))
    asked = {key for one in lists if one.mode is not Mode.OFF for key in plan(one)}
    return Facts(
        now=now,
        figures=figures or store.figures(now),
        disk=disk_of(store.space(), store.settings.room),
        validations=validations,
        certificates=certificates,
        lists_out={key: why for key, why in out.items() if key in asked},
        sealing=key_problem(store),
        learnt=label_of(store.folder),
        classifier=trouble(store.folder),
        own_side=(
            *of_deaths(recent_deaths(store.folder, now)),
            *of_next_hops(quiet_hosts(tries, ours, now, ways=ways), now),
            *of_too_small(tries, ours, now),
            *of_callouts(
                unsure(store, now - QUIET_S, now),
                before=bool(unsure(store, now - UNSURE_BEFORE_S, now - QUIET_S)),
            ),
            *own_concerns(own_side, now),
        ),
        held_accounts=[one.account for one in store.database.read(heldaccounts.listed)],
        bounced=facts.get(BOUNCED_KEY, ""),
        dropped=memory.number_in(facts.get(DROPPED_KEY, "0")),
        journal=facts.get(JOURNAL_KEY, ""),
        requests_late=late,
        requests_due=due,
        restored_of=float(facts.get(RESTORED_KEY, 0.0)),
    )


def unsure(store: Store, since: float, until: float) -> Sequence[HistoryEntry]:
    """The newest few whose recipient nobody could be asked about."""
    search = Search(kind="attempt", rule=UNSURE, since=since, until=until)
    return store.database.read(
        lambda connection: searching.find(connection, search, limit=TRIES, at_once=UNSURE_GISTS).entries
    )


def remembered(connection: Connection, now: float) -> dict[str, str]:
    """What the jobs, and checks for them, have written down."""
    found: dict[str, str] = {}
    for key in (HEALTH_KEY, BOUNCED_KEY, "jobs:"):
        found |= memory.stored(connection, key, now=now)
    return found


def disk_of(space: Space, settings: RoomSettings) -> Disk:
    """The room there is, as the doors judge it."""
    return Disk(
        free_octets=space.free_octets,
        total_octets=space.total_octets,
        reusable_octets=space.reusable_octets,
        room=space.room(settings),
    )


async def validated(resolver: CachingResolver) -> list[Validation]:
    """What the resolvers do about DNSSEC. Whoever is silent is asked once more: a lost packet is no trouble."""
    first = await validates(resolver)
    return first if all(one.answers for one in first) else await validates(resolver)


def certificates_of(settings: TlsSettings, folder: Path) -> list[Certificate]:
    """Every certificate named in the configuration, as it lies on the disk."""
    if not settings.certificate:
        return []
    found = []
    for name in (settings.certificate, *(one.certificate for one in settings.more)):
        try:
            found.append(Certificate(name, certificate_expires_at(expand(name, folder))))
        except TlsUnusable as fault:
            found.append(Certificate(name, None, str(fault)))
    return found

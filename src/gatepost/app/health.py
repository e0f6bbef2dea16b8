"""How an installation is, seen from beside it: what `gatepost status` tells. The gate may be running or not."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec

from gatepost.app.installation import Installation
from gatepost.app.orders import lists_of
from gatepost.checks.dnslists.health import HEALTH_KEY, ListState, plan, read_states
from gatepost.config.schema import Loaded
from gatepost.jobs.concerns import Certificate, Concern, Facts, Level, concerns
from gatepost.jobs.look import certificates_of, look, remembered, validated
from gatepost.jobs.presence import delivering, running_since
from gatepost.jobs.work import BEAT_KEY, BEAT_S, Beat
from gatepost.mail.finding import Mode
from gatepost.net.destinations import Destinations
from gatepost.net.resolver import CachingResolver, Validation
from gatepost.store import digests, history

STILL_S = 6 * BEAT_S
"""A gate that has not been heard for so long hangs."""
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Everything `gatepost status` tells."""

    since: float | None
    """When the gate began to run, Unix seconds; None when it does not."""
    beat: Beat | None
    """What it said of itself last; a fresh one has not spoken yet."""
    facts: Facts
    lists: dict[str, ListState]
    """Every list that is asked, its IPv6 half by itself."""
    last_day: dict[str, int]
    """Messages by action, and what was turned down before there was one, of the last 24 hours."""
    concerns: tuple[Concern, ...]
    delivering: int = 0
    """Processes that deliver now."""
    digest_sent: float | None = None
    """When the last letter about held mail went out to anybody."""


def health(installation: Installation) -> Health:
    """Look at everything; asks the resolvers. Raises StoreFailed."""
    loaded, store = installation.loaded, installation.store
    now = time.time()
    since = running_since(loaded.state)
    known = store.database.read(lambda connection: remembered(connection, now))
    beat = read_beat(known.get(BEAT_KEY))
    facts = look(
        store,
        now=now,
        certificates=certificates_seen(loaded, None if since is None else beat),
        validations=installation.run(ask_resolvers(loaded)),
        lists=lists_of(loaded),
        ours=[one.name for one in loaded.config.domains],
        ways=Destinations.of(loaded.config.outbound).hosts,
    )
    states = read_states(known.get(HEALTH_KEY))
    return Health(
        since=since,
        delivering=delivering(loaded.state),
        beat=beat,
        facts=facts,
        lists={
            key: states.get(key, ListState())
            for one in lists_of(loaded)
            if one.mode is not Mode.OFF
            for key in plan(one)
        },
        last_day=last_day(installation, now),
        concerns=(*of_running(since, beat, now), *concerns(facts, loaded.config.alerts)),
        digest_sent=store.database.read(digests.last_sent),
    )


def of_running(since: float | None, beat: Beat | None, now: float) -> tuple[Concern, ...]:
    """A gate that is not there, or does not move."""
    if since is None:
        return (
            Concern(
                "gate",
                Level.CRITICAL,
                "The gate is not running.",
                "systemctl start gatepost, or gatepost serve.",
            ),
        )
    if now - max(since, beat.at if beat else 0.0) > STILL_S:
        return (
            Concern(
                "gate",
                Level.CRITICAL,
                "The gate runs, but its delivery process has not been heard for half a minute.",
                "Look into the log; systemctl restart gatepost loses nothing that was accepted.",
            ),
        )
    return ()


def certificates_seen(loaded: Loaded, beat: Beat | None) -> list[Certificate]:
    """As the running gate sees them: a person may not read its files, or not know systemd's folder for them."""
    return list(beat.certificates) if beat else certificates_of(loaded.config.tls, loaded.folder)


async def ask_resolvers(loaded: Loaded) -> list[Validation]:
    """What each resolver does about DNSSEC."""
    resolver = CachingResolver(loaded.config.dns)
    try:
        return await validated(resolver)
    finally:
        await resolver.close()


def last_day(installation: Installation, now: float) -> dict[str, int]:
    """By action; what never became a message counts as ``turned_down``."""
    counted = installation.store.database.read(
        lambda connection: history.counts(connection, since=now - DAY_S, until=now + 60, step_s=2 * DAY_S)
    )
    found = dict.fromkeys(("deliver", "junk", "quarantine", "refuse", "defer", "turned_down"), 0)
    for (_, kind, action), number in counted.items():
        found[action if kind == "message" else "turned_down"] += number
    return found


def read_beat(text: str | None) -> Beat | None:
    """What the gate said of itself; None when it is silent."""
    try:
        return msgspec.json.decode(text, type=Beat) if text else None
    except msgspec.MsgspecError:
        return None

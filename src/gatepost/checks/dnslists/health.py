"""Is a DNS list in order? RFC 5782 §5: every list has an entry that must be there and one that must not.

A list that lists the world, refuses us or stops answering is taken out of service with its reason, and
comes back by itself once two probes in a row are sound. What goes over the wire in daily work counts as
well: a list that suddenly has nearly everybody, or is silent, is out before its next probe. The state
lives in memory as JSON, so that all workers see it. Pure but for `probe` and `look_after`, which ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv6Address

import msgspec

from gatepost.checks.dnslists.hashing import hashed
from gatepost.checks.dnslists.lists import By, DnsList, LinkList, is_error, list_key
from gatepost.checks.dnslists.wellknown import well_known
from gatepost.dns.answer import Answer, Resolver, Status
from gatepost.mail.client import IpAddress
from gatepost.mail.finding import Mode
from gatepost.tools import Memory

HEALTH_KEY = "lists:health"
KEPT_S = 7 * 86_400.0

SOUND_TO_RETURN = 2
"""Sound probes in a row that bring a list back."""
SILENT_TO_LEAVE = 3
"""Silent probes in a row that take it out: one lost packet is no failure."""
PAUSE_S = 3_600.0
"""How long a list that listed nearly everybody stays out at least: its probes may look sound meanwhile."""
ENOUGH_ASKED = 50
WORLD_SHARE = 0.95
"""Of those asked about: who lists more than this, and usually less than half of it, lists the world."""
SILENT_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class ListState:
    """A list (or its IPv6 half) as it stands."""

    in_service: bool = True
    reason: str = ""
    """Why it is out, one sentence."""
    since: float = 0.0
    """Unix seconds of the last change."""
    sound: int = 0
    """Sound probes in a row."""
    silent: int = 0
    """Silent probes in a row."""
    until: float = 0.0
    """Not back before this."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A question with a known answer."""

    label: str
    """What stands in front of the zone."""
    shown: str
    """What a person calls it."""
    listed: bool
    """Must it be listed?"""


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of asking a list lately, and what usually does."""

    asked: int = 0
    hit: int = 0
    silent: int = 0
    usual_share: float = 0.0
    """Hits among those asked over a longer time before."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A list that left or came back, for status and alerts."""

    source: str
    in_service: bool
    reason: str


def _nibbles(text: str) -> str:
    return ".".join(reversed(IPv6Address(text).packed.hex()))


PROBES_IPV4 = (Probe("2.0.0.127", "127.0.0.2", listed=True), Probe("1.0.0.127", "127.0.0.1", listed=False))
PROBES_IPV6 = (
    Probe(_nibbles("::ffff:7f00:2"), "::FFFF:7F00:2", listed=True),
    Probe(_nibbles("::ffff:7f00:1"), "::FFFF:7F00:1", listed=False),
)
PROBES_NAME = (Probe("test", "TEST", listed=True), Probe("invalid", "INVALID", listed=False))


async def look_after(
    lists: Iterable[DnsList],
    resolver: Resolver,
    memory: Memory,
    now: float,
    tallies: Mapping[str, Tally] | None = None,
) -> list[Changed]:
    """Probe every list, weigh in its traffic, store the new state, say what changed. For a job, every few minutes."""
    before = read_states(await memory.get(HEALTH_KEY))
    after: dict[str, ListState] = {}
    for one in lists:
        if one.mode is Mode.OFF:
            continue
        tally = (tallies or {}).get(one.source)
        for key, probes in plan(one).items():
            state = after_probe(before.get(key, ListState()), await probe(one, probes, resolver), now)
            after[key] = state if tally is None else after_traffic(state, tally, now)
    await memory.put(HEALTH_KEY, msgspec.json.encode(after).decode(), ttl_s=KEPT_S)
    return [
        Changed(key, state.in_service, state.reason)
        for key, state in after.items()
        if state.in_service != before.get(key, ListState()).in_service
    ]


def plan(one: DnsList) -> dict[str, tuple[Probe, ...]]:
    """What to ask, by the key of the state it decides; the IPv6 half of an address list stands for itself."""
    if one.by is By.ADDRESS:
        return {one.source: PROBES_IPV4, f"{one.source} (IPv6)": PROBES_IPV6}
    known = well_known(one.zone)
    name = one.test_name or (known.test_name if known is not None else "")
    probes: tuple[Probe, ...] = PROBES_NAME
    if name:
        probes = (Probe(name, name, listed=True), PROBES_NAME[1])
    if isinstance(one, LinkList) and one.by is By.HASH:
        probes = tuple(replace(each, label=hashed(each.label, one.hash)) for each in probes)
        if not name:
            probes = probes[1:]  # RFC 5782 knows no hashes: only that it lists the world can be seen
    return {one.source: probes}


def state_key(one: DnsList, ip: IpAddress | None = None) -> str:
    """Which state holds for asking a list, about an address where it lists addresses."""
    of_ipv6 = isinstance(ip, IPv6Address) and ip.ipv4_mapped is None
    return f"{one.source} (IPv6)" if of_ipv6 and one.by is By.ADDRESS else one.source


async def probe(one: DnsList, probes: Sequence[Probe], resolver: Resolver) -> str:
    """``sound``, ``silent``, or one sentence that says what is wrong."""
    key = list_key(one)
    if key is None:
        return "its key cannot be read"
    answers = [await resolver.lookup(f"{each.label}.{key}{one.zone}", "A") for each in probes]
    return examine(one, probes, answers)


def examine(one: DnsList, probes: Sequence[Probe], answers: Sequence[Answer]) -> str:
    """The same of answers already here."""
    if all(answer.status is Status.FAILED for answer in answers):
        return "silent"
    problem = "sound"
    for each, answer in zip(probes, answers, strict=True):
        listed = [code for code in answer.records if not is_error(code, one)]
        if not each.listed and (listed or _outside(answer)):
            return f"it lists the world: {each.shown} must not be listed"
        if each.listed and not listed and answer.status is not Status.FAILED:
            codes = ", ".join(answer.records[:3])
            problem = f"it refuses us with {codes}" if codes else f"{each.shown} must be listed and is not"
    return problem


def _outside(answer: Answer) -> bool:
    """Addresses of a parked domain."""
    return any(not code.startswith("127.") for code in answer.records)


def after_probe(state: ListState, result: str, now: float) -> ListState:
    """The state after a probe's result."""
    if result == "sound":
        sound = state.sound + 1
        back = not state.in_service and sound >= SOUND_TO_RETURN and now >= state.until
        if state.in_service or back:
            return ListState(since=now if back else state.since, sound=sound)
        return ListState(False, state.reason, state.since, sound=sound, until=state.until)
    if result == "silent":
        silent = state.silent + 1
        if state.in_service and silent < SILENT_TO_LEAVE:
            return ListState(since=state.since, silent=silent)
        since = now if state.in_service else state.since
        return ListState(False, "it does not answer", since, silent=silent, until=state.until)
    return ListState(False, result, now if state.in_service else state.since, until=state.until)


def after_traffic(state: ListState, tally: Tally, now: float) -> ListState:
    """The state after a look at daily work; only ever takes a list out."""
    if tally.asked < ENOUGH_ASKED or not state.in_service:
        return state
    if tally.silent / tally.asked >= SILENT_SHARE:
        reason = f"it did not answer {tally.silent} of {tally.asked} questions"
        return ListState(False, reason, now)
    share = tally.hit / tally.asked
    if share >= WORLD_SHARE and tally.usual_share < WORLD_SHARE / 2:
        reason = f"it suddenly lists {tally.hit} of {tally.asked} messages, usually {tally.usual_share:.0%}"
        return ListState(False, reason, now, until=now + PAUSE_S)
    return state


def read_states(text: str | None) -> dict[str, ListState]:
    """The stored states; nothing readable is a fresh start."""
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, ListState])
    except msgspec.MsgspecError:
        return {}


@lru_cache(maxsize=8)
def out_of_service(text: str | None) -> Mapping[str, str]:
    """Reasons of those that are out, by `state_key`."""
    return {key: state.reason for key, state in read_states(text).items() if not state.in_service}

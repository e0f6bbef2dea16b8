"""The jobs of a gate: forgetting, list health, the minute's look with its alarms, the heartbeat, the metrics.

They run in the process that delivers. What they are told of the configuration they ask for anew each time, so that a
reload reaches them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from gatepost.checks.dnslists.health import look_after
from gatepost.checks.dnslists.lists import DnsList
from gatepost.jobs.alarms import KEPT_S, TOLD_KEY, News, Told, alarm_mail, news, read_told, write_told
from gatepost.jobs.concerns import Certificate, Concern, Facts, concerns
from gatepost.jobs.listwork import USUAL_KEPT_S, USUAL_KEY, count_lists, read_usual, usual_after, write_usual
from gatepost.jobs.look import certificates_of, look, validated
from gatepost.jobs.rounds import Round
from gatepost.jobs.settings import AlertSettings, JobSettings
from gatepost.jobs.tallies import PREFIX, TIMED
from gatepost.mail.address import Address, parse_address
from gatepost.mail.finding import Mode
from gatepost.net.resolver import CachingResolver
from gatepost.net.tls import TlsSettings
from gatepost.plan import tallies as list_tallies
from gatepost.store import memory as facts_table
from gatepost.store.figures import figures
from gatepost.store.memory import StoredMemory
from gatepost.store.records import Notice
from gatepost.store.retention import Retention, expire
from gatepost.store.store import Store
from gatepost.store.upkeep import sweep

log = logging.getLogger("gatepost.jobs")

BEAT_S = 5.0
BEAT_KEY = "jobs:beat"
BEAT_KEPT_S = 60.0
METRICS_AGAIN_S = 60.0
"""When the address of the metrics could not be had."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the configuration says of the jobs, at this moment."""

    hostname: str
    mode: str
    version: str
    folder: Path
    """Where relative paths start."""
    jobs: JobSettings = field(default_factory=JobSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    retention: Retention = field(default_factory=Retention)
    tls: TlsSettings = field(default_factory=TlsSettings)
    lists: tuple[DnsList, ...] = ()
    metrics: str = ""
    """``host:port``, or empty."""
    domains: tuple[str, ...] = ()
    """Whose mail comes here."""
    ways: tuple[str, ...] = ()
    """Hosts that mail to others goes through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What a running gate says of itself, again and again."""

    at: float
    started_at: float
    version: str
    mode: str
    certificates: tuple[Certificate, ...] = ()
    """As the gate sees them: others may not read them, or not find them (``%d/``)."""


@dataclass(slots=True, kw_only=True)
class Jobs:
    """Everything the clock starts. `rounds` is what to run."""

    store: Store
    memory: StoredMemory
    resolver: CachingResolver
    orders: Callable[[], Orders]
    clock: Callable[[], float]
    """Unix seconds."""
    new_ref: Callable[[float], str]
    expand: Callable[[Address], tuple[str, ...]]
    """The final addresses of one of ours."""
    write_tallies: Callable[[], object]
    """Have this process's counts written soon."""
    started_at: float
    seen: Facts | None = None
    """The last look."""
    found: tuple[Concern, ...] = ()
    """What the last look made of it."""
    _told: dict[str, Told] | None = None
    _swept: bool = False
    _counted_lists_at: float = 0.0

    def rounds(self) -> Sequence[Round]:
        """What to run, each on its own beat."""
        orders = self.orders()
        found = [
            Round("beat", BEAT_S, self.beat),
            Round("look", orders.jobs.health_s, self.look),
            Round("retention", orders.jobs.retention_s, self.forget),
            Round("lists", orders.jobs.lists_s, self.lists),
        ]
        if orders.metrics:
            found.append(Round("metrics", METRICS_AGAIN_S, self.metrics))
        return found

    async def beat(self) -> None:
        """Say that we live, and have the counts written."""
        self.write_tallies()
        orders = self.orders()
        beat = Beat(
            at=self.clock(),
            started_at=self.started_at,
            version=orders.version,
            mode=orders.mode,
            certificates=tuple(certificates_of(orders.tls, orders.folder)),
        )
        await self.memory.put(BEAT_KEY, msgspec.json.encode(beat).decode(), ttl_s=BEAT_KEPT_S)

    async def look(self) -> None:
        """See how it is, and tell what is new."""
        orders = self.orders()
        validations = await validated(self.resolver)
        now = self.clock()
        self.seen = look(
            self.store,
            now=now,
            figures=await self.store.database.read_apart(lambda connection: figures(connection, now)),
            certificates=certificates_of(orders.tls, orders.folder),
            validations=validations,
            lists=orders.lists,
            ours=orders.domains,
            ways=orders.ways,
        )
        self.found = tuple(concerns(self.seen, orders.alerts))
        if self._told is None:
            self._told = read_told(await self.memory.get(TOLD_KEY))
        told, what = news(self._told, self.found, now=self.seen.now, again_s=orders.alerts.again_s)
        if what:
            await self.tell(what, orders)  # what could not be told is new again at the next look
        self._told = told
        if what or self._told:
            await self.memory.put(TOLD_KEY, write_told(self._told), ttl_s=KEPT_S)

    async def tell(self, what: News, orders: Orders) -> None:
        """In the log, and by mail to each who is to be told."""
        for one in what.concerns:
            log.warning("alarm (%s): %s %s", one.level.value, one.text, one.remedy)
        for past in what.over:
            log.warning("well again: %s", past.text)
        now = self.clock()
        for text in orders.alerts.to:
            whom = parse_address(text, smtputf8=True)
            if whom is None:
                continue
            ref = self.new_ref(now)
            octets = alarm_mail(what, to=whom, hostname=orders.hostname, ref=ref, now=now)
            for index, final in enumerate(self.expand(whom)):
                to = parse_address(final, smtputf8=True)
                if to is not None:
                    own_ref = ref if index == 0 else self.new_ref(now)
                    notice = Notice(ref=own_ref, recipient=to, octets=octets, at=now)
                    await self.store.enqueue_notice(notice)

    async def forget(self) -> None:
        """Delete what is past its time; at the start also files that a crash left without a row."""
        now = self.clock()
        if not self._swept:
            swept = sweep(self.store, now)
            self._swept = True
            if swept:
                log.info("%d files that no message belongs to were removed from the spool", swept)
        deleted = await expire(self.store, now, self.orders().retention)
        if any(deleted.values()):
            told = ", ".join(f"{kind} {number}" for kind, number in deleted.items() if number)
            log.info("past their time and deleted: %s", told)

    async def lists(self) -> None:
        """Probe every list, weigh in how it did in daily work, and say which left or came back."""
        lists = [one for one in self.orders().lists if one.mode is not Mode.OFF]
        if not lists:
            return
        now = self.clock()
        since = self._counted_lists_at or now - self.orders().jobs.lists_s
        lately = await self.store.database.read_apart(lambda connection: count_lists(connection, since))
        self._counted_lists_at = now
        usual = read_usual(await self.memory.get(USUAL_KEY))
        changed = await look_after(lists, self.resolver, self.memory, now, list_tallies(lately, usual))
        await self.memory.put(USUAL_KEY, write_usual(usual_after(usual, lately)), ttl_s=USUAL_KEPT_S)
        for one in changed:
            if one.in_service:
                log.warning("the list %s is in service again", one.source)
            else:
                log.warning("the list %s is out of service: %s", one.source, one.reason)

    async def metrics(self) -> None:
        """Answer on the address of the metrics, until cancelled."""
        from gatepost.jobs.metrics import MetricsServer  # with its library, where somebody asks for figures

        await MetricsServer(self.orders().metrics, self.expose).run()

    def expose(self) -> bytes:
        """The text of /metrics."""
        from gatepost.jobs.metrics import exposition

        now = self.clock()
        orders = self.orders()
        counts = self.store.database.read(lambda c: facts_table.stored(c, PREFIX, now=now))
        facts = look(
            self.store,
            now=now,
            certificates=certificates_of(orders.tls, orders.folder),
            validations=self.seen.validations if self.seen else (),
            lists=orders.lists,
            ours=orders.domains,
            ways=orders.ways,
        )
        return exposition(
            {key.removeprefix(PREFIX): facts_table.number_in(value) for key, value in counts.items()},
            facts,
            self.found,
            lists=orders.lists,
            version=orders.version,
            started_at=self.started_at,
            stages=TIMED,
        )

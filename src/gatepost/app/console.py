"""The console wired up: who is signed in, what its pages may ask of this installation."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.app.consoledoor import ConsoleDoor
from gatepost.app.deskparts import desk_parts
from gatepost.app.health import ask_resolvers, certificates_seen, of_running, read_beat
from gatepost.app.office import office_of
from gatepost.app.orders import lists_of
from gatepost.app.parts import Parts
from gatepost.config.schema import Loaded
from gatepost.jobs.concerns import SEVERITY, Concern, Level, concerns
from gatepost.jobs.look import look, remembered
from gatepost.jobs.presence import running_since
from gatepost.jobs.work import BEAT_KEY
from gatepost.net.destinations import Destinations
from gatepost.net.life import Life
from gatepost.net.tls import server_context
from gatepost.store.failures import StoreFailed
from gatepost.web.api.serving import Api
from gatepost.web.demodoor import DemoDoor
from gatepost.web.looks import Looks
from gatepost.web.server import serve
from gatepost.web.sessions import OfficeSessions
from gatepost.web.site import site
from gatepost.web.visit import LANGUAGES, HealthSeen, Light, Premises

log = logging.getLogger("gatepost")
HEALTH_S = 15.0
"""How old what the Overview tells of health may be before somebody looks again."""
HEALTH_PATIENCE_S = 0.5
LIGHTS = {
    "gate": ("gate",),
    "dns": ("resolver",),
    "lists": ("list:",),
    "queue": ("queue",),
    "quarantine": ("quarantine",),
    "disk": ("disk", "history"),
    "certificate": ("certificate", "key"),
    "classifier": ("classifier",),
}
"""The health strip, and the beginnings of the concerns that belong to each."""


@dataclass(slots=True, kw_only=True)
class Console:
    """Served by `run` in its own process."""

    loaded: Loaded
    door: ConsoleDoor
    demo: DemoDoor | None = None
    _seen: tuple[float, HealthSeen] = field(default=(-HEALTH_S, HealthSeen()), init=False)
    _looking: asyncio.Task[None] | None = field(default=None, init=False)

    @property
    def origin(self) -> str:
        """By which people reach it."""
        return self.door.origin(self.loaded.config.console)

    async def run(self, life: Life, parts: Parts, reread: Callable[[], Loaded | None]) -> None:
        """Until it is time to stop. `reread` reads the configuration again; None when it stays as it was."""

        def reload() -> None:
            fresh = reread()
            if fresh is not None:
                self.loaded = fresh
                if self.door.tls is not None and (problem := self.door.tls.reload()):
                    log.error("console: %s", problem)
                try:
                    pages[0] = self.pages(parts, life, looks)
                except StoreFailed as fault:
                    log.error("console: it stays as it was: %s", fault)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await pages[0](scope, receive, send)

        life.on_reload(reload)
        looks = Looks(LANGUAGES, zone_of(self.loaded.config.console.time_zone))
        pages = [self.pages(parts, life, looks)]
        life.ready()
        log.info("console at %s", self.origin)
        each = self.loaded.config.console.connections_each
        await serve(
            app, self.door.socket, life.stopping, tls=self.context(), each=each, shared=self.proxies()
        )

    def pages(self, parts: Parts, life: Life, looks: Looks) -> ASGIApp:
        """All of them, and the API, under the configuration of the moment."""
        shared = self.premises(parts, life, looks)
        return site(shared.office, shared.sessions, origin=shared.origin, premises=shared, api=Api(shared))

    def premises(self, parts: Parts, life: Life, looks: Looks) -> Premises:
        """Everything the pages share."""
        office = office_of(self.loaded, parts.store)
        settings = self.loaded.config.console
        more: Mapping[type, Any] = desk_parts(lambda: self.loaded, parts, office, life.reload)
        if self.demo is not None:
            more = {**more, DemoDoor: self.demo}
        return Premises(
            office=office,
            sessions=OfficeSessions(office),
            origin=self.origin,
            looks=looks,
            policies=lambda: self.loaded.policies,
            health=lambda: self.health(parts),
            trusted_proxies=tuple(ip_network(one, strict=False) for one in settings.trusted_proxies),
            demo=self.demo is not None,
            more=more,
        )

    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Whose connections are many people's: the proxies named, and this machine where HTTPS ends before us."""
        named = [ip_network(one, strict=False) for one in self.loaded.config.console.trusted_proxies]
        if self.door.tls is None and self.origin.startswith("https:"):
            named += [ip_network("127.0.0.0/8"), ip_network("::1/128")]
        return tuple(named)

    def context(self) -> ssl.SSLContext | None:
        """Hands every handshake the certificate of the moment."""
        if self.door.tls is None:
            return None
        held = self.door.tls
        outer = server_context()

        def newest(tls: ssl.SSLSocket | ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
            tls.context = held.context

        outer.sni_callback = newest
        outer.set_alpn_protocols(["http/1.1"])
        return outer

    async def health(self, parts: Parts) -> HealthSeen:
        """What was seen of late. A page waits for a look only where there was none yet, and not for long."""
        at, _ = self._seen
        if self._looking is None and time.monotonic() - at >= HEALTH_S:
            self._looking = asyncio.create_task(self._look(parts), name="health")
        if self._looking is not None and at < 0:
            await asyncio.wait({self._looking}, timeout=HEALTH_PATIENCE_S)
        return self._seen[1]

    async def _look(self, parts: Parts) -> None:
        try:
            self._seen = (time.monotonic(), await look_around(self.loaded, parts))
        except Exception:
            log.exception("the console could not see how the gate is")
            self._seen = (time.monotonic(), self._seen[1])
        finally:
            self._looking = None


async def look_around(loaded: Loaded, parts: Parts) -> HealthSeen:
    """The strip and the list of what needs attention."""
    store, now = parts.store, time.time()
    known = store.database.read(lambda connection: remembered(connection, now))
    since, beat = running_since(loaded.state), read_beat(known.get(BEAT_KEY))
    certificates = certificates_seen(loaded, beat)
    validations: Sequence[Any] = ()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2.0):
            validations = await ask_resolvers(loaded)
    facts = look(
        store, now=now, certificates=certificates, validations=validations, lists=lists_of(loaded),
        ours=[one.name for one in loaded.config.domains],
        ways=Destinations.of(loaded.config.outbound).hosts,
    )  # fmt: skip
    found = (*of_running(since, beat, now), *concerns(facts, loaded.config.alerts))
    unused = {"lists": not facts.lists_out and not list(lists_of(loaded)), "certificate": not certificates,
              "classifier": facts.learnt is None}  # fmt: skip
    return HealthSeen(
        lights=[light(name, found, off=unused.get(name, False)) for name in LIGHTS], concerns=found
    )


def light(name: str, found: Sequence[Concern], *, off: bool) -> Light:
    """The worst of what belongs to it."""
    own = [one for one in found if one.key.startswith(LIGHTS[name])]
    worst = max((one.level for one in own), key=SEVERITY.__getitem__, default=Level.WELL)
    return Light(
        name=name, level="off" if off and not own else worst.value, text=" ".join(one.text for one in own)
    )


def zone_of(name: str) -> tzinfo:
    """The named time zone; this machine's without a name, UTC where it is not known."""
    if not name:
        return datetime.now(UTC).astimezone().tzinfo or UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        log.warning("console.time_zone: %s is not known here; times are shown in UTC", name)
        return UTC


def demo_door() -> DemoDoor:
    """With a word nobody can guess."""
    return DemoDoor(word=secrets.token_urlsafe(24))

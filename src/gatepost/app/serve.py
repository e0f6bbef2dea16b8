"""`gatepost serve`: processes, their parts, and how they hang together.

The supervisor (`net.worker`) forks; here is what each process does. Workers receive mail, one process or several
deliver, the first of them does what the clock starts. With `workers = 0` all live in one process and share its loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost.app.ahead import FIXED
from gatepost.app.certificates import OwnSide, OwnSockets, known_to_change, prepare
from gatepost.app.consoledoor import ConsoleDoor
from gatepost.app.log import log_entry, start_log
from gatepost.app.office import mail_sign_in
from gatepost.app.parts import Parts, fresh_ref
from gatepost.app.secretfiles import exposed
from gatepost.app.unixaccount import unix_account
from gatepost.app.warmup import warm_up
from gatepost.config.load import ConfigError
from gatepost.config.schema import Loaded, load
from gatepost.delivery.carrying import junk_mark
from gatepost.delivery.runner import DeliveryRunner
from gatepost.delivery.settings import MOST_PROCESSES
from gatepost.delivery.share import Share, Troubled, processes
from gatepost.jobs.deaths import note_death
from gatepost.jobs.presence import is_running, presence
from gatepost.jobs.rounds import run_rounds
from gatepost.net import heap
from gatepost.net.acceptor import CannotListen, bind
from gatepost.net.handover import Desk
from gatepost.net.life import Life
from gatepost.net.reception import Reception
from gatepost.net.service import Service
from gatepost.net.tls import ServerTls, TlsSettings, TlsUnusable, watch
from gatepost.net.worker import Plan, Program, run
from gatepost.store.migrations import insist_on_ours
from gatepost.store.records import HistoryEntry

if TYPE_CHECKING:
    from gatepost.web.demodoor import DemoDoor

log = logging.getLogger("gatepost")
CONSOLE_NICE = 10
"""The console gets a tenth of what a worker does, while workers want all."""


class Bell:
    """Rung by whoever accepted mail, heard by one process that delivers: an eventfd shared by all processes."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ring(self) -> None:
        """There is mail; never blocks."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_write(self.descriptor, 1)

    def listen(self, hear: Callable[[], None]) -> None:
        """Call `hear` whenever it was rung, in this process's loop."""

        def rung() -> None:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self.descriptor)
            hear()

        asyncio.get_running_loop().add_reader(self.descriptor, rung)


class Gate:
    """One installation, running."""

    demo: DemoDoor | None = None
    """A way into the console of a demo."""

    def __init__(self, loaded: Loaded, *, ready: Callable[[str], None]) -> None:
        """Binds the ports and reads the keys, while we still may. Raises ConfigError."""
        self.loaded = loaded
        file, config = str(loaded.path), loaded.config
        if not config.listeners:
            raise ConfigError(file, "listeners", "names no address to listen on.")
        if not config.domains:
            raise ConfigError(file, "domains", "names no domain to take mail for.")
        if is_running(loaded.state):
            raise ConfigError(file, "state", f"another gate is at work on {loaded.state}: stop it first.")
        prepare(loaded)
        try:
            self.tls = ServerTls(config.tls, folder=loaded.folder) if config.tls.certificate else None
        except TlsUnusable as fault:
            raise ConfigError(file, "tls", str(fault)) from None
        self.sockets = OwnSockets.bound(loaded)
        self.may_change: Callable[[str], str] = lambda _: "DANE is asked first"
        try:
            self.listening = bind(config.listeners, backlog=config.limits.connections.backlog)
        except CannotListen as fault:
            raise ConfigError(file, "listeners", str(fault)) from None
        self.console = self.open_console()
        cores = len(os.sched_getaffinity(0))
        self.delivering = processes(config.delivery, cores=cores) if config.workers else 1
        self.bells = tuple(Bell() for _ in range(self.delivering))
        self.troubled = Troubled()
        self.parts = Parts(loaded)
        self._ready = ready
        self._to_ring = False

    def run(self) -> int:
        """Until SIGTERM; the exit status."""
        config = self.loaded.config
        warn_of_exposed(self.loaded)
        self.loaded.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            if config.user:
                own_state(self.loaded.state, config.user)
                can_run(config.user)
            else:
                log.warning(
                    "running as root for good: name an account as user, to become it once the ports are bound"
                )
        warm_up(config.hostname)
        self.parts.read_files()
        return run(
            Plan(
                listening=self.listening,
                limits=config.limits.connections,
                serve=self.receive_mail,
                workers=config.workers,
                others=(*self.delivery_programs(), *self.console_program()),
                user=config.user or None,
                on_start=self.share_forkserver,
                on_ready=self.say_ready,
                on_reload=self.reread_for_later,
                on_death=lambda name, exit_code: note_death(self.loaded.state, name, exit_code, time.time()),
                new_ref=lambda: fresh_ref(time.time()),
                stop_grace_s=config.limits.sessions.stop_grace_s,
            )
        )

    def share_forkserver(self) -> None:
        """All processes have their sandboxed children from one; were it missing, each would begin its own."""
        with contextlib.suppress(OSError):
            self.parts.forkserver.begin()

    def open_console(self) -> ConsoleDoor | None:
        """Its port bound, its certificate read; None without one. Raises ConfigError."""
        return ConsoleDoor.bound(self.loaded)

    def console_program(self) -> tuple[Program, ...]:
        """Nothing where no console is configured."""
        return (Program("console", self.show_console),) if self.console is not None else ()

    async def show_console(self, life: Life) -> None:
        """The process people look into; where there is too little CPU for all, mail comes first."""
        from gatepost.app.console import Console  # here, so that no other process has the pages in its memory

        assert self.console is not None
        if self.loaded.config.workers:
            with contextlib.suppress(
                OSError
            ):  # a filter of system calls may forbid it; then it is as quick as the rest
                os.nice(CONSOLE_NICE)
        async with self.parts.opened() as parts:
            console = Console(loaded=self.loaded, door=self.console, demo=self.demo)
            await console.run(life, parts, lambda: self.loaded if self.reread() else None)

    def say_ready(self) -> None:
        """The one line on standard output."""
        places = [f"{one.listener.role.value}={one.address}" for one in self.listening]
        if self.console is not None:
            places.append(f"console={self.console.origin(self.loaded.config.console)}")
        self._ready("ready " + " ".join(places))

    async def receive_mail(self, life: Life, desk: Desk) -> None:
        """A worker."""
        config = self.loaded.config
        async with self.parts.opened() as parts:
            service = Service(
                hostname=config.hostname,
                handler=parts.doors(self.announce),
                smtp_limits=config.limits.smtp,
                limits=config.limits.sessions,
                tls=self.tls,
                authenticator=mail_sign_in(self.loaded, parts.store, parts.resolver),
            )

            changed = asyncio.Event()

            def reload() -> None:
                changed.set()
                if self.reread():
                    parts.adopt(self.loaded)
                    service.handler = parts.doors(self.announce)
                    service.smtp_limits = self.loaded.config.limits.smtp
                    service.limits = self.loaded.config.limits.sessions
                    service.tls = self.tls
                    service.authenticator = mail_sign_in(self.loaded, parts.store, parts.resolver)
                    log.info("configuration and certificates were read again, and hold from now on")

            life.on_reload(reload)
            reception = Reception(service, config.listeners, desk)
            parts.connections = lambda: reception.arrived
            self.may_change = known_to_change(parts.store, config.hostname)

            async def may_change(key: str) -> str:
                return self.may_change(key)

            look_s = config.certificates.look_s
            watching = asyncio.create_task(
                watch(lambda: self.tls, may_change, look_s, changed), name="certificates"
            )
            reception.open()
            spare_the_collector()
            life.ready()
            await life.stopping.wait()
            watching.cancel()
            await reception.stop()

    def announce(self, entry: HistoryEntry) -> None:
        """Log it, count it, and wake delivery."""
        log_entry(entry)
        self.parts.count(entry)
        if entry.kind == "message" and not self._to_ring:
            self._to_ring = True
            asyncio.get_running_loop().call_soon(self._ring)

    def _ring(self) -> None:
        """Once for all messages of a commit: their senders are answered in the same turn of the loop."""
        self._to_ring = False
        for bell in self.bells:
            bell.ring()

    def delivery_programs(self) -> list[Program]:
        """One for each process that delivers."""
        further = range(1, self.delivering)
        return [
            Program(delivery_name(0), self.deliver),
            *(Program(delivery_name(number), partial(self.deliver_too, number)) for number in further),
        ]

    async def deliver(self, life: Life) -> None:
        """The process that delivers, and does what the clock starts."""
        with presence(self.loaded.state):
            await self._deliver(life)

    async def deliver_too(self, number: int, life: Life) -> None:
        """A further process that delivers, and does nothing else."""
        with presence(self.loaded.state, number):
            async with self.parts.opened() as parts:
                runner = self.runner(parts, number)
                life.on_reload(lambda: self.adopt_all(parts, runner))
                spare_the_collector()
                life.ready()
                async with asyncio.TaskGroup() as group:
                    rounds = group.create_task(run_rounds([*parts.wire.rounds_beside(), parts.counting()]))
                    await self.deliver_until_stopped(life, runner, group)
                    rounds.cancel()

    def runner(self, parts: Parts, number: int) -> DeliveryRunner:
        """That of one process that delivers; the first gives back what those held that are not there any more."""
        gone = range(self.delivering, MOST_PROCESSES) if number == 0 else ()
        runner = parts.delivery(
            jitter=random.random,
            worker=delivery_name(number),
            gone=[delivery_name(each) for each in gone],
            share=Share(number, self.delivering, self.troubled),
        )
        self.bells[number].listen(runner.poke)
        return runner

    def adopt_all(self, parts: Parts, runner: DeliveryRunner) -> None:
        """After a reload, in a process that delivers."""
        if self.reread():
            parts.adopt(self.loaded)
            runner.routes = self.loaded.routes
            runner.carrier.junk_headers = junk_mark(self.loaded.config.marking.junk_headers)
            runner.ask_again()

    async def deliver_until_stopped(
        self, life: Life, runner: DeliveryRunner, group: asyncio.TaskGroup
    ) -> None:
        """What a slow host still holds is broken off in the end, and tried again after the next start."""
        delivering = group.create_task(runner.run())
        await life.stopping.wait()
        runner.stop()
        await asyncio.wait({delivering}, timeout=self.loaded.config.limits.sessions.stop_grace_s)
        delivering.cancel()

    async def _deliver(self, life: Life) -> None:
        async with self.parts.opened(checkpointer=True) as parts:
            runner = self.runner(parts, 0)
            changed = asyncio.Event()

            def reload() -> None:
                changed.set()
                self.adopt_all(parts, runner)

            life.on_reload(reload)
            own = OwnSide(
                loaded=lambda: self.loaded,
                store=parts.store,
                resolver=parts.resolver,
                tls=lambda: self.tls,
                letters=parts.letters(),
                memory=parts.memory,
            )
            self.may_change = known_to_change(parts.store, self.loaded.config.hostname)
            look_s = self.loaded.config.certificates.look_s
            if self.loaded.config.workers:
                spare_the_collector()
            life.ready()
            async with own.serving(self.sockets), asyncio.TaskGroup() as group:
                rounds = group.create_task(run_rounds([*parts.jobs(), *own.rounds()]))
                watching = group.create_task(watch(lambda: self.tls, own.may_change, look_s, changed))
                await self.deliver_until_stopped(life, runner, group)
                rounds.cancel()
                watching.cancel()

    def reread_for_later(self) -> None:
        """In the supervisor: processes started from now on have what those running have."""
        self.reread()

    def reread(self) -> bool:
        """Read configuration and certificates again; what is wrong is told and changes nothing."""
        assert self.loaded.path is not None
        try:
            fresh = load(self.loaded.path)
        except ConfigError as fault:
            log.error("the configuration in use stays as it is: %s", fault)
            return False
        warn_of_exposed(fresh)
        old, new = self.loaded.config, fresh.config
        for name in FIXED:
            if getattr(old, name) != getattr(new, name):
                log.warning("%s changed in the configuration: that takes a restart", name)
        if old.limits.connections != new.limits.connections:
            log.warning("limits.connections changed in the configuration: that takes a restart")
        kept = {name: getattr(old, name) for name in FIXED}
        self.loaded = replace(fresh, config=replace(new, tls=self.reread_certificates(fresh), **kept))
        return True

    def reload_certificates(self, tls: ServerTls) -> str | None:
        """Read the files again, unless DANE forbids their key for now; then `watch` takes them up when it may be."""
        try:
            key = tls.key_waiting()
        except TlsUnusable as fault:
            return f"the certificate in use stays as it is: {fault}"
        why = self.may_change(key) if key != tls.key_in_use else ""
        return f"the certificate in use stays as it is for now: {why}" if why else tls.reload()

    def reread_certificates(self, fresh: Loaded) -> TlsSettings:
        """Take the certificates that the configuration names now, unless they cannot be used; the settings in use."""
        in_use, settings = self.loaded.config.tls, fresh.config.tls
        if self.tls is not None and settings == in_use:
            problem = self.reload_certificates(self.tls)
            if problem:
                log.error("%s", problem)
            return in_use
        try:
            prepare(fresh)  # a domain that is new needs a certificate for its policy host
            self.tls = ServerTls(settings, folder=fresh.folder) if settings.certificate else None
        except (TlsUnusable, ConfigError) as fault:
            log.error("the certificate in use stays as it is: %s", fault)
            return in_use
        return settings


def delivery_name(number: int) -> str:
    """Of a process that delivers, counted from 0: in the log, and in its claims. The first had this name when it was alone."""
    return f"delivery-{number + 1}" if number else "delivery"


def spare_the_collector() -> None:
    """What is there now stays; a message leaves little that only the collector can free, so it need not come often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def warn_of_exposed(loaded: Loaded) -> None:
    """In the log: mail goes on, but what is open to everybody is a secret no more."""
    for problem in exposed(loaded):
        log.warning("%s", problem)


def can_run(user: str) -> None:
    """Could that account start what a running gate starts? Better told now than by workers that die. Raises ConfigError."""
    later = unix_account(user)
    why = later.cannot_run_us() if later is not None else ""
    if why:
        raise ConfigError("gatepost serve", "user", why)


def own_state(state: Path, user: str) -> None:
    """Give the state folder, when we just made it, to the account we are about to become. Raises ConfigError."""
    import pwd

    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise ConfigError("gatepost serve", "user", f"there is no account {user} on this machine.") from None
    if state.stat().st_uid == 0:
        os.chown(state, account.pw_uid, account.pw_gid)


def serve(path: Path) -> int:
    """Run the gate that the file describes until SIGTERM; the exit status. Raises ConfigError or StoreFailed."""
    loaded = load(path)
    insist_on_ours(loaded.state / "gatepost.db")
    start_log(loaded.config.log.format)
    heap.keep_little()
    gate = Gate(loaded, ready=say)
    try:
        return gate.run()
    finally:
        gate.parts.forkserver.close()


def say(line: str) -> None:
    """On standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()

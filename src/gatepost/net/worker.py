"""Processes: one acceptor, some workers, and what else must run, kept alive by a supervisor without a loop.

The supervisor only forks, waits and forwards signals, so it has no threads, no sockets of clients and no event
loop that a fork could damage; every child begins with a fresh one. `run_alone` runs the same parts in one
process. Privileges are dropped here, after the caller has bound its ports and read its keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from gatepost.net import heap, readiness
from gatepost.net.acceptor import Acceptor, Listening
from gatepost.net.handover import Desk, LocalDesk, RemoteDesk, RemotePost
from gatepost.net.life import READY, Life
from gatepost.net.limits import ConnectionLimits
from gatepost.net.privileges import drop_capabilities, drop_privileges, raise_descriptor_limit
from gatepost.net.processname import call_process

log = logging.getLogger(__name__)

Serve = Callable[[Life, Desk], Coroutine[Any, Any, None]]
"""A worker: takes connections from the desk, calls `life.ready()`, returns some time after `life.stopping`."""

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_LIVED_WELL_S = 5.0
_RESTART_AT_MOST_S = 10.0
_KILL_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Program:
    """Something else that runs for long, such as delivery or the console: a process of its own with workers."""

    name: str
    run: Callable[[Life], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that shall run."""

    listening: Sequence[Listening]
    limits: ConnectionLimits
    serve: Serve
    workers: int = 0
    others: Sequence[Program] = ()
    user: str | None = None
    """Become this user first, when root."""
    new_ref: Callable[[], str] = lambda: ""
    """Makes the reference of a client that is turned away before a worker has it."""
    stop_grace_s: float = 30.0
    """What workers may take to stop; some seconds later they are killed."""
    on_start: Callable[[], None] = lambda: None
    """Called once privileges are dropped, before any process is forked."""
    on_ready: Callable[[], None] = lambda: None
    on_reload: Callable[[], None] = lambda: None
    """Called in the supervisor at SIGHUP, so that workers started later have what those running have."""
    on_death: Callable[[str, int], None] = lambda _name, _exit_code: None
    """Called there, too, with a process that ended by itself and is started again."""


def run(plan: Plan) -> int:
    """Run until SIGTERM or SIGINT; the exit status. `workers` 0 is one process."""
    raise_descriptor_limit()
    os.umask(0o077)  # nothing of ours is for others, whoever we are
    if plan.user is not None:
        drop_privileges(plan.user)
    if os.geteuid() != 0:
        why = drop_capabilities()
        if why:
            log.warning("the capabilities this was started with stay: %s", why)
    plan.on_start()
    if plan.workers > 0:
        return _Supervisor(plan).run()
    uvloop.run(_run_alone(plan))
    return 0


async def _run_alone(plan: Plan) -> None:
    desk = LocalDesk()
    acceptor = Acceptor(plan.listening, plan.limits, new_ref=plan.new_ref)
    acceptor.join(desk.post(acceptor))
    lives = [Life("gate"), *(Life(other.name) for other in plan.others)]

    def stop() -> None:
        readiness.tell_systemd(readiness.STOPPING)
        acceptor.stop()
        for life in lives:
            life.stop()

    def reload() -> None:
        readiness.tell_systemd(readiness.reloading())
        plan.on_reload()
        for life in lives:
            life.reload()
        readiness.tell_systemd(readiness.READY)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    async with asyncio.TaskGroup() as group:
        group.create_task(plan.serve(lives[0], desk))
        for life, other in zip(lives[1:], plan.others, strict=True):
            group.create_task(other.run(life))
        await asyncio.gather(*(life.is_ready.wait() for life in lives))
        if not lives[0].stopping.is_set():
            acceptor.start()
            _beat_alone(loop)
            readiness.tell_systemd(readiness.READY)
            plan.on_ready()


def _beat_alone(loop: asyncio.AbstractEventLoop) -> None:
    every_s = readiness.watchdog_s()
    if every_s is not None:
        readiness.tell_systemd(readiness.WATCHDOG)
        loop.call_later(every_s / 3, _beat_alone, loop)


@dataclass(slots=True, kw_only=True)
class _Child:
    name: str
    control: socket.socket
    born: float
    heard: float
    post: socket.socket | None = None
    """A worker's other end, until it is ready and the acceptor gets it."""
    ready: bool = False
    retired: bool = False
    """Finishes its sessions after the acceptor it belonged to died."""


class _Supervisor:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._children: dict[int, _Child] = {}
        self._restarts: list[tuple[float, str]] = []
        self._quick_deaths: dict[str, int] = {}
        self._began = False
        self._failed = False
        self._stop_at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._signals, self._signals_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._watchdog_s = readiness.watchdog_s()
        self._beaten = 0.0

    def run(self) -> int:
        for number in _FORWARDED:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._signals_in)
        self._selector.register(self._signals, selectors.EVENT_READ, None)
        heap.settle()
        for name in self._names():
            self._start(name)
        while self._children or (self._restarts and self._stop_at is None):
            for key, _ in self._selector.select(self._next_turn_s()):
                if key.data is None:
                    self._heed_signals()
                else:
                    self._hear(key.data)
            self._bury()
            self._restart_due()
            self._watch()
        return 1 if self._failed else 0

    def _names(self) -> list[str]:
        return ["acceptor", *self._worker_names(), *(other.name for other in self._plan.others)]

    def _worker_names(self) -> list[str]:
        return [f"worker-{number}" for number in range(1, self._plan.workers + 1)]

    # Starting

    def _start(self, name: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        post, desk = None, None
        if name.startswith("worker-"):
            post, desk = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
        pid = os.fork()
        if pid == 0:
            ours.close()
            if post is not None:
                post.close()
            self._be_child(name, theirs, desk)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
        theirs.close()
        if desk is not None:
            desk.close()
        now = time.monotonic()
        self._children[pid] = _Child(name=name, control=ours, born=now, heard=now, post=post)
        ours.setblocking(False)
        self._selector.register(ours, selectors.EVENT_READ, pid)

    def _be_child(self, name: str, control: socket.socket, desk: socket.socket | None) -> None:
        """Never returns."""
        status = 1
        try:
            call_process(name)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(
                signal.SIGINT, signal.SIG_IGN
            )  # a terminal sends it to all of us; the supervisor decides
            for child in self._children.values():
                child.control.close()
                if child.post is not None:
                    child.post.close()
            os.close(self._signals)
            os.close(self._signals_in)
            self._selector.close()
            if name != "acceptor":
                for listening in self._plan.listening:
                    listening.sock.close()
            uvloop.run(self._live(name, control, desk))
            status = 0
        except BaseException:  # noqa: BLE001 - a forked child must not run its parent's code
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                logging.shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    async def _live(self, name: str, control: socket.socket, desk: socket.socket | None) -> None:
        life = Life(name, control)
        life.obey_signals(interrupt=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
        if self._watchdog_s is not None:
            life.beat(self._watchdog_s / 3)
        if desk is not None:
            await self._plan.serve(life, RemoteDesk(desk, on_lost=life.stop))
        elif name == "acceptor":
            await _accept(life, self._plan)
        else:
            await next(other for other in self._plan.others if other.name == name).run(life)

    # Listening to signals and children

    def _heed_signals(self) -> None:
        for number in os.read(self._signals, 512):
            if number in {signal.SIGTERM, signal.SIGINT}:
                self._stop()
            elif number == signal.SIGHUP:
                self._reload()

    def _stop(self) -> None:
        if self._stop_at is None:
            readiness.tell_systemd(readiness.STOPPING)
            self._stop_at = time.monotonic() + self._plan.stop_grace_s + _KILL_AFTER_S
            for listening in self._plan.listening:
                listening.sock.close()
            self._signal_all(signal.SIGTERM)

    def _reload(self) -> None:
        readiness.tell_systemd(readiness.reloading())
        try:
            self._plan.on_reload()
        except Exception:
            log.exception("reloading failed in the supervisor")
        self._signal_all(signal.SIGHUP)
        readiness.tell_systemd(readiness.READY)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self._children:
            os.kill(pid, number)

    def _hear(self, pid: int) -> None:
        child = self._children.get(pid)
        if child is None:
            return
        try:
            word = child.control.recv(16)
        except OSError:
            word = b""
        if not word:
            self._selector.unregister(child.control)
            return
        child.heard = time.monotonic()
        if word == READY and not child.ready:
            child.ready = True
            self._introduce()
            if not self._began and all(child.ready for child in self._children.values()):
                self._began = True
                readiness.tell_systemd(readiness.READY)
                self._plan.on_ready()

    def _introduce(self) -> None:
        """Give the acceptor the posts of workers that are ready."""
        acceptor = next(
            (each for each in self._children.values() if each.name == "acceptor" and each.ready), None
        )
        if acceptor is None:
            return
        for child in self._children.values():
            if child.post is not None and child.ready and not child.retired:
                with contextlib.suppress(
                    OSError
                ):  # an acceptor that is dying is replaced, and then its workers
                    socket.send_fds(acceptor.control, [b"W"], [child.post.fileno()])
                child.post.close()
                child.post = None

    # The dead, and who follows them

    def _bury(self) -> None:
        for pid, child in list(self._children.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found == 0:
                continue
            del self._children[pid]
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(child.control)
            child.control.close()
            if child.post is not None:
                child.post.close()
            if self._stop_at is None:
                self._mourn(child, os.waitstatus_to_exitcode(status))

    def _mourn(self, child: _Child, exit_code: int) -> None:
        if not self._began:
            log.critical("%s could not start (exit %d)", child.name, exit_code)
            self._failed = True
            self._stop()
            return
        if child.retired:
            return
        log.error("%s ended (exit %d) and is started again", child.name, exit_code)
        self._plan.on_death(child.name, exit_code)
        if child.name == "acceptor":
            for other in self._children.values():
                other.retired = other.retired or other.name.startswith("worker-")
            for name in self._worker_names():
                self._restarts.append((0.0, name))
        now = time.monotonic()
        quick = 0 if now - child.born > _LIVED_WELL_S else self._quick_deaths.get(child.name, 0) + 1
        self._quick_deaths[child.name] = quick
        delay_s = min(_RESTART_AT_MOST_S, 0.1 * 2.0 ** min(quick, 10)) if quick > 1 else 0.0
        self._restarts.append((now + delay_s, child.name))

    def _restart_due(self) -> None:
        if self._stop_at is not None:
            if time.monotonic() >= self._stop_at:
                self._signal_all(signal.SIGKILL)
            return
        now = time.monotonic()
        due = {name for when, name in self._restarts if when <= now}
        self._restarts = [(when, name) for when, name in self._restarts if name not in due]
        for name in sorted(due):  # "acceptor" comes before "worker-…"
            self._start(name)

    def _watch(self) -> None:
        if self._watchdog_s is None or not self._began:
            return
        now = time.monotonic()
        if now - self._beaten < self._watchdog_s / 3:
            return
        if all(now - child.heard < self._watchdog_s for child in self._children.values()):
            self._beaten = now
            readiness.tell_systemd(readiness.WATCHDOG)

    def _next_turn_s(self) -> float | None:
        now = time.monotonic()
        times = [when for when, _ in self._restarts]
        if self._stop_at is not None:
            times = [self._stop_at]
        if self._watchdog_s is not None:
            times.append(now + self._watchdog_s / 3)
        return max(0.0, min(times) - now) if times else None


async def _accept(life: Life, plan: Plan) -> None:
    """The acceptor's process: accepts as soon as the first worker has joined."""
    acceptor = Acceptor(plan.listening, plan.limits, new_ref=plan.new_ref)
    started = False

    def join(post: socket.socket) -> None:
        nonlocal started
        acceptor.join(RemotePost(post, acceptor))
        if not started:
            started = True
            acceptor.start()

    life.on_socket = join
    life.ready()
    await life.stopping.wait()
    acceptor.stop()

"""The pool of sandboxed children that look into attachments. Implements `tools.Unpacker`.

A child (`sandbox_child`) is never a fork of ours: it has no keys, no threads, no sockets but the one it is spoken to
by, no environment. It is forked from an interpreter that has imported the parsers and nothing else (`sandbox_forkserver`) when first
needed, replaced when a file killed it, and retired after some hundred files. One look a message, however many ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from gatepost.files.passwords import passwords_in
from gatepost.files.selection import riskiest_name, worth_a_look
from gatepost.mail.address import printable
from gatepost.mail.content import content_of
from gatepost.mail.filereport import FileFact, FileReport
from gatepost.mail.message import Message
from gatepost.mail.part import Part
from gatepost.net.sandbox_forkserver import ILL, Forkserver
from gatepost.net.sandbox_wire import MAX_FRAME, UNREADABLE, Answer, Order, Ready, Setup, reports_of
from gatepost.tools import Unavailable

DECODED_HERE = 256 * 1024
"""A larger attachment is decoded by the child: it must not hold up other mail."""
CHUNK = 256 * 1024
MAX_CONTENTS = 256 * 1024 * 1024
"""Octets of unpacked files taken from one answer."""
START_S = 20.0
TOLD_S = 2.0
"""Within which the server tells how a child ended."""
TRY_AGAIN_S = 10.0
"""After no child could be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """The processes that look into attachments."""

    children: int = 2
    """How many each process that receives mail may have; they are started when first needed."""
    file_s: float = 10.0
    """How long one attachment may take, in processor time and by the clock."""
    message_s: float = 25.0
    """How long all attachments of a message may take."""
    memory_octets: int = 1_073_741_824
    """Memory of one child."""
    scratch_octets: int = 134_217_728
    """What one child may write into its scratch folder, which is in memory where the system allows that."""
    attachments: int = 100
    """Attachments of one message that are looked into; the rest are marked as not looked at."""
    files_per_child: int = 500
    """After so many a child is replaced by a fresh one."""


class Lost(Exception):
    """The child died, or was ended because it hung or talked nonsense; `str()` ends the sentence "the look into it …"."""


@dataclass(slots=True, eq=False)
class Child:
    """One process, and how to talk to it."""

    link: socket.socket
    rein: socket.socket
    """See `sandbox_forkserver`."""
    pid: int = 0
    by: list[str] = field(default_factory=list)
    """What holds it; see `sandbox_wire.Ready`."""
    files: int = 0
    stale: bool = False
    """The settings changed since it was started."""

    @classmethod
    async def start(
        cls, settings: SandboxSettings, server: Forkserver, rules: bytes = b"", *, landlock: bool = True
    ) -> Child:
        """A child whose cage is closed. Raises Unavailable."""
        try:
            child = cls(*server.child())
        except OSError as fault:
            raise Unavailable(
                f"no child could be started to look into attachments ({fault.strerror})"
            ) from None
        setup = Setup(
            memory_octets=settings.memory_octets, scratch_octets=settings.scratch_octets, cpu_s=settings.file_s,
            rules=rules, landlock=landlock,
        )  # fmt: skip
        try:
            async with asyncio.timeout(START_S):
                child.pid = int(await child._told())
                await child.say(setup)
                ready = msgspec.msgpack.decode(await child.hear(), type=Ready)
        except (Lost, TimeoutError, ValueError, *UNREADABLE) as why:
            child.end(well=False)
            if isinstance(why, TimeoutError) and not child.pid:
                server.leave()
            late = f" within {START_S:.0f} s" if isinstance(why, TimeoutError) else ""
            raise Unavailable(
                f"the child that would look into attachments did not come up{late}; gatepost doctor says whether one can"
            ) from None
        except BaseException:
            child.end()
            raise
        if ready.refused:
            child.end()
            raise Unavailable(f"attachments cannot be looked into safely on this machine: {ready.refused}")
        child.by = ready.by
        return child

    async def ask(self, order: Order, octets: bytes | memoryview) -> tuple[Answer, list[bytes | None]]:
        """Its answer, with the contents of each report. Raises Lost."""
        self.files += 1
        await self.say(order)
        await self._send(octets)
        try:
            answer = msgspec.msgpack.decode(await self.hear(), type=Answer)
        except UNREADABLE:
            raise Lost("gave no answer that can be read") from None
        left = MAX_CONTENTS
        contents: list[bytes | None] = []
        for one in answer.reports:
            left -= max(0, one.octets)
            if left < 0:
                raise Lost("gave more than anybody asked for")
            contents.append(bytes(await self._receive(one.octets)) if one.octets >= 0 else None)
        return answer, contents

    async def say(self, what: msgspec.Struct) -> None:
        """One frame."""
        frame = msgspec.msgpack.encode(what)
        await self._send(len(frame).to_bytes(4, "big") + frame)

    async def hear(self) -> bytearray:
        """One frame, bounded. Raises Lost."""
        size = int.from_bytes(await self._receive(4), "big")
        if size > MAX_FRAME:
            raise Lost("gave an answer beyond all bounds")
        return await self._receive(size)

    async def _send(self, octets: bytes | memoryview) -> None:
        loop, view = asyncio.get_running_loop(), memoryview(octets)
        try:
            for at in range(0, len(view), CHUNK):
                await loop.sock_sendall(self.link, view[at : at + CHUNK])
        except OSError:
            raise Lost(await self._how_it_died()) from None

    async def _receive(self, size: int) -> bytearray:
        loop, buffer, have = asyncio.get_running_loop(), bytearray(size), 0
        view = memoryview(buffer)
        while have < size:
            try:
                got = await loop.sock_recv_into(self.link, view[have : have + CHUNK])
            except OSError:
                got = 0
            if got == 0:
                raise Lost(await self._how_it_died())
            have += got
        return buffer

    async def _told(self) -> bytes:
        """What the server says of it; nothing when that is gone."""
        try:
            return await asyncio.get_running_loop().sock_recv(self.rein, 16)
        except OSError:
            return b""

    async def _how_it_died(self) -> str:
        """It closed its socket, so it is dead or about to be."""
        code = 0
        with contextlib.suppress(TimeoutError, ValueError):
            async with asyncio.timeout(TOLD_S):
                code = int(await self._told())
        if code == -signal.SIGPROF or code == -signal.SIGXCPU:
            return "took more processor time than a file may have"
        if code == -signal.SIGSYS:
            return "tried what no look into a file has to do, and was stopped"
        if code == -signal.SIGKILL:
            return "was ended from outside, perhaps because it filled the memory"
        return "crashed the process that read it"

    def lives(self) -> bool:
        """Nothing was heard of its end."""
        try:
            self.rein.recv(16, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def end(self, *, well: bool = True) -> None:
        """Let go of it: the server kills it with all it started, and removes what it left. Not `well`: it hung, or talked nonsense."""
        self.link.close()
        if not well:
            with contextlib.suppress(OSError):
                self.rein.send(ILL)
        self.rein.close()


@dataclass(slots=True, eq=False)
class Sandbox:
    """Up to `settings.children` children. `close` when done."""

    settings: SandboxSettings = field(default_factory=SandboxSettings)
    rules: bytes = b""
    """Compiled YARA rules, see `files.yararules`."""
    server: Forkserver | None = None
    """Where children come from, when others share it; None: from one of its own."""
    landlock: bool = True
    deaths: int = 0
    """Children that a file cost."""
    _own: Forkserver = field(default_factory=Forkserver)
    _idle: list[Child] = field(default_factory=list)
    _all: set[Child] = field(default_factory=set)
    _free: asyncio.Semaphore | None = None
    _refused: tuple[float, str] = (0.0, "")
    _looks: set[asyncio.Task[Sequence[FileReport]]] = field(default_factory=set)

    async def inspect(self, message: Message) -> Sequence[FileReport]:
        """What every attachment of `message` is and holds. Implements `tools.Unpacker`; raises Unavailable."""
        wanted = message.once(self._wanted)
        if not wanted and not self.rules:
            return ()
        return await asyncio.shield(message.once(self._begin))

    def _wanted(self, message: Message) -> tuple[Part, ...]:
        return worth_a_look(content_of(message))

    def _begin(self, message: Message) -> asyncio.Task[Sequence[FileReport]]:
        """The one look of a message, which goes on should the first who asked be cancelled."""
        task = asyncio.get_running_loop().create_task(self._look(message))
        self._looks.add(task)
        task.add_done_callback(self._looked)
        return task

    def _looked(self, task: asyncio.Task[Sequence[FileReport]]) -> None:
        self._looks.discard(task)
        if not task.cancelled():
            task.exception()  # it was asked for, or nobody waits any more

    async def _look(self, message: Message) -> Sequence[FileReport]:
        parts = message.once(self._wanted)
        passwords = passwords_in(content_of(message)) if parts else []
        jobs: list[Callable[[], Awaitable[list[FileReport]]]] = [
            partial(self._file, part, passwords) for part in parts[: self.settings.attachments]
        ]
        if self.rules:
            jobs.append(partial(self._whole, message))
        until = asyncio.get_running_loop().time() + self.settings.message_s
        results = await _all_of([self._in_time(job, until, number, parts) for number, job in enumerate(jobs)])
        reports = [one for result in results for one in result]
        return (*reports, *(not_looked_at(part, "too many") for part in parts[self.settings.attachments :]))

    async def _in_time(
        self,
        job: Callable[[], Awaitable[list[FileReport]]],
        until: float,
        number: int,
        parts: tuple[Part, ...],
    ) -> list[FileReport]:
        try:
            async with asyncio.timeout_at(until):
                return await job()
        except TimeoutError:
            return [not_looked_at(parts[number], "out of time")] if number < len(parts) else []

    async def _file(self, part: Part, passwords: list[str]) -> list[FileReport]:
        decoded = part.size <= DECODED_HERE or part.encoding not in ("base64", "quoted-printable")
        octets = part.octets if decoded else memoryview(part.source)[part.start : part.end]
        order = Order(
            what="file", size=len(octets), name=riskiest_name(part), declared=part.content_type, part=part.index,
            encoding="" if decoded else part.encoding, passwords=passwords,
        )  # fmt: skip
        try:
            answer, contents = await self._order(order, octets)
        except Lost as why:
            return [_failed(part, f"the look into it {why}")]
        if answer.failed:
            return [_failed(part, f"the look into it ended in {answer.failed}")]
        return reports_of(answer, contents, part=part.index, declared=part.content_type)

    async def _whole(self, message: Message) -> list[FileReport]:
        """The operator's rules over the message as it came."""
        order = Order(what="message", size=len(message.octets))
        try:
            answer, contents = await self._order(order, message.octets)
        except Lost as why:
            return [_not_run(str(why))]
        if answer.failed:
            return [_not_run(f"ended in {answer.failed}")]
        return [one for one in reports_of(answer, contents, part=0, declared="") if one.facts]

    async def _order(self, order: Order, octets: bytes | memoryview) -> tuple[Answer, list[bytes | None]]:
        """Whichever child is free does it. Raises Lost and Unavailable."""
        if self._free is None:
            self._free = asyncio.Semaphore(max(1, self.settings.children))
        free = self._free
        async with free:
            child = await self._take()
            well = False
            try:
                async with asyncio.timeout(self.settings.file_s + 1.0):
                    answer = await child.ask(order, octets)
                well = not answer[0].failed
            except TimeoutError:
                raise Lost("took longer than a file may take") from None
            finally:
                self._give_back(child, well=well)
            return answer

    async def _take(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            if child.lives():
                return child
            self._end(child)
        now = asyncio.get_running_loop().time()
        if now < self._refused[0]:
            raise Unavailable(self._refused[1])
        try:
            child = await Child.start(
                self.settings, self.server or self._own, self.rules, landlock=self.landlock
            )
        except Unavailable as why:
            self._refused = now + TRY_AGAIN_S, str(why)
            raise
        self._all.add(child)
        return child

    def _give_back(self, child: Child, *, well: bool) -> None:
        if well and not child.stale and child.files < self.settings.files_per_child:
            self._idle.append(child)
            return
        if not well:
            self.deaths += 1
        self._end(child, well=well)

    def _end(self, child: Child, *, well: bool = True) -> None:
        self._all.discard(child)
        child.end(well=well)

    def adopt(self, settings: SandboxSettings, rules: bytes) -> None:
        """Other settings or rules from now on: idle children end, busy ones when they are done."""
        if (settings, rules) == (self.settings, self.rules):
            return
        if settings.children != self.settings.children:
            self._free = None
        self.settings, self.rules = settings, rules
        for child in self._all:
            child.stale = True
        for child in self._idle:
            self._end(child)
        self._idle.clear()

    async def close(self) -> None:
        """End all children; looks that still go on end too."""
        for task in list(self._looks):
            task.cancel()
        if self._looks:
            await asyncio.wait(self._looks)
        for child in list(self._all):
            self._end(child)
        self._idle.clear()
        self._own.close()


async def obstacle(settings: SandboxSettings | None = None) -> str:
    """Why no child can be had on this machine, empty when one can; starts one to see."""
    server = Forkserver()
    try:
        child = await Child.start(settings or SandboxSettings(), server)
    except Unavailable as why:
        return str(why)
    else:
        child.end()
        return ""
    finally:
        server.close()


async def _all_of(looks: Sequence[Awaitable[list[FileReport]]]) -> list[list[FileReport]]:
    """All at once; when one cannot be had, none is."""
    tasks = [asyncio.ensure_future(one) for one in looks]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _not_run(why: str) -> FileReport:
    """The operator's rules were not run over the message itself, which nobody must take for "they found nothing"."""
    fact = FileFact("failed", f"the YARA rules were not run over the message: the look into it {why}")
    return FileReport(path=("the message",), part=0, facts=(fact,))


def _failed(part: Part, text: str) -> FileReport:
    return _only(part, FileFact("failed", text))


def not_looked_at(part: Part, why: str) -> FileReport:
    """A report that says there is none."""
    return _only(part, FileFact("truncated", f"it was not looked into: {why}", {"why": why}))


def _only(part: Part, fact: FileFact) -> FileReport:
    return FileReport(
        path=(printable(part.filename),),
        part=part.index,
        declared=part.content_type,
        size=part.size,
        facts=(fact,),
    )

"""Where sandboxed children come from: a process that imports the parsers once, and forks for each child that is asked for.

It is a fresh interpreter, never a fork of ours: it has no keys, no threads, nothing of our environment but where temporary
files go, no descriptor but the socket it is asked by, and its memory lies elsewhere than the gate's. Children share what it has imported and begin in some milliseconds. It
reads nothing of what strangers sent, but it lends children the places of everything in memory: when one of them was struck
down, it becomes another program (execve) and keeps those that live, so that nobody learns those places by trial.

Who asks sends two descriptors: the child's socket, and a rein. The server says over the rein which process the child is, and later
how it ended; when the rein is let go the child is killed, and a word over it before says that it hung or talked nonsense.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gatepost.net.confinement import NOBODY
from gatepost.net.processname import call_process

PROGRAM = "gatepost.net.sandbox_forkserver"
ASKED = b"C"
ILL = b"!"
END_S = 5.0
_LEFT_ALONE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Meant for the gate: while it still has mail in hand, it may need children."""


class Forkserver:
    """The gate's side. Processes forked after `begin` share one server; where there is none (any more) each begins its own."""

    def __init__(self) -> None:
        self._asking: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start the server; it imports the parsers when first asked. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                _command(theirs.fileno(), {}), pass_fds=(theirs.fileno(),), cwd="/", start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={"MALLOC_ARENA_MAX": "1", "LC_ALL": "C.UTF-8", "TMPDIR": tempfile.gettempdir()},
            )  # fmt: skip
        ours.setblocking(False)
        self._asking = ours

    def child(self) -> tuple[socket.socket, socket.socket]:
        """Ask for a child: the socket it will listen to, and its rein; neither blocks. Raises OSError."""
        if self._asking is not None:
            try:
                return self._ask(self._asking)
            except (BrokenPipeError, ConnectionError):
                self.close()
        self.begin()
        assert self._asking is not None
        return self._ask(self._asking)

    def leave(self) -> None:
        """It does not answer: the next child comes from another. Who shares it finds out by itself."""
        if self._asking is not None:
            self._asking.close()
        if self._process is not None:
            self._process.kill()  # only its parent's call does anything
        self._asking = self._process = None

    def close(self) -> None:
        """Leave the server; without anybody left it ends its children and itself."""
        if self._asking is not None:
            self._asking.close()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # others of our processes may still need it
                self._process.wait(END_S)
        self._asking = self._process = None

    def _ask(self, asking: socket.socket) -> tuple[socket.socket, socket.socket]:
        link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        rein, held = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, held:
            link.setblocking(False)
            rein.setblocking(False)
            try:
                socket.send_fds(asking, [ASKED], [theirs.fileno(), held.fileno()])
            except OSError:
                link.close()
                rein.close()
                raise
        return link, rein


@dataclass(slots=True)
class _Living:
    """A child, in the server."""

    rein: socket.socket
    scratch: str
    let_go: bool = False


class _Server:
    """The process."""

    def __init__(self, asked: socket.socket, children: dict[int, _Living]) -> None:
        self.asked = asked
        self.children = children
        self.struck = False
        """What the end of a child says of this memory must not hold for the next."""
        self.imported = False
        self.woken, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waking)
        for one in _LEFT_ALONE:
            signal.signal(one, signal.SIG_IGN)

    def run(self) -> None:
        """Until nobody is left to ask."""
        self.bury()
        while True:
            poller = select.poll()
            for descriptor in (self.asked.fileno(), self.woken, *self.reins()):
                poller.register(descriptor, select.POLLIN)
            ready = {descriptor for descriptor, _ in poller.poll()}
            if self.woken in ready:
                os.read(self.woken, 512)
            for pid, child in self.children.items():
                if child.rein.fileno() in ready and not child.let_go:
                    self.let_go(pid, child)
            self.bury()
            if self.struck:
                self.become_another()
            if self.asked.fileno() in ready and not self.take():
                break
        for pid, child in self.children.items():
            kill(pid)
            os.waitpid(pid, 0)
            shutil.rmtree(child.scratch, ignore_errors=True)

    def reins(self) -> Sequence[int]:
        """Those that are held."""
        return [one.rein.fileno() for one in self.children.values() if not one.let_go]

    def let_go(self, pid: int, child: _Living) -> None:
        """Who asked for it wants it no more, or is gone."""
        with contextlib.suppress(OSError):
            self.struck |= child.rein.recv(16) == ILL
        child.let_go = True
        kill(pid)

    def bury(self) -> None:
        """Those that ended: say how, and remove what they left."""
        for pid, child in list(self.children.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found == 0:
                continue
            code = os.waitstatus_to_exitcode(status)
            self.struck |= code != 0 and not child.let_go
            with contextlib.suppress(OSError):
                child.rein.send(str(code).encode())
            child.rein.close()
            shutil.rmtree(child.scratch, ignore_errors=True)
            del self.children[pid]

    def take(self) -> bool:
        """One that asks gets a child; False when nobody is left to ask."""
        word, descriptors, _, _ = socket.recv_fds(self.asked, 16, 2, socket.MSG_CMSG_CLOEXEC)
        if not word:
            return False
        try:
            if len(descriptors) == 2:
                self.fork(*descriptors)
        except OSError:
            pass  # who asked sees that nothing comes
        finally:
            for one in descriptors:
                os.close(one)
        return True

    def fork(self, link: int, rein: int) -> None:
        """A child, which knows nothing of the others."""
        if not self.imported:
            prepare()
            self.imported = True
        scratch = tempfile.mkdtemp(prefix="gatepost-sandbox-", dir=reachable_folder())
        if os.geteuid() == 0:
            os.chown(scratch, NOBODY, NOBODY)
        pid = os.fork()
        if pid == 0:
            live(link, scratch)
        held = socket.socket(fileno=os.dup(rein))
        self.children[pid] = _Living(held, scratch)
        with contextlib.suppress(OSError):
            held.send(str(pid).encode())

    def become_another(self) -> None:
        """The same process with the same children, and nothing in memory where it was."""
        self.struck = False
        kept = {
            pid: [child.rein.fileno(), child.scratch, child.let_go] for pid, child in self.children.items()
        }
        descriptors = [self.asked.fileno(), *(child.rein.fileno() for child in self.children.values())]
        for one in descriptors:
            os.set_inheritable(one, True)
        with contextlib.suppress(OSError):  # better an old one than none
            os.execv(sys.executable, _command(self.asked.fileno(), kept))  # noqa: S606 - our own program
        for one in descriptors:
            os.set_inheritable(one, False)


def prepare() -> None:
    """Import what children need; their collectors leave alone what they share."""
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    from gatepost.net.sandbox_child import prepare

    prepare()
    gc.collect()
    gc.freeze()


def live(descriptor: int, scratch: str) -> NoReturn:
    """The child's whole life."""
    status = 1
    try:
        call_process("sandbox")
        os.setsid()
        signal.set_wakeup_fd(-1)
        for one in (signal.SIGCHLD, *_LEFT_ALONE):
            signal.signal(one, signal.SIG_DFL)
        os.closerange(3, descriptor)
        os.closerange(descriptor + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        from gatepost.net.sandbox_child import main

        main(descriptor, scratch)
        status = 0
    finally:
        os._exit(status)


def kill(pid: int) -> None:
    """It and all it started; it is a child of ours that nobody has waited for, so nobody else has its number."""
    for end in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def reachable_folder() -> str | None:
    """Where a scratch folder may be made: root's child becomes nobody, and nobody must get there. None: the usual place."""
    usual = Path(tempfile.gettempdir()).resolve()
    if os.geteuid() != 0:
        return None
    for folder in (usual, Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")):  # noqa: S108 - the folder made there is private
        if folder.is_dir() and all(one.stat().st_mode & 0o001 for one in (folder, *folder.parents)):
            return str(folder)
    return None


def _command(asked: int, kept: Mapping[int, Sequence[object]]) -> list[str]:
    return [sys.executable, "-I", "-B", "-m", PROGRAM, str(asked), json.dumps(kept)]


def main(asked: str, kept: str) -> None:
    """Called with the descriptor of the socket, and the children of before: process, rein, scratch folder, whether it was let go."""
    call_process("forkserver")
    children = {
        int(pid): _Living(socket.socket(fileno=rein), scratch, let_go)
        for pid, (rein, scratch, let_go) in json.loads(kept).items()
    }
    listening = socket.socket(fileno=int(asked))
    for one in (listening, *(child.rein for child in children.values())):
        one.set_inheritable(False)
    _Server(listening, children).run()


if __name__ == "__main__":
    main(*sys.argv[1:])

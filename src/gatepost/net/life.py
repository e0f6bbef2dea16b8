"""The life of one process: when it is ready, when it shall reload, when it shall stop."""

from __future__ import annotations

import array
import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable

log = logging.getLogger(__name__)

READY = b"R"
ALIVE = b"A"


class Life:
    """Given to everything that runs for long. Under supervision `control` leads to the supervisor."""

    def __init__(self, name: str, control: socket.socket | None = None) -> None:
        self.name = name
        self.stopping = asyncio.Event()
        """Set when it is time to finish what is in hand and return."""
        self.is_ready = asyncio.Event()
        self.on_socket: Callable[[socket.socket], None] | None = None
        """Called with each socket the supervisor sends."""
        self._control = control
        self._reloads: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        if control is not None:
            control.setblocking(False)
            self._loop.add_reader(control.fileno(), self._from_supervisor)

    def on_reload(self, reload: Callable[[], None]) -> None:
        """Call this at SIGHUP; it must not block."""
        self._reloads.append(reload)

    def reload(self) -> None:
        """What failed to reload stays as it was, and does not keep the rest from reloading."""
        for each in self._reloads:
            try:
                each()
            except Exception:
                log.exception("reloading failed in %s", self.name)

    def ready(self) -> None:
        """Say that the work can begin."""
        self.is_ready.set()
        self._tell(READY)

    def stop(self) -> None:
        """As SIGTERM does."""
        self.stopping.set()

    def obey_signals(self, *, interrupt: bool) -> None:
        """SIGTERM (and SIGINT, where `interrupt`) stops, SIGHUP reloads."""
        self._loop.add_signal_handler(signal.SIGTERM, self.stop)
        self._loop.add_signal_handler(signal.SIGHUP, self.reload)
        if interrupt:
            self._loop.add_signal_handler(signal.SIGINT, self.stop)

    def beat(self, every_s: float) -> None:
        """Tell the supervisor, again and again, that this loop still turns."""
        self._tell(ALIVE)
        self._loop.call_later(every_s, self.beat, every_s)

    def _tell(self, word: bytes) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(word)

    def _from_supervisor(self) -> None:
        assert self._control is not None
        try:
            packet, ancillary, _, _ = self._control.recvmsg(16, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            packet, ancillary = b"", []
        if not packet:  # the supervisor is gone: nobody would restart or stop us
            self._loop.remove_reader(self._control.fileno())
            self.stop()
            return
        for _, _, octets in ancillary:
            descriptors = array.array("i", octets[:4])
            sock = socket.socket(fileno=descriptors[0])
            if self.on_socket is None:
                sock.close()
            else:
                self.on_socket(sock)

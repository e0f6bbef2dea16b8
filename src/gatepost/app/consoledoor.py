"""Where the console is reached: its socket, its certificate, its address. Its pages are loaded by the process that serves them alone."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace

from gatepost.app.consoletls import console_tls
from gatepost.config.load import ConfigError
from gatepost.config.schema import Loaded
from gatepost.net.tls import ServerTls, TlsUnusable
from gatepost.web.listening import listening
from gatepost.web.settings import ConsoleSettings, host_port, origin_of


@dataclass(frozen=True, slots=True)
class ConsoleDoor:
    """Bound while we still may."""

    socket: socket.socket
    tls: ServerTls | None

    @classmethod
    def bound(cls, loaded: Loaded) -> ConsoleDoor | None:
        """None where no address is configured. Raises ConfigError."""
        settings, file = loaded.config.console, str(loaded.path)
        if not settings.address:
            return None
        host, port = host_port(settings.address)
        try:
            tls = console_tls(loaded)
        except TlsUnusable as fault:
            raise ConfigError(file, "console.certificate", str(fault)) from None
        try:
            return cls(listening(host, port), tls)
        except OSError as fault:
            problem = f"{settings.address} cannot be had ({fault.strerror}): who listens there? (ss -tlnp)"
            raise ConfigError(file, "console.address", problem) from None

    def origin(self, settings: ConsoleSettings) -> str:
        """By which people reach it."""
        host, _ = host_port(settings.address)
        bound = replace(settings, address=f"{host}:{self.socket.getsockname()[1]}")  # 0 stands for any port
        return origin_of(bound, with_tls=self.tls is not None)
